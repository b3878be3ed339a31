package worker

import (
	"context"
	"log/slog"

	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
)

// claim leases the wanted tasks and sorts out what comes back. What was just
// replayed is claimed in a second round.
func (s *shift) claim(ctx context.Context) {
	for round := 0; round < 2 && len(s.wanted) > 0; round++ {
		jobs := s.wanted
		s.wanted = nil
		var absent []*job
		for i, c := range s.w.table.Claim(ctx, tasktable.NewOwner(), s.leaseEnd, ids(jobs)) {
			j := jobs[i]
			switch c.Outcome {
			case tasktable.Claimed:
				s.claimed(ctx, j, c.Row)
			case tasktable.Held:
				j.holdBack(c.Row)
			case tasktable.Finished:
				if s.replayed(ctx, j, c.Row) {
					s.wanted = append(s.wanted, j)
				}
			case tasktable.Absent:
				absent = append(absent, j)
			default:
				s.unanswered(ctx, j, c.Err)
			}
		}
		s.rejectAbsent(ctx, absent)
	}
	for _, j := range s.wanted {
		j.back(0, WhyHeld)
	}
}

// claimed sorts a task that is ours now.
func (s *shift) claimed(ctx context.Context, j *job, row *tasktable.Row) {
	j.row = row
	if j.msg.Run > row.Run {
		// The replay that sent this message did not get to its own write, or
		// SQS's own redrive sent it.
		if err := s.w.table.Rerun(ctx, row, j.msg.Run); err != nil {
			s.ledger.add(ctx, verdict{job: j, step: release, err: err})
			return
		}
	}
	switch {
	case row.CancelRequested:
		s.ledger.add(ctx, verdict{job: j, step: cancelTask})
	case row.Deadline <= s.start.UnixMilli():
		s.ledger.add(ctx, verdict{job: j, step: expireTask})
	case row.Attempts >= s.w.opts.MaxAttempts:
		s.ledger.add(ctx, verdict{job: j, step: bury})
	case row.Vanished():
		s.alone = append(s.alone, j)
	default:
		s.ready = append(s.ready, j)
	}
}

// holdBack lets a message of a task that somebody holds come back when the
// hold ends. A deferred task is held for ever: its message has done its work.
func (j *job) holdBack(row *tasktable.Row) {
	if row.ClaimableAt == tasktable.Never {
		j.ack()
		return
	}
	j.backAt(row.ClaimableAt, WhyHeld)
}

// replays reports whether the message was sent for a newer run of a task that
// has ended and may be run again.
func (j *job) replays(row *tasktable.Row) bool {
	return j.msg.Run > row.Run && row.Status.CanBecome(task.Queued)
}

// replayed deals with the message of a task that has ended. If its run is
// above the row's and the task may be replayed, it makes the replay's write
// and reports that the row has to be looked at again. Else the message is a
// duplicate.
func (s *shift) replayed(ctx context.Context, j *job, row *tasktable.Row) (again bool) {
	if !j.replays(row) {
		j.ack()
		return false
	}
	// Who has made the write, this call or somebody else, makes no difference.
	if _, err := s.w.table.Replay(ctx, row.ID, j.msg.Run); err != nil {
		s.unanswered(ctx, j, err)
		return false
	}
	return true
}

// unanswered lets a message come back whose task could not be reached.
func (s *shift) unanswered(ctx context.Context, j *job, err error) {
	s.log.ErrorContext(ctx, "task table did not answer", slog.String("task_id", j.msg.TaskID), slog.Any("error", err))
	if j.row != nil { // claimed: nobody can begin before the lease ends
		j.backAt(s.leaseEnd.UnixMilli(), WhyUnavailable)
		return
	}
	j.back(outageWait, WhyUnavailable)
}
