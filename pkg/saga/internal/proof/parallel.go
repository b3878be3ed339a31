package proof

import (
	"maps"
	"slices"
)

// parallel walks each branch alone, and then every combination of their ends:
// branches share nothing that one could change for another. In between it may
// be cut off, by an error of Step Functions itself: then whatever its branches
// do may have been done.
func (w *walker) parallel(c *config, f *frame) {
	st := c.at
	c.unwritten = false
	from := ""
	if w.edges != nil {
		from = c.describe()
	}
	ends := make([][]*config, len(st.Branches))
	for i := range st.Branches {
		b := frame{seen: map[string]seen{}, branch: true, ends: map[string]*config{}}
		w.mark("branch %d", i+1)
		w.explore(c.clone(), st.Branches[i].StartAt, &b, from)
		for _, k := range slices.Sorted(maps.Keys(b.ends)) {
			ends[i] = append(ends[i], b.ends[k])
		}
		if len(ends[i]) == 0 {
			return // each of its paths broke off, which was reported
		}
	}
	w.interrupt(c, f, from)
	pick := make([]int, len(ends))
	for {
		w.join(c, ends, pick, f, from)
		i := 0
		for ; i < len(pick); i++ {
			if pick[i]++; pick[i] < len(ends[i]) {
				break
			}
			pick[i] = 0
		}
		if i == len(pick) {
			return
		}
	}
}

// join is one combination of the branches' ends.
func (w *walker) join(c *config, ends [][]*config, pick []int, f *frame, from string) {
	st := c.at
	n := c.clone()
	result := make([]any, len(ends))
	for b := range ends {
		e := ends[b][pick[b]]
		result[b] = w.data[e.input]
		if result[b] == nil {
			result[b] = unknown(anything)
		}
		for i, a := range e.acts {
			if a == c.acts[i] {
				continue
			}
			if n.acts[i] != c.acts[i] {
				w.defect("reached twice", st, "two branches have to do with %s", w.steps[i].Action)
				return
			}
			w.set(n, i, a.is)
			n.acts[i] = a
			if a.ran {
				n.progress = noProgress
			}
		}
		n.failure = n.failure || e.failure
		n.canceled = n.canceled || e.canceled
		if e.written != c.written {
			w.defect("task updated too early", st, "a branch writes the task's end, while the others may still run")
			return
		}
	}
	w.mark("%s", w.summary(c, n))
	if w.assign(n, st, st.Assign, result) {
		n.input = w.output(c, st, st.Output, result)
		w.leave(n, f, from+" ends")
	}
}

// summary says what the branches changed.
func (w *walker) summary(before, after *config) string {
	var out []string
	for i, a := range after.acts {
		b := before.acts[i]
		switch {
		case a.undo != b.undo && a.undo == undone:
			out = append(out, w.steps[i].Compensation+" succeeds")
		case a.undo != b.undo:
			out = append(out, w.steps[i].Compensation+" fails")
		case a.is != b.is || a.ran != b.ran:
			out = append(out, w.steps[i].Action+" "+words[a.is])
		}
	}
	if len(out) == 0 {
		return "succeeds"
	}
	return names(out)
}

// interrupt is the outcome in which the Parallel state itself fails.
func (w *walker) interrupt(c *config, f *frame, from string) {
	st := c.at
	n := c.clone()
	for _, inner := range w.within(st) {
		t := inner.task
		switch t.kind {
		case action:
			n.progress, n.failure = noProgress, true
			if n.acts[t.step].is == pending {
				w.set(n, t.step, mayBe)
			}
		case compensate:
			if n.acts[t.step].undo == untried {
				n.acts[t.step].undo = lost
			}
		default: // what else there is may have happened or not, and is no work left behind
		}
	}
	w.mark("cut off")
	w.caught(c, n, st.firstCatcher(anyOther), anyOther, f, from+" cut off")
}

// within are all states of the branches.
func (w *walker) within(st *state) []*state {
	var out []*state
	for i := range st.Branches {
		for _, name := range slices.Sorted(maps.Keys(st.Branches[i].States)) {
			inner := st.Branches[i].States[name]
			out = append(append(out, inner), w.within(inner)...)
		}
	}
	return out
}
