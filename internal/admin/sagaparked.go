package admin

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"github.com/spillway-go/spillway/internal/adminapi"
	"github.com/spillway-go/spillway/internal/parked"
	"github.com/spillway-go/spillway/pkg/redrive"
	"github.com/spillway-go/spillway/pkg/saga"
	"github.com/spillway-go/spillway/pkg/task"
)

// parkedOf reads a message; nil for one that is no parked step.
func parkedOf(l *redrive.Letter) *adminapi.ParkedStep {
	var sent struct { // by the state machine
		Execution string               `json:"execution"`
		TaskID    string               `json:"task_id"`
		Step      string               `json:"step"`
		Error     adminapi.ParkedError `json:"error"`
		Completed []string             `json:"completed"`
	}
	if json.Unmarshal([]byte(l.Body), &sent) != nil || !executionName.MatchString(sent.Execution) || !executionName.MatchString(sent.Step) {
		return nil
	}
	return &adminapi.ParkedStep{
		Execution: sent.Execution, TaskID: task.CleanText(sent.TaskID, 64), Step: sent.Step,
		Error:     adminapi.ParkedError{Code: task.CleanText(sent.Error.Code, 64), Message: task.CleanText(sent.Error.Message, 400)},
		Completed: append([]string{}, sent.Completed...), ParkedAt: task.At(l.SentAt), MessageID: l.MessageID,
	}
}

// parked looks into the queue, for one saga or for all.
func (a *Admin) parked(ctx context.Context, key string) (adminapi.Parked, error) {
	answer := adminapi.Parked{Parked: []adminapi.ParkedStep{}}
	found, err := a.Redrive.List(ctx, adminapi.QueueSaga, redrive.Filter{}, redrive.MaxList)
	if err != nil {
		return answer, err
	}
	for _, l := range found.Letters {
		switch p := parkedOf(l); {
		case p == nil:
			answer.Foreign++
		case key == "" || p.Execution == key:
			answer.Parked = append(answer.Parked, *p)
		}
	}
	if !found.Complete {
		answer.Note = "not all of the queue could be looked at: another process holds some of it; try again"
	}
	return answer, nil
}

func sagaResume(ctx context.Context, a *Admin, q adminapi.SagaStepRequest) (*adminapi.SagaHandled, error) {
	return a.byHand(ctx, parked.KindResume, adminapi.HandledResumed, q)
}

func sagaSkip(ctx context.Context, a *Admin, q adminapi.SagaStepRequest) (*adminapi.SagaHandled, error) {
	return a.byHand(ctx, parked.KindSkip, adminapi.HandledSkipped, q)
}

func sagaDone(ctx context.Context, a *Admin, q adminapi.SagaStepRequest) (*adminapi.SagaHandled, error) {
	return a.byHand(ctx, parked.KindDone, adminapi.HandledDone, q)
}

const maxReason = 500

// byHand deals with one parked step as an operator decided.
func (a *Admin) byHand(ctx context.Context, kind parked.Kind, outcome adminapi.HandledOutcome, q adminapi.SagaStepRequest) (*adminapi.SagaHandled, error) {
	name, _, err := a.Sagas.execution(q.Execution)
	if err != nil {
		return nil, err
	}
	if !executionName.MatchString(q.Step) {
		return nil, &Error{adminapi.CodeInvalid, `"step" is missing or no name of a step, such as CancelHotel: saga.show has those that are parked`}
	}
	reason := strings.TrimSpace(task.CleanText(q.Reason, maxReason))
	if kind != parked.KindResume && reason == "" {
		return nil, &Error{adminapi.CodeInvalid, `"reason" is missing: say why, for whoever reads the audit trail`}
	}
	key := saga.KeyOf(name)
	act := func(context.Context, *redrive.Letter) error { return nil }
	if kind == parked.KindResume {
		call, err := a.Sagas.compensation(ctx, key, q.Step)
		if err != nil {
			return nil, err
		}
		act = func(ctx context.Context, _ *redrive.Letter) error { return a.Sagas.run(ctx, call) }
	}
	decision := parked.Decision{
		Kind: kind, Queue: adminapi.QueueSaga, By: q.By, RequestID: requestID(ctx), Execution: key, Step: q.Step, Reason: reason,
	}
	jobID, err := a.Parked.Resolve(ctx, decision, func(l *redrive.Letter) bool {
		p := parkedOf(l)
		return p != nil && p.Execution == key && p.Step == q.Step
	}, act)
	if errors.Is(err, redrive.ErrNotFound) {
		return nil, &Error{adminapi.CodeNotFound, fmt.Sprintf("%s of %s is not parked: saga.show says what is; another process may hold it at the moment", q.Step, key)}
	}
	if err != nil {
		return nil, err
	}
	return &adminapi.SagaHandled{Execution: key, Step: q.Step, Outcome: outcome, JobID: jobID}, nil
}

// compensationCall is a compensation that is to be run again.
type compensationCall struct {
	step     string
	function string
	payload  json.RawMessage
}

// machineState is as much of a state as says which function it calls.
type machineState struct {
	Arguments struct {
		FunctionName string
		Payload      struct {
			Action string `json:"action"`
		}
	}
	Branches []struct {
		States map[string]machineState
	}
}

// states are those of the machine as it is now.
func (s *Sagas) states(ctx context.Context) (map[string]machineState, error) {
	machine, err := s.Executions.DescribeStateMachine(ctx, &sfn.DescribeStateMachineInput{StateMachineArn: &s.Machine})
	if err != nil {
		return nil, err
	}
	var definition struct{ States map[string]machineState }
	if err := json.Unmarshal([]byte(aws.ToString(machine.Definition)), &definition); err != nil {
		return nil, fmt.Errorf("the state machine's definition: %w", err)
	}
	return definition.States, nil
}

// find looks for a state, in branches as well.
func find(states map[string]machineState, name string) (machineState, bool) {
	if s, ok := states[name]; ok {
		return s, true
	}
	for _, s := range states {
		for _, b := range s.Branches {
			if found, ok := find(b.States, name); ok {
				return found, true
			}
		}
	}
	return machineState{}, false
}

// compensation makes the call that the state machine made: the function is that
// of the machine's own definition, and the input that of the saga's execution.
func (s *Sagas) compensation(ctx context.Context, key, name string) (*compensationCall, error) {
	states, err := s.states(ctx)
	if err != nil {
		return nil, err
	}
	state, ok := find(states, name)
	action := state.Arguments.Payload.Action
	if !ok || action == "" || state.Arguments.FunctionName == "" {
		return nil, &Error{adminapi.CodeInvalid, fmt.Sprintf("%s is no compensation of the state machine: only those can be run again; record what was done about others with saga.done", name)}
	}
	_, arn, err := s.execution(key)
	if err != nil {
		return nil, err
	}
	out, err := s.Executions.DescribeExecution(ctx, &sfn.DescribeExecutionInput{ExecutionArn: &arn})
	if err != nil {
		err = executionError(key, err)
		if gone, ok := errors.AsType[*Error](err); ok {
			err = &Error{gone.Code, gone.Message + "; without its input nothing can be run again, but saga.skip or saga.done takes it off the queue"}
		}
		return nil, err
	}
	payload, err := saga.CompensationCall(aws.ToString(out.Input), name, action)
	if err != nil {
		return nil, &Error{adminapi.CodeInvalid, key + " was not started for a task: its compensations cannot be run from here"}
	}
	return &compensationCall{step: name, function: state.Arguments.FunctionName, payload: payload}, nil
}

// run calls a compensation and waits for its end. It may be called again: a
// compensation that was done stays so.
func (s *Sagas) run(ctx context.Context, call *compensationCall) error {
	out, err := s.Functions.Invoke(ctx, &lambda.InvokeInput{FunctionName: &call.function, Payload: call.payload})
	if err != nil {
		slog.ErrorContext(ctx, "compensation not run", slog.String("step", call.step), slog.Any("error", err))
		return &Error{adminapi.CodeCompensation, call.step + " could not be called, or did not answer in time, and the function's log says why; it is still parked, and can be resumed again"}
	}
	if out.FunctionError == nil {
		return nil
	}
	var failure struct {
		Type    string `json:"errorType"`
		Message string `json:"errorMessage"`
	}
	_ = json.Unmarshal(out.Payload, &failure) // what cannot be read has no words
	// Without the message, which may quote the saga's input and is answered.
	slog.ErrorContext(ctx, "compensation failed", slog.String("step", call.step), slog.String("type", task.CleanText(failure.Type, 64)))
	why := strings.Trim(task.CleanText(failure.Type, 64)+": "+publicText(task.CleanText(failure.Message, 400)), ": ")
	return &Error{adminapi.CodeCompensation, fmt.Sprintf("%s has failed again: %s; it is still parked", call.step, cmp.Or(why, "without a reason"))}
}

// publicText is what operators are told of another function's message. Functions
// made with pkg/saga keep what AWS said to themselves. Of others there is only
// the text, so what AWS said in it is found by its form.
func publicText(message string) string {
	ours, _, said := strings.Cut(message, "operation error ") // as the SDK's errors begin
	if !said {
		return message
	}
	return ours + "a call to AWS failed, and the function's log says which"
}
