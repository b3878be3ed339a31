package archivetest

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/spillway-go/spillway/pkg/internal/ddbfake"
)

// The keys of the table, both of them strings.
const (
	hashKey  = "pk"
	rangeKey = "sk"
)

// Limits of DynamoDB's.
const (
	maxWrites   = 25
	maxReads    = 100
	maxTransact = 100
	maxPage     = 1 << 20
)

// Item is a stored item.
type Item = map[string]types.AttributeValue

// Key is what an item is found by.
type Key struct{ PK, SK string }

// Table is a DynamoDB table in memory with the hash key pk and the range key
// sk. It follows AWS in what code can see: conditions and the items that come
// with failed ones, limits of batches, items and pages, names and values that
// must all be used. It does not remove items by TTL (which takes AWS days as
// well), has no indexes and does not know capacity. Whatever a table is called,
// it is this one. Safe for concurrent use.
type Table struct {
	faults

	mu    sync.Mutex
	items map[Key]Item
}

// NewTable returns an empty table.
func NewTable() *Table { return &Table{items: map[Key]Item{}} }

// Item returns the stored item with this key as it is; nil if there is none.
func (t *Table) Item(pk, sk string) Item {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.items[Key{pk, sk}])
}

// Keys are the keys of all items, in order.
func (t *Table) Keys() []Key {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.SortedFunc(maps.Keys(t.items), func(a, b Key) int {
		return cmp.Or(cmp.Compare(a.PK, b.PK), cmp.Compare(a.SK, b.SK))
	})
}

// Remove removes an item, as TTL does in the end.
func (t *Table) Remove(pk, sk string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.items, Key{pk, sk})
}

// keyOf is the key of an item, or of a request that names just it.
func keyOf(it Item) Key {
	part := func(name string) string {
		s, ok := it[name].(*types.AttributeValueMemberS)
		if !ok {
			ddbfake.Fail("The provided key element does not match the schema")
		}
		if s.Value == "" {
			ddbfake.Fail("One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: %s", name)
		}
		return s.Value
	}
	return Key{part(hashKey), part(rangeKey)}
}

func keyOnly(it Item) Key {
	if len(it) != 2 {
		ddbfake.Fail("The provided key element does not match the schema")
	}
	return keyOf(it)
}

// write is one change of one item: what every operation that writes is made of.
type write struct {
	key       Key
	where     ddbfake.Condition
	change    func(old Item) Item // returns nil to delete
	onFailure types.ReturnValuesOnConditionCheckFailure
}

// failed is what a write whose condition does not hold answers.
func (w *write) failed(old Item) *types.ConditionalCheckFailedException {
	e := &types.ConditionalCheckFailedException{Message: aws.String("The conditional request failed")}
	if w.onFailure == types.ReturnValuesOnConditionCheckFailureAllOld {
		e.Item = maps.Clone(old)
	}
	return e
}

// apply does a write and returns the item before and after. mu must be held.
func (t *Table) apply(w *write) (old, now Item, err error) {
	old = t.items[w.key]
	if !w.where(old) {
		return nil, nil, w.failed(old)
	}
	if now = w.change(old); now == nil {
		delete(t.items, w.key)
		return old, nil, nil
	}
	ddbfake.CheckSize(now)
	t.items[w.key] = now
	return old, now, nil
}

// do is a call that consists of one write.
func (t *Table) do(ctx context.Context, operation string, w *write) (old, now Item, err error) {
	defer ddbfake.Guard(&err)
	fault, err := t.enter(ctx, operation, w.key)
	if err != nil {
		return nil, nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	old, now, err = t.apply(w)
	if fault.Err != nil {
		return nil, nil, fault.Err
	}
	return maps.Clone(old), maps.Clone(now), err
}

// putting is what a Put consists of.
func putting(it Item, condition *string, names map[string]string, values Item, onFailure types.ReturnValuesOnConditionCheckFailure) *write {
	p := ddbfake.NewParser(names, values)
	w := &write{key: keyOf(it), where: p.Condition(condition), onFailure: onFailure}
	p.Unused()
	ddbfake.CheckSize(it)
	w.change = func(Item) Item { return maps.Clone(it) }
	return w
}

// updating is what an Update consists of.
func updating(key Item, update, condition *string, names map[string]string, values Item, onFailure types.ReturnValuesOnConditionCheckFailure) *write {
	p := ddbfake.NewParser(names, values)
	w := &write{key: keyOnly(key), where: p.Condition(condition), onFailure: onFailure}
	u := p.Update(update, hashKey, rangeKey)
	p.Unused()
	w.change = func(old Item) Item { return u.Apply(key, old) }
	return w
}

// deleting is what a Delete consists of.
func deleting(key Item, condition *string, names map[string]string, values Item, onFailure types.ReturnValuesOnConditionCheckFailure) *write {
	p := ddbfake.NewParser(names, values)
	w := &write{key: keyOnly(key), where: p.Condition(condition), onFailure: onFailure}
	p.Unused()
	w.change = func(Item) Item { return nil }
	return w
}

// returned is what a write gives back of the item.
func returned(what types.ReturnValue, old, now Item) Item {
	switch what {
	case "", types.ReturnValueNone:
		return nil
	case types.ReturnValueAllOld:
		return old
	case types.ReturnValueAllNew:
		return now
	default:
		ddbfake.Fail("ReturnValues %s is not simulated", what)
		return nil
	}
}

// PutItem stores an item.
func (t *Table) PutItem(ctx context.Context, in *dynamodb.PutItemInput, _ ...func(*dynamodb.Options)) (out *dynamodb.PutItemOutput, err error) {
	defer ddbfake.Guard(&err)
	w := putting(in.Item, in.ConditionExpression, in.ExpressionAttributeNames, in.ExpressionAttributeValues, in.ReturnValuesOnConditionCheckFailure)
	old, _, err := t.do(ctx, "PutItem", w)
	if err != nil {
		return nil, err
	}
	return &dynamodb.PutItemOutput{Attributes: returned(in.ReturnValues, old, nil)}, nil
}

// UpdateItem changes an item. It creates one that is absent, unless a condition
// forbids it.
func (t *Table) UpdateItem(ctx context.Context, in *dynamodb.UpdateItemInput, _ ...func(*dynamodb.Options)) (out *dynamodb.UpdateItemOutput, err error) {
	defer ddbfake.Guard(&err)
	w := updating(in.Key, in.UpdateExpression, in.ConditionExpression, in.ExpressionAttributeNames, in.ExpressionAttributeValues, in.ReturnValuesOnConditionCheckFailure)
	old, now, err := t.do(ctx, "UpdateItem", w)
	if err != nil {
		return nil, err
	}
	return &dynamodb.UpdateItemOutput{Attributes: returned(in.ReturnValues, old, now)}, nil
}

// DeleteItem deletes an item; one that is absent is no error, unless a
// condition says so.
func (t *Table) DeleteItem(ctx context.Context, in *dynamodb.DeleteItemInput, _ ...func(*dynamodb.Options)) (out *dynamodb.DeleteItemOutput, err error) {
	defer ddbfake.Guard(&err)
	w := deleting(in.Key, in.ConditionExpression, in.ExpressionAttributeNames, in.ExpressionAttributeValues, in.ReturnValuesOnConditionCheckFailure)
	old, _, err := t.do(ctx, "DeleteItem", w)
	if err != nil {
		return nil, err
	}
	return &dynamodb.DeleteItemOutput{Attributes: returned(in.ReturnValues, old, nil)}, nil
}
