package redrive

import (
	"maps"
	"time"
)

// Counts are what became of a job's messages so far.
type Counts struct {
	Matched     int            `json:"matched"`
	Replayed    int            `json:"replayed"`
	Skipped     int            `json:"skipped"` // not replayed, for a reason; Dropped ones among them
	Dropped     int            `json:"dropped"` // taken off the queue, since their task has ended
	Failed      int            `json:"failed"`  // could not be sent; they are where they were
	Quarantined int            `json:"quarantined,omitempty"`
	Restored    int            `json:"restored,omitempty"`
	Resolved    int            `json:"resolved,omitempty"`
	AtLeastOnce int            `json:"at_least_once"` // replayed without a row to guard them
	Reasons     map[string]int `json:"reasons,omitempty"`
}

// count adds n of an entry, which may be -1.
func (c *Counts) count(e Entry, n int) {
	c.Matched += n
	switch e.Outcome {
	case Replayed:
		c.Replayed += n
		if e.NoRow {
			c.AtLeastOnce += n
		}
	case Dropped:
		c.Skipped += n
		c.Dropped += n
	case Skipped:
		c.Skipped += n
	case Quarantined:
		c.Quarantined += n
	case Restored:
		c.Restored += n
	case Resolved:
		c.Resolved += n
	default:
		c.Failed += n
	}
	if e.Reason == "" {
		return
	}
	if c.Reasons == nil {
		c.Reasons = map[string]int{}
	}
	if c.Reasons[e.Reason] += n; c.Reasons[e.Reason] == 0 {
		delete(c.Reasons, e.Reason)
	}
}

func (c *Counts) clone() Counts {
	d := *c
	d.Reasons = maps.Clone(c.Reasons)
	return d
}

// Report is what a job has come to.
type Report struct {
	JobID   string
	Request Request
	Status  Status
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
