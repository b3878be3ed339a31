package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/spillway-go/spillway/internal/trip"
)

const (
	machineARN  = "arn:aws:states:eu-central-1:123456789012:stateMachine:spillway-TripStateMachine-1ABCDEF"
	executionOf = "arn:aws:states:eu-central-1:123456789012:execution:spillway-TripStateMachine-1ABCDEF:"
	functionARN = "arn:aws:lambda:eu-central-1:123456789012:function:spillway-"
)

func (f *fixture) sagas() *Sagas {
	return &Sagas{Executions: f.machine, Functions: f.steps, Machine: machineARN}
}

// fakeMachine is the state machine of trips, with executions.
type fakeMachine struct {
	definition string

	mu         sync.Mutex
	executions []*fakeExecution // the newest first
	err        error
}

type fakeExecution struct {
	name   string
	status types.ExecutionStatus
	input  string
	began  time.Time
	ended  time.Time
	error  string
	cause  string
	events []types.HistoryEvent
	page   int // events in a page of the history; 0 is all
}

// deployed is the definition as it is deployed: with the ARNs of its functions.
var deployed = sync.OnceValues(func() (string, error) {
	asl, err := trip.Saga.Render()
	text := string(asl)
	for _, s := range trip.States() {
		text = strings.ReplaceAll(text, "${"+s+"FunctionArn}", functionARN+s)
	}
	return text, err
})

func newFakeMachine(t *testing.T) *fakeMachine {
	t.Helper()
	definition, err := deployed()
	if err != nil {
		t.Fatal(err)
	}
	return &fakeMachine{definition: definition}
}

// run adds an execution.
func (m *fakeMachine) run(e *fakeExecution) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.executions = slices.Insert(m.executions, 0, e)
}

func (m *fakeMachine) find(arn *string) (*fakeExecution, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return nil, m.err
	}
	for _, e := range m.executions {
		if executionOf+e.name == aws.ToString(arn) {
			return e, nil
		}
	}
	return nil, &types.ExecutionDoesNotExist{Message: aws.String("Execution Does Not Exist: '" + aws.ToString(arn) + "'")}
}

func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func (m *fakeMachine) ListExecutions(_ context.Context, in *sfn.ListExecutionsInput, _ ...func(*sfn.Options)) (*sfn.ListExecutionsOutput, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return nil, m.err
	}
	from := 0
	if in.NextToken != nil {
		n, err := strconv.Atoi(strings.TrimPrefix(*in.NextToken, "page-"))
		if err != nil {
			return nil, &types.InvalidToken{Message: aws.String("Invalid Token: 'secret detail'")}
		}
		from = n
	}
	out := &sfn.ListExecutionsOutput{}
	for i := from; i < len(m.executions); i++ {
		e := m.executions[i]
		if in.StatusFilter != "" && e.status != in.StatusFilter {
			continue
		}
		if len(out.Executions) == int(in.MaxResults) {
			out.NextToken = aws.String("page-" + strconv.Itoa(i))
			break
		}
		out.Executions = append(out.Executions, types.ExecutionListItem{
			ExecutionArn: aws.String(executionOf + e.name), Name: &e.name, StateMachineArn: in.StateMachineArn, Status: e.status,
			StartDate: instant(e.began), StopDate: instant(e.ended),
		})
	}
	return out, nil
}

func (m *fakeMachine) DescribeExecution(_ context.Context, in *sfn.DescribeExecutionInput, _ ...func(*sfn.Options)) (*sfn.DescribeExecutionOutput, error) {
	e, err := m.find(in.ExecutionArn)
	if err != nil {
		return nil, err
	}
	return &sfn.DescribeExecutionOutput{
		ExecutionArn: in.ExecutionArn, Name: &e.name, StateMachineArn: aws.String(machineARN), Status: e.status, Input: &e.input,
		StartDate: instant(e.began), StopDate: instant(e.ended), Error: optional(e.error), Cause: optional(e.cause),
	}, nil
}

func (m *fakeMachine) GetExecutionHistory(_ context.Context, in *sfn.GetExecutionHistoryInput, _ ...func(*sfn.Options)) (*sfn.GetExecutionHistoryOutput, error) {
	e, err := m.find(in.ExecutionArn)
	if err != nil {
		return nil, err
	}
	from, _ := strconv.Atoi(aws.ToString(in.NextToken))
	to := len(e.events)
	out := &sfn.GetExecutionHistoryOutput{}
	if e.page > 0 && from+e.page < to {
		to = from + e.page
		out.NextToken = aws.String(strconv.Itoa(to))
	}
	out.Events = e.events[from:to]
	return out, nil
}

func (m *fakeMachine) DescribeStateMachine(_ context.Context, in *sfn.DescribeStateMachineInput, _ ...func(*sfn.Options)) (*sfn.DescribeStateMachineOutput, error) {
	if m.err != nil {
		return nil, m.err
	}
	if aws.ToString(in.StateMachineArn) != machineARN {
		return nil, &types.StateMachineDoesNotExist{}
	}
	return &sfn.DescribeStateMachineOutput{Definition: &m.definition}, nil
}

// history reads events in the form in which "aws stepfunctions
// get-execution-history" prints them.
func history(t *testing.T, name string) []types.HistoryEvent {
	t.Helper()
	all, err := histories()
	if err != nil || len(all[name]) == 0 {
		t.Fatalf("%s: %d events, %v", name, len(all[name]), err)
	}
	return all[name]
}

var histories = sync.OnceValues(func() (map[string][]types.HistoryEvent, error) {
	files, err := filepath.Glob(filepath.Join("testdata", "history", "*.json"))
	if err != nil {
		return nil, err
	}
	all := map[string][]types.HistoryEvent{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var printed struct{ Events []types.HistoryEvent }
		if err := json.Unmarshal(text, &printed); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		all[strings.TrimSuffix(filepath.Base(file), ".json")] = printed.Events
	}
	return all, nil
})

// fakeSteps are the functions of the steps.
type fakeSteps struct {
	mu     sync.Mutex
	called []*awslambda.InvokeInput
	answer func(context.Context) (*awslambda.InvokeOutput, error) // nil succeeds
}

func (s *fakeSteps) Invoke(ctx context.Context, in *awslambda.InvokeInput, _ ...func(*awslambda.Options)) (*awslambda.InvokeOutput, error) {
	s.mu.Lock()
	s.called = append(s.called, in)
	s.mu.Unlock()
	if s.answer != nil {
		return s.answer(ctx)
	}
	return &awslambda.InvokeOutput{StatusCode: 200, Payload: []byte(`{}`)}, nil
}

// fails is what Lambda answers for a function that has failed.
func fails(payload string) func(context.Context) (*awslambda.InvokeOutput, error) {
	return func(context.Context) (*awslambda.InvokeOutput, error) {
		return &awslambda.InvokeOutput{StatusCode: 200, FunctionError: aws.String("Unhandled"), Payload: []byte(payload)}, nil
	}
}
