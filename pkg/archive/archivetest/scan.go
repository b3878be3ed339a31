package archivetest

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/spillway-go/spillway/pkg/internal/ddbfake"
)

// Scan reads all items, up to 1 MB at a time, in an order of its own, which on
// AWS is that of the keys' hashes.
func (t *Table) Scan(ctx context.Context, in *dynamodb.ScanInput, _ ...func(*dynamodb.Options)) (out *dynamodb.ScanOutput, err error) {
	defer ddbfake.Guard(&err)
	if in.IndexName != nil || in.Segment != nil {
		ddbfake.Fail("indexes and segments are not simulated")
	}
	p := ddbfake.NewParser(in.ExpressionAttributeNames, in.ExpressionAttributeValues)
	filter := p.Condition(in.FilterExpression)
	part := p.Projection(in.ProjectionExpression)
	p.Unused()
	fault, err := t.enter(ctx, "Scan")
	if err != nil {
		return nil, err
	}
	out = &dynamodb.ScanOutput{}
	if fault.Stale && !aws.ToBool(in.ConsistentRead) {
		return out, fault.Err
	}
	var last Key
	if in.ExclusiveStartKey != nil {
		last = keyOnly(in.ExclusiveStartKey)
	}
	size := 0
	for _, key := range t.Keys() {
		it := t.Item(key.PK, key.SK)
		if it == nil || key.PK < last.PK || key.PK == last.PK && key.SK <= last.SK { // gone, or read before
			continue
		}
		size += ddbfake.Size(it)
		out.ScannedCount++
		if filter(it) {
			out.Count++
			if in.Select != types.SelectCount {
				out.Items = append(out.Items, part(it))
			}
		}
		// As DynamoDB does, also when the limit is reached with the last item.
		if out.ScannedCount == aws.ToInt32(in.Limit) || size > maxPage {
			out.LastEvaluatedKey = Item{hashKey: it[hashKey], rangeKey: it[rangeKey]}
			break
		}
	}
	return out, fault.Err
}
