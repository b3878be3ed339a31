package asl

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Error is why a task or an execution has failed.
type Error struct {
	Name  string // such as States.Timeout
	Cause string
}

// Error implements error.
func (e *Error) Error() string { return e.Name + ": " + e.Cause }

// Names of errors
// (https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html).
const (
	all       = "States.ALL"
	timedOut  = "States.Timeout"
	badQuery  = "States.QueryEvaluationError"
	noChoice  = "States.NoChoiceMatched"
	cancelled = "States.Aborted" // the context has ended; no state catches it
)

// Machine is a parsed state machine. Safe for concurrent use.
type Machine struct {
	StartAt string
	States  map[string]*state
}

// state is a state of any kind.
type state struct {
	Type, Next, Default, Resource string
	Error, Cause                  any
	Assign                        map[string]any
	Output, Arguments             any
	TimeoutSeconds                float64
	Choices                       []struct {
		Condition any
		Next      string
		Assign    map[string]any
		Output    any
	}
	Retry []retrier
	Catch []struct {
		ErrorEquals []string
		Next        string
		Assign      map[string]any
		Output      any
	}
	Comment string
	End     bool
}

// retrier says how often and when errors are tried again.
type retrier struct {
	ErrorEquals     []string
	IntervalSeconds *float64
	MaxAttempts     *int
	BackoffRate     *float64
	MaxDelaySeconds float64
	JitterStrategy  string
}

// Task does the work of a Task state.
type Task func(ctx context.Context, resource string, arguments any) (result any, failure *Error)

// Parse reads a definition.
func Parse(definition []byte) (*Machine, error) {
	var head struct {
		Comment, QueryLanguage, StartAt string
		States                          map[string]json.RawMessage
	}
	if err := strict(definition, &head); err != nil {
		return nil, err
	}
	if head.QueryLanguage != "JSONata" {
		return nil, fmt.Errorf("asl: query language %q is not known", head.QueryLanguage)
	}
	m := &Machine{StartAt: head.StartAt, States: map[string]*state{}}
	for name, text := range head.States {
		st := &state{}
		if err := strict(text, st); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if err := st.parse(); err != nil {
			return nil, fmt.Errorf("asl: %s: %w", name, err)
		}
		m.States[name] = st
	}
	return m, nil
}

func strict(text []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return fmt.Errorf("asl: %w", err)
	}
	return nil
}

// parse reads the expressions of a state.
func (st *state) parse() error {
	if !slices.Contains([]string{"Pass", "Choice", "Task", "Succeed", "Fail"}, st.Type) {
		return fmt.Errorf("a %s state is not known", st.Type)
	}
	if err := st.checkNext(); err != nil {
		return err
	}
	values := []*any{&st.Error, &st.Cause, &st.Output, &st.Arguments}
	assigns := []map[string]any{st.Assign}
	for i := range st.Choices {
		values = append(values, &st.Choices[i].Condition, &st.Choices[i].Output)
		assigns = append(assigns, st.Choices[i].Assign)
	}
	for i := range st.Catch {
		values = append(values, &st.Catch[i].Output)
		assigns = append(assigns, st.Catch[i].Assign)
	}
	for _, v := range values {
		if err := compile(v); err != nil {
			return err
		}
	}
	for _, a := range assigns {
		for name := range a {
			v := a[name]
			if err := compile(&v); err != nil {
				return err
			}
			a[name] = v
		}
	}
	return nil
}

// checkNext refuses a state that says not or twice where it goes
// (https://docs.aws.amazon.com/step-functions/latest/dg/statemachine-structure.html).
func (st *state) checkNext() error {
	switch st.Type {
	case "Pass", "Task":
		if (st.Next == "") == !st.End {
			return fmt.Errorf("a %s state needs either Next or End", st.Type)
		}
	default:
		if st.Next != "" || st.End {
			return fmt.Errorf("a %s state has neither Next nor End", st.Type)
		}
	}
	return nil
}

// compile replaces the texts of expressions in a value.
func compile(v *any) error {
	switch value := (*v).(type) {
	case string:
		source, ok := strings.CutPrefix(value, "{%")
		if !ok {
			return nil
		}
		e, err := parseExpression(strings.TrimSuffix(source, "%}"))
		*v = e
		return err
	case map[string]any:
		for name := range value {
			inner := value[name]
			if err := compile(&inner); err != nil {
				return err
			}
			value[name] = inner
		}
	case []any:
		for i := range value {
			if err := compile(&value[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// Run runs an execution to its end. A context that ends aborts it.
func (m *Machine) Run(ctx context.Context, input any, do Task) (output any, failure *Error) {
	variables := scope{}
	for name := m.StartAt; ; {
		st := m.States[name]
		if st == nil {
			return nil, &Error{"States.Runtime", "no state " + name}
		}
		if ctx.Err() != nil {
			return nil, &Error{cancelled, ctx.Err().Error()}
		}
		v := &visit{state: st, do: do, scope: maps.Clone(variables), states: map[string]any{
			"input": input, "context": map[string]any{"State": map[string]any{"Name": name, "EnteredTime": time.Now().UTC().Format("2006-01-02T15:04:05.000Z")}},
		}}
		v.scope["states"] = v.states
		next, out, err := v.enter(ctx)
		if err != nil {
			return nil, err
		}
		maps.Copy(variables, v.assigned)
		if next == "" {
			return out, nil
		}
		name, input = next, out
	}
}

// visit is one stay in a state.
type visit struct {
	state    *state
	do       Task
	scope    scope
	states   map[string]any // $states
	assigned map[string]any
}

// enter does what the state is for, and returns the next state and its input.
func (v *visit) enter(ctx context.Context) (next string, output any, failure *Error) {
	st := v.state
	switch st.Type {
	case "Task":
		result, failure := v.task(ctx)
		if failure != nil {
			return v.catch(failure)
		}
		v.states["result"] = result
		return v.leave(st.Next, st.Assign, st.Output, result)
	case "Choice":
		for _, c := range st.Choices {
			holds, err := evaluate(c.Condition, v.scope)
			if err != nil {
				return "", nil, &Error{badQuery, err.Error()}
			}
			yes, ok := holds.(bool)
			if !ok {
				return "", nil, &Error{badQuery, fmt.Sprintf("a condition is %v, which is not a boolean", holds)}
			}
			if yes {
				return v.leave(c.Next, c.Assign, c.Output, v.states["input"])
			}
		}
		if st.Default == "" {
			return "", nil, &Error{noChoice, "no rule of the Choice state matches, and it has no Default"}
		}
		return v.leave(st.Default, st.Assign, st.Output, v.states["input"])
	case "Fail":
		name, cause, err := v.fail()
		if err != nil {
			return "", nil, err
		}
		return "", nil, &Error{name, cause}
	default: // Pass, Succeed
		return v.leave(st.Next, st.Assign, st.Output, v.states["input"])
	}
}

// fail evaluates what a Fail state says.
func (v *visit) fail() (name, cause string, failure *Error) {
	for _, part := range []struct {
		from any
		to   *string
	}{{v.state.Error, &name}, {v.state.Cause, &cause}} {
		if part.from == nil {
			continue
		}
		value, err := evaluate(part.from, v.scope)
		if err != nil {
			return "", "", &Error{badQuery, err.Error()}
		}
		*part.to, _ = value.(string)
	}
	return name, cause, nil
}

// leave evaluates Assign and Output, which see the variables as they were.
func (v *visit) leave(next string, assign map[string]any, output, otherwise any) (string, any, *Error) {
	v.assigned = map[string]any{}
	for name, from := range assign {
		value, err := evaluate(from, v.scope)
		if err != nil {
			return "", nil, &Error{badQuery, name + ": " + err.Error()}
		}
		v.assigned[name] = value
	}
	if output == nil {
		return next, otherwise, nil
	}
	value, err := evaluate(output, v.scope)
	if err != nil {
		return "", nil, &Error{badQuery, err.Error()}
	}
	return next, value, nil
}

// task does the work, and does it again as the retriers say.
func (v *visit) task(ctx context.Context) (any, *Error) {
	arguments, err := evaluate(v.state.Arguments, v.scope)
	if err != nil {
		return nil, &Error{badQuery, err.Error()}
	}
	tries := make([]int, len(v.state.Retry))
	for {
		result, failure := v.once(ctx, arguments)
		if failure == nil || ctx.Err() != nil {
			return result, failure
		}
		i := slices.IndexFunc(v.state.Retry, func(r retrier) bool { return catches(r.ErrorEquals, failure.Name) })
		if i < 0 || tries[i] >= v.state.Retry[i].attempts() {
			return nil, failure
		}
		timer := time.NewTimer(v.state.Retry[i].delay(tries[i]))
		tries[i]++
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil, &Error{cancelled, ctx.Err().Error()}
		case <-timer.C:
		}
	}
}

// once does the work once, within the state's time-out.
func (v *visit) once(ctx context.Context, arguments any) (any, *Error) {
	if v.state.TimeoutSeconds == 0 {
		return v.do(ctx, v.state.Resource, arguments)
	}
	within, cancel := context.WithTimeout(ctx, time.Duration(v.state.TimeoutSeconds*float64(time.Second)))
	defer cancel()
	result, failure := v.do(within, v.state.Resource, arguments)
	if within.Err() != nil && ctx.Err() == nil {
		return nil, &Error{timedOut, ""}
	}
	return result, failure
}

// catch finds the catcher of an error.
func (v *visit) catch(failure *Error) (string, any, *Error) {
	if failure.Name == cancelled {
		return "", nil, failure
	}
	for _, c := range v.state.Catch {
		if catches(c.ErrorEquals, failure.Name) {
			out := map[string]any{"Error": failure.Name, "Cause": failure.Cause}
			v.states["errorOutput"] = out
			return v.leave(c.Next, c.Assign, c.Output, out)
		}
	}
	return "", nil, failure
}

// uncatchable are errors that States.ALL does not stand for
// (https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html).
var uncatchable = []string{"States.DataLimitExceeded", "States.Runtime"}

func catches(names []string, name string) bool {
	return slices.Contains(names, name) || slices.Contains(names, all) && !slices.Contains(uncatchable, name)
}

func (r retrier) attempts() int {
	if r.MaxAttempts == nil {
		return 3
	}
	return *r.MaxAttempts
}

// delay is the wait before try n+1, n from 0.
func (r retrier) delay(n int) time.Duration {
	interval, rate := 1.0, 2.0
	if r.IntervalSeconds != nil {
		interval = *r.IntervalSeconds
	}
	if r.BackoffRate != nil {
		rate = *r.BackoffRate
	}
	seconds := interval * math.Pow(rate, float64(n))
	if r.MaxDelaySeconds > 0 {
		seconds = min(seconds, r.MaxDelaySeconds)
	}
	if r.JitterStrategy == "FULL" {
		seconds *= rand.Float64()
	}
	return time.Duration(seconds * float64(time.Second))
}
