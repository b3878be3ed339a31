package admin

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/spillway-go/spillway/pkg/redrive"
	"github.com/spillway-go/spillway/pkg/task"
)

type jobsQuery struct {
	JobID string `json:"job_id"`
	Max   int    `json:"max"`
	From  int    `json:"from"` // the first message to show
}

// job is a job of the audit trail.
type job struct {
	JobID       string            `json:"job_id"`
	Kind        redrive.Kind      `json:"kind"`
	Queue       string            `json:"queue,omitempty"`
	Status      redrive.Status    `json:"status"`
	By          string            `json:"by"`
	RequestID   string            `json:"request_id,omitempty"`
	CreatedAt   *task.Time        `json:"created_at"`
	StartedAt   *task.Time        `json:"started_at,omitempty"`
	UpdatedAt   *task.Time        `json:"updated_at,omitempty"`
	FinishedAt  *task.Time        `json:"finished_at,omitempty"`
	PlanUntil   *task.Time        `json:"plan_expires_at,omitempty"`
	Filter      redrive.Filter    `json:"filter"`
	Rate        float64           `json:"rate,omitempty"`
	Max         int               `json:"max,omitempty"`
	CanarySize  int               `json:"canary_size,omitempty"`
	Canary      *redrive.Canary   `json:"canary,omitempty"`
	Restores    string            `json:"restores,omitempty"` // the purge that a restore undoes
	Planned     int               `json:"planned,omitempty"`  // messages that the plan holds
	Matched     int               `json:"matched"`
	Replayed    int               `json:"replayed"`
	Skipped     int               `json:"skipped"`
	Dropped     int               `json:"dropped"`
	Failed      int               `json:"failed"`
	Quarantined int               `json:"quarantined,omitempty"`
	Restored    int               `json:"restored,omitempty"`
	Resolved    int               `json:"resolved,omitempty"`
	Execution   string            `json:"execution,omitempty"` // of a saga, and its step
	Step        string            `json:"step,omitempty"`
	Reason      string            `json:"reason,omitempty"`
	Done        bool              `json:"done"`
	AtLeastOnce int               `json:"at_least_once"`
	Hops        int               `json:"hops"`
	Reasons     map[string]int    `json:"reasons"`
	Outcomes    *redrive.Outcomes `json:"outcomes,omitempty"`
	Resume      string            `json:"resume,omitempty"`
	Note        string            `json:"note,omitempty"`
	Events      []redrive.Event   `json:"events,omitempty"`

	Messages []redrive.Followed `json:"messages,omitempty"`
}

func jobOf(r *redrive.Report) job {
	j := job{
		JobID: r.JobID, Kind: r.Request.Kind, Queue: r.Request.Queue, Status: r.Status, By: r.Request.By, RequestID: r.Request.RequestID,
		CreatedAt: moment(r.CreatedAt), StartedAt: moment(r.StartedAt), UpdatedAt: moment(r.UpdatedAt), FinishedAt: moment(r.FinishedAt),
		Filter: r.Request.Filter, Rate: r.Request.Rate, Max: r.Request.Max, CanarySize: r.Request.Canary, Canary: r.Canary, Restores: r.Request.Source,
		Planned: r.Planned, Matched: r.Matched, Replayed: r.Replayed, Skipped: r.Skipped, Dropped: r.Dropped, Failed: r.Failed, Quarantined: r.Quarantined,
		Restored: r.Restored, Resolved: r.Resolved, Execution: r.Request.Execution, Step: r.Request.Step, Reason: r.Request.Reason, Done: r.Finished, AtLeastOnce: r.AtLeastOnce, Hops: r.Hops, Reasons: reasons(r.Reasons), Outcomes: r.Outcomes, Note: withoutAWS(r.Note),
		Resume: resume(r),
	}
	if r.Status == redrive.Planned {
		j.PlanUntil = moment(r.PlanUntil)
	}
	return j
}

func dlqJobs(ctx context.Context, a *Admin, q jobsQuery) (any, error) {
	if q.From < 0 {
		return nil, &Error{CodeInvalid, fmt.Sprintf("from is %d: it counts from 0", q.From)}
	}
	if q.Max < 0 || q.Max > redrive.MaxList {
		return nil, &Error{CodeInvalid, fmt.Sprintf("max is %d: it is between 1 and %d", q.Max, redrive.MaxList)}
	}
	if q.JobID == "" {
		if q.From > 0 {
			return nil, &Error{CodeInvalid, "from needs a job_id: it is the first of a job's messages to show"}
		}
		limit := 25
		if q.Max > 0 {
			limit = min(q.Max, 100)
		}
		reports, err := a.Redrive.Jobs(ctx, limit)
		if err != nil {
			return nil, err
		}
		jobs := make([]job, len(reports))
		for i, r := range reports {
			jobs[i] = jobOf(r)
		}
		return struct {
			Jobs []job `json:"jobs"`
		}{jobs}, nil
	}
	if err := checkIDs("job_id", q.JobID); err != nil {
		return nil, err
	}
	h, err := a.Redrive.Job(ctx, q.JobID, q.From, q.Max)
	if err != nil {
		return nil, err
	}
	j := jobOf(&h.Report)
	j.Events, j.Messages = h.Events, h.Messages
	return struct {
		Job job `json:"job"`
	}{j}, nil
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
	default:
		return ""
	}
}

// note says what has to be known about a job's state.
func note(r *redrive.Report) string {
	switch {
	case r.Note != "":
		return withoutAWS(r.Note)
	case r.Status == redrive.Running:
		return "the job goes on in the background: dlq.jobs with its job_id shows how far it is"
	case resume(r) != "":
		return "the job can be resumed: " + resume(r)
	default:
		return ""
	}
}

func reasons(counted map[string]int) map[string]int {
	if counted == nil {
		return map[string]int{}
	}
	return counted
}

// logStopped logs why a job has stopped. Its report does not say it all.
func logStopped(ctx context.Context, r *redrive.Report, err error) {
	slog.ErrorContext(ctx, "job stopped", slog.String("job_id", r.JobID), slog.Any("error", err))
}
