// Package parked carries out an operator's decision on messages that wait for
// one, such as the compensations that a saga has parked. Each decision is a job
// with an audit trail.
package parked

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/spillway-go/spillway/internal/id"
	"github.com/spillway-go/spillway/internal/job"
	"github.com/spillway-go/spillway/pkg/redrive"
)

// Kind is what an operator decided.
type Kind string

// The kinds of decisions.
const (
	KindResume Kind = "resume" // run again what the message is about
	KindSkip   Kind = "skip"   // leave it undone
	KindDone   Kind = "done"   // it was done by hand
)

// Decision is what an operator decided about the messages of one step.
type Decision struct {
	Kind      Kind   `json:"kind"`
	Queue     string `json:"queue"`         // name of the queue in which they wait
	Max       int    `json:"max,omitempty"` // how many there were
	By        string `json:"by,omitempty"`
	RequestID string `json:"request_id,omitempty"`
	Execution string `json:"execution,omitempty"`
	Step      string `json:"step,omitempty"`
	Reason    string `json:"reason,omitempty"`
}

type state struct {
	job.Progress
	Max int `json:"max,omitempty"`
}

type entry struct {
	MessageID string      `json:"message_id"`
	Outcome   job.Outcome `json:"outcome,omitempty"`
	Reason    string      `json:"reason,omitempty"`
}

func (e entry) Key() string        { return e.MessageID }
func (e entry) Result() job.Result { return job.Result{Outcome: e.Outcome, Reason: e.Reason} }

// Resolver carries out decisions. It is safe for concurrent use.
type Resolver struct {
	letters *redrive.Redrive
	jobs    *job.Engine[Decision, *state, entry]
}

// New returns a [Resolver] for the queues of letters, whose jobs are in the same
// control table. A nil logger is [slog.Default].
func New(client job.API, table string, letters *redrive.Redrive, logger *slog.Logger) *Resolver {
	return &Resolver{letters: letters, jobs: job.New[Decision, *state, entry](client, table, job.Spec[Decision, *state]{
		New: func() *state { return &state{} }, Lock: func(d Decision) string { return d.Queue },
	}, job.Options{Logger: logger})}
}

// Resolve finds the messages that match, writes down what is intended, calls act
// once, and when that succeeds deletes the messages and writes down that it is
// done. All other messages are visible again afterwards. It returns the id of
// the job, and [redrive.ErrNotFound] if no message matches.
//
// After a crash the messages are still in the queue and the intent is in the
// trail, so act may be called again; so it may after an error of act, which is
// returned as it is.
func (r *Resolver) Resolve(ctx context.Context, d Decision, match func(*redrive.Letter) bool, act func(context.Context, *redrive.Letter) error) (jobID string, err error) {
	held, err := r.letters.Hold(ctx, d.Queue, match)
	if err != nil {
		return "", err
	}
	defer held.Release(ctx)
	d.By, d.Max = job.CleanBy(d.By), len(held.Letters)
	begun := &state{Progress: job.Progress{StartedAt: time.Now().UnixMilli()}, Max: d.Max}
	x, err := r.jobs.Start(ctx, id.New(), d, begun, job.Event{What: "begun", By: d.By, RequestID: d.RequestID})
	if err != nil {
		return "", err
	}
	return x.Job.ID, r.resolve(ctx, x, held, act)
}

// resolve acts, and leaves enough of the time to write down what came of it.
func (r *Resolver) resolve(ctx context.Context, x *job.Run[Decision, *state, entry], held *redrive.Held, act func(context.Context, *redrive.Letter) error) error {
	books, cancel := job.Closing(ctx)
	defer cancel()
	var failed error
	what := job.Failed
	_, err := x.Step(books, entries(held, job.Intended, ""), func(context.Context) ([]entry, error) {
		acting, cancel := leavingMargin(ctx)
		defer cancel()
		if failed = act(acting, held.Letters[0]); failed != nil {
			return entries(held, job.Failed, "the action failed"), nil
		}
		return entries(held, job.Resolved, ""), nil
	})
	if err == nil && failed == nil {
		what = job.Resolved
		err = held.Delete(books)
	}
	return errors.Join(failed, err, x.Leave(books, job.Done), r.jobs.Audit(books, x.Job.ID, job.Event{What: string(what)}))
}

// leavingMargin ends early enough before ctx to write down what was done.
func leavingMargin(ctx context.Context) (context.Context, context.CancelFunc) {
	end, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, end.Add(-job.Margin))
}

func entries(held *redrive.Held, outcome job.Outcome, reason string) []entry {
	all := make([]entry, len(held.Letters))
	for i, l := range held.Letters {
		all[i] = entry{l.MessageID, outcome, reason}
	}
	return all
}
