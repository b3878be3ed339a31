package proof

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Behavior is all that a machine can be seen to do: which Task or end follows
// which outcome, after what, and how often which error is retried. Machines that
// are both proven and of equal behavior differ in nothing that a saga promises.
func Behavior(text []byte, steps []Step) string {
	w := prove(text, steps, mode{record: true})
	for _, st := range w.states {
		if st.Type != "Task" {
			continue
		}
		for _, e := range append(w.errorsOf(st), transient...) {
			if r := st.firstRetrier(e); r != nil {
				w.edges[fmt.Sprintf("%s %s: %g", st.name, e, r.attempts())] = true
			}
		}
	}
	return strings.Join(slices.Sorted(maps.Keys(w.edges)), "\n")
}
