package admin

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spillway-go/spillway/pkg/redrive"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

// DefaultQueue is meant where a command names none.
const DefaultQueue = "tasks"

type statusQuery struct {
	Queue string `json:"queue"`
}

type group struct {
	Fingerprint string      `json:"fingerprint"`
	Type        string      `json:"type"`
	Code        string      `json:"code"`
	Message     string      `json:"message"`
	Count       int         `json:"count"`
	FirstSeen   *task.Time  `json:"first_seen,omitempty"`
	LastSeen    *task.Time  `json:"last_seen,omitempty"`
	MovedBy     string      `json:"moved_by,omitempty"`
	Sample      groupSample `json:"sample"`
}

type groupSample struct {
	TaskID    string `json:"task_id,omitempty"`
	MessageID string `json:"message_id,omitempty"`
}

// maxGroups is how many groups an answer holds: the largest. Whoever may submit
// tasks can make as many as there are host names.
const maxGroups = 200

func groupsOf(found []redrive.Group) []group {
	groups := make([]group, min(len(found), maxGroups))
	for i, g := range found[:len(groups)] {
		groups[i] = group{
			Fingerprint: g.Fingerprint, Type: g.Type, Code: g.Code, Message: g.Message, Count: g.Count,
			FirstSeen: moment(g.FirstSeen), LastSeen: moment(g.LastSeen), MovedBy: g.MovedBy, Sample: groupSample{g.TaskID, g.MessageID},
		}
	}
	return groups
}

func dlqStatus(ctx context.Context, a *Admin, q statusQuery) (any, error) {
	queue := cmp.Or(q.Queue, DefaultQueue)
	o, err := a.Redrive.Overview(ctx, queue)
	if err != nil {
		return nil, err
	}
	out := struct {
		Queue    string  `json:"queue"`
		Name     string  `json:"name"`
		Depth    int     `json:"depth"`
		InFlight int     `json:"in_flight"`
		Delayed  int     `json:"delayed"`
		Oldest   string  `json:"oldest_age"`
		Groups   []group `json:"groups"`
		Indexed  int     `json:"indexed"`
		Complete bool    `json:"complete"`
		Note     string  `json:"note,omitempty"`
	}{
		Queue: queue, Name: o.Name, Depth: o.Counts.Visible, InFlight: o.Counts.InFlight, Delayed: o.Counts.Delayed,
		Oldest: age(o.Oldest), Groups: groupsOf(o.Groups), Indexed: o.Indexed, Complete: o.Complete,
	}
	if len(o.Groups) > maxGroups {
		out.Note = fmt.Sprintf("these are the %d largest of %d groups", maxGroups, len(o.Groups))
	}
	if !o.Complete {
		out.Note = "the queue was not looked through to its end, or others hold some of it: there may be more groups, and larger ones"
	}
	return out, nil
}

type listQuery struct {
	Queue  string         `json:"queue"`
	Filter redrive.Filter `json:"filter"`
	Max    int            `json:"max"`
}

type letter struct {
	MessageID    string                  `json:"message_id"`
	TaskID       string                  `json:"task_id,omitempty"`
	Type         string                  `json:"type,omitempty"`
	Tenant       string                  `json:"tenant,omitempty"`
	ReceiveCount int                     `json:"receive_count"`
	SentAt       *task.Time              `json:"sent_at,omitempty"`
	Age          string                  `json:"age"`
	Error        workqueue.FailureRecord `json:"error"`
	MovedBy      string                  `json:"moved_by"`
	Origin       string                  `json:"origin,omitempty"`
	Run          int                     `json:"run,omitempty"`
	Replays      int                     `json:"replays"`
	Body         string                  `json:"body"`
}

// maxAnswer is how much of the messages one answer holds, as JSON: Lambda takes
// answers of 6 MB (https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html).
const maxAnswer = 5 << 20

func dlqList(ctx context.Context, a *Admin, q listQuery) (any, error) {
	if q.Max < 0 || q.Max > redrive.MaxList {
		return nil, &Error{CodeInvalid, fmt.Sprintf("max is %d: it is between 1 and %d", q.Max, redrive.MaxList)}
	}
	queue := cmp.Or(q.Queue, DefaultQueue)
	found, err := a.Redrive.List(ctx, queue, q.Filter, q.Max)
	if err != nil {
		return nil, err
	}
	letters, room := make([]json.RawMessage, 0, len(found.Letters)), maxAnswer
	for _, l := range found.Letters {
		shown := letter{
			MessageID: l.MessageID, TaskID: l.TaskID(), Type: l.Type(), Tenant: l.Tenant(), ReceiveCount: l.ReceiveCount,
			SentAt: moment(l.SentAt), Age: age(l.SentAt), Error: l.Failure, MovedBy: l.MovedBy, Origin: l.Origin(), Replays: l.Replays(), Body: l.Body,
		}
		if l.Task != nil {
			shown.Run = l.Task.Run
		}
		text, err := encode(shown)
		if err != nil {
			return nil, err
		}
		if room -= len(text); room < 0 {
			found.Complete = false
			break
		}
		letters = append(letters, text)
	}
	out := struct {
		Queue    string            `json:"queue"`
		Messages []json.RawMessage `json:"messages"` // each a letter
		Complete bool              `json:"complete"`
		Note     string            `json:"note,omitempty"`
	}{queue, letters, found.Complete, ""}
	switch {
	case found.Unseen > 0:
		out.Note = fmt.Sprintf("%d messages are held by another process at the moment and were not seen", found.Unseen)
	case !found.Complete:
		out.Note = "there are more: an answer has room for so much, or the time was over; narrow the filter"
	}
	return out, nil
}

type jobQuery struct {
	JobID string `json:"job_id"`
	By    string `json:"by"`
}

func dlqStop(ctx context.Context, a *Admin, q jobQuery) (any, error) {
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
	return struct {
		JobID  string         `json:"job_id"`
		Status redrive.Status `json:"status"`
		Note   string         `json:"note,omitempty"`
	}{r.JobID, r.Status, note(r)}, nil
}

var errNoJob = &Error{CodeInvalid, `"job_id" is missing: dlq.jobs lists them`}

// age is how long ago something was, as Go writes durations; empty without a
// time.
func age(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return max(time.Since(at), 0).Round(time.Millisecond).String()
}

func moment(at time.Time) *task.Time {
	if at.IsZero() {
		return nil
	}
	t := task.At(at)
	return &t
}
