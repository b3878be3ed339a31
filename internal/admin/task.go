package admin

import (
	"context"
	"encoding/json"
	"log/slog"

	"github.com/spillway-go/spillway/internal/adminapi"
	"github.com/spillway-go/spillway/pkg/redrive"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
)

func answerOf(r *tasktable.Row) *adminapi.TaskAnswer {
	t := &adminapi.Task{
		Task: r.Task(), Run: r.Run, Replays: r.Replays, PlanID: r.PlanID, Fingerprint: r.Fingerprint, History: r.History,
	}
	if json.Valid(r.Report) {
		t.Failure = r.Report
	}
	return &adminapi.TaskAnswer{Task: t}
}

func taskGet(ctx context.Context, a *Admin, q adminapi.TaskRequest) (*adminapi.TaskAnswer, error) {
	if q.ID == "" {
		return nil, errNoTaskID
	}
	row, err := a.Table.Get(ctx, q.ID)
	if err != nil {
		return nil, err
	}
	return answerOf(row), nil
}

var errNoTaskID = &Error{adminapi.CodeInvalid, `"id" is missing: it is a task's id`}

// maxBy bounds what is written down of who asked.
const maxBy = 200

func taskCancel(ctx context.Context, a *Admin, q adminapi.TaskCancelRequest) (*adminapi.TaskAnswer, error) {
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

func taskRetry(ctx context.Context, a *Admin, q adminapi.TaskRetryRequest) (any, error) {
	if q.ID == "" {
		if q.Filter == nil && q.PlanID == "" {
			return nil, &Error{adminapi.CodeInvalid, `say which: "id", "filter" ({} retries all that failed), or "plan_id"`}
		}
		return replay(ctx, a, redrive.KindRetry, adminapi.DLQReplayRequest{
			Filter: q.Filter, Max: q.Max, Rate: q.Rate, Canary: q.Canary, DryRun: q.DryRun, PlanID: q.PlanID, Change: q.Change,
		})
	}
	if q.Filter != nil || q.PlanID != "" || q.DryRun || q.Max != 0 || q.Rate != 0 || q.Canary != 0 {
		return nil, &Error{adminapi.CodeInvalid, `"id" is for one task: it goes with no other field but "by"`}
	}
	row, jobID, err := a.Redrive.Retry(ctx, q.ID, q.By, requestID(ctx))
	if err != nil {
		return nil, err
	}
	answer := answerOf(row)
	answer.JobID = jobID
	return answer, nil
}
