package aslmutate

import (
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"
)

// Mutants are all mutants of a machine, each with a name that says what was
// changed, such as "BookHotel.Catch[1].Next = Undone". The order and the names are
// the same for the same machine. It panics on what is no machine.
func Mutants(machine []byte) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		var root map[string]any
		if err := json.Unmarshal(machine, &root); err != nil {
			panic(err)
		}
		m := &mutator{root: root, yield: yield, states: object(root["States"])}
		m.value("TimeoutSeconds", root, "TimeoutSeconds", float64(600))
		m.level("", root)
	}
}

// mutator changes the decoded machine in place, one thing at a time, and puts it
// back.
type mutator struct {
	root  map[string]any
	yield func(string, []byte) bool
	over  bool

	states        map[string]any // of the top level
	within        string
	before, after []byte
}

// try yields the machine as change leaves it, and undoes that.
func (m *mutator) try(name string, change func() (restore func())) {
	if m.over {
		return
	}
	restore := change()
	text := m.text()
	restore()
	m.over = !m.yield(name, text)
}

// text is the machine as it is now. Where only one state has changed, those
// around it are encoded once: most of the time would go there.
func (m *mutator) text() []byte {
	if m.within == "" {
		return encode(m.root)
	}
	return slices.Concat(m.before, encode(m.states[m.within]), m.after)
}

// enter says that what follows changes one state of the top level, until leave.
func (m *mutator) enter(name string) {
	others := maps.Clone(m.states)
	delete(others, name)
	m.within = name
	around := maps.Clone(m.root)
	delete(around, "States")
	m.before = slices.Concat([]byte(`{"States":{`), encode(name), []byte(":"))
	m.after = slices.Concat(fields(others), []byte("}"), fields(around), []byte("}"))
}

// fields is an object's text from its first field on, with a comma before it.
func fields(o map[string]any) []byte {
	if len(o) == 0 {
		return nil
	}
	text := encode(o)
	text[0] = ','
	return text[:len(text)-1]
}

func (m *mutator) leave() { m.within = "" }

func encode(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return text
}

// value sets one field, drop removes it.
func (m *mutator) value(name string, in map[string]any, field string, to any) {
	old, had := in[field]
	if had && old == nil {
		return
	}
	m.try(fmt.Sprintf("%s = %v", name, to), func() func() {
		in[field] = to
		return func() { putBack(in, field, old, had) }
	})
}

func (m *mutator) drop(name string, in map[string]any, field string) {
	old, had := in[field]
	if !had {
		return
	}
	m.try(name+" dropped", func() func() {
		delete(in, field)
		return func() { putBack(in, field, old, had) }
	})
}

func putBack(in map[string]any, field string, old any, had bool) {
	if had {
		in[field] = old
	} else {
		delete(in, field)
	}
}

// list drops each element, and swaps neighbors. Of a list in an object, because
// its length changes.
func (m *mutator) list(name string, in map[string]any, field string, swap bool) {
	old, _ := in[field].([]any)
	for i := range old {
		m.try(fmt.Sprintf("%s[%d] dropped", name, i), func() func() {
			in[field] = slices.Delete(slices.Clone(old), i, i+1)
			return func() { in[field] = old }
		})
		if swap && i > 0 {
			m.try(fmt.Sprintf("%s[%d] and [%d] swapped", name, i-1, i), func() func() {
				swapped := slices.Clone(old)
				swapped[i-1], swapped[i] = swapped[i], swapped[i-1]
				in[field] = swapped
				return func() { in[field] = old }
			})
		}
	}
}

// level are the states of a machine or a branch.
func (m *mutator) level(where string, level map[string]any) {
	states := object(level["States"])
	all := slices.Sorted(maps.Keys(states))
	m.retarget(where+"StartAt", level, "StartAt", all)
	for _, name := range all {
		st := object(states[name])
		m.bypass(name, st, level)
		if where == "" {
			m.enter(name)
		}
		m.state(name, st, all)
		for i, b := range elements(st["Branches"]) {
			m.level(fmt.Sprintf("%s.Branches[%d].", name, i), b)
		}
		if where == "" {
			m.leave()
		}
	}
}

// retarget leads an edge to every other state of its level.
func (m *mutator) retarget(name string, in map[string]any, field string, all []string) {
	for _, to := range all {
		if to != in[field] {
			m.value(name, in, field, to)
		}
	}
}

// bypass leads every edge to a state on to what comes after it.
func (m *mutator) bypass(name string, st, level map[string]any) {
	next, ok := st["Next"].(string)
	if !ok {
		return
	}
	m.try(name+" bypassed", func() func() {
		var restore []func()
		lead := func(in map[string]any, field string) {
			if in[field] == name {
				in[field] = next
				restore = append(restore, func() { in[field] = name })
			}
		}
		lead(level, "StartAt")
		for _, s := range object(level["States"]) {
			other := object(s)
			lead(other, "Next")
			lead(other, "Default")
			for _, list := range []string{"Choices", "Catch"} {
				for _, e := range elements(other[list]) {
					lead(e, "Next")
				}
			}
		}
		return func() {
			for _, r := range restore {
				r()
			}
		}
	})
}

func object(v any) map[string]any {
	o, _ := v.(map[string]any)
	return o
}

func elements(v any) []map[string]any {
	list, _ := v.([]any)
	out := make([]map[string]any, len(list))
	for i, e := range list {
		out[i] = object(e)
	}
	return out
}
