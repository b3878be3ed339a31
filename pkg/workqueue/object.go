package workqueue

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/spillway-go/spillway/pkg/task"
)

// bodyFields are the members of a body that this version reads.
var bodyFields = []string{
	"v", "task_id", "run", "type", "tenant", "created_at", "replayed_at", "deadline", "input", "input_ref",
}

// object holds the raw values of some members of a JSON object.
type object map[string]json.RawMessage

// members returns the wanted members of the object in raw, which must be valid
// JSON. Unlike encoding/json it tells names of different case apart and refuses
// a wanted name that occurs twice: two readers could take different values.
// The values alias raw.
func members(raw []byte, wanted []string) (object, error) {
	fields := make(object, len(wanted))
	ok, err := eachMember(raw, func(name string, start, end int) error {
		if !slices.Contains(wanted, name) {
			return nil
		}
		if _, twice := fields[name]; twice {
			return foreign("%s occurs twice", name)
		}
		fields[name] = raw[start:end:end]
		return nil
	})
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, foreign("the body is not a JSON object")
	}
	return fields, nil
}

// into decodes the member name into v; the error is a [*ForeignError].
func (o object) into(name string, v any) error {
	raw, ok := o[name]
	if !ok {
		return foreign("%s is missing", name)
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return foreign("%s has the wrong type or form", name)
	}
	return nil
}

// intoOptional is into for a member that may be missing or null.
func (o object) intoOptional(name string, v any) error {
	if raw, ok := o[name]; !ok || string(raw) == "null" {
		return nil
	}
	return o.into(name, v)
}

// replaceRun returns the object in text with run as its member "run" and every
// other byte as it was, so that members added by a newer release survive. It
// reports false if text is not an object with exactly one such member.
func replaceRun(text string, run int) (string, bool) {
	raw := []byte(text)
	if !json.Valid(raw) {
		return "", false
	}
	from, to, found := 0, 0, 0
	ok, err := eachMember(raw, func(name string, start, end int) error {
		if name == "run" {
			from, to = start, end
			found++
		}
		return nil
	})
	if !ok || err != nil || found != 1 {
		return "", false
	}
	return text[:from] + strconv.Itoa(run) + text[to:], true
}

// eachMember calls fn with the name and the bounds of the value of each member
// of the object in raw, which must be valid JSON: structure is then all in
// quotes, brackets and commas. It reports false if raw is not an object.
func eachMember(raw []byte, fn func(name string, start, end int) error) (bool, error) {
	i := skipSpace(raw, 0)
	if i >= len(raw) || raw[i] != '{' {
		return false, nil
	}
	i = skipSpace(raw, i+1)
	for i < len(raw) && raw[i] == '"' {
		end := skipString(raw, i)
		name, err := memberName(raw[i:end])
		if err != nil {
			return false, err
		}
		start := skipSpace(raw, skipSpace(raw, end)+1) // beyond the colon
		end = skipValue(raw, start)
		if err := fn(name, start, end); err != nil {
			return false, err
		}
		i = skipSpace(raw, end)
		if i < len(raw) && raw[i] == ',' {
			i = skipSpace(raw, i+1)
		}
	}
	return true, nil
}

func memberName(quoted []byte) (string, error) {
	if !slices.Contains(quoted, '\\') {
		return string(quoted[1 : len(quoted)-1]), nil
	}
	var name string
	if err := json.Unmarshal(quoted, &name); err != nil {
		return "", foreign("a member's name is malformed")
	}
	return name, nil
}

func skipSpace(raw []byte, i int) int {
	for i < len(raw) && (raw[i] == ' ' || raw[i] == '\t' || raw[i] == '\n' || raw[i] == '\r') {
		i++
	}
	return i
}

// skipString returns the index after the string that begins at i.
func skipString(raw []byte, i int) int {
	for i++; i < len(raw); i++ {
		switch raw[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(raw)
}

// skipValue returns the index after the value that begins at i.
func skipValue(raw []byte, i int) int {
	depth := 0
	for i < len(raw) {
		switch raw[i] {
		case '"':
			i = skipString(raw, i)
		case '{', '[':
			depth++
			i++
		case '}', ']':
			depth--
			i++
		default: // a number, a literal, or what stands between values
			i++
			if depth == 0 {
				for i < len(raw) && !endsScalar(raw[i]) {
					i++
				}
			}
		}
		if depth == 0 {
			return i
		}
	}
	return len(raw)
}

func endsScalar(c byte) bool {
	switch c {
	case ',', '}', ']', ' ', '\t', '\n', '\r':
		return true
	default:
		return false
	}
}

func foreign(format string, args ...any) error {
	return &ForeignError{Reason: task.CleanText(fmt.Sprintf(format, args...), 200)}
}
