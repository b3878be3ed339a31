package saga

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Substitutions are the names that a rendered machine leaves open, to be filled
// in by DefinitionSubstitutions of AWS::Serverless::StateMachine: Partition,
// TasksTableName, SagaFailuresQueueUrl, and one <Name>FunctionArn for each
// action and compensation.
func (d Definition) Substitutions() []string {
	names := []string{"Partition", "TasksTableName", "SagaFailuresQueueUrl"}
	d.steps(func(_ int, s Step) {
		names = append(names, s.Name+"FunctionArn")
		if s.Undo.By != "" {
			names = append(names, s.Undo.By+"FunctionArn")
		}
	})
	return names
}

// Render returns the state machine in Amazon States Language, indented, or what
// is wrong with the definition (see [Definition.Check]). It is the same text for
// the same definition, and passes [Verify] with [Definition.Claims].
func (d Definition) Render() ([]byte, error) {
	if err := d.Check(); err != nil {
		return nil, err
	}
	text, err := plainJSON(d.machine())
	if err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	if err := json.Indent(&buf, text, "", "  "); err != nil {
		return nil, err
	}
	buf.WriteByte('\n')
	return buf.Bytes(), nil
}

func (d Definition) machine() object {
	r := renderer{Definition: d.complete()}
	r.forward()
	r.backward()
	r.ends()
	return object{
		{"Comment", fmt.Sprintf("The %s saga, generated from its definition in Go: do not edit. Takes at most %s.", d.Name, d.Bound().Time.Round(time.Second))},
		{"QueryLanguage", "JSONata"},
		{"StartAt", "Begin"},
		{"States", r.states},
	}
}

// renderer collects the states of a machine.
type renderer struct {
	Definition
	states object
}

func (r *renderer) add(name string, state object) {
	r.states = append(r.states, field{name, state})
}

// x is a JSONata expression as a machine writes it.
func x(expression string) string { return "{% " + expression + " %}" }

// The names of variables.
func isVar(action string) string       { return action + "_is" }
func parkedVar(of string) string       { return of + "_parked" }
func quoted(name string) string        { return "'" + name + "'" }
func recordState(st Stage) string      { return "Record" + stageName(st) }
func undoGroupState(st Stage) string   { return "Undo" + st.Name }
func parkState(of string) string       { return "Park" + of }
func endedState(action string) string  { return action + "Ended" }
func outcomeState(group string) string { return group + "Outcome" }

func stageName(st Stage) string {
	if st.Name != "" {
		return st.Name
	}
	return st.Steps[0].Name
}

// What a step knows of its action.
const (
	isPending = "pending" // not begun
	isDone    = "done"
	isUnknown = "unknown" // it may have been done
	isRefused = "refused" // a failure of the business: nothing was done
)

// forward are the states from the beginning to the success.
func (r *renderer) forward() {
	first := recordState(r.Stages[0])
	vars := object{
		{"task_id", x("$states.input.task_id")},
		{"run", x("$states.input.run")},
		{"key", x("$states.input.task_id & '-' & $string($states.input.run)")},
		{"input", x("$states.input.input")},
		{"recover", x("$states.input.recover = true")},
		{"results", object{}},
		{"error", ""},
		{"message", ""},
		{"failed_step", ""},
		{"retryable", false},
	}
	r.steps(func(_ int, s Step) { vars = append(vars, field{isVar(s.Name), isPending}) })
	for _, name := range r.parkable() {
		vars = append(vars, field{parkedVar(name), false})
	}
	r.add("Begin", object{{"Type", "Pass"}, {"Assign", vars}, {"Output", object{}}, {"Next", "Recovering"}})
	r.add("Recovering", choice("ReadTask", "$recover", first))
	r.recovering()
	for i, st := range r.Stages {
		next := "RecordSucceeded"
		if i+1 < len(r.Stages) {
			next = recordState(r.Stages[i+1])
		}
		r.record(i, st)
		if len(st.Steps) == 1 {
			r.action(i, st.Steps[0], next)
		} else {
			r.group(i, st, next)
		}
	}
}

// parkable are the functions that can end up in the saga failures queue.
func (r *renderer) parkable() []string {
	var names []string
	pivot := r.pivot()
	r.steps(func(stage int, s Step) {
		if s.Undo.By != "" {
			names = append(names, s.Undo.By)
		} else if stage > pivot {
			names = append(names, s.Name)
		}
	})
	return names
}

// recovering are the states of an execution that cleans up after one that
// ended without an end of its own, such as one that was aborted.
func (r *renderer) recovering() {
	assign := object{{"open", x("$not($exists($states.result.Item) and $states.result.Item.run.N = $string($run) and $states.result.Item.status.S = 'succeeded')")}}
	pivot := r.pivot()
	forward := pivot+1 < len(r.Stages)
	if forward {
		assign = append(assign,
			field{"pivoted", x("$exists($states.result.Item.mark) and $substringBefore($states.result.Item.mark.S, ' ') = $string($run)")},
			field{"results", x("$exists($states.result.Item.mark) ? $parse($substringAfter($states.result.Item.mark.S, ' ')) : {}")},
		)
	}
	r.add("ReadTask", object{
		{"Type", "Task"},
		{"Resource", "arn:${Partition}:states:::dynamodb:getItem"},
		{"Arguments", object{{"TableName", "${TasksTableName}"}, {"Key", rowKey()}, {"ConsistentRead", true}}},
		{"TimeoutSeconds", sdkTimeout},
		{"Assign", assign},
		{"Output", object{}},
		{"Retry", []any{retrier(sdkRetry, "States.ALL")}},
		{"Catch", []any{catcher(nil, "Unrecorded", "States.ALL")}},
		{"Next", "StillOpen"},
	})
	next := "UndoAll"
	if forward {
		next = "Pivoted"
	}
	r.add("StillOpen", choice(next, "$open", "NothingToRecover"))
	r.add("NothingToRecover", object{{"Type", "Succeed"}})
	if forward {
		r.add("Pivoted", choice("GoForward", "$pivoted", "UndoAll"))
		known := object{}
		r.steps(func(stage int, s Step) {
			if stage <= pivot {
				known = append(known, field{isVar(s.Name), isDone})
			}
		})
		r.add("GoForward", object{{"Type", "Pass"}, {"Assign", known}, {"Output", object{}}, {"Next", recordState(r.Stages[pivot+1])}})
	}
	all := object{{"error", "aborted"}, {"message", "the execution ended before its time"}, {"failed_step", "UndoAll"}, {"retryable", true}}
	r.steps(func(stage int, s Step) {
		if stage <= pivot {
			all = append(all, field{isVar(s.Name), isUnknown})
		}
	})
	r.add("UndoAll", object{{"Type", "Pass"}, {"Assign", all}, {"Output", object{}}, {"Next", r.undo(min(pivot, len(r.Stages)-1))}})
}

func choice(then, condition, otherwise string) object {
	return object{
		{"Type", "Choice"},
		{"Choices", []any{object{{"Condition", x(condition)}, {"Next", then}}}},
		{"Default", otherwise},
	}
}

// undo is the state that begins to undo the stages up to and including the
// given one, in reverse.
func (r *renderer) undo(stage int) string {
	for ; stage >= 0; stage-- {
		st := r.Stages[stage]
		var by []string
		for _, s := range st.Steps {
			if s.Undo.By != "" {
				by = append(by, s.Undo.By)
			}
		}
		switch {
		case len(by) > 0 && len(st.Steps) > 1:
			return undoGroupState(st)
		case len(by) > 0:
			return by[0]
		}
	}
	return "Undone"
}

// caught is what every Catch keeps of an error: its name and the message,
// bounded, for a cause may be 32 KiB.
func caught(step string, retryable bool) object {
	return caughtAs(step, x(errorMessage), retryable)
}

func caughtAs(step, message string, retryable bool) object {
	return object{
		{"error", x(errorName)},
		{"message", message},
		{"failed_step", step},
		{"retryable", retryable},
	}
}

const (
	errorName = "$substring($states.errorOutput.Error, 0, 64)"
	// A function's cause is JSON text with an errorMessage. It is for callers, and
	// says only what the function said: names with a dot are AWS's own, such as
	// Lambda.Unknown or States.Timeout, whose causes may name resources; the
	// execution's history has them. String functions only, which cannot fail: an
	// expression that fails in a Catch would end the execution.
	errorMessage = `($c := $exists($states.errorOutput.Cause) ? $string($states.errorOutput.Cause) : ''; ` +
		`$contains($states.errorOutput.Error, '.') or $not($contains($c, '"errorMessage"')) ? 'the step did not come to an answer of its own' : ` +
		`$substring($substringBefore($substringAfter($substringAfter($c, '"errorMessage"'), '"'), '"'), 0, 400))`
	// notWritten is the message for a row that cannot be written.
	notWritten = "the task could not be written"
)

// action is the state of a step that runs alone, with all that follows from
// its failures.
func (r *renderer) action(stage int, s Step, next string) {
	state := r.call(s.Name, "", s.Timeout, s.Business, s.Retry)
	assign := object{{isVar(s.Name), isDone}}
	if s.Result != "" {
		assign = append(assign, field{"results", x("$merge([$results, {" + quoted(s.Result) + ": $states.result.Payload}])")})
	}
	state = append(state, field{"Assign", assign}, field{"Output", object{}})
	var catch []any
	if stage > r.pivot() {
		catch = []any{catcher(append(caught(s.Name, true), field{parkedVar(s.Name), true}), parkState(s.Name), "States.ALL")}
	} else {
		if len(s.Business) > 0 {
			catch = append(catch, catcher(append(caught(s.Name, false), field{isVar(s.Name), isRefused}), r.undo(stage-1), s.Business...))
		}
		catch = append(catch, catcher(append(caught(s.Name, true), field{isVar(s.Name), isUnknown}), r.undo(stage), "States.ALL"))
	}
	r.add(s.Name, append(state, field{"Catch", catch}, field{"Next", next}))
	if stage > r.pivot() {
		r.add(parkState(s.Name), r.park(s.Name, "$error", "$message", "RecordForwardFailed"))
	}
}

// group are the states of a stage whose steps run at once. No branch ever
// fails: each says how its action ended, so that none is cut off in the middle.
func (r *renderer) group(stage int, st Stage, next string) {
	var branches []any
	outcome, unknown, results := object{}, caught(st.Name, true), "$results"
	var done []string
	failedIn := func(of string) string { // the first branch that is not done
		e := quoted("")
		for i := len(st.Steps) - 1; i >= 0; i-- {
			branch := fmt.Sprintf("$states.input[%d]", i)
			value := map[string]string{
				"error": branch + ".error", "message": branch + ".message",
				"failed_step": quoted(st.Steps[i].Name), "retryable": branch + ".is = 'unknown'",
			}[of]
			e = fmt.Sprintf("%s.is != 'done' ? %s : (%s)", branch, value, e)
		}
		return x(e)
	}
	for i, s := range st.Steps {
		state := append(r.call(s.Name, "", s.Timeout, s.Business, s.Retry),
			field{"Output", object{{"is", isDone}, {"result", x("$states.result.Payload")}}})
		var catch []any
		if len(s.Business) > 0 {
			catch = append(catch, branchCatcher(isRefused, endedState(s.Name), s.Business...))
		}
		catch = append(catch, branchCatcher(isUnknown, endedState(s.Name), "States.ALL"))
		branches = append(branches, object{{"StartAt", s.Name}, {"States", object{
			{s.Name, append(state, field{"Catch", catch}, field{"End", true})},
			{endedState(s.Name), object{{"Type", "Pass"}, {"End", true}}},
		}}})
		outcome = append(outcome, field{isVar(s.Name), x(fmt.Sprintf("$states.input[%d].is", i))})
		unknown = append(unknown, field{isVar(s.Name), isUnknown})
		done = append(done, "$"+isVar(s.Name)+" = 'done'")
		if s.Result != "" {
			results += fmt.Sprintf(", $states.input[%d].is = 'done' ? {%s: $states.input[%d].result} : {}", i, quoted(s.Result), i)
		}
	}
	r.add(st.Name, object{
		{"Type", "Parallel"},
		{"Branches", branches},
		{"Catch", []any{catcher(unknown, r.undo(stage), "States.ALL")}},
		{"Next", outcomeState(st.Name)},
	})
	// After the state and not in it: one emulator ignores what a Parallel assigns.
	for _, name := range []string{"error", "message", "failed_step", "retryable"} {
		outcome = append(outcome, field{name, failedIn(name)})
	}
	if results != "$results" {
		outcome = append(outcome, field{"results", x("$merge([" + results + "])")})
	}
	r.add(outcomeState(st.Name), object{{"Type", "Pass"}, {"Assign", outcome}, {"Output", object{}}, {"Next", st.Name + "Done"}})
	r.add(st.Name+"Done", choice(next, strings.Join(done, " and "), r.undo(stage)))
}

func branchCatcher(is, next string, errors ...string) object {
	return catcherTo(nil, saying("is", is), next, errors...)
}

// saying is an output that says one thing, and the error that was caught.
func saying(name string, value any) object {
	return object{{name, value}, {"error", x(errorName)}, {"message", x(errorMessage)}}
}

// call is what all calls of functions share. A compensation names its action.
func (r *renderer) call(name, action string, timeout time.Duration, business []string, retry Retry) object {
	payload := object{{"task_id", x("$task_id")}, {"run", x("$run")}, {"key", x("$key")}, {"step", name}}
	if action != "" {
		payload = append(payload, field{"action", action})
	}
	payload = append(payload, field{"input", x("$input")})
	if action == "" {
		payload = append(payload, field{"results", x("$results")})
	}
	var retries []any
	if len(business) > 0 {
		retries = append(retries, object{{"ErrorEquals", business}, {"MaxAttempts", 0}})
	}
	retries = append(retries, retrier(retry, transient...), retrier(retry, "States.ALL"))
	return object{
		{"Type", "Task"},
		{"Resource", "arn:${Partition}:states:::lambda:invoke"},
		{"Arguments", object{{"FunctionName", "${" + name + "FunctionArn}"}, {"Payload", payload}}},
		{"TimeoutSeconds", seconds(timeout)},
		{"Retry", retries},
	}
}

// transient are Lambda's errors that say nothing about the function
// (https://docs.aws.amazon.com/step-functions/latest/dg/bp-lambda-serviceexception.html).
var transient = []string{
	"Lambda.ClientExecutionTimeoutException", "Lambda.ServiceException", "Lambda.AWSLambdaException",
	"Lambda.SdkClientException", "Lambda.TooManyRequestsException", "Lambda.Unknown",
}

func retrier(r Retry, errors ...string) object {
	return object{
		{"ErrorEquals", errors},
		{"IntervalSeconds", seconds(r.Interval)},
		{"MaxAttempts", r.Attempts - 1},
		{"BackoffRate", r.Rate},
		{"MaxDelaySeconds", seconds(r.Cap)},
		{"JitterStrategy", "FULL"},
	}
}

func catcher(assign object, next string, errors ...string) object {
	return catcherTo(assign, object{}, next, errors...)
}

func catcherTo(assign, output object, next string, errors ...string) object {
	c := object{{"ErrorEquals", errors}}
	if len(assign) > 0 {
		c = append(c, field{"Assign", assign})
	}
	return append(c, field{"Output", output}, field{"Next", next})
}

func seconds(d time.Duration) int { return int(d / time.Second) }
