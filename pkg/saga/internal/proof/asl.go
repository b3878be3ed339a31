package proof

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// machine is a state machine, or one branch of a Parallel state.
type machine struct {
	QueryLanguage  string
	StartAt        string
	TimeoutSeconds any
	States         map[string]*state
}

type state struct {
	Type          string
	QueryLanguage string
	Next          string
	End           bool
	Default       string
	Choices       []rule
	Branches      []machine
	Resource      string
	Arguments     any
	Parameters    any
	Assign        map[string]any
	Output        any
	Retry         []retrier
	Catch         []catcher
	Error, Cause  any

	TimeoutSeconds any

	name    string
	id      int
	jsonata bool
	task    task
	reached bool         // by edges from the start
	live    map[int]bool // variables that conditions from here on read
	uses    []string     // variables read on entry
	inputs  []string     // fields of the input read by arguments
}

type rule struct {
	Condition any
	Next      string
	Assign    map[string]any
	Output    any
}

type catcher struct {
	ErrorEquals []string
	Next        string
	Assign      map[string]any
	Output      any
}

type retrier struct {
	ErrorEquals     []string
	IntervalSeconds *float64
	MaxAttempts     *float64
	BackoffRate     *float64
	MaxDelaySeconds *float64
	JitterStrategy  string
}

// attempts are the retries, by default three
// (https://states-language.net/#errors).
func (r retrier) attempts() float64 {
	if r.MaxAttempts == nil {
		return 3
	}
	return *r.MaxAttempts
}

const jsonata = "JSONata"

// parse reads a machine and collects its states, those of branches included.
func (w *walker) parse(text []byte) bool {
	if err := json.Unmarshal(text, &w.machine); err != nil {
		w.fault("malformed", "", "no state machine in JSON: %v", err)
		return false
	}
	w.byName = map[string]*state{}
	w.collect(&w.machine, w.machine.QueryLanguage == jsonata)
	return true
}

func (w *walker) collect(m *machine, isJSONata bool) {
	for _, name := range slices.Sorted(maps.Keys(m.States)) {
		st := m.States[name]
		if st == nil {
			w.fault("malformed", name, "it is null")
			delete(m.States, name)
			continue
		}
		if w.byName[name] != nil {
			w.fault("malformed", name, "two states have this name; a machine's are all different, those of branches included")
		}
		st.name, st.id = name, len(w.states)
		st.jsonata = st.QueryLanguage == jsonata || st.QueryLanguage == "" && isJSONata
		w.byName[name] = st
		w.states = append(w.states, st)
		for i := range st.Branches {
			w.collect(&st.Branches[i], st.jsonata)
		}
	}
}

// arguments of a Task, in either query language.
func (st *state) arguments() map[string]any {
	a, _ := st.Arguments.(map[string]any)
	if a == nil {
		a, _ = st.Parameters.(map[string]any)
	}
	return a
}

// text is a value of arguments as one piece of text, to be searched.
func text(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	b, _ := json.Marshal(v)
	return string(b)
}

// matches says whether a list of ErrorEquals takes an error. States.ALL leaves
// out two that end an execution whatever it catches, and States.TaskFailed
// time-outs as well
// (https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html).
func matches(list []string, name string) bool {
	fatal := name == "States.DataLimitExceeded" || name == "States.Runtime"
	for _, e := range list {
		switch {
		case e == name,
			e == statesAll && !fatal,
			e == "States.TaskFailed" && !fatal && name != statesTimeout:
			return true
		}
	}
	return false
}

const (
	statesAll     = "States.ALL"
	statesTimeout = "States.Timeout"
	throttle      = "Lambda.TooManyRequestsException"
	anyOther      = "any other error" // stands for all names that nothing mentions
)

func (st *state) firstCatcher(name string) int {
	return slices.IndexFunc(st.Catch, func(c catcher) bool { return matches(c.ErrorEquals, name) })
}

func (st *state) firstRetrier(name string) *retrier {
	for i := range st.Retry {
		if matches(st.Retry[i].ErrorEquals, name) {
			return &st.Retry[i]
		}
	}
	return nil
}

// edge is a way out of a state.
type edge struct{ what, to string }

func (st *state) edges() []edge {
	var out []edge
	if st.Next != "" {
		out = append(out, edge{"Next", st.Next})
	}
	if st.Default != "" {
		out = append(out, edge{"Default", st.Default})
	}
	for i, r := range st.Choices {
		out = append(out, edge{fmt.Sprintf("Choices[%d]", i), r.Next})
	}
	for i, c := range st.Catch {
		out = append(out, edge{fmt.Sprintf("Catch[%d]", i), c.Next})
	}
	return out
}

func names(list []string) string { return strings.Join(list, ", ") }
