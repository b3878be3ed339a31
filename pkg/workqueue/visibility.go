package workqueue

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
)

// MaxVisibility is the longest time that a [Queue] hides a message. SQS's
// twelve hours count from the receive, and a change that would exceed them is
// refused, not cut; the quarter of an hour below is the longest that a Lambda
// function can have held the message
// (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html).
const MaxVisibility = 12*time.Hour - 15*time.Minute

// Visibility asks for a received message to become visible again after a
// while. It is an alias of an unnamed type, so that another package can ask
// for the method in an interface of its own without importing this one.
type Visibility = struct {
	// Receipt is the receipt handle of the message.
	Receipt string
	// After is counted from now: whole seconds, rounded up, between 0 (visible
	// at once) and [MaxVisibility].
	After time.Duration
}

// ChangeVisibility sets when each message becomes visible again, ten a call,
// and returns one outcome for each, as [Queue.SendBatch] does. A receipt
// handle that no longer holds is [ErrReceiptGone] and is not tried again.
// Repeating a change is harmless.
func (q *Queue) ChangeVisibility(ctx context.Context, changes []Visibility) []error {
	errs := make([]error, len(changes))
	pending := make([]int, 0, len(changes))
	for i := range changes {
		if changes[i].Receipt == "" {
			errs[i] = fmt.Errorf("change visibility: %w: it is empty", ErrReceiptGone)
			continue
		}
		pending = append(pending, i)
	}
	q.run(ctx, &batchCall{
		name:    "change visibility",
		outcome: receiptOutcome,
		one: func(ctx context.Context, i int) error {
			_, err := q.api.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{
				QueueUrl:          &q.url,
				ReceiptHandle:     &changes[i].Receipt,
				VisibilityTimeout: ceilSeconds(changes[i].After, MaxVisibility),
			})
			return err
		},
		many: func(ctx context.Context, entries []int) ([]*string, []types.BatchResultErrorEntry, error) {
			in := &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &q.url}
			for _, i := range entries {
				in.Entries = append(in.Entries, types.ChangeMessageVisibilityBatchRequestEntry{
					Id:                entryID(i),
					ReceiptHandle:     &changes[i].Receipt,
					VisibilityTimeout: ceilSeconds(changes[i].After, MaxVisibility),
				})
			}
			out, err := q.api.ChangeMessageVisibilityBatch(ctx, in)
			if err != nil {
				return nil, nil, err
			}
			return idsOf(out.Successful, func(e *types.ChangeMessageVisibilityBatchResultEntry) *string { return e.Id }), out.Failed, nil
		},
	}, pending, errs)
	return errs
}

// receiptOutcome marks the failures that mean a receipt handle is gone. SQS
// has three codes for it, with and without prefix and suffix; the third it uses
// for everything, so there its text decides.
func receiptOutcome(err error) error {
	var code, message string
	var entry *EntryError
	var api smithy.APIError
	switch {
	case errors.As(err, &entry):
		code, message = entry.Code, entry.Message
	case errors.As(err, &api):
		code, message = api.ErrorCode(), api.ErrorMessage()
	}
	code = code[strings.LastIndexByte(code, '.')+1:]
	switch strings.TrimSuffix(code, "Exception") {
	case "ReceiptHandleIsInvalid", "MessageNotInflight":
		return fmt.Errorf("%w: %w", ErrReceiptGone, err)
	case "InvalidParameterValue":
		if strings.Contains(message, "ReceiptHandle") {
			return fmt.Errorf("%w: %w", ErrReceiptGone, err)
		}
	}
	return err
}
