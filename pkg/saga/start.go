package saga

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/spillway-go/spillway/pkg/task"
)

// Executions is what starting and recovering need of Step Functions.
type Executions interface {
	StartExecution(context.Context, *sfn.StartExecutionInput, ...func(*sfn.Options)) (*sfn.StartExecutionOutput, error)
	DescribeExecution(context.Context, *sfn.DescribeExecutionInput, ...func(*sfn.Options)) (*sfn.DescribeExecutionOutput, error)
}

var _ Executions = (*sfn.Client)(nil)

// Start is a task handler that starts a saga and leaves its completion to it:
//
//	task.Handle(mux, "trip.book", saga.Start[Trip](client, arn, 0))
//
// The execution is a Standard one, named after the task and its run, so that a
// second attempt of the same run never starts a second one. If it finds one that
// has succeeded although the task has not ended, the result is the execution's;
// one that failed is left to [Recovery]. An input over maxInput bytes (0 is the default of [Definition.MaxInput]) fails for good.
func Start[In any](client Executions, machineARN string, maxInput int) func(context.Context, In) (json.RawMessage, error) {
	if maxInput == 0 {
		maxInput = defaultMaxInput
	}
	return func(ctx context.Context, in In) (json.RawMessage, error) {
		raw, err := plainJSON(in)
		if err != nil {
			return nil, task.Permanent(fmt.Errorf("encode the saga's input: %w", err))
		}
		if len(raw) > maxInput {
			return nil, task.Permanent(task.Code("input_too_large", fmt.Errorf("the input has %d bytes and a saga takes %d", len(raw), maxInput)))
		}
		e := task.Current(ctx)
		return start(ctx, client, machineARN, executionInput{TaskID: e.ID, Run: e.Run, Input: raw})
	}
}

func start(ctx context.Context, client Executions, machineARN string, in executionInput) (json.RawMessage, error) {
	// The same bytes for the same task: Step Functions takes a repetition for one
	// only then.
	text, err := plainJSON(in)
	if err != nil {
		return nil, task.Permanent(fmt.Errorf("encode the execution's input: %w", err))
	}
	name, input := in.key(), string(text)
	_, err = client.StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: &machineARN, Name: &name, Input: &input})
	if err == nil {
		return nil, task.ErrDeferred
	}
	if _, ok := errors.AsType[*types.ExecutionAlreadyExists](err); !ok {
		return nil, unreached(ctx, "the saga could not be started", name, err)
	}
	return reconcile(ctx, client, machineARN, in)
}

// reconcile answers for a saga that was started before: by an attempt whose
// worker did not live to say so.
func reconcile(ctx context.Context, client Executions, machineARN string, in executionInput) (json.RawMessage, error) {
	arn := ExecutionARN(machineARN, in.key())
	out, err := client.DescribeExecution(ctx, &sfn.DescribeExecutionInput{ExecutionArn: &arn})
	if err != nil {
		return nil, unreached(ctx, "what became of the saga could not be found out", in.key(), err)
	}
	if out.Status == types.ExecutionStatusSucceeded {
		return json.RawMessage(aws.ToString(out.Output)), nil
	}
	// It runs; or it has ended past its own ends, which write the row, so that the
	// recovery is due and hears of it.
	return nil, task.ErrDeferred
}

// unreached is an error that is tried again. What AWS said is for the log: the
// task's error is for callers.
func unreached(ctx context.Context, what, saga string, err error) error {
	slog.ErrorContext(ctx, "saga not reached", slog.String("saga", saga), slog.String("what", what), slog.Any("error", err))
	return task.Code("saga_unreached", errors.New(what))
}

// codeUnrecorded is the error of an execution that could not write the row.
const codeUnrecorded = "task_not_updated"
