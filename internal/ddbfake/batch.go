package ddbfake

import (
	"context"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/spillway-go/spillway/internal/ddbfake/expr"
)

// maxWrites is how many writes a BatchWriteItem takes
// (https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html).
const maxWrites = 25

// BatchWriteItem puts and deletes up to 25 items, without conditions.
func (d *DB) BatchWriteItem(ctx context.Context, in *dynamodb.BatchWriteItemInput, _ ...func(*dynamodb.Options)) (out *dynamodb.BatchWriteItemOutput, err error) {
	defer guard(&err)
	type request struct {
		table string
		types.WriteRequest
		*write
	}
	var all []request
	var keys []Item
	seen := map[*table]map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(in.RequestItems)) {
		t := d.table(&name)
		for _, r := range in.RequestItems[name] {
			var w *write
			switch {
			case r.PutRequest != nil && r.DeleteRequest == nil:
				w = t.putting(r.PutRequest.Item, terms{})
			case r.DeleteRequest != nil && r.PutRequest == nil:
				w = t.deleting(r.DeleteRequest.Key, terms{})
			default:
				expr.Fail("Supplied request has to be one of Put or Delete")
			}
			once(seen, t, w.id)
			all, keys = append(all, request{name, r, w}), append(keys, w.key)
		}
	}
	if n := len(all); n == 0 || n > maxWrites {
		expr.Fail("Member must have length less than or equal to 25, and at least 1")
	}
	fault, err := d.enter(ctx, "BatchWriteItem", keys...)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	skip := d.leftOver(len(all), fault)
	out = &dynamodb.BatchWriteItemOutput{UnprocessedItems: map[string][]types.WriteRequest{}}
	var costs []charge
	for i, r := range all {
		if !skip[i] && d.refuse(r.write) == nil {
			if o, err := d.apply(r.write); err == nil {
				costs = append(costs, o.cost...)
				continue
			}
		}
		out.UnprocessedItems[r.table] = append(out.UnprocessedItems[r.table], r.WriteRequest)
	}
	if len(costs) == 0 && fault.Unprocessed == 0 {
		return nil, throttled() // nothing is processed
	}
	out.ConsumedCapacity = consumed(in.ReturnConsumedCapacity, costs)
	if fault.Err != nil {
		return nil, fault.Err
	}
	return out, nil
}
