package worker

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/spillway-go/spillway/internal/route"
	"github.com/spillway-go/spillway/pkg/batch"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

// settle writes verdicts to the table, in one call, and decides what becomes
// of the messages. A dead letter is sent, and its arrival confirmed, before
// its row says so.
func (s *shift) settle(ctx context.Context, verdicts []verdict) {
	ctx, cancel := s.closing(ctx)
	defer cancel()
	var dead, settling []*verdict
	for i := range verdicts {
		v := &verdicts[i]
		s.decide(v)
		s.explain(ctx, v)
		s.logVerdict(ctx, v)
		switch v.step {
		case drop:
			s.tellOutcome(ctx, v, OutcomeLeaseLost)
			v.job.back(outageWait, WhyLeaseLost) // then its new owner's lease says when
		case bury:
			dead = append(dead, v)
		default:
			settling = append(settling, v)
		}
	}
	s.bury(ctx, dead)
	aside := s.write(ctx, append(settling, dead...))
	// Without room for another hop it waits where it is.
	_ = s.move(ctx, aside, WhyFailedOften)
	jobs := make([]*job, len(verdicts))
	for i := range verdicts {
		jobs[i] = verdicts[i].job
	}
	s.handBack(ctx, jobs)
}

// bury sends dead letters. A task whose letter could not be sent stays queued
// with its attempts used up, and whoever claims it next sends the letter
// without running it. One that was not begun and has attempts left is handed
// back, and keeps the mark of a vanished worker.
func (s *shift) bury(ctx context.Context, verdicts []*verdict) {
	if len(verdicts) == 0 {
		return
	}
	jobs, records := make([]*job, len(verdicts)), make([]workqueue.FailureRecord, len(verdicts))
	for i, v := range verdicts {
		jobs[i], records[i] = v.job, v.record
	}
	for i, err := range s.sendLetters(ctx, jobs, records) {
		if err != nil {
			s.log.ErrorContext(ctx, "dead letter not sent", slog.String("task_id", jobs[i].row.ID), slog.Any("error", err))
			v := verdicts[i]
			v.step, v.wait = retry, outageWait/2+rand.N(outageWait)
			if !v.begun && v.attempts() < s.w.opts.MaxAttempts {
				v.step = release
			}
			continue
		}
		s.tellMoved(ctx, jobs[i], DeadLetters, WhyBuried, records[i].Code, time.Time{})
	}
}

// write settles verdicts and decides what becomes of their messages. It
// returns those that should wait in another queue.
func (s *shift) write(ctx context.Context, verdicts []*verdict) (aside []*job) {
	settlements := make([]tasktable.Settlement, len(verdicts))
	for i, v := range verdicts {
		settlements[i] = s.settlement(v)
	}
	var tooLarge []*verdict
	for i, r := range s.w.table.Settle(ctx, settlements) {
		v := verdicts[i]
		if r.IsTooLarge() && v.step == succeed {
			v.step, v.err = fail, errTooLarge
			s.explain(ctx, v)
			s.logVerdict(ctx, v)
			tooLarge = append(tooLarge, v)
		} else if s.settled(ctx, v, settlements[i], r) {
			aside = append(aside, v.job)
		}
	}
	if len(tooLarge) > 0 {
		s.write(ctx, tooLarge)
	}
	return aside
}

var errTooLarge = task.Permanent(task.Code("result_too_large", errors.New("the result does not fit into the table")))

// settled decides what becomes of a message once its task is settled, and
// reports whether it should move to another queue to wait for its next
// attempt.
func (s *shift) settled(ctx context.Context, v *verdict, st tasktable.Settlement, r tasktable.Settled) (aside bool) {
	j := v.job
	if r.Err != nil {
		s.unanswered(ctx, j, r.Err)
		return false
	}
	s.tellSettled(ctx, v, r)
	switch {
	case r.Lost:
		if r.Now == nil || r.Now.Status.Finished() {
			j.ack()
		} else {
			j.holdBack(r.Now)
		}
	case r.Status != task.Queued:
		j.ack()
	case v.step == yield:
		j.again()
	default:
		j.back(max(st.Wait(), v.wait), v.reason())
		return s.reroute(j, route.Task{Failures: v.attempts()})
	}
	return false
}

// reason is why the message of a task waits that is queued again.
func (v *verdict) reason() Reason {
	_, asked := task.RetryDelay(v.err)
	switch {
	case v.wait > 0:
		return WhyUnavailable
	case v.step == release:
		return WhyReleased
	case asked:
		return WhyRetryAfter
	default:
		return WhyRetry
	}
}

// logVerdict logs what went wrong, once for each attempt. It never logs an
// input or a result.
func (s *shift) logVerdict(ctx context.Context, v *verdict) {
	r := v.job.row
	attrs := []any{slog.String("task_id", r.ID), slog.String("type", r.Type), slog.String("then", string(v.step))}
	switch {
	case v.step == drop:
		s.log.WarnContext(ctx, "lease lost: a newer worker owns the task", attrs...)
	case v.step == bury || v.begun && (v.step == retry || v.step == fail):
		f := v.failure()
		if f.Code == task.CodeInvalidInput || f.Code == task.CodePanic {
			f.Message = "" // quotes the input, or may
		}
		attrs = append(attrs, slog.Int("attempt", v.attempts()), slog.String("code", f.Code),
			slog.String("error", f.Message), slog.Bool("retryable", f.Retryable))
		if v.step != retry {
			attrs = append(attrs, slog.String("fingerprint", v.record.Fingerprint))
		}
		s.log.WarnContext(ctx, "attempt failed", attrs...)
	case v.err != nil && !v.begun && !errors.Is(v.err, batch.ErrNotBegun):
		s.log.WarnContext(ctx, "task not begun", append(attrs, slog.Any("error", v.err))...)
	}
}
