package worker

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/spillway-go/spillway/internal/route"
	"github.com/spillway-go/spillway/pkg/event"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

// quiet observes all and does nothing.
var quiet = Observer{
	BatchBegun:   func(context.Context, BatchBegun) {},
	BatchDone:    func(context.Context, BatchDone) {},
	AttemptBegun: func(context.Context, AttemptBegun) {},
	AttemptEnded: func(context.Context, AttemptEnded) {},
	Settled:      func(context.Context, Settled) {},
	Moved:        func(context.Context, Moved) {},
	Waited:       func(context.Context, Waited) {},
}

var observers = map[string]Observer{"none": {}, "no-op": quiet}

// shiftOf is a batch of one message with a task.
func shiftOf(o Observer) (*shift, *verdict) {
	w := New(task.NewMux(), nil, Queues{route.Tasks: stubQueue("tasks")}, stubQueue("dead"), &Options{Logger: slog.New(slog.DiscardHandler), Observer: o})
	s := w.newShift(context.Background(), []event.SQSMessage{{MessageID: "m", QueueARN: "arn:aws:sqs:eu-central-1:1:tasks"}})
	s.jobs[0].row = &tasktable.Row{ID: "1", Type: "t", Tenant: "acme", Run: 1}
	return s, &verdict{job: s.jobs[0], begun: true, step: succeed}
}

// Whether it is watched or not, the worker allocates nothing to tell what it
// does.
func TestTellAllocates(t *testing.T) { // not parallel: it counts the allocations of all goroutines
	for name, o := range observers {
		s, v := shiftOf(o)
		ctx := context.Background()
		retried, failed := tasktable.Settled{Status: task.Queued}, &verdict{job: v.job, begun: true, step: retry, err: task.ErrLeaseLost}
		for event, f := range map[string]func(){
			"BatchBegun":             func() { s.tellBegun(ctx) },
			"AttemptBegun":           func() { s.tellAttempt(ctx, v.job) },
			"AttemptEnded":           func() { s.tellAttemptEnded(ctx, v) },
			"AttemptEnded otherwise": func() { s.tellAttemptEnded(ctx, failed) },
			"Settled":                func() { s.tellSettled(ctx, failed, retried) },
			"Settled before":         func() { s.tellExpired(ctx, v.job, &tasktable.Row{Status: task.Expired}) },
			"Moved":                  func() { s.tellMoved(ctx, v.job, "backlog", WhyAged, "", time.Time{}) },
			"Waited":                 func() { s.tellWaited(ctx, v.job) },
		} {
			if n := testing.AllocsPerRun(1000, f); n != 0 {
				t.Errorf("%s observer: %s allocates %v times", name, event, n)
			}
		}
	}
}

// A failed attempt is described for an observer only.
func TestTellFailureAllocates(t *testing.T) { // not parallel, as above
	s, v := shiftOf(Observer{})
	v.err = errors.New("down")
	if n := testing.AllocsPerRun(1000, func() { s.tellAttemptEnded(context.Background(), v) }); n != 0 {
		t.Errorf("%v allocations without an observer", n)
	}
}

// BenchmarkTell tells of one attempt, from its begin to its settlement.
func BenchmarkTell(b *testing.B) {
	for name, o := range observers {
		b.Run(name, func(b *testing.B) {
			s, v := shiftOf(o)
			retried := tasktable.Settled{Status: task.Queued}
			b.ReportAllocs()
			for b.Loop() {
				s.tellAttempt(b.Context(), v.job)
				s.tellAttemptEnded(b.Context(), v)
				s.tellSettled(b.Context(), v, retried)
				s.tellWaited(b.Context(), v.job)
			}
		})
	}
}

// BenchmarkBatch works through a batch of ten, on a table and queues that do
// nothing: what it allocates with a no-op observer is what it allocates without
// one.
func BenchmarkBatch(b *testing.B) {
	var messages []event.SQSMessage
	for range 10 {
		now := time.Now()
		out, err := workqueue.Encode(workqueue.Message{
			TaskID: tasktable.NewID(), Run: 1, Type: "t", Tenant: "acme", CreatedAt: now, Deadline: now.Add(24 * time.Hour), Input: json.RawMessage(`1`),
		})
		if err != nil {
			b.Fatal(err)
		}
		messages = append(messages, event.SQSMessage{MessageID: "m", Body: out.Body, QueueARN: "arn:aws:sqs:eu-central-1:1:tasks"})
	}
	mux := task.NewMux()
	task.Handle(mux, "t", func(context.Context, int) (int, error) { return 1, nil })
	for name, o := range observers {
		b.Run(name, func(b *testing.B) {
			w := New(mux, stubTable{}, Queues{route.Tasks: stubQueue("tasks")}, stubQueue("dead"), &Options{Logger: slog.New(slog.DiscardHandler), Observer: o})
			b.ReportAllocs()
			for b.Loop() {
				s := w.newShift(context.Background(), messages)
				s.tellBegun(context.Background())
				s.triage(context.Background())
				s.claim(context.Background())
				s.work(context.Background())
				s.tellDone(context.Background(), 0)
				if s.jobs[9].fate != acknowledged {
					b.Fatal("not done")
				}
			}
		})
	}
}

type stubQueue string

func (q stubQueue) Name() string { return string(q) }

func (q stubQueue) SendBatch(_ context.Context, messages []workqueue.Outgoing) []error {
	return make([]error, len(messages))
}

func (q stubQueue) ChangeVisibility(_ context.Context, changes []workqueue.Visibility) []error {
	return make([]error, len(changes))
}

// stubTable has every task that it is asked for.
type stubTable struct{ Table }

func (stubTable) Claim(_ context.Context, _ string, leaseEnd time.Time, ids []string) []tasktable.Claim {
	claims := make([]tasktable.Claim, len(ids))
	for i, id := range ids {
		claims[i] = tasktable.Claim{Outcome: tasktable.Claimed, Row: &tasktable.Row{
			ID: id, Type: "t", Tenant: "acme", Run: 1, ClaimableAt: leaseEnd.UnixMilli(), Deadline: leaseEnd.UnixMilli(), Input: json.RawMessage(`1`),
		}}
	}
	return claims
}

func (stubTable) Settle(_ context.Context, settlements []tasktable.Settlement) []tasktable.Settled {
	settled := make([]tasktable.Settled, len(settlements))
	for i := range settled {
		settled[i].Status = task.Succeeded
	}
	return settled
}
