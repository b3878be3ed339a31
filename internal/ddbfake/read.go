package ddbfake

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/spillway-go/spillway/internal/ddbfake/expr"
)

// Limits of a BatchGetItem
// (https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html).
const (
	maxKeys     = 100
	maxResponse = 16 << 20
)

// source is the view that a read of the table sees: one that is not strongly
// consistent may ask a replica that lags. mu must be held.
func (d *DB) source(t *table, consistent bool) *view {
	if consistent || t.replica == nil || d.random.IntN(2) == 0 {
		return t.main
	}
	t.replica.settle(time.Now())
	return t.replica
}

// GetItem reads an item.
func (d *DB) GetItem(ctx context.Context, in *dynamodb.GetItemInput, _ ...func(*dynamodb.Options)) (out *dynamodb.GetItemOutput, err error) {
	defer guard(&err)
	t := d.table(in.TableName)
	key := t.checkKey(in.Key)
	p := parser(in.ExpressionAttributeNames, nil)
	part := p.Projection(in.ProjectionExpression)
	p.Unused()
	fault, err := d.enter(ctx, "GetItem", key)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.chance(d.opts.Throttles) {
		return nil, throttled()
	}
	consistent := aws.ToBool(in.ConsistentRead)
	it, cost := d.get(t, key, consistent)
	if err := d.afford(cost); err != nil {
		return nil, err
	}
	out = &dynamodb.GetItemOutput{ConsumedCapacity: consumedOne(in.ReturnConsumedCapacity, []charge{cost})}
	if !fault.Stale || consistent {
		out.Item = part(it)
	}
	return out, fault.Err
}

// get reads an item and says what that consumes. mu must be held.
func (d *DB) get(t *table, key Item, consistent bool) (Item, charge) {
	v := d.source(t, consistent)
	at, _ := v.place("", key)
	it := v.get(at)
	return it, charge{t, t.main, at.hash, reading(expr.Size(it), consistent)}
}

// BatchGetItem reads up to 100 items, and as many as are 16 MB. It answers in
// any order.
func (d *DB) BatchGetItem(ctx context.Context, in *dynamodb.BatchGetItemInput, _ ...func(*dynamodb.Options)) (out *dynamodb.BatchGetItemOutput, err error) {
	defer guard(&err)
	var all []wanted
	var keys []Item
	seen := map[*table]map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(in.RequestItems)) {
		t, want := d.table(&name), in.RequestItems[name]
		if len(want.Keys) == 0 {
			expr.Fail("Member must have length greater than or equal to 1")
		}
		p := parser(want.ExpressionAttributeNames, nil)
		part := p.Projection(want.ProjectionExpression)
		p.Unused()
		for _, key := range want.Keys {
			w := wanted{name, t, t.checkKey(key), key, part, aws.ToBool(want.ConsistentRead)}
			once(seen, t, idOf(t, w.key))
			all, keys = append(all, w), append(keys, w.key)
		}
	}
	if len(all) > maxKeys {
		expr.Fail("Too many items requested for the BatchGetItem call")
	}
	if len(all) == 0 {
		expr.Fail("The batch get request is empty")
	}
	fault, err := d.enter(ctx, "BatchGetItem", keys...)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	skip := d.leftOver(len(all), fault)
	order := d.random.Perm(len(all))
	out = &dynamodb.BatchGetItemOutput{Responses: map[string][]map[string]types.AttributeValue{}, UnprocessedKeys: map[string]types.KeysAndAttributes{}}
	size, costs, left := 0, []charge(nil), map[string][]map[string]types.AttributeValue{}
	for _, i := range order {
		w := all[i]
		it, cost := d.get(w.t, w.key, w.consistent)
		if skip[i] || size+expr.Size(it) > maxResponse || d.afford(cost) != nil {
			left[w.name] = append(left[w.name], w.given)
			continue
		}
		costs = append(costs, cost)
		size += expr.Size(it)
		if it != nil && (!fault.Stale || w.consistent) {
			out.Responses[w.name] = append(out.Responses[w.name], w.part(it))
		}
	}
	for name, keys := range left {
		rest := in.RequestItems[name] // with the projection and the consistency
		rest.Keys = keys
		out.UnprocessedKeys[name] = rest
	}
	if len(costs) == 0 && fault.Unprocessed == 0 {
		return nil, throttled()
	}
	out.ConsumedCapacity = consumed(in.ReturnConsumedCapacity, costs)
	return out, fault.Err
}

// wanted is one key of a BatchGetItem.
type wanted struct {
	name       string // of the table, in the request
	t          *table
	key, given Item
	part       func(Item) Item
	consistent bool
}

// once refuses an item that a batch names twice.
func once(seen map[*table]map[string]bool, t *table, id string) {
	if seen[t] == nil {
		seen[t] = map[string]bool{}
	}
	if seen[t][id] {
		expr.Fail("Provided list of item keys contains duplicates")
	}
	seen[t][id] = true
}
