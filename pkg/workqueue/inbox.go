package workqueue

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/spillway-go/spillway/pkg/event"
)

// InboxAPI is the part of the SQS client that an [Inbox] calls.
type InboxAPI interface {
	API
	ReceiveMessage(context.Context, *sqs.ReceiveMessageInput, ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error)
	DeleteMessage(context.Context, *sqs.DeleteMessageInput, ...func(*sqs.Options)) (*sqs.DeleteMessageOutput, error)
	DeleteMessageBatch(context.Context, *sqs.DeleteMessageBatchInput, ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error)
	GetQueueAttributes(context.Context, *sqs.GetQueueAttributesInput, ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error)
}

var _ InboxAPI = (*sqs.Client)(nil)

// Inbox is a [Queue] from which one receives by hand, as an operator does with
// dead letters; Lambda's event source mappings need none. It is safe for
// concurrent use.
type Inbox struct {
	*Queue
	api InboxAPI
}

// NewInbox returns the [Inbox] at url. Nil opts mean the defaults.
func NewInbox(client InboxAPI, url string, opts *Options) *Inbox {
	return &Inbox{Queue: New(client, url, opts), api: client}
}

// MaxWait is how long SQS holds a receive that finds nothing.
const MaxWait = 20 * time.Second

// Receive takes up to limit messages (10 at most) and hides them for as long as
// hide says, in whole seconds, rounded up. It waits up to wait, rounded up to
// seconds, at most [MaxWait], for the first one. No messages are no error: a
// standard queue may answer so although it has some.
func (q *Inbox) Receive(ctx context.Context, limit int, hide, wait time.Duration) ([]event.SQSMessage, error) {
	out, err := q.api.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl:                    &q.url,
		MaxNumberOfMessages:         int32(min(max(limit, 1), MaxEntries)),
		VisibilityTimeout:           max(ceilSeconds(hide, MaxVisibility), 1),
		WaitTimeSeconds:             ceilSeconds(wait, MaxWait),
		MessageAttributeNames:       []string{"All"},
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
	})
	if err != nil {
		return nil, fmt.Errorf("receive from %s: %w", q.Name(), err)
	}
	messages := make([]event.SQSMessage, len(out.Messages))
	for i := range out.Messages {
		messages[i] = received(&out.Messages[i])
	}
	return messages, nil
}

// Delete removes received messages, ten a call, and returns one outcome for
// each, as [Queue.SendBatch] does. [ErrReceiptGone] says that a message became
// visible meanwhile, and may have been received by somebody else. Repeating a
// delete is harmless.
func (q *Inbox) Delete(ctx context.Context, receipts []string) []error {
	errs := make([]error, len(receipts))
	pending := make([]int, len(receipts))
	for i := range pending {
		pending[i] = i
	}
	q.run(ctx, &batchCall{
		name:    "delete",
		outcome: receiptOutcome,
		one: func(ctx context.Context, i int) error {
			_, err := q.api.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &q.url, ReceiptHandle: &receipts[i]})
			return err
		},
		many: func(ctx context.Context, entries []int) ([]*string, []types.BatchResultErrorEntry, error) {
			in := &sqs.DeleteMessageBatchInput{QueueUrl: &q.url}
			for _, i := range entries {
				in.Entries = append(in.Entries, types.DeleteMessageBatchRequestEntry{Id: entryID(i), ReceiptHandle: &receipts[i]})
			}
			out, err := q.api.DeleteMessageBatch(ctx, in)
			if err != nil {
				return nil, nil, err
			}
			return idsOf(out.Successful, func(e *types.DeleteMessageBatchResultEntry) *string { return e.Id }), out.Failed, nil
		},
	}, pending, errs)
	return errs
}

// Counts are how many messages a queue holds; SQS calls them approximate
// (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html).
type Counts struct {
	ARN      string
	Visible  int
	InFlight int // received, and neither deleted nor visible again
	Delayed  int
}

// All is how many messages there are in all.
func (c Counts) All() int { return c.Visible + c.InFlight + c.Delayed }

// Counts asks how many messages the queue holds.
func (q *Inbox) Counts(ctx context.Context) (Counts, error) {
	out, err := q.api.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &q.url, AttributeNames: []types.QueueAttributeName{
		types.QueueAttributeNameQueueArn, types.QueueAttributeNameApproximateNumberOfMessages,
		types.QueueAttributeNameApproximateNumberOfMessagesNotVisible, types.QueueAttributeNameApproximateNumberOfMessagesDelayed,
	}})
	if err != nil {
		return Counts{}, fmt.Errorf("count the messages of %s: %w", q.Name(), err)
	}
	number := func(name types.QueueAttributeName) int { return count(out.Attributes[string(name)]) }
	return Counts{
		ARN:     out.Attributes[string(types.QueueAttributeNameQueueArn)],
		Visible: number(types.QueueAttributeNameApproximateNumberOfMessages), InFlight: number(types.QueueAttributeNameApproximateNumberOfMessagesNotVisible),
		Delayed: number(types.QueueAttributeNameApproximateNumberOfMessagesDelayed),
	}, nil
}

// received is a message as Lambda would have handed it over.
func received(m *types.Message) event.SQSMessage {
	system := func(name types.MessageSystemAttributeName) string { return m.Attributes[string(name)] }
	rec := event.SQSMessage{
		MessageID: aws.ToString(m.MessageId), ReceiptHandle: aws.ToString(m.ReceiptHandle), Body: aws.ToString(m.Body),
		ReceiveCount: count(system(types.MessageSystemAttributeNameApproximateReceiveCount)),
		SentAt:       milli(system(types.MessageSystemAttributeNameSentTimestamp)), FirstReceivedAt: milli(system(types.MessageSystemAttributeNameApproximateFirstReceiveTimestamp)),
		Sender: system(types.MessageSystemAttributeNameSenderId), TraceHeader: system(types.MessageSystemAttributeNameAWSTraceHeader),
		DeadLetterSource: system(types.MessageSystemAttributeNameDeadLetterQueueSourceArn),
		GroupID:          system(types.MessageSystemAttributeNameMessageGroupId), DeduplicationID: system(types.MessageSystemAttributeNameMessageDeduplicationId),
		SequenceNumber: system(types.MessageSystemAttributeNameSequenceNumber),
	}
	for name, v := range m.MessageAttributes {
		a := event.Attribute{Name: name, Type: aws.ToString(v.DataType), String: aws.ToString(v.StringValue)}
		if kind, _, _ := strings.Cut(a.Type, "."); kind == "Binary" {
			a.String, a.Binary = "", v.BinaryValue
		}
		rec.Attributes = append(rec.Attributes, a)
	}
	slices.SortFunc(rec.Attributes, func(a, b event.Attribute) int { return strings.Compare(a.Name, b.Name) })
	return rec
}

func milli(text string) time.Time {
	ms, err := strconv.ParseInt(text, 10, 64)
	if err != nil || ms <= 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}
