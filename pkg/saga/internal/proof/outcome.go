package proof

import (
	"slices"
	"strings"
)

func cutLabel(s string) (name, how string, ok bool) { return strings.Cut(s, " (") }

// success is the outcome that is no error.
const success = ""

// errorsOf are the errors by which a Task may end: those that it names, those of
// the claims, those that Step Functions and Lambda add by themselves, and any.
func (w *walker) errorsOf(st *state) []string {
	var all []string
	add := func(more ...string) {
		for _, e := range more {
			if e != statesAll && e != "States.TaskFailed" && !slices.Contains(all, e) {
				all = append(all, e)
			}
		}
	}
	switch st.task.kind {
	case action:
		add(w.steps[st.task.step].Business...)
		add(throttle, "Lambda.Unknown")
	case compensate:
		add(throttle, "Lambda.Unknown")
	case progress, endWrite:
		add(conditionFailed...)
	default: // no errors of their own
	}
	add(statesTimeout, anyOther)
	for _, c := range st.Catch {
		add(c.ErrorEquals...)
	}
	for _, r := range st.Retry {
		add(r.ErrorEquals...)
	}
	return all
}

// task takes a Task through all its outcomes.
func (w *walker) task(c *config, f *frame) {
	st := c.at
	c.unwritten = false
	if !w.begin(c) {
		return
	}
	from := ""
	if w.edges != nil {
		from = c.describe()
	}
	type class struct {
		effect  string
		catcher int
	}
	tried := map[class]bool{}
	for _, e := range append([]string{success}, w.errorsOf(st)...) {
		i := st.firstCatcher(e)
		if e == success {
			i = -2
		}
		how := class{w.effect(st, e), i}
		if tried[how] {
			continue // ends as another did
		}
		tried[how] = true
		n := c.clone()
		w.end(n, how.effect)
		via := from + " " + how.effect
		if e == success {
			w.mark("succeeds")
			if w.assign(n, st, st.Assign, unknown(anything)) {
				n.input = w.output(c, st, st.Output, unknown(anything))
				w.leave(n, f, via)
			}
			continue
		}
		w.mark("%s", e)
		w.caught(c, n, i, e, f, via)
	}
}

// caught goes where the catcher leads, with its Assign and Output.
func (w *walker) caught(before, n *config, i int, e string, f *frame, via string) {
	st := before.at
	if i < 0 {
		w.defect("no catch-all", st, "%s is not caught: the execution fails here; end Catch with States.ALL", e)
		if !f.branch {
			w.checkLeft(n, st)
		}
		return
	}
	catch := st.Catch[i]
	failure := unknown(anything)
	if !w.assign(n, st, catch.Assign, failure) {
		return
	}
	n.input = w.output(before, st, catch.Output, failure)
	w.explore(n, catch.Next, f, via)
}

// What an outcome does, apart from where it leads.
const (
	didIt      = "success"
	didNothing = "refused"
	conditions = "condition failed"
	mayHave    = "error"
)

func (w *walker) effect(st *state, e string) string {
	switch {
	case e == success:
		return didIt
	case st.task.kind == action && slices.Contains(w.steps[st.task.step].Business, e):
		return didNothing
	case (st.task.kind == progress || st.task.kind == endWrite) && slices.Contains(conditionFailed, e):
		return conditions
	}
	return mayHave
}

// end is what an outcome changes.
func (w *walker) end(c *config, how string) {
	t := c.at.task
	switch t.kind {
	case action:
		c.progress = noProgress
		c.acts[t.step].ran = true
		w.set(c, t.step, map[string]status{didIt: done, didNothing: refused, mayHave: mayBe}[how])
		c.failure = c.failure || how != didIt
	case compensate:
		c.acts[t.step].undo = undone
		if how != didIt {
			c.acts[t.step].undo = failed
		}
	case progress:
		w.endProgress(c, t, how)
	case endWrite:
		w.endEnd(c, t, how)
	case read:
		c.unwritten = how != didIt
	case park, foreign, notATask: // whether a message was sent is not known; what is due is to try
	}
}

func (w *walker) endProgress(c *config, t task, how string) {
	switch how {
	case didIt:
		c.progress = anyProgress
		if t.noCancel {
			c.progress = cancelableProgress
		}
		if t.marks {
			c.past = yes
		}
	case conditions:
		c.failure = true
		c.canceled = c.canceled || t.noCancel
	default:
		c.failure = true
		if t.marks {
			c.past = yes // it may have been written, and a recovery would go forward
		}
	}
}

// endEnd: a condition that fails says that the row is not this run's any more,
// or has ended, so that nothing is left to write. Unless the condition speaks of
// a requested cancel: then the row may still wait for its end.
func (w *walker) endEnd(c *config, t task, how string) {
	switch {
	case how == didIt:
		c.written = t.status
	case how == mayHave:
		c.unwritten = true
	case t.noCancel:
		c.canceled, c.failure = true, true
	case t.status == "succeeded" && !w.committed(c):
		c.failure = true // nobody will hear of this success: take it back
	default:
		c.written = t.status
	}
}
