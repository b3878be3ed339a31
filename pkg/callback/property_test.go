package callback_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/spillway-go/spillway/pkg/callback"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/tasktable/tasktabletest"
)

// Whatever tasks go through, however often the stream delivers each change and
// whatever fails on the way: each end is told once, as the task was then, and
// nothing else is.
func TestEveryEndIsToldOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		f := newFixture(t)
		want := live(rt, f)

		var mu sync.Mutex
		faults := rapid.SliceOfN(rapid.IntRange(0, 5), 0, 30).Draw(rt, "faults")
		next := func() (fail, after bool) {
			mu.Lock()
			defer mu.Unlock()
			if len(faults) == 0 {
				return false, false
			}
			n := faults[0]
			faults = faults[1:]
			return n < 2, n == 1
		}
		f.db.Inject(func(tasktabletest.Call) tasktabletest.Fault {
			if fail, after := next(); fail {
				return tasktabletest.Fault{Err: errDown, AfterEffect: after}
			}
			return tasktabletest.Fault{}
		})
		f.queue.fail = func() (bool, error) {
			if fail, after := next(); fail {
				return after, errDown
			}
			return false, nil
		}
		for _, c := range f.stream() {
			for range rapid.IntRange(1, 3).Draw(rt, "times") {
				for f.Handle(t.Context(), c) != nil { // until it succeeds: the faults are finite
				}
			}
		}
		f.db.Inject(nil)
		f.queue.fail = nil

		got := map[string]document{}
		for _, d := range f.deliveries() {
			got[d.id] = d.task
		}
		if diff := cmp.Diff(got, want); diff != "" {
			rt.Fatalf("callbacks by id (-got +want):\n%s", diff)
		}
	})
}

// live leads some tasks through random lives and returns what is to be told.
func live(rt *rapid.T, f *fixture) map[string]document {
	told := map[string]document{}
	for n := range rapid.IntRange(1, 3).Draw(rt, "tasks") {
		heard := rapid.Bool().Draw(rt, fmt.Sprint("callback of ", n))
		id := f.create(func(d *tasktable.Draft) {
			if !heard {
				d.CallbackURL = ""
			}
		})
		for run := 1; run <= 3; run++ {
			for range rapid.IntRange(0, 2).Draw(rt, "retries") {
				f.settle(tasktable.Retry(f.claim(id), unlucky, time.Now().Add(-time.Second)))
			}
			how := rapid.SampledFrom(ends).Draw(rt, "end")
			if how == task.Succeeded && rapid.Bool().Draw(rt, "large") {
				f.settle(tasktable.Succeed(f.claim(id), text(5000)))
			} else {
				f.end(id, how)
			}
			note := func() {
				row := f.db.Row(id)
				if heard {
					told[callback.TaskID(row)] = document{Task: row.Task()}
				}
			}
			note()
			if how == task.DeadLettered && rapid.Bool().Draw(rt, "canceled") {
				f.end(id, task.Canceled)
				note()
				break
			}
			if how != task.DeadLettered && how != task.Failed || run == 3 {
				break
			}
			f.replay(id, run+1)
		}
	}
	return told
}
