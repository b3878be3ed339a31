package redrive

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"
)

// MaxNativeRate is the highest rate of SQS's own move task
// (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html).
const MaxNativeRate = 500

// Move has SQS move all messages of a dead-letter queue to the queue that the
// source names, by a message move task of its own: at most rate messages a
// second, or as SQS sees fit if that is 0. Nothing is filtered and no ledger is
// kept. A task's message carries its next run, so each task runs once more all
// the same. [ErrUnsupported] where SQS has no such tasks.
func (r *Redrive) Move(ctx context.Context, req Request) (handle, jobID string, err error) {
	req.Kind = KindNative
	src, err := r.source(req.Queue)
	if err != nil {
		return "", "", err
	}
	switch {
	case src.Move == nil || src.MoveTo == "":
		return "", "", fmt.Errorf("%w: SQS cannot move the messages of the queue %q", ErrUnsupported, req.Queue)
	case !req.Filter.Empty() || req.Max > 0 || req.Canary > 0:
		return "", "", invalid("native moves all messages: it takes no filter, max, canary, dry run or plan")
	case req.Rate > MaxNativeRate:
		return "", "", invalid("rate is %v: SQS moves at most %d messages a second", req.Rate, MaxNativeRate)
	case req.Rate != float64(int32(req.Rate)):
		return "", "", invalid("rate is %v: SQS takes whole numbers", req.Rate)
	}
	if err := checkRequest(&req); err != nil {
		return "", "", err
	}
	counts, err := src.Letters.Counts(ctx)
	if err != nil {
		return "", "", err
	}
	in := &sqs.StartMessageMoveTaskInput{SourceArn: &counts.ARN, DestinationArn: &src.MoveTo}
	if req.Rate > 0 {
		in.MaxNumberOfMessagesPerSecond = aws.Int32(int32(req.Rate))
	}
	x, err := r.begun(ctx, req)
	if err != nil {
		return "", "", err
	}
	j := x.job
	out, err := src.Move.StartMessageMoveTask(ctx, in)
	if err != nil {
		err = moveError(err)
		j.State.Note = "not started"
		return "", j.ID, errors.Join(err, x.Leave(ctx, Stopped))
	}
	j.State.Note = "SQS moves the messages: " + aws.ToString(out.TaskHandle)
	return aws.ToString(out.TaskHandle), j.ID, x.Leave(ctx, Done)
}

// moveError tells an endpoint without move tasks from one that refuses. A task
// that runs already is an invalid parameter to SQS, so its text decides; the API
// reference has UnsupportedOperation for it
// (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html).
func moveError(err error) error {
	var api smithy.APIError
	var response *awshttp.ResponseError
	switch {
	case errors.As(err, &api) && slices.ContainsFunc([]string{"InvalidAction", "UnknownOperation", "UnknownAction", "NotImplemented"}, func(code string) bool {
		return strings.Contains(api.ErrorCode(), code)
	}), errors.As(err, &response) && response.HTTPStatusCode() == http.StatusNotImplemented:
		return fmt.Errorf("%w: this endpoint has no StartMessageMoveTask; leave native out", ErrUnsupported)
	case errors.As(err, &api) && (strings.Contains(api.ErrorCode(), "UnsupportedOperation") || strings.Contains(api.ErrorMessage(), "already a task running")):
		return fmt.Errorf("%w: SQS is moving messages of this queue already, or takes no task for it", ErrBusy)
	default:
		return fmt.Errorf("start the move: %w", err)
	}
}
