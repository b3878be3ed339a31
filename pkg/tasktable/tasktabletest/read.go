package tasktabletest

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// GetItem implements [tasktable.API].
func (d *DynamoDB) GetItem(ctx context.Context, in *dynamodb.GetItemInput, _ ...func(*dynamodb.Options)) (out *dynamodb.GetItemOutput, err error) {
	defer guard(&err)
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
	defer guard(&err)
	if len(in.RequestItems) != 1 {
		fail("%d tables in one BatchGetItem; this one knows one", len(in.RequestItems))
	}
	out = &dynamodb.BatchGetItemOutput{Responses: map[string][]map[string]types.AttributeValue{}}
	for table, want := range in.RequestItems {
		if n := len(want.Keys); n == 0 || n > maxKeys {
			fail("Too many items requested for the BatchGetItem call")
		}
		ids := make([]string, 0, len(want.Keys))
		for _, key := range want.Keys {
			id := keyOf(key)
			if slices.Contains(ids, id) {
				fail("Provided list of item keys contains duplicates")
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

// Query implements [tasktable.API], on the index: keys only, ordered by id.
func (d *DynamoDB) Query(ctx context.Context, in *dynamodb.QueryInput, _ ...func(*dynamodb.Options)) (out *dynamodb.QueryOutput, err error) {
	defer guard(&err)
	p := newParser(in.ExpressionAttributeNames, in.ExpressionAttributeValues)
	where := p.over(aws.ToString(in.KeyConditionExpression)).condition()
	p.unused()
	switch {
	case aws.ToString(in.IndexName) != "by_tenant":
		fail("The table does not have the specified index: %s", aws.ToString(in.IndexName))
	case aws.ToBool(in.ConsistentRead):
		fail("Consistent reads are not supported on global secondary indexes")
	case in.ExclusiveStartKey != nil || in.FilterExpression != nil:
		fail("ExclusiveStartKey and FilterExpression are not simulated")
	}
	fault, err := d.enter(ctx, "Query")
	if err != nil {
		return nil, err
	}
	out = &dynamodb.QueryOutput{}
	if fault.Stale {
		return out, nil
	}
	out.Items = d.indexed(where)
	if in.ScanIndexForward != nil && !*in.ScanIndexForward {
		slices.Reverse(out.Items)
	}
	if limit := int(aws.ToInt32(in.Limit)); limit > 0 && len(out.Items) > limit {
		out.Items = out.Items[:limit]
		out.LastEvaluatedKey = maps.Clone(out.Items[limit-1])
	}
	out.Count = int32(len(out.Items)) //nolint:gosec // what fits into a test's memory fits into 31 bits
	return out, nil
}

// indexed returns the keys of what is in the index and meets a condition.
func (d *DynamoDB) indexed(where condition) []map[string]types.AttributeValue {
	d.mu.Lock()
	defer d.mu.Unlock()
	var found []map[string]types.AttributeValue
	for _, it := range d.items {
		if it[shardName] != nil && where(it) {
			found = append(found, item{keyName: it[keyName], shardName: it[shardName]})
		}
	}
	slices.SortFunc(found, func(a, b map[string]types.AttributeValue) int { return strings.Compare(keyOf(a), keyOf(b)) })
	return found
}
