package ddbfake_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/spillway-go/spillway/internal/ddbfake"
)

func putAction(id string, more item) types.TransactWriteItem {
	it := item{"id": s(id)}
	for name, v := range more {
		it[name] = v
	}
	return types.TransactWriteItem{Put: &types.Put{TableName: aws.String("t"), Item: it}}
}

func transact(t *testing.T, db *ddbfake.DB, token string, actions ...types.TransactWriteItem) error {
	t.Helper()
	in := &dynamodb.TransactWriteItemsInput{TransactItems: actions}
	if token != "" {
		in.ClientRequestToken = &token
	}
	_, err := db.TransactWriteItems(t.Context(), in)
	return err
}

// reasons are the codes of a canceled transaction.
func reasons(err error) string {
	canceled, ok := errors.AsType[*types.TransactionCanceledException](err)
	if !ok {
		return fmt.Sprint(err)
	}
	codes := ""
	for _, r := range canceled.CancellationReasons {
		codes += " " + *r.Code
	}
	return strings.TrimSpace(codes)
}

// A transaction has 100 actions, each on another item, and 4 MB
// (https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html).
func TestTransactionLimits(t *testing.T) {
	t.Parallel()
	db := newDB(nil)
	actions := func(count, size int) (all []types.TransactWriteItem) {
		for i := range count {
			all = append(all, putAction(fmt.Sprint(i), item{"x": s(strings.Repeat("x", size))}))
		}
		return all
	}
	refused(t, "no action", transact(t, db, ""), "at least 1")
	refused(t, "101 actions", transact(t, db, "", actions(101, 1)...), "less than or equal to 100")
	refused(t, "more than 4 MB", transact(t, db, "", actions(11, 399_000)...), "4 MB")
	refused(t, "an item twice", transact(t, db, "", append(actions(2, 1), types.TransactWriteItem{
		ConditionCheck: &types.ConditionCheck{TableName: aws.String("t"), Key: item{"id": s("1")}, ConditionExpression: aws.String("attribute_exists(id)")},
	})...), "multiple operations on one item")
	refused(t, "no kind of action", transact(t, db, "", types.TransactWriteItem{}), "Check, Put, Update or Delete")
	refused(t, "a check without a condition", transact(t, db, "", types.TransactWriteItem{
		ConditionCheck: &types.ConditionCheck{TableName: aws.String("t"), Key: item{"id": s("1")}},
	}), "can not be empty")
	if items := db.Items("t"); len(items) > 0 {
		t.Errorf("what was refused left %v", items)
	}
	if err := transact(t, db, "", actions(100, 1)...); err != nil || len(db.Items("t")) != 100 {
		t.Error(err)
	}
}

// A transaction is canceled as a whole, with a reason for each action, in order
// (https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactionCanceledException.html).
func TestCanceledTransaction(t *testing.T) {
	t.Parallel()
	db := stored(t)
	absent := putAction("a", nil)
	absent.Put.ConditionExpression = aws.String("attribute_not_exists(id)")
	absent.Put.ReturnValuesOnConditionCheckFailure = allOld
	wrong := types.TransactWriteItem{Update: &types.Update{
		TableName: aws.String("t"), Key: item{"id": s("b")}, UpdateExpression: aws.String("SET n = n + :one"), ExpressionAttributeValues: item{":one": n("1")},
	}}
	err := transact(t, db, "", putAction("c", nil), absent, wrong)
	if got := reasons(err); got != "None ConditionalCheckFailed ValidationError" {
		t.Fatal(got)
	}
	canceled, _ := errors.AsType[*types.TransactionCanceledException](err)
	if r := canceled.CancellationReasons; r[0].Message != nil || diff(r[1].Item, db.Item("t", item{"id": s("a")})) != "" || aws.ToString(r[2].Message) == "" {
		t.Errorf("reasons %+v", r)
	}
	if items := db.Items("t"); len(items) != 1 {
		t.Errorf("a canceled transaction left %v", items)
	}

	check := types.TransactWriteItem{ConditionCheck: &types.ConditionCheck{TableName: aws.String("t"), Key: item{"id": s("a")}, ConditionExpression: aws.String("attribute_exists(id)")}}
	gone := types.TransactWriteItem{Delete: &types.Delete{TableName: aws.String("t"), Key: item{"id": s("d")}}}
	other := types.TransactWriteItem{Put: &types.Put{TableName: aws.String("c"), Item: item{"pk": s("p"), "sk": n("1")}}}
	if err := transact(t, db, "", check, gone, other, putAction("c", nil)); err != nil || len(db.Items("t")) != 2 || len(db.Items("c")) != 1 {
		t.Errorf("over two tables: %v, %v, %v", err, db.Items("t"), db.Items("c"))
	}
}

// A transaction with the token of another one takes no effect within ten
// minutes, and must be the same
// (https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html).
func TestTransactionToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := newDB(nil)
		if err := transact(t, db, "token", putAction("a", nil)); err != nil {
			t.Fatal(err)
		}
		db.Remove("t", item{"id": s("a")})
		time.Sleep(9 * time.Minute)
		if err := transact(t, db, "token", putAction("a", nil)); err != nil || len(db.Items("t")) > 0 {
			t.Errorf("again: %v, %v", err, db.Items("t"))
		}
		if _, ok := errors.AsType[*types.IdempotentParameterMismatchException](transact(t, db, "token", putAction("b", nil))); !ok {
			t.Error("another transaction with the same token is taken")
		}
		time.Sleep(time.Minute)
		if err := transact(t, db, "token", putAction("b", nil)); err != nil || len(db.Items("t")) != 1 {
			t.Errorf("after ten minutes: %v", err)
		}
	})
}

// Transactions conflict, and so do single writes of items that transactions
// write
// (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html).
func TestConflicts(t *testing.T) {
	t.Parallel()
	db := newDB(&ddbfake.Options{Seed: 1, Conflicts: 0.5})
	seen := map[string]int{}
	for range 100 {
		err := transact(t, db, "", putAction("a", nil), putAction("b", nil))
		if err == nil {
			seen["done"]++
			continue
		}
		seen[reasons(err)]++
	}
	if seen["done"] < 30 || seen["TransactionConflict None"] < 10 || seen["None TransactionConflict"] < 10 || len(seen) != 3 {
		t.Errorf("transactions ended as %v", seen)
	}
	single := func(id string) (conflicts int) {
		for range 100 {
			_, err := db.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String("t"), Item: item{"id": s(id)}})
			if _, ok := errors.AsType[*types.TransactionConflictException](err); ok {
				conflicts++
			} else if err != nil {
				t.Fatal(err)
			}
		}
		return conflicts
	}
	if n := single("a"); n < 30 || n > 70 {
		t.Errorf("%d of 100 writes of an item of transactions conflict", n)
	}
	if n := single("c"); n > 0 {
		t.Errorf("%d of 100 writes of an item that no transaction wrote conflict", n)
	}
}
