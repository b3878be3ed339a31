package saga

import (
	"fmt"
	"strings"
)

// Mermaid draws the saga as a Mermaid flowchart, which GitHub renders in
// Markdown: the way forward, the ways back from each step, and the ends. The
// writes of the task's row are left out. It draws a definition that passes
// [Definition.Check].
func (d Definition) Mermaid() string {
	r := &renderer{Definition: d.complete()}
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("flowchart TB")
	line("  begin([begin]) --> %s", stageName(r.Stages[0]))
	pivot := r.pivot()
	for i, st := range r.Stages {
		name, next := stageName(st), "Succeeded"
		if i+1 < len(r.Stages) {
			next = stageName(r.Stages[i+1])
		}
		if len(st.Steps) > 1 {
			line("  subgraph %s", name)
			for _, s := range st.Steps {
				line("    %s", s.Name)
			}
			line("  end")
		} else if i == pivot {
			line("  %s{{%s: point of no return}}", name, name)
		}
		line("  %s --> %s", name, next)
		if i > pivot {
			line("  %s -. fails for good .-> ForwardFailed", name)
			continue
		}
		before, this := r.undo(i-1), r.undo(i)
		if before == this || !anyBusiness(st) {
			line("  %s -. fails .-> %s", name, this)
		} else {
			line("  %s -. refuses .-> %s", name, before)
			line("  %s -. may have been done .-> %s", name, this)
		}
	}
	line("  Succeeded([Succeeded])")
	for i := min(pivot, len(r.Stages)-1); i >= 0; i-- {
		st := r.Stages[i]
		from, to := r.undo(i), r.undo(i-1)
		if from == to {
			continue
		}
		if len(st.Steps) > 1 {
			line("  subgraph %s", from)
			for _, s := range st.Steps {
				if s.Undo.By != "" {
					line("    %s", s.Undo.By)
				}
			}
			line("  end")
		}
		line("  %s --> %s", from, to)
		line("  %s -. fails for good .-> parked[(saga failures queue)]", from)
	}
	line("  Undone{all undone?} -- yes --> Compensated([Compensated])")
	if r.compensates() {
		line("  Undone -- no --> CompensationFailed([CompensationFailed])")
	}
	if pivot+1 < len(r.Stages) {
		line("  ForwardFailed([ForwardFailed])")
	}
	return b.String()
}

func anyBusiness(st Stage) bool {
	for _, s := range st.Steps {
		if len(s.Business) > 0 {
			return true
		}
	}
	return false
}
