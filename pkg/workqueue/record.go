package workqueue

import (
	"fmt"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// MaxHops bounds how often one message is passed on as a copy. Every copy is a
// new message for SQS, whose receive count starts again, so without a bound a
// message that nobody can work on would go round for ever. An ordinary task
// needs one hop (to the backlog queue); the rest is for hand-backs, each of
// which stands for maxReceiveCount/2 (50) receives: a thousand hand-backs fit
// a deployment that rolls or a breaker that stays open for hours, and end.
const MaxHops = 20

// DecodeRecord is [Decode] for a message as Lambda hands it over.
func DecodeRecord(rec *events.SQSMessage) (Message, error) {
	return decode(rec.Body, func(name string) string {
		return aws.ToString(rec.MessageAttributes[name].StringValue)
	})
}

// Receives returns how often SQS has handed out the message, this time
// included; 0 if the record does not say.
func Receives(rec *events.SQSMessage) int {
	return count(rec.Attributes["ApproximateReceiveCount"])
}

// Copy returns a fresh copy of a received message: body, attributes of every
// type, group and trace as they were, and one more hop. It does not look into
// the body, so it serves messages of a newer version too. Send it, and
// acknowledge the original only when that is confirmed: to hand a message back
// whose receive count grows too high, or to move it to the backlog queue.
//
// After [MaxHops] copies it fails with [ErrTooManyHops]; a message whose
// attributes leave no room for hops fails with an [*InvalidError].
func Copy(rec *events.SQSMessage) (Outgoing, error) {
	hops := count(aws.ToString(rec.MessageAttributes[AttrHops].StringValue))
	if hops >= MaxHops {
		return Outgoing{}, fmt.Errorf("%w: %d times", ErrTooManyHops, hops)
	}
	out := Outgoing{
		Body:       rec.Body,
		Attributes: attributesOf(rec),
		Group:      groupOf(rec),
		Trace:      rec.Attributes["AWSTraceHeader"],
	}
	out.Attributes[AttrHops] = numberValue(hops + 1)
	if err := out.check(MaxBytes); err != nil {
		return Outgoing{}, fmt.Errorf("copy the message %s: %w", rec.MessageId, err)
	}
	return out, nil
}

// attributesOf returns rec's message attributes as the SDK sends them.
func attributesOf(rec *events.SQSMessage) map[string]types.MessageAttributeValue {
	attrs := make(map[string]types.MessageAttributeValue, len(rec.MessageAttributes)+1)
	for name, v := range rec.MessageAttributes {
		attrs[name] = types.MessageAttributeValue{
			DataType:    aws.String(v.DataType),
			StringValue: v.StringValue,
			BinaryValue: v.BinaryValue,
		}
	}
	return attrs
}

// groupOf returns the group that rec was sent with, or else its tenant's.
func groupOf(rec *events.SQSMessage) string {
	if g := rec.Attributes["MessageGroupId"]; g != "" {
		return g
	}
	return Group(aws.ToString(rec.MessageAttributes[AttrTenant].StringValue))
}
