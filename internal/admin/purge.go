package admin

import (
	"cmp"
	"context"
	"fmt"

	"github.com/spillway-go/spillway/internal/adminapi"
	"github.com/spillway-go/spillway/pkg/redrive"
	"github.com/spillway-go/spillway/pkg/task"
)

func dlqPurge(ctx context.Context, a *Admin, q adminapi.DLQPurgeRequest) (*adminapi.PurgeAnswer, error) {
	filter, err := filterOf(q.Filter)
	if err != nil {
		return nil, err
	}
	q.Queue = cmp.Or(q.Queue, adminapi.QueueTasks)
	req := redrive.Request{Kind: redrive.KindPurge, Queue: q.Queue, Filter: filter, Max: q.Max, By: q.By, RequestID: requestID(ctx)}
	if q.JobID != "" {
		if err := checkIDs("job_id", q.JobID); err != nil {
			return nil, err
		}
		if q.DryRun {
			return nil, &Error{adminapi.CodeInvalid, "a job is under way, and not tried: leave dry_run out"}
		}
	}
	if q.DryRun {
		p, err := a.Redrive.Plan(ctx, req)
		if err != nil {
			return nil, err
		}
		return &adminapi.PurgeAnswer{JobID: p.ID, Matched: p.Matched, Done: true, Groups: groupsOf(p.Groups), Note: planned(p).Note}, nil
	}
	if q.Confirm != q.Queue {
		return nil, &Error{adminapi.CodeConfirm, fmt.Sprintf("a purge takes messages off the queue: repeat its name in \"confirm\", which is %q", task.CleanText(q.Queue, 64))}
	}
	purge := func() (*redrive.Report, error) { return a.Redrive.Purge(ctx, req) }
	if q.JobID != "" {
		if !filter.Empty() {
			return nil, &Error{adminapi.CodeInvalid, "the job has its filter: leave filter out"}
		}
		purge = func() (*redrive.Report, error) {
			return a.Redrive.Execute(ctx, q.JobID, redrive.KindPurge, q.Queue, redrive.Settings{Max: q.Max, By: q.By, RequestID: req.RequestID})
		}
	}
	r, err := purge()
	if r == nil {
		return nil, err
	}
	if err != nil {
		logStopped(ctx, r, err)
	}
	return &adminapi.PurgeAnswer{
		JobID: r.JobID, Status: adminapi.JobStatus(r.Status), Matched: r.Matched, Quarantined: r.Quarantined, Failed: r.Failed, Done: r.Finished,
		RestorableUntil: task.At(a.Redrive.RestorableUntil(r.CreatedAt)), Note: note(r),
	}, nil
}

func dlqRestore(ctx context.Context, a *Admin, q adminapi.JobRequest) (*adminapi.RestoreAnswer, error) {
	if q.JobID == "" {
		return nil, errNoJob
	}
	if err := checkIDs("job_id", q.JobID); err != nil {
		return nil, err
	}
	r, err := a.Redrive.Restore(ctx, q.JobID, q.By, requestID(ctx))
	if r == nil {
		return nil, err
	}
	if err != nil {
		logStopped(ctx, r, err)
	}
	return &adminapi.RestoreAnswer{
		JobID: r.JobID, Status: adminapi.JobStatus(r.Status), Restored: r.Restored, Failed: r.Failed, Done: r.Finished, Note: note(r),
	}, nil
}
