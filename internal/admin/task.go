package admin

import (
	"context"
	"encoding/json"
	"log/slog"

	"github.com/spillway-go/spillway/pkg/redrive"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
)

type taskQuery struct {
	ID string `json:"id"`
}

// taskAnswer is a task as GET /tasks/{id} shows it, and what only operators see.
type taskAnswer struct {
	task.Task
	Run         int             `json:"run"`
	Replays     int             `json:"replays"`
	PlanID      string          `json:"plan_id,omitempty"` // the job that replayed it last
	Fingerprint string          `json:"fingerprint,omitempty"`
	History     []task.Attempt  `json:"history,omitempty"`
	Failure     json.RawMessage `json:"failure,omitempty"`
}

// taskOnly is an answer that is a task.
type taskOnly struct {
	Task  taskAnswer `json:"task"`
	JobID string     `json:"job_id,omitempty"`
}

func answerOf(r *tasktable.Row) taskOnly {
	t := taskAnswer{
		Task: r.Task(), Run: r.Run, Replays: r.Replays, PlanID: r.PlanID, Fingerprint: r.Fingerprint, History: r.History,
	}
	if json.Valid(r.Report) {
		t.Failure = r.Report
	}
	return taskOnly{Task: t}
}

func taskGet(ctx context.Context, a *Admin, q taskQuery) (any, error) {
	if q.ID == "" {
		return nil, errNoTaskID
	}
	row, err := a.Table.Get(ctx, q.ID)
	if err != nil {
		return nil, err
	}
	return answerOf(row), nil
}

var errNoTaskID = &Error{CodeInvalid, `"id" is missing: it is a task's id`}

// maxBy bounds what is written down of who asked.
const maxBy = 200

type cancelQuery struct {
	ID string `json:"id"`
	By string `json:"by"`
}

func taskCancel(ctx context.Context, a *Admin, q cancelQuery) (any, error) {
	if q.ID == "" {
		return nil, errNoTaskID
	}
	row, err := a.Table.GetConsistent(ctx, q.ID)
	if err != nil {
		return nil, err
	}
	if row, err = a.Table.Cancel(ctx, row.Tenant, q.ID); err != nil {
		return nil, err
	}
	slog.InfoContext(ctx, "task canceled", slog.String("task_id", row.ID), slog.String("by", task.CleanText(q.By, maxBy)))
	return answerOf(row), nil
}

type retryQuery struct {
	ID     string          `json:"id"`
	Filter *redrive.Filter `json:"filter"`
	Max    int             `json:"max"`
	Rate   float64         `json:"rate"`
	Canary int             `json:"canary"`
	DryRun bool            `json:"dry_run"`
	PlanID string          `json:"plan_id"`
	By     string          `json:"by"`
}

func taskRetry(ctx context.Context, a *Admin, q retryQuery) (any, error) {
	if q.ID == "" {
		if q.Filter == nil && q.PlanID == "" {
			return nil, &Error{CodeInvalid, `say which: "id", "filter" ({} retries all that failed), or "plan_id"`}
		}
		return replay(ctx, a, redrive.KindRetry, replayQuery{
			Filter: q.Filter, Max: q.Max, Rate: q.Rate, Canary: q.Canary, DryRun: q.DryRun, PlanID: q.PlanID, By: q.By,
		})
	}
	if q.Filter != nil || q.PlanID != "" || q.DryRun || q.Max != 0 || q.Rate != 0 || q.Canary != 0 {
		return nil, &Error{CodeInvalid, `"id" is for one task: it goes with no other field but "by"`}
	}
	row, jobID, err := a.Redrive.Retry(ctx, q.ID, q.By, requestID(ctx))
	if err != nil {
		return nil, err
	}
	answer := answerOf(row)
	answer.JobID = jobID
	return answer, nil
}
