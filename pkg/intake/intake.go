package intake

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spillway-go/spillway/internal/route"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

// Table is what an [Intake] uses of the task table.
type Table interface {
	Create(ctx context.Context, d tasktable.Draft) (*tasktable.Row, error)
	Remember(ctx context.Context, tenant, idempotencyKey string, k tasktable.Key) (tasktable.Key, error)
	Recall(ctx context.Context, tenant, idempotencyKey string) (tasktable.Key, error)
	GetConsistent(ctx context.Context, id string) (*tasktable.Row, error)
}

// Queue is what an [Intake] uses of a queue.
type Queue interface {
	Send(ctx context.Context, m workqueue.Outgoing) error
	Name() string
}

var (
	_ Table = (*tasktable.Table)(nil)
	_ Queue = (*workqueue.Queue)(nil)
)

// Queues are where accepted tasks go: the queue "tasks" for those of normal
// priority and the queue "backlog" for bulk ones.
type Queues = route.Set[Queue]

// Options tunes an [Intake]. The zero value is ready to use.
type Options struct {
	// MaxInput is the size of the largest input in bytes, as compact JSON;
	// no value above [MaxInput] is accepted. Defaults to [MaxInput].
	MaxInput int

	// InlineInput is up to which size in bytes the message carries the input;
	// a larger one is read from the table by the worker, unless it is small
	// enough for the table to keep it in the row itself. SQS bills a message
	// in steps of 64 KB. Defaults to 192 KiB.
	InlineInput int
}

// Intake accepts tasks. It is safe for concurrent use.
type Intake struct {
	table  Table
	queues Queues
	types  Types
	opts   Options
}

// New returns an [Intake]. nil opts are defaults.
func New(table Table, queues Queues, types Types, opts *Options) *Intake {
	in := &Intake{table: table, queues: queues, types: types}
	if opts != nil {
		in.opts = *opts
	}
	if in.opts.MaxInput <= 0 || in.opts.MaxInput > MaxInput {
		in.opts.MaxInput = MaxInput
	}
	if in.opts.InlineInput <= 0 {
		in.opts.InlineInput = 192 << 10
	}
	return in
}

// Submit accepts a task and returns its row; created is false when the
// idempotency key was used before for the same request, or the id for a task of
// the same tenant and type, and that got as far as the row. The error is a
// [*RefusedError] when nothing was stored; otherwise the outcome is unknown
// and the request can be repeated with its key or its id.
func (in *Intake) Submit(ctx context.Context, r Request) (row *tasktable.Row, created bool, err error) {
	c, err := r.check(time.Now(), in.types, in.opts.MaxInput)
	if err != nil {
		return nil, false, err
	}
	if c.late {
		row, err := in.recall(ctx, c)
		return row, false, err
	}
	draft := tasktable.Draft{
		ID: c.ID, Tenant: r.Tenant, Type: c.Type, Priority: c.Priority, Input: c.Input,
		Deadline: c.deadline, Delay: c.Delay, CallbackURL: c.CallbackURL,
	}
	if draft.ID == "" {
		draft.ID = tasktable.NewID()
	}
	if c.IdempotencyKey != nil {
		mine := tasktable.Key{TaskID: draft.ID, Payload: c.fingerprint()}
		first, err := in.table.Remember(ctx, r.Tenant, *c.IdempotencyKey, mine)
		if err != nil {
			return nil, false, err
		}
		if first.Payload != mine.Payload {
			return nil, false, refuse(CodeKeyReused, "this Idempotency-Key was used within the last 24 hours with another request")
		}
		draft.ID = first.TaskID
	}
	row, err = in.table.Create(ctx, draft)
	created = err == nil
	if errors.Is(err, tasktable.ErrExists) {
		// An earlier request with this key or id got as far as the row, or an
		// earlier try of this one whose answer was lost. Without either it can
		// only be the latter.
		created = c.IdempotencyKey == nil && c.ID == ""
		if row, err = in.table.GetConsistent(ctx, draft.ID); errors.Is(err, tasktable.ErrNotFound) {
			return nil, false, refuse(CodeKeyReused, "the task of this %s has ended and is not kept any more", c.repeatedBy())
		}
	}
	if err != nil {
		return nil, false, err
	}
	if row.Tenant != r.Tenant || row.Type != r.Type {
		return nil, false, fmt.Errorf("task %s is somebody else's", row.ID)
	}
	// Whoever meets a row that no worker has touched cannot know whether its
	// message was ever sent, and sends it: a second message is harmless, an
	// acknowledged task without one is lost.
	if row.Status != task.Queued || row.Fence > 0 {
		return row, created, nil
	}
	if c.ID != "" && !created { // what is stored counts, not what the repetition says
		draft.Input = row.Input
	}
	if err := in.send(ctx, draft, row); err != nil {
		return nil, false, fmt.Errorf("queue task %s: %w", row.ID, err)
	}
	return row, created, nil
}

// recall answers the repetition of a request whose deadline has passed
// meanwhile: with its task, if there is one.
func (in *Intake) recall(ctx context.Context, c checked) (*tasktable.Row, error) {
	late := refuse(CodeInvalid, `"deadline" has passed`)
	id := c.ID
	if c.IdempotencyKey != nil {
		first, err := in.table.Recall(ctx, c.Tenant, *c.IdempotencyKey)
		switch {
		case errors.Is(err, tasktable.ErrNotFound):
			return nil, late
		case err != nil:
			return nil, err
		case first.Payload != c.fingerprint():
			return nil, late
		}
		id = first.TaskID
	}
	if id == "" {
		return nil, late
	}
	row, err := in.table.GetConsistent(ctx, id)
	switch {
	case errors.Is(err, tasktable.ErrNotFound):
		return nil, late
	case err != nil:
		return nil, err
	case row.Tenant != c.Tenant || row.Type != c.Type:
		return nil, late
	}
	return row, nil
}

func (in *Intake) send(ctx context.Context, d tasktable.Draft, row *tasktable.Row) error {
	queue := in.queues[route.Choose(in.queues, route.Rules{}, route.Task{Priority: row.Priority, Tenant: row.Tenant})]
	m := workqueue.Message{
		TaskID: row.ID, Run: row.Run, Type: row.Type, Tenant: row.Tenant, CreatedAt: row.CreatedAt(),
		Deadline: time.UnixMilli(row.Deadline), Priority: row.Priority, Origin: queue.Name(),
	}
	if m.InputRef = row.InputRef; m.InputRef == "" || d.Input != nil && len(d.Input) <= in.opts.InlineInput {
		m.Input, m.InputRef = d.Input, ""
	}
	out, err := workqueue.Encode(m)
	if err != nil {
		return err
	}
	out.Delay = d.Delay
	return queue.Send(ctx, out)
}
