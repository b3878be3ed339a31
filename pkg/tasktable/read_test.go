package tasktable_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/tasktable/tasktabletest"
)

// once injects f into the first call of an operation only.
func once(operation string, f func() tasktabletest.Fault) func(tasktabletest.Call) tasktabletest.Fault {
	var done bool
	return func(c tasktabletest.Call) tasktabletest.Fault {
		if c.Operation != operation || done {
			return tasktabletest.Fault{}
		}
		done = true // f's own calls come through here as well
		return f()
	}
}

func stale() tasktabletest.Fault { return tasktabletest.Fault{Stale: true} }

func TestGetSeesWhatAnEventuallyConsistentReadMisses(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.create(1)[0]
	r := b.claim(t.Context(), id)[0]
	result := []byte(`"` + strings.Repeat("x", 4998) + `"`)
	b.Settle(t.Context(), []tasktable.Settlement{tasktable.Succeed(r, result)})
	b.db.Inject(func(tasktabletest.Call) tasktabletest.Fault { return stale() })
	got, err := b.Get(t.Context(), id)
	if err != nil || len(got.Result) != 5000 {
		t.Errorf("Get = %+v, %v; want the row and its result", got, err)
	}
}

func TestResultItemIsMissing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	d := draft(tasktable.NewID())
	d.Input = []byte(`"` + strings.Repeat("x", 5000) + `"`)
	if _, err := b.Create(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	r := b.claim(t.Context(), d.ID)[0]
	b.db.Delete(r.InputRef)
	if _, err := b.Input(t.Context(), r); !errors.Is(err, tasktable.ErrNotFound) {
		t.Errorf("Input = %v, want ErrNotFound", err)
	}
	b.Settle(t.Context(), []tasktable.Settlement{tasktable.Succeed(r, d.Input)})
	b.db.Delete(d.ID + "#result-1")
	if _, err := b.Get(t.Context(), d.ID); !errors.Is(err, tasktable.ErrNotFound) {
		t.Errorf("Get = %v, want ErrNotFound", err)
	}
}

func TestReadErrors(t *testing.T) {
	t.Parallel()
	broken := errors.New("no route to host")
	for _, operation := range []string{"GetItem", "Query", "BatchGetItem"} {
		b := newBench(t)
		id := b.create(1)[0]
		b.db.Inject(once(operation, func() tasktabletest.Fault { return tasktabletest.Fault{Err: broken} }))
		_, getErr := b.Get(t.Context(), id)
		_, listErr := b.List(t.Context(), tasktable.Query{Tenant: "t", Limit: 5})
		if !errors.Is(getErr, broken) && !errors.Is(listErr, broken) {
			t.Errorf("%s failed: Get = %v, List = %v", operation, getErr, listErr)
		}
	}
}

func TestListReadsUnprocessedKeysAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		ids := b.create(10)
		b.db.ResetCalls()
		b.db.Inject(func(c tasktabletest.Call) tasktabletest.Fault {
			return tasktabletest.Fault{Unprocessed: max(0, 8-4*(c.N-1))}
		})
		page, err := b.List(t.Context(), tasktable.Query{Tenant: "t", Limit: 10})
		if err != nil || len(page.Rows) != len(ids) {
			t.Fatalf("List = %d rows, %v", len(page.Rows), err)
		}
		if !slices.IsSortedFunc(page.Rows, func(a, b *tasktable.Row) int { return strings.Compare(b.ID, a.ID) }) {
			t.Error("rows that came late are out of order")
		}
		b.calls("10 rows, of which 8 and then 4 were left over", map[string]int{"Query": 4, "BatchGetItem": 3})

		b.db.Inject(func(tasktabletest.Call) tasktabletest.Fault { return tasktabletest.Fault{Unprocessed: 1} })
		if _, err := b.List(t.Context(), tasktable.Query{Tenant: "t", Limit: 10}); err == nil {
			t.Error("a row that is never read is left out of the listing without an error")
		}
	})
}

// A reader that finds a task overdue loses against whoever was quicker.
func TestReaderDoesNotExpireWhatOthersChanged(t *testing.T) {
	t.Parallel()
	for name, between := range map[string]struct {
		do   func(b *bench, id string)
		want task.Status
	}{
		"claimed":  {func(b *bench, id string) { b.claim(b.t.Context(), id) }, task.Running},
		"expired":  {func(b *bench, id string) { b.Expire(b.t.Context(), []string{id}) }, task.Expired},
		"finished": {func(b *bench, id string) { b.succeed(b.claim(b.t.Context(), id)[0]) }, task.Succeeded},
	} {
		b := newBench(t)
		d := draft(tasktable.NewID())
		d.Deadline = time.Now().Add(-time.Second)
		if _, err := b.Create(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		b.db.Inject(once("UpdateItem", func() tasktabletest.Fault { between.do(b, d.ID); return tasktabletest.Fault{} }))
		if r, err := b.Get(t.Context(), d.ID); err != nil || r.Status != between.want {
			t.Errorf("%s in between: Get = %+v, %v; want it %s", name, r, err, between.want)
		}
	}
}

func TestReaderWhoMayNotWrite(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	d := draft(tasktable.NewID())
	d.Deadline = time.Now().Add(-time.Second)
	if _, err := b.Create(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	b.db.Inject(once("UpdateItem", func() tasktabletest.Fault { return tasktabletest.Fault{Err: errors.New("access denied")} }))
	if r, err := b.Get(t.Context(), d.ID); err != nil || r.Status != task.Queued {
		t.Errorf("Get = %+v, %v; want the row as it was: an unwritten expiry could still turn out otherwise", r, err)
	}
}

func (b *bench) succeed(r *tasktable.Row) {
	b.t.Helper()
	if s := b.Settle(b.t.Context(), []tasktable.Settlement{tasktable.Succeed(r, []byte(`1`))})[0]; s.Status != task.Succeeded {
		b.t.Errorf("Settle = %+v", s)
	}
}

// A cancel looks again when the task changes under its hands.
func TestCancelInBetween(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		do        func(b *bench, id string, held *tasktable.Row)
		want      task.Status
		requested bool
		err       error
	}{
		"claimed": {func(b *bench, id string, _ *tasktable.Row) { b.claim(b.t.Context(), id) }, task.Running, true, nil},
		"done":    {func(b *bench, id string, _ *tasktable.Row) { b.succeed(b.claim(b.t.Context(), id)[0]) }, task.Succeeded, false, tasktable.ErrFinished},
		"released": {func(b *bench, id string, _ *tasktable.Row) {
			b.Settle(b.t.Context(), []tasktable.Settlement{tasktable.Release(b.claim(b.t.Context(), id)[0])})
		}, task.Canceled, false, nil},
		"canceled":           {func(b *bench, id string, _ *tasktable.Row) { _, _ = b.Cancel(b.t.Context(), "t", id) }, task.Canceled, false, nil},
		"running, then done": {func(b *bench, _ string, held *tasktable.Row) { b.succeed(held) }, task.Succeeded, false, tasktable.ErrFinished},
		"running, then released": {func(b *bench, _ string, held *tasktable.Row) {
			b.Settle(b.t.Context(), []tasktable.Settlement{tasktable.Release(held)})
		}, task.Canceled, false, nil},
		"running, then claimed by another": {func(b *bench, id string, held *tasktable.Row) {
			b.Settle(b.t.Context(), []tasktable.Settlement{tasktable.Release(held)})
			b.claim(b.t.Context(), id)
		}, task.Running, true, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				id := b.create(1)[0]
				var held *tasktable.Row
				if strings.HasPrefix(name, "running") {
					held = b.claim(t.Context(), id)[0]
				}
				b.db.Inject(once("UpdateItem", func() tasktabletest.Fault { tt.do(b, id, held); return tasktabletest.Fault{} }))
				r, err := b.Cancel(t.Context(), "t", id)
				if !errors.Is(err, tt.err) || r == nil || r.Status != tt.want || r.CancelRequested != tt.requested {
					t.Errorf("Cancel = %+v, %v; want it %s", r, err, tt.want)
				}
			})
		})
	}
}

func TestCancelOfATaskThatNeverRests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		id := b.create(1)[0]
		var inside bool
		b.db.Inject(func(c tasktabletest.Call) tasktabletest.Fault {
			if c.Operation != "UpdateItem" || inside {
				return tasktabletest.Fault{}
			}
			inside = true
			b.Settle(t.Context(), []tasktable.Settlement{tasktable.Release(b.claim(t.Context(), id)[0])})
			inside = false
			return tasktabletest.Fault{}
		})
		if _, err := b.Cancel(t.Context(), "t", id); !errors.Is(err, tasktable.ErrLost) {
			t.Errorf("Cancel = %v, want ErrLost after a bounded number of looks", err)
		}
	})
}
