package worker

import (
	"time"

	"github.com/spillway-go/spillway/internal/route"
	"github.com/spillway-go/spillway/pkg/event"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

// fate is what is to become of a message.
type fate int

const (
	undecided    fate = iota // comes back when its visibility timeout ends
	acknowledged             // Lambda deletes it
	returning                // comes back at job.at; not yet arranged
	returned                 // comes back, arranged
)

// job is one message of a batch on its way.
type job struct {
	rec  *event.SQSMessage
	msg  workqueue.Message
	row  *tasktable.Row // once claimed
	fate fate
	at   time.Time // when it comes back
	why  Reason    // it comes back
	anew bool      // it comes back as a new message, with all its hops

	to route.Role // the queue that it should wait in, once reroute has said so

	refusal string // why the message cannot be read

	// The ledger's; ledger.mu must be held.
	begun      bool // the handler has run, or is running
	beganAt    time.Time
	cancelSeen bool // a checkpoint told the handler that a cancel was requested
	advanced   bool // its latest checkpoint is another one than the handler began with
	over       bool // there is a verdict
}

func (j *job) ack() { j.fate = acknowledged }

// back lets the message come back after a while.
func (j *job) back(after time.Duration, why Reason) {
	j.fate, j.at, j.why = returning, time.Now().Add(after), why
}

// again lets the message come back at once, sent anew.
func (j *job) again() {
	j.back(0, WhyYielded)
	j.anew = true
}

// copy is the message to send in the place of the received one.
func (j *job) copy() (workqueue.Outgoing, error) {
	if j.anew {
		return workqueue.Onward(j.rec), nil
	}
	return workqueue.Copy(j.rec)
}

// backAt lets the message come back at an instant in milliseconds.
func (j *job) backAt(ms int64, why Reason) { j.fate, j.at, j.why = returning, time.UnixMilli(ms), why }

// run is the run that this message, or the row once it is known, stands for;
// 0 if the message could not be read.
func (j *job) run() int {
	if j.row != nil {
		return j.row.Run
	}
	return j.msg.Run
}

// Waits of messages that come back for no reason of their task's.
const (
	// newerVersionWait gives a rolling deployment time to replace this code.
	newerVersionWait = 20 * time.Second
	// outageWait is how long to leave a table or queue alone that did not answer.
	outageWait = 10 * time.Second
)
