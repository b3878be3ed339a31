package workqueue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/spillway-go/spillway/pkg/event"
	"github.com/spillway-go/spillway/pkg/task"
)

// CodeForeign is the error code of a dead letter that is not one of ours.
const CodeForeign = "foreign_message"

// DeadLetter turns a received message into the one to send to the dead-letter
// queue. It never fails, whatever the message holds.
//
// For one of ours, run is the run that failed: the dead letter has the same
// body with run+1, the attributes of the contract, error_code and failure. For
// a message that is not ours run is 0: its body is kept as it is, and its own
// attributes, of every type, as far as they fit beside error_code, failure and
// origin (its own, or else the queue it came from). Which of them stay is
// decided by their names' order. A body that [DecodeRecord] refuses counts as
// not ours, whatever run is.
//
// What did not fit, or what SQS would refuse, is returned in dropped, for the
// caller to keep elsewhere; even error_code and failure are there when the body
// alone takes up the largest message's size. dropped is nil if nothing is.
func DeadLetter(rec *event.SQSMessage, failure FailureRecord, run int) (out Outgoing, dropped map[string]types.MessageAttributeValue) {
	source := queueName(rec.QueueARN)
	own := attributesOf(rec)
	out = Outgoing{Body: rec.Body, Group: groupOf(rec), Trace: rec.TraceHeader}
	reserved := map[string]types.MessageAttributeValue{}
	names := []string{AttrErrorCode, AttrFailure, AttrOrigin}
	taskType := ""
	if m, text, ok := nextRun(rec, run); ok {
		taskType, out.Body = m.Type, text
		if m.Origin == "" {
			m.Origin = source
		}
		reserved = m.attributes()
		names = []string{
			AttrErrorCode, AttrFailure, AttrTaskID, AttrType, AttrTenant,
			AttrPriority, AttrRun, AttrReplays, AttrHops, AttrOrigin,
		}
		for _, name := range names {
			delete(own, name) // an older record of this very message
		}
	} else {
		if out.Body == "" { // only an emulator delivers these two
			out.Body = " "
		} else if !legalText(out.Body) {
			out.Body = task.CleanText(out.Body, MaxBytes)
		}
		if v := own[AttrOrigin]; aws.ToString(v.DataType) == "String" && refusal(AttrOrigin, v) == "" {
			reserved[AttrOrigin] = v // of a newer version: it came here by way of other queues
			delete(own, AttrOrigin)
		} else if source != "" {
			reserved[AttrOrigin] = stringValue(source)
		}
	}
	failure = failure.Of(rec, taskType)
	reserved[AttrErrorCode] = stringValue(code(failure.Code))
	reserved[AttrFailure] = stringValue(failure.Encode())

	f := fitting{out: &out, left: MaxBytes - len(out.Body)}
	for _, name := range names {
		v, ok := reserved[name]
		if !ok {
			continue
		}
		if name == AttrFailure && attributeSize(name, v) > f.left {
			if short := failure.encode(f.left - len(AttrFailure) - len("String")); short != "" {
				v = stringValue(short)
			}
		}
		f.add(name, v)
		if v, displaced := own[name]; displaced {
			f.drop(name, v)
			delete(own, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(own)) {
		f.add(name, own[name])
	}
	return out, f.dropped
}

// nextRun decodes one of our messages and raises its run to run+1.
func nextRun(rec *event.SQSMessage, run int) (Message, string, bool) {
	if run < 1 {
		return Message{}, "", false
	}
	m, err := DecodeRecord(rec)
	if err != nil {
		return Message{}, "", false
	}
	text, ok := replaceRun(rec.Body, run+1)
	m.Run, m.Hops = run+1, 0 // a new run, with all its hops
	return m, text, ok
}

// fitting adds attributes to a message while there is room.
type fitting struct {
	out     *Outgoing
	left    int // bytes
	dropped map[string]types.MessageAttributeValue
}

func (f *fitting) add(name string, v types.MessageAttributeValue) {
	size := attributeSize(name, v)
	if len(f.out.Attributes) >= MaxAttributes || size > f.left || refusal(name, v) != "" {
		f.drop(name, v)
		return
	}
	if f.out.Attributes == nil {
		f.out.Attributes = make(map[string]types.MessageAttributeValue, MaxAttributes)
	}
	f.out.Attributes[name] = v
	f.left -= size
}

func (f *fitting) drop(name string, v types.MessageAttributeValue) {
	if f.dropped == nil {
		f.dropped = map[string]types.MessageAttributeValue{}
	}
	f.dropped[name] = v
}

// queueName returns the last part of a queue's ARN.
func queueName(arn string) string {
	name := arn[strings.LastIndexByte(arn, ':')+1:]
	return task.CleanText(name, maxOrigin)
}

// Reject sends the dead letter of rec to this queue, with a failure record
// made from cause, and returns when SQS has confirmed it; only then may rec be
// acknowledged. It is what pkg/batch asks for a Rejecter. Attributes that did
// not fit are named in the log.
func (q *Queue) Reject(ctx context.Context, rec *event.SQSMessage, cause error) error {
	record := NewFailure(ctx, task.FailureOf(cause), rec.ReceiveCount)
	run := 0
	if m, err := DecodeRecord(rec); err == nil {
		run = m.Run
	} else if _, notOurs := errors.AsType[*ForeignError](cause); notOurs {
		record.Code = CodeForeign
	}
	out, dropped := DeadLetter(rec, record, run)
	if len(dropped) > 0 {
		q.opts.Logger.WarnContext(ctx, "attributes of a dead letter dropped",
			slog.String("message_id", rec.MessageID),
			slog.Any("attributes", slices.Sorted(maps.Keys(dropped))))
	}
	if err := q.Send(ctx, out); err != nil {
		return fmt.Errorf("reject the message %s: %w", rec.MessageID, err)
	}
	return nil
}
