package admin

import (
	"cmp"
	"context"
	"fmt"

	"github.com/spillway-go/spillway/pkg/redrive"
	"github.com/spillway-go/spillway/pkg/task"
)

type replayQuery struct {
	Queue  string          `json:"queue"`
	Filter *redrive.Filter `json:"filter"`
	Max    int             `json:"max"`
	Rate   float64         `json:"rate"`
	DryRun bool            `json:"dry_run"`
	PlanID string          `json:"plan_id"`
	Canary int             `json:"canary"`
	Native bool            `json:"native"`
	By     string          `json:"by"`
}

func dlqReplay(ctx context.Context, a *Admin, q replayQuery) (any, error) {
	if q.Queue == SagaQueue {
		return nil, &Error{CodeUnsupported, `what a saga could not undo goes back to no queue: saga.list shows it, and saga.resume, saga.skip or saga.done takes it off ("spillway saga ls")`}
	}
	if q.Native {
		return replayNative(ctx, a, q)
	}
	return replay(ctx, a, redrive.KindReplay, q)
}

// replay is what replays of dead letters and retries of tasks have in common.
func replay(ctx context.Context, a *Admin, kind redrive.Kind, q replayQuery) (any, error) {
	if kind == redrive.KindReplay && q.Queue == "" && q.PlanID == "" {
		q.Queue = DefaultQueue
	}
	req := redrive.Request{
		Kind: kind, Queue: q.Queue, Max: q.Max, Rate: q.Rate, Canary: q.Canary, By: q.By, RequestID: requestID(ctx),
	}
	if q.Filter != nil {
		req.Filter = *q.Filter
	}
	switch {
	case len(q.PlanID) > maxID:
		return nil, checkIDs("plan_id", q.PlanID)
	case q.PlanID != "" && (q.Filter != nil || q.DryRun):
		return nil, &Error{CodeInvalid, "a plan has its filter, and has been tried: leave filter and dry_run out"}
	case q.DryRun:
		p, err := a.Redrive.Plan(ctx, req)
		if err != nil {
			return nil, err
		}
		return planned(p), nil
	case q.PlanID != "":
		r, err := a.Redrive.Execute(ctx, q.PlanID, kind, q.Queue, redrive.Settings{Rate: q.Rate, Max: q.Max, Canary: q.Canary, By: q.By, RequestID: req.RequestID})
		return replayed(ctx, r, err)
	default:
		r, err := a.Redrive.Run(ctx, req)
		return replayed(ctx, r, err)
	}
}

type planAnswer struct {
	JobID        string                   `json:"job_id"` // the same: executing the plan is that job
	PlanID       string                   `json:"plan_id"`
	ExpiresAt    task.Time                `json:"expires_at"`
	Matched      int                      `json:"matched"`
	Replay       int                      `json:"replay"`
	Drop         int                      `json:"drop"` // of those to be skipped
	Skip         int                      `json:"skip"`
	Replayed     int                      `json:"replayed"` // 0, as are the next two: nothing has been done
	Skipped      int                      `json:"skipped"`
	Failed       int                      `json:"failed"`
	Done         bool                     `json:"done"`
	DryRun       bool                     `json:"dry_run"`
	Reasons      map[string]int           `json:"reasons"`
	Destinations map[string]int           `json:"destinations"`
	Groups       []group                  `json:"groups"`
	Messages     []redrive.PlannedMessage `json:"messages"`
	Complete     bool                     `json:"complete"`
	Note         string                   `json:"note,omitempty"`
}

func planned(p *redrive.Plan) planAnswer {
	out := planAnswer{
		JobID: p.ID, PlanID: p.ID, ExpiresAt: task.At(p.Until), Matched: p.Matched, Replay: p.Replay, Drop: p.Drop, Skip: p.Skip, Done: true, DryRun: true,
		Reasons: p.Reasons, Destinations: p.Destinations, Groups: groupsOf(p.Groups), Messages: p.Messages, Complete: p.Complete,
	}
	if out.Messages == nil {
		out.Messages = []redrive.PlannedMessage{}
	}
	switch {
	case !p.Complete:
		out.Note = "the queue was not looked through to its end, or others hold some of it: the plan covers what was seen"
	case p.Matched == 0:
		out.Note = "nothing matches"
	case len(p.Groups) > maxGroups:
		out.Note = fmt.Sprintf("these are the %d largest of %d groups", maxGroups, len(p.Groups))
	}
	return out
}

type replayAnswer struct {
	JobID       string          `json:"job_id"`
	PlanID      string          `json:"plan_id"`
	Status      redrive.Status  `json:"status"`
	Matched     int             `json:"matched"`
	Replayed    int             `json:"replayed"`
	Skipped     int             `json:"skipped"`
	Dropped     int             `json:"dropped"`
	Failed      int             `json:"failed"`
	Done        bool            `json:"done"`
	AtLeastOnce int             `json:"at_least_once"`
	Reasons     map[string]int  `json:"reasons"`
	Canary      *redrive.Canary `json:"canary,omitempty"`
	Note        string          `json:"note,omitempty"`
}

func replayed(ctx context.Context, r *redrive.Report, err error) (any, error) {
	if r == nil {
		return nil, err
	}
	if err != nil { // the report says that it stopped, and how to go on
		logStopped(ctx, r, err)
	}
	out := replayAnswer{
		JobID: r.JobID, PlanID: r.JobID, Status: r.Status, Matched: r.Matched, Replayed: r.Replayed, Skipped: r.Skipped, Dropped: r.Dropped,
		Failed: r.Failed, Done: r.Finished, AtLeastOnce: r.AtLeastOnce, Reasons: reasons(r.Reasons), Canary: r.Canary, Note: note(r),
	}
	if out.Note == "" && r.Finished && r.Matched == 0 {
		out.Note = "nothing matches"
	}
	return out, nil
}

func replayNative(ctx context.Context, a *Admin, q replayQuery) (any, error) {
	if q.DryRun || q.PlanID != "" {
		return nil, &Error{CodeInvalid, "native moves all messages: it takes no filter, max, canary, dry run or plan"}
	}
	req := redrive.Request{
		Queue: cmp.Or(q.Queue, DefaultQueue), Max: q.Max, Rate: q.Rate, Canary: q.Canary, By: q.By, RequestID: requestID(ctx),
	}
	if q.Filter != nil {
		req.Filter = *q.Filter
	}
	handle, jobID, err := a.Redrive.Move(ctx, req)
	if err != nil {
		return nil, err
	}
	return struct {
		replayAnswer
		Native bool   `json:"native"`
		Handle string `json:"task_handle"`
	}{replayAnswer{
		JobID: jobID, PlanID: jobID, Status: redrive.Running, Reasons: map[string]int{},
		Note: "SQS moves the messages now, and knows how many: aws sqs list-message-move-tasks shows it; what SQS moves is not in this job's ledger",
	}, true, handle}, nil
}
