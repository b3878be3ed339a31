package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
)

// tell calls an observer's function. It takes the event by value and makes no
// closure, so it allocates nothing.
func tell[E any](ctx context.Context, s *shift, observe func(context.Context, E), e E) {
	if observe == nil {
		return
	}
	defer func() {
		if p := recover(); p != nil { // what is only watched goes on
			s.log.ErrorContext(ctx, "observer panicked", slog.String("event", fmt.Sprintf("%T", e)), slog.Any("error", &task.PanicError{Value: p}))
		}
	}()
	observe(ctx, e)
}

// subject is what is known of a job's task.
func (j *job) subject() Subject {
	if r := j.row; r != nil {
		return Subject{MessageID: j.rec.MessageID, TaskID: r.ID, Type: r.Type, Tenant: r.Tenant, Run: r.Run}
	}
	return Subject{MessageID: j.rec.MessageID, TaskID: j.msg.TaskID, Type: j.msg.Type, Tenant: j.msg.Tenant, Run: j.msg.Run}
}

func (s *shift) tellBegun(ctx context.Context) {
	tell(ctx, s, s.w.opts.Observer.BatchBegun, BatchBegun{Queue: string(s.in), Records: len(s.jobs)})
}

func (s *shift) tellDone(ctx context.Context, back int) {
	e := BatchDone{
		Queue: string(s.in), Records: len(s.jobs), Begun: s.ledger.begun(), Back: back, Rejected: s.rejected, Took: time.Since(s.start),
	}
	s.log.InfoContext(ctx, "batch done", slog.Int("records", e.Records), slog.Int("begun", e.Begun), slog.Int("back", e.Back), slog.Int("rejected", e.Rejected))
	tell(ctx, s, s.w.opts.Observer.BatchDone, e)
}

func (s *shift) tellAttempt(ctx context.Context, j *job) {
	tell(ctx, s, s.w.opts.Observer.AttemptBegun, AttemptBegun{Subject: j.subject(), Attempt: j.row.Counted()})
}

func (s *shift) tellAttemptEnded(ctx context.Context, v *verdict) {
	observe := s.w.opts.Observer.AttemptEnded
	if observe == nil {
		return
	}
	e := AttemptEnded{Subject: v.job.subject(), Attempt: v.job.row.Counted(), Took: v.took, Class: v.class()}
	switch e.Class {
	case ClassError, ClassPermanent, ClassTimeout, ClassPanic:
		e.Code = task.FailureOf(v.err).Code
		if errors.Is(v.err, task.ErrYield) {
			e.Code = task.CodeNoProgress
		}
	default: // no failure
	}
	tell(ctx, s, observe, e)
}

// class is how a begun attempt ended.
func (v *verdict) class() Class {
	switch {
	case v.err == nil:
		return ClassSuccess
	case errors.Is(v.err, task.ErrDeferred):
		return ClassDeferred
	case errors.Is(v.err, task.ErrLeaseLost):
		return ClassLeaseLost
	case v.canceled:
		return ClassCanceled
	case errors.Is(v.err, task.ErrYield) && v.advanced:
		return ClassYielded
	case task.IsPermanent(v.err):
		return ClassPermanent
	}
	if _, panicked := errors.AsType[*task.PanicError](v.err); panicked {
		return ClassPanic
	}
	if errors.Is(v.err, context.DeadlineExceeded) {
		return ClassTimeout
	}
	return ClassError
}

// tellSettled tells what the table made of a verdict.
func (s *shift) tellSettled(ctx context.Context, v *verdict, r tasktable.Settled) {
	id := slog.String("task_id", v.job.row.ID)
	outcome := Outcome(r.Status) // of a task that has ended
	switch {
	case r.Lost:
		outcome = OutcomeLeaseLost
		s.log.WarnContext(ctx, "lease lost: a newer worker owns the task", id)
	case r.Status != task.Queued:
		if r.Status == task.Running {
			outcome = OutcomeDeferred
		}
		s.log.DebugContext(ctx, "task settled", id, slog.String("status", string(r.Status)))
	case v.step == yield:
		outcome = OutcomeYielded
		s.log.DebugContext(ctx, "task goes on in another invocation", id)
	case v.step == release:
		outcome = OutcomeReleased
	default:
		outcome = OutcomeRetry
	}
	s.tellOutcome(ctx, v, outcome)
}

func (s *shift) tellOutcome(ctx context.Context, v *verdict, outcome Outcome) {
	tell(ctx, s, s.w.opts.Observer.Settled, Settled{Subject: v.job.subject(), Outcome: outcome, Attempts: v.attempts(), Code: v.record.Code})
}

// tellExpired tells of a task that had ended before it was claimed.
func (s *shift) tellExpired(ctx context.Context, j *job, row *tasktable.Row) {
	if row != nil && row.Status == task.Expired {
		tell(ctx, s, s.w.opts.Observer.Settled, Settled{Subject: j.subject(), Outcome: OutcomeExpired})
	}
}

func (s *shift) tellMoved(ctx context.Context, j *job, to string, why Reason, code string, until time.Time) {
	tell(ctx, s, s.w.opts.Observer.Moved, Moved{Subject: j.subject(), From: string(s.in), To: to, Why: why, Code: code, Until: until})
}

func (s *shift) tellWaited(ctx context.Context, j *job) {
	tell(ctx, s, s.w.opts.Observer.Waited, Waited{Subject: j.subject(), Why: j.why, Until: j.at})
}
