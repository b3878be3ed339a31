package memstack

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/spillway-go/spillway/internal/asl"
)

// Machine is the state machine of the trip. Package asl runs its executions,
// unless [Options.HoldSagas] leaves that to the test.
type Machine struct {
	arn, name, definition string
	started               func(context.Context, *Execution)
	ended                 func(*Execution)

	mu         sync.Mutex
	executions []*Execution // oldest first
}

// Execution is an execution of a [Machine].
type Execution struct {
	ARN, Name, Input, Output string
	Error, Cause             string // of one that has failed
	Status                   types.ExecutionStatus
	Started, Stopped         time.Time

	stop context.CancelFunc
}

// Executions are all executions, oldest first.
func (m *Machine) Executions() []Execution {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]Execution, len(m.executions))
	for i, e := range m.executions {
		all[i] = *e
	}
	return all
}

// End ends a running execution, and reports false if there is none of that
// name. One that has failed, timed out or was aborted is an event for the rule
// that calls the recover function.
func (m *Machine) End(name string, status types.ExecutionStatus, output string) bool {
	return m.end(name, status, output, nil)
}

func (m *Machine) end(name string, status types.ExecutionStatus, output string, failure *asl.Error) bool {
	m.mu.Lock()
	e := m.find(name)
	if e == nil || e.Status != types.ExecutionStatusRunning {
		m.mu.Unlock()
		return false
	}
	e.Status, e.Output, e.Stopped = status, output, time.Now()
	if failure != nil {
		e.Error, e.Cause = failure.Name, failure.Cause
	}
	e.stop()
	ended := *e
	m.mu.Unlock()
	m.ended(&ended)
	return true
}

// stop stops all executions as they are.
func (m *Machine) stop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range m.executions {
		e.stop()
	}
}

// find finds an execution by name or ARN. mu must be held.
func (m *Machine) find(name string) *Execution {
	for _, e := range m.executions {
		if e.Name == name || e.ARN == name {
			return e
		}
	}
	return nil
}

// nameKept is how long a name of an execution that has ended cannot be used
// again (https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html).
const nameKept = 90 * 24 * time.Hour

// StartExecution starts an execution. A running one of that name and input is
// answered as if it were new; any other is refused for 90 days
// (https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html).
func (m *Machine) StartExecution(_ context.Context, in *sfn.StartExecutionInput, _ ...func(*sfn.Options)) (*sfn.StartExecutionOutput, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	name, input := aws.ToString(in.Name), cmp.Or(aws.ToString(in.Input), "{}")
	switch {
	case aws.ToString(in.StateMachineArn) != m.arn:
		return nil, &types.StateMachineDoesNotExist{Message: aws.String("State Machine Does Not Exist: '" + aws.ToString(in.StateMachineArn) + "'")}
	case name == "" || len(name) > 80 || strings.ContainsAny(name, " <>{}[]?*\"#%\\^|~`$&,;:/"):
		return nil, &types.InvalidName{Message: aws.String("Invalid Name: '" + name + "'")}
	case len(input) > 256<<10 || !json.Valid([]byte(input)):
		return nil, &types.InvalidExecutionInput{Message: aws.String("Invalid State Machine Execution Input")}
	}
	if e := m.find(name); e != nil {
		switch {
		case e.Status == types.ExecutionStatusRunning && e.Input == input:
			return &sfn.StartExecutionOutput{ExecutionArn: &e.ARN, StartDate: &e.Started}, nil
		case e.Status == types.ExecutionStatusRunning || time.Since(e.Stopped) < nameKept:
			return nil, &types.ExecutionAlreadyExists{Message: aws.String("Execution Already Exists: '" + e.ARN + "'")}
		}
		m.executions = slices.DeleteFunc(m.executions, func(other *Execution) bool { return other == e })
	}
	e := &Execution{
		ARN: strings.Replace(m.arn, ":stateMachine:", ":execution:", 1) + ":" + name, Name: name, Input: input,
		Status: types.ExecutionStatusRunning, Started: time.Now(),
	}
	m.executions = append(m.executions, e)
	ctx, stop := context.WithCancel(context.Background())
	e.stop = stop
	m.started(ctx, &Execution{ARN: e.ARN, Name: e.Name, Input: e.Input})
	return &sfn.StartExecutionOutput{ExecutionArn: aws.String(e.ARN), StartDate: aws.Time(e.Started)}, nil
}

// DescribeExecution shows an execution.
func (m *Machine) DescribeExecution(_ context.Context, in *sfn.DescribeExecutionInput, _ ...func(*sfn.Options)) (*sfn.DescribeExecutionOutput, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.find(aws.ToString(in.ExecutionArn))
	if e == nil {
		return nil, noExecution(in.ExecutionArn)
	}
	out := &sfn.DescribeExecutionOutput{
		ExecutionArn: aws.String(e.ARN), StateMachineArn: aws.String(m.arn), Name: aws.String(e.Name), Status: e.Status,
		StartDate: aws.Time(e.Started), Input: aws.String(e.Input),
	}
	if e.Status != types.ExecutionStatusRunning {
		out.StopDate = aws.Time(e.Stopped)
	}
	if e.Status == types.ExecutionStatusSucceeded {
		out.Output = aws.String(e.Output)
	}
	if e.Error != "" {
		out.Error, out.Cause = aws.String(e.Error), aws.String(e.Cause)
	}
	return out, nil
}

// ListExecutions lists executions, newest first, in one page.
func (m *Machine) ListExecutions(_ context.Context, in *sfn.ListExecutionsInput, _ ...func(*sfn.Options)) (*sfn.ListExecutionsOutput, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := &sfn.ListExecutionsOutput{Executions: []types.ExecutionListItem{}}
	for _, e := range slices.Backward(m.executions) {
		if in.StatusFilter != "" && in.StatusFilter != e.Status {
			continue
		}
		item := types.ExecutionListItem{
			ExecutionArn: aws.String(e.ARN), StateMachineArn: aws.String(m.arn), Name: aws.String(e.Name), Status: e.Status, StartDate: aws.Time(e.Started),
		}
		if e.Status != types.ExecutionStatusRunning {
			item.StopDate = aws.Time(e.Stopped)
		}
		out.Executions = append(out.Executions, item)
	}
	return out, nil
}

// GetExecutionHistory has the start of an execution alone.
func (m *Machine) GetExecutionHistory(_ context.Context, in *sfn.GetExecutionHistoryInput, _ ...func(*sfn.Options)) (*sfn.GetExecutionHistoryOutput, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.find(aws.ToString(in.ExecutionArn))
	if e == nil {
		return nil, noExecution(in.ExecutionArn)
	}
	return &sfn.GetExecutionHistoryOutput{Events: []types.HistoryEvent{{
		Id: 1, Timestamp: aws.Time(e.Started), Type: types.HistoryEventTypeExecutionStarted,
		ExecutionStartedEventDetails: &types.ExecutionStartedEventDetails{Input: aws.String(e.Input)},
	}}}, nil
}

// DescribeStateMachine has the deployed definition.
func (m *Machine) DescribeStateMachine(_ context.Context, in *sfn.DescribeStateMachineInput, _ ...func(*sfn.Options)) (*sfn.DescribeStateMachineOutput, error) {
	if aws.ToString(in.StateMachineArn) != m.arn {
		return nil, &types.StateMachineDoesNotExist{Message: aws.String("State Machine Does Not Exist")}
	}
	return &sfn.DescribeStateMachineOutput{
		StateMachineArn: aws.String(m.arn), Name: aws.String(m.name), Definition: aws.String(m.definition), Status: types.StateMachineStatusActive,
		Type: types.StateMachineTypeStandard, CreationDate: aws.Time(time.Now()), RoleArn: aws.String("arn:aws:iam::" + account + ":role/" + m.name),
	}, nil
}

func noExecution(arn *string) error {
	return &types.ExecutionDoesNotExist{Message: aws.String("Execution Does Not Exist: '" + aws.ToString(arn) + "'")}
}

// rule is an EventBridge rule of a function, for the ends of executions.
type rule struct {
	function *function
	pattern  filter
}

// publish gives the end of an execution to the rules that it matches
// (https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html).
func (s *Stack) publish(e *Execution) {
	event := map[string]any{
		"version": "0", "id": s.uuid(), "detail-type": "Step Functions Execution Status Change", "source": "aws.states",
		"account": account, "region": region, "time": e.Stopped.UTC().Format(time.RFC3339), "resources": []any{e.ARN},
		"detail": map[string]any{
			"executionArn": e.ARN, "stateMachineArn": s.Machine.arn, "name": e.Name, "status": string(e.Status), "input": e.Input, "output": nil,
			"startDate": e.Started.UnixMilli(), "stopDate": e.Stopped.UnixMilli(), "inputDetails": map[string]any{"included": true},
		},
	}
	payload, err := json.Marshal(event)
	if err != nil {
		s.failf("event of %s: %v", e.ARN, err)
		return
	}
	for _, r := range s.rules {
		if r.pattern.matches(event) {
			s.invokeAsync(r.function, payload)
		}
	}
}
