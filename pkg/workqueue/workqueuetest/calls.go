package workqueuetest

import (
	"context"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	"github.com/spillway-go/spillway/pkg/workqueue"
)

var _ workqueue.API = (*SQS)(nil)

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
	id, err := s.send(q, e)
	if err != nil {
		return nil, err
	}
	if fault.Err != nil {
		return nil, fault.Err
	}
	return &sqs.SendMessageOutput{MessageId: &id}, nil
}

// SendMessageBatch implements [workqueue.API].
func (s *SQS) SendMessageBatch(ctx context.Context, in *sqs.SendMessageBatchInput, _ ...func(*sqs.Options)) (*sqs.SendMessageBatchOutput, error) {
	total, bodies, ids := 0, make([]string, len(in.Entries)), make([]*string, len(in.Entries))
	for i, e := range in.Entries {
		total += size(e)
		bodies[i], ids[i] = aws.ToString(e.MessageBody), e.Id
	}
	if err := checkBatch(ids); err != nil {
		return nil, err
	}
	if total > workqueue.MaxBytes {
		return nil, apiError("BatchRequestTooLong", "Batch requests cannot be longer than 1048576 bytes")
	}
	fault, q, err := s.enter(ctx, "SendMessageBatch", in.QueueUrl, bodies)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := &sqs.SendMessageBatchOutput{}
	for i, e := range in.Entries {
		var id string
		refusal := fault.refusal(i, func() (err error) {
			id, err = s.send(q, e)
			return err
		})
		if refusal != nil {
			refusal.Id = e.Id
			out.Failed = append(out.Failed, *refusal)
			continue
		}
		out.Successful = append(out.Successful, types.SendMessageBatchResultEntry{Id: e.Id, MessageId: &id})
	}
	if fault.Err != nil {
		return nil, fault.Err
	}
	return out, nil
}

// ChangeMessageVisibility implements [workqueue.API].
func (s *SQS) ChangeMessageVisibility(ctx context.Context, in *sqs.ChangeMessageVisibilityInput, _ ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityOutput, error) {
	fault, q, err := s.enter(ctx, "ChangeMessageVisibility", in.QueueUrl, []string{aws.ToString(in.ReceiptHandle)})
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := q.hide(aws.ToString(in.ReceiptHandle), in.VisibilityTimeout); err != nil {
		return nil, err
	}
	if fault.Err != nil {
		return nil, fault.Err
	}
	return &sqs.ChangeMessageVisibilityOutput{}, nil
}

// ChangeMessageVisibilityBatch implements [workqueue.API].
func (s *SQS) ChangeMessageVisibilityBatch(ctx context.Context, in *sqs.ChangeMessageVisibilityBatchInput, _ ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityBatchOutput, error) {
	receipts, ids := make([]string, len(in.Entries)), make([]*string, len(in.Entries))
	for i, e := range in.Entries {
		receipts[i], ids[i] = aws.ToString(e.ReceiptHandle), e.Id
	}
	if err := checkBatch(ids); err != nil {
		return nil, err
	}
	fault, q, err := s.enter(ctx, "ChangeMessageVisibilityBatch", in.QueueUrl, receipts)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := &sqs.ChangeMessageVisibilityBatchOutput{}
	for i, e := range in.Entries {
		if refusal := fault.refusal(i, func() error { return q.hide(receipts[i], e.VisibilityTimeout) }); refusal != nil {
			refusal.Id = e.Id
			out.Failed = append(out.Failed, *refusal)
			continue
		}
		out.Successful = append(out.Successful, types.ChangeMessageVisibilityBatchResultEntry{Id: e.Id})
	}
	if fault.Err != nil {
		return nil, fault.Err
	}
	return out, nil
}

// enter is the beginning of every call: its queue, and what goes wrong.
func (s *SQS) enter(ctx context.Context, operation string, url *string, entries []string) (Fault, *queue, error) {
	if err := ctx.Err(); err != nil {
		return Fault{}, nil, err
	}
	name := strings.TrimPrefix(aws.ToString(url), urlPrefix)
	s.mu.Lock()
	q := s.queues[name]
	s.mu.Unlock()
	if q == nil {
		return Fault{}, nil, apiError("QueueDoesNotExist", "The specified queue does not exist")
	}
	fault := s.begin(Call{Operation: operation, Queue: name, Entries: entries})
	if fault.Err != nil && !fault.AfterEffect {
		return fault, q, fault.Err
	}
	return fault, q, nil
}

// deduplicated is how long a FIFO queue remembers a deduplication id
// (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/using-messagededuplicationid-property.html).
const deduplicated = 5 * time.Minute

// send puts an entry into a queue, if SQS would, and returns its id. mu must be
// held.
func (s *SQS) send(q *queue, e types.SendMessageBatchRequestEntry) (id string, err error) {
	if n := len(e.MessageAttributes); n > workqueue.MaxAttributes || aws.ToString(e.MessageBody) == "" || size(e) > workqueue.MaxBytes || e.DelaySeconds < 0 || e.DelaySeconds > 900 {
		return "", apiError("InvalidParameterValue", "One or more parameters are invalid")
	}
	once := aws.ToString(e.MessageDeduplicationId)
	if q.fifo() {
		if once == "" || aws.ToString(e.MessageGroupId) == "" {
			return "", apiError("InvalidParameterValue", "A FIFO queue needs MessageGroupId and MessageDeduplicationId")
		}
		if at, used := q.sentIDs[once]; used && time.Since(at) < deduplicated {
			return "00000000-0000-4000-8000-000000000000", nil // taken, and dropped without a word
		}
		q.sentIDs[once] = time.Now()
	}
	return s.put(q, Message{
		Body: *e.MessageBody, Attributes: e.MessageAttributes, Group: aws.ToString(e.MessageGroupId), DeduplicationID: once,
		Trace: aws.ToString(e.MessageSystemAttributes["AWSTraceHeader"].StringValue),
	}, time.Duration(e.DelaySeconds)*time.Second), nil
}

// hide changes when a message can be received. SQS.mu must be held.
func (q *queue) hide(receipt string, seconds int32) error {
	if seconds < 0 || seconds > 12*60*60 {
		return apiError("InvalidParameterValue", "Value for parameter VisibilityTimeout is invalid")
	}
	now := time.Now()
	for _, m := range q.messages {
		if receipt == "" || m.receipt != receipt {
			continue
		}
		if m.VisibleAt.Before(now) {
			return apiError("MessageNotInflight", "The message is not in flight")
		}
		m.VisibleAt = now.Add(time.Duration(seconds) * time.Second)
		return nil
	}
	return apiError("ReceiptHandleIsInvalid", "The receipt handle is not valid any more")
}

func checkBatch(ids []*string) error {
	if len(ids) == 0 || len(ids) > workqueue.MaxEntries {
		return apiError("TooManyEntriesInBatchRequest", "A batch has 1 to 10 entries")
	}
	seen := map[string]bool{}
	for _, id := range ids {
		if seen[aws.ToString(id)] {
			return apiError("BatchEntryIdsNotDistinct", "Two or more batch entries have the same id")
		}
		seen[aws.ToString(id)] = true
	}
	return nil
}

func size(e types.SendMessageBatchRequestEntry) int {
	out := workqueue.Outgoing{Body: aws.ToString(e.MessageBody), Attributes: e.MessageAttributes}
	return out.Size()
}

func apiError(code, message string) *smithy.GenericAPIError {
	return &smithy.GenericAPIError{Code: code, Message: message, Fault: smithy.FaultClient}
}
