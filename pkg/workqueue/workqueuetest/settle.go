package workqueuetest

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// DeleteMessage implements [workqueue.InboxAPI].
func (s *SQS) DeleteMessage(ctx context.Context, in *sqs.DeleteMessageInput, _ ...func(*sqs.Options)) (*sqs.DeleteMessageOutput, error) {
	err := s.settle(ctx, "DeleteMessage", in.QueueUrl, in.ReceiptHandle, func(q *queue) error { return q.remove(aws.ToString(in.ReceiptHandle)) })
	if err != nil {
		return nil, err
	}
	return &sqs.DeleteMessageOutput{}, nil
}

// DeleteMessageBatch implements [workqueue.InboxAPI].
func (s *SQS) DeleteMessageBatch(ctx context.Context, in *sqs.DeleteMessageBatchInput, _ ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error) {
	receipts, ids := make([]string, len(in.Entries)), make([]*string, len(in.Entries))
	for i, e := range in.Entries {
		receipts[i], ids[i] = aws.ToString(e.ReceiptHandle), e.Id
	}
	done, failed, err := s.settleBatch(ctx, "DeleteMessageBatch", in.QueueUrl, ids, receipts, func(q *queue, i int) error { return q.remove(receipts[i]) })
	if err != nil {
		return nil, err
	}
	out := &sqs.DeleteMessageBatchOutput{Failed: failed}
	for _, id := range done {
		out.Successful = append(out.Successful, types.DeleteMessageBatchResultEntry{Id: id})
	}
	return out, nil
}

// ChangeMessageVisibility implements [workqueue.API].
func (s *SQS) ChangeMessageVisibility(ctx context.Context, in *sqs.ChangeMessageVisibilityInput, _ ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityOutput, error) {
	err := s.settle(ctx, "ChangeMessageVisibility", in.QueueUrl, in.ReceiptHandle, func(q *queue) error {
		return q.change(aws.ToString(in.ReceiptHandle), in.VisibilityTimeout)
	})
	if err != nil {
		return nil, err
	}
	return &sqs.ChangeMessageVisibilityOutput{}, nil
}

// ChangeMessageVisibilityBatch implements [workqueue.API].
func (s *SQS) ChangeMessageVisibilityBatch(ctx context.Context, in *sqs.ChangeMessageVisibilityBatchInput, _ ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityBatchOutput, error) {
	receipts, ids := make([]string, len(in.Entries)), make([]*string, len(in.Entries))
	for i, e := range in.Entries {
		receipts[i], ids[i] = aws.ToString(e.ReceiptHandle), e.Id
	}
	done, failed, err := s.settleBatch(ctx, "ChangeMessageVisibilityBatch", in.QueueUrl, ids, receipts, func(q *queue, i int) error {
		return q.change(receipts[i], in.Entries[i].VisibilityTimeout)
	})
	if err != nil {
		return nil, err
	}
	out := &sqs.ChangeMessageVisibilityBatchOutput{Failed: failed}
	for _, id := range done {
		out.Successful = append(out.Successful, types.ChangeMessageVisibilityBatchResultEntry{Id: id})
	}
	return out, nil
}

// settle is a call about one received message.
func (s *SQS) settle(ctx context.Context, operation string, url, receipt *string, effect func(*queue) error) error {
	fault, q, err := s.enter(ctx, operation, url, []string{aws.ToString(receipt)})
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if aws.ToString(receipt) == "" {
		return missing("ReceiptHandle")
	}
	if err := effect(q); err != nil {
		return err
	}
	return fault.Err
}

// settleBatch is a call about several.
func (s *SQS) settleBatch(ctx context.Context, operation string, url *string, ids []*string, receipts []string, effect func(q *queue, i int) error) (done []*string, failed []types.BatchResultErrorEntry, err error) {
	if err := checkBatch(ids); err != nil {
		return nil, nil, err
	}
	fault, q, err := s.enter(ctx, operation, url, receipts)
	if err != nil {
		return nil, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, id := range ids {
		if refusal := fault.refusal(i, func() error { return effect(q, i) }); refusal != nil {
			refusal.Id = id
			failed = append(failed, *refusal)
			continue
		}
		done = append(done, id)
	}
	return done, failed, fault.Err
}
