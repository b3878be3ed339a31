package worker

import (
	"context"
	"errors"
	"log/slog"

	"github.com/spillway-go/spillway/internal/route"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

// triage decides what can be decided by looking at the messages alone, and
// leaves the rest in wanted. Nothing here costs a downstream call.
func (s *shift) triage(ctx context.Context) {
	foreign := s.read(ctx)
	var overdue, moving []*job
	for _, j := range s.distinct() {
		switch {
		case !j.msg.Deadline.After(s.start):
			overdue = append(overdue, j)
		case s.reroute(j, route.Task{Age: s.start.Sub(j.msg.WaitingSince())}):
			moving = append(moving, j)
		default:
			s.wanted = append(s.wanted, j)
		}
	}
	s.reject(ctx, foreign, workqueue.CodeForeign, "the message is not a task of this pipeline")
	s.expire(ctx, overdue)
	// What cannot be passed on any more is worked on here.
	s.wanted = append(s.wanted, s.move(ctx, moving, WhyAged)...)
}

// read decodes the messages. It hands those of a newer version back, and
// returns those that are not ours.
func (s *shift) read(ctx context.Context) (foreign []*job) {
	for _, j := range s.jobs {
		var err error
		j.msg, err = workqueue.DecodeRecord(j.rec)
		if notOurs, ok := errors.AsType[*workqueue.ForeignError](err); ok {
			j.refusal = notOurs.Error()
			foreign = append(foreign, j)
		} else if err != nil {
			s.log.WarnContext(ctx, "message handed back", slog.String("message_id", j.rec.MessageID), slog.Any("error", err))
			j.back(newerVersionWait, WhyNewerVersion)
		}
	}
	return foreign
}

// distinct returns the readable messages, one for each task: of two in a
// batch, the one with the newer run stands for both.
func (s *shift) distinct() []*job {
	var jobs []*job
	index := map[string]int{}
	for _, j := range s.jobs {
		if j.msg.TaskID == "" {
			continue
		}
		i, twin := index[j.msg.TaskID]
		switch {
		case !twin:
			index[j.msg.TaskID] = len(jobs)
			jobs = append(jobs, j)
		case jobs[i].msg.Run >= j.msg.Run:
			j.ack()
		default:
			jobs[i].ack()
			jobs[i] = j
		}
	}
	return jobs
}

// expire ends tasks whose deadline is over.
func (s *shift) expire(ctx context.Context, jobs []*job) {
	if len(jobs) == 0 {
		return
	}
	var absent, late []*job
	for i, c := range s.w.table.Expire(ctx, ids(jobs)) {
		j := jobs[i]
		switch {
		case c.Outcome == tasktable.Finished && j.replays(c.Row):
			// Running it is too late. As a dead letter it keeps its history.
			late = append(late, j)
		case c.Outcome == tasktable.Finished:
			s.tellExpired(ctx, j, c.Row)
			j.ack()
		case c.Outcome == tasktable.Held && c.Row.ClaimableAt < s.start.UnixMilli():
			s.wanted = append(s.wanted, j) // its own deadline is later than the message's
		case c.Outcome == tasktable.Held:
			j.holdBack(c.Row)
		case c.Outcome == tasktable.Absent:
			absent = append(absent, j)
		default:
			s.unanswered(ctx, j, c.Err)
		}
	}
	s.rejectAbsent(ctx, absent)
	s.reject(ctx, late, "deadline_passed", "the message came back after its task's deadline")
}

func ids(jobs []*job) []string {
	ids := make([]string, len(jobs))
	for i, j := range jobs {
		ids[i] = j.msg.TaskID
	}
	return ids
}
