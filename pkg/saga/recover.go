package saga

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
)

// Rows reads the task's row, strongly consistent; a [*tasktable.Table] does.
type Rows interface {
	GetConsistent(ctx context.Context, id string) (*tasktable.Row, error)
}

// maxRecoveries bounds how many executions clean up after one saga.
const maxRecoveries = 5

// Recovery hears of executions that failed, timed out or were aborted, and
// starts another one for each whose task has not ended: it compensates every
// step, since any of them may have been done, or goes forward if the pivot was
// passed. An execution that ended by itself has written its task before, and is
// left alone. Safe for concurrent use and for events that come twice.
type Recovery struct {
	client Executions
	rows   Rows
	log    *slog.Logger
}

// NewRecovery returns a Recovery that logs to log, or to [slog.Default].
func NewRecovery(client Executions, rows Rows, log *slog.Logger) *Recovery {
	if log == nil {
		log = slog.Default()
	}
	return &Recovery{client: client, rows: rows, log: log}
}

// StatusChange is the event "Step Functions Execution Status Change" of
// EventBridge, as far as it is needed
// (https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html).
type StatusChange struct {
	Detail struct {
		ExecutionARN    string  `json:"executionArn"`
		StateMachineARN string  `json:"stateMachineArn"`
		Name            string  `json:"name"`
		Status          string  `json:"status"`
		Error           *string `json:"error"`
		Input           *string `json:"input"` // null when it is too large for an event
	} `json:"detail"`
}

// Handle is a Lambda handler for events of [StatusChange]. An error asks for the
// event again.
func (r *Recovery) Handle(ctx context.Context, event StatusChange) error {
	d := event.Detail
	log := r.log.With(slog.String("execution", d.Name), slog.String("status", d.Status))
	switch types.ExecutionStatus(d.Status) {
	case types.ExecutionStatusFailed, types.ExecutionStatusTimedOut, types.ExecutionStatusAborted:
	default:
		return nil
	}
	input := aws.ToString(d.Input)
	if d.Input == nil {
		out, err := r.client.DescribeExecution(ctx, &sfn.DescribeExecutionInput{ExecutionArn: &d.ExecutionARN})
		if err != nil {
			return fmt.Errorf("describe execution %s: %w", d.Name, err)
		}
		input = aws.ToString(out.Input)
		if d.Error == nil { // an event without the one may be without the other
			d.Error = out.Error
		}
	}
	in, ok := parseInput(input)
	if !ok {
		log.ErrorContext(ctx, "execution is no saga of a task: nothing can be recovered")
		return nil
	}
	open, err := r.open(ctx, in, cutOff(d.Status, aws.ToString(d.Error)))
	if err != nil {
		return err
	}
	if !open {
		return nil
	}
	before := recoveries(d.Name)
	if before >= maxRecoveries {
		// The event goes to the saga failures queue then, whose alarm tells.
		log.ErrorContext(ctx, "saga not recovered: too many recoveries failed", slog.String("task_id", in.TaskID))
		return fmt.Errorf("saga %s: %d recoveries have failed", in.key(), before)
	}
	in.Recover = true
	name := recoveryOf(in.key(), before+1)
	raw, err := plainJSON(in)
	if err != nil {
		return fmt.Errorf("encode the recovery's input: %w", err)
	}
	again := string(raw)
	_, err = r.client.StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: &d.StateMachineARN, Name: &name, Input: &again})
	if _, exists := errors.AsType[*types.ExecutionAlreadyExists](err); exists {
		return nil // the event came twice
	}
	if err != nil {
		return fmt.Errorf("start recovery %s: %w", name, err)
	}
	log.WarnContext(ctx, "saga ended before its time: recovering", slog.String("task_id", in.TaskID), slog.String("recovery", name))
	return nil
}

// cutOff reports whether an execution ended past its own ends: somebody or
// something stopped it, it could not write its task, or an expression of it
// failed.
func cutOff(status, why string) bool {
	return types.ExecutionStatus(status) != types.ExecutionStatusFailed || why == codeUnrecorded || strings.HasPrefix(why, "States.")
}

// open reports whether something may be left to undo. One that ended by itself
// has written its task. One that was cut off has something left unless its task
// succeeded: the row may have been canceled, or have expired, before anybody knew
// that a saga runs for it.
func (r *Recovery) open(ctx context.Context, in executionInput, cutOff bool) (bool, error) {
	row, err := r.rows.GetConsistent(ctx, in.TaskID)
	if errors.Is(err, tasktable.ErrNotFound) {
		return cutOff, nil
	}
	if err != nil {
		return false, fmt.Errorf("read task %s: %w", in.TaskID, err)
	}
	if cutOff {
		return row.Run != in.Run || row.Status != task.Succeeded, nil
	}
	return row.Run == in.Run && !row.Status.Finished(), nil
}
