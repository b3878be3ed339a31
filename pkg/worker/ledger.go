package worker

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

// kind says what a verdict is about.
type kind int

const (
	ended             kind = iota // the handler returned, panicked or was abandoned
	notBegun                      // handed back, no attempt
	notBegunCanceled              // a cancel was requested before it began
	notBegunOverdue               // its deadline is over
	notBegunExhausted             // its attempts are used up
)

// verdict is how the work on one task ended.
type verdict struct {
	job    *job
	kind   kind
	result json.RawMessage
	err    error

	canceled bool // the handler has seen that a cancel was requested
}

// ledger collects verdicts and settles them together: when the batch is
// through, or when the oldest has waited long enough.
type ledger struct {
	shift *shift

	mu      sync.Mutex
	pending []verdict
	timer   *time.Timer

	flushing sync.Mutex // one settlement at a time
	timers   sync.WaitGroup
}

// add takes the first verdict on a job and drops later ones, which come from
// handlers that had been given up.
func (l *ledger) add(ctx context.Context, v verdict) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if v.job.ended {
		return
	}
	v.job.ended, v.canceled = true, v.job.cancelSeen
	l.pending = append(l.pending, v)
	if l.timer == nil {
		l.timers.Add(1)
		l.timer = time.AfterFunc(l.shift.w.opts.SettleWithin, func() {
			defer l.timers.Done()
			l.flush(ctx)
		})
	}
}

// begin counts a handler that is about to run.
func (l *ledger) begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shift.begun++
}

func (l *ledger) sawCancel(j *job) {
	l.mu.Lock()
	defer l.mu.Unlock()
	j.cancelSeen = true
}

// close settles what is pending and waits for settlements under way.
func (l *ledger) close(ctx context.Context) {
	l.flush(ctx)
	l.timers.Wait()
}

func (l *ledger) flush(ctx context.Context) {
	l.flushing.Lock()
	defer l.flushing.Unlock()
	l.mu.Lock()
	verdicts := l.pending
	l.pending = nil
	if l.timer != nil && l.timer.Stop() {
		l.timers.Done() // it will not run
	}
	l.timer = nil
	l.mu.Unlock()
	if len(verdicts) > 0 {
		l.shift.settle(ctx, verdicts)
	}
}

// settle writes verdicts to the table, in one call, and decides what becomes
// of the messages. A dead letter is sent, and its arrival confirmed, before
// its row says so.
func (s *shift) settle(ctx context.Context, verdicts []verdict) {
	settlements := make([]tasktable.Settlement, 0, len(verdicts))
	jobs := make([]*job, 0, len(verdicts))
	var dead []verdict
	for _, v := range verdicts {
		if s.exhausted(v) {
			dead = append(dead, v)
			continue
		}
		if st, ok := s.settlement(ctx, v); ok {
			settlements, jobs = append(settlements, st), append(jobs, v.job)
		}
	}
	for i, err := range s.bury(ctx, dead) {
		st := s.deadLettered(dead[i], err)
		settlements, jobs = append(settlements, st), append(jobs, dead[i].job)
	}
	var tooLarge []tasktable.Settlement
	var tooLargeJobs, aside []*job
	for i, r := range s.w.table.Settle(ctx, settlements) {
		j := jobs[i]
		switch {
		case r.IsTooLarge():
			f := task.Failure{Code: "result_too_large", Message: "the result does not fit into the table"}
			tooLarge, tooLargeJobs = append(tooLarge, tasktable.Fail(j.row, f)), append(tooLargeJobs, j)
		case s.settled(ctx, j, settlements[i], r):
			aside = append(aside, j)
		}
	}
	for i, r := range s.w.table.Settle(ctx, tooLarge) {
		s.settled(ctx, tooLargeJobs[i], tooLarge[i], r)
	}
	// A task that failed too often for the tasks queue waits for its next
	// attempt in the backlog queue.
	s.moveTo(ctx, s.w.queues.Backlog, aside, func(j *job) time.Duration { return j.after })
	s.handBack(ctx, jobs)
}

// exhausted reports whether a verdict is the end of a task's attempts.
func (s *shift) exhausted(v verdict) bool {
	switch {
	case v.kind == notBegunExhausted:
		return true
	case v.kind != ended, v.err == nil, v.canceled:
		return false
	case errors.Is(v.err, task.ErrDeferred), errors.Is(v.err, task.ErrLeaseLost), task.IsPermanent(v.err):
		return false
	default:
		return v.job.row.Counted() >= s.w.opts.MaxAttempts
	}
}

// settlement is how a verdict that needs no dead letter is written; none if
// somebody else owns the task.
func (s *shift) settlement(ctx context.Context, v verdict) (tasktable.Settlement, bool) {
	r := v.job.row
	switch v.kind {
	case notBegun:
		if v.err != nil {
			s.w.opts.Logger.WarnContext(ctx, "task not begun", slog.String("task_id", r.ID), slog.Any("error", v.err))
		}
		return tasktable.Release(r), true
	case notBegunCanceled:
		return tasktable.Cancel(r).Uncounted(), true
	case notBegunOverdue:
		return tasktable.Expired(r), true
	default:
	}
	switch {
	case v.err == nil:
		return tasktable.Succeed(r, v.result), true
	case errors.Is(v.err, task.ErrDeferred):
		return tasktable.Defer(r), true
	case errors.Is(v.err, task.ErrLeaseLost):
		v.job.back(outageWait)
		return tasktable.Settlement{}, false
	case v.canceled:
		return tasktable.Cancel(r), true
	}
	f := task.FailureOf(v.err)
	s.w.opts.Logger.WarnContext(ctx, "attempt failed", slog.String("task_id", r.ID), slog.String("type", r.Type),
		slog.Int("attempt", r.Counted()), slog.String("code", f.Code), slog.String("message", f.Message), slog.Bool("retryable", f.Retryable))
	if task.IsPermanent(v.err) {
		return tasktable.Fail(r, f), true
	}
	return tasktable.Retry(r, f, time.Now().Add(s.retryDelay(v))), true
}

// retryDelay is how long a failed task waits: as its handler asked, else full
// jitter. Visibility timeouts have whole seconds, and so has this, rounded up,
// so that the message is not back before the row may be claimed.
func (s *shift) retryDelay(v verdict) time.Duration {
	d, asked := task.RetryDelay(v.err)
	if !asked {
		d = s.w.opts.Backoff.Delay(v.job.row.Counted(), nil)
	}
	return min(d, workqueue.MaxVisibility)
}

// bury sends the dead letters of tasks whose attempts are used up.
func (s *shift) bury(ctx context.Context, verdicts []verdict) []error {
	if len(verdicts) == 0 {
		return nil
	}
	errs := make([]error, len(verdicts))
	var letters []workqueue.Outgoing
	var index []int
	for i, v := range verdicts {
		f := s.lastFailure(v)
		attempts := v.job.row.Attempts
		if v.kind == ended {
			attempts = v.job.row.Counted()
		}
		letter, err := s.letter(ctx, v.job, v.job.row.Run, f, attempts)
		if err != nil {
			errs[i] = err
			continue
		}
		letters, index = append(letters, letter), append(index, i)
	}
	for n, err := range s.w.queues.DeadLetter.SendBatch(ctx, letters) {
		errs[index[n]] = err
	}
	return errs
}

// lastFailure is what a dead letter says.
func (s *shift) lastFailure(v verdict) task.Failure {
	switch r := v.job.row; {
	case v.kind == ended:
		return task.FailureOf(v.err)
	case r.Vanished() || r.Error == nil:
		return task.Failure{Code: task.CodeWorkerLost, Message: "the worker vanished in every attempt: it crashed, or ran into its time-out", Retryable: true}
	default:
		return *r.Error
	}
}

// deadLettered is how a task is settled whose dead letter was sent, or could
// not be: then the task stays queued with its attempts used up, and whoever
// claims it next sends the dead letter without running it.
func (s *shift) deadLettered(v verdict, err error) (st tasktable.Settlement) {
	f, r := s.lastFailure(v), v.job.row
	switch {
	case err != nil:
		st = tasktable.Retry(r, f, time.Now().Add(outageWait/2+rand.N(outageWait)))
	default:
		st = tasktable.DeadLetter(r, f)
	}
	if v.kind == notBegunExhausted {
		return st.Uncounted()
	}
	return st
}

// settled decides what becomes of a message once its task is settled, and
// reports whether it should move to the backlog queue.
func (s *shift) settled(ctx context.Context, j *job, st tasktable.Settlement, r tasktable.Settled) (aside bool) {
	switch {
	case r.Err != nil:
		s.unanswered(ctx, j, r.Err)
	case r.Lost:
		s.w.opts.Logger.WarnContext(ctx, "lease lost: a newer worker owns the task", slog.String("task_id", j.row.ID))
		if r.Now == nil || r.Now.Status.Finished() {
			j.ack()
		} else {
			j.holdBack(r.Now)
		}
	case r.Status != task.Queued:
		j.ack()
		s.w.opts.Logger.DebugContext(ctx, "task settled", slog.String("task_id", j.row.ID), slog.String("status", string(r.Status)))
	default:
		j.back(st.Wait())
		return s.fresh && st.Counts() && j.row.Counted() >= s.w.opts.BacklogFailures
	}
	return false
}
