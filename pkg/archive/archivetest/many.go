package archivetest

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/spillway-go/spillway/pkg/internal/ddbfake"
)

// distinct refuses keys that are there twice.
func distinct(keys []Key) {
	seen := map[Key]bool{}
	for _, k := range keys {
		if seen[k] {
			ddbfake.Fail("Provided list of item keys contains duplicates")
		}
		seen[k] = true
	}
}

// BatchWriteItem puts and deletes up to 25 items of one table, without
// conditions. [Fault.Unprocessed] leaves the last of them over.
func (t *Table) BatchWriteItem(ctx context.Context, in *dynamodb.BatchWriteItemInput, _ ...func(*dynamodb.Options)) (out *dynamodb.BatchWriteItemOutput, err error) {
	defer ddbfake.Guard(&err)
	table, requests := only(in.RequestItems)
	if n := len(requests); n == 0 || n > maxWrites {
		ddbfake.Fail("Member must have length less than or equal to 25, and at least 1")
	}
	writes, keys := make([]*write, len(requests)), make([]Key, len(requests))
	for i, r := range requests {
		switch {
		case r.PutRequest != nil:
			writes[i] = putting(r.PutRequest.Item, nil, nil, nil, "")
		case r.DeleteRequest != nil:
			writes[i] = deleting(r.DeleteRequest.Key, nil, nil, nil, "")
		default:
			ddbfake.Fail("Supplied request is empty")
		}
		keys[i] = writes[i].key
	}
	distinct(keys)
	fault, err := t.enter(ctx, "BatchWriteItem", keys...)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	done := max(len(writes)-fault.Unprocessed, 0)
	for _, w := range writes[:done] {
		if _, _, err := t.apply(w); err != nil {
			return nil, err
		}
	}
	out = &dynamodb.BatchWriteItemOutput{}
	if done < len(requests) {
		out.UnprocessedItems = map[string][]types.WriteRequest{table: requests[done:]}
	}
	if fault.Err != nil {
		return nil, fault.Err
	}
	return out, nil
}

// only is the one table of a batch.
func only[V any](tables map[string]V) (name string, v V) {
	if len(tables) != 1 {
		ddbfake.Fail("%d tables in one batch; this one knows one", len(tables))
	}
	for name, v = range tables {
		return name, v
	}
	return name, v
}

// TransactWriteItems does up to 100 writes, or none of them when a condition
// does not hold.
func (t *Table) TransactWriteItems(ctx context.Context, in *dynamodb.TransactWriteItemsInput, _ ...func(*dynamodb.Options)) (out *dynamodb.TransactWriteItemsOutput, err error) {
	defer ddbfake.Guard(&err)
	if n := len(in.TransactItems); n == 0 || n > maxTransact {
		ddbfake.Fail("Member must have length less than or equal to 100, and at least 1")
	}
	writes, keys := make([]*write, len(in.TransactItems)), make([]Key, len(in.TransactItems))
	for i, item := range in.TransactItems {
		writes[i] = transacted(item)
		keys[i] = writes[i].key
	}
	distinct(keys)
	fault, err := t.enter(ctx, "TransactWriteItems", keys...)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	canceled := &types.TransactionCanceledException{Message: aws.String("Transaction cancelled, please refer cancellation reasons for specific reasons")}
	met := true
	for _, w := range writes {
		reason := types.CancellationReason{Code: aws.String("None")}
		if old := t.items[w.key]; !w.where(old) {
			met = false
			reason = types.CancellationReason{Code: aws.String("ConditionalCheckFailed"), Message: aws.String("The conditional request failed"), Item: w.failed(old).Item}
		}
		canceled.CancellationReasons = append(canceled.CancellationReasons, reason)
	}
	if met {
		for _, w := range writes {
			if _, _, err := t.apply(w); err != nil {
				return nil, err
			}
		}
	}
	switch {
	case fault.Err != nil:
		return nil, fault.Err
	case !met:
		return nil, canceled
	default:
		return &dynamodb.TransactWriteItemsOutput{}, nil
	}
}

func transacted(item types.TransactWriteItem) *write {
	switch {
	case item.Put != nil:
		r := item.Put
		return putting(r.Item, r.ConditionExpression, r.ExpressionAttributeNames, r.ExpressionAttributeValues, r.ReturnValuesOnConditionCheckFailure)
	case item.Update != nil:
		r := item.Update
		return updating(r.Key, r.UpdateExpression, r.ConditionExpression, r.ExpressionAttributeNames, r.ExpressionAttributeValues, r.ReturnValuesOnConditionCheckFailure)
	case item.Delete != nil:
		r := item.Delete
		return deleting(r.Key, r.ConditionExpression, r.ExpressionAttributeNames, r.ExpressionAttributeValues, r.ReturnValuesOnConditionCheckFailure)
	case item.ConditionCheck != nil:
		r := item.ConditionCheck
		w := deleting(r.Key, r.ConditionExpression, r.ExpressionAttributeNames, r.ExpressionAttributeValues, r.ReturnValuesOnConditionCheckFailure)
		w.change = func(old Item) Item { return old }
		return w
	default:
		ddbfake.Fail("TransactItems can only contain one of Check, Put, Update or Delete")
		return nil
	}
}
