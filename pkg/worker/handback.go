package worker

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/spillway-go/spillway/internal/route"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

// handBack arranges for the returning jobs among those given. Every receive
// counts for SQS, so a message that was received half as often as the redrive
// policy allows is replaced by a fresh copy: being handed back never makes a
// dead letter. One that has used up its hops stays, and has the other half of
// its receives left; only a message that nobody can read is rejected then. The
// message of a task that yielded is always replaced, by one with all its hops:
// the checkpoint bounds how often.
func (s *shift) handBack(ctx context.Context, jobs []*job) {
	ctx, cancel := s.closing(ctx)
	defer cancel()
	var worn []*job
	for _, j := range jobs {
		if j.fate == returning && (j.anew || s.worn(j)) {
			worn = append(worn, j)
		}
	}
	unread := slices.DeleteFunc(s.moveTo(ctx, s.in, worn, WhyWorn), func(j *job) bool { return j.msg.TaskID != "" })
	s.reject(ctx, unread, codeHops, "the message was handed back too often")
	s.hide(ctx, jobs)
}

// hide lets the returning jobs come back when they should. Where that fails,
// they come back when their visibility timeout ends.
func (s *shift) hide(ctx context.Context, jobs []*job) {
	var changes []workqueue.Visibility
	var changed []*job
	for _, j := range jobs {
		if j.fate == returning {
			j.fate = returned
			s.tellWaited(ctx, j)
			changes = append(changes, workqueue.Visibility{Receipt: j.rec.ReceiptHandle, After: time.Until(j.at)})
			changed = append(changed, j)
		}
	}
	if len(changes) == 0 {
		return
	}
	for i, err := range s.source.ChangeVisibility(ctx, changes) {
		if err != nil && !errors.Is(err, workqueue.ErrReceiptGone) {
			s.log.WarnContext(ctx, "visibility not changed", slog.String("message_id", changed[i].rec.MessageID), slog.Any("error", err))
		}
	}
}

// worn reports whether a message has to be replaced by a copy to come back.
func (s *shift) worn(j *job) bool { return j.rec.ReceiveCount >= s.w.opts.MaxReceiveCount/2 }

// stuck reports whether a message has to be replaced and cannot be.
func (s *shift) stuck(j *job) bool {
	if !s.worn(j) {
		return false
	}
	_, err := workqueue.Copy(j.rec)
	return err != nil
}

// reroute asks the router where a message should wait, and reports whether that
// is another queue. The caller fills in of t what it decides by.
func (s *shift) reroute(j *job, t route.Task) bool {
	t.Priority, t.Tenant, t.In = j.msg.Priority, j.msg.Tenant, s.in
	j.to = route.Choose(s.w.queues, route.Rules{BacklogAfter: s.w.opts.BacklogAfter, BacklogFailures: s.w.opts.BacklogFailures}, t)
	return j.to != s.in
}

// move is moveTo for messages that were rerouted.
func (s *shift) move(ctx context.Context, jobs []*job, why Reason) (stuck []*job) {
	byQueue := map[route.Role][]*job{}
	for _, j := range jobs {
		byQueue[j.to] = append(byQueue[j.to], j)
	}
	for _, to := range slices.Sorted(maps.Keys(byQueue)) {
		stuck = append(stuck, s.moveTo(ctx, to, byQueue[to], why)...)
	}
	return stuck
}

// moveTo replaces messages by fresh copies on a queue, to be received when the
// originals would come back, and acknowledges those whose copies have arrived.
// It returns those that cannot be copied: they have used up their hops, or
// have no room to count them. One that could not be sent comes back.
func (s *shift) moveTo(ctx context.Context, to route.Role, jobs []*job, why Reason) (stuck []*job) {
	var copies []workqueue.Outgoing
	var moving []*job
	for _, j := range jobs {
		out, err := j.copy()
		if err != nil {
			stuck = append(stuck, j)
			continue
		}
		if j.fate == returning {
			out.Delay = min(max(time.Until(j.at), 0), workqueue.MaxDelay)
		}
		copies, moving = append(copies, out), append(moving, j)
	}
	if len(copies) == 0 {
		return stuck
	}
	for i, err := range s.w.queues[to].SendBatch(ctx, copies) {
		j := moving[i]
		switch {
		case err == nil:
			s.moved(ctx, j, to, why)
		case j.fate != returning || time.Until(j.at) < outageWait:
			j.back(outageWait, WhyUnavailable)
		}
		if err != nil {
			s.log.ErrorContext(ctx, "message not moved", slog.String("message_id", j.rec.MessageID), slog.Any("error", err))
		}
	}
	return stuck
}

// moved acknowledges a message whose copy has arrived in a queue.
func (s *shift) moved(ctx context.Context, j *job, to route.Role, why Reason) {
	var until time.Time
	switch {
	case j.anew:
		why = WhyYielded
	case j.fate == returning:
		until = j.at
		s.tellWaited(ctx, j)
	}
	s.tellMoved(ctx, j, string(to), why, "", until)
	j.ack()
}
