package tasktable_test

import (
	"context"
	"encoding/json"
	"maps"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/tasktable/tasktabletest"
)

// bench is a table on a DynamoDB in memory that counts and fails.
type bench struct {
	*tasktable.Table
	t  *testing.T
	db *tasktabletest.DynamoDB
}

func newBench(t *testing.T) *bench {
	t.Helper()
	db := tasktabletest.NewDynamoDB()
	return &bench{Table: tasktable.New(db, "tasks", nil), t: t, db: db}
}

func (b *bench) create(n int) []string {
	b.t.Helper()
	ids := make([]string, n)
	for i := range ids {
		ids[i] = tasktable.NewID()
		if _, err := b.Create(b.t.Context(), draft(ids[i])); err != nil {
			b.t.Fatal(err)
		}
	}
	return ids
}

func draft(id string) tasktable.Draft {
	return tasktable.Draft{
		ID: id, Tenant: "t", Type: "test.task", Priority: task.Normal,
		Input: json.RawMessage(`{"n":1}`), Deadline: time.Now().Add(time.Hour),
	}
}

// claim claims tasks that must all be free.
func (b *bench) claim(ctx context.Context, ids ...string) []*tasktable.Row {
	b.t.Helper()
	rows := make([]*tasktable.Row, len(ids))
	for i, c := range b.Claim(ctx, tasktable.NewOwner(), time.Now().Add(time.Minute), ids) {
		if c.Outcome != tasktable.Claimed {
			b.t.Fatalf("Claim = %+v", c)
		}
		rows[i] = c.Row
	}
	return rows
}

// calls expects how often each operation was called since the last look.
func (b *bench) calls(what string, want map[string]int) {
	b.t.Helper()
	if diff := cmp.Diff(b.db.Calls(), want); diff != "" {
		b.t.Errorf("calls for %s (-got +want):\n%s", what, diff)
	}
	b.db.ResetCalls()
}

// throttled makes statements fail with a code in the first n batches.
func throttled(n int, code types.BatchStatementErrorCodeEnum, ids ...string) func(tasktabletest.Call) tasktabletest.Fault {
	codes := map[string]types.BatchStatementErrorCodeEnum{}
	for _, id := range ids {
		codes[id] = code
	}
	return func(c tasktabletest.Call) tasktabletest.Fault {
		if c.Operation == "BatchExecuteStatement" && c.N <= n {
			return tasktabletest.Fault{Statements: maps.Clone(codes)}
		}
		return tasktabletest.Fault{}
	}
}
