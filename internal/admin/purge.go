package admin

import (
	"cmp"
	"context"
	"fmt"

	"github.com/spillway-go/spillway/pkg/redrive"
	"github.com/spillway-go/spillway/pkg/task"
)

type purgeQuery struct {
	Queue   string         `json:"queue"`
	Filter  redrive.Filter `json:"filter"`
	Confirm string         `json:"confirm"`
	JobID   string         `json:"job_id"` // of a dry run, to carry out, or of a purge that was stopped, to go on with
	Max     int            `json:"max"`
	DryRun  bool           `json:"dry_run"`
	By      string         `json:"by"`
}

type purgeAnswer struct {
	JobID           string         `json:"job_id,omitempty"`
	Status          redrive.Status `json:"status,omitempty"`
	Matched         int            `json:"matched"`
	Quarantined     int            `json:"quarantined"`
	Failed          int            `json:"failed"`
	Done            bool           `json:"done"`
	RestorableUntil *task.Time     `json:"restorable_until,omitempty"`
	Groups          []group        `json:"groups,omitempty"`
	Note            string         `json:"note,omitempty"`
}

func dlqPurge(ctx context.Context, a *Admin, q purgeQuery) (any, error) {
	q.Queue = cmp.Or(q.Queue, DefaultQueue)
	req := redrive.Request{Kind: redrive.KindPurge, Queue: q.Queue, Filter: q.Filter, Max: q.Max, By: q.By, RequestID: requestID(ctx)}
	if q.JobID != "" {
		if err := checkIDs("job_id", q.JobID); err != nil {
			return nil, err
		}
		if q.DryRun {
			return nil, &Error{CodeInvalid, "a job is under way, and not tried: leave dry_run out"}
		}
	}
	if q.DryRun {
		p, err := a.Redrive.Plan(ctx, req)
		if err != nil {
			return nil, err
		}
		return purgeAnswer{JobID: p.ID, Matched: p.Matched, Done: true, Groups: groupsOf(p.Groups), Note: planned(p).Note}, nil
	}
	if q.Confirm != q.Queue {
		return nil, &Error{CodeConfirm, fmt.Sprintf("a purge takes messages off the queue: repeat its name in \"confirm\", which is %q", task.CleanText(q.Queue, 64))}
	}
	purge := func() (*redrive.Report, error) { return a.Redrive.Purge(ctx, req) }
	if q.JobID != "" {
		if !q.Filter.Empty() {
			return nil, &Error{CodeInvalid, "the job has its filter: leave filter out"}
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
	return purgeAnswer{
		JobID: r.JobID, Status: r.Status, Matched: r.Matched, Quarantined: r.Quarantined, Failed: r.Failed, Done: r.Finished,
		RestorableUntil: moment(a.Redrive.RestorableUntil(r.CreatedAt)), Note: note(r),
	}, nil
}

func dlqRestore(ctx context.Context, a *Admin, q jobQuery) (any, error) {
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
	return struct {
		JobID    string         `json:"job_id"`
		Status   redrive.Status `json:"status"`
		Restored int            `json:"restored"`
		Failed   int            `json:"failed"`
		Done     bool           `json:"done"`
		Note     string         `json:"note,omitempty"`
	}{r.JobID, r.Status, r.Restored, r.Failed, r.Finished, note(r)}, nil
}
