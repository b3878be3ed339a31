package parked_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/internal/job"
	"github.com/spillway-go/spillway/internal/parked"
	"github.com/spillway-go/spillway/pkg/redrive"
	"github.com/spillway-go/spillway/pkg/workqueue/workqueuetest"
)

// what a saga parks, and what else may lie in its queue.
const (
	parkedHotel = `{"execution":"trip-1","step":"CancelHotel"}`
	parkedCar   = `{"execution":"trip-1","step":"CancelCar"}`
	elsewhere   = "from elsewhere"
)

var decision = parked.Decision{
	Kind: parked.KindResume, Queue: queue, By: "ada", RequestID: "request-1", Execution: "trip-1", Step: "CancelHotel", Reason: "mended",
}

func isHotel(l *redrive.Letter) bool { return l.Body == parkedHotel }

// park puts messages into the queue.
func (r *rig) park(bodies ...string) {
	r.t.Helper()
	for _, b := range bodies {
		r.send(b)
	}
}

// left checks what is in the queue, and that all of it can be received.
func (r *rig) left(want ...string) {
	r.t.Helper()
	var got []string
	for _, m := range r.sqs.Messages(queue) {
		got = append(got, m.Body)
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		r.t.Errorf("messages (-want +got):\n%s", diff)
	}
	r.visible()
}

// trail is the newest job with its ledger.
func (r *rig) trail() *redrive.History {
	r.t.Helper()
	jobs, err := r.redrive().Jobs(r.ctx(), 1)
	if err != nil || len(jobs) != 1 {
		r.t.Fatalf("%d jobs, %v", len(jobs), err)
	}
	h, err := r.redrive().Job(r.ctx(), jobs[0].JobID, 0, 100)
	if err != nil {
		r.t.Fatal(err)
	}
	return h
}

// ledgerItems is how many halves of steps have been written down.
func (r *rig) ledgerItems() (intents, outcomes int) {
	for _, k := range r.control.Keys() {
		switch {
		case !strings.HasPrefix(k.SK, "ledger#"):
		case strings.HasSuffix(k.SK, "#1"):
			intents++
		default:
			outcomes++
		}
	}
	return intents, outcomes
}

func noJobs(r *rig) {
	r.t.Helper()
	if jobs, err := r.redrive().Jobs(r.ctx(), 10); err != nil || len(jobs) != 0 {
		r.t.Errorf("%d jobs, %v", len(jobs), err)
	}
}

// Letters of one matter go together, and the matter is acted on once.
func TestResolve(t *testing.T) {
	for _, kind := range []parked.Kind{parked.KindResume, parked.KindSkip, parked.KindDone} {
		t.Run(string(kind), func(t *testing.T) {
			bubble(t, func(r *rig) {
				r.park(parkedCar, parkedHotel, elsewhere)
				for range 23 { // more than one receive has
					r.park(parkedCar)
				}
				r.park(parkedHotel)
				acted := 0
				req := decision
				req.Kind = kind
				id, err := r.resolver().Resolve(r.ctx(), req, isHotel, func(_ context.Context, l *redrive.Letter) error {
					acted++
					time.Sleep(time.Millisecond) // events of one have no order
					if intents, outcomes := r.ledgerItems(); intents != 1 || outcomes != 0 {
						t.Errorf("acting after %d intents and %d outcomes", intents, outcomes)
					}
					if l.Body != parkedHotel {
						t.Errorf("acting on %s", l.Body)
					}
					if n := len(r.sqs.Messages(queue)); n != 27 {
						t.Errorf("acting with %d messages left", n)
					}
					return nil
				})
				if err != nil || acted != 1 {
					t.Fatalf("acted %d times, %v", acted, err)
				}
				r.left(append(slices.Repeat([]string{parkedCar}, 24), elsewhere)...)
				h := r.trail()
				want := req
				want.Max = 2
				var got parked.Decision
				if err := json.Unmarshal(h.Raw, &got); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("request (-want +got):\n%s", diff)
				}
				if h.JobID != id || h.Status != redrive.Done || !h.Finished || h.Resolved != 2 || h.Matched != 2 || h.Failed != 0 || h.FinishedAt.IsZero() {
					t.Errorf("%+v", h.Report)
				}
				if len(h.Messages) != 2 {
					t.Fatalf("%+v", h.Messages)
				}
				for _, m := range h.Messages {
					if m.Outcome != job.Resolved || m.MessageID == "" {
						t.Errorf("%+v", m)
					}
				}
				var events []string
				for _, e := range h.Events {
					events = append(events, e.What)
				}
				if h.Events[0].By != "ada" || h.Events[0].RequestID != "request-1" {
					t.Errorf("events %+v", h.Events)
				}
				if diff := cmp.Diff([]string{"begun", "resolved"}, events); diff != "" {
					t.Errorf("events (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// What fails stays, can be received at once, and the trail has it.
func TestResolveFails(t *testing.T) {
	bubble(t, func(r *rig) {
		r.park(parkedHotel, elsewhere, parkedHotel)
		broken := errors.New("still broken")
		if _, err := r.resolver().Resolve(r.ctx(), decision, isHotel, func(context.Context, *redrive.Letter) error { return broken }); !errors.Is(err, broken) || err.Error() != broken.Error() {
			t.Errorf("error %v, want that of the action", err)
		}
		r.left(parkedHotel, parkedHotel, elsewhere)
		h := r.trail()
		if h.Status != redrive.Done || h.Resolved != 0 || h.Failed != 2 || len(h.Messages) != 2 || h.Messages[0].Outcome != redrive.Failed {
			t.Errorf("%+v", h)
		}
		if _, err := r.resolver().Resolve(r.ctx(), decision, isHotel, succeeds); err != nil {
			t.Errorf("once more: %v", err)
		}
		r.left(elsewhere)
	})
}

// errActed is of what must not happen.
var errActed = errors.New("acted")

func fails(context.Context, *redrive.Letter) error { return errActed }

func succeeds(context.Context, *redrive.Letter) error { return nil }

// An action that uses up all of its invocation leaves its outcome in the trail,
// and the queue to others.
func TestResolveOutOfTime(t *testing.T) {
	bubble(t, func(r *rig) {
		r.park(parkedHotel, elsewhere)
		ctx := r.ctx()
		_, err := r.resolver().Resolve(ctx, decision, isHotel, func(ctx context.Context, _ *redrive.Letter) error {
			<-ctx.Done()
			return ctx.Err()
		})
		if !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
			t.Errorf("error %v, in time %t", err, ctx.Err() == nil)
		}
		r.left(parkedHotel, elsewhere)
		if h := r.trail(); h.Status != redrive.Done || h.Failed != 1 || len(h.Messages) != 1 {
			t.Errorf("%+v", h)
		}
		if _, err := r.resolver().Resolve(r.ctx(), decision, isHotel, succeeds); err != nil {
			t.Errorf("once more: %v", err)
		}
		r.left(elsewhere)
	})
}

func TestResolveRefused(t *testing.T) {
	for _, tt := range []struct {
		name    string
		set     func(r *rig)
		change  func(*parked.Decision)
		err     error
		message string
	}{
		{"an empty queue", func(*rig) {}, nil, redrive.ErrNotFound, "no such message is in the queue"},
		{"nothing matches", func(r *rig) { r.park(parkedCar, elsewhere) }, nil, redrive.ErrNotFound, "no such message is in the queue"},
		{"another process holds it", func(r *rig) {
			r.park(parkedHotel)
			r.sqs.Receive(queue, 10)
		}, nil, redrive.ErrNotFound, "try again"},
		{"unknown queue", func(*rig) {}, func(q *parked.Decision) { q.Queue = "sagas" }, redrive.ErrUnknownQueue, "known are saga"},
		{"no queue", func(*rig) {}, func(q *parked.Decision) { q.Queue = "" }, redrive.ErrUnknownQueue, "known are saga"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(r *rig) {
				tt.set(r)
				req := decision
				if tt.change != nil {
					tt.change(&req)
				}
				before := len(r.sqs.Messages(queue))
				if id, err := r.resolver().Resolve(r.ctx(), req, isHotel, fails); errors.Is(err, errActed) || !errors.Is(err, tt.err) || !strings.Contains(err.Error(), tt.message) || id != "" {
					t.Errorf("job %q, error %v, want %v: %s", id, err, tt.err, tt.message)
				}
				noJobs(r)
				time.Sleep(30 * time.Second)
				if after := len(r.sqs.Messages(queue)); after != before {
					t.Errorf("%d messages, there were %d", after, before)
				}
				r.visible()
			})
		})
	}
}

// One job at a time works on a queue.
func TestResolveBusy(t *testing.T) {
	bubble(t, func(r *rig) {
		r.park(parkedHotel, parkedCar)
		_, err := r.resolver().Resolve(r.ctx(), decision, isHotel, func(ctx context.Context, _ *redrive.Letter) error {
			// What is held cannot be found by another; what is new can, and is not
			// acted on meanwhile.
			r.park(parkedHotel) //nolint:contextcheck // it has the test's
			_, err := r.resolver().Resolve(ctx, decision, isHotel, func(context.Context, *redrive.Letter) error {
				t.Error("two at once")
				return nil
			})
			if !errors.Is(err, redrive.ErrBusy) {
				t.Errorf("error %v, want %v", err, redrive.ErrBusy)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		r.left(parkedHotel, parkedCar)
		if _, err := r.resolver().Resolve(r.ctx(), decision, isHotel, succeeds); err != nil {
			t.Errorf("afterwards: %v", err)
		}
		r.left(parkedCar)
	})
}

// What was done and could not be deleted is there again, and dealt with by the
// next.
func TestResolveNotDeleted(t *testing.T) {
	bubble(t, func(r *rig) {
		r.park(parkedHotel, elsewhere)
		broken := true
		r.sqs.Inject(func(c workqueuetest.Call) workqueuetest.Fault {
			if broken && strings.HasPrefix(c.Operation, "Delete") {
				return workqueuetest.Fault{Err: errKilled}
			}
			return workqueuetest.Fault{}
		})
		if _, err := r.resolver().Resolve(r.ctx(), decision, isHotel, succeeds); !errors.Is(err, errKilled) {
			t.Errorf("error %v, want %v", err, errKilled)
		}
		r.left(parkedHotel, elsewhere)
		broken = false
		if _, err := r.resolver().Resolve(r.ctx(), decision, isHotel, succeeds); err != nil {
			t.Errorf("once more: %v", err)
		}
		r.left(elsewhere)
	})
}

// A process that is killed at any of its calls leaves the matter to the next,
// which acts on it again; nothing else is ever lost.
func TestResolveKilledAnywhere(t *testing.T) {
	for _, after := range []bool{false, true} {
		t.Run(map[bool]string{false: "before the call", true: "after the call"}[after], func(t *testing.T) {
			t.Parallel()
			for n := 0; ; n++ {
				killed := true
				synctest.Test(t, func(t *testing.T) {
					r := newRig(t)
					r.park(parkedHotel, elsewhere, parkedHotel)
					acted := 0
					act := func(context.Context, *redrive.Letter) error { acted++; return nil }
					r.life.kill(n, after)
					_, _ = r.resolver().Resolve(r.ctx(), decision, isHotel, act)
					killed = r.life.again()
					time.Sleep(invocation + 5*time.Second)
					_, err := r.resolver().Resolve(r.ctx(), decision, isHotel, act)
					if err != nil && (!errors.Is(err, redrive.ErrNotFound) || acted != 1) {
						t.Errorf("killed at call %d: %v", n, err)
					}
					if acted < 1 || acted > 2 {
						t.Errorf("killed at call %d: acted %d times", n, acted)
					}
					r.left(elsewhere)
				})
				if !killed || t.Failed() {
					if n < 8 {
						t.Errorf("no more than %d calls", n)
					}
					return
				}
			}
		})
	}
}
