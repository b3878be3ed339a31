package chaos_test

import (
	"encoding/json"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/spillway-go/spillway/pkg/chaos"
	"github.com/spillway-go/spillway/pkg/task"
)

// byText takes a call's whole payload, a JSON string, for its execution.
func byText(payload json.RawMessage) (execution string) {
	_ = json.Unmarshal(payload, &execution)
	return execution
}

// fails calls a handler for an execution and reports whether that failed.
func (r *rig) failsFor(h task.Handler, execution string) bool {
	r.Helper()
	payload, err := json.Marshal(execution)
	if err != nil {
		r.Fatal(err)
	}
	_, err = h(r.Context(), payload)
	return err != nil
}

// A fault of one execution hits its calls only, and goes before that of all.
func TestExecution(t *testing.T) {
	bubble(t, func(r *rig) {
		r.opts.Execution = byText
		h := r.environment()
		a := r.set(chaos.Setting{Target: book, Execution: "e-1", Fault: chaos.PlainError, Times: 1})
		if a.Execution != "e-1" {
			r.Errorf("set for %q", a.Execution)
		}
		for _, tt := range []struct {
			execution string
			fails     bool
		}{{"e-2", false}, {"e-11", false}, {"", false}, {"e-1", true}, {"e-1", false}} {
			if got := r.failsFor(h, tt.execution); got != tt.fails {
				r.Errorf("execution %q fails: %t, want %t", tt.execution, got, tt.fails)
			}
		}

		r.set(chaos.Setting{Target: book, Fault: chaos.PlainError, Rate: 1})
		r.set(chaos.Setting{Target: book, Execution: "e-1", Fault: chaos.Latency, Latency: time.Millisecond, Rate: 1})
		for execution, fails := range map[string]bool{"e-1": false, "e-2": true, "": true} {
			if got := r.failsFor(h, execution); got != fails {
				r.Errorf("beside a fault of all, execution %q fails: %t, want %t", execution, got, fails)
			}
		}
	})
}

// Without a name for executions, a call belongs to none.
func TestExecutionUnknown(t *testing.T) {
	bubble(t, func(r *rig) {
		r.set(chaos.Setting{Target: book, Execution: "e-1", Fault: chaos.PlainError, Rate: 1})
		if r.failsFor(r.environment(), "e-1") {
			r.Error("hit")
		}
	})
}

// Names that begin alike are apart: of targets, and of executions.
func TestExecutionOfAnotherTarget(t *testing.T) {
	bubble(t, func(r *rig) {
		r.opts.Execution = byText
		r.set(chaos.Setting{Target: book + "s", Fault: chaos.PlainError, Rate: 1})
		r.set(chaos.Setting{Target: book + "-2", Execution: "e-1", Fault: chaos.PlainError, Rate: 1})
		h := r.environment()
		if r.failsFor(h, "e-1") {
			r.Error("hit by another target's fault")
		}
		r.db.ResetCalls()
		r.failsFor(h, "e-1")
		r.calls(nil) // it knows that its target has none
	})
}

// However many executions have faults, others cost a read and are not hit.
func TestManyExecutions(t *testing.T) {
	bubble(t, func(r *rig) {
		r.opts.Execution = byText
		for i := range 60 {
			r.set(chaos.Setting{Target: book, Execution: "e-" + strconv.Itoa(i), Fault: chaos.PlainError, Times: 1})
		}
		r.db.ResetCalls()
		h := r.environment()
		for range 5 {
			if r.failsFor(h, "other") {
				r.Error("hit")
			}
		}
		r.calls(map[string]int{"Query": 5})
		if !r.failsFor(h, "e-59") || r.failsFor(h, "e-59") {
			r.Error("not hit once")
		}
	})
}

func TestClearExecution(t *testing.T) {
	bubble(t, func(r *rig) {
		for _, step := range []string{"A", "B"} {
			for _, execution := range []string{"", "e-1", "e-2"} {
				r.set(chaos.Setting{Target: chaos.Step(step), Execution: execution, Fault: chaos.PlainError, Rate: 1})
			}
		}
		left := func(want ...string) {
			r.Helper()
			var got []string
			for _, a := range r.list() {
				got = append(got, string(a.Target)+" "+a.Execution)
			}
			if !slices.Equal(got, want) {
				r.Errorf("left are %q, want %q", got, want)
			}
		}
		for range 2 {
			if _, err := r.store.ClearExecution(r.Context(), "e-1"); err != nil {
				r.Error(err)
			}
			left("saga.A ", "saga.A e-2", "saga.B ", "saga.B e-2")
		}
		if cleared, err := r.store.ClearExecution(r.Context(), ""); err != nil || len(cleared) > 0 {
			r.Errorf("cleared %v of no execution (%v)", cleared, err)
		}
		// A target's are all of them.
		if cleared, err := r.store.Clear(r.Context(), "saga.A"); err != nil || !slices.Equal(cleared, []chaos.Target{"saga.A"}) {
			r.Errorf("cleared %v (%v)", cleared, err)
		}
		left("saga.B ", "saga.B e-2")
	})
}
