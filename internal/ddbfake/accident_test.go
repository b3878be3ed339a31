package ddbfake_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/spillway-go/spillway/internal/ddbfake"
)

// story makes the same calls of every kind, and tells what became of them.
func story(t *testing.T, opts *ddbfake.Options) map[string]int {
	t.Helper()
	db := newDB(opts)
	seen := map[string]int{}
	note := func(what string, err error) {
		_, slow := errors.AsType[*types.ProvisionedThroughputExceededException](err)
		switch {
		case slow:
			seen[what+" throttled"]++
		case err != nil:
			seen[what+" "+reasons(err)]++
		default:
			seen[what]++
		}
	}
	table := aws.String("t")
	for i := range 200 {
		key := item{"id": s(fmt.Sprint(i % 10))}
		_, err := db.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: table, Item: key})
		note("put", err)
		_, err = db.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: table, Key: key})
		note("get", err)
		_, err = db.Scan(t.Context(), &dynamodb.ScanInput{TableName: table})
		note("scan", err)
		note("transact", transact(t, db, "", putAction("x", nil), putAction("y", nil)))

		var keys []map[string]types.AttributeValue
		var writes []types.WriteRequest
		var statements []types.BatchStatementRequest
		for j := range 3 {
			id := s(fmt.Sprint(j))
			keys = append(keys, item{"id": id})
			writes = append(writes, types.WriteRequest{PutRequest: &types.PutRequest{Item: item{"id": id}}})
			statements = append(statements, types.BatchStatementRequest{Statement: aws.String(`UPDATE "t" SET "n"=1 WHERE "id"=?`), Parameters: []types.AttributeValue{id}})
		}
		read, err := db.BatchGetItem(t.Context(), &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{"t": {Keys: keys}}})
		note("batch get", err)
		if err == nil {
			seen["keys left"] += len(read.UnprocessedKeys["t"].Keys)
		}
		written, err := db.BatchWriteItem(t.Context(), &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{"t": writes}})
		note("batch write", err)
		if err == nil {
			seen["writes left"] += len(written.UnprocessedItems["t"])
		}
		ran, err := db.BatchExecuteStatement(t.Context(), &dynamodb.BatchExecuteStatementInput{Statements: statements})
		note("statements", err)
		for _, r := range ran.Responses {
			if r.Error != nil && r.Error.Code != types.BatchStatementErrorCodeEnumConditionalCheckFailed {
				seen["statement "+string(r.Error.Code)]++
			}
		}
	}
	return seen
}

// Throttles hit requests, entries of batches, statements inside of a 200 and
// transactions
// (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html,
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html).
func TestThrottles(t *testing.T) {
	t.Parallel()
	seen := story(t, &ddbfake.Options{Seed: 3, Throttles: 0.3})
	for _, what := range []string{"put throttled", "get throttled", "scan throttled", "keys left", "writes left", "statement ProvisionedThroughputExceeded"} {
		if seen[what] < 30 {
			t.Errorf("%s: %d times", what, seen[what])
		}
	}
	if n := seen["transact ProvisionedThroughputExceeded None"] + seen["transact None ProvisionedThroughputExceeded"]; n < 30 || n > 90 {
		t.Errorf("%d of 200 transactions are throttled", n)
	}
	if seen["batch get throttled"] == 0 || seen["batch write throttled"] == 0 || seen["statements"] != 200 {
		t.Errorf("batches: %v", seen)
	}
}

func TestUnprocessed(t *testing.T) {
	t.Parallel()
	seen := story(t, &ddbfake.Options{Seed: 3, Unprocessed: 0.3})
	if seen["put"] != 200 || seen["transact"] != 200 || seen["keys left"] < 100 || seen["writes left"] < 100 {
		t.Errorf("%v", seen)
	}
}

// The same seed makes the same accidents, and the zero value makes none.
func TestSeed(t *testing.T) {
	t.Parallel()
	opts := ddbfake.AsOnAWS(9)
	a, b := story(t, &opts), story(t, &opts)
	if fmt.Sprint(a) != fmt.Sprint(b) {
		t.Errorf("%v\n%v", a, b)
	}
	opts.Seed = 10
	if c := story(t, &opts); fmt.Sprint(a) == fmt.Sprint(c) {
		t.Error("another seed makes the same accidents")
	}
	for what, n := range story(t, nil) {
		if n != 0 && n != 200 {
			t.Errorf("%s: %d times", what, n)
		}
	}
}
