package proof

import "slices"

// begin checks what a Task is about to do. False ends the path: what follows
// would only repeat the defect in other words.
func (w *walker) begin(c *config) bool {
	switch t := c.at.task; t.kind {
	case action:
		return w.beginAction(c, t.step)
	case compensate:
		return w.beginCompensation(c, t.step)
	case park:
		return w.beginPark(c, t.names)
	case endWrite:
		return w.beginEnd(c, t)
	default:
		return true
	}
}

// committed says whether the point of no return was passed. Without a pivot in
// the claims it is the end of the last stage before a step that is Forward.
func (w *walker) committed(c *config) bool {
	if c.past == yes {
		return true
	}
	pivot, forward, all := false, false, true
	for i, s := range w.steps {
		is := c.acts[i].is
		switch {
		case s.Forward:
			forward = true
			if c.acts[i].ran {
				return true
			}
		case s.Pivot:
			pivot = true
			if is == done {
				return true
			}
		default:
			all = all && is == done
		}
	}
	return forward && !pivot && all
}

// owes says whether an action still has to be compensated.
func (w *walker) owes(c *config, i int) bool {
	a := c.acts[i]
	return w.steps[i].Compensation != "" && a.undo == untried && (a.is == done || a.is == mayBe)
}

// stuck says whether a compensation failed for good.
func (w *walker) stuck(c *config) bool {
	return slices.ContainsFunc(c.acts, func(a act) bool { return a.undo.failed() })
}

func (w *walker) owed(c *config) []string {
	var out []string
	for i, s := range w.steps {
		if w.owes(c, i) {
			out = append(out, s.Compensation)
		}
	}
	return out
}

func (w *walker) beginAction(c *config, i int) bool {
	st, s, a := c.at, w.steps[i], c.acts[i]
	switch {
	case c.written != "":
		w.defect("went on after the end", st, "the task's row says %s already", c.written)
	case a.ran:
		w.defect("reached twice", st, "%s ran before on this path", s.Action)
	case w.recovering && (c.past != yes || !s.Forward):
		w.defect("recovery runs an action", st, "whether %s ran is not known in a recovery: it has to compensate, or to go forward where the row is marked", s.Action)
	case c.failure:
		w.defect("went on after a failure", st, "%s begins although something before it failed", s.Action)
	default:
		for j, other := range w.steps {
			if other.Stage < s.Stage && c.acts[j].is != done {
				w.defect("order of actions", st, "%s begins while %s is not done", s.Action, other.Action)
				return false
			}
		}
		w.checkProgress(c, s)
		return true
	}
	return false
}

// checkProgress is whether the row was written before an action, in the way that
// its place before or after the pivot asks for. The path goes on in any case: what
// it does later is another matter.
func (w *walker) checkProgress(c *config, s Step) {
	st := c.at
	switch {
	case c.progress == noProgress:
		w.defect("no progress write", st, "nothing is written to the task's row between the stage before and %s", s.Action)
	case !s.Forward && c.progress != cancelableProgress:
		w.defect("cancel not honored", st, "the write before %s succeeds when a cancel was requested: its condition needs attribute_not_exists(cancel_requested)", s.Action)
	case s.Forward && c.progress == cancelableProgress:
		w.defect("canceled after the pivot", st, "the write before %s fails when a cancel was requested, which is too late: its condition may not have attribute_not_exists(cancel_requested)", s.Action)
	case s.Forward && c.past != yes:
		w.defect("pivot not marked", st, "no write before %s marks the row as past the pivot: a recovery would compensate", s.Action)
	}
}

func (w *walker) beginCompensation(c *config, i int) bool {
	st, s, a := c.at, w.steps[i], c.acts[i]
	switch {
	case c.written != "":
		w.defect("went on after the end", st, "the task's row says %s already", c.written)
	case a.undo != untried:
		w.defect("reached twice", st, "%s ran before on this path", s.Compensation)
	case w.recovering && c.open != yes:
		w.defect("recovery of an ended task", st, "%s runs without the row saying that the task is still open: a task that succeeded would lose its work", s.Compensation)
	case w.recovering && c.past != no && slices.ContainsFunc(w.steps, func(s Step) bool { return s.Forward }):
		w.defect("recovery ignores the pivot", st, "%s runs without the row saying that it is not marked as past the pivot", s.Compensation)
	case w.committed(c):
		w.defect("compensated after the pivot", st, "%s runs after the point of no return", s.Compensation)
	case a.is != done && a.is != mayBe:
		w.defect("compensated without having run", st, "%s is %s: %s has nothing to undo", s.Action, words[a.is], s.Compensation)
	case !c.failure:
		w.defect("compensated without a failure", st, "nothing failed and no cancel was seen")
	default:
		for j, other := range w.steps {
			if other.Stage > s.Stage && w.owes(c, j) {
				w.defect("order of compensation", st, "%s runs before %s, which undoes a later stage", s.Compensation, other.Compensation)
				return false
			}
		}
		return true
	}
	return false
}

func (w *walker) beginPark(c *config, name string) bool {
	st := c.at
	i := slices.IndexFunc(w.steps, func(s Step) bool { return s.Compensation == name || s.Forward && s.Action == name })
	if name == "" || i < 0 {
		w.defect("not parked", st, "the message names no compensation that could have failed: it needs 'step': '<name>', and has %q", name)
		return false
	}
	a := &c.acts[i]
	switch {
	case !w.steps[i].Forward && a.undo == failed:
		a.undo = parked
		return true
	case w.steps[i].Forward && w.committed(c) && c.failure && a.is != done && !a.parked:
		a.parked = true
		return true
	case a.undo == parked || a.parked:
		w.defect("reached twice", st, "%s was parked before on this path", name)
	default:
		w.defect("parked without a failure", st, "%s did not fail on this path", name)
	}
	return false
}

func (w *walker) beginEnd(c *config, t task) bool {
	st := c.at
	if c.written != "" {
		w.defect("reached twice", st, "the task's row says %s already", c.written)
		return false
	}
	if w.recovering && c.open != yes {
		w.defect("recovery of an ended task", st, "the task's end is written without its row saying that it is still open")
		return false
	}
	switch t.status {
	case "succeeded":
		for i, s := range w.steps {
			if c.acts[i].is != done {
				w.defect("task updated too early", st, "the row says succeeded although %s is not done", s.Action)
				return false
			}
		}
		if c.failure {
			w.defect("task updated too early", st, "the row says succeeded although something failed")
			return false
		}
	case "failed", "canceled":
		if !w.committed(c) {
			if owed := w.owed(c); len(owed) > 0 {
				w.left(c, st, owed)
				return false
			}
		}
		if !c.failure {
			w.defect("task updated too early", st, "the row says %s although nothing failed", t.status)
			return false
		}
		if t.status == "failed" && !t.noCancel && !w.committed(c) && !w.stuck(c) {
			w.defect("cancel not honored", st, "all is undone, and the row says failed even when a cancel was requested: its condition needs attribute_not_exists(cancel_requested), with a write of canceled where that fails")
			return false
		}
		if t.status == "canceled" && !c.canceled {
			w.defect("wrong end", st, "the row says canceled although no write said that a cancel was requested")
			return false
		}
		if !w.carriesError(c, st) {
			return false
		}
	default:
		w.defect("wrong end", st, "the row gets the status %q: it has to be succeeded, failed or canceled, as literal text", t.status)
		return false
	}
	return true
}

// carriesError reports variables that the state reads and that nobody has set
// since the beginning: the reason of the failure got lost on the way.
func (w *walker) carriesError(c *config, st *state) bool {
	for _, name := range st.uses {
		if w.isEmpty(c.vars[w.variable(name)]) {
			w.defect("error not carried", st, "$%s is still empty: the state that caught the error has to assign it", name)
			return false
		}
	}
	return true
}

// checkUses reports variables that are read before they are assigned: the
// execution would fail there.
func (w *walker) checkUses(c *config, uses []string) bool {
	for _, name := range uses {
		if id := w.existing(name); id < 0 || c.vars[id] == unassigned {
			w.defect("unassigned variable", c.at, "$%s is read and was not assigned on the way: the expression fails", name)
			return false
		}
	}
	return true
}

// checkInput reports fields of the state's input that its arguments read and the
// state before did not pass on: they are silently left out.
func (w *walker) checkInput(c *config) bool {
	input, ok := w.data[c.input].(map[string]any)
	if !ok || input[moreFields] != nil {
		return true
	}
	for _, name := range c.at.inputs {
		if _, ok := input[name]; !ok {
			w.defect("missing input", c.at, "$states.input.%s is read, and the state before does not pass it on", name)
			return false
		}
	}
	return true
}

// checkVariables compares the variables that say what became of actions and
// compensations with what did. True means that all of them were.
func (w *walker) checkVariables(c *config) bool {
	if w.recovering && c.open != yes {
		return false
	}
	for i, s := range w.steps {
		a := c.acts[i]
		if v := w.isVar[i]; v >= 0 && c.vars[v] != unassigned && c.vars[v] != asItIs && a.is != settled && (!w.recovering || c.past != yes) {
			got := w.valueOf(c.vars[v])
			// When a step after the pivot failed, nobody asks whether it may have been done.
			if same := got == words[a.is]; !same && (!s.Forward || !c.failure || got == words[done] || a.is == done) {
				w.defect("wrong variable", c.at, "$%s_is is %s, and the action is %s", s.Action, say(got), words[a.is])
			}
		}
		if v, ok := w.parkVar[s.Compensation]; ok && c.vars[v] != unassigned {
			bad := a.undo.failed()
			if got := w.valueOf(c.vars[v]); got != bad {
				w.defect("wrong variable", c.at, "$%s_parked is %s, and whether the compensation failed is %t", s.Compensation, say(got), bad)
			}
		}
	}
	return !w.recovering || c.past != yes
}
