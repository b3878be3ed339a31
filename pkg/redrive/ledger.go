package redrive

import "github.com/spillway-go/spillway/internal/job"

// Outcome is what became of one message in a job.
type Outcome = job.Outcome

// The outcomes.
const (
	// Intended is written before anything is done; what became of it is unknown
	// until a later entry says so.
	Intended = job.Intended
	// Replayed was sent to its queue, and SQS has confirmed it.
	Replayed = job.Replayed
	// Dropped was taken off the dead-letter queue without being sent, because its
	// task has ended in a way that no replay changes.
	Dropped = job.Dropped
	// Skipped stays in the dead-letter queue, for the reason given.
	Skipped = job.Skipped
	// Failed could not be sent, and stays where it was.
	Failed = job.Failed
	// Quarantined was set aside and can be restored.
	Quarantined = job.Quarantined
	// Restored went back from quarantine to the dead-letter queue.
	Restored = job.Restored
)

// Entry is what a job's ledger says of one message, or of one task.
type Entry struct {
	MessageID   string  `json:"message_id,omitempty"`
	TaskID      string  `json:"task_id,omitempty"`
	Run         int     `json:"run,omitempty"` // that it was sent for
	Fingerprint string  `json:"fingerprint,omitempty"`
	To          string  `json:"to,omitempty"` // name of the queue
	NoRow       bool    `json:"no_row,omitempty"`
	Outcome     Outcome `json:"outcome,omitempty"`
	Reason      string  `json:"reason,omitempty"`
}

// Key names what an entry is about: a message, or else a task.
func (e Entry) Key() string {
	if e.MessageID != "" {
		return e.MessageID
	}
	return e.TaskID
}

// Result is what became of it.
func (e Entry) Result() job.Result {
	return job.Result{Outcome: e.Outcome, Reason: e.Reason, AtLeastOnce: e.NoRow}
}

// intentOf is the entry of a letter before anything is done.
func intentOf(l *Letter) Entry {
	return Entry{MessageID: l.MessageID, TaskID: l.TaskID(), Fingerprint: l.Failure.Fingerprint}
}
