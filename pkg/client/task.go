package client

import (
	"encoding/json"
	"fmt"
	"time"
)

// Status is the state of a task. A newer API may answer states that this
// package does not know.
type Status string

// The states of a task.
const (
	Queued       Status = "queued"
	Running      Status = "running"
	Succeeded    Status = "succeeded"
	Failed       Status = "failed"
	Canceled     Status = "canceled"
	Expired      Status = "expired"
	DeadLettered Status = "dead_lettered"
)

// Statuses lists the states in the order in which a task meets them.
var Statuses = []Status{Queued, Running, Succeeded, Failed, Canceled, Expired, DeadLettered}

// Finished reports whether the task has come to its end: nothing changes it any
// more, except an operator who replays a failed or dead-lettered one or cancels
// a dead-lettered one.
func (s Status) Finished() bool {
	switch s {
	case Succeeded, Failed, Canceled, Expired, DeadLettered:
		return true
	default:
		return false
	}
}

// Priority says which queue a task takes.
type Priority string

// The priorities of a task.
const (
	Normal Priority = "normal"
	Bulk   Priority = "bulk"
)

// Task is a task as the API answers it. Fields that do not apply are zero.
type Task struct {
	ID              string          `json:"id"` // sorts by creation time
	Type            string          `json:"type"`
	Status          Status          `json:"status"`
	Tenant          string          `json:"tenant,omitempty"`
	Priority        Priority        `json:"priority,omitempty"`
	CreatedAt       time.Time       `json:"created_at,omitzero"`
	StartedAt       time.Time       `json:"started_at,omitzero"`
	FinishedAt      time.Time       `json:"finished_at,omitzero"`
	Deadline        time.Time       `json:"deadline,omitzero"`
	Attempts        int             `json:"attempts"`
	Progress        *Progress       `json:"progress,omitempty"`
	Result          json.RawMessage `json:"result,omitempty"`
	Error           *TaskError      `json:"error,omitempty"`
	CancelRequested bool            `json:"cancel_requested,omitempty"`
}

// Progress is how far the handler of a running task says it has come.
type Progress struct {
	Done  int64  `json:"done"`
	Total int64  `json:"total,omitempty"`
	Note  string `json:"note,omitempty"`
}

// TaskError is why the task's last attempt did not succeed. It is not an error
// of the call that answered it, and so no Go error.
type TaskError struct {
	Code      string `json:"code"`
	Message   string `json:"message"`
	Retryable bool   `json:"retryable"`
}

// MarshalJSON writes times as the API does, in UTC with milliseconds, so that
// they still sort as text.
func (t Task) MarshalJSON() ([]byte, error) {
	type plain Task
	return json.Marshal(struct {
		plain
		CreatedAt  apiTime `json:"created_at,omitzero"`
		StartedAt  apiTime `json:"started_at,omitzero"`
		FinishedAt apiTime `json:"finished_at,omitzero"`
		Deadline   apiTime `json:"deadline,omitzero"`
	}{plain(t), apiTime(t.CreatedAt), apiTime(t.StartedAt), apiTime(t.FinishedAt), apiTime(t.Deadline)})
}

// apiTime is a time as the API writes it.
type apiTime time.Time

func (t apiTime) IsZero() bool { return time.Time(t).IsZero() }

func (t apiTime) MarshalJSON() ([]byte, error) {
	if y := time.Time(t).UTC().Year(); y < 0 || y > 9999 {
		return nil, fmt.Errorf("year %d is outside of RFC 3339", y)
	}
	return []byte(time.Time(t).UTC().Format(`"2006-01-02T15:04:05.000Z07:00"`)), nil
}
