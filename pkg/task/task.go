package task

import (
	"encoding/json"
	"fmt"
	"time"
)

// Priority says which queue a task waits in.
type Priority string

// The priorities of a task.
const (
	// Normal is served first.
	Normal Priority = "normal"
	// Bulk waits in the backlog queue from the start, drained at a low rate.
	Bulk Priority = "bulk"
)

// Known reports whether p is a priority that Spillway has.
func (p Priority) Known() bool { return p == Normal || p == Bulk }

// Task is a task as callers see it; fields that do not apply are absent from
// its JSON form.
type Task struct {
	ID              string          `json:"id"`
	Type            string          `json:"type"`
	Status          Status          `json:"status"`
	Tenant          string          `json:"tenant"`
	Priority        Priority        `json:"priority"`
	CreatedAt       Time            `json:"created_at"`
	StartedAt       *Time           `json:"started_at,omitempty"` // of the latest attempt
	FinishedAt      *Time           `json:"finished_at,omitempty"`
	Deadline        Time            `json:"deadline"`
	Attempts        int             `json:"attempts"`
	Progress        *Advance        `json:"progress,omitempty"`
	Result          json.RawMessage `json:"result,omitempty"`
	Error           *Failure        `json:"error,omitempty"`
	CancelRequested bool            `json:"cancel_requested,omitempty"`
}

// Advance is how far a running task has come.
type Advance struct {
	Done  int64  `json:"done"`
	Total int64  `json:"total"`
	Note  string `json:"note,omitempty"`
}

// Time is an instant whose JSON form is RFC 3339 in UTC with exactly
// milliseconds, so that its strings have one length and sort as the times do.
type Time struct{ time.Time }

const timeLayout = "2006-01-02T15:04:05.000Z"

// At returns t as a [Time], cut to milliseconds.
func At(t time.Time) Time { return Time{t.UTC().Truncate(time.Millisecond)} }

// AtMilli returns the [Time] that is ms milliseconds after the Unix epoch.
func AtMilli(ms int64) Time { return Time{time.UnixMilli(ms).UTC()} }

// String returns the JSON form without quotes.
func (t Time) String() string { return t.UTC().Format(timeLayout) }

// MarshalJSON implements [json.Marshaler].
func (t Time) MarshalJSON() ([]byte, error) {
	if y := t.UTC().Year(); y < 0 || y > 9999 {
		return nil, fmt.Errorf("year %d is outside of RFC 3339", y)
	}
	return t.UTC().AppendFormat(make([]byte, 0, len(timeLayout)+2), `"`+timeLayout+`"`), nil
}

// UnmarshalJSON implements [json.Unmarshaler]; it takes any RFC 3339 time.
func (t *Time) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	parsed, err := ParseTime(s)
	if err != nil {
		return err
	}
	*t = parsed
	return nil
}

// ParseTime reads any RFC 3339 time.
func ParseTime(s string) (Time, error) {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return Time{}, fmt.Errorf("%q is not an RFC 3339 time such as 2026-01-31T12:00:00Z", s)
	}
	return At(t), nil
}
