package worker

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/spillway-go/spillway/pkg/batch"
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

// Queues are where messages come from and go to. Tasks and Backlog are both
// consumed; a record that comes from neither is treated as one of Backlog,
// which is never moved.
type Queues struct {
	Tasks      Queue
	Backlog    Queue
	DeadLetter Queue
}

// Worker works through batches. Make one for each environment; it is safe for
// concurrent use.
type Worker struct {
	mux    *task.Mux
	table  Table
	queues Queues
	opts   Options
	guard  batch.Guard
}

// New returns a [Worker]. nil opts are defaults.
func New(mux *task.Mux, table Table, queues Queues, opts *Options) *Worker {
	return &Worker{mux: mux, table: table, queues: queues, opts: opts.withDefaults()}
}

// Handle is the Lambda handler for an SQS event source mapping with
// ReportBatchItemFailures. It names the messages that are to come back and
// returns an error only when a record has no message id to name it by.
func (w *Worker) Handle(ctx context.Context, ev events.SQSEvent) (events.SQSEventResponse, error) {
	s := w.newShift(ctx, ev.Records)
	s.triage(ctx)
	s.claim(ctx)
	s.work(ctx)
	s.handBack(ctx, s.jobs)
	resp, err := batch.Response(ev.Records, func(i int) bool { return s.jobs[i].fate != acknowledged })
	w.opts.Logger.InfoContext(ctx, "batch done", slog.Int("records", len(ev.Records)),
		slog.Int("begun", s.begun), slog.Int("back", len(resp.BatchItemFailures)))
	return resp, err
}

// shift is one batch being worked through. Only work and what it calls use
// several goroutines; the ledger guards what they share.
type shift struct {
	w        *Worker
	source   Queue
	fresh    bool // from the tasks queue
	start    time.Time
	deadline time.Time // of the invocation, if limited
	limited  bool
	leaseEnd time.Time
	margin   time.Duration
	jobs     []*job
	wanted   []*job // to be claimed
	ready    []*job // claimed
	alone    []*job // claimed, and the last worker vanished
	begun    int
	ledger   ledger
}

func (w *Worker) newShift(ctx context.Context, records []events.SQSMessage) *shift {
	s := &shift{w: w, start: time.Now(), margin: w.opts.Margin, jobs: make([]*job, len(records))}
	s.ledger.shift = s
	for i := range records {
		s.jobs[i] = &job{rec: &records[i]}
	}
	s.deadline, s.limited = ctx.Deadline()
	if s.limited && s.margin <= 0 {
		s.margin = batch.DefaultMargin(time.Until(s.deadline))
	}
	s.leaseEnd = s.lease()
	s.source = w.queues.Backlog
	if len(records) > 0 {
		arn := records[0].EventSourceARN
		s.fresh = arn[strings.LastIndexByte(arn, ':')+1:] == w.queues.Tasks.Name()
	}
	if s.fresh {
		s.source = w.queues.Tasks
	}
	return s
}

// leaseSlack lets a lease end just after the function's deadline: then the
// function has certainly ended, whatever the clocks of two hosts differ by.
const leaseSlack = time.Second

// lease is when a lease taken now ends.
func (s *shift) lease() time.Time {
	if s.limited {
		return s.deadline.Add(leaseSlack)
	}
	return time.Now().Add(s.w.opts.Lease)
}

// fits reports whether there is time to begin another task.
func (s *shift) fits(ctx context.Context) bool {
	return ctx.Err() == nil && (!s.limited || time.Until(s.deadline)-s.margin > s.w.guard.Longest())
}
