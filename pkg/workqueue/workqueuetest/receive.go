package workqueuetest

import (
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/spillway-go/spillway/pkg/workqueue"
)

var _ workqueue.InboxAPI = (*SQS)(nil)

// ReceiveMessage implements [workqueue.InboxAPI]. A long poll that finds
// nothing waits as long as it was asked to. Only attributes that were asked for
// come along. Of a standard queue with its full number of messages in flight a
// short poll fails with OverLimit; a long poll, and any receive from a FIFO
// queue, finds nothing
// (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html).
func (s *SQS) ReceiveMessage(ctx context.Context, in *sqs.ReceiveMessageInput, _ ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error) {
	fault, q, err := s.enter(ctx, "ReceiveMessage", in.QueueUrl, nil)
	if err != nil {
		return nil, err
	}
	if err := checkReceive(in); err != nil {
		return nil, err
	}
	hide := q.opts.Visibility
	if in.VisibilityTimeout > 0 { // the SDK leaves 0 out
		hide = time.Duration(in.VisibilityTimeout) * time.Second
	}
	until := time.Now().Add(time.Duration(in.WaitTimeSeconds) * time.Second)
	for {
		out := &sqs.ReceiveMessageOutput{}
		again, err := s.poll(q, in, hide, until, out)
		switch {
		case err != nil:
			return nil, err
		case fault.Err != nil:
			return nil, fault.Err
		case again == nil:
			return out, nil
		}
		if err := again(ctx); err != nil {
			return nil, err
		}
	}
}

// poll looks once. Unless the receive is over, it returns what waits until
// another look may find more.
func (s *SQS) poll(q *queue, in *sqs.ReceiveMessageInput, hide time.Duration, until time.Time, out *sqs.ReceiveMessageOutput) (again func(context.Context) error, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.move(now)
	q.advance(now)
	short := in.WaitTimeSeconds == 0
	if short && q.full() && !q.fifo() {
		return nil, refuse("OverLimit", "Too many messages in flight on the queue %s.", q.name)
	}
	limit := max(int(in.MaxNumberOfMessages), 1)
	for _, m := range q.receive(receiving{limit: limit, hide: hide, short: short, dead: s.toDeadLetters(q, now), now: now}) {
		out.Messages = append(out.Messages, m.received(in))
	}
	if len(out.Messages) > 0 || !now.Before(until) {
		return nil, nil
	}
	next := until
	if len(q.hidden.items) > 0 && q.hidden.items[0].VisibleAt.Before(next) {
		next = q.hidden.items[0].VisibleAt
	}
	if s.moving() && now.Add(time.Second).Before(next) {
		next = now.Add(time.Second)
	}
	if q.changed == nil {
		q.changed = make(chan struct{})
	}
	changed := q.changed
	return func(ctx context.Context) error {
		timer := time.NewTimer(time.Until(next))
		defer timer.Stop()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		case <-timer.C:
		}
		return nil
	}, nil
}

func checkReceive(in *sqs.ReceiveMessageInput) error {
	switch {
	case in.MaxNumberOfMessages < 0 || in.MaxNumberOfMessages > maxEntries:
		return invalidValue(in.MaxNumberOfMessages, "MaxNumberOfMessages", "Must be between 1 and 10, if provided.")
	case in.WaitTimeSeconds < 0 || in.WaitTimeSeconds > maxWait:
		return invalidValue(in.WaitTimeSeconds, "WaitTimeSeconds", "Must be >= 0 and <= 20, if provided.")
	case in.VisibilityTimeout < 0 || in.VisibilityTimeout > int32(maxVisibility/time.Second):
		return invalidValue(in.VisibilityTimeout, "VisibilityTimeout", "Must be between 0 and 43200, if provided.")
	}
	return nil
}

// toDeadLetters returns what takes the messages that the redrive policy moves out of q.
// A standard queue's keep the time of their send, from which their retention
// counts; a FIFO queue's get a new one, and their id for deduplication
// (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/setting-up-dead-letter-queue-retention.html,
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-configure-dead-letter-queue-redrive.html).
func (s *SQS) toDeadLetters(q *queue, now time.Time) func(*message) {
	return func(m *message) {
		m.VisibleAt, m.MovedFrom = now, arnPrefix+q.name
		if q.fifo() {
			m.SentAt, m.DeduplicationID = now, m.ID
		}
		s.queue(q.opts.DeadLetter).arrive(m)
	}
}

// received is the message as SQS hands it over.
func (m *message) received(in *sqs.ReceiveMessageInput) types.Message {
	out := types.Message{
		MessageId: aws.String(m.ID), ReceiptHandle: aws.String(m.receipt), Body: aws.String(m.Body), MD5OfBody: aws.String(digest(m.Body)),
		MessageAttributes: chosen(m.Attributes, in.MessageAttributeNames),
	}
	asked := func(name string) bool {
		return slices.ContainsFunc(in.MessageSystemAttributeNames, func(a types.MessageSystemAttributeName) bool {
			return string(a) == name || a == types.MessageSystemAttributeNameAll
		})
	}
	for name, v := range m.system() {
		if asked(name) {
			if out.Attributes == nil {
				out.Attributes = map[string]string{}
			}
			out.Attributes[name] = v
		}
	}
	return out
}
