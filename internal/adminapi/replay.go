package adminapi

import "github.com/spillway-go/spillway/pkg/task"

// DLQReplayRequest replays dead letters: those of a plan, or those that match a
// filter.
type DLQReplayRequest struct {
	Queue  string  `json:"queue,omitempty"`
	Filter *Filter `json:"filter,omitempty"`
	Max    int     `json:"max,omitempty"`
	Rate   float64 `json:"rate,omitempty"` // messages a second at most
	DryRun bool    `json:"dry_run,omitempty"`
	PlanID string  `json:"plan_id,omitempty"`
	Canary int     `json:"canary,omitempty"` // replay so many first; the rest follows if they succeed
	Native bool    `json:"native,omitempty"` // SQS moves the messages itself
	Change
}

// Plan answers a dry run: what the replay would do.
type Plan struct {
	JobID        string           `json:"job_id"` // the same as PlanID: executing the plan is that job
	PlanID       string           `json:"plan_id"`
	ExpiresAt    task.Time        `json:"expires_at"`
	Matched      int              `json:"matched"`
	Replay       int              `json:"replay"`
	Drop         int              `json:"drop"`     // taken off the queue, since their tasks have ended
	Skip         int              `json:"skip"`     // not sent; Drop among them
	Replayed     int              `json:"replayed"` // 0, as are the next two: nothing has been done
	Skipped      int              `json:"skipped"`
	Failed       int              `json:"failed"`
	Done         bool             `json:"done"`
	DryRun       bool             `json:"dry_run"`
	Reasons      map[Reason]int   `json:"reasons"`      // of those to be skipped
	Destinations map[string]int   `json:"destinations"` // by name of the queue
	Groups       []Group          `json:"groups"`
	Messages     []PlannedMessage `json:"messages"` // the first 100
	Complete     bool             `json:"complete"` // the plan covers all that matches
	Note         string           `json:"note,omitempty"`
}

// PlannedMessage is what a plan does with one message.
type PlannedMessage struct {
	MessageID string `json:"message_id,omitempty"`
	TaskID    string `json:"task_id,omitempty"`
	Type      string `json:"type,omitempty"`
	Run       int    `json:"run,omitempty"`
	Action    Action `json:"action"`
	Reason    Reason `json:"reason,omitempty"`
	To        string `json:"to,omitempty"` // name of the queue
}

// Action is what a plan does with a message.
type Action string

// The actions of plans.
const (
	ActionReplay Action = "replay"
	ActionDrop   Action = "drop" // take it off the queue, since its task has ended
	ActionSkip   Action = "skip" // leave it where it is
	ActionPurge  Action = "purge"
)

// ReplayAnswer is how far a replay came in one call.
type ReplayAnswer struct {
	JobID  string    `json:"job_id"`
	PlanID string    `json:"plan_id"`
	Status JobStatus `json:"status"`
	Counts
	Done   bool    `json:"done"`
	Canary *Canary `json:"canary,omitempty"`
	Note   string  `json:"note,omitempty"`
}

// Job is what the answer says of its job.
func (a *ReplayAnswer) Job() Job {
	return Job{JobID: a.JobID, Status: a.Status, Counts: a.Counts, Done: a.Done, Canary: a.Canary, Note: a.Note}
}

// NativeAnswer answers a replay that SQS does by itself.
type NativeAnswer struct {
	ReplayAnswer
	Native     bool   `json:"native"`
	TaskHandle string `json:"task_handle"` // of SQS
}

// DLQPurgeRequest moves dead letters into quarantine.
type DLQPurgeRequest struct {
	Queue   string  `json:"queue,omitempty"`
	Filter  *Filter `json:"filter,omitempty"`
	Confirm string  `json:"confirm,omitempty"` // the queue's name once more
	JobID   string  `json:"job_id,omitempty"`  // of a dry run to carry out, or a stopped purge to go on with
	Max     int     `json:"max,omitempty"`
	DryRun  bool    `json:"dry_run,omitempty"`
	Change
}

// PurgeAnswer is how far a purge came, or what a dry run found.
type PurgeAnswer struct {
	JobID           string    `json:"job_id,omitempty"`
	Status          JobStatus `json:"status,omitempty"` // empty for a dry run
	Matched         int       `json:"matched"`
	Quarantined     int       `json:"quarantined"`
	Failed          int       `json:"failed"`
	Done            bool      `json:"done"`
	RestorableUntil task.Time `json:"restorable_until,omitzero"`
	Groups          []Group   `json:"groups,omitempty"` // of a dry run
	Note            string    `json:"note,omitempty"`
}

// Job is what the answer says of its job.
func (a *PurgeAnswer) Job() Job {
	return Job{JobID: a.JobID, Status: a.Status, Counts: Counts{Matched: a.Matched, Quarantined: a.Quarantined, Failed: a.Failed}, Done: a.Done, Note: a.Note}
}

// RestoreAnswer is how far a restore came.
type RestoreAnswer struct {
	JobID    string    `json:"job_id"`
	Status   JobStatus `json:"status"`
	Restored int       `json:"restored"`
	Failed   int       `json:"failed"`
	Done     bool      `json:"done"`
	Note     string    `json:"note,omitempty"`
}

// Job is what the answer says of its job.
func (a *RestoreAnswer) Job() Job {
	return Job{JobID: a.JobID, Status: a.Status, Counts: Counts{Restored: a.Restored, Failed: a.Failed}, Done: a.Done, Note: a.Note}
}

// StopAnswer answers dlq.stop.
type StopAnswer struct {
	JobID  string    `json:"job_id"`
	Status JobStatus `json:"status"`
	Note   string    `json:"note,omitempty"`
}
