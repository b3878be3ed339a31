package workqueue

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/spillway-go/spillway/pkg/event"
	"github.com/spillway-go/spillway/pkg/task"
)

// isolated is the body of a message that keeps a record of a stream.
type isolated struct {
	V              int             `json:"v"`
	Source         string          `json:"source"`
	StreamARN      string          `json:"stream_arn"`
	ShardID        string          `json:"shard_id,omitempty"`
	SequenceNumber string          `json:"sequence_number"`
	EventID        string          `json:"event_id"`
	Key            string          `json:"key"`
	Record         json.RawMessage `json:"record,omitempty"`
	RecordOmitted  bool            `json:"record_omitted,omitempty"`
}

// Isolate sends a record of a stream to this queue, with a failure record made
// from cause, and returns when SQS has confirmed it; only then may the stream
// go on without the record. It is what pkg/batch asks for an Isolator. Give
// such records a queue of their own: they are no tasks.
//
// The message's body says in JSON where the record is, and holds it as Lambda
// delivered it:
//
//	{"v":1,"source":"aws:kinesis","stream_arn":"arn:…","shard_id":"shardId-…",
//	 "sequence_number":"4954…","event_id":"shardId-…:4954…","key":"customer-7",
//	 "record":{…}}
//
// DynamoDB does not tell the shard, so shard_id is missing there. A record that
// would not fit into a message is left out, with "record_omitted":true: the
// stream still has it for as long as it keeps records. The attributes are
// error_code, failure ([FailureRecord]; its attempts are those of the last
// batch) and origin, the name of the stream or table.
func (q *Queue) Isolate(ctx context.Context, rec *event.StreamRecord, cause error) error {
	failure := NewFailure(ctx, task.FailureOf(cause), rec.Attempts)
	out := Outgoing{Attributes: map[string]types.MessageAttributeValue{
		AttrErrorCode: stringValue(code(failure.Code)),
		AttrFailure:   stringValue(failure.Encode()),
	}}
	if origin := task.CleanText(rec.Stream(), maxOrigin); origin != "" {
		out.Attributes[AttrOrigin] = stringValue(origin)
	}
	out.Body = isolatedBody(rec, q.opts.MaxBytes-out.Size())
	if err := q.Send(ctx, out); err != nil {
		return fmt.Errorf("isolate the record %s of %s: %w", rec.SequenceNumber, rec.Stream(), err)
	}
	return nil
}

// isolatedBody returns the body, without the record if it would be longer than
// limit bytes with it.
func isolatedBody(rec *event.StreamRecord, limit int) string {
	body := isolated{
		V: Version, Source: rec.Source, StreamARN: rec.StreamARN, ShardID: rec.ShardID,
		SequenceNumber: rec.SequenceNumber, EventID: rec.EventID, Key: rec.Key, Record: json.RawMessage(rec.JSON),
	}
	if text, ok := legalJSON(body); ok && len(text) <= limit {
		return text
	}
	body.Record, body.RecordOmitted = nil, true
	text, _ := legalJSON(body) // nothing but text is left in it
	return text
}

// legalJSON encodes v in characters that SQS accepts. It fails only on raw
// parts of v that are no JSON.
func legalJSON(v any) (string, bool) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return "", false
	}
	return escapeRefused(strings.ToValidUTF8(strings.TrimSuffix(buf.String(), "\n"), "\uFFFD")), true
}
