package workqueuetest

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/spillway-go/spillway/pkg/workqueue"
)

var _ workqueue.API = (*SQS)(nil)

// deduplicated is how long a FIFO queue remembers a deduplication id
// (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/using-messagededuplicationid-property.html).
const deduplicated = 5 * time.Minute

// sending is a send that a FIFO queue remembers.
type sending struct {
	at time.Time
	id string // of the message
}

// SendMessage implements [workqueue.API].
func (s *SQS) SendMessage(ctx context.Context, in *sqs.SendMessageInput, _ ...func(*sqs.Options)) (*sqs.SendMessageOutput, error) {
	e := types.SendMessageBatchRequestEntry{
		MessageBody: in.MessageBody, MessageAttributes: in.MessageAttributes, MessageSystemAttributes: in.MessageSystemAttributes,
		MessageGroupId: in.MessageGroupId, MessageDeduplicationId: in.MessageDeduplicationId, DelaySeconds: in.DelaySeconds,
	}
	fault, q, err := s.enter(ctx, "SendMessage", in.QueueUrl, []string{aws.ToString(in.MessageBody)})
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := q.checkFIFO(&e); err != nil {
		return nil, err
	}
	id, err := q.send(&e)
	if err != nil {
		return nil, err
	}
	if fault.Err != nil {
		return nil, fault.Err
	}
	return &sqs.SendMessageOutput{MessageId: &id, MD5OfMessageBody: aws.String(digest(aws.ToString(in.MessageBody)))}, nil
}

// SendMessageBatch implements [workqueue.API].
func (s *SQS) SendMessageBatch(ctx context.Context, in *sqs.SendMessageBatchInput, _ ...func(*sqs.Options)) (*sqs.SendMessageBatchOutput, error) {
	total, bodies, ids := 0, make([]string, len(in.Entries)), make([]*string, len(in.Entries))
	for i := range in.Entries {
		total += size(&in.Entries[i])
		bodies[i], ids[i] = aws.ToString(in.Entries[i].MessageBody), in.Entries[i].Id
	}
	if err := checkBatch(ids); err != nil {
		return nil, err
	}
	if total > maxBytes {
		return nil, prefixed("BatchRequestTooLong", "Batch requests cannot be longer than %d bytes. You have sent %d bytes.", maxBytes, total)
	}
	fault, q, err := s.enter(ctx, "SendMessageBatch", in.QueueUrl, bodies)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range in.Entries {
		if err := q.checkFIFO(&in.Entries[i]); err != nil {
			return nil, err
		}
	}
	out := &sqs.SendMessageBatchOutput{}
	for i := range in.Entries {
		e := &in.Entries[i]
		var id string
		refusal := fault.refusal(i, func() (err error) {
			id, err = q.send(e)
			return err
		})
		if refusal != nil {
			refusal.Id = e.Id
			out.Failed = append(out.Failed, *refusal)
			continue
		}
		out.Successful = append(out.Successful, types.SendMessageBatchResultEntry{Id: e.Id, MessageId: &id, MD5OfMessageBody: aws.String(digest(bodies[i]))})
	}
	if fault.Err != nil {
		return nil, fault.Err
	}
	return out, nil
}

// send puts a message into the queue, if SQS would, and returns its id.
// SQS.mu must be held.
func (q *queue) send(e *types.SendMessageBatchRequestEntry) (id string, err error) {
	if err := q.checkEntry(e); err != nil {
		return "", err
	}
	now, once := time.Now(), aws.ToString(e.MessageDeduplicationId)
	if first, used := q.sent[once]; used && now.Sub(first.at) < deduplicated {
		return first.id, nil // taken, and dropped without a word
	}
	m := &message{Message: Message{
		ID: q.newID(), Body: *e.MessageBody, Attributes: e.MessageAttributes, Group: aws.ToString(e.MessageGroupId), DeduplicationID: once,
		Trace:  aws.ToString(e.MessageSystemAttributes["AWSTraceHeader"].StringValue),
		SentAt: now, VisibleAt: now.Add(time.Duration(e.DelaySeconds) * time.Second),
	}}
	if q.fifo() {
		q.sent[once] = sending{at: now, id: m.ID}
	}
	q.arrive(m)
	return m.ID, nil
}
