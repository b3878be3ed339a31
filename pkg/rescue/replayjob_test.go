package rescue_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/pkg/archive/archivetest"
	"github.com/spillway-go/spillway/pkg/redrive"
	"github.com/spillway-go/spillway/pkg/rescue"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

// trail reads the jobs of the control table as operators do.
func (f *fixture) trail() *redrive.Redrive { return redrive.New(f.jobs, "control", nil, nil) }

// each calls do for every call of a consumer.
type each struct {
	consumer
	do func(ctx context.Context)
}

func (e *each) Consume(ctx context.Context, records []json.RawMessage) ([]string, error) {
	e.do(ctx)
	return e.consumer.Consume(ctx, records)
}

func TestReplayIsAJob(t *testing.T) {
	t.Parallel()
	f := newFixture()
	for n := 1; n <= 4; n++ {
		f.isolate(t, fmt.Sprint("k", n), n)
	}
	later := recordOf("k1", 9)
	if err := f.positions.Advance(t.Context(), &later); err != nil {
		t.Fatal(err)
	}
	if dry, err := f.replayer(&consumer{}).Replay(t.Context(), rescue.ReplayRequest{DryRun: true, By: "ada"}); err != nil || dry.JobID != "" {
		t.Errorf("%+v, %v", dry, err)
	}
	if jobs, err := f.trail().Jobs(t.Context(), 10); err != nil || len(jobs) > 0 {
		t.Errorf("a dry run is in the trail: %v, %v", jobs, err)
	}

	ids := []string{"nothing", f.list(t)["1"].ID, f.list(t)["2"].ID, f.list(t)["3"].ID}
	got, err := f.replayer(&consumer{fails: map[string]bool{"3": true}}).Replay(t.Context(), rescue.ReplayRequest{IDs: ids, Max: 7, By: "ada", RequestID: "request-1"})
	if err != nil || got.JobID == "" || got.Status != redrive.Done {
		t.Fatalf("%+v, %v", got, err)
	}
	h, err := f.trail().Job(t.Context(), got.JobID, 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	if q := h.Request; q.Kind != "stream_replay" || q.By != "ada" || q.RequestID != "request-1" || q.Max != 7 || !slices.Equal(q.Filter.IDs, ids) {
		t.Errorf("request %+v", q)
	}
	want := redrive.Counts{Matched: 4, Replayed: 1, Skipped: 1, Dropped: 1, Failed: 2, Reasons: map[string]int{"stale": 1, "not_found": 1, "consumer_failed": 1}}
	if diff := cmp.Diff(want, h.Counts); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	if len(h.Messages) != 4 || !slices.Equal(events(h), []string{"begun by ada", "done by "}) {
		t.Errorf("%+v", h)
	}
	if again, err := f.replayer(&consumer{}).Replay(t.Context(), rescue.ReplayRequest{JobID: got.JobID}); err != nil || !again.Done || again.Matched > 0 {
		t.Errorf("resumed when it is done: %+v, %v", again, err)
	}
	for _, id := range []string{"no-job", purgeOf(t, f)} {
		if _, err := f.replayer(&consumer{}).Replay(t.Context(), rescue.ReplayRequest{JobID: id}); !errors.Is(err, rescue.ErrNoReplay) {
			t.Errorf("%s: %v", id, err)
		}
	}
}

// events are the lines of an audit trail, sorted: those of one millisecond have
// no order among tests that have a clock each.
func events(h *redrive.History) (lines []string) {
	for _, e := range h.Events {
		lines = append(lines, e.What+" by "+e.By)
	}
	slices.Sort(lines)
	return lines
}

// purgeOf makes a job of another kind.
func purgeOf(t *testing.T, f *fixture) string {
	t.Helper()
	d := redrive.New(f.jobs, "control", map[string]redrive.Source{"stream": {Letters: nothing{}}}, nil)
	p, err := d.Plan(t.Context(), redrive.Request{Kind: redrive.KindPurge, Queue: "stream"})
	if err != nil {
		t.Fatal(err)
	}
	return p.ID
}

func TestOneReplayAtATime(t *testing.T) {
	t.Parallel()
	for name, takes := range map[string]time.Duration{"refused": time.Minute, "waits": 3 * time.Second} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newFixture()
				f.isolate(t, "a", 1)
				second := make(chan error, 1)
				c := &each{do: func(context.Context) {
					go func() { //nolint:contextcheck // another invocation, with a context of its own
						got, err := f.replayer(&consumer{}).Replay(t.Context(), rescue.ReplayRequest{})
						if (got.JobID == "") != (err != nil) {
							t.Errorf("%+v, %v", got, err)
						}
						second <- err
					}()
					time.Sleep(takes)
				}}
				if got, err := f.replayer(c).Replay(t.Context(), rescue.ReplayRequest{}); err != nil || got.Replayed != 1 || !got.Done {
					t.Errorf("%+v, %v", got, err)
				}
				refused := name == "refused"
				if err := <-second; errors.Is(err, rescue.ErrBusy) != refused {
					t.Errorf("the second replay: %v", err)
				}
				if jobs, err := f.trail().Jobs(t.Context(), 10); err != nil || (len(jobs) == 1) != refused {
					t.Errorf("a refused replay leaves no job: %+v, %v", jobs, err)
				}
			})
		})
	}
}

// A replay that had no room for all records says so again when it is resumed.
func TestMoreThanMax(t *testing.T) {
	t.Parallel()
	f := newFixture()
	f.isolate(t, "a", 1)
	f.isolate(t, "b", 2)
	got, err := f.replayer(&consumer{}).Replay(t.Context(), rescue.ReplayRequest{Max: 1})
	if err != nil || got.Done || got.Replayed != 1 || got.Status != redrive.Done {
		t.Fatalf("%+v, %v", got, err)
	}
	if again, err := f.replayer(&consumer{}).Replay(t.Context(), rescue.ReplayRequest{JobID: got.JobID}); err != nil || again.Done || again.Status != redrive.Done {
		t.Errorf("resumed: %+v, %v", again, err)
	}
}

// A replay stops between two calls to the consumer, and goes on where it was.
func TestStopReplay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		for n := 1; n <= 130; n++ {
			f.isolate(t, fmt.Sprint("k", n), n)
		}
		c := &each{}
		c.do = func(ctx context.Context) {
			jobs, err := f.trail().Jobs(ctx, 1)
			if err != nil || len(jobs) != 1 || jobs[0].Status != redrive.Running {
				t.Fatalf("%+v, %v", jobs, err)
			}
			if r, err := f.trail().Stop(ctx, jobs[0].JobID, "eve", ""); err != nil || r.Status != redrive.Stopping {
				t.Errorf("%+v, %v", r, err)
			}
			time.Sleep(3 * time.Second)
		}
		got, err := f.replayer(c).Replay(t.Context(), rescue.ReplayRequest{Max: 120})
		if err != nil || got.Done || !got.StopAsked || got.Status != redrive.Stopped || got.Replayed != 50 || got.Matched != 120 {
			t.Fatalf("%d replayed, %+v, %v", got.Replayed, got.Status, err)
		}
		c.do = func(context.Context) {}
		got, err = f.replayer(c).Replay(t.Context(), rescue.ReplayRequest{JobID: got.JobID, By: "ada"})
		if err != nil || got.Done || got.StopAsked || got.Status != redrive.Done || got.Replayed != 70 || got.Matched != 70 {
			t.Errorf("resumed: %d replayed, %+v, %v", got.Replayed, got.Status, err)
		}
		if len(c.worked) != 120 || len(slices.Compact(slices.Sorted(slices.Values(c.worked)))) != 120 {
			t.Errorf("worked on %d records", len(c.worked))
		}
		h, err := f.trail().Job(t.Context(), got.JobID, 0, 0)
		if err != nil || h.Replayed != 120 || !slices.Equal(events(h), []string{"begun by unknown", "done by ", "resumed by ada", "stop asked by eve", "stopped by "}) {
			t.Errorf("%+v, %v", h, err)
		}
	})
}

// A rate bounds how many records a second are handed over, and a resumed replay
// keeps it.
func TestReplayRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		for n := 1; n <= 30; n++ {
			f.isolate(t, fmt.Sprint("k", n), n)
		}
		c := &each{do: func(context.Context) {}}
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 12*time.Second)
		defer cancel()
		got, err := f.replayer(c).Replay(ctx, rescue.ReplayRequest{Rate: 2})
		if err != nil || got.Done || got.Status != redrive.Stopped || got.Replayed == 0 || got.Replayed > 24 {
			t.Fatalf("%d replayed, %s, %v", got.Replayed, got.Status, err)
		}
		if got, err = f.replayer(c).Replay(t.Context(), rescue.ReplayRequest{JobID: got.JobID}); err != nil || !got.Done {
			t.Fatalf("%+v, %v", got, err)
		}
		if took := time.Since(began); len(c.worked) != 30 || took < 14*time.Second || took > 17*time.Second {
			t.Errorf("%d records at 2 a second took %s", len(c.worked), took)
		}
	})
}

// A replay that is killed at any of its calls is resumed, or repeated if it had
// not begun: no record is lost, and none is marked that was not worked on.
func TestReplayKilledAnywhere(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{false, true} {
		t.Run(map[bool]string{false: "before the call", true: "after the call"}[after], func(t *testing.T) {
			t.Parallel()
			for n := 0; ; n++ {
				killed := true
				synctest.Test(t, func(t *testing.T) { killed = killedReplay(t, n, after) })
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

var errKilled = errors.New("killed")

func killedReplay(t *testing.T, calls int, after bool) (killed bool) {
	t.Helper()
	f := newFixture()
	for n := 1; n <= 6; n++ {
		f.isolate(t, fmt.Sprint("k", n%4), n)
	}
	alive := true
	call := func(archivetest.Call) archivetest.Fault {
		switch calls--; {
		case !alive:
			return archivetest.Fault{}
		case calls < -1:
			return archivetest.Fault{Err: errKilled}
		case calls == -1:
			killed = true
			return archivetest.Fault{Err: errKilled, AfterEffect: after}
		}
		return archivetest.Fault{}
	}
	f.table.Inject(call)
	f.jobs.Inject(call)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	dead := &each{do: func(context.Context) {}}
	got, _ := f.replayer(dead).Replay(ctx, rescue.ReplayRequest{})
	alive = false
	time.Sleep(25 * time.Second)
	for n, r := range f.list(t) {
		if r.State == rescue.Replayed && !slices.Contains(dead.worked, n) {
			t.Errorf("killed at call %d: record %s is marked and was not worked on", calls, n)
		}
	}
	c := &consumer{}
	resumed, err := f.replayer(c).Replay(t.Context(), rescue.ReplayRequest{JobID: got.JobID})
	if errors.Is(err, rescue.ErrNoReplay) { // its creation was cut short
		resumed, err = f.replayer(c).Replay(t.Context(), rescue.ReplayRequest{})
	}
	if err != nil || !resumed.Done || resumed.Failed+resumed.Refused > 0 {
		t.Errorf("killed at call %d: %+v, %v", calls, resumed, err)
	}
	for n, r := range f.list(t) {
		if r.State != rescue.Replayed || !slices.Contains(slices.Concat(dead.worked, c.worked), n) {
			t.Errorf("killed at call %d: record %s is %s", calls, n, r.State)
		}
	}
	return killed
}

// nothing is an empty queue.
type nothing struct{ redrive.Inbox }

func (nothing) Name() string { return "stream" }

func (nothing) Counts(context.Context) (workqueue.Counts, error) { return workqueue.Counts{}, nil }
