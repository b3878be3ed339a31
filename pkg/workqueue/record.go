package workqueue

import (
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/spillway-go/spillway/pkg/event"
)

// MaxHops bounds how often one message is passed on as a copy. Every copy is a
// new message for SQS, whose receive count starts again, so without a bound a
// message that nobody can work on would go round for ever. An ordinary task
// needs one hop (to the backlog queue); the rest is for hand-backs, each of
// which stands for maxReceiveCount/2 (50) receives: a thousand hand-backs fit
// a deployment that rolls or a breaker that stays open for hours, and end.
const MaxHops = 20

// DecodeRecord is [Decode] for a message as Lambda hands it over.
func DecodeRecord(rec *event.SQSMessage) (Message, error) {
	return decode(rec.Body, func(name string) string { return rec.Attribute(name).String })
}

// Copy returns a fresh copy of a received message: body, attributes of every
// type, group and trace as they were, and one more hop. It does not look into
// the body, so it serves messages of a newer version too. Send it, and
// acknowledge the original only when that is confirmed: to hand a message back
// whose receive count grows too high, or to move it to the backlog queue.
//
// After [MaxHops] copies it fails with [ErrTooManyHops]; a message whose
// attributes leave no room for hops fails with an [*InvalidError].
func Copy(rec *event.SQSMessage) (Outgoing, error) {
	hops := count(rec.Attribute(AttrHops).String)
	if hops >= MaxHops {
		return Outgoing{}, fmt.Errorf("%w: %d times", ErrTooManyHops, hops)
	}
	out := again(rec)
	out.Attributes[AttrHops] = numberValue(hops + 1)
	if err := out.check(MaxBytes); err != nil {
		return Outgoing{}, fmt.Errorf("copy the message %s: %w", rec.MessageID, err)
	}
	return out, nil
}

// Onward returns a received message to be sent anew for a task that goes on
// from its checkpoint: as [Copy] does, but with all its hops again. Nothing
// here bounds how often, so whoever sends it needs progress that ends.
func Onward(rec *event.SQSMessage) Outgoing {
	out := again(rec)
	if _, counted := out.Attributes[AttrHops]; counted {
		out.Attributes[AttrHops] = numberValue(0)
	}
	return out
}

// again is rec as it was sent.
func again(rec *event.SQSMessage) Outgoing {
	return Outgoing{Body: rec.Body, Attributes: attributesOf(rec), Group: groupOf(rec), Trace: rec.TraceHeader}
}

// attributesOf returns rec's message attributes as the SDK sends them.
func attributesOf(rec *event.SQSMessage) map[string]types.MessageAttributeValue {
	attrs := make(map[string]types.MessageAttributeValue, len(rec.Attributes)+1)
	for _, a := range rec.Attributes {
		v := types.MessageAttributeValue{DataType: aws.String(a.Type)}
		if kind, _, _ := strings.Cut(a.Type, "."); kind == "Binary" {
			v.BinaryValue = a.Binary
		} else {
			v.StringValue = aws.String(a.String)
		}
		attrs[a.Name] = v
	}
	return attrs
}

// groupOf returns the group that rec was sent with, or else its tenant's.
func groupOf(rec *event.SQSMessage) string {
	if rec.GroupID != "" {
		return rec.GroupID
	}
	return Group(rec.Attribute(AttrTenant).String)
}
