package task_test

import (
	"cmp"
	"slices"
	"strings"
	"testing"

	"github.com/spillway-go/spillway/pkg/task"
)

// The state diagram of docs, row by row: from a state to every other.
func TestCanBecome(t *testing.T) {
	t.Parallel()
	legal := map[task.Status]string{
		task.Queued:       "running canceled expired",
		task.Running:      "running queued succeeded failed canceled expired dead_lettered",
		task.Succeeded:    "",
		task.Failed:       "queued",
		task.Canceled:     "",
		task.Expired:      "",
		task.DeadLettered: "queued canceled",
	}
	if len(legal) != len(task.Statuses) {
		t.Fatalf("%d states, the test knows %d", len(task.Statuses), len(legal))
	}
	for _, from := range task.Statuses {
		for _, to := range task.Statuses {
			if got, want := from.CanBecome(to), slices.Contains(strings.Fields(legal[from]), string(to)); got != want {
				t.Errorf("%s can become %s: %t, want %t", from, to, got, want)
			}
		}
	}
}

// In order, each once, and one of them is enough for CanBecome.
func TestTransitions(t *testing.T) {
	t.Parallel()
	all := slices.Collect(task.Transitions())
	order := func(a, b task.Transition) int {
		return cmp.Or(
			slices.Index(task.Statuses, a.From)-slices.Index(task.Statuses, b.From),
			slices.Index(task.Statuses, a.To)-slices.Index(task.Statuses, b.To),
		)
	}
	for i, tr := range all {
		if !tr.From.Known() || !tr.To.Known() || tr.Cause == "" || !tr.From.CanBecome(tr.To) {
			t.Errorf("%+v is not a change that CanBecome allows", tr)
		}
		if slices.Contains(all[:i], tr) {
			t.Errorf("%+v is there twice", tr)
		}
	}
	if !slices.IsSortedFunc(all, order) {
		t.Errorf("not in the order of the states: %+v", all)
	}
}

func TestStatus(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		status                 task.Status
		known, finished, final bool
	}{
		{task.Queued, true, false, false},
		{task.Running, true, false, false},
		{task.Succeeded, true, true, true},
		{task.Failed, true, true, false},
		{task.Canceled, true, true, true},
		{task.Expired, true, true, true},
		{task.DeadLettered, true, true, false},
		{"", false, false, false},
		{"Succeeded", false, false, false},
		{"lost", false, false, false},
	} {
		if got := tt.status.Known(); got != tt.known {
			t.Errorf("%q is known: %t", tt.status, got)
		}
		if got := tt.status.Finished(); got != tt.finished {
			t.Errorf("%q is finished: %t", tt.status, got)
		}
		if got := tt.status.Final(); got != tt.final {
			t.Errorf("%q is final: %t", tt.status, got)
		}
	}
}

// What is final is finished, and nothing leads to a state that nothing knows.
func TestStatusesAgree(t *testing.T) {
	t.Parallel()
	for _, from := range task.Statuses {
		if from.Final() && !from.Finished() {
			t.Errorf("%s is final and not finished", from)
		}
		for _, unknown := range []task.Status{"", "lost"} {
			if from.CanBecome(unknown) || unknown.CanBecome(from) {
				t.Errorf("%s goes to or comes from %q", from, unknown)
			}
		}
		if from.Final() {
			continue
		}
		if !slices.ContainsFunc(task.Statuses, from.CanBecome) {
			t.Errorf("nothing leads out of %s, which is not final", from)
		}
	}
	for _, p := range []task.Priority{task.Normal, task.Bulk} {
		if !p.Known() {
			t.Errorf("priority %q is not known", p)
		}
	}
	if task.Priority("").Known() || task.Priority("high").Known() {
		t.Error("a priority that there is not is known")
	}
}
