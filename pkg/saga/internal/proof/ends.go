package proof

import (
	"fmt"
	"slices"
)

// The ends of a saga, by which operators and the recovery know how it went.
const (
	endSucceeded          = "Succeeded"
	endCompensated        = "Compensated"
	endCompensationFailed = "CompensationFailed"
	endForwardFailed      = "ForwardFailed"
	endUnrecorded         = "Unrecorded"
)

// checkSuccess is for executions that end well.
func (w *walker) checkSuccess(c *config) {
	st := c.at
	idle := !slices.ContainsFunc(c.acts, func(a act) bool { return a.ran || a.undo != untried })
	if w.recovering && c.open == no && idle && c.written == "" && st.name != endSucceeded {
		return // the task has ended by itself: nothing to recover
	}
	if owed := w.owed(c); len(owed) > 0 && c.failure {
		w.left(c, st, owed)
	}
	for i, s := range w.steps {
		if c.acts[i].is != done {
			w.defect("wrong end", st, "the execution succeeds although %s is not done", s.Action)
			return
		}
	}
	if st.name != endSucceeded {
		w.defect("wrong end", st, "all is done and the execution does not end in %s", endSucceeded)
	}
	if c.written != "succeeded" {
		w.defect("task not updated", st, "the execution succeeds, and the task's row %s", said(c.written))
	}
}

// checkFail is for executions that end in a Fail state.
func (w *walker) checkFail(c *config) {
	st := c.at
	if !w.carriesError(c, st) {
		return
	}
	if st.name == endUnrecorded {
		if !c.unwritten {
			w.defect("task not updated", st, "the path comes here without having failed to write or read the task's row")
			w.checkLeft(c, st)
		}
		return
	}
	if w.committed(c) {
		w.checkForwardFail(c)
		return
	}
	if w.checkLeft(c, st) {
		return
	}
	for i, a := range c.acts {
		if a.undo == failed {
			w.defect("not parked", st, "%s failed for good, and no message names it", w.steps[i].Compensation)
		}
	}
	want, bad := endCompensated, w.stuck(c)
	if bad {
		want = endCompensationFailed
	}
	if st.name != want {
		w.defect("wrong end", st, "this path has to end in %s", want)
	}
	if c.written != "failed" && (bad || c.written != "canceled") {
		w.defect("task not updated", st, "the execution fails, and the task's row %s", said(c.written))
	}
}

func (w *walker) checkForwardFail(c *config) {
	st := c.at
	stuck := slices.IndexFunc(c.acts, func(a act) bool { return a.is != done })
	switch {
	case stuck < 0:
		w.defect("wrong end", st, "all is done, and the execution fails")
	case !c.acts[stuck].parked:
		w.defect("not parked", st, "%s was not done after the pivot, and no message names it", w.steps[stuck].Action)
	case st.name != endForwardFailed:
		w.defect("wrong end", st, "this path has to end in %s", endForwardFailed)
	case c.written != "failed":
		w.defect("task not updated", st, "the execution fails, and the task's row %s", said(c.written))
	}
	if stuck >= 0 {
		name := w.steps[stuck].Action
		if v, ok := w.parkVar[name]; ok && w.valueOf(c.vars[v]) != true {
			w.defect("wrong variable", st, "$%s_parked is %s, and the step was parked", name, say(w.valueOf(c.vars[v])))
		}
	}
}

// checkLeft reports compensations that are still due where an execution ends.
func (w *walker) checkLeft(c *config, st *state) bool {
	owed := w.owed(c)
	if len(owed) == 0 || w.committed(c) {
		return false
	}
	w.left(c, st, owed)
	return true
}

func (w *walker) left(c *config, st *state, owed []string) {
	for i, a := range c.acts {
		if a.undo.failed() {
			w.defect("compensation chain stops", st, "%s failed, and %s never runs", w.steps[i].Compensation, names(owed))
			return
		}
	}
	w.defect("compensation skipped", st, "%s never runs", names(owed))
}

func said(status string) string {
	if status == "" {
		return "has not its end"
	}
	return "says " + status
}

func say(v any) string {
	if !known(v) {
		return "not known"
	}
	return fmt.Sprintf("%v", v)
}

// defect notes what breaks on the path that is being walked; fault what needs no
// path. Of one kind at one state the shortest path is kept.
func (w *walker) defect(kind string, st *state, format string, args ...any) {
	w.note(Defect{Kind: kind, State: st.name, Path: slices.Clone(w.path), Detail: fmt.Sprintf(format, args...)})
}

func (w *walker) fault(kind, state, format string, args ...any) {
	w.note(Defect{Kind: kind, State: state, Detail: fmt.Sprintf(format, args...)})
}

func (w *walker) note(d Defect) {
	k := [2]string{d.Kind, d.State}
	old, ok := w.found[k]
	if !ok {
		w.order = append(w.order, k)
	}
	if !ok || len(d.Path) > 0 && (len(old.Path) == 0 || len(d.Path) < len(old.Path)) {
		w.found[k] = d
	}
}
