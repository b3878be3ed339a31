package workqueue

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"github.com/spillway-go/spillway/pkg/event"
	"github.com/spillway-go/spillway/pkg/task"
)

// MaxFailure is the largest failure record in bytes.
const MaxFailure = 4096

// FailureRecord says why a message is a dead letter. It travels in the message
// attribute failure.
type FailureRecord struct {
	Code      string    `json:"code"`
	Message   string    `json:"message"`
	Retryable bool      `json:"retryable"`
	Attempts  int       `json:"attempts"` // at the task, or receives of a message without a task
	FailedAt  task.Time `json:"failed_at"`
	Queue     string    `json:"queue,omitempty"`      // name of the queue that it was rejected from
	MessageID string    `json:"message_id,omitempty"` // of the rejected message; a dead letter has its own
	RequestID string    `json:"request_id,omitempty"` // of the Lambda invocation
	Function  string    `json:"function,omitempty"`   // name of the Lambda function
	Version   string    `json:"version,omitempty"`    // of the Lambda function
	TraceID   string    `json:"trace_id,omitempty"`   // of the Lambda invocation, or else of the message

	Fingerprint string         `json:"fingerprint,omitempty"` // the same for the same problem, see [task.Fingerprint]
	History     []task.Attempt `json:"history,omitempty"`     // the latest failed attempts, oldest first
}

// NewFailure records that a task failed now, in the Lambda invocation of ctx if
// it belongs to one. Attempts are those at the task, or the receives of a
// message without a task.
func NewFailure(ctx context.Context, f task.Failure, attempts int) FailureRecord {
	record := FailureRecord{
		Code: f.Code, Message: f.Message, Retryable: f.Retryable, Attempts: attempts,
		FailedAt: task.At(time.Now()), Function: lambdacontext.FunctionName, Version: lambdacontext.FunctionVersion,
	}
	if lc, ok := lambdacontext.FromContext(ctx); ok {
		record.RequestID = lc.AwsRequestID
	}
	if header, ok := ctx.Value(lambdaTraceKey).(string); ok {
		record.TraceID = traceRoot(header)
	}
	return record
}

// lambdaTraceKey is where the Lambda runtime puts the trace header of the
// invocation into a handler's context.
const lambdaTraceKey = "x-amzn-trace-id"

// traceRoot returns the id of the trace that an X-Ray header belongs to; empty
// if it names none.
func traceRoot(header string) string {
	for part := range strings.SplitSeq(header, ";") {
		if id, ok := strings.CutPrefix(strings.TrimSpace(part), "Root="); ok {
			return id
		}
	}
	return ""
}

// Of returns the record with what is still missing in it of the message that
// failed: its queue, id and trace, and the fingerprint of the failure of a task
// of this type (empty if the message is none).
func (f FailureRecord) Of(rec *event.SQSMessage, taskType string) FailureRecord {
	f.Queue = cmp.Or(f.Queue, queueName(rec.QueueARN))
	f.MessageID = cmp.Or(f.MessageID, rec.MessageID)
	f.TraceID = cmp.Or(f.TraceID, traceRoot(rec.TraceHeader))
	f.Fingerprint = cmp.Or(f.Fingerprint, task.Fingerprint(taskType, task.Failure{Code: code(f.Code), Message: f.Message}))
	return f
}

// Encode returns the record as JSON of at most [MaxFailure] bytes, all of them
// characters that SQS accepts: others are replaced, long texts are cut. It
// never fails.
func (f FailureRecord) Encode() string { return f.encode(MaxFailure) }

// keptMessage is how much of a message stays before the history gives way: all
// that [task.FailureOf] leaves of one.
const keptMessage = 400

// encode is Encode for at most limit bytes. What is beyond 400 bytes of the
// message gives way first, then the history, oldest attempts first, then the
// rest of the message. The empty string means that limit is too small for any
// record.
func (f FailureRecord) encode(limit int) string {
	if limit <= 0 {
		return ""
	}
	f = f.clean()
	message := f.Message
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	// Escapes lengthen some characters up to six times, hence the rounds: at
	// most some twenty, so they share the buffer.
	for keep := limit; ; {
		f.Message = task.CleanText(message, keep)
		buf.Reset()
		if err := enc.Encode(f); err != nil {
			return ""
		}
		if text := bytes.TrimSuffix(buf.Bytes(), []byte("\n")); len(text) <= limit {
			return string(text)
		}
		switch {
		case keep > keptMessage:
			keep = max(keep/2, keptMessage)
		case len(f.History) > 0:
			f.History = f.History[1:]
		case keep > 0:
			keep /= 2
		default:
			return ""
		}
	}
}

// clean returns the record with all but its message in bounds.
func (f FailureRecord) clean() FailureRecord {
	f.Code = code(f.Code)
	f.Queue = task.CleanText(f.Queue, maxOrigin)
	f.MessageID = task.CleanText(f.MessageID, 128)
	f.RequestID = task.CleanText(f.RequestID, 128)
	f.Function = task.CleanText(f.Function, 256)
	f.Version = task.CleanText(f.Version, 128)
	f.TraceID = task.CleanText(f.TraceID, 128)
	f.Fingerprint = task.CleanText(f.Fingerprint, 64)
	f.FailedAt = writable(f.FailedAt)
	f.History = slices.Clone(f.History[max(0, len(f.History)-maxHistory):])
	for i, a := range f.History {
		f.History[i] = task.Attempt{Attempt: a.Attempt, At: writable(a.At), Code: code(a.Code)}
	}
	return f
}

// maxHistory is how many attempts a record tells of; a task's row keeps as many.
const maxHistory = 10

// writable is t, or the zero time where JSON has no form for it.
func writable(t task.Time) task.Time {
	if y := t.UTC().Year(); y < 0 || y > 9999 {
		return task.Time{}
	}
	return t
}

// ParseFailure reads a record that [FailureRecord.Encode] wrote, by this or
// another version: unknown fields are ignored.
func ParseFailure(text string) (FailureRecord, error) {
	var f FailureRecord
	if err := json.Unmarshal([]byte(text), &f); err != nil {
		return FailureRecord{}, fmt.Errorf("parse the failure record: %w", err)
	}
	return f, nil
}

// code bounds an error code; none at all is not possible, because SQS refuses
// empty attributes.
func code(s string) string {
	if s = task.CleanText(s, 64); s == "" {
		return task.CodeHandlerError
	}
	return s
}
