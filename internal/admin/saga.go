package admin

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

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

// SagaQueue names the queue of what sagas could not undo.
const SagaQueue = "saga"

// sagaExecution is an execution in a list.
type sagaExecution struct {
	Execution string     `json:"execution"`
	TaskID    string     `json:"task_id,omitempty"`
	Status    string     `json:"status"`
	StartedAt *task.Time `json:"started_at,omitempty"`
	StoppedAt *task.Time `json:"stopped_at,omitempty"`
}

type sagaListQuery struct {
	Status string `json:"status"`
	Max    int    `json:"max"`
	Cursor string `json:"cursor"`
}

// maxExecutions is how many executions an answer holds.
const maxExecutions = 100

func sagaList(ctx context.Context, a *Admin, q sagaListQuery) (any, error) {
	if q.Max < 0 || q.Max > maxExecutions {
		return nil, &Error{CodeInvalid, fmt.Sprintf("max is %d: it is between 1 and %d", q.Max, maxExecutions)}
	}
	in := &sfn.ListExecutionsInput{StateMachineArn: &a.Sagas.Machine, MaxResults: 25, StatusFilter: types.ExecutionStatus(strings.ToUpper(q.Status))}
	if q.Max > 0 {
		in.MaxResults = int32(q.Max)
	}
	if known := in.StatusFilter.Values(); q.Status != "" && !slices.Contains(known, in.StatusFilter) {
		return nil, &Error{CodeInvalid, fmt.Sprintf("status is %q: it is one of running, succeeded, failed, timed_out, aborted", task.CleanText(q.Status, 32))}
	}
	if q.Cursor != "" {
		in.NextToken = &q.Cursor
	}
	out, err := a.Sagas.Executions.ListExecutions(ctx, in)
	if _, ok := errors.AsType[*types.InvalidToken](err); ok {
		return nil, &Error{CodeInvalid, "there is no page with this cursor: leave it out to begin anew"}
	}
	if err != nil {
		return nil, err
	}
	answer := struct {
		Executions []sagaExecution `json:"executions"`
		Cursor     string          `json:"cursor,omitempty"`
		parkedAnswer
	}{Executions: []sagaExecution{}, Cursor: aws.ToString(out.NextToken)}
	for _, e := range out.Executions {
		answer.Executions = append(answer.Executions, sagaExecution{
			Execution: aws.ToString(e.Name), TaskID: taskOfExecution(aws.ToString(e.Name)), Status: strings.ToLower(string(e.Status)),
			StartedAt: momentOf(e.StartDate), StoppedAt: momentOf(e.StopDate),
		})
	}
	answer.parkedAnswer, err = a.parked(ctx, "")
	return answer, err
}

type sagaQuery struct {
	Execution string `json:"execution"`
}

// sagaDetail is an execution with its path.
type sagaDetail struct {
	sagaExecution
	Error string `json:"error,omitempty"`
	Cause string `json:"cause,omitempty"`
	Path  []step `json:"path"`
	// Cut says that the path is longer than what is shown.
	Cut bool `json:"cut,omitempty"`
	parkedAnswer
}

func sagaShow(ctx context.Context, a *Admin, q sagaQuery) (any, error) {
	name, arn, err := a.Sagas.execution(q.Execution)
	if err != nil {
		return nil, err
	}
	out, err := a.Sagas.Executions.DescribeExecution(ctx, &sfn.DescribeExecutionInput{ExecutionArn: &arn})
	if err != nil {
		return nil, executionError(name, err)
	}
	d := sagaDetail{
		sagaExecution: sagaExecution{
			Execution: name, TaskID: taskOfExecution(name), Status: strings.ToLower(string(out.Status)),
			StartedAt: momentOf(out.StartDate), StoppedAt: momentOf(out.StopDate),
		},
		Error: task.CleanText(aws.ToString(out.Error), 64), Cause: task.CleanText(aws.ToString(out.Cause), 1000),
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
	d.parkedAnswer, err = a.parked(ctx, saga.KeyOf(name))
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
		return "", "", &Error{CodeInvalid, `"execution" is missing or no name of an execution, which is a task's id, a hyphen and its run: saga.list has them`}
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
		return &Error{CodeNotFound, "there is no execution " + name + ", or it is not kept any more: Step Functions keeps them for 90 days"}
	}
	return err
}
