package proof

import (
	"regexp"
	"slices"
	"strings"
)

// truth is what a condition comes to.
type truth byte

const (
	either truth = iota
	yes
	no
)

func truthOf(b bool) truth {
	if b {
		return yes
	}
	return no
}

var (
	compare = regexp.MustCompile(`^\$([A-Za-z_]\w*)\s*(!?=)\s*(\S+)$`)
	within  = regexp.MustCompile(`^\$([A-Za-z_]\w*)\s+in\s+\[([^\]]*)\]$`)
)

// condition evaluates a Choice rule: comparisons of variables with literals,
// joined by and, or. Everything else is either. subject is the variable of a
// condition that is that variable alone, or -1.
func (w *walker) condition(r rule, c *config) (result truth, subject int) {
	if b, ok := r.Condition.(bool); ok {
		return truthOf(b), -1
	}
	e, ok := jsonataOf(r.Condition)
	if !ok || strings.ContainsAny(e, "()") {
		return either, -1
	}
	result = no
	for either := range strings.SplitSeq(e, " or ") {
		all := yes
		for term := range strings.SplitSeq(either, " and ") {
			all = and(all, w.term(strings.TrimSpace(term), c))
		}
		result = or(result, all)
	}
	if m := variable.FindStringSubmatch(e); m != nil {
		return result, w.variable(m[1])
	}
	return result, -1
}

func and(a, b truth) truth {
	switch {
	case a == no || b == no:
		return no
	case a == yes && b == yes:
		return yes
	}
	return either
}

func or(a, b truth) truth {
	switch {
	case a == yes || b == yes:
		return yes
	case a == no && b == no:
		return no
	}
	return either
}

func (w *walker) term(t string, c *config) truth {
	if l, ok := literal(t); ok {
		return truthOf(l == true)
	}
	if m := variable.FindStringSubmatch(t); m != nil {
		if v := w.valueOf(c.vars[w.variable(m[1])]); known(v) {
			return truthOf(v == true)
		}
	}
	if m := compare.FindStringSubmatch(t); m != nil {
		want, ok := literal(m[3])
		if v := w.valueOf(c.vars[w.variable(m[1])]); ok && known(v) {
			return truthOf((v == want) == (m[2] == "="))
		}
	}
	if m := within.FindStringSubmatch(t); m != nil {
		v := w.valueOf(c.vars[w.variable(m[1])])
		if !known(v) {
			return either
		}
		return truthOf(slices.ContainsFunc(strings.Split(m[2], ","), func(s string) bool {
			l, ok := literal(strings.TrimSpace(s))
			return ok && l == v
		}))
	}
	return either
}
