package adminapi

import "github.com/spillway-go/spillway/pkg/task"

// The queues that commands name. A command that names none means [QueueTasks].
const (
	QueueTasks  = "tasks"  // dead letters of tasks
	QueueStream = "stream" // ranges of stream records that could not be processed
	QueueSaga   = "saga"   // compensations that failed for good
)

// Queues are all of them, the default first.
var Queues = []string{QueueTasks, QueueStream, QueueSaga}

// Filter selects dead letters or tasks: all that is given must match, and an
// empty filter matches all.
type Filter struct {
	Type          string      `json:"type,omitempty"`
	Tenant        string      `json:"tenant,omitempty"`
	ErrorContains string      `json:"error_contains,omitempty"` // in "code: message", in any case of letters
	OlderThan     string      `json:"older_than,omitempty"`     // a duration
	NewerThan     string      `json:"newer_than,omitempty"`     // a duration
	IDs           []string    `json:"ids,omitempty"`            // of tasks or messages
	Status        task.Status `json:"status,omitempty"`         // for task.retry: failed or dead_lettered
}

// DLQStatusRequest asks for an overview of a queue.
type DLQStatusRequest struct {
	Queue string `json:"queue,omitempty"`
}

// DLQStatusAnswer is an overview of a queue.
type DLQStatusAnswer struct {
	Queue     string  `json:"queue"`
	Name      string  `json:"name"` // of the queue in SQS
	Depth     int     `json:"depth"`
	InFlight  int     `json:"in_flight"`
	Delayed   int     `json:"delayed"`
	OldestAge string  `json:"oldest_age"` // empty if unknown
	Groups    []Group `json:"groups"`     // the largest 200
	Indexed   int     `json:"indexed"`    // letters that the task table knows
	Complete  bool    `json:"complete"`   // the groups cover the whole queue
	Note      string  `json:"note,omitempty"`
}

// Group counts the dead letters that failed for the same reason.
type Group struct {
	Fingerprint string    `json:"fingerprint"`
	Type        string    `json:"type"`
	Code        string    `json:"code"`
	Message     string    `json:"message"`
	Count       int       `json:"count"`
	FirstSeen   task.Time `json:"first_seen,omitzero"`
	LastSeen    task.Time `json:"last_seen,omitzero"`
	MovedBy     MovedBy   `json:"moved_by,omitempty"`
	Sample      Sample    `json:"sample"`
}

// Sample is one letter of a group.
type Sample struct {
	TaskID    string `json:"task_id,omitempty"`
	MessageID string `json:"message_id,omitempty"`
}

// MovedBy is who put a message into a dead-letter queue.
type MovedBy string

// The movers of messages.
const (
	MovedByWorker MovedBy = "worker" // which says why
	MovedBySQS    MovedBy = "sqs"    // after a crash, a time-out or too many receives
	MovedBySender MovedBy = "sender" // which sent it straight to the dead-letter queue
)

// DLQListRequest asks for dead letters.
type DLQListRequest struct {
	Queue  string  `json:"queue,omitempty"`
	Filter *Filter `json:"filter,omitempty"`
	Max    int     `json:"max,omitempty"` // 1 to 1000
}

// DLQListAnswer lists dead letters.
type DLQListAnswer struct {
	Queue    string   `json:"queue"`
	Messages []Letter `json:"messages"`
	Complete bool     `json:"complete"` // these are all that match
	Note     string   `json:"note,omitempty"`
}

// Letter is one message of a dead-letter queue.
type Letter struct {
	MessageID    string    `json:"message_id"`
	TaskID       string    `json:"task_id,omitempty"`
	Type         string    `json:"type,omitempty"`
	Tenant       string    `json:"tenant,omitempty"`
	ReceiveCount int       `json:"receive_count"`
	SentAt       task.Time `json:"sent_at,omitzero"`
	Age          string    `json:"age"`
	Error        Failure   `json:"error"`
	MovedBy      MovedBy   `json:"moved_by"`
	Origin       string    `json:"origin,omitempty"` // name of the queue that it was in first
	Run          int       `json:"run,omitempty"`
	Replays      int       `json:"replays"`
	Body         string    `json:"body"`
}

// Failure says why a message is a dead letter, as the worker recorded it.
type Failure struct {
	Code      string    `json:"code"`
	Message   string    `json:"message"`
	Retryable bool      `json:"retryable"`
	Attempts  int       `json:"attempts"`
	FailedAt  task.Time `json:"failed_at"`
	Queue     string    `json:"queue,omitempty"`
	MessageID string    `json:"message_id,omitempty"`
	RequestID string    `json:"request_id,omitempty"`
	Function  string    `json:"function,omitempty"`
	Version   string    `json:"version,omitempty"`
	TraceID   string    `json:"trace_id,omitempty"`

	Fingerprint string         `json:"fingerprint,omitempty"`
	History     []task.Attempt `json:"history,omitempty"` // the latest failed attempts, oldest first
}
