package workqueue

import (
	"cmp"
	"context"
	"crypto/rand"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// Send sends one message and returns when SQS has confirmed it. After an error
// the message may or may not be on the queue, unless the error is an
// [*InvalidError] or a [*TooLargeError].
func (q *Queue) Send(ctx context.Context, msg Outgoing) error {
	return q.SendBatch(ctx, []Outgoing{msg})[0]
}

// SendBatch sends messages in as few calls as the limits on entries and bytes
// allow, one call after the other, and returns one outcome for each message:
// nil means that SQS has confirmed it.
//
// A message that SQS is sure to refuse ([*InvalidError], [*TooLargeError])
// fails before anything is sent and leaves the others alone. An entry that SQS
// refuses without the sender's fault is tried again, see [Options.Attempts];
// an [*EntryError] tells the last refusal. When a whole call fails, the
// client's retries included, that is the outcome of each of its messages. A
// message without a confirmation may nevertheless be on the queue.
//
// A FIFO queue, known by its name, gets a fresh deduplication id for each
// message that does not bring one: SQS would drop, without a word, a copy that
// has the id of its original within five minutes
// (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/using-messagededuplicationid-property.html).
// A message without a group is then its own. Delays are for the whole queue
// there, so one with a delay is an [*InvalidError].
func (q *Queue) SendBatch(ctx context.Context, msgs []Outgoing) []error {
	errs := make([]error, len(msgs))
	pending := make([]int, 0, len(msgs))
	sizes := make([]int, len(msgs))
	once := q.deduplicationIDs(msgs)
	for i := range msgs {
		if errs[i] = msgs[i].check(q.opts.MaxBytes); errs[i] == nil && q.FIFO() && msgs[i].Delay > 0 {
			errs[i] = &InvalidError{Reason: "a FIFO queue takes no delay for a message"}
		}
		if errs[i] == nil {
			sizes[i] = msgs[i].Size()
			pending = append(pending, i)
		}
	}
	q.run(ctx, &batchCall{
		name: "send",
		size: func(i int) int { return sizes[i] },
		one: func(ctx context.Context, i int) error {
			m := &msgs[i]
			_, err := q.api.SendMessage(ctx, &sqs.SendMessageInput{
				QueueUrl:                &q.url,
				MessageBody:             &m.Body,
				MessageAttributes:       m.Attributes,
				MessageSystemAttributes: m.system(),
				MessageGroupId:          m.group(once[i]),
				MessageDeduplicationId:  once[i],
				DelaySeconds:            ceilSeconds(m.Delay, MaxDelay),
			})
			return err
		},
		many: func(ctx context.Context, entries []int) ([]*string, []types.BatchResultErrorEntry, error) {
			in := &sqs.SendMessageBatchInput{QueueUrl: &q.url}
			for _, i := range entries {
				m := &msgs[i]
				in.Entries = append(in.Entries, types.SendMessageBatchRequestEntry{
					Id:                      entryID(i),
					MessageBody:             &m.Body,
					MessageAttributes:       m.Attributes,
					MessageSystemAttributes: m.system(),
					MessageGroupId:          m.group(once[i]),
					MessageDeduplicationId:  once[i],
					DelaySeconds:            ceilSeconds(m.Delay, MaxDelay),
				})
			}
			out, err := q.api.SendMessageBatch(ctx, in)
			if err != nil {
				return nil, nil, err
			}
			return idsOf(out.Successful, func(e *types.SendMessageBatchResultEntry) *string { return e.Id }), out.Failed, nil
		},
	}, pending, errs)
	return errs
}

// FIFO reports whether the queue is a FIFO queue, which its name says.
func (q *Queue) FIFO() bool { return strings.HasSuffix(q.url, ".fifo") }

// deduplicationIDs returns an id for each message, which every attempt to send
// it has; nil for a standard queue.
func (q *Queue) deduplicationIDs(msgs []Outgoing) []*string {
	ids := make([]*string, len(msgs))
	if q.FIFO() {
		for i := range ids {
			ids[i] = aws.String(cmp.Or(msgs[i].DeduplicationID, rand.Text()))
		}
	}
	return ids
}

// group is the message's group. If it has none it is alone.
func (o *Outgoing) group(alone *string) *string {
	if o.Group == "" {
		return alone
	}
	return aws.String(Group(o.Group))
}

func (o *Outgoing) system() map[string]types.MessageSystemAttributeValue {
	if o.Trace == "" || !legalText(o.Trace) {
		return nil
	}
	return map[string]types.MessageSystemAttributeValue{
		string(types.MessageSystemAttributeNameForSendsAWSTraceHeader): {
			DataType:    aws.String("String"),
			StringValue: &o.Trace,
		},
	}
}
