package redrive

import (
	"encoding/json"
	"time"

	"github.com/spillway-go/spillway/internal/job"
)

// Counts are what became of a job's messages so far.
type Counts = job.Counts

// Report is what a job has come to.
type Report struct {
	JobID   string
	Request Request
	// Raw is the request as it is stored, with the fields of kinds that this
	// package does not know.
	Raw    json.RawMessage
	Status Status
	// Planned is how many messages the job's plan holds; 0 without a plan.
	Planned int
	Counts
	// Finished says that there is nothing left to do. Otherwise the job goes on
	// in a later invocation, or waits to be resumed.
	Finished   bool
	Canary     *Canary
	Note       string
	Hops       int
	CreatedAt  time.Time
	StartedAt  time.Time
	UpdatedAt  time.Time
	FinishedAt time.Time
	PlanUntil  time.Time
	Outcomes   *Outcomes
}

// Canary is how the first messages of a job fared.
type Canary struct {
	Size      int `json:"size"`
	Succeeded int `json:"succeeded"`
	Failed    int `json:"failed"`
	Pending   int `json:"pending"`
}

func reportOf(j *storedJob) *Report {
	at := func(ms int64) time.Time {
		if ms == 0 {
			return time.Time{}
		}
		return time.UnixMilli(ms).UTC()
	}
	p := j.State
	return &Report{
		JobID: j.ID, Request: j.Request, Raw: j.Raw, Status: j.Seen(time.Now()), Planned: p.Planned, Counts: p.Counts.Clone(),
		Finished: j.Status.Ended(), Canary: p.Canary, Note: p.Note, Hops: p.Hops,
		CreatedAt: j.Created, StartedAt: at(p.StartedAt), UpdatedAt: at(p.UpdatedAt), FinishedAt: at(p.FinishedAt),
		PlanUntil: at(p.PlanUntil), Outcomes: p.Outcomes,
	}
}
