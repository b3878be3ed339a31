package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

// triage decides what can be decided by looking at the messages alone, and
// leaves the rest in wanted. Nothing here costs a downstream call.
func (s *shift) triage(ctx context.Context) {
	var foreign, overdue, aged []*job
	kept := map[string]*job{}
	for _, j := range s.jobs {
		var err error
		j.msg, err = workqueue.DecodeRecord(j.rec)
		var notOurs *workqueue.ForeignError
		switch {
		case errors.As(err, &notOurs):
			foreign = append(foreign, j)
			s.w.opts.Logger.WarnContext(ctx, "foreign message", slog.String("message_id", j.rec.MessageId), slog.String("reason", notOurs.Reason))
			continue
		case err != nil: // a newer version
			j.back(newerVersionWait)
			s.w.opts.Logger.WarnContext(ctx, "message handed back", slog.String("message_id", j.rec.MessageId), slog.Any("error", err))
			continue
		}
		// A batch may hold two messages of one task. The one with the newer
		// run stands for both.
		if twin := kept[j.msg.TaskID]; twin != nil {
			if twin.msg.Run >= j.msg.Run {
				j.ack()
				continue
			}
			twin.ack()
		}
		kept[j.msg.TaskID] = j
	}
	for _, j := range s.jobs {
		if kept[j.msg.TaskID] != j {
			continue
		}
		switch {
		case !j.msg.Deadline.After(s.start):
			overdue = append(overdue, j)
		case s.fresh && s.start.Sub(j.msg.WaitingSince()) > s.w.opts.BacklogAfter:
			aged = append(aged, j)
		default:
			s.wanted = append(s.wanted, j)
		}
	}
	s.reject(ctx, foreign, workqueue.CodeForeign, "the message is not a task of this pipeline")
	s.expire(ctx, overdue)
	// What has been passed on too often already is worked on here.
	s.wanted = append(s.wanted, s.sideline(ctx, aged)...)
}

// expire ends tasks whose deadline is over.
func (s *shift) expire(ctx context.Context, jobs []*job) {
	if len(jobs) == 0 {
		return
	}
	claims := s.w.table.Expire(ctx, ids(jobs))
	var lost []*job
	for i, c := range claims {
		j := jobs[i]
		switch {
		case c.Outcome == tasktable.Finished && s.replayed(ctx, j, c.Row):
			// A replay of a task whose deadline is over: expire it now.
			j.back(0)
		case c.Outcome == tasktable.Finished:
			if j.fate == undecided {
				j.ack()
			}
		case c.Outcome == tasktable.Held && c.Row.ClaimableAt < s.start.UnixMilli():
			s.wanted = append(s.wanted, j) // its own deadline is later than the message's
		case c.Outcome == tasktable.Held:
			j.holdBack(c.Row)
		case c.Outcome == tasktable.Absent:
			lost = append(lost, j)
		default:
			s.unanswered(ctx, j, c.Err)
		}
	}
	s.reject(ctx, lost, workqueue.CodeForeign, "there is no task with this id, or it is not kept any more")
}

// claim leases the wanted tasks and sorts out what comes back.
func (s *shift) claim(ctx context.Context) {
	for round := 0; len(s.wanted) > 0 && round < 2; round++ {
		jobs := s.wanted
		s.wanted = nil
		var lost []*job
		for i, c := range s.w.table.Claim(ctx, tasktable.NewOwner(), s.leaseEnd, ids(jobs)) {
			j := jobs[i]
			switch c.Outcome {
			case tasktable.Claimed:
				s.claimed(ctx, j, c.Row)
			case tasktable.Held:
				j.holdBack(c.Row)
			case tasktable.Finished:
				if s.replayed(ctx, j, c.Row) {
					s.wanted = append(s.wanted, j) // for a second round
				} else if j.fate == undecided {
					j.ack()
				}
			case tasktable.Absent:
				lost = append(lost, j)
			default:
				s.unanswered(ctx, j, c.Err)
			}
		}
		s.reject(ctx, lost, workqueue.CodeForeign, "there is no task with this id, or it is not kept any more")
	}
	for _, j := range s.wanted {
		j.back(0)
	}
}

// claimed sorts a task that is ours now.
func (s *shift) claimed(ctx context.Context, j *job, row *tasktable.Row) {
	j.row = row
	if j.msg.Run > row.Run {
		// The replay that sent this message did not get to its own write, or
		// SQS's own redrive sent it.
		if err := s.w.table.Rerun(ctx, row, j.msg.Run); err != nil {
			s.unanswered(ctx, j, err)
			return
		}
	}
	switch {
	case row.CancelRequested:
		s.ledger.add(ctx, verdict{job: j, kind: notBegunCanceled})
	case row.Deadline <= s.start.UnixMilli():
		s.ledger.add(ctx, verdict{job: j, kind: notBegunOverdue})
	case row.Attempts >= s.w.opts.MaxAttempts:
		s.ledger.add(ctx, verdict{job: j, kind: notBegunExhausted})
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
	j.backAt(row.ClaimableAt)
}

// replayed makes the write of a replay whose message is here already, if the
// row's run is below the message's and its task may be replayed. When the
// table does not answer, the message comes back.
func (s *shift) replayed(ctx context.Context, j *job, row *tasktable.Row) bool {
	if j.msg.Run <= row.Run || !row.Status.CanBecome(task.Queued) {
		return false
	}
	done, err := s.w.table.Replay(ctx, row.ID, j.msg.Run)
	if err != nil {
		s.unanswered(ctx, j, err)
	}
	return done
}

// unanswered lets a message come back whose task could not be reached.
func (s *shift) unanswered(ctx context.Context, j *job, err error) {
	s.w.opts.Logger.ErrorContext(ctx, "task table did not answer", slog.String("task_id", j.msg.TaskID), slog.Any("error", err))
	if j.row != nil { // claimed: nobody can begin before the lease ends
		j.backAt(s.leaseEnd.UnixMilli())
		return
	}
	j.back(outageWait)
}

// reject sends messages to the dead-letter queue with a reason and
// acknowledges what has arrived there. What a dead letter cannot carry is
// archived first.
func (s *shift) reject(ctx context.Context, jobs []*job, code, reason string) {
	if len(jobs) == 0 {
		return
	}
	var letters []workqueue.Outgoing
	var sent []*job
	for _, j := range jobs {
		run := 0
		if j.msg.TaskID != "" {
			run = j.msg.Run
		}
		letter, err := s.letter(ctx, j, run, task.Failure{Code: code, Message: reason}, workqueue.Receives(j.rec))
		if err != nil {
			s.w.opts.Logger.ErrorContext(ctx, "message not rejected", slog.String("message_id", j.rec.MessageId), slog.Any("error", err))
			j.back(outageWait)
			continue
		}
		letters, sent = append(letters, letter), append(sent, j)
	}
	for i, err := range s.w.queues.DeadLetter.SendBatch(ctx, letters) {
		if err != nil {
			s.w.opts.Logger.ErrorContext(ctx, "message not rejected", slog.String("message_id", sent[i].rec.MessageId), slog.Any("error", err))
			sent[i].back(outageWait)
			continue
		}
		s.w.opts.Logger.WarnContext(ctx, "message rejected", slog.String("message_id", sent[i].rec.MessageId), slog.String("code", code))
		sent[i].ack()
	}
}

// letter makes the dead letter of a message.
func (s *shift) letter(ctx context.Context, j *job, run int, f task.Failure, attempts int) (workqueue.Outgoing, error) {
	record := workqueue.FailureRecord{
		Code: f.Code, Message: f.Message, Retryable: f.Retryable, Attempts: attempts,
		FailedAt: task.At(time.Now()), Function: lambdacontext.FunctionName,
	}
	if lc, ok := lambdacontext.FromContext(ctx); ok {
		record.RequestID = lc.AwsRequestID
	}
	letter, dropped := workqueue.DeadLetter(j.rec, record, run)
	if len(dropped) == 0 {
		return letter, nil
	}
	data, err := json.Marshal(dropped)
	if err == nil {
		err = s.w.table.Archive(ctx, j.rec.MessageId, data)
	}
	if err != nil {
		return letter, fmt.Errorf("archive what the dead letter cannot carry: %w", err)
	}
	return letter, nil
}

func ids(jobs []*job) []string {
	ids := make([]string, len(jobs))
	for i, j := range jobs {
		ids[i] = j.msg.TaskID
	}
	return ids
}
