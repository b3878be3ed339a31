package workqueuetest

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/spillway-go/spillway/pkg/workqueue"
)

var _ workqueue.InboxAPI = (*SQS)(nil)

// poll is how often a receive that waits looks again.
const poll = 100 * time.Millisecond

// ReceiveMessage implements [workqueue.InboxAPI]. One that finds nothing waits
// as long as it was asked to.
func (s *SQS) ReceiveMessage(ctx context.Context, in *sqs.ReceiveMessageInput, _ ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error) {
	fault, q, err := s.enter(ctx, "ReceiveMessage", in.QueueUrl, nil)
	if err != nil {
		return nil, err
	}
	if in.MaxNumberOfMessages < 0 || in.MaxNumberOfMessages > workqueue.MaxEntries || in.WaitTimeSeconds < 0 || in.WaitTimeSeconds > 20 ||
		in.VisibilityTimeout < 0 || in.VisibilityTimeout > 12*60*60 {
		return nil, apiError("InvalidParameterValue", "One or more parameters are invalid")
	}
	hide := q.opts.Visibility
	if in.VisibilityTimeout > 0 { // the SDK leaves 0 out
		hide = time.Duration(in.VisibilityTimeout) * time.Second
	}
	until := time.Now().Add(time.Duration(in.WaitTimeSeconds) * time.Second)
	for {
		s.mu.Lock()
		taken := s.take(q, max(int(in.MaxNumberOfMessages), 1), hide)
		out := &sqs.ReceiveMessageOutput{Messages: make([]types.Message, len(taken))}
		for i, m := range taken {
			out.Messages[i] = m.received()
		}
		s.mu.Unlock()
		if fault.Err != nil {
			return nil, fault.Err
		}
		if len(taken) > 0 || !time.Now().Before(until) {
			return out, nil
		}
		timer := time.NewTimer(poll)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		case <-timer.C:
		}
	}
}

// received is the message as SQS hands it over.
func (m *message) received() types.Message {
	out := types.Message{
		MessageId: aws.String(m.ID), ReceiptHandle: aws.String(m.receipt), Body: aws.String(m.Body), MessageAttributes: m.Attributes,
		Attributes: map[string]string{
			"ApproximateReceiveCount": strconv.Itoa(m.Receives),
			"SentTimestamp":           strconv.FormatInt(m.SentAt.UnixMilli(), 10),
		},
	}
	for name, v := range map[string]string{
		"MessageGroupId": m.Group, "AWSTraceHeader": m.Trace, "MessageDeduplicationId": m.DeduplicationID, "DeadLetterQueueSourceArn": m.MovedFrom,
	} {
		if v != "" {
			out.Attributes[name] = v
		}
	}
	return out
}

// DeleteMessage implements [workqueue.InboxAPI].
func (s *SQS) DeleteMessage(ctx context.Context, in *sqs.DeleteMessageInput, _ ...func(*sqs.Options)) (*sqs.DeleteMessageOutput, error) {
	fault, q, err := s.enter(ctx, "DeleteMessage", in.QueueUrl, []string{aws.ToString(in.ReceiptHandle)})
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	q.delete(aws.ToString(in.ReceiptHandle))
	if fault.Err != nil {
		return nil, fault.Err
	}
	return &sqs.DeleteMessageOutput{}, nil
}

// DeleteMessageBatch implements [workqueue.InboxAPI].
func (s *SQS) DeleteMessageBatch(ctx context.Context, in *sqs.DeleteMessageBatchInput, _ ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error) {
	receipts, ids := make([]string, len(in.Entries)), make([]*string, len(in.Entries))
	for i, e := range in.Entries {
		receipts[i], ids[i] = aws.ToString(e.ReceiptHandle), e.Id
	}
	if err := checkBatch(ids); err != nil {
		return nil, err
	}
	fault, q, err := s.enter(ctx, "DeleteMessageBatch", in.QueueUrl, receipts)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := &sqs.DeleteMessageBatchOutput{}
	for i, e := range in.Entries {
		refusal := fault.refusal(i, func() error {
			q.delete(receipts[i])
			return nil
		})
		if refusal != nil {
			refusal.Id = e.Id
			out.Failed = append(out.Failed, *refusal)
			continue
		}
		out.Successful = append(out.Successful, types.DeleteMessageBatchResultEntry{Id: e.Id})
	}
	if fault.Err != nil {
		return nil, fault.Err
	}
	return out, nil
}

// GetQueueAttributes implements [workqueue.InboxAPI]: the queue's ARN and the
// numbers of its messages, which are exact here.
func (s *SQS) GetQueueAttributes(ctx context.Context, in *sqs.GetQueueAttributesInput, _ ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error) {
	fault, q, err := s.enter(ctx, "GetQueueAttributes", in.QueueUrl, nil)
	if err != nil {
		return nil, err
	}
	if fault.Err != nil {
		return nil, fault.Err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	visible, inFlight, delayed, now := 0, 0, 0, time.Now()
	for _, m := range q.messages {
		switch {
		case !m.VisibleAt.After(now):
			visible++
		case m.Receives > 0:
			inFlight++
		default:
			delayed++
		}
	}
	return &sqs.GetQueueAttributesOutput{Attributes: map[string]string{
		"QueueArn": arnPrefix + q.name, "ApproximateNumberOfMessages": strconv.Itoa(visible),
		"ApproximateNumberOfMessagesNotVisible": strconv.Itoa(inFlight), "ApproximateNumberOfMessagesDelayed": strconv.Itoa(delayed),
	}}, nil
}

// delete removes a message by its receipt handle; an old one changes nothing.
// SQS.mu must be held.
func (q *queue) delete(receipt string) {
	q.messages = slices.DeleteFunc(q.messages, func(m *message) bool { return receipt != "" && m.receipt == receipt })
}
