package proof

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
)

// unknown is a value that the walk does not compute.
type unknown int32

// What variables hold. Literals have the numbers after these.
const (
	absent int32 = iota - 1 // of expressions: there is no value, which no variable can hold
	unassigned
	anything  // assigned, but not known
	rowIsOpen // whether the row that was read is still to be ended
	rowIsPast // whether the row that was read is marked as past the pivot
	asItIs    // of a status variable: what the action is, compared and then forgotten
	firstLiteral
)

// jsonataOf returns the expression in a {% %} string.
func jsonataOf(v any) (string, bool) {
	s, ok := v.(string)
	if !ok || !strings.HasPrefix(s, "{%") || !strings.HasSuffix(s, "%}") {
		return "", false
	}
	return strings.TrimSpace(s[2 : len(s)-2]), true
}

var (
	variable = regexp.MustCompile(`^\$([A-Za-z_]\w*)$`)
	equation = regexp.MustCompile(`^(\$[\w.\[\]]+)\s+(!?=)\s+(true|false|'[^'\\]*')$`)
	// ternary has simple parts only, but for the last, which may be another one.
	ternary = regexp.MustCompile(`^(\$[\w.\[\]]+\s+!?=\s+'[^'\\]*')\s+\?\s+((?:\$[\w.\[\]]+|'[^'\\]*')(?:\s+!?=\s+'[^'\\]*')?)\s+:\s+(.*)$`)
	lookup  = regexp.MustCompile(`^\$states\.(input|result)(?:\[(\d+)\])?(?:\.(\w+))?$`)
	quoted  = regexp.MustCompile(`^'([^'\\]*)'$`)
)

func literal(s string) (any, bool) {
	switch {
	case s == "true", s == "false":
		return s == "true", true
	case quoted.MatchString(s):
		return s[1 : len(s)-1], true
	}
	if n, err := strconv.ParseFloat(s, 64); err == nil {
		return n, true
	}
	return nil, false
}

// eval computes a template of Assign or Output as far as it is literal.
func (w *walker) eval(v any, st *state, c *config, result any) any {
	switch v := v.(type) {
	case string:
		if !st.jsonata {
			return v
		}
		if e, ok := jsonataOf(v); ok {
			return w.expression(e, st, c, result)
		}
		return v
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			if name, path := strings.CutSuffix(k, ".$"); path && !st.jsonata {
				out[name] = unknown(anything)
				continue
			}
			out[k] = w.eval(e, st, c, result)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = w.eval(e, st, c, result)
		}
		return out
	}
	return v
}

func (w *walker) expression(e string, st *state, c *config, result any) any {
	if !strings.HasPrefix(e, "$") || strings.ContainsAny(e, "{&") || strings.Contains(e, "$states.result.Item") {
		if l, ok := literal(e); ok {
			return l
		}
		return ofRow(e, st)
	}
	if m := variable.FindStringSubmatch(e); m != nil && m[1] != "states" {
		return w.valueOf(c.vars[w.variable(m[1])])
	}
	if m := ternary.FindStringSubmatch(e); m != nil {
		rest := m[3]
		if strings.HasPrefix(rest, "(") && strings.HasSuffix(rest, ")") {
			rest = strings.TrimSpace(rest[1 : len(rest)-1])
		}
		if is, ok := w.expression(m[1], st, c, result).(bool); !ok {
			return unknown(anything)
		} else if is {
			return w.expression(m[2], st, c, result)
		}
		return w.expression(rest, st, c, result)
	}
	if m := equation.FindStringSubmatch(e); m != nil {
		want, ok := literal(m[3])
		if got := w.expression(m[1], st, c, result); ok && known(got) {
			return (got == want) == (m[2] == "=")
		}
		return unknown(anything)
	}
	if m := lookup.FindStringSubmatch(e); m != nil {
		from := w.data[c.input]
		if m[1] == "result" {
			from = result
		}
		if m[2] != "" {
			list, _ := from.([]any)
			i, _ := strconv.Atoi(m[2])
			if i >= len(list) {
				if list != nil {
					return unknown(absent)
				}
				return unknown(anything)
			}
			from = list[i]
		}
		if m[3] != "" {
			object, _ := from.(map[string]any)
			value, ok := object[m[3]]
			if !ok && object != nil && object[moreFields] == nil {
				return unknown(absent)
			}
			from = value
		}
		if from == nil {
			return unknown(anything)
		}
		return from
	}
	return unknown(anything)
}

// ofRow recognizes what a recovery reads from the task's row.
func ofRow(e string, st *state) any {
	if st.task.kind == read {
		if strings.Contains(e, ".mark") && strings.Contains(e, "$run") {
			return unknown(rowIsPast)
		}
		if strings.Contains(e, ".status") && strings.Contains(e, "$run") && (strings.Contains(e, "'queued'") && strings.Contains(e, "'running'") ||
			strings.HasPrefix(e, "$not(") && strings.Contains(e, "'succeeded'")) {
			return unknown(rowIsOpen)
		}
	}
	return unknown(anything)
}

func known(v any) bool {
	switch v.(type) {
	case string, bool, float64:
		return true
	}
	return false
}

// valueOf is what a variable's number stands for, numberOf the reverse.
func (w *walker) valueOf(n int32) any {
	if n >= firstLiteral {
		return w.literals[n-firstLiteral]
	}
	return unknown(max(n, anything))
}

func (w *walker) numberOf(v any) int32 {
	switch v := v.(type) {
	case unknown:
		return int32(v)
	case string, bool, float64:
		n, ok := w.literalIDs[v]
		if !ok {
			n = firstLiteral + int32(len(w.literals)) //nolint:gosec // as many as the machine's text has
			w.literals = append(w.literals, v)
			w.literalIDs[v] = n
		}
		return n
	}
	return anything
}

// keep numbers a state's output, so that configurations compare quickly.
func (w *walker) keep(v any) int32 {
	if _, none := v.(unknown); none || v == nil {
		return 0
	}
	b, err := json.Marshal(flat(v))
	if err != nil {
		return 0
	}
	id, ok := w.dataIDs[string(b)]
	if !ok {
		id = int32(len(w.data)) //nolint:gosec // as many as the machine has outputs
		w.data = append(w.data, v)
		w.dataIDs[string(b)] = id
	}
	return id
}

// flat writes what is unknown as something that no literal is.
func flat(v any) any {
	switch v := v.(type) {
	case unknown:
		return []any{"unknown", int(v)}
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = flat(e)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = flat(e)
		}
		return out
	}
	return v
}

func (w *walker) variable(name string) int {
	id, ok := w.varIDs[name]
	if !ok {
		id = len(w.vars)
		w.varIDs[name] = id
		w.vars = append(w.vars, name)
	}
	return id
}
