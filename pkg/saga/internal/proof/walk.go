package proof

import (
	"fmt"
	"slices"
)

// Step is one action that the machine is claimed to run, see saga.Claim.
type Step struct {
	Action       string
	Compensation string
	Stage        int
	Pivot        bool
	Forward      bool
	Business     []string
}

// Defect is one broken promise, see saga.Defect.
type Defect struct {
	Kind, State string
	Path        []string
	Detail      string
}

// moreFields marks an input of which not all fields are known.
const moreFields = "..."

// maxConfigs bounds a walk: more than any saga that a person could review.
const maxConfigs = 5_000_000

// walker runs a machine on paper.
type walker struct {
	machine machine
	steps   []Step
	states  []*state
	byName  map[string]*state

	vars   []string
	varIDs map[string]int
	isVar  []int // by step: its status variable, or -1
	// By variable: whether it is the status of an action or a compensation's.
	statusVar, parkedVar []bool
	parkVar              map[string]int // by the name of a step or compensation

	literals   []any
	literalIDs map[any]int32
	data       []any
	dataIDs    map[string]int32
	reads      map[string][]string // by expression

	recovering bool
	path       []string
	configs    int
	brief      bool
	found      map[[2]string]Defect
	order      [][2]string

	edges map[string]bool // of [Behavior]: what follows what
}

// Prove returns the defects of a machine, none if it keeps its claims.
func Prove(text []byte, steps []Step) []Defect {
	w := prove(text, steps, mode{})
	out := make([]Defect, len(w.order))
	for i, k := range w.order {
		out[i] = w.found[k]
	}
	return out
}

// Holds is whether [Prove] would find nothing. It stops at the first defect.
func Holds(text []byte, steps []Step) bool {
	return len(prove(text, steps, mode{brief: true}).order) == 0
}

// mode is what a walk is for.
type mode struct {
	brief  bool // stop at the first defect
	record bool // what follows what, for [Behavior]
}

func prove(text []byte, steps []Step, m mode) *walker {
	w := &walker{
		steps: steps, varIDs: map[string]int{}, literalIDs: map[any]int32{}, data: []any{nil}, dataIDs: map[string]int32{}, reads: map[string][]string{},
		found: map[[2]string]Defect{},
	}
	w.brief = m.brief
	if m.record {
		w.edges = map[string]bool{}
	}
	if !w.parse(text) || !w.checkSteps() {
		return w
	}
	w.classify()
	w.prepare()
	if !w.checkStates() || w.stopped() {
		return w // edges lead nowhere: there is nothing to walk
	}
	for _, w.recovering = range []bool{false, true} {
		w.run()
	}
	w.checkReached()
	return w
}

// prepare finds the variables and which of them Choices ahead of a state read.
func (w *walker) prepare() {
	for _, st := range w.states {
		st.live = map[int]bool{}
		use := map[string]bool{}
		if st.jsonata {
			for _, v := range []any{st.Arguments, st.Error, st.Cause} {
				w.readsOf(v, use)
			}
			st.inputs = inputsOf(st.Arguments, nil)
			for _, r := range st.Choices {
				read := map[string]bool{}
				w.readsOf(r.Condition, read)
				for name := range read {
					st.live[w.variable(name)] = true
					use[name] = true
				}
			}
			for _, assign := range w.assigns(st) {
				for name := range assign {
					w.variable(name)
				}
			}
		}
		for name := range use {
			w.variable(name)
			st.uses = append(st.uses, name)
		}
		slices.Sort(st.uses)
	}
	for changed := true; changed; {
		changed = false
		for _, st := range w.states {
			next := []*state{}
			for _, e := range st.edges() {
				next = append(next, w.byName[e.to])
			}
			for i := range st.Branches {
				for _, inner := range st.Branches[i].States {
					next = append(next, inner)
				}
			}
			for _, n := range next {
				if n == nil {
					continue
				}
				for v := range n.live {
					if !st.live[v] {
						st.live[v], changed = true, true
					}
				}
			}
		}
	}
	w.parkVar = map[string]int{}
	for i := range w.steps {
		s := &w.steps[i]
		w.isVar = append(w.isVar, w.existing(s.Action+"_is"))
		for _, name := range []string{s.Action, s.Compensation} {
			if v := w.existing(name + "_parked"); name != "" && v >= 0 {
				w.parkVar[name] = v
			}
		}
	}
	w.statusVar, w.parkedVar = make([]bool, len(w.vars)), make([]bool, len(w.vars))
	for _, v := range w.isVar {
		if v >= 0 {
			w.statusVar[v] = true
		}
	}
	for _, v := range w.parkVar {
		w.parkedVar[v] = true
	}
}

func (w *walker) assigns(st *state) []map[string]any {
	all := []map[string]any{st.Assign}
	for _, r := range st.Choices {
		all = append(all, r.Assign)
	}
	for _, c := range st.Catch {
		all = append(all, c.Assign)
	}
	return all
}

func (w *walker) existing(name string) int {
	if id, ok := w.varIDs[name]; ok {
		return id
	}
	return -1
}

// run walks one scenario: a fresh execution, or one that recovers.
func (w *walker) run() {
	c := &config{vars: make([]int32, len(w.vars)+8), acts: make([]act, len(w.steps))}
	c.vars = c.vars[:len(w.vars)]
	if w.recovering {
		c.failure = true
		for i := range c.acts {
			c.acts[i].is = mayBe
		}
	}
	// Absent and false are the same to `$states.input.recover = true`.
	c.input = w.keep(map[string]any{"recover": w.recovering, moreFields: true})
	w.path = w.path[:0]
	w.explore(c, w.machine.StartAt, &frame{seen: map[string]seen{}}, "")
}

func (w *walker) stopped() bool { return w.brief && len(w.order) > 0 }

// frame is one level of a machine: the whole, or a branch.
type frame struct {
	seen   map[string]seen
	branch bool
	ends   map[string]*config // of a branch
}

type seen byte

const (
	onPath seen = iota + 1
	walked
)

// explore follows every path from a state on. via is the latest Task with its
// outcome.
func (w *walker) explore(c *config, to string, f *frame, via string) {
	if w.stopped() {
		return
	}
	st := w.byName[to]
	c.at = st
	depth := len(w.path)
	w.path = append(w.path, w.label(st))
	defer func() { w.path = w.path[:depth] }()

	visible := st.Type == "Task" || st.Type == "Parallel"
	compared := false
	if !f.branch {
		if visible {
			compared = w.checkVariables(c)
		}
		w.forget(c, compared)
	}
	key := c.key()
	if w.edges != nil && (visible || st.Type == "Fail" || st.Type == "Succeed") {
		w.edges[fmt.Sprintf("%t %s -> %s", w.recovering, via, c.describe())] = true
	}
	switch f.seen[key] {
	case onPath:
		w.defect("unbounded", st, "the path comes back here with nothing changed, and goes round for ever")
		return
	case walked:
		if visible || w.edges == nil {
			return
		}
	}
	if w.configs++; w.configs > maxConfigs {
		w.defect("unbounded", st, "there are more than %d configurations: this is too much to prove", maxConfigs)
		return
	}
	f.seen[key] = onPath
	defer func() { f.seen[key] = walked }()

	if !w.checkUses(c, st.uses) || !w.checkInput(c) {
		return
	}
	switch st.Type {
	case "Pass", "Wait":
		n := c.clone()
		if w.assign(n, st, st.Assign, nil) {
			n.input = w.output(c, st, st.Output, w.data[c.input])
			w.leave(n, f, via)
		}
	case "Choice":
		w.choose(c, f, via)
	case "Task":
		w.task(c, f)
	case "Parallel":
		w.parallel(c, f)
	case "Succeed":
		w.finish(c, f)
	case "Fail":
		if !f.branch { // in a branch it is one more way to be cut off
			w.checkFail(c)
		}
	default:
		w.defect("unknown state", st, "a state of the type %q: what it does is not known, use Task, Pass, Choice, Parallel, Succeed and Fail", st.Type)
	}
}

func (w *walker) label(st *state) string {
	if len(w.path) == 0 && w.recovering {
		return "recovering: " + st.name
	}
	return st.name
}

// leave goes on to Next, or ends.
func (w *walker) leave(c *config, f *frame, via string) {
	if c.at.End || c.at.Next == "" {
		w.finish(c, f)
		return
	}
	w.explore(c, c.at.Next, f, via)
}

// finish ends a branch, or the execution with success.
func (w *walker) finish(c *config, f *frame) {
	if f.branch {
		f.ends[c.key()] = c
		return
	}
	w.checkSuccess(c)
}

// assign evaluates all values before it sets any, as Step Functions does.
func (w *walker) assign(c *config, st *state, values map[string]any, result any) bool {
	if st.jsonata {
		use := map[string]bool{}
		w.readsOf(values, use)
		list := make([]string, 0, len(use))
		for name := range use {
			list = append(list, name)
		}
		slices.Sort(list)
		if !w.checkUses(c, list) {
			return false
		}
	}
	set := make(map[int]int32, len(values))
	for name, v := range values {
		value := w.eval(v, st, c, result)
		if value == unknown(absent) {
			w.defect("missing input", st, "$%s is assigned a value that the state before does not pass on: the expression fails", name)
			return false
		}
		set[w.variable(name)] = w.numberOf(value)
	}
	for id, v := range set {
		c.vars[id] = v
	}
	return true
}

// output is what a state passes on: its Output, computed like Assign with the
// variables as they were before, or otherwise what it got.
func (w *walker) output(before *config, st *state, template, otherwise any) int32 {
	if !st.jsonata {
		return 0
	}
	if template == nil {
		return w.keep(otherwise)
	}
	use := map[string]bool{}
	w.readsOf(template, use)
	for name := range use {
		if before.vars[w.variable(name)] == unassigned {
			w.checkUses(before, []string{name})
		}
	}
	return w.keep(w.eval(template, st, before, otherwise))
}

func (w *walker) choose(c *config, f *frame, via string) {
	st := c.at
	rest := c
	for i := range st.Choices {
		r := st.Choices[i]
		is, subject := w.condition(r, rest)
		if is == no {
			continue
		}
		taken := rest.clone()
		w.decide(taken, subject, true)
		if w.assign(taken, st, r.Assign, nil) {
			taken.input = w.output(rest, st, r.Output, w.data[rest.input])
			w.mark("rule %d", i+1)
			w.explore(taken, r.Next, f, via)
		}
		if is == yes {
			return
		}
		rest = rest.clone()
		w.decide(rest, subject, false)
	}
	if st.Default == "" {
		w.defect("dead end", st, "no rule matches and there is no Default: the execution fails here, past every Catch")
		w.checkLeft(c, st)
		return
	}
	w.mark("default")
	rest = rest.clone()
	if w.assign(rest, st, st.Assign, nil) {
		rest.input = w.output(c, st, st.Output, w.data[c.input])
		w.explore(rest, st.Default, f, via)
	}
}

// decide is a condition on an unknown variable taken one way: it stays so, and
// says what the row said.
func (w *walker) decide(c *config, subject int, is bool) {
	if subject < 0 {
		return
	}
	switch c.vars[subject] {
	case rowIsOpen:
		c.open = truthOf(is)
	case rowIsPast:
		c.past = truthOf(is)
		for i, s := range w.steps {
			switch {
			case is && !s.Forward:
				c.acts[i].is = done // the mark is written only then
			case !is && s.Forward:
				c.acts[i].is = pending
			}
		}
		if is {
			c.failure = false
		}
	case anything:
	default:
		return
	}
	c.vars[subject] = w.numberOf(is)
}

// mark says in the path how the latest state ended.
func (w *walker) mark(format string, args ...any) {
	i := len(w.path) - 1
	name, _, _ := cutLabel(w.path[i])
	w.path[i] = name + " (" + fmt.Sprintf(format, args...) + ")"
}
