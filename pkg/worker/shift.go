package worker

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/spillway-go/spillway/internal/route"
	"github.com/spillway-go/spillway/pkg/batch"
	"github.com/spillway-go/spillway/pkg/event"
)

// shift is one batch being worked through: triage, claim, work. Handlers and
// the ledger's timer run beside it; they share the ledger and the jobs that it
// has a verdict on.
type shift struct {
	w      *Worker
	log    *slog.Logger
	in     route.Role // of the queue that the batch comes from
	source Queue      // that queue

	start    time.Time
	limited  bool // by the invocation's deadline
	deadline time.Time
	margin   time.Duration // before the deadline, when handlers should have ended
	answerBy time.Time     // when every call should have ended
	leaseEnd time.Time     // of the claims

	jobs   []*job
	wanted []*job // to be claimed
	ready  []*job // claimed
	alone  []*job // claimed, and the last worker vanished

	rejected int // messages without a task of ours
	ledger   ledger
}

func (w *Worker) newShift(ctx context.Context, messages []event.SQSMessage) *shift {
	s := &shift{w: w, log: w.opts.Logger, start: time.Now(), jobs: make([]*job, len(messages))}
	s.ledger.shift, s.ledger.flushing = s, make(chan struct{}, 1)
	jobs := make([]job, len(messages))
	for i := range messages {
		jobs[i].rec = &messages[i]
		s.jobs[i] = &jobs[i]
	}
	if s.deadline, s.limited = ctx.Deadline(); s.limited {
		left := time.Until(s.deadline)
		if s.margin = min(w.opts.Margin, left/2); s.margin <= 0 {
			s.margin = batch.DefaultMargin(left)
		}
		s.answerBy = s.deadline.Add(-s.margin / 4)
	}
	s.leaseEnd = s.lease()
	if len(messages) > 0 {
		s.in = w.queues.Source(messages[0].Queue())
		s.source = w.queues[s.in]
	}
	return s
}

// unclaimed are the jobs whose tasks are not ours, so that no settlement,
// which may be under way, decides about them.
func (s *shift) unclaimed() []*job {
	return slices.DeleteFunc(slices.Clone(s.jobs), func(j *job) bool { return j.row != nil })
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

// limit ends ctx early enough that the answer gets out, whatever hangs.
func (s *shift) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	if !s.limited {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, s.answerBy)
}

// closingTime is for settling a canceled batch that has no deadline.
const closingTime = 30 * time.Second

// closing is limit for what has to be written although ctx may be canceled.
func (s *shift) closing(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx = context.WithoutCancel(ctx)
	if !s.limited {
		return context.WithTimeout(ctx, closingTime)
	}
	return context.WithDeadline(ctx, s.answerBy)
}

// fits reports whether there is time to begin another task. The first one of a
// batch begins whenever there is any: only running one shows that it is quick.
func (s *shift) fits(ctx context.Context) bool {
	if ctx.Err() != nil {
		return false
	}
	expected := s.w.guard.Longest()
	if s.ledger.begun() == 0 {
		expected = 0
	}
	return !s.limited || time.Until(s.deadline)-s.margin > expected
}
