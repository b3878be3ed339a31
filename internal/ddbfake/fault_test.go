package ddbfake_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/internal/ddbfake"
)

var errLost = errors.New("the answer is lost")

// calls are one request of each operation. The writes write the item w.
var calls = map[string]func(context.Context, *ddbfake.DB) error{
	"GetItem": func(ctx context.Context, db *ddbfake.DB) error {
		_, err := db.GetItem(ctx, &dynamodb.GetItemInput{TableName: aws.String("t"), Key: item{"id": s("a")}})
		return err
	},
	"Query": func(ctx context.Context, db *ddbfake.DB) error {
		_, err := db.Query(ctx, &dynamodb.QueryInput{TableName: aws.String("t"), KeyConditionExpression: aws.String("id = :a"), ExpressionAttributeValues: item{":a": s("a")}})
		return err
	},
	"Scan": func(ctx context.Context, db *ddbfake.DB) error {
		_, err := db.Scan(ctx, &dynamodb.ScanInput{TableName: aws.String("t")})
		return err
	},
	"BatchGetItem": func(ctx context.Context, db *ddbfake.DB) error {
		_, err := db.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{"t": {Keys: []map[string]types.AttributeValue{{"id": s("a")}}}}})
		return err
	},
	"PutItem": func(ctx context.Context, db *ddbfake.DB) error {
		_, err := db.PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String("t"), Item: item{"id": s("w")}})
		return err
	},
	"UpdateItem": func(ctx context.Context, db *ddbfake.DB) error {
		_, err := db.UpdateItem(ctx, &dynamodb.UpdateItemInput{TableName: aws.String("t"), Key: item{"id": s("w")}})
		return err
	},
	"BatchWriteItem": func(ctx context.Context, db *ddbfake.DB) error {
		_, err := db.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{"t": {{PutRequest: &types.PutRequest{Item: item{"id": s("w")}}}}}})
		return err
	},
	"TransactWriteItems": func(ctx context.Context, db *ddbfake.DB) error {
		_, err := db.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{putAction("w", nil)}})
		return err
	},
	"DeleteItem": func(ctx context.Context, db *ddbfake.DB) error {
		_, err := db.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: aws.String("t"), Key: item{"id": s("a")}})
		return err
	},
	"BatchExecuteStatement": func(ctx context.Context, db *ddbfake.DB) error {
		_, err := db.BatchExecuteStatement(ctx, &dynamodb.BatchExecuteStatementInput{Statements: []types.BatchStatementRequest{{Statement: aws.String(`UPDATE "t" SET "n"=1 WHERE "id"='a'`)}}})
		return err
	},
	"ListStreams": func(ctx context.Context, db *ddbfake.DB) error {
		_, err := db.ListStreams(ctx, &dynamodbstreams.ListStreamsInput{})
		return err
	},
}

// A fault comes before the effect or after it, and a call with a context that
// is over has none.
func TestInject(t *testing.T) {
	t.Parallel()
	for name, call := range calls {
		db := stored(t)
		before := len(db.Records("t", "", 9))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := call(ctx, db); !errors.Is(err, context.Canceled) {
			t.Errorf("%s with a context that is over: %v", name, err)
		}
		var seen []ddbfake.Call
		fault := ddbfake.Fault{Err: errLost}
		db.Inject(func(c ddbfake.Call) ddbfake.Fault {
			seen = append(seen, c)
			return fault
		})
		db.ResetCalls()
		if err := call(t.Context(), db); !errors.Is(err, errLost) || len(db.Records("t", "", 9)) != before {
			t.Errorf("%s before the effect: %v", name, err)
		}
		fault.AfterEffect = true
		err := call(t.Context(), db)
		wrote := len(db.Records("t", "", 9)) > before
		_, reads := map[string]bool{"GetItem": true, "Query": true, "Scan": true, "BatchGetItem": true, "ListStreams": true}[name]
		if !errors.Is(err, errLost) || wrote == reads {
			t.Errorf("%s after the effect: %v, wrote %t", name, err, wrote)
		}
		if d := cmp.Diff(db.Calls(), map[string]int{name: 2}); d != "" || len(seen) != 2 || seen[1].N != 2 || seen[1].Operation != name {
			t.Errorf("%s: %+v\n%s", name, seen, d)
		}
		db.Inject(nil)
		if err := call(t.Context(), db); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Reads that are stale find nothing, batches leave entries over, and answers
// come without items.
func TestInjectedAnswers(t *testing.T) {
	t.Parallel()
	db := stored(t)
	db.Inject(func(ddbfake.Call) ddbfake.Fault { return ddbfake.Fault{Stale: true, Unprocessed: 1, NoItems: true} })
	if get(t, db, "a", false) != nil || get(t, db, "a", true) == nil {
		t.Error("a stale read")
	}
	query := &dynamodb.QueryInput{TableName: aws.String("t"), KeyConditionExpression: aws.String("id = :a"), ExpressionAttributeValues: item{":a": s("a")}}
	found, err := db.Query(t.Context(), query)
	if err != nil || found.Count != 0 {
		t.Errorf("a stale query: %v, %v", found, err)
	}
	scanned, err := db.Scan(t.Context(), &dynamodb.ScanInput{TableName: aws.String("t")})
	if err != nil || scanned.Count != 0 {
		t.Errorf("a stale scan: %v, %v", scanned, err)
	}
	read, err := db.BatchGetItem(t.Context(), &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{"t": {
		Keys: []map[string]types.AttributeValue{{"id": s("a")}, {"id": s("b")}}, ConsistentRead: aws.Bool(true), ProjectionExpression: aws.String("id"),
	}}})
	rest := read.UnprocessedKeys["t"]
	if err != nil || len(read.Responses["t"]) != 1 || len(rest.Keys) != 1 || *rest.ProjectionExpression != "id" || !*rest.ConsistentRead {
		t.Errorf("%+v, %v", read, err)
	}
	ran, err := db.BatchExecuteStatement(t.Context(), &dynamodb.BatchExecuteStatementInput{Statements: []types.BatchStatementRequest{
		{Statement: aws.String(`UPDATE "t" SET "n"=1 WHERE "id"='a' RETURNING ALL NEW *`)},
		{Statement: aws.String(`UPDATE "t" SET "n"=1 WHERE "id"='b' AND "n"=2`), ReturnValuesOnConditionCheckFailure: allOld},
	}})
	if err != nil || ran.Responses[0].Item != nil || ran.Responses[1].Error == nil || ran.Responses[1].Error.Item != nil {
		t.Errorf("%+v, %v", ran, err)
	}
}

// A watcher sees every write, and what else is there then.
func TestWatch(t *testing.T) {
	t.Parallel()
	db := stored(t)
	var seen []string
	db.Watch(func(c ddbfake.Change) {
		seen = append(seen, fmt.Sprint(c.Table, c.Old != nil, c.New != nil, c.Item(item{"id": s("a")}) != nil))
	})
	put(t, db, "t", item{"id": s("b")}, item{"id": s("b")})
	db.Remove("t", item{"id": s("a")})
	db.Watch(nil)
	put(t, db, "t", item{"id": s("c")})
	if d := cmp.Diff(seen, []string{"tfalse true true", "ttrue true true", "ttrue false false"}); d != "" {
		t.Error(d)
	}
	db.View("t", func(read func(item) item) {
		if read(item{"id": s("b")}) == nil || read(item{"id": s("a")}) != nil {
			t.Error("a view does not show what is stored")
		}
	})
}

// Calls from many goroutines are as good as one after the other.
func TestConcurrentCalls(t *testing.T) {
	t.Parallel()
	opts := ddbfake.AsOnAWS(1)
	opts.Throttles, opts.Conflicts, opts.Unprocessed = 0, 0, 0
	db := newDB(&opts)
	put(t, db, "t", item{"id": s("a"), "n": n("0")})
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 50 {
				_, err := db.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
					TableName: aws.String("t"), Key: item{"id": s("a")}, UpdateExpression: aws.String("ADD n :one"), ExpressionAttributeValues: item{":one": n("1")},
				})
				if err != nil {
					t.Error(err)
				}
				for _, name := range []string{"GetItem", "Query", "Scan", "ListStreams"} {
					if err := calls[name](t.Context(), db); err != nil {
						t.Errorf("%s: %v", name, err)
					}
				}
			}
		})
	}
	group.Wait()
	if got := db.Item("t", item{"id": s("a")})["n"].(*types.AttributeValueMemberN).Value; got != "400" || len(db.Records("t", "", 1000)) != 401 {
		t.Errorf("400 additions make %s", got)
	}
}
