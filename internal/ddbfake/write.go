package ddbfake

import (
	"context"
	"maps"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/spillway-go/spillway/internal/ddbfake/expr"
)

// write is one change of one item: what every operation that writes is made of.
type write struct {
	t         *table
	key       Item
	id        string
	where     expr.Condition
	change    func(old Item) Item // returns nil to delete
	check     bool                // of a condition: nothing is written
	onFailure types.ReturnValuesOnConditionCheckFailure
}

// terms are what requests that write have in common.
type terms struct {
	condition *string
	names     map[string]string
	values    Item
	onFailure types.ReturnValuesOnConditionCheckFailure
}

func (t *table) write(key Item, q terms, p *expr.Parser) *write {
	return &write{t: t, key: key, id: idOf(t, key), where: p.Condition(q.condition), onFailure: q.onFailure}
}

// putting is what a Put consists of.
func (t *table) putting(it Item, q terms) *write {
	it = expr.Canonical(it)
	t.checkItem(it)
	checkSize(it, "")
	p := parser(q.names, q.values)
	w := t.write(t.main.keysOf(it), q, p)
	p.Unused()
	w.change = func(Item) Item { return it }
	return w
}

// updating is what an Update consists of.
func (t *table) updating(key Item, update *string, q terms) *write {
	key = t.checkKey(key)
	p := parser(q.names, q.values)
	w := t.write(key, q, p)
	u := p.Update(update, t.keyNames()...)
	p.Unused()
	w.change = func(old Item) Item { return u.Apply(key, old) }
	return w
}

// deleting is what a Delete consists of.
func (t *table) deleting(key Item, q terms) *write {
	p := parser(q.names, q.values)
	w := t.write(t.checkKey(key), q, p)
	p.Unused()
	w.change = func(Item) Item { return nil }
	return w
}

// checking is what a ConditionCheck consists of.
func (t *table) checking(key Item, q terms) *write {
	if q.condition == nil {
		expr.Fail("The expression can not be empty;")
	}
	w := t.deleting(key, q)
	w.check = true
	w.change = func(old Item) Item { return old }
	return w
}

// outcome is an item before and after a write, and what the write consumed.
type outcome struct {
	old, now Item
	cost     []charge
}

// prepare evaluates a write. The error is its answer. mu must be held.
func (w *write) prepare() (o outcome, err error) {
	defer guard(&err)
	at, _ := w.t.main.place(w.id, w.key)
	o.old = w.t.main.get(at)
	if !w.where(o.old) {
		o.cost = w.t.writing(w.key, outcome{old: o.old})[:1] // of the table, as if it were written
		failed := &types.ConditionalCheckFailedException{Message: aws.String("The conditional request failed")}
		if w.onFailure == types.ReturnValuesOnConditionCheckFailureAllOld {
			failed.Item = maps.Clone(o.old)
		}
		return o, failed
	}
	if o.now = w.change(o.old); o.now != nil && !w.check {
		w.t.checkItem(o.now)
		checkSize(o.now, " to update")
		expr.CheckNesting(o.now)
	}
	o.cost = w.t.writing(w.key, o)
	return o, nil
}

// apply does a write. mu must be held.
func (d *DB) apply(w *write) (outcome, error) {
	o, err := w.prepare()
	if poor := d.afford(o.cost...); poor != nil {
		return outcome{}, poor
	}
	if err != nil {
		return outcome{}, err
	}
	d.commit(w.t, w.id, o.old, o.now, nil)
	return o, nil
}

// single is a call that consists of one write.
func (d *DB) single(ctx context.Context, operation string, w *write) (outcome, error) {
	fault, err := d.enter(ctx, operation, w.key)
	if err != nil {
		return outcome{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.refuse(w); err != nil {
		return outcome{}, err
	}
	o, err := d.apply(w)
	if fault.Err != nil {
		return outcome{}, fault.Err
	}
	return o, err
}

// PutItem stores an item.
func (d *DB) PutItem(ctx context.Context, in *dynamodb.PutItemInput, _ ...func(*dynamodb.Options)) (out *dynamodb.PutItemOutput, err error) {
	defer guard(&err)
	if v := in.ReturnValues; v != "" && v != types.ReturnValueNone && v != types.ReturnValueAllOld {
		expr.Fail("ReturnValues can only be ALL_OLD or NONE")
	}
	w := d.table(in.TableName).putting(in.Item, terms{in.ConditionExpression, in.ExpressionAttributeNames, in.ExpressionAttributeValues, in.ReturnValuesOnConditionCheckFailure})
	o, err := d.single(ctx, "PutItem", w)
	if err != nil {
		return nil, err
	}
	return &dynamodb.PutItemOutput{Attributes: returned(in.ReturnValues, o), ConsumedCapacity: consumedOne(in.ReturnConsumedCapacity, o.cost)}, nil
}

// UpdateItem changes an item. It creates one that is absent, unless a condition
// forbids it.
func (d *DB) UpdateItem(ctx context.Context, in *dynamodb.UpdateItemInput, _ ...func(*dynamodb.Options)) (out *dynamodb.UpdateItemOutput, err error) {
	defer guard(&err)
	w := d.table(in.TableName).updating(in.Key, in.UpdateExpression, terms{in.ConditionExpression, in.ExpressionAttributeNames, in.ExpressionAttributeValues, in.ReturnValuesOnConditionCheckFailure})
	o, err := d.single(ctx, "UpdateItem", w)
	if err != nil {
		return nil, err
	}
	return &dynamodb.UpdateItemOutput{Attributes: returned(in.ReturnValues, o), ConsumedCapacity: consumedOne(in.ReturnConsumedCapacity, o.cost)}, nil
}

// DeleteItem deletes an item; one that is absent is no error, unless a
// condition says so.
func (d *DB) DeleteItem(ctx context.Context, in *dynamodb.DeleteItemInput, _ ...func(*dynamodb.Options)) (out *dynamodb.DeleteItemOutput, err error) {
	defer guard(&err)
	if v := in.ReturnValues; v != "" && v != types.ReturnValueNone && v != types.ReturnValueAllOld {
		expr.Fail("ReturnValues can only be ALL_OLD or NONE")
	}
	w := d.table(in.TableName).deleting(in.Key, terms{in.ConditionExpression, in.ExpressionAttributeNames, in.ExpressionAttributeValues, in.ReturnValuesOnConditionCheckFailure})
	o, err := d.single(ctx, "DeleteItem", w)
	if err != nil {
		return nil, err
	}
	return &dynamodb.DeleteItemOutput{Attributes: returned(in.ReturnValues, o), ConsumedCapacity: consumedOne(in.ReturnConsumedCapacity, o.cost)}, nil
}

// returned is what a write gives back of the item.
func returned(what types.ReturnValue, o outcome) Item {
	switch what {
	case "", types.ReturnValueNone:
		return nil
	case types.ReturnValueAllOld:
		return maps.Clone(o.old)
	case types.ReturnValueAllNew:
		return maps.Clone(o.now)
	default:
		expr.Fail("ReturnValues %s is not simulated", what)
		return nil
	}
}
