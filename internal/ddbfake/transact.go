package ddbfake

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"

	"github.com/spillway-go/spillway/internal/ddbfake/expr"
)

// Limits of a transaction, and how long its token holds
// (https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html).
const (
	maxActions       = 100
	maxTransaction   = 4 << 20
	tokenHolds       = 10 * time.Minute
	transactionCosts = 2
)

// token is a transaction that took effect.
type token struct {
	items []types.TransactWriteItem
	until time.Time
}

// TransactWriteItems does up to 100 writes, or none of them.
func (d *DB) TransactWriteItems(ctx context.Context, in *dynamodb.TransactWriteItemsInput, _ ...func(*dynamodb.Options)) (out *dynamodb.TransactWriteItemsOutput, err error) {
	defer guard(&err)
	if n := len(in.TransactItems); n == 0 || n > maxActions {
		expr.Fail("Member must have length less than or equal to 100, and at least 1")
	}
	writes, keys := make([]*write, len(in.TransactItems)), make([]Item, len(in.TransactItems))
	seen := map[*table]map[string]bool{}
	for i, item := range in.TransactItems {
		w := d.transacted(item)
		if seen[w.t][w.id] {
			expr.Fail("Transaction request cannot include multiple operations on one item")
		}
		once(seen, w.t, w.id)
		writes[i], keys[i] = w, w.key
	}
	fault, err := d.enter(ctx, "TransactWriteItems", keys...)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	costs, err := d.transact(writes, in)
	if fault.Err != nil {
		return nil, fault.Err
	}
	if err != nil {
		return nil, err
	}
	return &dynamodb.TransactWriteItemsOutput{ConsumedCapacity: consumed(in.ReturnConsumedCapacity, costs)}, nil
}

func (d *DB) transacted(item types.TransactWriteItem) *write {
	switch {
	case item.Put != nil:
		r := item.Put
		return d.table(r.TableName).putting(r.Item, terms{r.ConditionExpression, r.ExpressionAttributeNames, r.ExpressionAttributeValues, r.ReturnValuesOnConditionCheckFailure})
	case item.Update != nil:
		r := item.Update
		return d.table(r.TableName).updating(r.Key, r.UpdateExpression, terms{r.ConditionExpression, r.ExpressionAttributeNames, r.ExpressionAttributeValues, r.ReturnValuesOnConditionCheckFailure})
	case item.Delete != nil:
		r := item.Delete
		return d.table(r.TableName).deleting(r.Key, terms{r.ConditionExpression, r.ExpressionAttributeNames, r.ExpressionAttributeValues, r.ReturnValuesOnConditionCheckFailure})
	case item.ConditionCheck != nil:
		r := item.ConditionCheck
		return d.table(r.TableName).checking(r.Key, terms{r.ConditionExpression, r.ExpressionAttributeNames, r.ExpressionAttributeValues, r.ReturnValuesOnConditionCheckFailure})
	default:
		expr.Fail("TransactItems can only contain one of Check, Put, Update or Delete")
		return nil
	}
}

// transact does all writes or none. mu must be held.
func (d *DB) transact(writes []*write, in *dynamodb.TransactWriteItemsInput) ([]charge, error) {
	now, name := time.Now(), aws.ToString(in.ClientRequestToken)
	if done, known := d.tokens[name]; name != "" && known && now.Before(done.until) {
		if !reflect.DeepEqual(done.items, in.TransactItems) {
			return nil, &types.IdempotentParameterMismatchException{Message: aws.String("The request token was used with other parameters")}
		}
		return nil, nil
	}
	outcomes, reasons, canceled, size := make([]outcome, len(writes)), make([]types.CancellationReason, len(writes)), false, 0
	var costs []charge
	hit, accident := d.accident(len(writes))
	for i, w := range writes {
		var err error
		outcomes[i], err = w.prepare()
		if i == hit && accident != nil {
			err = accident
		}
		reasons[i] = reason(err)
		canceled = canceled || err != nil
		size += max(expr.Size(outcomes[i].old), expr.Size(outcomes[i].now))
		costs = append(costs, times(outcomes[i].cost, transactionCosts)...)
	}
	if size > maxTransaction {
		expr.Fail("Transaction request size has exceeded the maximum allowed size of 4 MB")
	}
	if err := d.afford(costs...); err != nil {
		for i := range reasons {
			reasons[i] = reason(err)
		}
		canceled = true
	}
	if canceled {
		var codes []string
		for _, r := range reasons {
			codes = append(codes, *r.Code)
		}
		return nil, &types.TransactionCanceledException{
			Message:             aws.String("Transaction cancelled, please refer cancellation reasons for specific reasons [" + strings.Join(codes, ", ") + "]"),
			CancellationReasons: reasons,
		}
	}
	for i, w := range writes {
		w.t.mixed[w.id] = true
		if !w.check {
			d.commit(w.t, w.id, outcomes[i].old, outcomes[i].now, nil)
		}
	}
	if name != "" {
		if len(d.tokens)%1024 == 1023 {
			maps.DeleteFunc(d.tokens, func(_ string, t token) bool { return !now.Before(t.until) })
		}
		d.tokens[name] = token{in.TransactItems, now.Add(tokenHolds)}
	}
	return costs, nil
}

// reason is an error as the reason why a transaction was canceled. Its codes
// are not those of the exceptions.
func reason(err error) types.CancellationReason {
	if err == nil {
		return types.CancellationReason{Code: aws.String("None")}
	}
	r := types.CancellationReason{Code: aws.String("ValidationError"), Message: aws.String(err.Error())}
	var api smithy.APIError
	if errors.As(err, &api) {
		r.Message = aws.String(api.ErrorMessage())
	}
	switch err := err.(type) { //nolint:errorlint // they are not wrapped
	case *types.ConditionalCheckFailedException:
		r.Code, r.Item = aws.String("ConditionalCheckFailed"), err.Item
	case *types.TransactionConflictException:
		r.Code = aws.String("TransactionConflict")
	case *types.ProvisionedThroughputExceededException:
		r.Code = aws.String("ProvisionedThroughputExceeded")
	}
	return r
}
