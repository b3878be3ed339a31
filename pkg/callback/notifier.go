package callback

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"github.com/spillway-go/spillway/pkg/event"
	"github.com/spillway-go/spillway/pkg/intake"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/webhook"
)

// Results is what a [Notifier] uses of the task table.
type Results interface {
	Result(ctx context.Context, r *tasktable.Row) (json.RawMessage, error)
}

// Intake is where a [Notifier] hands in deliveries. It has to know the type
// webhook.deliver.
type Intake interface {
	Submit(ctx context.Context, r intake.Request) (row *tasktable.Row, created bool, err error)
}

var (
	_ Results = (*tasktable.Table)(nil)
	_ Intake  = (*intake.Intake)(nil)
)

// Options tunes a [Notifier]. The zero value is ready to use.
type Options struct {
	// Logger gets a line for each callback, without its URL.
	// Defaults to [slog.Default].
	Logger *slog.Logger
}

// Notifier turns ends of tasks into deliveries. It is safe for concurrent use.
type Notifier struct {
	results Results
	in      Intake
	log     *slog.Logger
}

// New returns a [Notifier] for the tasks of a table. nil opts are defaults.
func New(results Results, in Intake, opts *Options) *Notifier {
	n := &Notifier{results: results, in: in, log: slog.Default()}
	if opts != nil && opts.Logger != nil {
		n.log = opts.Logger
	}
	return n
}

// payload is the task as callers see it.
type payload struct {
	task.Task
	ResultOmitted bool `json:"result_omitted,omitempty"`
}

// Handle hands in the delivery that a change of the task table asks for, if it
// does. It has the signature that batch.DynamoDB takes. Handling a change again
// is harmless.
func (n *Notifier) Handle(ctx context.Context, change *event.Change) error {
	row, err := endOf(change)
	if row == nil || err != nil {
		return task.Permanent(err)
	}
	p, err := n.payload(ctx, row)
	if err != nil {
		return fmt.Errorf("callback of task %s: %w", row.ID, err)
	}
	created, err := n.submit(ctx, row, p)
	if refusedAs(err, intake.CodeTooLarge) && p.Result != nil {
		p.Result, p.ResultOmitted = nil, true
		created, err = n.submit(ctx, row, p)
	}
	attrs := []any{slog.String("task_id", row.ID), slog.Int("run", row.Run), slog.String("status", string(row.Status)), slog.String("callback_id", TaskID(row))}
	switch _, refused := errors.AsType[*intake.RefusedError](err); {
	case refusedAs(err, intake.CodeKeyReused):
		n.log.InfoContext(ctx, "callback was over before", attrs...)
		return nil
	case refused:
		return task.Permanent(fmt.Errorf("callback of task %s: %w", row.ID, err))
	case err != nil:
		return fmt.Errorf("callback of task %s: %w", row.ID, err)
	}
	n.log.InfoContext(ctx, "callback accepted", append(attrs, slog.Bool("created", created))...)
	return nil
}

// payload is what there is to tell of an end.
func (n *Notifier) payload(ctx context.Context, row *tasktable.Row) (payload, error) {
	p := payload{Task: row.Task()}
	if row.Status != task.Succeeded || row.Result != nil || row.ResultRef == "" {
		return p, nil
	}
	result, err := n.results.Result(ctx, row)
	if errors.Is(err, tasktable.ErrNotFound) {
		p.ResultOmitted = true
		return p, nil
	}
	p.Result = result
	return p, err
}

// submit hands in the delivery. A bulk task's is no more urgent than the task.
func (n *Notifier) submit(ctx context.Context, row *tasktable.Row, p payload) (created bool, err error) {
	data, err := encode(p)
	if err != nil {
		return false, task.Permanent(err) // a stored result that is not JSON
	}
	input, err := encode(webhook.Input{URL: row.CallbackURL, Event: "task." + string(row.Status), Payload: data})
	if err != nil {
		return false, err
	}
	_, created, err = n.in.Submit(ctx, intake.Request{
		ID: TaskID(row), Tenant: row.Tenant, Type: webhook.Type, Input: input, Priority: row.Priority,
	})
	return created, err
}

// encode writes JSON without escapes for HTML, which would only make it longer.
func encode(v any) (json.RawMessage, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), err
}

func refusedAs(err error, code string) bool {
	refused, ok := errors.AsType[*intake.RefusedError](err)
	return ok && refused.Code == code
}
