package redrive

import (
	"fmt"
	"strings"
	"time"

	"github.com/spillway-go/spillway/pkg/event"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

// Error codes that dead letters without a failure record are listed under.
const (
	// CodeMoved is one that SQS moved.
	CodeMoved = "moved_by_sqs"
	// CodeUnexplained is one that somebody sent to the queue as it is.
	CodeUnexplained = "unexplained"
)

// Who brought a message to the dead-letter queue.
const (
	// ByWorker is the worker, which says why.
	ByWorker = "worker"
	// BySQS is the redrive policy of the queue it came from: its consumer
	// crashed, timed out or was throttled each time.
	BySQS = "sqs"
	// BySender is whoever sent it to the dead-letter queue itself.
	BySender = "sender"
)

// Letter is a dead letter.
type Letter struct {
	event.SQSMessage

	// Task is the message as a worker reads it; nil if it is none of ours.
	Task *workqueue.Message
	// Failure says why it is here. Without a record of its own it is what can be
	// said from outside, with the code [CodeMoved] or [CodeUnexplained].
	Failure workqueue.FailureRecord
	MovedBy string // [ByWorker], [BySQS] or [BySender]
}

func newLetter(rec event.SQSMessage) *Letter {
	l := &Letter{SQSMessage: rec}
	if m, err := workqueue.DecodeRecord(&rec); err == nil {
		l.Task = &m
	}
	if f, ok := workqueue.Rejection(&rec); ok {
		l.Failure, l.MovedBy = f, ByWorker
	} else {
		l.Failure, l.MovedBy = l.outside()
	}
	// Whoever can send to the queue can write such a record.
	l.Failure.Code, l.Failure.Message = task.CleanText(l.Failure.Code, 64), task.CleanText(l.Failure.Message, maxMessage)
	if l.Failure.Fingerprint == "" || len(l.Failure.Fingerprint) > maxFingerprint {
		l.Failure.Fingerprint = task.Fingerprint(l.Type(), task.Failure{Code: l.Failure.Code, Message: l.Failure.Message})
	}
	return l
}

// outside is what can be said of a letter that does not say why it is here.
func (l *Letter) outside() (f workqueue.FailureRecord, movedBy string) {
	f = workqueue.FailureRecord{Code: CodeMoved, Attempts: l.ReceiveCount, Retryable: true, FailedAt: task.At(l.SentAt), Queue: l.Origin()}
	if l.DeadLetterSource != "" {
		f.Message = "SQS moved the message after its last receive: the consumer crashed, timed out or was throttled each time"
		return f, BySQS
	}
	f.Code, f.Message = CodeUnexplained, "the message does not say why it is here: it was sent to this queue as it is"
	return f, BySender
}

const (
	maxMessage     = 1000
	maxFingerprint = 64
)

// bytes is how much of a listing the letter takes.
func (l *Letter) bytes() int {
	n := len(l.Body) + len(l.Attribute(workqueue.AttrFailure).String)
	for _, a := range l.Attributes {
		n += len(a.Name) + len(a.String) + len(a.Binary)
	}
	return n
}

// slim leaves of the letter what a decision needs.
func (l *Letter) slim() {
	var kept []event.Attribute
	for _, name := range []string{workqueue.AttrOrigin, workqueue.AttrReplays, workqueue.AttrType, workqueue.AttrTenant} {
		if a := l.Attribute(name); a.Name != "" {
			kept = append(kept, event.Attribute{Name: strings.Clone(a.Name), Type: "String", String: strings.Clone(task.CleanText(a.String, 256))})
		}
	}
	l.Body, l.Attributes, l.Failure.History = "", kept, nil
	if l.Task != nil {
		l.Task.Input = nil
	}
}

// TaskID is the id of the letter's task, as far as the letter can be read.
func (l *Letter) TaskID() string {
	if l.Task != nil {
		return l.Task.TaskID
	}
	return ""
}

// Type is the type of the letter's task, as far as the letter can be read.
func (l *Letter) Type() string {
	if l.Task != nil {
		return l.Task.Type
	}
	return task.CleanText(l.Attribute(workqueue.AttrType).String, task.MaxType)
}

// Tenant is the tenant of the letter's task, as far as the letter can be read.
func (l *Letter) Tenant() string {
	if l.Task != nil {
		return l.Task.Tenant
	}
	return task.CleanText(l.Attribute(workqueue.AttrTenant).String, workqueue.MaxTenant)
}

// Origin is the name of the queue that the message belongs on: where its task
// was sent to first, or else where SQS took it from. Empty if nothing tells.
func (l *Letter) Origin() string {
	if l.Task != nil && l.Task.Origin != "" {
		return l.Task.Origin
	}
	if origin := l.Attribute(workqueue.AttrOrigin).String; origin != "" {
		return origin
	}
	return l.DeadLetterSource[strings.LastIndexByte(l.DeadLetterSource, ':')+1:]
}

// Replays is how often the message was replayed.
func (l *Letter) Replays() int { return workqueue.Replays(&l.SQSMessage) }

// nextRun is the run that a replay of the letter stands for. A worker's letter
// carries it; one that SQS moved still has the run that failed.
func (l *Letter) nextRun() int {
	if l.MovedBy == ByWorker {
		return l.Task.Run
	}
	return l.Task.Run + 1
}

// failure is why, in two words.
func (l *Letter) reason() string { return fmt.Sprintf("%s: %s", l.Failure.Code, l.Failure.Message) }

// subject is what filters look at.
func (l *Letter) subject() subject {
	return subject{typ: l.Type(), tenant: l.Tenant(), reason: l.reason(), at: l.SentAt, ids: [2]string{l.MessageID, l.TaskID()}}
}

// subject is what a [Filter] is held against.
type subject struct {
	typ, tenant, reason string
	at                  time.Time
	ids                 [2]string
}
