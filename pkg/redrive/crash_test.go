package redrive_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/spillway-go/spillway/pkg/intake"
	"github.com/spillway-go/spillway/pkg/redrive"
	"github.com/spillway-go/spillway/pkg/task"
)

// A replay is killed at every call that it makes, before the call and after it
// took effect, and resumed: whatever was killed, each task runs exactly once
// more, nothing is left behind and nothing is lost.
func TestReplayKilledAnywhere(t *testing.T) {
	for _, after := range []bool{false, true} {
		t.Run(map[bool]string{false: "before the call", true: "after the call"}[after], func(t *testing.T) {
			t.Parallel()
			for n := 0; ; n++ {
				killed := true
				t.Run(fmt.Sprint(n), func(t *testing.T) {
					synctestRun(t, func(r *rig) { killed = r.killedReplay(n, after) })
				})
				if !killed || t.Failed() {
					if n < 15 {
						t.Errorf("no more than %d calls", n)
					}
					return
				}
			}
		})
	}
}

// killedReplay kills a replay after so many calls, resumes it, and reports
// whether it was killed at all.
func (r *rig) killedReplay(calls int, after bool) bool {
	t := r.t
	ids := r.bury(11)
	bulk := r.bury(2, func(q *intake.Request) { q.Priority = task.Bulk })
	canceled := r.bury(1)[0]
	if _, err := r.table.Cancel(t.Context(), "acme", canceled); err != nil {
		t.Fatal(err)
	}
	r.foreign("from elsewhere", map[string]attribute{"origin": text(tasks)})
	p := r.plan(redrive.Request{})
	if p.Replay != 14 {
		t.Fatalf("%+v", p)
	}
	r.succeed()

	r.life.kill(calls, after)
	_, _ = r.execute(p.ID)
	killed := r.life.again()
	time.Sleep(invocation + 5*time.Second)
	if r.times(ids[0], 2) == 0 { // the worker goes on meanwhile, or not
		if calls%2 == 0 {
			r.workOurs()
		}
	}
	report, err := r.execute(p.ID)
	if err != nil {
		t.Fatalf("resumed: %v", err)
	}
	if !report.Finished {
		t.Fatalf("resumed: %+v", report)
	}
	if report.Replayed != 14 || report.Dropped != 1 || report.Failed != 0 || report.AtLeastOnce != 1 || report.Matched != 15 {
		t.Errorf("%+v", report)
	}
	r.workOurs()
	for _, id := range append(ids, bulk...) {
		r.is(id, task.Succeeded, 2)
		if n := r.times(id, 2); n != 1 {
			t.Errorf("task %s ran %d times again", id, n)
		}
	}
	if n := r.depth(dead); n > 1 { // the worker has rejected what is not its own, at least once
		for _, m := range r.sqs.Messages(dead) {
			if m.Body != "from elsewhere" {
				t.Errorf("left behind: %s", m.Body)
			}
		}
	}
	if r.depth(dead) < 1 {
		t.Error("the message from elsewhere is lost")
	}
	if n := r.depth(tasks) + r.depth(backlog); n != 0 {
		t.Errorf("%d messages are left", n)
	}
	return killed
}

// workOurs lets the worker work.
func (r *rig) workOurs() { r.work() }

// The same for a purge: whatever it has taken off the queue can be restored.
func TestPurgeKilledAnywhere(t *testing.T) {
	for n := 0; ; n++ {
		killed := true
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			synctestRun(t, func(r *rig) {
				ids := r.bury(12)
				r.life.kill(n, n%2 == 0)
				first, _ := r.redrive().Purge(r.ctx(), redrive.Request{Queue: "tasks"})
				killed = r.life.again()
				time.Sleep(invocation + 5*time.Second)
				second, err := r.redrive().Purge(r.ctx(), redrive.Request{Queue: "tasks"})
				if err != nil || !second.Finished {
					t.Fatalf("%+v, %v", second, err)
				}
				r.holds(0, 0)
				jobs, err := r.redrive().Jobs(r.ctx(), 10)
				if err != nil {
					t.Fatal(err)
				}
				for _, j := range jobs {
					if j.Request.Kind == redrive.KindPurge {
						if report, err := r.redrive().Restore(r.ctx(), j.JobID, "ada", ""); err != nil || !report.Finished || report.Failed > 0 {
							t.Fatalf("%+v, %v", report, err)
						}
					}
				}
				_ = first
				found := map[string]bool{}
				list, err := r.redrive().List(r.ctx(), "tasks", redrive.Filter{}, 100)
				if err != nil {
					t.Fatal(err)
				}
				for _, l := range list.Letters {
					found[l.TaskID()] = true
				}
				for _, id := range ids {
					if !found[id] {
						t.Errorf("the letter of %s is lost", id)
					}
				}
			})
		})
		if !killed || t.Failed() {
			return
		}
	}
}
