package tasktable_test

import (
	"encoding/json"
	"errors"
	"maps"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
)

// externals are all writes, with what their writer adds.
var externals = map[string]struct {
	write  tasktable.External
	values map[string]types.AttributeValue
	to     task.Status // empty: it stays
}{
	"progress": {tasktable.ExternalProgress(), map[string]types.AttributeValue{":progress": words(`{"done":1,"total":3,"note":"BookHotel"}`)}, ""},
	"mark":     {tasktable.ExternalMark(), map[string]types.AttributeValue{":progress": words(`{"done":2,"total":3}`), ":mark": words("1 {}")}, ""},
	"success":  {tasktable.ExternalSuccess(), map[string]types.AttributeValue{":at": number(ended), ":result": words(`{"hotel":1}`)}, task.Succeeded},
	"failure":  {tasktable.ExternalFailure(false), failed, task.Failed},
	"stuck":    {tasktable.ExternalFailure(true), failed, task.Failed},
	"cancel":   {tasktable.ExternalCancel(), map[string]types.AttributeValue{":at": number(ended)}, task.Canceled},
}

const ended = 1_800_000_000_000

var failed = map[string]types.AttributeValue{
	":at": number(ended), ":error": words(`{"code":"sold_out","message":"no room","retryable":false}`), ":failure": words(`{"step":"BookHotel"}`),
	":shard": words("failed#0"), ":key": words("saga:BookHotel:sold_out#" + strconv.Itoa(ended)),
}

func words(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }
func number(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

// external makes a write as a state machine does, and reports whether its
// condition held.
func (b *bench) external(id string, run int64, e tasktable.External, more map[string]types.AttributeValue) bool {
	b.t.Helper()
	values := maps.Clone(more)
	values[":run"] = number(run)
	for name, v := range e.Values {
		if s, ok := v["S"]; ok {
			values[name] = words(s)
		} else {
			values[name] = &types.AttributeValueMemberN{Value: v["N"]}
		}
	}
	table := "tasks"
	_, err := b.db.UpdateItem(b.t.Context(), &dynamodb.UpdateItemInput{
		TableName: &table, Key: map[string]types.AttributeValue{"id": words(id)}, UpdateExpression: &e.Update, ConditionExpression: &e.Condition,
		ExpressionAttributeNames: e.Names, ExpressionAttributeValues: values,
	})
	if _, refused := errors.AsType[*types.ConditionalCheckFailedException](err); refused {
		return false
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return true
}

// deferred is a task that a worker left to somebody else.
func (b *bench) deferred() (id string, row *tasktable.Row) {
	b.t.Helper()
	id = b.create(1)[0]
	row = b.claim(b.t.Context(), id)[0]
	if s := b.Settle(b.t.Context(), []tasktable.Settlement{tasktable.Defer(row)})[0]; s.Status != task.Running {
		b.t.Fatalf("Settle = %+v", s)
	}
	return id, row
}

func (b *bench) cancel(id string) {
	b.t.Helper()
	if _, err := b.Cancel(b.t.Context(), "t", id); err != nil {
		b.t.Fatal(err)
	}
}

func TestExternalWrites(t *testing.T) {
	t.Parallel()
	all := map[string]bool{"progress": true, "mark": true, "success": true, "failure": true, "stuck": true, "cancel": true}
	without := func(names ...string) map[string]bool {
		m := maps.Clone(all)
		for _, name := range names {
			delete(m, name)
		}
		return m
	}
	for state, tt := range map[string]struct {
		arrange func(b *bench) (id string)
		run     int64
		held    map[string]bool
	}{
		"deferred":                  {func(b *bench) string { id, _ := b.deferred(); return id }, 1, all},
		"queued: its start unheard": {func(b *bench) string { return b.create(1)[0] }, 1, all},
		"running: not yet deferred": {func(b *bench) string { id := b.create(1)[0]; b.claim(b.t.Context(), id); return id }, 1, all},
		"cancel requested":          {func(b *bench) string { id, _ := b.deferred(); b.cancel(id); return id }, 1, without("progress", "failure")},
		"canceled":                  {func(b *bench) string { id := b.create(1)[0]; b.cancel(id); return id }, 1, map[string]bool{"cancel": true}},
		"another run":               {func(b *bench) string { id, _ := b.deferred(); return id }, 2, nil},
		"gone":                      {func(*bench) string { return tasktable.NewID() }, 1, nil},
		"succeeded": {func(b *bench) string {
			id, _ := b.deferred()
			b.external(id, 1, externals["success"].write, externals["success"].values)
			return id
		}, 1, map[string]bool{"success": true}},
		"failed": {func(b *bench) string {
			id, _ := b.deferred()
			b.external(id, 1, externals["failure"].write, failed)
			return id
		}, 1, map[string]bool{"failure": true, "stuck": true}},
	} {
		for name, e := range externals {
			b := newBench(t)
			id := tt.arrange(b)
			before := b.db.Item(id)
			if held := b.external(id, tt.run, e.write, e.values); held != tt.held[name] {
				t.Errorf("%s, %s: the condition held: %v", state, name, held)
			} else if !held && len(b.db.Item(id)) != len(before) {
				t.Errorf("%s, %s: refused, and written", state, name)
			} else if held {
				b.endedAs(state+", "+name, id, e.to)
				if !b.external(id, tt.run, e.write, e.values) {
					t.Errorf("%s, %s: not accepted a second time", state, name)
				}
			}
		}
	}
}

// endedAs checks the row after a write.
func (b *bench) endedAs(what, id string, to task.Status) {
	b.t.Helper()
	row, err := b.GetConsistent(b.t.Context(), id)
	if err != nil {
		b.t.Fatal(err)
	}
	if to == "" {
		if row.Status.Finished() || row.Progress == nil {
			b.t.Errorf("%s: the row is %+v", what, row)
		}
		return
	}
	if row.Status != to || row.FinishedAt != ended || row.ClaimableAt != tasktable.Never || row.Settled != row.Fence {
		b.t.Errorf("%s: the row is %+v", what, row)
	}
	if to == task.Succeeded && string(row.Result) != `{"hotel":1}` {
		b.t.Errorf("%s: the result is %s", what, row.Result)
	}
	if to == task.Failed && (row.Error == nil || row.Error.Code != "sold_out" || row.Fingerprint != "saga:BookHotel:sold_out") {
		b.t.Errorf("%s: the row is %+v", what, row)
	}
	// Nobody can work on it any more.
	if c := b.Claim(b.t.Context(), tasktable.NewOwner(), time.Now().Add(time.Minute), []string{id})[0]; c.Outcome == tasktable.Claimed {
		b.t.Errorf("%s: claimed", what)
	}
}

// A worker that still holds its claim, or is about to defer it, comes too late.
func TestExternalEndBeforeDeferral(t *testing.T) {
	t.Parallel()
	for name, how := range map[string]func(*tasktable.Row) tasktable.Settlement{
		"defer": tasktable.Defer,
		"retry": func(r *tasktable.Row) tasktable.Settlement {
			return tasktable.Retry(r, task.Failure{Code: "x"}, time.Now())
		},
		"release": tasktable.Release,
		"succeed": func(r *tasktable.Row) tasktable.Settlement { return tasktable.Succeed(r, json.RawMessage(`1`)) },
	} {
		b := newBench(t)
		id := b.create(1)[0]
		row := b.claim(t.Context(), id)[0]
		b.external(id, 1, externals["failure"].write, failed)
		if s := b.Settle(t.Context(), []tasktable.Settlement{how(row)})[0]; !s.Lost || s.Now.Status != task.Failed {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

// A failed saga is listed among the failures and can be retried.
func TestExternalFailureIsListed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id, _ := b.deferred()
	b.external(id, 1, externals["failure"].write, failed)
	page, err := b.Failures(t.Context(), tasktable.FailureQuery{Status: task.Failed})
	if err != nil || len(page.Entries) != 1 || page.Entries[0].ID != id || page.Entries[0].At.UnixMilli() != ended {
		t.Fatalf("Failures = %+v, %v", page, err)
	}
	if r := b.ReplayAll(t.Context(), requests(2, id))[0]; !r.Done || r.Row.Run != 2 || r.Row.Status != task.Queued {
		t.Errorf("replay = %+v", r)
	}
	if b.external(id, 1, externals["success"].write, externals["success"].values) {
		t.Error("the execution of an earlier run has written")
	}
}
