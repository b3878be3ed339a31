package proof

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
)

var params = regexp.MustCompile(`function\s*\(([^)]*)\)`)

// readsOf collects the variables that a template's expressions read.
func (w *walker) readsOf(v any, into map[string]bool) {
	switch v := v.(type) {
	case string:
		if e, ok := jsonataOf(v); ok {
			list, ok := w.reads[e]
			if !ok {
				list = readsOfExpression(e)
				w.reads[e] = list
			}
			for _, name := range list {
				into[name] = true
			}
		}
	case map[string]any:
		for _, e := range v {
			w.readsOf(e, into)
		}
	case []any:
		for _, e := range v {
			w.readsOf(e, into)
		}
	}
}

// readsOfExpression are the variables of one expression, without functions and
// without those that it binds itself.
func readsOfExpression(e string) []string {
	own := []string{"states"}
	if strings.Contains(e, "function") {
		for _, m := range params.FindAllStringSubmatch(e, -1) {
			for p := range strings.SplitSeq(m[1], ",") {
				own = append(own, strings.TrimPrefix(strings.TrimSpace(p), "$"))
			}
		}
	}
	var list []string
	for {
		_, after, ok := strings.Cut(e, "$")
		if !ok {
			break
		}
		name := word(after)
		e = after[len(name):]
		rest := strings.TrimLeft(e, " \t\n")
		switch {
		case name == "" || strings.HasPrefix(rest, "("):
		case strings.HasPrefix(rest, ":="):
			own = append(own, name)
		default:
			list = append(list, name)
		}
	}
	return slices.DeleteFunc(list, func(name string) bool { return slices.Contains(own, name) })
}

// word is the name at the beginning of s.
func word(s string) string {
	for i, r := range s {
		if r != '_' && !unicode.IsLetter(r) && (i == 0 || !unicode.IsDigit(r)) {
			return s[:i]
		}
	}
	return s
}

// inputsOf collects the fields of the input that a template's expressions read.
func inputsOf(v any, into []string) []string {
	switch v := v.(type) {
	case string:
		for e := v; ; {
			_, after, ok := strings.Cut(e, "$states.input.")
			if !ok {
				break
			}
			into = append(into, word(after))
			e = after
		}
	case map[string]any:
		for _, e := range v {
			into = inputsOf(e, into)
		}
	case []any:
		for _, e := range v {
			into = inputsOf(e, into)
		}
	}
	return into
}
