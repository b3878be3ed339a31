package tasktabletest_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/tasktable/tasktabletest"
)

type item = map[string]types.AttributeValue

func s(v string) types.AttributeValue { return &types.AttributeValueMemberS{Value: v} }
func n(v string) types.AttributeValue { return &types.AttributeValueMemberN{Value: v} }

func TestFaults(t *testing.T) {
	t.Parallel()
	db := tasktabletest.NewDynamoDB()
	if _, err := db.PutItem(t.Context(), &dynamodb.PutItemInput{Item: item{"id": s("a"), "n": n("9"), "s": s("x")}}); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	var seen tasktabletest.Call
	inject := func(f tasktabletest.Fault) {
		db.Inject(func(c tasktabletest.Call) tasktabletest.Fault { seen = c; return f })
	}
	in := &dynamodb.UpdateItemInput{
		Key: item{"id": s("a")}, UpdateExpression: aws.String("SET n = n + :one"), ExpressionAttributeValues: item{":one": n("1")},
	}
	inject(tasktabletest.Fault{Err: broken})
	if _, err := db.UpdateItem(t.Context(), in); !errors.Is(err, broken) || text(db.Item("a"), "s") != "x" || number(db.Item("a"), "n") != 9 {
		t.Errorf("before effect: %v, %v", err, db.Item("a"))
	}
	inject(tasktabletest.Fault{Err: broken, AfterEffect: true})
	if _, err := db.UpdateItem(t.Context(), in); !errors.Is(err, broken) || number(db.Item("a"), "n") != 10 {
		t.Errorf("after effect: %v, %v", err, db.Item("a"))
	}
	if seen.Operation != "UpdateItem" || seen.N != 2 || len(seen.IDs) != 1 || seen.IDs[0] != "a" {
		t.Errorf("the function saw %+v", seen)
	}
	inject(tasktabletest.Fault{Stale: true})
	for _, consistent := range []bool{false, true} {
		out, err := db.GetItem(t.Context(), &dynamodb.GetItemInput{Key: item{"id": s("a")}, ConsistentRead: &consistent})
		if err != nil || (out.Item != nil) != consistent {
			t.Errorf("stale read, consistent %t: %v, %v", consistent, out, err)
		}
	}
	db.Inject(nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := db.UpdateItem(ctx, in); !errors.Is(err, context.Canceled) || number(db.Item("a"), "n") != 10 {
		t.Errorf("with a context that is over: %v", err)
	}
	if d := cmp.Diff(db.Calls(), map[string]int{"PutItem": 1, "UpdateItem": 2, "GetItem": 2}); d != "" {
		t.Error(d)
	}
}

// A table in memory works where time does not pass by itself.
func TestInsideABubble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		table := tasktabletest.NewTable(&tasktable.Options{Retention: time.Hour})
		id := tasktable.NewID()
		_, err := table.Create(t.Context(), tasktable.Draft{ID: id, Tenant: "t", Type: "x", Input: []byte(`1`), Deadline: time.Now().Add(time.Minute)})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if r, err := table.Get(t.Context(), id); err != nil || r.Status != "expired" {
			t.Errorf("after its deadline: %+v, %v", r, err)
		}
		time.Sleep(time.Hour)
		if r, err := table.Get(t.Context(), id); !errors.Is(err, tasktable.ErrNotFound) {
			t.Errorf("after its retention: %+v, %v", r, err)
		}
	})
}
