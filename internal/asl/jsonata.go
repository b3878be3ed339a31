package asl

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"strings"
	"time"
)

// undefined is JSONata's value of what there is not.
type undefined struct{}

// scope holds the variables that an expression sees, without the $.
type scope map[string]any

// expression is a parsed JSONata expression.
type expression func(scope) (any, error)

// evaluate resolves every {% expression %} in a value of a machine's text. An
// expression without a value is an error, as in Step Functions.
func evaluate(v any, s scope) (any, error) {
	switch v := v.(type) {
	case expression:
		value, err := v(s)
		if err == nil && value == (undefined{}) {
			err = errors.New("an expression has no value")
		}
		return value, err
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, member := range v {
			value, err := evaluate(member, s)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			out[name] = value
		}
		return out, nil
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			var err error
			if out[i], err = evaluate(item, s); err != nil {
				return nil, err
			}
		}
		return out, nil
	default:
		return v, nil
	}
}

// member is a step of a path.
func member(v any, name string) any {
	if m, ok := v.(map[string]any); ok {
		if value, there := m[name]; there {
			return value
		}
	}
	return undefined{}
}

// truth is what JSONata takes for true.
func truth(v any) bool {
	switch v := v.(type) {
	case bool:
		return v
	case string:
		return v != ""
	case float64:
		return v != 0
	case map[string]any:
		return len(v) > 0
	case []any:
		for _, item := range v {
			if truth(item) {
				return true
			}
		}
	}
	return false
}

// text is what & makes of an operand.
func text(v any) (string, error) {
	switch v := v.(type) {
	case undefined:
		return "", nil
	case string:
		return v, nil
	default:
		b, err := json.Marshal(v)
		return string(b), err
	}
}

// function is one of JSONata's.
type function func(args []any) (any, error)

// functions are those that the renderer uses. Each checks its arguments
// (https://docs.jsonata.org/string-functions).
var functions = map[string]function{
	"exists": func(args []any) (any, error) { return args[0] != (undefined{}), nil },
	"not":    func(args []any) (any, error) { return !truth(args[0]), nil },
	"string": func(args []any) (any, error) {
		if args[0] == (undefined{}) {
			return undefined{}, nil
		}
		return text(args[0])
	},
	"merge": func(args []any) (any, error) {
		out := map[string]any{}
		list, _ := args[0].([]any)
		for _, item := range list {
			m, ok := item.(map[string]any)
			if !ok {
				return nil, fmt.Errorf("$merge of a %T", item)
			}
			maps.Copy(out, m)
		}
		return out, nil
	},
	"join": func(args []any) (any, error) {
		list, _ := args[0].([]any)
		all := make([]string, len(list))
		for i, item := range list {
			s, ok := item.(string)
			if !ok {
				return nil, fmt.Errorf("$join of a %T", item)
			}
			all[i] = s
		}
		separator, _ := args[1].(string)
		return strings.Join(all, separator), nil
	},
	"length":   ofText(func(s string, _ []any) any { return float64(len([]rune(s))) }),
	"contains": ofText(func(s string, args []any) any { return strings.Contains(s, argument(args, 0)) }),
	"substringBefore": ofText(func(s string, args []any) any {
		before, _, _ := strings.Cut(s, argument(args, 0))
		return before
	}),
	"substringAfter": ofText(func(s string, args []any) any {
		if _, after, found := strings.Cut(s, argument(args, 0)); found {
			return after
		}
		return s
	}),
	"substring": ofText(substring),
	"replace": ofText(func(s string, args []any) any {
		pattern, ok := args[0].(*regexp.Regexp)
		if !ok {
			return strings.ReplaceAll(s, argument(args, 0), argument(args, 1))
		}
		return pattern.ReplaceAllLiteralString(s, argument(args, 1))
	}),
	"toMillis": func(args []any) (any, error) {
		stamp, _ := args[0].(string)
		at, err := time.Parse(time.RFC3339Nano, stamp)
		return float64(at.UnixMilli()), err
	},
}

// ofText makes a function whose first argument is a text; without one it has no
// value.
func ofText(f func(s string, args []any) any) function {
	return func(args []any) (any, error) {
		switch s := args[0].(type) {
		case undefined:
			return undefined{}, nil
		case string:
			return f(s, args[1:]), nil
		default:
			return nil, fmt.Errorf("a text is wanted, not a %T", s)
		}
	}
}

func argument(args []any, i int) string {
	if i >= len(args) {
		return ""
	}
	s, _ := args[i].(string)
	return s
}

func substring(s string, args []any) any {
	runes := []rune(s)
	number := func(i, otherwise int) int {
		if i >= len(args) {
			return otherwise
		}
		n, _ := args[i].(float64)
		return int(n)
	}
	start := number(0, 0)
	if start < 0 {
		start = max(0, len(runes)+start)
	}
	start = min(start, len(runes))
	end := min(len(runes), start+max(0, number(1, len(runes))))
	return string(runes[start:end])
}

// minimum is how many arguments a function needs.
var minimum = map[string]int{"join": 2, "contains": 2, "substringBefore": 2, "substringAfter": 2, "substring": 2, "replace": 3}
