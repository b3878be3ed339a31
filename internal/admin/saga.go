package admin

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/spillway-go/spillway/internal/adminapi"
	"github.com/spillway-go/spillway/pkg/saga"
	"github.com/spillway-go/spillway/pkg/task"
)

// Executions is what is used of Step Functions.
type Executions interface {
	ListExecutions(context.Context, *sfn.ListExecutionsInput, ...func(*sfn.Options)) (*sfn.ListExecutionsOutput, error)
	DescribeExecution(context.Context, *sfn.DescribeExecutionInput, ...func(*sfn.Options)) (*sfn.DescribeExecutionOutput, error)
	GetExecutionHistory(context.Context, *sfn.GetExecutionHistoryInput, ...func(*sfn.Options)) (*sfn.GetExecutionHistoryOutput, error)
	DescribeStateMachine(context.Context, *sfn.DescribeStateMachineInput, ...func(*sfn.Options)) (*sfn.DescribeStateMachineOutput, error)
}

var _ Executions = (*sfn.Client)(nil)

// Sagas are the executions of a saga's state machine.
type Sagas struct {
	Executions Executions
	Functions  InvokeAPI
	Machine    string // its ARN
}

// maxExecutions is how many executions an answer holds.
const maxExecutions = 100

func sagaList(ctx context.Context, a *Admin, q adminapi.SagaListRequest) (*adminapi.SagaListAnswer, error) {
	if q.Max < 0 || q.Max > maxExecutions {
		return nil, &Error{adminapi.CodeInvalid, fmt.Sprintf("max is %d: it is between 1 and %d", q.Max, maxExecutions)}
	}
	in := &sfn.ListExecutionsInput{StateMachineArn: &a.Sagas.Machine, MaxResults: 25, StatusFilter: types.ExecutionStatus(strings.ToUpper(string(q.Status)))}
	if q.Max > 0 {
		in.MaxResults = int32(q.Max)
	}
	if known := in.StatusFilter.Values(); q.Status != "" && !slices.Contains(known, in.StatusFilter) {
		return nil, &Error{adminapi.CodeInvalid, fmt.Sprintf("status is %q: it is one of running, succeeded, failed, timed_out, aborted", task.CleanText(string(q.Status), 32))}
	}
	if q.Cursor != "" {
		in.NextToken = &q.Cursor
	}
	out, err := a.Sagas.Executions.ListExecutions(ctx, in)
	if _, ok := errors.AsType[*types.InvalidToken](err); ok {
		return nil, &Error{adminapi.CodeInvalid, "there is no page with this cursor: leave it out to begin anew"}
	}
	if err != nil {
		return nil, err
	}
	parked, err := a.parked(ctx, "")
	if err != nil {
		return nil, err
	}
	answer := &adminapi.SagaListAnswer{Executions: []adminapi.SagaExecution{}, Cursor: aws.ToString(out.NextToken), Parked: parked}
	for _, e := range out.Executions {
		answer.Executions = append(answer.Executions, executionOfSaga(aws.ToString(e.Name), e.Status, e.StartDate, e.StopDate))
	}
	return answer, nil
}

func executionOfSaga(name string, status types.ExecutionStatus, started, stopped *time.Time) adminapi.SagaExecution {
	return adminapi.SagaExecution{
		Execution: name, TaskID: taskOfExecution(name), Status: adminapi.SagaStatus(strings.ToLower(string(status))),
		StartedAt: task.At(aws.ToTime(started)), StoppedAt: task.At(aws.ToTime(stopped)),
	}
}

func sagaShow(ctx context.Context, a *Admin, q adminapi.SagaShowRequest) (*adminapi.SagaShowAnswer, error) {
	name, arn, err := a.Sagas.execution(q.Execution)
	if err != nil {
		return nil, err
	}
	out, err := a.Sagas.Executions.DescribeExecution(ctx, &sfn.DescribeExecutionInput{ExecutionArn: &arn})
	if err != nil {
		return nil, executionError(name, err)
	}
	d := &adminapi.SagaShowAnswer{
		SagaExecution: executionOfSaga(name, out.Status, out.StartDate, out.StopDate),
		Error:         task.CleanText(aws.ToString(out.Error), 64), Cause: task.CleanText(aws.ToString(out.Cause), 1000),
	}
	if d.Path, d.Cut, err = a.Sagas.path(ctx, arn); err != nil {
		return nil, err
	}
	states, err := a.Sagas.states(ctx)
	if err != nil {
		return nil, err
	}
	for i := range d.Path {
		s, _ := find(states, d.Path[i].State)
		d.Path[i].Undoes = s.Arguments.Payload.Action
	}
	d.Parked, err = a.parked(ctx, saga.KeyOf(name))
	return d, err
}

// executionName is what a name can be, and runOfName what comes after the task's
// id in that of a saga.
var (
	executionName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,80}$`)
	runOfName     = regexp.MustCompile(`-[0-9]+$`)
)

// execution is the name and the ARN of an execution, which is asked for by
// either.
func (s *Sagas) execution(asked string) (name, arn string, err error) {
	name = strings.TrimPrefix(asked, saga.ExecutionARN(s.Machine, ""))
	if !executionName.MatchString(name) {
		return "", "", &Error{adminapi.CodeInvalid, `"execution" is missing or no name of an execution, which is a task's id, a hyphen and its run: saga.list has them`}
	}
	return name, saga.ExecutionARN(s.Machine, name), nil
}

func taskOfExecution(name string) string {
	return runOfName.ReplaceAllString(saga.KeyOf(name), "")
}

func executionError(name string, err error) error {
	_, gone := errors.AsType[*types.ExecutionDoesNotExist](err)
	_, bad := errors.AsType[*types.InvalidArn](err)
	if gone || bad {
		return &Error{adminapi.CodeNotFound, "there is no execution " + name + ", or it is not kept any more: Step Functions keeps them for 90 days"}
	}
	return err
}
