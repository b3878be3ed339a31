package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Attributes of the control table. Everything that no condition looks at is
// JSON in one of them.
const (
	attrPartition = "pk"
	attrSort      = "sk"
	attrDetail    = "detail"
	attrExpires   = "expires_at"  // TTL, seconds
	attrStatus    = "job_status"  // of a job's state
	attrHolder    = "holder"      // the run that holds the job
	attrUntil     = "lease_until" // ms
	attrStop      = "stop_asked"
	attrTidy      = "tidy" // no run has left anything in the source that is dealt with
	attrJob       = "job_id"
)

// control is the control table: an append-only part (what was asked, what was
// done, message by message) and one state for each job.
type control struct {
	api   API
	table string
}

type item = map[string]types.AttributeValue

func str(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func num(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

func text(it item, name string) string {
	if v, ok := it[name].(*types.AttributeValueMemberS); ok {
		return v.Value
	}
	return ""
}

func number(it item, name string) int64 {
	if v, ok := it[name].(*types.AttributeValueMemberN); ok {
		if n, err := strconv.ParseInt(v.Value, 10, 64); err == nil {
			return n
		}
	}
	return 0
}

// append writes an item that must not be there yet. That it is there already is
// no error: an earlier try has written it.
func (c *control) append(ctx context.Context, partition, sort string, detail any, expires time.Time, more item) error {
	encoded, err := json.Marshal(detail)
	if err != nil {
		return fmt.Errorf("write %s of %s: %w", sort, partition, err)
	}
	it := item{
		attrPartition: str(partition), attrSort: str(sort), attrDetail: str(string(encoded)), attrExpires: num(expires.Unix()),
	}
	maps.Copy(it, more)
	_, err = c.api.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: &c.table, Item: it, ConditionExpression: aws.String("attribute_not_exists(pk)"),
	})
	if _, exists := errors.AsType[*types.ConditionalCheckFailedException](err); exists {
		return nil
	}
	if err != nil {
		return fmt.Errorf("write %s of %s: %w", sort, partition, err)
	}
	return nil
}

// get reads an item; nil if there is none.
func (c *control) get(ctx context.Context, partition, sort string) (item, error) {
	out, err := c.api.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &c.table, ConsistentRead: aws.Bool(true), Key: item{attrPartition: str(partition), attrSort: str(sort)},
	})
	if err != nil {
		return nil, fmt.Errorf("read %s of %s: %w", sort, partition, err)
	}
	return out.Item, nil
}

// change updates an item under a condition and returns it as it is then; when
// the condition fails, as it is, and errLost.
func (c *control) change(ctx context.Context, partition, sort, update, condition string, values item) (item, error) {
	out, err := c.api.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &c.table, Key: item{attrPartition: str(partition), attrSort: str(sort)},
		UpdateExpression: &update, ConditionExpression: &condition, ExpressionAttributeValues: values,
		ReturnValues:                        types.ReturnValueAllNew,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	if failed, lost := errors.AsType[*types.ConditionalCheckFailedException](err); lost {
		return failed.Item, errLost
	}
	if err != nil {
		return nil, fmt.Errorf("update %s of %s: %w", sort, partition, err)
	}
	return out.Attributes, nil
}

// pages bounds a walk through a partition: some 100 MB of items.
const pages = 200

// walk calls each for the items of a partition whose sort key begins with
// prefix, in order or newest first, until it returns false.
func (c *control) walk(ctx context.Context, partition, prefix string, newest bool, limit int, each func(item) (bool, error)) error {
	in := &dynamodb.QueryInput{
		TableName: &c.table, ConsistentRead: aws.Bool(true), ScanIndexForward: aws.Bool(!newest),
		KeyConditionExpression:    aws.String("pk = :pk"),
		ExpressionAttributeValues: item{":pk": str(partition)},
	}
	if prefix != "" {
		in.KeyConditionExpression = aws.String("pk = :pk AND begins_with(sk, :sk)")
		in.ExpressionAttributeValues[":sk"] = str(prefix)
	}
	if limit > 0 {
		in.Limit = aws.Int32(int32(min(limit, 1000)))
	}
	for range pages {
		out, err := c.api.Query(ctx, in)
		if err != nil {
			return fmt.Errorf("read %s of %s: %w", prefix, partition, err)
		}
		for _, it := range out.Items {
			if more, err := each(it); err != nil || !more {
				return err
			}
		}
		if len(out.LastEvaluatedKey) == 0 {
			return nil
		}
		in.ExclusiveStartKey = out.LastEvaluatedKey
	}
	return fmt.Errorf("read %s of %s: more than %d pages", prefix, partition, pages)
}

// decode reads an item's detail.
func decode(it item, v any) error {
	if err := json.Unmarshal([]byte(text(it, attrDetail)), v); err != nil {
		return fmt.Errorf("the item %s of %s cannot be read: %w", text(it, attrSort), text(it, attrPartition), err)
	}
	return nil
}
