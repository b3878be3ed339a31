package worker

import (
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

// fate is what is to become of a message.
type fate int

const (
	undecided    fate = iota // comes back when its visibility timeout ends
	acknowledged             // Lambda deletes it
	returning                // comes back after job.after; not yet arranged
	returned                 // comes back, arranged
)

// job is one message of a batch on its way.
type job struct {
	rec   *events.SQSMessage
	msg   workqueue.Message
	row   *tasktable.Row // once claimed
	fate  fate
	after time.Duration
	ended bool // the ledger has its verdict; ledger.mu must be held

	cancelSeen bool // a checkpoint told the handler that a cancel was requested
}

func (j *job) ack() { j.fate = acknowledged }

// back lets the message come back after a while.
func (j *job) back(after time.Duration) { j.fate, j.after = returning, max(after, 0) }

// backAt lets the message come back at an instant in milliseconds.
func (j *job) backAt(ms int64) { j.back(time.Until(time.UnixMilli(ms))) }

// Waits of messages that come back for no reason of their task's.
const (
	// newerVersionWait gives a rolling deployment time to replace this code.
	newerVersionWait = 20 * time.Second
	// outageWait is how long to leave a table or queue alone that did not answer.
	outageWait = 10 * time.Second
)
