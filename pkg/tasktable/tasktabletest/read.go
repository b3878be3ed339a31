package tasktabletest

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/spillway-go/spillway/pkg/internal/ddbfake"
)

// GetItem implements [tasktable.API].
func (d *DynamoDB) GetItem(ctx context.Context, in *dynamodb.GetItemInput, _ ...func(*dynamodb.Options)) (out *dynamodb.GetItemOutput, err error) {
	defer ddbfake.Guard(&err)
	id := keyOf(in.Key)
	fault, err := d.enter(ctx, "GetItem", id)
	if err != nil {
		return nil, err
	}
	out = &dynamodb.GetItemOutput{}
	if !fault.Stale || aws.ToBool(in.ConsistentRead) {
		out.Item = d.Item(id)
	}
	return out, nil
}

// BatchGetItem implements [tasktable.API], for one table.
func (d *DynamoDB) BatchGetItem(ctx context.Context, in *dynamodb.BatchGetItemInput, _ ...func(*dynamodb.Options)) (out *dynamodb.BatchGetItemOutput, err error) {
	defer ddbfake.Guard(&err)
	if len(in.RequestItems) != 1 {
		ddbfake.Fail("%d tables in one BatchGetItem; this one knows one", len(in.RequestItems))
	}
	out = &dynamodb.BatchGetItemOutput{Responses: map[string][]map[string]types.AttributeValue{}}
	for table, want := range in.RequestItems {
		if n := len(want.Keys); n == 0 || n > maxKeys {
			ddbfake.Fail("Too many items requested for the BatchGetItem call")
		}
		ids := make([]string, 0, len(want.Keys))
		for _, key := range want.Keys {
			id := keyOf(key)
			if slices.Contains(ids, id) {
				ddbfake.Fail("Provided list of item keys contains duplicates")
			}
			ids = append(ids, id)
		}
		fault, err := d.enter(ctx, "BatchGetItem", ids...)
		if err != nil {
			return nil, err
		}
		done := max(len(ids)-fault.Unprocessed, 0)
		if done < len(ids) {
			out.UnprocessedKeys = map[string]types.KeysAndAttributes{table: {Keys: want.Keys[done:]}}
		}
		for _, id := range ids[:done] {
			if it := d.Item(id); it != nil && (!fault.Stale || aws.ToBool(want.ConsistentRead)) {
				out.Responses[table] = append(out.Responses[table], it)
			}
		}
	}
	return out, nil
}

// index is a secondary index of a task table.
type index struct {
	hash, sort string
	projected  []string // beside the keys
}

var indexes = map[string]index{
	"by_tenant":  {hash: shardName, sort: keyName},
	"by_failure": {hash: "failure_shard", sort: "failure_key", projected: []string{"type", shardName, "run"}},
}

// Query implements [tasktable.API], on an index: what it projects, in its order.
func (d *DynamoDB) Query(ctx context.Context, in *dynamodb.QueryInput, _ ...func(*dynamodb.Options)) (out *dynamodb.QueryOutput, err error) {
	defer ddbfake.Guard(&err)
	x, known := indexes[aws.ToString(in.IndexName)]
	switch {
	case !known:
		ddbfake.Fail("The table does not have the specified index: %s", aws.ToString(in.IndexName))
	case aws.ToBool(in.ConsistentRead):
		ddbfake.Fail("Consistent reads are not supported on global secondary indexes")
	case in.FilterExpression != nil:
		ddbfake.Fail("FilterExpression is not simulated")
	}
	p := ddbfake.NewParser(in.ExpressionAttributeNames, in.ExpressionAttributeValues)
	where := p.KeyCondition(in.KeyConditionExpression, x.hash, x.sort)
	p.Unused()
	backwards := in.ScanIndexForward != nil && !*in.ScanIndexForward
	fault, err := d.enter(ctx, "Query")
	if err != nil {
		return nil, err
	}
	out = &dynamodb.QueryOutput{}
	if fault.Stale {
		return out, nil
	}
	out.Items = d.indexed(x, where)
	if backwards {
		slices.Reverse(out.Items)
	}
	if in.ExclusiveStartKey != nil {
		out.Items = x.behind(out.Items, in.ExclusiveStartKey, backwards)
	}
	if limit := int(aws.ToInt32(in.Limit)); limit > 0 && len(out.Items) > limit {
		out.Items = out.Items[:limit]
		out.LastEvaluatedKey = x.keys(out.Items[limit-1])
	}
	out.Count = int32(len(out.Items)) //nolint:gosec // what fits into a test's memory fits into 31 bits
	return out, nil
}

// indexed returns what an index has of the items that meet a condition.
func (d *DynamoDB) indexed(x index, where ddbfake.Condition) []map[string]types.AttributeValue {
	d.mu.Lock()
	defer d.mu.Unlock()
	var found []map[string]types.AttributeValue
	for _, it := range d.items {
		if it[x.hash] == nil || it[x.sort] == nil || !where(it) {
			continue
		}
		entry := x.keys(it)
		for _, name := range x.projected {
			if v := it[name]; v != nil {
				entry[name] = v
			}
		}
		found = append(found, entry)
	}
	slices.SortFunc(found, x.compare)
	return found
}

// keys are the keys of an index, and of the table, in an item.
func (x index) keys(it item) item {
	return item{keyName: it[keyName], x.hash: it[x.hash], x.sort: it[x.sort]}
}

// compare orders entries of one partition: by the sort key, then, as AWS
// happens to do, somehow.
func (x index) compare(a, b map[string]types.AttributeValue) int {
	return cmp.Or(ddbfake.Compare(a[x.sort], b[x.sort]), strings.Compare(keyOf(a), keyOf(b)))
}

// behind returns the entries after a place, which need not be there any more.
func (x index) behind(entries []map[string]types.AttributeValue, place item, backwards bool) []map[string]types.AttributeValue {
	if len(place) != len(x.keys(place)) || place[keyName] == nil || place[x.hash] == nil || place[x.sort] == nil {
		ddbfake.Fail("The provided starting key is invalid")
	}
	return slices.DeleteFunc(entries, func(it map[string]types.AttributeValue) bool {
		c := x.compare(it, place)
		return c == 0 || (c < 0) != backwards
	})
}
