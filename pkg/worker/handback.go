package worker

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/spillway-go/spillway/pkg/workqueue"
)

// sideline moves messages to the backlog queue: sent, confirmed, then
// acknowledged. It returns those that were passed on too often to move again.
func (s *shift) sideline(ctx context.Context, jobs []*job) (stuck []*job) {
	return s.moveTo(ctx, s.w.queues.Backlog, jobs, func(*job) time.Duration { return 0 })
}

// moveTo replaces messages by fresh copies on a queue and acknowledges those
// that have arrived there. It returns those that have used up their hops; one
// that could not be sent comes back.
func (s *shift) moveTo(ctx context.Context, queue Queue, jobs []*job, delay func(*job) time.Duration) (stuck []*job) {
	var copies []workqueue.Outgoing
	var moving []*job
	for _, j := range jobs {
		out, err := workqueue.Copy(j.rec)
		if err != nil {
			stuck = append(stuck, j)
			continue
		}
		out.Delay = min(delay(j), workqueue.MaxDelay)
		copies, moving = append(copies, out), append(moving, j)
	}
	if len(copies) == 0 {
		return stuck
	}
	for i, err := range queue.SendBatch(ctx, copies) {
		if err != nil {
			s.w.opts.Logger.ErrorContext(ctx, "message not moved", slog.String("message_id", moving[i].rec.MessageId), slog.Any("error", err))
			moving[i].back(max(moving[i].after, outageWait))
			continue
		}
		moving[i].ack()
	}
	return stuck
}

// handBack arranges for the returning jobs among those given. Every receive
// counts for SQS, so a message that was received half as often as the redrive
// policy allows is replaced by a fresh copy: being handed back never makes a
// dead letter.
func (s *shift) handBack(ctx context.Context, jobs []*job) {
	var worn []*job
	var changes []workqueue.Visibility
	var changed []*job
	for _, j := range jobs {
		switch {
		case j.fate != returning:
		case workqueue.Receives(j.rec) >= s.w.opts.MaxReceiveCount/2:
			worn = append(worn, j)
		default:
			changes = append(changes, workqueue.Visibility{Receipt: j.rec.ReceiptHandle, After: j.after})
			changed = append(changed, j)
		}
	}
	stuck := s.moveTo(ctx, s.source, worn, func(j *job) time.Duration { return j.after })
	s.reject(ctx, stuck, "hops_exhausted", "the message was handed back too often")
	for _, j := range worn { // those that could not be sent
		if j.fate == returning {
			changes = append(changes, workqueue.Visibility{Receipt: j.rec.ReceiptHandle, After: j.after})
			changed = append(changed, j)
		}
	}
	if len(changes) == 0 {
		return
	}
	for i, err := range s.source.ChangeVisibility(ctx, changes) {
		changed[i].fate = returned
		// Without it the message comes back when its visibility timeout ends.
		if err != nil && !errors.Is(err, workqueue.ErrReceiptGone) {
			s.w.opts.Logger.WarnContext(ctx, "visibility not changed", slog.String("message_id", changed[i].rec.MessageId), slog.Any("error", err))
		}
	}
}
