package chaos_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/spillway-go/spillway/pkg/archive/archivetest"
	"github.com/spillway-go/spillway/pkg/chaos"
	"github.com/spillway-go/spillway/pkg/task"
)

const table = "control"

var (
	book    = chaos.Step("BookFlight")
	errAway = errors.New("the table is away")
)

// rig is a function with a handler that can be made to fail, and an operator.
type rig struct {
	*testing.T
	db    *archivetest.Table
	store *chaos.Store
	opts  chaos.Options
	log   bytes.Buffer
	ran   atomic.Int32 // calls of the handler
	fails error        // what the handler returns
}

// bubble runs a test with fake time.
func bubble(t *testing.T, test func(r *rig)) {
	t.Helper()
	t.Parallel()
	bubbleHere(t, test)
}

// bubbleHere does so for one of several, after one another.
func bubbleHere(t *testing.T, test func(r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{T: t, db: archivetest.NewTable()}
		r.store = chaos.NewStore(r.db, table)
		r.opts.Logger = slog.New(slog.NewTextHandler(&r.log, nil))
		test(r)
	})
}

func (r *rig) handler(context.Context, json.RawMessage) (json.RawMessage, error) {
	r.ran.Add(1)
	return json.RawMessage(`"booked"`), r.fails
}

// environment is a process of the function, just started.
func (r *rig) environment() task.Handler {
	return chaos.New(r.db, table, &r.opts).At(book)(r.handler)
}

func (r *rig) set(s chaos.Setting) *chaos.Active {
	r.Helper()
	a, err := r.store.Set(r.Context(), s)
	if err != nil {
		r.Fatal(err)
	}
	return a
}

// hits calls a handler n times, and returns how often that failed.
func (r *rig) hits(h task.Handler, n int) (failed int) {
	r.Helper()
	for range n {
		out, err := h(r.Context(), json.RawMessage(`{}`))
		switch {
		case err != nil:
			failed++
		case string(out) != `"booked"`:
			r.Errorf("answer %s", out)
		}
	}
	return failed
}

// calls checks how often an operation was called since it was last asked.
func (r *rig) calls(want map[string]int) {
	r.Helper()
	got := r.db.Calls()
	r.db.ResetCalls()
	for op, n := range got {
		if want[op] != n {
			r.Errorf("%d calls of %s, want %d", n, op, want[op])
		}
	}
	for op, n := range want {
		if got[op] == 0 && n > 0 {
			r.Errorf("no call of %s, want %d", op, n)
		}
	}
}

// breaks has every call of an operation fail, before or after it took
// effect.
func (r *rig) breaks(operation string, err error, afterEffect bool) {
	r.db.Inject(func(c archivetest.Call) archivetest.Fault {
		if c.Operation != operation {
			return archivetest.Fault{}
		}
		return archivetest.Fault{Err: err, AfterEffect: afterEffect}
	})
}

func (r *rig) logged(text string) int { return strings.Count(r.log.String(), text) }

// slow is a table that does not answer until nobody waits any more.
type slow struct{ *archivetest.Table }

func (s slow) Query(ctx context.Context, _ *dynamodb.QueryInput, _ ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// repeating is a table whose client loses the first answer of each update, and
// so sends the request again, as the SDK does.
type repeating struct{ *archivetest.Table }

func (s repeating) UpdateItem(ctx context.Context, in *dynamodb.UpdateItemInput, opts ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error) {
	if out, err := s.Table.UpdateItem(ctx, in, opts...); err != nil {
		return out, err
	}
	return s.Table.UpdateItem(ctx, in, opts...)
}

func soon(d time.Duration) chaos.Setting {
	return chaos.Setting{Target: book, Fault: chaos.PlainError, Rate: 1, For: d}
}
