package admin

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/spillway-go/spillway/internal/adminapi"
	"github.com/spillway-go/spillway/pkg/redrive"
	"github.com/spillway-go/spillway/pkg/task"
)

// maxGroups is how many groups an answer holds: the largest. Whoever may submit
// tasks can make as many as there are host names.
const maxGroups = 200

func groupsOf(found []redrive.Group) []adminapi.Group {
	groups := make([]adminapi.Group, min(len(found), maxGroups))
	for i, g := range found[:len(groups)] {
		groups[i] = adminapi.Group{
			Fingerprint: g.Fingerprint, Type: g.Type, Code: g.Code, Message: g.Message, Count: g.Count,
			FirstSeen: task.At(g.FirstSeen), LastSeen: task.At(g.LastSeen), MovedBy: adminapi.MovedBy(g.MovedBy),
			Sample: adminapi.Sample{TaskID: g.TaskID, MessageID: g.MessageID},
		}
	}
	return groups
}

func dlqStatus(ctx context.Context, a *Admin, q adminapi.DLQStatusRequest) (*adminapi.DLQStatusAnswer, error) {
	queue := cmp.Or(q.Queue, adminapi.QueueTasks)
	o, err := a.Redrive.Overview(ctx, queue)
	if err != nil {
		return nil, err
	}
	out := &adminapi.DLQStatusAnswer{
		Queue: queue, Name: o.Name, Depth: o.Counts.Visible, InFlight: o.Counts.InFlight, Delayed: o.Counts.Delayed,
		OldestAge: age(o.Oldest), Groups: groupsOf(o.Groups), Indexed: o.Indexed, Complete: o.Complete,
	}
	if len(o.Groups) > maxGroups {
		out.Note = fmt.Sprintf("these are the %d largest of %d groups", maxGroups, len(o.Groups))
	}
	if !o.Complete {
		out.Note = "the queue was not looked through to its end, or others hold some of it: there may be more groups, and larger ones"
	}
	return out, nil
}

// maxAnswer is how much of the messages one answer holds, as JSON: Lambda takes
// answers of 6 MB (https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html).
const maxAnswer = 5 << 20

func dlqList(ctx context.Context, a *Admin, q adminapi.DLQListRequest) (*adminapi.DLQListAnswer, error) {
	filter, err := filterOf(q.Filter)
	if err != nil {
		return nil, err
	}
	if q.Max < 0 || q.Max > redrive.MaxList {
		return nil, &Error{adminapi.CodeInvalid, fmt.Sprintf("max is %d: it is between 1 and %d", q.Max, redrive.MaxList)}
	}
	queue := cmp.Or(q.Queue, adminapi.QueueTasks)
	found, err := a.Redrive.List(ctx, queue, filter, q.Max)
	if err != nil {
		return nil, err
	}
	out := &adminapi.DLQListAnswer{Queue: queue, Messages: make([]adminapi.Letter, 0, len(found.Letters)), Complete: found.Complete}
	room := maxAnswer
	for _, l := range found.Letters {
		shown := letterOf(l)
		text, err := adminapi.Encode(shown)
		if err != nil {
			return nil, err
		}
		if room -= len(text); room < 0 {
			out.Complete = false
			break
		}
		out.Messages = append(out.Messages, shown)
	}
	switch {
	case found.Unseen > 0:
		out.Note = fmt.Sprintf("%d messages are held by another process at the moment and were not seen", found.Unseen)
	case !out.Complete:
		out.Note = "there are more: an answer has room for so much, or the time was over; narrow the filter"
	}
	return out, nil
}

func letterOf(l *redrive.Letter) adminapi.Letter {
	shown := adminapi.Letter{
		MessageID: l.MessageID, TaskID: l.TaskID(), Type: l.Type(), Tenant: l.Tenant(), ReceiveCount: l.ReceiveCount, SentAt: task.At(l.SentAt), Age: age(l.SentAt),
		Error: adminapi.Failure(l.Failure), MovedBy: adminapi.MovedBy(l.MovedBy), Origin: l.Origin(), Replays: l.Replays(), Body: l.Body,
	}
	if l.Task != nil {
		shown.Run = l.Task.Run
	}
	return shown
}

func dlqStop(ctx context.Context, a *Admin, q adminapi.JobRequest) (*adminapi.StopAnswer, error) {
	if q.JobID == "" {
		return nil, errNoJob
	}
	if err := checkIDs("job_id", q.JobID); err != nil {
		return nil, err
	}
	r, err := a.Redrive.Stop(ctx, q.JobID, q.By, requestID(ctx))
	if err != nil {
		return nil, err
	}
	return &adminapi.StopAnswer{JobID: r.JobID, Status: adminapi.JobStatus(r.Status), Note: note(r)}, nil
}

var errNoJob = &Error{adminapi.CodeInvalid, `"job_id" is missing: dlq.jobs lists them`}

// age is how long ago something was, as Go writes durations; empty without a
// time.
func age(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return max(time.Since(at), 0).Round(time.Millisecond).String()
}
