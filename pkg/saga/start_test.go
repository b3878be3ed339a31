package saga_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/spillway-go/spillway/pkg/saga"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
)

const (
	machineARN = "arn:aws:states:eu-west-1:111122223333:stateMachine:trip"
	taskID     = "01JD8Z9X6S6Y1T5Q9W3V7R2K4M"
)

// engine is Step Functions, as far as names go: one execution for each.
type engine struct {
	started map[string]string
	ended   *sfn.DescribeExecutionOutput
	err     error
}

func (e *engine) StartExecution(_ context.Context, in *sfn.StartExecutionInput, _ ...func(*sfn.Options)) (*sfn.StartExecutionOutput, error) {
	if e.err != nil {
		return nil, e.err
	}
	if _, ok := e.started[*in.Name]; ok {
		return nil, &types.ExecutionAlreadyExists{}
	}
	if e.started == nil {
		e.started = map[string]string{}
	}
	e.started[*in.Name] = *in.Input
	return &sfn.StartExecutionOutput{}, nil
}

func (e *engine) DescribeExecution(_ context.Context, in *sfn.DescribeExecutionInput, _ ...func(*sfn.Options)) (*sfn.DescribeExecutionOutput, error) {
	if !strings.HasPrefix(*in.ExecutionArn, "arn:aws:states:eu-west-1:111122223333:execution:trip:") {
		return nil, errors.New("no such execution " + *in.ExecutionArn)
	}
	if e.ended == nil {
		return nil, errors.New("not reached")
	}
	return e.ended, nil
}

type tea struct {
	Of string `json:"of"`
}

func running(run int) context.Context {
	return task.NewContext(context.Background(), &task.Execution{ID: taskID, Run: run, Attempt: 1})
}

func TestStart(t *testing.T) {
	t.Parallel()
	e := &engine{}
	start := saga.Start[tea](e, machineARN, 0)
	if _, err := start(running(2), tea{"<tea>"}); !errors.Is(err, task.ErrDeferred) {
		t.Fatalf("got %v, want the completion deferred", err)
	}
	if got, want := e.started[taskID+"-2"], `{"task_id":"`+taskID+`","run":2,"input":{"of":"<tea>"}}`; got != want {
		t.Errorf("started with %s, want %s", got, want)
	}
}

// A second attempt finds the first one's execution.
func TestStartAgain(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		ended  sfn.DescribeExecutionOutput
		result string
		err    error
		code   string
	}{
		"running":    {sfn.DescribeExecutionOutput{Status: types.ExecutionStatusRunning}, "", task.ErrDeferred, ""},
		"succeeded":  {sfn.DescribeExecutionOutput{Status: types.ExecutionStatusSucceeded, Output: aws.String(`{"hotel":1}`)}, `{"hotel":1}`, nil, ""},
		"failed":     {sfn.DescribeExecutionOutput{Status: types.ExecutionStatusFailed, Error: aws.String("States.Runtime")}, "", task.ErrDeferred, ""},
		"unrecorded": {sfn.DescribeExecutionOutput{Status: types.ExecutionStatusFailed, Error: aws.String("task_not_updated")}, "", task.ErrDeferred, ""},
		"aborted":    {sfn.DescribeExecutionOutput{Status: types.ExecutionStatusAborted}, "", task.ErrDeferred, ""},
		"timed out":  {sfn.DescribeExecutionOutput{Status: types.ExecutionStatusTimedOut}, "", task.ErrDeferred, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := &engine{started: map[string]string{taskID + "-1": ""}, ended: &tt.ended}
			result, err := saga.Start[tea](e, machineARN, 0)(running(1), tea{})
			if string(result) != tt.result {
				t.Errorf("the result is %s", result)
			}
			switch {
			case tt.code != "":
				if f := task.FailureOf(err); f.Code != tt.code || f.Retryable {
					t.Errorf("the failure is %+v", f)
				}
			case !errors.Is(err, tt.err):
				t.Errorf("got %v, want %v", err, tt.err)
			}
		})
	}
}

func TestStartFails(t *testing.T) {
	t.Parallel()
	e := &engine{err: errors.New("no connection")}
	_, err := saga.Start[tea](e, machineARN, 0)(running(1), tea{})
	if f := task.FailureOf(err); f.Code != "saga_unreached" || !f.Retryable || strings.Contains(f.Message, "connection") {
		t.Errorf("got %+v, want an error that is tried again, without words of AWS", f)
	}
	_, err = saga.Start[tea](e, machineARN, 20)(running(1), tea{strings.Repeat("x", 20)})
	if f := task.FailureOf(err); f.Code != "input_too_large" || f.Retryable {
		t.Errorf("too large an input is %+v", f)
	}
}

type rows map[string]*tasktable.Row

func (r rows) GetConsistent(_ context.Context, id string) (*tasktable.Row, error) {
	if id == "down" {
		return nil, errors.New("no connection")
	}
	if row, ok := r[id]; ok {
		return row, nil
	}
	return nil, tasktable.ErrNotFound
}

func change(name, status, input string) saga.StatusChange {
	var e saga.StatusChange
	e.Detail.Name, e.Detail.Status, e.Detail.StateMachineARN = name, status, machineARN
	e.Detail.ExecutionARN = strings.Replace(machineARN, ":stateMachine:", ":execution:", 1) + ":" + name
	if input != "" {
		e.Detail.Input = &input
	}
	return e
}

func TestRecovery(t *testing.T) {
	t.Parallel()
	input := `{"task_id":"t","run":2,"input":{"of":"tea"}}`
	open := &tasktable.Row{Run: 2, Status: task.Running}
	for name, tt := range map[string]struct {
		event saga.StatusChange
		row   *tasktable.Row
		want  string // the execution that is started
	}{
		"aborted":             {change("t-2", "ABORTED", input), open, "t-2-recover-1"},
		"timed out":           {change("t-2", "TIMED_OUT", input), open, "t-2-recover-1"},
		"failed, not written": {change("t-2", "FAILED", input), &tasktable.Row{Run: 2, Status: task.Queued}, "t-2-recover-1"},
		"recovery failed":     {change("t-2-recover-3", "FAILED", input), open, "t-2-recover-4"},
		"succeeded":           {change("t-2", "SUCCEEDED", input), open, ""},
		"failed as it should": {change("t-2", "FAILED", input), &tasktable.Row{Run: 2, Status: task.Failed}, ""},
		"canceled":            {change("t-2", "FAILED", input), &tasktable.Row{Run: 2, Status: task.Canceled}, ""},
		"aborted, succeeded":  {change("t-2", "ABORTED", input), &tasktable.Row{Run: 2, Status: task.Succeeded}, ""},
		"aborted, canceled":   {change("t-2", "ABORTED", input), &tasktable.Row{Run: 2, Status: task.Canceled}, "t-2-recover-1"},
		"aborted, expired":    {change("t-2", "TIMED_OUT", input), &tasktable.Row{Run: 2, Status: task.Expired}, "t-2-recover-1"},
		"another run":         {change("t-2", "ABORTED", input), &tasktable.Row{Run: 3, Status: task.Succeeded}, "t-2-recover-1"},
		"no task":             {change("t-2", "ABORTED", input), nil, "t-2-recover-1"},
		"failed, another run": {change("t-2", "FAILED", input), &tasktable.Row{Run: 3, Status: task.Running}, ""},
		"foreign":             {change("t-2", "ABORTED", `{"hello":1}`), open, ""},
		"no JSON":             {change("t-2", "ABORTED", `]`), open, ""},
		"input left out":      {change("t-2", "ABORTED", ""), open, "t-2-recover-1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := &engine{ended: &sfn.DescribeExecutionOutput{Input: &input}}
			table := rows{}
			if tt.row != nil {
				table["t"] = tt.row
			}
			r := saga.NewRecovery(e, table, slog.New(slog.DiscardHandler))
			for range 2 { // events come twice
				if err := r.Handle(context.Background(), tt.event); err != nil {
					t.Fatal(err)
				}
			}
			want := map[string]string{}
			if tt.want != "" {
				want[tt.want] = `{"task_id":"t","run":2,"input":{"of":"tea"},"recover":true}`
			}
			if len(e.started) != len(want) || e.started[tt.want] != want[tt.want] {
				t.Errorf("started %v, want %v", e.started, want)
			}
		})
	}
}

// An expression that fails ends an execution past its own ends, and so does a row
// that cannot be written.
func TestRecoveryOfWhatWasCutOff(t *testing.T) {
	t.Parallel()
	for why, want := range map[string]int{"States.Runtime": 1, "States.DataLimitExceeded": 1, "task_not_updated": 1, "sold_out": 0, "compensation_failed": 0} {
		e := &engine{}
		event := change("t-2", "FAILED", `{"task_id":"t","run":2,"input":1}`)
		event.Detail.Error = &why
		r := saga.NewRecovery(e, rows{"t": {Run: 2, Status: task.Canceled}}, slog.New(slog.DiscardHandler))
		if err := r.Handle(context.Background(), event); err != nil || len(e.started) != want {
			t.Errorf("%s: started %v, %v", why, e.started, err)
		}
	}
}

// An event without the input may be without the error too, and then both are asked
// for: it tells that the execution was cut off.
func TestRecoveryAsksForTheError(t *testing.T) {
	t.Parallel()
	input, why := `{"task_id":"t","run":2,"input":1}`, "States.Runtime"
	e := &engine{ended: &sfn.DescribeExecutionOutput{Input: &input, Error: &why}}
	r := saga.NewRecovery(e, rows{"t": {Run: 2, Status: task.Canceled}}, slog.New(slog.DiscardHandler))
	if err := r.Handle(context.Background(), change("t-2", "FAILED", "")); err != nil || len(e.started) != 1 {
		t.Errorf("started %v, %v", e.started, err)
	}
}

// What cannot be found out now is asked for again, and what was tried too often
// goes where somebody is told.
func TestRecoveryFails(t *testing.T) {
	t.Parallel()
	down, _ := json.Marshal(map[string]any{"task_id": "down", "run": 1, "input": 1})
	r := saga.NewRecovery(&engine{}, rows{}, slog.New(slog.DiscardHandler))
	if err := r.Handle(context.Background(), change("down-1", "ABORTED", string(down))); err == nil {
		t.Error("a table that does not answer is no error")
	}
	if err := r.Handle(context.Background(), change("t-1", "ABORTED", "")); err == nil {
		t.Error("an execution that cannot be described is no error")
	}
	r = saga.NewRecovery(&engine{}, rows{"t": {Run: 1, Status: task.Running}}, slog.New(slog.DiscardHandler))
	if err := r.Handle(context.Background(), change("t-1-recover-5", "FAILED", `{"task_id":"t","run":1,"input":1}`)); err == nil {
		t.Error("a sixth recovery is no error")
	}
	r = saga.NewRecovery(&engine{err: errors.New("throttled")}, rows{"t": {Run: 1, Status: task.Running}}, slog.New(slog.DiscardHandler))
	if err := r.Handle(context.Background(), change("t-1", "ABORTED", `{"task_id":"t","run":1,"input":1}`)); err == nil {
		t.Error("an execution that does not start is no error")
	}
}
