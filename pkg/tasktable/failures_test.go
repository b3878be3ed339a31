package tasktable_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/tasktable/tasktabletest"
)

// buried creates dead-lettered tasks, with everything that a failure leaves.
func (b *bench) buried(n int) []string {
	b.t.Helper()
	ids := b.create(n)
	b.bury(ids)
	return ids
}

func (b *bench) bury(ids []string) {
	b.t.Helper()
	settlements := make([]tasktable.Settlement, len(ids))
	for i, r := range b.claim(b.t.Context(), ids...) {
		settlements[i] = tasktable.DeadLetter(r, task.Failure{Code: "x"}).Explained("0123456789abcdef", json.RawMessage(`{"code":"x"}`))
	}
	for _, s := range b.Settle(b.t.Context(), settlements) {
		if s.Status != task.DeadLettered {
			b.t.Fatalf("Settle = %+v", s)
		}
	}
}

func requests(run int, ids ...string) []tasktable.ReplayRequest {
	all := make([]tasktable.ReplayRequest, len(ids))
	for i, id := range ids {
		all[i] = tasktable.ReplayRequest{ID: id, Run: run, PlanID: "plan"}
	}
	return all
}

// What failures cost in calls: 25 replays are one, whichever run it is.
func TestCallsOfFailures(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ids := b.buried(60)
	b.db.ResetCalls()
	for run := 2; run <= 3; run++ {
		for i, r := range b.ReplayAll(t.Context(), requests(run, ids...)) {
			if !r.Done || r.Row.Replays != run-1 {
				t.Fatalf("replay %d = %+v", i, r)
			}
		}
		b.calls("60 replays", map[string]int{"BatchExecuteStatement": 3})
		b.ReplayAll(t.Context(), requests(run, ids...))
		b.calls("the same again", map[string]int{"BatchExecuteStatement": 3})
		b.bury(ids)
		b.db.ResetCalls()
	}
	for i, r := range b.ReplayAll(t.Context(), requests(9, ids[:30]...)) { // not the run after
		if !r.Done || r.Row.Replays != 3 {
			t.Fatalf("replay %d = %+v", i, r)
		}
	}
	b.calls("30 replays that skip runs", map[string]int{"BatchExecuteStatement": 4})
	b.ReplayAll(t.Context(), requests(4, ids[40]))
	b.calls("one replay", map[string]int{"UpdateItem": 1})
	b.ReplayFor(t.Context(), requests(4, ids[41])[0])
	b.calls("one replay", map[string]int{"UpdateItem": 1})
	for _, r := range append(b.ReplayAll(t.Context(), requests(2, "no id", "")), b.ReplayFor(t.Context(), requests(2, "no id")[0])) {
		if !r.Absent || r.Done || r.Err != nil {
			t.Errorf("what is no task: %+v", r)
		}
	}
	b.ReplayAll(t.Context(), nil)
	b.calls("what is no task", map[string]int{})

	left := ids[42:]
	if _, err := b.Rows(t.Context(), ids); err != nil {
		t.Fatal(err)
	}
	b.calls("60 rows", map[string]int{"BatchGetItem": 1})
	entries := make([]tasktable.FailureEntry, len(left))
	for i, id := range left {
		entries[i] = tasktable.FailureEntry{ID: id, Run: b.db.Row(id).Run, Fingerprint: "0123456789abcdef", At: time.Now()}
	}
	b.db.ResetCalls()
	b.Unlist(t.Context(), entries)
	b.calls("unlisting 18", map[string]int{"BatchExecuteStatement": 1})
	b.Relist(t.Context(), entries)
	b.calls("relisting 18", map[string]int{"BatchExecuteStatement": 1})

	page, err := b.Failures(t.Context(), tasktable.FailureQuery{Status: task.DeadLettered})
	if err != nil || len(page.Entries) != 28 || page.Cursor != "" {
		t.Errorf("Failures = %+v, %v", page, err)
	}
	b.calls("listing 28", map[string]int{"Query": 4})
	if page, err = b.Failures(t.Context(), tasktable.FailureQuery{Status: task.DeadLettered, Limit: 1}); err != nil || len(page.Entries) != 1 || page.Cursor == "" {
		t.Errorf("Failures = %+v, %v", page, err)
	}
	b.calls("listing the first", map[string]int{"Query": 1})
}

// Statements of a plan that are throttled inside of a 200 are sent again, and
// what stays unanswered says so.
func TestReplayAllWhenThrottled(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ids := b.buried(3)
	b.db.ResetCalls()
	b.db.Inject(throttled(2, types.BatchStatementErrorCodeEnumThrottlingError, ids[1]))
	for i, r := range b.ReplayAll(t.Context(), requests(2, ids...)) {
		if !r.Done {
			t.Errorf("replay %d = %+v", i, r)
		}
	}
	b.bury(ids)
	b.db.Inject(func(c tasktabletest.Call) tasktabletest.Fault {
		if c.Operation != "BatchExecuteStatement" {
			return tasktabletest.Fault{}
		}
		return tasktabletest.Fault{Statements: map[string]types.BatchStatementErrorCodeEnum{ids[1]: types.BatchStatementErrorCodeEnumAccessDenied}}
	})
	for i, r := range b.ReplayAll(t.Context(), requests(3, ids...)) {
		statement, denied := errors.AsType[*tasktable.StatementError](r.Err)
		if denied != (i == 1) || denied && (r.Done || r.Row != nil || statement.ID != ids[1]) || !denied && !r.Done {
			t.Errorf("replay %d = %+v", i, r)
		}
	}
	if errs := b.Unlist(t.Context(), []tasktable.FailureEntry{{ID: ids[0], Run: 2}, {ID: ids[1], Run: 2}, {ID: ids[2], Run: 2}}); errs[0] != nil || errs[1] == nil || errs[2] != nil {
		t.Errorf("Unlist = %v", errs)
	}
	down := errors.New("down")
	b.db.Inject(func(tasktabletest.Call) tasktabletest.Fault { return tasktabletest.Fault{Err: down} })
	for _, r := range append(b.ReplayAll(t.Context(), requests(4, ids...)), b.ReplayFor(t.Context(), requests(4, ids[0])[0])) {
		if r.Done || r.Row != nil || !errors.Is(r.Err, down) {
			t.Errorf("replay = %+v", r)
		}
	}
	if _, err := b.Failures(t.Context(), tasktable.FailureQuery{Status: task.Failed}); !errors.Is(err, down) {
		t.Errorf("Failures = %v", err)
	}
	if _, err := b.Rows(t.Context(), ids); !errors.Is(err, down) {
		t.Errorf("Rows = %v", err)
	}
}

// An endpoint that returns no items is asked again, one by one.
func TestReplayAllWithoutItems(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ids := b.buried(2)
	healthy := b.create(1)[0]
	b.db.Inject(func(tasktabletest.Call) tasktabletest.Fault { return tasktabletest.Fault{NoItems: true} })
	got := b.ReplayAll(t.Context(), requests(2, ids[0], healthy, ids[1]))
	if !got[0].Done || got[1].Done || !got[2].Done || got[1].Row == nil || got[1].Row.Status != task.Queued {
		t.Errorf("ReplayAll = %+v", got)
	}
	for _, r := range []tasktable.Replayed{got[0], got[2]} {
		if r.Row.Replays != 1 || r.Row.Fence != 2 {
			t.Errorf("replayed twice: %+v", r.Row)
		}
	}
}

// A task that changes between the two rounds of a plan's batch is still
// replayed, or refused, for what it is then.
func TestReplayAllOvertaken(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ids := b.buried(2)
	b.db.ResetCalls()
	b.db.Inject(func(c tasktabletest.Call) tasktabletest.Fault {
		if c.Operation == "BatchExecuteStatement" && c.N == 2 {
			b.db.Inject(nil)
			if ok, err := b.Replay(t.Context(), ids[0], 2); !ok || err != nil {
				t.Error(ok, err)
			}
			b.bury(ids[:1])
		}
		return tasktabletest.Fault{}
	})
	for i, r := range b.ReplayAll(t.Context(), requests(3, ids...)) {
		if !r.Done || r.Row.Run != 3 || r.Row.Replays != 2-i {
			t.Errorf("replay %d = %+v, %+v", i, r, r.Row)
		}
	}
}

// A row past its retention is none.
func TestReplayOfWhatIsGone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	d := draft(tasktable.NewID())
	d.Deadline = time.Now().Add(-30 * 24 * time.Hour)
	if _, err := b.Create(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if r := b.ReplayFor(t.Context(), requests(2, d.ID)[0]); r.Done || r.Row != nil || r.Err != nil || !r.Absent {
		t.Errorf("ReplayFor = %+v", r)
	}
}

// Replayed up to the end of its retention, a task with a late deadline still
// has its row when it is due.
func TestFailureOutlastsItsDeadline(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	d := draft(tasktable.NewID())
	d.Deadline = time.Now().Add(20 * 24 * time.Hour)
	if _, err := b.Create(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	b.bury([]string{d.ID})
	if r := b.db.Row(d.ID); r.ExpiresAt < d.Deadline.Add(7*24*time.Hour).Unix() {
		t.Errorf("kept until %s, due %s", time.Unix(r.ExpiresAt, 0), d.Deadline)
	}
}

// What a stored row cannot mean is left out of what is read.
func TestMalformedFailure(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.buried(1)[0]
	it := b.db.Item(id)
	for name, text := range map[string]string{"history": "no", "failure_key": "no"} {
		it[name] = &types.AttributeValueMemberS{Value: text}
	}
	if _, err := b.db.PutItem(t.Context(), &dynamodb.PutItemInput{Item: it}); err != nil {
		t.Fatal(err)
	}
	r, err := b.Get(t.Context(), id)
	if err != nil || r.History != nil || r.Fingerprint != "no" {
		t.Errorf("Get = %+v, %v", r, err)
	}
	page, err := b.Failures(t.Context(), tasktable.FailureQuery{Status: task.DeadLettered})
	if err != nil || len(page.Entries) != 1 || !page.Entries[0].At.IsZero() {
		t.Errorf("Failures = %+v, %v", page, err)
	}
}

// Healthy tasks pay nothing for what is kept of failures, and failures stay
// within a few KiB.
func TestFailuresPayForThemselves(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ids := b.create(2)
	rows := b.claim(t.Context(), ids...)
	b.Settle(t.Context(), []tasktable.Settlement{
		tasktable.Succeed(rows[0], []byte(`1`)),
		tasktable.Fail(rows[1], task.Failure{Code: "x"}).Explained("0123456789abcdef", []byte(strings.Repeat("x", 4096))),
	})
	for _, name := range []string{"history", "plan_id", "failure", "failure_shard", "failure_key", "callback_url"} {
		if it := b.db.Item(ids[0]); it[name] != nil {
			t.Errorf("a task that succeeded has %s", name)
		}
	}
	if got := billed(b.db.Item(ids[1])); got > 5*1024 {
		t.Errorf("a task that failed has %d bytes", got)
	}
	// Up to ten attempts that failed add less than a KiB to a row.
	id := b.create(1)[0]
	before := billed(b.db.Item(id))
	for n := range 12 {
		r := b.claim(t.Context(), id)[0]
		b.Settle(t.Context(), []tasktable.Settlement{tasktable.Retry(r, task.Failure{Code: fmt.Sprintf("http_%d", 500+n)}, time.Now().Add(-time.Second))})
	}
	if got := billed(b.db.Item(id)) - before; got > 1024 {
		t.Errorf("12 attempts that failed add %d bytes", got)
	}
}
