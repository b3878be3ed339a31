package job_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/internal/id"
	"github.com/spillway-go/spillway/internal/job"
)

// events are the lines of a job's audit trail, sorted: those of one millisecond
// have no order among tests that have a clock each.
func (r *rig) events(jobID string) (lines []string) {
	r.t.Helper()
	events, err := r.engine().Events(r.ctx(), jobID)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, e := range events {
		lines = append(lines, strings.TrimSpace(e.What+" "+e.By))
	}
	slices.Sort(lines)
	return lines
}

func TestJob(t *testing.T) {
	bubble(t, func(r *rig) {
		j := r.create(10)
		if j.Status != job.Planned || !j.Created.Equal(id.Time(j.ID)) {
			t.Errorf("%+v", j)
		}
		x, err := r.begin(r.ctx(), j.ID, true)
		if err != nil {
			t.Fatal(err)
		}
		got, err := r.drive(r.ctx(), x)
		if err != nil || got.Status != job.Done || len(r.source) > 0 || len(r.written) != 10 {
			t.Fatalf("%+v, %v; left %v", got, err, r.source)
		}
		all, err := r.engine().List(r.ctx(), 5)
		if err != nil || len(all) != 1 {
			t.Fatalf("%d jobs, %v", len(all), err)
		}
		p := all[0].State
		if diff := cmp.Diff(job.Counts{Matched: 10, Replayed: 10}, p.Counts); diff != "" {
			t.Errorf("counts (-want +got):\n%s", diff)
		}
		if p.StartedAt == 0 || p.FinishedAt == 0 || p.Hops != 1 || all[0].Request.By != "ada" || !strings.Contains(string(all[0].Raw), `"by":"ada"`) {
			t.Errorf("%+v", all[0])
		}
		if diff := cmp.Diff([]string{"begun ada", "done"}, r.events(j.ID)); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		entries, err := r.engine().Ledger(r.ctx(), j.ID)
		if err != nil || len(entries) != 10 || entries[0].Outcome != job.Replayed {
			t.Errorf("%+v, %v", entries, err)
		}
		if _, err := r.begin(r.ctx(), j.ID, true); !errors.Is(err, job.ErrBusy) {
			t.Errorf("a job that has ended: %v", err)
		}
		if _, err := r.begin(r.ctx(), "nothing", true); !errors.Is(err, job.ErrNotFound) {
			t.Errorf("%v", err)
		}
	})
}

// A process may die at any call, and the next one goes on: everything is done, and
// what the ledger has as done is not done again.
func TestKilledAnywhere(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{false, true} {
		t.Run(map[bool]string{false: "before the call", true: "after the call"}[after], func(t *testing.T) {
			t.Parallel()
			for n := 0; ; n++ {
				killed := true
				synctest.Test(t, func(t *testing.T) { killed = newRig(t).killedAt(n, after) })
				if !killed || t.Failed() {
					if n < 20 {
						t.Errorf("no more than %d calls", n)
					}
					return
				}
			}
		})
	}
}

func (r *rig) killedAt(calls int, after bool) (killed bool) {
	t := r.t
	j := r.create(10)
	r.kill(calls, after)
	if x, err := r.begin(r.ctx(), j.ID, true); err == nil {
		_, _ = r.drive(r.ctx(), x)
	}
	killed = r.again()
	time.Sleep(invocation + 5*time.Second)
	known, err := r.engine().Ledger(r.ctx(), j.ID)
	if err != nil {
		t.Fatal(err)
	}
	before := map[string]int{}
	for _, e := range known {
		before[e.Name] = r.written[e.Name]
	}
	x, err := r.begin(r.ctx(), j.ID, true)
	if errors.Is(err, job.ErrBusy) { // it was done before the process died
		if done, err := r.engine().Find(r.ctx(), j.ID); err != nil || done.Status != job.Done || len(r.source) > 0 {
			t.Errorf("killed at call %d: %+v, %v; left %v", calls, done, err, r.source)
		}
		return killed
	}
	if err != nil {
		t.Fatalf("killed at call %d: %v", calls, err)
	}
	done, err := r.drive(r.ctx(), x)
	if err != nil || done.Status != job.Done || done.State.Counts.Replayed != 10 || done.State.Counts.Matched != 10 {
		t.Errorf("killed at call %d: %+v, %v", calls, done, err)
	}
	for name, n := range before {
		if r.written[name] != n {
			t.Errorf("killed at call %d: %s is in the ledger, and was written to again", calls, name)
		}
	}
	if len(r.source) > 0 || len(r.written) != 10 {
		t.Errorf("killed at call %d: %d written to, left %v", calls, len(r.written), r.source)
	}
	return killed
}

// A job has a lease, and a lock that it shares with others of its kind. A process
// that has lost them ends without a trace.
func TestLease(t *testing.T) {
	bubble(t, func(r *rig) {
		first, second := r.create(3), r.create(3)
		x, err := r.begin(r.ctx(), first.ID, true)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.begin(r.ctx(), first.ID, true); !errors.Is(err, job.ErrBusy) {
			t.Errorf("the same job: %v", err)
		}
		if _, err := r.begin(r.ctx(), second.ID, true); !errors.Is(err, job.ErrBusy) || !strings.Contains(err.Error(), first.ID) {
			t.Errorf("another job: %v", err)
		}
		if j, err := r.engine().Find(r.ctx(), first.ID); err != nil || j.Seen(time.Now()) != job.Running {
			t.Errorf("%+v, %v", j, err)
		}
		time.Sleep(invocation + 2*time.Second) // nothing renews the lease
		if j, err := r.engine().Find(r.ctx(), first.ID); err != nil || j.Seen(time.Now()) != job.Stalled {
			t.Errorf("%+v, %v", j, err)
		}
		y, err := r.begin(r.ctx(), first.ID, true)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.drive(r.ctx(), x); !errors.Is(err, job.ErrBusy) || len(r.written) > 0 {
			t.Errorf("the process that has lost the job: %v, %v", err, r.written)
		}
		if j, err := r.drive(r.ctx(), y); err != nil || j.Status != job.Done {
			t.Errorf("%+v, %v", j, err)
		}
		if _, err := r.begin(r.ctx(), second.ID, true); err != nil {
			t.Errorf("another job, afterwards: %v", err)
		}
	})
}

// A process that died after a stop was asked for runs no more.
func TestStalledAfterStop(t *testing.T) {
	bubble(t, func(r *rig) {
		j := r.create(3)
		if _, err := r.begin(r.ctx(), j.ID, true); err != nil {
			t.Fatal(err)
		}
		if s, err := r.engine().Stop(r.ctx(), j.ID, "eve", ""); err != nil || s.Seen(time.Now()) != job.Stopping {
			t.Errorf("%+v, %v", s, err)
		}
		time.Sleep(invocation + 2*time.Second)
		if s, err := r.engine().Find(r.ctx(), j.ID); err != nil || s.Seen(time.Now()) != job.Stalled {
			t.Errorf("%+v, %v", s, err)
		}
	})
}

func TestStop(t *testing.T) {
	bubble(t, func(r *rig) {
		j := r.create(12)
		if s, err := r.engine().Stop(r.ctx(), j.ID, "eve", ""); err != nil || s.Status != job.Stopped {
			t.Errorf("a job that no process runs: %+v, %v", s, err)
		}
		x, err := r.begin(r.ctx(), j.ID, true)
		if err != nil {
			t.Fatal(err)
		}
		asked := false
		slowly := func(w *work) {
			w.bounds.Concurrency = 1
			w.do = func(ctx context.Context, names []string) ([]guest, error) {
				time.Sleep(3 * time.Second)
				if s, err := r.engine().Stop(ctx, j.ID, "eve", ""); !asked && (err != nil || s.Seen(time.Now()) != job.Stopping) {
					t.Errorf("%+v, %v", s, err)
				}
				asked = true
				return r.write(ctx, names)
			}
		}
		stopped, err := r.drive(r.ctx(), x, slowly)
		if err != nil || stopped.Status != job.Stopped || !stopped.StopAsked() || stopped.State.Counts.Replayed != 4 || stopped.State.FinishedAt > 0 {
			t.Errorf("%+v, %v", stopped.State, err)
		}
		if x, err = r.begin(r.ctx(), j.ID, true); err != nil {
			t.Fatal(err)
		}
		done, err := r.drive(r.ctx(), x)
		if err != nil || done.Status != job.Done || done.State.Counts.Replayed != 12 {
			t.Errorf("%+v, %v", done, err)
		}
		if s, err := r.engine().Stop(r.ctx(), j.ID, "eve", ""); err != nil || s.Status != job.Done {
			t.Errorf("a job that has ended: %+v, %v", s, err)
		}
		for name, n := range r.written {
			if n != 1 {
				t.Errorf("%s was written to %d times", name, n)
			}
		}
		if diff := cmp.Diff([]string{"begun ada", "done", "stop asked eve", "stop asked eve", "stopped"}, r.events(j.ID)); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
	})
}

// A hop goes on where the time was over, honors a stop that was asked for before
// it, and there is a bound to hops.
func TestHops(t *testing.T) {
	bubble(t, func(r *rig) {
		hops := 0
		r.opts.MaxHops = 3
		r.opts.Continue = func(context.Context, string, int) error { hops++; return nil }
		j := r.create(100)
		j.State.Rate = 1
		hop := func(anew bool) *job.Job[invitation, *job.Progress] {
			t.Helper()
			ctx := r.ctx()
			if !anew {
				var err error
				if j, err = r.engine().Find(ctx, j.ID); err != nil {
					t.Fatal(err)
				}
			}
			x, err := r.engine().Begin(ctx, j, anew)
			if err != nil {
				t.Fatal(err)
			}
			x.Job.State.Rate = 1
			if j, err = r.drive(ctx, x); err != nil {
				t.Fatal(err)
			}
			return j
		}
		if hop(true); j.Status != job.Running || hops != 1 || j.State.Hops != 1 {
			t.Fatalf("%+v after %d hops", j, hops)
		}
		if hop(false); j.Status != job.Running || hops != 2 {
			t.Fatalf("%+v after %d hops", j, hops)
		}
		if s, err := r.engine().Stop(r.ctx(), j.ID, "eve", ""); err != nil || s.Seen(time.Now()) != job.Stopping {
			t.Errorf("between two hops: %+v, %v", s, err)
		}
		if hop(false); j.Status != job.Stopped || hops != 2 || len(r.written) > 45 {
			t.Fatalf("%+v after %d hops, %d written to", j, hops, len(r.written))
		}
		j.State.Hops = 0
		x, err := r.engine().Begin(r.ctx(), j, true)
		if err != nil {
			t.Fatal(err)
		}
		x.Job.State.Hops, x.Job.State.Rate = 2, 1
		if j, err = r.drive(r.ctx(), x); err != nil || j.Status != job.Stopped || j.State.Note == "" || hops != 2 {
			t.Errorf("the last hop: %+v, %v, %d hops", j.State, err, hops)
		}
		if got := j.State.Counts.Replayed; got != len(r.written) || got+len(r.source) != 100 {
			t.Errorf("%d counted, %d written to, %d left", got, len(r.written), len(r.source))
		}
	})
}

// An item that Do leaves undecided is not written down, and done by a later run.
func TestUndecided(t *testing.T) {
	bubble(t, func(r *rig) {
		j := r.create(4)
		x, err := r.begin(r.ctx(), j.ID, true)
		if err != nil {
			t.Fatal(err)
		}
		stopped, err := r.drive(r.ctx(), x, func(w *work) {
			w.do = func(ctx context.Context, names []string) ([]guest, error) {
				entries, err := r.write(ctx, names[:1])
				return append(entries, make([]guest, len(names)-1)...), err
			}
		})
		if err != nil || stopped.Status != job.Stopped || stopped.State.Note != "" {
			t.Errorf("%+v, %v", stopped, err)
		}
		if diff := cmp.Diff(job.Counts{Matched: 1, Replayed: 1}, stopped.State.Counts); diff != "" {
			t.Errorf("counts (-want +got):\n%s", diff)
		}
		if x, err = r.begin(r.ctx(), j.ID, true); err != nil {
			t.Fatal(err)
		}
		if done, err := r.drive(r.ctx(), x); err != nil || done.State.Counts.Replayed != 4 || len(r.source) > 0 {
			t.Errorf("%+v, %v", done, err)
		}
		for name, n := range r.written {
			if n != 1 {
				t.Errorf("%s was written to %d times", name, n)
			}
		}
	})
}

// A step that fails in the middle keeps what it has decided.
func TestStepFails(t *testing.T) {
	bubble(t, func(r *rig) {
		j := r.create(4)
		x, err := r.begin(r.ctx(), j.ID, true)
		if err != nil {
			t.Fatal(err)
		}
		broken := errors.New("broken")
		stopped, err := r.drive(r.ctx(), x, func(w *work) {
			w.do = func(ctx context.Context, names []string) ([]guest, error) {
				entries, _ := r.write(ctx, names[:2])
				return append(entries, make([]guest, len(names)-2)...), broken
			}
		})
		if !errors.Is(err, broken) || stopped.Status != job.Stopped || stopped.State.Counts.Replayed != 2 || strings.Contains(stopped.State.Note, "broken") || stopped.State.Note == "" {
			t.Errorf("%+v, %v", stopped, err)
		}
		if len(r.source) != 2 {
			t.Errorf("left %v", r.source)
		}
	})
}

// The limit counts what is done, over all runs. After a run that died the source
// is gone through to its end all the same, for what it has not forgotten.
func TestLimit(t *testing.T) {
	bubble(t, func(r *rig) {
		j := r.create(10)
		x, err := r.begin(r.ctx(), j.ID, true)
		if err != nil {
			t.Fatal(err)
		}
		limited := func(w *work) { w.bounds.Limit, w.bounds.Step = 5, 2 }
		some := func(w *work) { w.wants = func(name string) bool { return name != "guest 1" } }
		source := r.guests()
		done, err := r.drive(r.ctx(), x, limited, some)
		if err != nil || done.Status != job.Done || done.State.Counts.Replayed != 5 || len(r.source) != 5 || !slices.Contains(r.source, "guest 1") {
			t.Fatalf("%+v, %v; left %v", done, err, r.source)
		}

		next := r.create(0) // the same guests, of whom the first five are known again
		ctx := r.ctx()
		r.source = source
		if x, err = r.begin(ctx, next.ID, true); err != nil {
			t.Fatal(err)
		}
		_, err = r.drive(ctx, x, limited, func(w *work) {
			write := w.do
			w.do = func(ctx context.Context, names []string) ([]guest, error) {
				entries, err := write(ctx, names)
				if slices.Contains(names, "guest 4") {
					r.kill(1, true) // once the ledger has them
				}
				return entries, err
			}
			w.bounds.Concurrency = 1
		})
		if !r.again() || !errors.Is(err, errKilled) {
			t.Fatalf("%v", err)
		}
		time.Sleep(invocation + 5*time.Second)
		if x, err = r.begin(r.ctx(), next.ID, true); err != nil {
			t.Fatal(err)
		}
		done, err = r.drive(r.ctx(), x, limited)
		if err != nil || done.State.Counts.Replayed != 5 {
			t.Errorf("%+v, %v", done, err)
		}
		if want := []string{"guest 5", "guest 6", "guest 7", "guest 8", "guest 9"}; !slices.Equal(r.source, want) {
			t.Errorf("left %v, want %v", r.source, want)
		}
	})
}

// Steps keep to the rate of their job, across runs.
func TestRate(t *testing.T) {
	bubble(t, func(r *rig) {
		j := r.create(100)
		begun := time.Now()
		for range 3 {
			ctx := r.ctx()
			x, err := r.begin(ctx, j.ID, true)
			if err != nil {
				t.Fatal(err)
			}
			x.Job.State.Rate = 4
			done, err := r.drive(ctx, x)
			if err != nil {
				t.Fatal(err)
			}
			if done.Status.Ended() {
				break
			}
		}
		if took := time.Since(begun); len(r.written) != 100 || took < 24*time.Second || took > 27*time.Second {
			t.Errorf("%d at 4 a second took %s", len(r.written), took)
		}
	})
}

// A kind's own end is one: the job is never resumed.
func TestEnd(t *testing.T) {
	bubble(t, func(r *rig) {
		j := r.create(3)
		x, err := r.begin(r.ctx(), j.ID, true)
		if err != nil {
			t.Fatal(err)
		}
		done, err := x.Drive(r.ctx(), func(context.Context) (bool, error) {
			x.End("given_up", "there is no paper")
			return true, nil
		})
		if err != nil || done.Status != "given_up" || !done.Status.Ended() || done.State.Note != "there is no paper" || done.State.FinishedAt == 0 {
			t.Errorf("%+v, %v", done, err)
		}
		if _, err := r.begin(r.ctx(), j.ID, true); !errors.Is(err, job.ErrBusy) {
			t.Errorf("%v", err)
		}
	})
}

// What was never decided has not ended, and is not dealt with.
func TestZeroValues(t *testing.T) {
	t.Parallel()
	var status job.Status
	var outcome job.Outcome
	if status.Ended() || outcome.Settled() || outcome != job.Intended || job.Outcome("other").Settled() {
		t.Error("a zero value decides")
	}
	for _, s := range []job.Status{job.Planned, job.Running, job.Stopping, job.Stopped, job.Stalled} {
		if s.Ended() {
			t.Errorf("%s has ended", s)
		}
	}
}

// A job whose creation was cut short was never begun.
func TestCreationCutShort(t *testing.T) {
	bubble(t, func(r *rig) {
		j := r.create(1)
		r.table.Remove("job#"+j.ID, "state")
		if _, err := r.begin(r.ctx(), j.ID, true); !errors.Is(err, job.ErrNotFound) {
			t.Errorf("%v", err)
		}
		if jobs, err := r.engine().List(r.ctx(), 10); err != nil || len(jobs) > 0 {
			t.Errorf("%+v, %v", jobs, err)
		}
	})
}

func TestPlan(t *testing.T) {
	bubble(t, func(r *rig) {
		var keys []string
		for i := range 4500 { // more than two items hold
			keys = append(keys, fmt.Sprint("key ", i))
		}
		if err := r.engine().SavePlan(r.ctx(), "job-1", keys, time.Now()); err != nil {
			t.Fatal(err)
		}
		if got, err := r.engine().Plan(r.ctx(), "job-1"); err != nil || !slices.Equal(got, keys) {
			t.Errorf("%d keys, %v", len(got), err)
		}
	})
}
