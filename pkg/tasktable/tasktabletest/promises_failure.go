package tasktabletest

import (
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
)

// planned is a run that a plan asked for.
type planned struct {
	plan string
	run  int
}

// maxHistory is how many attempts a row keeps.
const maxHistory = 10

// lastAttempt is the latest attempt in a row's history; 0 if there is none.
func lastAttempt(r *tasktable.Row) int {
	if n := len(r.History); n > 0 {
		return r.History[n-1].Attempt
	}
	return 0
}

// failing checks what every row says of failures and plans. History.mu must be
// held.
func (h *History) failing(b *biography, row *tasktable.Row) {
	failed := row.Status == task.Failed || row.Status == task.DeadLettered
	if row.Fingerprint != "" && !failed || row.Report != nil && !failed && row.Status != task.Canceled {
		h.broken(b, FailuresListed, "it is %s, listed as %q, and reports %q", row.Status, row.Fingerprint, row.Report)
	}
	if row.PlanID != "" && !b.planned[planned{row.PlanID, row.Run}] {
		h.broken(b, PlanNamed, "it names the plan %q, which did not ask for run %d", row.PlanID, row.Run)
	}
	for i, a := range row.History {
		if a.Attempt < 1 || i > 0 && a.Attempt <= row.History[i-1].Attempt {
			h.broken(b, AttemptsTold, "its history is %v", row.History)
		}
	}
	if n := len(row.History); n > maxHistory || lastAttempt(row) > row.Attempts {
		h.broken(b, AttemptsTold, "%d attempts are counted, and its history is %v", row.Attempts, row.History)
	}
}

// rerun checks a row that is in a newer run than one before it: with every
// write, the very write that made it so. History.mu must be held.
func (h *History) rerun(b *biography, row *tasktable.Row) {
	if h.opts.EveryWrite && len(row.History) > 0 {
		h.broken(b, AttemptsTold, "run %d begins with the history %v", row.Run, row.History)
	}
	if row.PlanID == "" {
		return
	}
	key := planned{row.PlanID, row.Run}
	if b.replayed[key] {
		h.broken(b, OncePerPlan, "the plan %q began run %d a second time", row.PlanID, row.Run)
	}
	b.replayed[key] = true
}

// attemptTold checks the history that the write which ends a claim leaves.
// History.mu must be held.
func (h *History) attemptTold(b *biography, before, row *tasktable.Row) {
	want := lastAttempt(before)
	if b.claim.begun && !b.claim.goesOn(row) && (row.Status == task.Queued || row.Status == task.Failed || row.Status == task.DeadLettered) {
		want = row.Attempts
	}
	if got := lastAttempt(row); got != want {
		h.broken(b, AttemptsTold, "attempt %d was settled, and the history ends with %d: %v", want, got, row.History)
	}
}
