package probe

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

const (
	statesGuide     = "https://docs.aws.amazon.com/step-functions/latest/dg/"
	statesReference = "https://docs.aws.amazon.com/step-functions/latest/apireference/"
)

var machineFeatures = []Feature{
	{
		RealWaits, "Step Functions", "waits", "waits as long as the state says",
		statesGuide + "state-wait.html", tryRealWaits,
	},
	{
		ExecutionTimeout, "Step Functions", "time-out of an execution", "TimeoutSeconds of the machine ends it as TIMED_OUT",
		statesGuide + "statemachine-structure.html", tryExecutionTimeout,
	},
	{
		Heartbeat, "Step Functions", "heartbeats", "a task without one for HeartbeatSeconds fails",
		statesGuide + "state-task.html", tryHeartbeat,
	},
	{
		RetryMaxDelay, "Step Functions", "limit of the delay between retries", "MaxDelaySeconds",
		statesGuide + "concepts-error-handling.html", tryRetryMaxDelay,
	},
	{
		ThrottledTask, "Step Functions", "throttled functions", "the error is Lambda.TooManyRequestsException",
		statesGuide + "sfn-best-practices.html", tryThrottledTask,
	},
	{
		ExecutionRedrive, "Step Functions", "redrive of executions", "one that failed goes on from where it failed",
		statesGuide + "redrive-executions.html", tryExecutionRedrive,
	},
	{
		SameExecution, "Step Functions", "repeated starts", "with the same name and input answer the execution that runs",
		statesReference + "API_StartExecution.html", trySameExecution,
	},
	{
		StatusEvents, "Step Functions", "status change events", "EventBridge is told of an execution that fails",
		statesGuide + "eventbridge-integration.html", tryStatusEvents,
	},
	{
		JSONata, "Step Functions", "JSONata and variables", "Assign keeps a value for later states",
		statesGuide + "workflow-variables.html", tryJSONata,
	},
	{
		ParallelAssign, "Step Functions", "variables of a Parallel state", "Assign of what its branches return",
		statesGuide + "workflow-variables.html", tryParallelAssign,
	},
	{
		StateLimit, "Step Functions", "size of a state's data", "more than 256 KiB fails with States.DataLimitExceeded",
		statesGuide + "service-quotas.html", tryStateLimit,
	},
	{
		InputLimit, "Step Functions", "size of an execution's input", "more than 256 KiB is refused",
		statesGuide + "service-quotas.html", tryInputLimit,
	},
	{
		DefinitionCheck, "Step Functions", "checks of definitions", "StartAt of a state that is not there is refused",
		statesReference + "API_CreateStateMachine.html", tryDefinitionCheck,
	},
}

// machine makes a state machine whose role allows actions, and returns its ARN.
func (b *bench) machine(ctx context.Context, definition object, allow ...string) (arn string, err error) {
	var statements []object
	if len(allow) > 0 {
		statements = append(statements, object{"Effect": "Allow", "Action": allow, "Resource": "*"})
	}
	role, err := b.role(ctx, "-machine", object{"Service": "states.amazonaws.com"}, statements...)
	if err != nil {
		return "", err
	}
	var out object
	_, err = until(ctx, 30*time.Second, func() (bool, error) {
		out, err = b.api.json(ctx, "states", "CreateStateMachine", object{"name": b.name, "definition": compact(definition), "roleArn": role})
		if refusal(err) == "AccessDeniedException" { // the role is not known everywhere yet
			return false, nil
		}
		return err == nil, err
	})
	if err != nil {
		return "", err
	}
	arn = text(out, "stateMachineArn")
	b.laterJSON("states", "DeleteStateMachine", object{"stateMachineArn": arn})
	return arn, nil
}

func (b *bench) start(ctx context.Context, machine, name, input string) (execution string, err error) {
	in := object{"stateMachineArn": machine, "input": input}
	if name != "" {
		in["name"] = name
	}
	out, err := b.api.json(ctx, "states", "StartExecution", in)
	return text(out, "executionArn"), err
}

// laterStop has Close stop an execution that may have ended.
func (b *bench) laterStop(execution string) {
	b.later(func(ctx context.Context) error {
		_, err := b.api.json(ctx, "states", "StopExecution", object{"executionArn": execution})
		if refusal(err) == "ValidationException" { // some emulators refuse it then
			return nil
		}
		return err
	})
}

// ended waits for the end of an execution.
func (b *bench) ended(ctx context.Context, execution string, patience time.Duration) (out object, err error) {
	over, err := until(ctx, patience, func() (bool, error) {
		out, err = b.api.json(ctx, "states", "DescribeExecution", object{"executionArn": execution})
		return text(out, "status") != "RUNNING" && text(out, "status") != "", err
	})
	if err == nil && !over {
		err = errStillRuns
	}
	return out, err
}

var errStillRuns = errors.New("the execution does not end")

// ran is an execution of a machine, from its start to its end.
func (b *bench) ran(ctx context.Context, definition object, allow ...string) (out object, took time.Duration, err error) {
	machine, err := b.machine(ctx, definition, allow...)
	if err != nil {
		return nil, 0, err
	}
	began := time.Now()
	execution, err := b.start(ctx, machine, "", `{"n":1}`)
	if err != nil {
		return nil, 0, err
	}
	b.laterStop(execution)
	out, err = b.ended(ctx, execution, time.Minute)
	return out, time.Since(began), err
}

// single is a machine of one state.
func single(state object) object {
	state["End"] = true
	return object{"StartAt": "Only", "States": object{"Only": state}}
}

// tryRealWaits: an execution that waits two seconds takes two.
func tryRealWaits(ctx context.Context, b *bench) (Result, error) {
	_, took, err := b.ran(ctx, single(object{"Type": "Wait", "Seconds": 2}))
	if err != nil {
		return Result{}, err
	}
	return where(took >= 1900*time.Millisecond, Differs, "two seconds are over sooner")
}

// callback is a task that nobody ever finishes. Emulators can be told to shorten
// waits, but not the time that a task has.
func (b *bench) callback(ctx context.Context, more object) (object, error) {
	url, _, err := b.queue(ctx, "", nil)
	if err != nil {
		return nil, err
	}
	state := object{
		"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
		"Parameters": object{"QueueUrl": url, "MessageBody": object{"token.$": "$$.Task.Token"}}, //nolint:gosec // where a token is, not one
	}
	for k, v := range more {
		state[k] = v
	}
	return single(state), nil
}

func tryExecutionTimeout(ctx context.Context, b *bench) (Result, error) {
	definition, err := b.callback(ctx, object{"TimeoutSeconds": 12})
	if err != nil {
		return Result{}, err
	}
	definition["TimeoutSeconds"] = 2
	out, _, err := b.ran(ctx, definition, "sqs:SendMessage")
	if err != nil {
		return Result{}, err
	}
	if text(out, "status") == "FAILED" {
		return missing("an execution that has two seconds fails when its task does, after twelve")
	}
	return where(text(out, "status") == "TIMED_OUT", Differs, "it ends as "+text(out, "status"))
}

func tryHeartbeat(ctx context.Context, b *bench) (Result, error) {
	definition, err := b.callback(ctx, object{"TimeoutSeconds": 25, "HeartbeatSeconds": 2})
	if err != nil {
		return Result{}, err
	}
	out, took, err := b.ran(ctx, definition, "sqs:SendMessage")
	if err != nil {
		return Result{}, err
	}
	if took > 24*time.Second {
		return missing("a task without a heartbeat fails only when its own time is over")
	}
	return where(text(out, "status") == "FAILED" || text(out, "status") == "TIMED_OUT", Differs, "it ends as "+text(out, "status"))
}

// tryRetryMaxDelay retries what cannot succeed after one second and six times
// after two, or else after 1, 10, 100, 1,000, … seconds. An emulator that was
// told to shorten waits to a tenth, to a minute before that, takes longer, too.
func tryRetryMaxDelay(ctx context.Context, b *bench) (Result, error) {
	url, _, err := b.queue(ctx, "", nil)
	if err != nil {
		return Result{}, err
	}
	machine, err := b.machine(ctx, single(object{
		"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "Parameters": object{"QueueUrl": url + "-absent", "MessageBody": "lost"},
		"Retry": []object{{"ErrorEquals": []string{"States.ALL"}, "IntervalSeconds": 1, "BackoffRate": 10, "MaxDelaySeconds": 2, "MaxAttempts": 7}},
	}), "sqs:SendMessage")
	if err != nil {
		return Result{}, err
	}
	execution, err := b.start(ctx, machine, "", "{}")
	if err != nil {
		return Result{}, err
	}
	b.laterStop(execution)
	out, err := b.ended(ctx, execution, 28*time.Second)
	if errors.Is(err, errStillRuns) {
		return missing("delays grow without a limit")
	}
	if err != nil {
		return Result{}, err
	}
	return where(text(out, "status") == "FAILED", Unknown, "the execution ends as "+text(out, "status"))
}

// tryThrottledTask calls a function that may not run.
func tryThrottledTask(ctx context.Context, b *bench) (Result, error) {
	function, err := b.function(ctx, functionSpec{})
	if err != nil {
		return Result{}, err
	}
	if err := b.reserveNothing(ctx, function); err != nil {
		return Result{}, err
	}
	out, _, err := b.ran(ctx, single(object{
		"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Parameters": object{"FunctionName": function, "Payload": object{"do": "ok"}},
	}), "lambda:InvokeFunction")
	if err != nil {
		return Result{}, err
	}
	if text(out, "status") == "SUCCEEDED" {
		return unknown("the function runs")
	}
	return where(text(out, "error") == "Lambda.TooManyRequestsException", Differs, "the error is "+text(out, "error"))
}

// tryExecutionRedrive runs one that fails again.
func tryExecutionRedrive(ctx context.Context, b *bench) (Result, error) {
	failed, _, err := b.ran(ctx, failing())
	if err != nil {
		return Result{}, err
	}
	execution := text(failed, "executionArn")
	_, err = b.api.json(ctx, "states", "RedriveExecution", object{"executionArn": execution})
	if code := refusal(err); code != "" {
		return missing("RedriveExecution is refused: " + code)
	}
	if err != nil {
		return Result{}, err
	}
	again := 0.0
	_, err = until(ctx, 10*time.Second, func() (bool, error) {
		out, err := b.api.json(ctx, "states", "DescribeExecution", object{"executionArn": execution})
		again, _ = out["redriveCount"].(float64)
		return again > 0, err
	})
	if err != nil {
		return Result{}, err
	}
	return where(again == 1, Differs, "accepted, and nothing happens")
}

func failing() object {
	return object{"StartAt": "Only", "States": object{"Only": object{"Type": "Fail", "Error": "Probe", "Cause": "asked to fail"}}}
}

// trySameExecution starts an execution twice.
func trySameExecution(ctx context.Context, b *bench) (Result, error) {
	machine, err := b.machine(ctx, single(object{"Type": "Wait", "Seconds": 60}))
	if err != nil {
		return Result{}, err
	}
	var executions [2]string
	for i := range executions {
		executions[i], err = b.start(ctx, machine, "same", `{"n":1}`)
		if i == 0 && err == nil {
			b.laterStop(executions[0])
		}
		if code := refusal(err); i == 1 && code != "" {
			return differs("refused: " + code)
		}
		if err != nil {
			return Result{}, err
		}
	}
	return where(executions[0] == executions[1], Differs, "another one is started")
}

// tryStatusEvents has executions fail until EventBridge has told it: a new rule
// is not everywhere at once.
func tryStatusEvents(ctx context.Context, b *bench) (Result, error) {
	machine, err := b.machine(ctx, failing())
	if err != nil {
		return Result{}, err
	}
	queue, err := b.rule(ctx, object{"EventPattern": compact(object{
		"source": []string{"aws.states"}, "detail-type": []string{"Step Functions Execution Status Change"},
		"detail": object{"status": []string{"FAILED"}, "stateMachineArn": []string{machine}},
	})}, nil)
	if err != nil {
		return Result{}, err
	}
	told, err := until(ctx, b.within(time.Minute, 20*time.Second), func() (bool, error) {
		if _, err := b.start(ctx, machine, "", "{}"); err != nil {
			return false, err
		}
		return b.arrives(ctx, queue, 3*time.Second, func(body string) bool { return strings.Contains(body, "FAILED") })
	})
	if err != nil {
		return Result{}, err
	}
	return where(told, Missing, "no event")
}

// outputs is the verdict on an execution that has to end with an output.
func (b *bench) outputs(ctx context.Context, definition object, want string) (Result, error) {
	out, _, err := b.ran(ctx, definition)
	if code := refusal(err); code != "" {
		return missing("the definition is refused: " + code)
	}
	if err != nil {
		return Result{}, err
	}
	got := strings.ReplaceAll(text(out, "output"), " ", "")
	return where(got == want, Missing, fmt.Sprintf("%s with %q", text(out, "status"), got+text(out, "error")))
}

func tryJSONata(ctx context.Context, b *bench) (Result, error) {
	return b.outputs(ctx, object{
		"QueryLanguage": "JSONata", "StartAt": "Keep",
		"States": object{
			"Keep": object{"Type": "Pass", "Assign": object{"kept": "{% $states.input.n + 1 %}"}, "Output": "{% {'other': true} %}", "Next": "Use"},
			"Use":  object{"Type": "Pass", "Output": "{% {'n': $kept + 1} %}", "End": true},
		},
	}, `{"n":3}`)
}

func tryParallelAssign(ctx context.Context, b *bench) (Result, error) {
	branch := func(n int) object {
		return single(object{"Type": "Pass", "Output": fmt.Sprintf("{%% %d %%}", n)})
	}
	return b.outputs(ctx, object{
		"QueryLanguage": "JSONata", "StartAt": "Both",
		"States": object{
			"Both": object{
				"Type": "Parallel", "Branches": []object{branch(1), branch(2)},
				"Assign": object{"total": "{% $sum($states.result) %}"}, "Output": "{% {} %}", "Next": "Use",
			},
			"Use": object{"Type": "Pass", "Output": "{% {'sum': $total} %}", "End": true},
		},
	}, `{"sum":3}`)
}

// tryStateLimit doubles 200 KB.
func tryStateLimit(ctx context.Context, b *bench) (Result, error) {
	machine, err := b.machine(ctx, single(object{"Type": "Pass", "Parameters": object{"a.$": "$.x", "b.$": "$.x"}}))
	if err != nil {
		return Result{}, err
	}
	execution, err := b.start(ctx, machine, "", compact(object{"x": strings.Repeat("x", 200_000)}))
	if err != nil {
		return Result{}, err
	}
	out, err := b.ended(ctx, execution, time.Minute)
	if err != nil {
		return Result{}, err
	}
	if text(out, "status") == "SUCCEEDED" {
		return missing("400 KB are passed on")
	}
	return where(text(out, "error") == "States.DataLimitExceeded", Differs, "the error is "+text(out, "error"))
}

func tryInputLimit(ctx context.Context, b *bench) (Result, error) {
	machine, err := b.machine(ctx, single(object{"Type": "Pass"}))
	if err != nil {
		return Result{}, err
	}
	_, err = b.start(ctx, machine, "", compact(object{"x": strings.Repeat("x", 256<<10)}))
	return refused(err, "more is accepted")
}

func tryDefinitionCheck(ctx context.Context, b *bench) (Result, error) {
	_, err := b.machine(ctx, object{"StartAt": "Absent", "States": object{"Only": object{"Type": "Pass", "End": true}}})
	return refused(err, "it is accepted")
}
