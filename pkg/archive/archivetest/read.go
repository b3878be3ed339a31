package archivetest

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/spillway-go/spillway/pkg/internal/ddbfake"
)

// GetItem reads an item.
func (t *Table) GetItem(ctx context.Context, in *dynamodb.GetItemInput, _ ...func(*dynamodb.Options)) (out *dynamodb.GetItemOutput, err error) {
	defer ddbfake.Guard(&err)
	key := keyOnly(in.Key)
	p := ddbfake.NewParser(in.ExpressionAttributeNames, nil)
	part := p.Projection(in.ProjectionExpression)
	p.Unused()
	fault, err := t.enter(ctx, "GetItem", key)
	if err != nil {
		return nil, err
	}
	out = &dynamodb.GetItemOutput{}
	if !fault.Stale || aws.ToBool(in.ConsistentRead) {
		out.Item = part(t.Item(key.PK, key.SK))
	}
	return out, fault.Err
}

// BatchGetItem reads up to 100 items of one table. [Fault.Unprocessed] leaves
// the last of them over.
func (t *Table) BatchGetItem(ctx context.Context, in *dynamodb.BatchGetItemInput, _ ...func(*dynamodb.Options)) (out *dynamodb.BatchGetItemOutput, err error) {
	defer ddbfake.Guard(&err)
	table, want := only(in.RequestItems)
	if n := len(want.Keys); n == 0 || n > maxReads {
		ddbfake.Fail("Too many items requested for the BatchGetItem call")
	}
	keys := make([]Key, len(want.Keys))
	for i, k := range want.Keys {
		keys[i] = keyOnly(k)
	}
	distinct(keys)
	p := ddbfake.NewParser(want.ExpressionAttributeNames, nil)
	part := p.Projection(want.ProjectionExpression)
	p.Unused()
	fault, err := t.enter(ctx, "BatchGetItem", keys...)
	if err != nil {
		return nil, err
	}
	out = &dynamodb.BatchGetItemOutput{Responses: map[string][]map[string]types.AttributeValue{}}
	done := max(len(keys)-fault.Unprocessed, 0)
	if done < len(keys) {
		rest := want
		rest.Keys = want.Keys[done:]
		out.UnprocessedKeys = map[string]types.KeysAndAttributes{table: rest}
	}
	for _, k := range keys[:done] {
		if it := t.Item(k.PK, k.SK); it != nil && (!fault.Stale || aws.ToBool(want.ConsistentRead)) {
			out.Responses[table] = append(out.Responses[table], part(it))
		}
	}
	return out, fault.Err
}

// Query reads items of one hash key in the order of their range keys, up to
// 1 MB at a time.
func (t *Table) Query(ctx context.Context, in *dynamodb.QueryInput, _ ...func(*dynamodb.Options)) (out *dynamodb.QueryOutput, err error) {
	defer ddbfake.Guard(&err)
	if in.IndexName != nil {
		ddbfake.Fail("The table does not have the specified index: %s", *in.IndexName)
	}
	p := ddbfake.NewParser(in.ExpressionAttributeNames, in.ExpressionAttributeValues)
	where := p.KeyCondition(in.KeyConditionExpression, hashKey, rangeKey)
	filter := p.Condition(in.FilterExpression)
	part := p.Projection(in.ProjectionExpression)
	p.Unused()
	fault, err := t.enter(ctx, "Query")
	if err != nil {
		return nil, err
	}
	out = &dynamodb.QueryOutput{}
	if fault.Stale && !aws.ToBool(in.ConsistentRead) {
		return out, fault.Err
	}
	found := t.found(where, in.ScanIndexForward == nil || *in.ScanIndexForward, in.ExclusiveStartKey)
	size := 0
	for i, it := range found {
		size += ddbfake.Size(it)
		out.ScannedCount++
		if filter(it) {
			out.Count++
			if in.Select != types.SelectCount {
				out.Items = append(out.Items, part(it))
			}
		}
		if full := out.ScannedCount == aws.ToInt32(in.Limit); full || size > maxPage && i < len(found)-1 {
			out.LastEvaluatedKey = Item{hashKey: it[hashKey], rangeKey: it[rangeKey]}
			break
		}
	}
	return out, fault.Err
}

// found returns copies of the items that meet a condition, in order, from
// behind a key on.
func (t *Table) found(where ddbfake.Condition, forward bool, after Item) []Item {
	var last Key
	if after != nil {
		last = keyOnly(after)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	var found []Item
	for key, it := range t.items {
		behind := after == nil || forward && key.SK > last.SK || !forward && key.SK < last.SK
		if behind && where(it) {
			found = append(found, maps.Clone(it))
		}
	}
	slices.SortFunc(found, func(a, b Item) int {
		c := strings.Compare(keyOf(a).SK, keyOf(b).SK)
		if !forward {
			c = -c
		}
		return c
	})
	return found
}
