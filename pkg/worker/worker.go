package worker

import (
	"context"
	"encoding/json"
	"time"

	"github.com/spillway-go/spillway/internal/route"
	"github.com/spillway-go/spillway/pkg/batch"
	"github.com/spillway-go/spillway/pkg/event"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

// Table is what a [Worker] uses of the task table.
type Table interface {
	Claim(ctx context.Context, owner string, leaseEnd time.Time, ids []string) []tasktable.Claim
	Expire(ctx context.Context, ids []string) []tasktable.Claim
	Replay(ctx context.Context, id string, run int) (bool, error)
	Rerun(ctx context.Context, r *tasktable.Row, run int) error
	Charge(ctx context.Context, r *tasktable.Row) error
	Renew(ctx context.Context, r *tasktable.Row, leaseEnd time.Time, with tasktable.Renewal) (*tasktable.Row, error)
	Settle(ctx context.Context, settlements []tasktable.Settlement) []tasktable.Settled
	Input(ctx context.Context, r *tasktable.Row) (json.RawMessage, error)
	Archive(ctx context.Context, id string, data []byte) error
}

// Queue is what a [Worker] uses of each queue.
type Queue interface {
	Name() string
	SendBatch(ctx context.Context, messages []workqueue.Outgoing) []error
	ChangeVisibility(ctx context.Context, changes []workqueue.Visibility) []error
}

var (
	_ Table = (*tasktable.Table)(nil)
	_ Queue = (*workqueue.Queue)(nil)
)

// Queues are the queues that tasks wait in, "tasks" and "backlog". All are
// consumed. A record of another queue is treated as one of the backlog, which
// is never moved.
type Queues = route.Set[Queue]

// Worker works through batches. Make one for each environment; it is safe for
// concurrent use.
type Worker struct {
	mux    *task.Mux
	table  Table
	queues Queues
	dead   Queue
	opts   Options
	guard  batch.Guard
}

// New returns a [Worker] that sends dead letters to dead. nil opts are defaults.
func New(mux *task.Mux, table Table, queues Queues, dead Queue, opts *Options) *Worker {
	return &Worker{mux: mux, table: table, queues: queues, dead: dead, opts: opts.withDefaults()}
}

// Invoke makes a Worker a Lambda handler, for lambda.Start, behind an SQS event
// source mapping with ReportBatchItemFailures. payload is the event's JSON; the
// response names the messages that are to come back. It returns an error only
// for what is no such event ([event.ErrMalformed]), and when a message has no
// id to name it by ([batch.ErrNoID]).
//
// When ctx has a deadline, it answers before that. When ctx is canceled, no
// further handler begins, and what has been done is still settled.
func (w *Worker) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	messages, err := event.SQS(payload)
	if err != nil {
		return nil, err
	}
	s := w.newShift(ctx, messages)
	ctx, cancel := s.limit(ctx)
	defer cancel()
	s.tellBegun(ctx)
	s.triage(ctx)
	s.claim(ctx)
	s.handBack(ctx, s.unclaimed()) // these should not wait for the handlers
	s.work(ctx)
	back := 0
	response, err := batch.Response(messages, func(i int) bool {
		if s.jobs[i].fate == acknowledged {
			return false
		}
		back++
		return true
	})
	s.tellDone(ctx, back)
	return response, err
}
