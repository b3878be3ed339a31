package main

import (
	"encoding/json"
	"time"

	"github.com/spillway-go/spillway/pkg/client"
)

// The admin function's answers, as far as people are shown them; -o json passes
// on all of an answer.

// queueStatus answers dlq.status.
type queueStatus struct {
	Queue     string         `json:"queue"`
	Name      string         `json:"name"`
	Depth     int            `json:"depth"`
	InFlight  int            `json:"in_flight"`
	Delayed   int            `json:"delayed"`
	OldestAge string         `json:"oldest_age"`
	Groups    []failureGroup `json:"groups"`
	Complete  bool           `json:"complete"`
	Note      string         `json:"note"`
}

// failureGroup holds what failed for the same reason.
type failureGroup struct {
	Fingerprint string    `json:"fingerprint"`
	Type        string    `json:"type"`
	Code        string    `json:"code"`
	Message     string    `json:"message"`
	Count       int       `json:"count"`
	FirstSeen   time.Time `json:"first_seen"`
	LastSeen    time.Time `json:"last_seen"`
	MovedBy     string    `json:"moved_by"`
	Sample      struct {
		TaskID    string `json:"task_id"`
		MessageID string `json:"message_id"`
	} `json:"sample"`
}

// Who moved a message into a dead-letter queue, if no worker did.
const (
	movedBySQS    = "sqs" // after a crash, a time-out
	movedBySender = "sender"
)

// deadLetterPage answers dlq.list.
type deadLetterPage struct {
	Queue    string       `json:"queue"`
	Messages []deadLetter `json:"messages"`
	Complete bool         `json:"complete"`
	Note     string       `json:"note"`
}

// deadLetter is one message of a dead-letter queue.
type deadLetter struct {
	MessageID    string    `json:"message_id"`
	TaskID       string    `json:"task_id"`
	Type         string    `json:"type"`
	Tenant       string    `json:"tenant"`
	ReceiveCount int       `json:"receive_count"`
	SentAt       time.Time `json:"sent_at"`
	Age          string    `json:"age"`
	Error        *failure  `json:"error"`
	MovedBy      string    `json:"moved_by"`
	Origin       string    `json:"origin"`
	Run          int       `json:"run"`
	Replays      int       `json:"replays"`
	Body         string    `json:"body"`
}

// failure is a failure record.
type failure struct {
	Code        string    `json:"code"`
	Message     string    `json:"message"`
	Retryable   bool      `json:"retryable"`
	Attempts    int       `json:"attempts"`
	FailedAt    time.Time `json:"failed_at"`
	Fingerprint string    `json:"fingerprint"`
	Function    string    `json:"function"`
	Version     string    `json:"version"`
	RequestID   string    `json:"request_id"`
	TraceID     string    `json:"trace_id"`
	History     []attempt `json:"history"`
}

// attempt is one that failed.
type attempt struct {
	Attempt int       `json:"attempt"`
	At      time.Time `json:"at"`
	Code    string    `json:"code"`
}

// plan answers a dry run.
type plan struct {
	PlanID       string         `json:"plan_id"`
	ExpiresAt    time.Time      `json:"expires_at"`
	Matched      int            `json:"matched"`
	Replay       int            `json:"replay"`
	Skip         int            `json:"skip"` // Drop among them
	Drop         int            `json:"drop"`
	Reasons      map[string]int `json:"reasons"`
	Destinations map[string]int `json:"destinations"`
	Groups       []failureGroup `json:"groups"`
	Messages     []planned      `json:"messages"`
	Note         string         `json:"note"`
}

// dropped are the messages that are taken off the queue without being sent, as
// far as the answer tells.
func (p *plan) dropped() int {
	n := 0
	for _, m := range p.Messages {
		if m.Action == "drop" {
			n++
		}
	}
	return max(p.Drop, n)
}

// holds counts the messages that the plan does something with.
func (p *plan) holds() int { return p.Replay + p.dropped() }

// planned is what a plan does with one message.
type planned struct {
	MessageID string `json:"message_id"`
	TaskID    string `json:"task_id"`
	Type      string `json:"type"`
	Run       int    `json:"run"`
	Action    string `json:"action"`
	Reason    string `json:"reason"`
	To        string `json:"to"`
}

// outcome answers the commands that change something.
type outcome struct {
	JobID           string         `json:"job_id"`
	Status          string         `json:"status"`
	Matched         int            `json:"matched"`
	Replayed        int            `json:"replayed"`
	Skipped         int            `json:"skipped"`
	Dropped         int            `json:"dropped"`
	Failed          int            `json:"failed"`
	Quarantined     int            `json:"quarantined"`
	Restored        int            `json:"restored"`
	Refused         int            `json:"refused"`
	Done            bool           `json:"done"`
	AtLeastOnce     int            `json:"at_least_once"`
	Reasons         map[string]int `json:"reasons"`
	Canary          *canary        `json:"canary"`
	RestorableUntil time.Time      `json:"restorable_until"`
	TaskHandle      string         `json:"task_handle"`
	Task            *adminTask     `json:"task"`
	Records         []recordEnd    `json:"records"`
	Groups          []failureGroup `json:"groups"`
	Note            string         `json:"note"`
}

// canary is the first few messages, whose tasks have to succeed before the rest
// is sent.
type canary struct {
	Size      int `json:"size"`
	Succeeded int `json:"succeeded"`
	Failed    int `json:"failed"`
	Pending   int `json:"pending"`
}

// UnmarshalJSON also takes a number, which is the size.
func (c *canary) UnmarshalJSON(b []byte) error {
	if json.Unmarshal(b, &c.Size) == nil {
		return nil
	}
	type plain canary
	return json.Unmarshal(b, (*plain)(c))
}

// adminTask is a task as an operator sees it.
type adminTask struct {
	client.Task
	Run     int       `json:"run"`
	Replays int       `json:"replays"`
	PlanID  string    `json:"plan_id"`
	Failure *failure  `json:"failure"`
	History []attempt `json:"history"`
}

// recordList answers stream.list.
type recordList struct {
	Ranges  []recordRange `json:"ranges"`
	Records []record      `json:"records"`
	Note    string        `json:"note"`
}

// recordRange is a part of a stream that failed as a whole.
type recordRange struct {
	ShardID   string    `json:"shard_id"`
	First     string    `json:"first"`
	Last      string    `json:"last"`
	Records   int       `json:"records"`
	Condition string    `json:"condition"`
	State     string    `json:"state"`
	ArrivedAt time.Time `json:"arrived_at"`
	KeepUntil time.Time `json:"keep_until"`
}

// record is one that is kept in the archive.
type record struct {
	ID             string    `json:"id"`
	Source         string    `json:"source"`
	ShardID        string    `json:"shard_id"`
	SequenceNumber string    `json:"sequence_number"`
	Key            string    `json:"key"`
	Error          *failure  `json:"error"`
	Attempts       int       `json:"attempts"`
	ArchivedAt     time.Time `json:"archived_at"`
	ArchivedBy     string    `json:"archived_by"`
	KeepUntil      time.Time `json:"keep_until"`
	State          string    `json:"state"`
	Size           int       `json:"size"`
}

// recordEnd is what came of a record that was handed to its consumer again.
type recordEnd struct {
	ID      string `json:"id"`
	Outcome string `json:"outcome"`
	Reason  string `json:"reason"`
}
