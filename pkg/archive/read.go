package archive

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Get reads an item with its data, strongly consistent. [ErrNotFound] when
// there is none, or its time is over. [ErrNoData] when it is there without its
// data; it is ErrNotFound as well if that is known to be gone.
func (a *Archive) Get(ctx context.Context, group, id string) (Item, error) {
	out, err := a.tables.GetItem(ctx, &dynamodb.GetItemInput{TableName: &a.table, Key: keyOf(group, id), ConsistentRead: aws.Bool(true)})
	if err != nil {
		return Item{}, fmt.Errorf("read %s/%s: %w", group, id, err)
	}
	it := parse(out.Item)
	if len(out.Item) == 0 || it.over() {
		return Item{}, fmt.Errorf("%s/%s: %w", group, id, ErrNotFound)
	}
	if object := text(out.Item, attrObject); object != "" {
		if it.Data, err = a.fetch(ctx, object); err != nil {
			return Item{}, fmt.Errorf("read %s/%s: %w", group, id, err)
		}
	}
	return it, nil
}

// List reads up to limit items of a group, without their data, in the order of
// their ids and from behind the id after on. next is the after of the next
// page, and empty on the last one; a page may have fewer items than limit, even
// none, and still have a next. It is strongly consistent, and costs as much as
// reading the data that lies in the table.
func (a *Archive) List(ctx context.Context, group, after string, limit int) (items []Item, next string, err error) {
	limit = min(max(limit, 1), 1000)
	in := &dynamodb.QueryInput{
		TableName: &a.table, ConsistentRead: aws.Bool(true), Limit: aws.Int32(int32(limit)),
		KeyConditionExpression:    aws.String("#pk = :group"),
		ProjectionExpression:      aws.String("#pk, #sk, #meta, #size, #stored, #expires"),
		ExpressionAttributeValues: attributes{":group": str(group)},
		ExpressionAttributeNames: map[string]string{
			"#pk": attrGroup, "#sk": attrID, "#meta": attrMeta, "#size": attrSize, "#stored": attrStoredAt, "#expires": attrExpiresAt,
		},
	}
	if after != "" {
		in.KeyConditionExpression = aws.String("#pk = :group AND #sk > :after")
		in.ExpressionAttributeValues[":after"] = str(after)
	}
	for {
		out, err := a.tables.Query(ctx, in)
		if err != nil {
			return nil, "", fmt.Errorf("list %s: %w", group, err)
		}
		for _, found := range out.Items {
			if it := parse(found); !it.over() {
				items = append(items, it)
			}
		}
		if in.ExclusiveStartKey = out.LastEvaluatedKey; in.ExclusiveStartKey == nil {
			return items, "", nil
		}
		if len(items) >= limit {
			return items[:limit], items[limit-1].ID, nil
		}
		in.Limit = aws.Int32(int32(limit - len(items))) //nolint:gosec // at most 1000
	}
}

// Delete removes an item and then its object. One that is not there is no
// error.
func (a *Archive) Delete(ctx context.Context, group, id string) error {
	out, err := a.tables.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &a.table, Key: keyOf(group, id), ReturnValues: types.ReturnValueAllOld})
	if err != nil {
		return fmt.Errorf("delete %s/%s: %w", group, id, err)
	}
	a.forget(ctx, text(out.Attributes, attrObject))
	return nil
}
