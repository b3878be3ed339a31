package tasktable_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
)

func TestRowAsATask(t *testing.T) {
	t.Parallel()
	at := func(ms int64) *task.Time { v := task.AtMilli(ms); return &v }
	row := tasktable.Row{
		ID: "01JZ8X2M7V3Q4R5S6T7V8W9XYZ", Tenant: "acme", Type: "x", Priority: task.Bulk, Run: 3, Fence: 9, Owner: "nonce",
		Attempts: 2, Deadline: 5000, StartedAt: 1000, FinishedAt: 2000, Result: []byte(`1`),
		Error: &task.Failure{Code: "e"}, Progress: &task.Advance{Done: 1}, CancelRequested: true,
	}
	base := task.Task{
		ID: row.ID, Tenant: "acme", Type: "x", Priority: task.Bulk, CreatedAt: task.AtMilli(1751571845371),
		Deadline: task.AtMilli(5000), StartedAt: at(1000), FinishedAt: at(2000), Attempts: 2, Progress: row.Progress,
	}
	for _, tt := range []struct {
		status    task.Status
		result    bool
		err       bool
		requested bool
	}{
		{task.Queued, false, true, true},
		{task.Running, false, true, true},
		{task.Succeeded, true, false, false},
		{task.Failed, false, true, false},
		{task.DeadLettered, false, true, false},
		{task.Canceled, false, false, false},
		{task.Expired, false, false, false},
	} {
		r, want := row, base
		r.Status, want.Status, want.CancelRequested = tt.status, tt.status, tt.requested
		if tt.result {
			want.Result = row.Result
		}
		if tt.err {
			want.Error = row.Error
		}
		if d := cmp.Diff(r.Task(), want); d != "" {
			t.Errorf("%s (-got +want):\n%s", tt.status, d)
		}
	}
	fresh := tasktable.Row{ID: "no ULID", Status: task.Queued}
	if got := fresh.Task(); got.StartedAt != nil || got.FinishedAt != nil || !fresh.CreatedAt().IsZero() {
		t.Errorf("a row without times: %+v", got)
	}
}

func TestSettlement(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		failure := task.Failure{Code: "x"}
		const ever = time.Duration(1<<63 - 1)
		for name, tt := range map[string]struct {
			make   func(*tasktable.Row) tasktable.Settlement
			to     task.Status
			counts bool
			wait   time.Duration
		}{
			"succeed":   {func(r *tasktable.Row) tasktable.Settlement { return tasktable.Succeed(r, nil) }, task.Succeeded, true, ever},
			"fail":      {func(r *tasktable.Row) tasktable.Settlement { return tasktable.Fail(r, failure) }, task.Failed, true, ever},
			"uncounted": {func(r *tasktable.Row) tasktable.Settlement { return tasktable.Fail(r, failure).Uncounted() }, task.Failed, false, ever},
			"retry": {func(r *tasktable.Row) tasktable.Settlement {
				return tasktable.Retry(r, failure, time.Now().Add(time.Minute))
			}, task.Queued, true, time.Minute},
			"retry at once": {func(r *tasktable.Row) tasktable.Settlement {
				return tasktable.Retry(r, failure, time.Now().Add(-time.Minute))
			}, task.Queued, true, 0},
			"release": {tasktable.Release, task.Queued, false, 0},
			"defer":   {tasktable.Defer, task.Running, true, ever},
			"expired": {tasktable.Expired, task.Expired, false, ever},
			"cancel":  {tasktable.Cancel, task.Canceled, true, ever},
		} {
			for _, r := range []*tasktable.Row{{ID: "a", Fence: 1}, {ID: "a", Fence: 4, Settled: 2, Attempts: 3, Charged: true}} {
				s := tt.make(r)
				if s.Row() != r || s.To() != tt.to || s.Counts() != tt.counts || s.Wait() != tt.wait {
					t.Errorf("%s of %+v: to %s, counts %t, wait %s", name, r, s.To(), s.Counts(), s.Wait())
				}
			}
		}
	})
}

func TestStatementError(t *testing.T) {
	t.Parallel()
	err := &tasktable.StatementError{ID: "01J", Code: "ThrottlingError", Message: "slow down"}
	for _, part := range []string{"01J", "ThrottlingError", "slow down"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q lacks %q", err, part)
		}
	}
}
