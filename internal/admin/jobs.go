package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/spillway-go/spillway/internal/adminapi"
	"github.com/spillway-go/spillway/internal/parked"
	"github.com/spillway-go/spillway/pkg/redrive"
	"github.com/spillway-go/spillway/pkg/rescue"
	"github.com/spillway-go/spillway/pkg/task"
)

func jobOf(r *redrive.Report) adminapi.Job {
	var d parked.Decision // other kinds have nothing of it but what r has as well
	_ = json.Unmarshal(r.Raw, &d)
	j := adminapi.Job{
		JobID: r.JobID, Kind: adminapi.JobKind(r.Request.Kind), Queue: r.Request.Queue, Status: adminapi.JobStatus(r.Status), By: r.Request.By,
		RequestID: r.Request.RequestID, CreatedAt: task.At(r.CreatedAt), StartedAt: task.At(r.StartedAt), UpdatedAt: task.At(r.UpdatedAt),
		FinishedAt: task.At(r.FinishedAt), Filter: filterAs(&r.Request.Filter), Rate: r.Request.Rate, Max: r.Request.Max, CanarySize: r.Request.Canary,
		Canary: (*adminapi.Canary)(r.Canary), Restores: r.Request.Source, Planned: r.Planned, Counts: countsOf(r.Counts), Execution: d.Execution,
		Step: d.Step, Reason: d.Reason, Done: r.Finished, Hops: r.Hops, Outcomes: (*adminapi.Outcomes)(r.Outcomes),
		Note: r.Note, Resume: resume(r),
	}
	if r.Status == redrive.Planned {
		j.PlanExpiresAt = task.At(r.PlanUntil)
	}
	return j
}

func dlqJobs(ctx context.Context, a *Admin, q adminapi.DLQJobsRequest) (any, error) {
	if q.From < 0 {
		return nil, &Error{adminapi.CodeInvalid, fmt.Sprintf("from is %d: it counts from 0", q.From)}
	}
	if q.Max < 0 || q.Max > redrive.MaxList {
		return nil, &Error{adminapi.CodeInvalid, fmt.Sprintf("max is %d: it is between 1 and %d", q.Max, redrive.MaxList)}
	}
	if q.JobID == "" {
		if q.From > 0 {
			return nil, &Error{adminapi.CodeInvalid, "from needs a job_id: it is the first of a job's messages to show"}
		}
		limit := 25
		if q.Max > 0 {
			limit = min(q.Max, 100)
		}
		reports, err := a.Redrive.Jobs(ctx, limit)
		if err != nil {
			return nil, err
		}
		out := &adminapi.JobsAnswer{Jobs: make([]adminapi.Job, len(reports))}
		for i, r := range reports {
			out.Jobs[i] = jobOf(r)
		}
		return out, nil
	}
	if err := checkIDs("job_id", q.JobID); err != nil {
		return nil, err
	}
	h, err := a.Redrive.Job(ctx, q.JobID, q.From, q.Max)
	if err != nil {
		return nil, err
	}
	j := jobOf(&h.Report)
	for _, e := range h.Events {
		j.Events = append(j.Events, adminapi.JobEvent(e))
	}
	for _, m := range h.Messages {
		j.Messages = append(j.Messages, adminapi.JobMessage{
			MessageID: m.MessageID, TaskID: m.TaskID, Run: m.Run, Fingerprint: m.Fingerprint, To: m.To, NoRow: m.NoRow,
			Outcome: adminapi.MessageOutcome(m.Outcome), Reason: adminapi.Reason(m.Reason), Became: m.Became,
		})
	}
	return &adminapi.JobAnswer{Job: &j}, nil
}

// resume is how a job that has not ended goes on.
func resume(r *redrive.Report) string {
	expired := r.StartedAt.IsZero() && !r.PlanUntil.IsZero() && time.Now().After(r.PlanUntil)
	if r.Status != redrive.Stopped && r.Status != redrive.Stalled || expired {
		return ""
	}
	switch r.Request.Kind {
	case redrive.KindReplay:
		return fmt.Sprintf(`{"command":"dlq.replay","queue":%q,"plan_id":%q}`, r.Request.Queue, r.JobID)
	case redrive.KindRetry:
		return fmt.Sprintf(`{"command":"task.retry","plan_id":%q}`, r.JobID)
	case redrive.KindRestore:
		return fmt.Sprintf(`{"command":"dlq.restore","job_id":%q}`, r.Request.Source)
	case redrive.KindPurge:
		return fmt.Sprintf(`{"command":"dlq.purge","queue":%q,"confirm":%q,"job_id":%q}`, r.Request.Queue, r.Request.Queue, r.JobID)
	case redrive.Kind(rescue.KindReplay):
		return fmt.Sprintf(`{"command":"stream.replay","job_id":%q}`, r.JobID)
	default:
		return ""
	}
}

// note says what has to be known about a job's state.
func note(r *redrive.Report) string {
	switch {
	case r.Note != "":
		return r.Note
	case r.Status == redrive.Running:
		return "the job goes on in the background: dlq.jobs with its job_id shows how far it is"
	case resume(r) != "":
		return "the job can be resumed: " + resume(r)
	default:
		return ""
	}
}

func countsOf(c redrive.Counts) adminapi.Counts {
	return adminapi.Counts{
		Matched: c.Matched, Replayed: c.Replayed, Skipped: c.Skipped, Dropped: c.Dropped, Failed: c.Failed, Quarantined: c.Quarantined,
		Restored: c.Restored, Resolved: c.Resolved, AtLeastOnce: c.AtLeastOnce, Reasons: reasonsOf(c.Reasons),
	}
}

func reasonsOf(counted map[string]int) map[adminapi.Reason]int {
	out := make(map[adminapi.Reason]int, len(counted))
	for reason, n := range counted {
		out[adminapi.Reason(reason)] = n
	}
	return out
}

// logStopped logs why a job has stopped. Its report does not say it all.
func logStopped(ctx context.Context, r *redrive.Report, err error) {
	slog.ErrorContext(ctx, "job stopped", slog.String("job_id", r.JobID), slog.Any("error", err))
}
