package proof

import (
	"slices"
	"strings"
)

// transient are Lambda's own errors, which say nothing about the function
// (https://docs.aws.amazon.com/step-functions/latest/dg/bp-lambda-serviceexception.html).
// They have a retrier that names them: States.ALL would take them too, but then a
// throttle uses up the attempts of the function's own failures.
var transient = []string{
	"Lambda.ClientExecutionTimeoutException", "Lambda.ServiceException", "Lambda.AWSLambdaException",
	"Lambda.SdkClientException", throttle, "Lambda.Unknown",
}

const (
	maxRetries = 1000       // of one retrier: more is no bound
	maxSeconds = 99_999_999 // of a time-out or an interval, as the language has it
	maxDelay   = 31_622_400 // of MaxDelaySeconds, exclusive
)

// checkSteps is whether the claims make sense by themselves.
func (w *walker) checkSteps() bool {
	taken := map[string]bool{}
	ok := len(w.steps) > 0
	if !ok {
		w.fault("claims", "", "no step is claimed")
	}
	for i, s := range w.steps {
		for _, name := range []string{s.Action, s.Compensation} {
			if name == "" && s.Action != "" {
				continue
			}
			switch {
			case name == "":
				w.fault("claims", "", "step %d has no name", i+1)
			case taken[name]:
				w.fault("claims", name, "two steps have this name")
			case w.byName[name] == nil:
				w.fault("missing state", name, "a state of this name is claimed, and the machine has none")
			default:
				taken[name] = true
				continue
			}
			ok = false
		}
		if s.Forward && s.Compensation != "" {
			w.fault("claims", s.Action, "it runs after the pivot and has the compensation %s", s.Compensation)
			ok = false
		}
		if i > 0 && s.Stage < w.steps[i-1].Stage {
			w.fault("claims", s.Action, "it comes after a step of a later stage")
			ok = false
		}
	}
	return ok
}

// checkStates looks at each state by itself. False means that the machine cannot
// be walked.
func (w *walker) checkStates() bool {
	if w.machine.TimeoutSeconds != nil {
		w.fault("time-out of the machine", "", "TimeoutSeconds at the top ends an execution past every Catch, and compensates nothing: bound the Tasks instead")
	}
	ok := w.checkEdges(&w.machine, "")
	functions := map[string]string{}
	for _, st := range w.states {
		if st.Type != "Task" && st.Type != "Parallel" {
			continue
		}
		w.checkCatch(st)
		w.checkRetriers(st)
		if st.Type == "Parallel" {
			if len(st.Retry) > 0 {
				w.fault("reached twice", st.name, "a Retry of a Parallel runs all of its branches again")
			}
			continue
		}
		if n, isNumber := st.TimeoutSeconds.(float64); !isNumber || n < 1 || n > maxSeconds {
			w.fault("no time-out", st.name, "it needs TimeoutSeconds as a number: otherwise an answer that never comes holds the saga for a year")
		}
		switch st.task.kind {
		case action, compensate:
			w.checkCall(st, functions)
		case progress, endWrite:
			w.checkWrite(st)
		case read:
			if st.arguments()["ConsistentRead"] != true {
				w.fault("stale read", st.name, "it needs ConsistentRead: an old copy of the row says that the task is still open")
			}
		case foreign:
			w.fault("unknown state", st.name, "a Task that no claim explains (%s)", st.Resource)
		default: // a message has nothing to check but its step, on the way
		}
	}
	return ok
}

// checkEdges is whether every way leads somewhere, within the same level.
func (w *walker) checkEdges(m *machine, where string) bool {
	ok := true
	leads := func(from, what, to string) {
		if m.States[to] == nil {
			w.fault("dead end", from, "%s leads to %q, which is no state of this level", what, to)
			ok = false
		}
	}
	if len(m.States) == 0 {
		w.fault("malformed", where, "there is no state")
		return false
	}
	leads(where, "StartAt", m.StartAt)
	for _, st := range w.states {
		if m.States[st.name] != st {
			continue
		}
		for _, e := range st.edges() {
			leads(st.name, e.what, e.to)
		}
		switch st.Type {
		case "Choice":
			if len(st.Choices) == 0 {
				w.fault("malformed", st.name, "a Choice without rules")
				ok = false
			}
			if st.Next != "" || st.End {
				w.fault("malformed", st.name, "a Choice has neither Next nor End")
			}
		case "Succeed", "Fail":
			if st.Next != "" || st.End || len(st.Catch) > 0 {
				w.fault("malformed", st.name, "%s has nothing after it", st.Type)
			}
		default:
			if (st.Next == "") != st.End {
				w.fault("dead end", st.name, "it needs Next or End, and not both")
				ok = false
			}
		}
		if st.Type == "Parallel" && len(st.Branches) == 0 {
			w.fault("malformed", st.name, "a Parallel without branches")
			ok = false
		}
		for i := range st.Branches {
			ok = w.checkEdges(&st.Branches[i], st.name) && ok
		}
	}
	return ok
}

func (w *walker) checkCatch(st *state) {
	lists := make([][]string, len(st.Catch))
	for i, c := range st.Catch {
		lists[i] = c.ErrorEquals
	}
	w.checkLists(st, "Catch", lists)
	if n := len(lists); n == 0 || !slices.Equal(lists[n-1], []string{statesAll}) {
		w.fault("no catch-all", st.name, "Catch has to end with States.ALL: a time-out, a throttle or a crash would fail the execution here, with nothing undone")
	}
}

// checkLists holds the language's rules for ErrorEquals: never empty, a wildcard
// by itself, States.ALL last.
func (w *walker) checkLists(st *state, what string, lists [][]string) {
	for i, list := range lists {
		switch {
		case len(list) == 0:
			w.fault("malformed", st.name, "%s[%d] names no error", what, i)
		case slices.Contains(list, statesAll) && (len(list) > 1 || i < len(lists)-1):
			w.fault("malformed", st.name, "States.ALL in %s[%d] has to be alone and last", what, i)
		}
	}
}

func (w *walker) checkRetriers(st *state) {
	lists := make([][]string, len(st.Retry))
	for i, r := range st.Retry {
		lists[i] = r.ErrorEquals
		if n := r.attempts(); n < 0 || n > maxRetries || n != float64(int(n)) {
			w.fault("unbounded", st.name, "Retry[%d] has %g attempts: up to %d are a bound", i, n, maxRetries)
		}
		if r.attempts() > 0 {
			w.checkWaits(st, i, r)
		}
	}
	w.checkLists(st, "Retry", lists)
	if st.Type != "Task" {
		return
	}
	if st.task.kind == action || st.task.kind == compensate {
		for _, e := range transient {
			named := slices.ContainsFunc(st.Retry, func(r retrier) bool { return slices.Contains(r.ErrorEquals, e) })
			if r := st.firstRetrier(e); !named || r == nil || r.attempts() < 1 {
				kind := "transient error not retried"
				if e == throttle {
					kind = "throttle not retried"
				}
				w.fault(kind, st.name, "no retrier names %s and tries again: it says nothing about the function, and another attempt may well succeed", e)
			}
		}
	}
	for _, e := range []string{anyOther, statesTimeout} {
		if r := st.firstRetrier(e); r == nil || r.attempts() < 1 {
			w.fault("error not retried", st.name, "%s is not retried: Retry has to end with States.ALL and at least one attempt", e)
		}
	}
	if st.task.kind == action {
		for _, code := range w.steps[st.task.step].Business {
			if r := st.firstRetrier(code); r != nil && r.attempts() > 0 {
				w.fault("business error retried", st.name, "%s is retried, which cannot help: name it in a first retrier with MaxAttempts 0", code)
			}
		}
	}
}

func (w *walker) checkWaits(st *state, i int, r retrier) {
	if r.MaxDelaySeconds == nil || *r.MaxDelaySeconds < 1 || *r.MaxDelaySeconds >= maxDelay {
		w.fault("unbounded", st.name, "Retry[%d] has no MaxDelaySeconds: the wait grows with every attempt", i)
	}
	if r.IntervalSeconds != nil && (*r.IntervalSeconds < 1 || *r.IntervalSeconds > maxSeconds) {
		w.fault("malformed", st.name, "Retry[%d] has IntervalSeconds %g", i, *r.IntervalSeconds)
	}
	if r.BackoffRate != nil && *r.BackoffRate < 1 {
		w.fault("malformed", st.name, "Retry[%d] has BackoffRate %g, and at least 1 is allowed", i, *r.BackoffRate)
	}
	if r.JitterStrategy != "FULL" {
		w.fault("no jitter", st.name, "Retry[%d] needs JitterStrategy FULL: otherwise all that failed at once come back at once", i)
	}
}

// checkCall is whether a state calls the function of its own step, and says so
// to it.
func (w *walker) checkCall(st *state, functions map[string]string) {
	s := w.steps[st.task.step]
	args := st.arguments()
	if payload, ok := args["Payload"].(map[string]any); ok {
		if step, ok := payload["step"]; ok && step != st.name {
			w.fault("wrong call", st.name, "its function is told to do %v", step)
		}
		if of, ok := payload["action"]; ok && (st.task.kind != compensate || of != s.Action) {
			w.fault("wrong call", st.name, "its function is told to undo %v", of)
		}
	}
	function := st.Resource
	if name, ok := args["FunctionName"]; ok {
		function = text(name)
	}
	if other := functions[function]; other != "" {
		w.fault("wrong call", st.name, "it calls the function of %s", other)
	}
	functions[function] = st.name
	if !strings.Contains(function, st.name) {
		w.fault("wrong call", st.name, "it calls %s: the name of its function has to contain the step's", function)
	}
}

// checkWrite is whether a write of the task's row is safe: it may come late, and
// after the row has got another run or its end.
func (w *walker) checkWrite(st *state) {
	if !st.task.byRun || !st.task.byStatus {
		w.fault("unconditional write", st.name, "its ConditionExpression has to compare the run (= :run) and the status: otherwise a late execution overwrites what is not its own any more")
	}
	for _, e := range conditionFailed {
		if !slices.ContainsFunc(st.Catch, func(c catcher) bool { return slices.Contains(c.ErrorEquals, e) }) {
			w.fault("condition not caught", st.name, "Catch has to name %s: both spellings exist", e)
		}
		if r := st.firstRetrier(e); r != nil && r.attempts() > 0 {
			w.fault("condition retried", st.name, "%s is retried, and stays false: name it in a first retrier with MaxAttempts 0", e)
		}
	}
}

// checkReached reports states that no edge leads to. One that conditions never
// let a path come to is harmless.
func (w *walker) checkReached() {
	w.reach(&w.machine, w.machine.StartAt)
	for _, st := range w.states {
		if !st.reached {
			w.fault("unreachable", st.name, "no edge leads here")
		}
	}
}

func (w *walker) reach(m *machine, name string) {
	st := m.States[name]
	if st == nil || st.reached {
		return
	}
	st.reached = true
	for _, e := range st.edges() {
		w.reach(m, e.to)
	}
	for i := range st.Branches {
		w.reach(&st.Branches[i], st.Branches[i].StartAt)
	}
}
