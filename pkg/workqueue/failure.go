package workqueue

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"

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
}

// NewFailure records that a task failed now, in the Lambda invocation of ctx if
// it belongs to one. Attempts are those at the task, or the receives of a
// message without a task.
func NewFailure(ctx context.Context, f task.Failure, attempts int) FailureRecord {
	record := FailureRecord{
		Code: f.Code, Message: f.Message, Retryable: f.Retryable, Attempts: attempts,
		FailedAt: task.At(time.Now()), Function: lambdacontext.FunctionName,
	}
	if lc, ok := lambdacontext.FromContext(ctx); ok {
		record.RequestID = lc.AwsRequestID
	}
	return record
}

// Encode returns the record as JSON of at most [MaxFailure] bytes, all of them
// characters that SQS accepts: others are replaced, long texts are cut. It
// never fails.
func (f FailureRecord) Encode() string { return f.encode(MaxFailure) }

// encode is Encode for at most limit bytes; the message gives way first. The
// empty string means that limit is too small for any record.
func (f FailureRecord) encode(limit int) string {
	if limit <= 0 {
		return ""
	}
	f.Code = code(f.Code)
	f.Queue = task.CleanText(f.Queue, maxOrigin)
	f.MessageID = task.CleanText(f.MessageID, 128)
	f.RequestID = task.CleanText(f.RequestID, 128)
	f.Function = task.CleanText(f.Function, 256)
	if y := f.FailedAt.UTC().Year(); y < 0 || y > 9999 {
		f.FailedAt = task.Time{}
	}
	message := f.Message
	// Escapes double the length of some characters, hence the rounds.
	for keep := limit; ; keep /= 2 {
		f.Message = task.CleanText(message, keep)
		var buf bytes.Buffer
		enc := json.NewEncoder(&buf)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(f); err != nil {
			return ""
		}
		if text := bytes.TrimSuffix(buf.Bytes(), []byte("\n")); len(text) <= limit {
			return string(text)
		}
		if keep == 0 {
			return ""
		}
	}
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
