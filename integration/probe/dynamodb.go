package probe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	dynamoGuide     = "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/"
	dynamoReference = "https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/"
)

var tableFeatures = []Feature{
	{
		TransactionConflict, "DynamoDB", "conflicts of transactions", "of two at once on one item one is canceled with TransactionConflict",
		dynamoGuide + "transaction-apis.html", tryTransactionConflict,
	},
	{
		TransactionToken, "DynamoDB", "repeated transactions", "one with the token of an earlier one changes nothing",
		dynamoGuide + "transaction-apis.html", tryTransactionToken,
	},
	{
		ConditionItem, "DynamoDB", "item with a failed condition", "ReturnValuesOnConditionCheckFailure answers what the item is",
		dynamoReference + "API_UpdateItem.html", tryConditionItem,
	},
	{
		BatchStatements, "DynamoDB", "batches of statements", "each succeeds or fails by itself, and returns its item",
		dynamoReference + "API_BatchExecuteStatement.html", tryBatchStatements,
	},
	{
		ReadCapacity, "DynamoDB", "consumed capacity of reads", "a unit for each 4 KB of a consistent read",
		dynamoGuide + "read-write-operations.html", tryReadCapacity,
	},
	{
		WriteCapacity, "DynamoDB", "consumed capacity of writes", "a unit for each KB",
		dynamoGuide + "read-write-operations.html", tryWriteCapacity,
	},
	{
		OnDemandLimit, "DynamoDB", "maximum throughput", "throttles above the table's own limit, as far as it can",
		dynamoGuide + "on-demand-capacity-mode-max-throughput.html", tryOnDemandLimit,
	},
	{
		ItemLimit, "DynamoDB", "size of items", "more than 400 KB is refused",
		dynamoGuide + "Constraints.html", tryItemLimit,
	},
}

// write puts an item with an attribute v.
func (b *bench) write(ctx context.Context, id, v string) (object, error) {
	return b.api.json(ctx, "dynamodb", "PutItem", object{
		"TableName": b.name, "Item": object{"id": object{"S": id}, "v": object{"S": v}}, "ReturnConsumedCapacity": "TOTAL",
	})
}

// addition counts n up in the item with an id.
func (b *bench) addition(id string) object {
	return object{"Update": object{
		"TableName": b.name, "Key": object{"id": object{"S": id}},
		"UpdateExpression": "ADD n :one", "ExpressionAttributeValues": object{":one": object{"N": "1"}},
	}}
}

// tryTransactionConflict has eight callers write the same two items at once, for
// some seconds.
func tryTransactionConflict(ctx context.Context, b *bench) (Result, error) {
	if _, err := b.table(ctx, nil); err != nil {
		return Result{}, err
	}
	errConflict := errors.New("conflict")
	deadline := time.Now().Add(3 * time.Second)
	group, bounded := errgroup.WithContext(ctx)
	for range 8 {
		group.Go(func() error {
			for time.Now().Before(deadline) && bounded.Err() == nil {
				_, err := b.api.json(bounded, "dynamodb", "TransactWriteItems", object{"TransactItems": []object{b.addition("a"), b.addition("b")}})
				refused, ok := errors.AsType[*apiError](err)
				switch {
				case ok && strings.Contains(string(refused.Body), "TransactionConflict"):
					return errConflict
				case err != nil:
					return err
				}
			}
			return nil
		})
	}
	err := group.Wait()
	if err != nil && !errors.Is(err, errConflict) {
		return Result{}, err
	}
	return where(err != nil, Missing, "eight callers write two items for three seconds without any")
}

// tryTransactionToken repeats a transaction.
func tryTransactionToken(ctx context.Context, b *bench) (Result, error) {
	if _, err := b.table(ctx, nil); err != nil {
		return Result{}, err
	}
	for range 2 {
		_, err := b.api.json(ctx, "dynamodb", "TransactWriteItems", object{
			"ClientRequestToken": b.prefix, "TransactItems": []object{b.addition("a")},
		})
		if err != nil {
			return Result{}, err
		}
	}
	out, err := b.api.json(ctx, "dynamodb", "GetItem", object{"TableName": b.name, "Key": object{"id": object{"S": "a"}}, "ConsistentRead": true})
	if err != nil {
		return Result{}, err
	}
	n := text(at(at(out, "Item"), "n"), "N")
	return where(n == "1", Missing, "counted "+n+" times")
}

// tryConditionItem writes on a condition that does not hold.
func tryConditionItem(ctx context.Context, b *bench) (Result, error) {
	if _, err := b.table(ctx, nil); err != nil {
		return Result{}, err
	}
	if _, err := b.write(ctx, "a", "mine"); err != nil {
		return Result{}, err
	}
	_, err := b.api.json(ctx, "dynamodb", "UpdateItem", object{
		"TableName": b.name, "Key": object{"id": object{"S": "a"}}, "UpdateExpression": "SET v = :new", "ConditionExpression": "attribute_not_exists(id)",
		"ExpressionAttributeValues": object{":new": object{"S": "yours"}}, "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
	})
	refused, ok := errors.AsType[*apiError](err)
	switch {
	case err == nil:
		return missing("the condition is not looked at")
	case !ok:
		return Result{}, err
	case refused.Code != "ConditionalCheckFailedException":
		return differs("refused with " + refused.Code)
	}
	var answer object
	if err := json.Unmarshal(refused.Body, &answer); err != nil {
		return Result{}, err
	}
	return where(text(at(at(answer, "Item"), "v"), "S") == "mine", Missing, "the answer is without the item")
}

// tryBatchStatements changes two items, one of them on a condition that does not
// hold.
func tryBatchStatements(ctx context.Context, b *bench) (Result, error) {
	if _, err := b.table(ctx, nil); err != nil {
		return Result{}, err
	}
	statements := []object{}
	for _, s := range []struct{ id, expected string }{{"a", "1"}, {"b", "other"}} {
		if _, err := b.write(ctx, s.id, "1"); err != nil {
			return Result{}, err
		}
		statements = append(statements, object{
			"Statement":  `UPDATE "` + b.name + `" SET "v"='2' WHERE "id"=? AND "v"=? RETURNING ALL NEW *`,
			"Parameters": []object{{"S": s.id}, {"S": s.expected}}, "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
		})
	}
	out, err := b.api.json(ctx, "dynamodb", "BatchExecuteStatement", object{"Statements": statements})
	if code := refusal(err); code != "" {
		return missing("refused: " + code)
	}
	if err != nil {
		return Result{}, err
	}
	answers := list(out, "Responses")
	if len(answers) != 2 {
		return differs(fmt.Sprintf("%d answers to two statements", len(answers)))
	}
	failed := at(answers[1], "Error")
	switch {
	case text(at(at(answers[0], "Item"), "v"), "S") != "2":
		return differs("the item that was changed is not returned")
	case !strings.HasPrefix(text(failed, "Code"), "ConditionalCheckFailed"):
		return differs("a failed condition is " + text(failed, "Code"))
	case text(at(at(failed, "Item"), "v"), "S") != "1":
		return differs("a failed condition is without the item")
	}
	return asOnAWS()
}

// units is the consumed capacity in an answer.
func units(out object) float64 {
	n, _ := at(out, "ConsumedCapacity")["CapacityUnits"].(float64)
	return n
}

func tryReadCapacity(ctx context.Context, b *bench) (Result, error) {
	if _, err := b.table(ctx, nil); err != nil {
		return Result{}, err
	}
	if _, err := b.write(ctx, "a", strings.Repeat("x", 10_000)); err != nil {
		return Result{}, err
	}
	out, err := b.api.json(ctx, "dynamodb", "GetItem", object{
		"TableName": b.name, "Key": object{"id": object{"S": "a"}}, "ConsistentRead": true, "ReturnConsumedCapacity": "TOTAL",
	})
	if err != nil {
		return Result{}, err
	}
	return where(units(out) == 3, Differs, fmt.Sprintf("10 KB count as %v, not 3", units(out)))
}

func tryWriteCapacity(ctx context.Context, b *bench) (Result, error) {
	if _, err := b.table(ctx, nil); err != nil {
		return Result{}, err
	}
	out, err := b.write(ctx, "a", strings.Repeat("x", 10_000))
	if err != nil {
		return Result{}, err
	}
	return where(units(out) == 10, Differs, fmt.Sprintf("10 KB count as %v, not 10", units(out)))
}

// tryOnDemandLimit writes two thousand units to a table that allows one a second.
func tryOnDemandLimit(ctx context.Context, b *bench) (Result, error) {
	_, err := b.table(ctx, object{"OnDemandThroughput": object{"MaxReadRequestUnits": 1, "MaxWriteRequestUnits": 1}})
	if code := refusal(err); code != "" {
		return missing("such a table is refused: " + code)
	}
	if err != nil {
		return Result{}, err
	}
	value := strings.Repeat("x", 50_000)
	for range 40 {
		_, err := b.write(ctx, "a", value)
		switch refusal(err) {
		case "ThrottlingException", "ProvisionedThroughputExceededException", "RequestLimitExceeded":
			return asOnAWS()
		}
		if err != nil {
			return Result{}, err
		}
	}
	return b.late(false, "2,000 units at once are accepted where one a second is allowed")
}

func tryItemLimit(ctx context.Context, b *bench) (Result, error) {
	if _, err := b.table(ctx, nil); err != nil {
		return Result{}, err
	}
	_, err := b.write(ctx, "a", strings.Repeat("x", 400<<10))
	return refused(err, "more than 400 KB are accepted")
}
