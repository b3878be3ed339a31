package workqueue_test

import (
	"context"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/spillway-go/spillway/pkg/workqueue"
)

// fakeSQS records what is asked of it. The functions, where set, decide an
// entry's or a whole call's fate.
type fakeSQS struct {
	mu     sync.Mutex
	sent   []types.SendMessageBatchRequestEntry // confirmed
	hidden []types.ChangeMessageVisibilityBatchRequestEntry
	calls  []int // entries of each call; 0 for a call without a batch

	entry  func(body string) *types.BatchResultErrorEntry // by body or receipt handle
	whole  func(call int) error
	absent func(body string) bool
	both   bool // names every entry in both lists
}

var _ workqueue.API = (*fakeSQS)(nil)

func (f *fakeSQS) begin(entries int) error {
	f.calls = append(f.calls, entries)
	if f.whole != nil {
		return f.whole(len(f.calls))
	}
	return nil
}

func (f *fakeSQS) SendMessage(ctx context.Context, in *sqs.SendMessageInput, _ ...func(*sqs.Options)) (*sqs.SendMessageOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := f.begin(0); err != nil {
		return nil, err
	}
	f.sent = append(f.sent, types.SendMessageBatchRequestEntry{
		MessageBody: in.MessageBody, MessageAttributes: in.MessageAttributes, DelaySeconds: in.DelaySeconds,
		MessageGroupId: in.MessageGroupId, MessageDeduplicationId: in.MessageDeduplicationId, MessageSystemAttributes: in.MessageSystemAttributes,
	})
	return &sqs.SendMessageOutput{}, nil
}

func (f *fakeSQS) SendMessageBatch(ctx context.Context, in *sqs.SendMessageBatchInput, _ ...func(*sqs.Options)) (*sqs.SendMessageBatchOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := f.begin(len(in.Entries)); err != nil {
		return nil, err
	}
	out := &sqs.SendMessageBatchOutput{}
	for _, e := range in.Entries {
		ok, failed := f.fate(e.Id, *e.MessageBody)
		if failed != nil {
			out.Failed = append(out.Failed, *failed)
		}
		if ok {
			out.Successful = append(out.Successful, types.SendMessageBatchResultEntry{Id: e.Id})
			f.sent = append(f.sent, e)
		}
	}
	out.Successful = append(out.Successful, types.SendMessageBatchResultEntry{Id: aws.String("99")}, types.SendMessageBatchResultEntry{})
	out.Failed = append(out.Failed, types.BatchResultErrorEntry{Id: aws.String("98")}, types.BatchResultErrorEntry{})
	return out, nil
}

func (f *fakeSQS) ChangeMessageVisibility(_ context.Context, in *sqs.ChangeMessageVisibilityInput, _ ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.begin(0); err != nil {
		return nil, err
	}
	f.hidden = append(f.hidden, types.ChangeMessageVisibilityBatchRequestEntry{ReceiptHandle: in.ReceiptHandle, VisibilityTimeout: in.VisibilityTimeout})
	return &sqs.ChangeMessageVisibilityOutput{}, nil
}

func (f *fakeSQS) ChangeMessageVisibilityBatch(_ context.Context, in *sqs.ChangeMessageVisibilityBatchInput, _ ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityBatchOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.begin(len(in.Entries)); err != nil {
		return nil, err
	}
	out := &sqs.ChangeMessageVisibilityBatchOutput{}
	for _, e := range in.Entries {
		ok, failed := f.fate(e.Id, *e.ReceiptHandle)
		if failed != nil {
			out.Failed = append(out.Failed, *failed)
		}
		if ok {
			out.Successful = append(out.Successful, types.ChangeMessageVisibilityBatchResultEntry{Id: e.Id})
			f.hidden = append(f.hidden, e)
		}
	}
	return out, nil
}

// fate decides about one entry of a batch.
func (f *fakeSQS) fate(id *string, key string) (ok bool, failed *types.BatchResultErrorEntry) {
	if f.absent != nil && f.absent(key) {
		return false, nil
	}
	if f.entry != nil {
		failed = f.entry(key)
	}
	if failed != nil {
		failed.Id = id
	}
	return failed == nil || f.both, failed
}

func (f *fakeSQS) bodies() []string {
	var bodies []string
	for _, e := range f.sent {
		bodies = append(bodies, *e.MessageBody)
	}
	return bodies
}

func refused(code string, senderFault bool) *types.BatchResultErrorEntry {
	return &types.BatchResultErrorEntry{Code: aws.String(code), Message: aws.String("because"), SenderFault: senderFault}
}
