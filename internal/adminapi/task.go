package adminapi

import (
	"encoding/json"

	"github.com/spillway-go/spillway/pkg/task"
)

// TaskRequest names a task of any tenant.
type TaskRequest struct {
	ID string `json:"id,omitempty"`
}

// TaskCancelRequest cancels a task.
type TaskCancelRequest struct {
	ID string `json:"id,omitempty"`
	Change
}

// TaskRetryRequest runs one task again, by ID, or those of a plan or that match
// a filter.
type TaskRetryRequest struct {
	ID     string  `json:"id,omitempty"`
	Filter *Filter `json:"filter,omitempty"`
	Max    int     `json:"max,omitempty"`
	Rate   float64 `json:"rate,omitempty"`
	Canary int     `json:"canary,omitempty"`
	DryRun bool    `json:"dry_run,omitempty"`
	PlanID string  `json:"plan_id,omitempty"`
	Change
}

// TaskAnswer is one task. [Command.Answer] accepts none without.
type TaskAnswer struct {
	Task  *Task  `json:"task"`
	JobID string `json:"job_id,omitempty"` // of a retry
}

func (a *TaskAnswer) missing() bool { return a.Task == nil }

// Task is a task as its tenant sees it, and what only operators see.
type Task struct {
	task.Task
	Run         int            `json:"run"`
	Replays     int            `json:"replays"`
	PlanID      string         `json:"plan_id,omitempty"` // the job that replayed it last
	Fingerprint string         `json:"fingerprint,omitempty"`
	History     []task.Attempt `json:"history,omitempty"`
	// Failure is the latest failure record as the worker wrote it, which may be
	// of another version. [Task.LastFailure] reads it.
	Failure json.RawMessage `json:"failure,omitempty"`
}

// LastFailure reads the failure record; nil without one.
func (t *Task) LastFailure() *Failure {
	f := &Failure{}
	if len(t.Failure) == 0 || json.Unmarshal(t.Failure, f) != nil {
		return nil
	}
	return f
}
