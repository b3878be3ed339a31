package route_test

import (
	"maps"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/spillway-go/spillway/internal/route"
	"github.com/spillway-go/spillway/pkg/task"
)

// queue is a queue by its name in SQS.
type queue string

func (q queue) Name() string { return string(q) }

type set = route.Set[queue]

const (
	minute = time.Minute
	after  = 5 * minute
	often  = 3
)

var (
	rules = route.Rules{BacklogAfter: after, BacklogFailures: often}
	pair  = set{route.Tasks: "stack-tasks", route.Backlog: "stack-backlog"}
)

// TestChoose holds every decision that intake, worker and redrive took by rules
// of their own before there was a router.
func TestChoose(t *testing.T) {
	t.Parallel()
	const tasks, backlog = route.Tasks, route.Backlog
	alone := set{"orders": "orders.fifo"}
	for name, tt := range map[string]struct {
		set  set
		task route.Task
		want route.Role
	}{
		"intake, normal":           {pair, route.Task{Priority: task.Normal}, tasks},
		"intake, bulk":             {pair, route.Task{Priority: task.Bulk}, backlog},
		"intake, no priority":      {pair, route.Task{}, tasks},
		"intake, unknown priority": {pair, route.Task{Priority: "urgent"}, tasks},

		"triage, fresh":               {pair, route.Task{In: tasks, Age: minute}, tasks},
		"triage, from the future":     {pair, route.Task{In: tasks, Age: -minute}, tasks},
		"triage, at the bound":        {pair, route.Task{In: tasks, Age: after}, tasks},
		"triage, aged":                {pair, route.Task{In: tasks, Age: after + 1}, backlog},
		"triage, bulk among tasks":    {pair, route.Task{In: tasks, Priority: task.Bulk}, tasks},
		"triage, fresh in backlog":    {pair, route.Task{In: backlog}, backlog},
		"triage, aged in backlog":     {pair, route.Task{In: backlog, Age: 24 * time.Hour}, backlog},
		"triage, a queue of neither":  {pair, route.Task{In: pair.Source("elsewhere"), Age: minute}, backlog},
		"triage, a role of neither":   {pair, route.Task{In: "elsewhere", Age: minute}, backlog},
		"triage, without a backlog":   {set{tasks: "t"}, route.Task{In: tasks, Age: 24 * time.Hour}, tasks},
		"triage, neither, no backlog": {set{tasks: "t"}, route.Task{In: "elsewhere"}, tasks},

		"settle, first failure":       {pair, route.Task{In: tasks, Failures: 1}, tasks},
		"settle, below the bound":     {pair, route.Task{In: tasks, Failures: often - 1}, tasks},
		"settle, at the bound":        {pair, route.Task{In: tasks, Failures: often}, backlog},
		"settle, released with none":  {pair, route.Task{In: tasks, Failures: -1}, tasks},
		"settle, in backlog":          {pair, route.Task{In: backlog, Failures: 9}, backlog},
		"settle, bulk among tasks":    {pair, route.Task{In: tasks, Priority: task.Bulk, Failures: 1}, tasks},
		"settle, a queue of neither":  {pair, route.Task{In: pair.Source(""), Failures: 1}, backlog},
		"retry, normal":               {pair, route.Task{Priority: task.Normal}, tasks},
		"retry, bulk":                 {pair, route.Task{Priority: task.Bulk}, backlog},
		"retry, bulk, one origin":     {alone, route.Task{Priority: task.Bulk}, "orders"},
		"retry, normal, one origin":   {alone, route.Task{Priority: task.Normal}, "orders"},
		"retry, only a backlog":       {set{backlog: "b"}, route.Task{Priority: task.Normal}, backlog},
		"retry, a default by another": {set{"orders": "o", backlog: "b"}, route.Task{Priority: task.Normal}, "orders"},
	} {
		if got := route.Choose(tt.set, rules, tt.task); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

// Rules that are not set move nothing.
func TestNoRules(t *testing.T) {
	t.Parallel()
	if got := route.Choose(pair, route.Rules{}, route.Task{In: route.Tasks, Age: 99 * time.Hour, Failures: 99}); got != route.Tasks {
		t.Errorf("moved to %s", got)
	}
}

func TestSet(t *testing.T) {
	t.Parallel()
	s := set{"tasks-2": "lane2", route.Backlog: "slow", "a": "first", route.Tasks: "main", "tasks-1": "lane1"}
	if diff := cmp.Diff([]route.Role{route.Tasks, "a", "tasks-1", "tasks-2", route.Backlog}, s.Roles()); diff != "" {
		t.Errorf("roles (-want +got):\n%s", diff)
	}
	for name, want := range map[string]route.Role{"main": route.Tasks, "lane2": "tasks-2", "slow": route.Backlog, "other": route.Backlog, "": route.Backlog} {
		if got := s.Source(name); got != want {
			t.Errorf("source %q: %s, want %s", name, got, want)
		}
	}
	if q, ok := s.Named("lane1"); !ok || q != "lane1" {
		t.Errorf("found %q, %v", q, ok)
	}
	if q, ok := s.Named("other"); ok {
		t.Errorf("found %q", q)
	}
	// One queue with two roles is the default: its messages may move.
	if got := (set{route.Tasks: "q", route.Backlog: "q"}).Source("q"); got != route.Tasks {
		t.Errorf("source %s", got)
	}
	if got := (set{}).Source("q"); got != "" {
		t.Errorf("source %q of an empty set", got)
	}
	if got := route.Choose(set{}, rules, route.Task{Priority: task.Bulk}); got != "" {
		t.Errorf("chose %q of an empty set", got)
	}
}

// The decision is total, stays in the set, depends on nothing but its input, and
// never moves a message out of the backlog.
func TestChooseProperties(t *testing.T) {
	t.Parallel()
	names := []route.Role{route.Tasks, route.Backlog, "tasks-1", "tasks-2", "orders", "elsewhere"}
	rapid.Check(t, func(t *rapid.T) {
		s := set{}
		for _, r := range rapid.SliceOfNDistinct(rapid.SampledFrom(names), 1, len(names), rapid.ID).Draw(t, "set") {
			s[r] = queue(r)
		}
		rules := route.Rules{
			BacklogAfter:    time.Duration(rapid.Int64().Draw(t, "after")),
			BacklogFailures: rapid.Int().Draw(t, "often"),
		}
		in := route.Task{
			Priority: task.Priority(rapid.SampledFrom([]string{"", "normal", "bulk", "urgent"}).Draw(t, "priority")),
			Tenant:   rapid.String().Draw(t, "tenant"),
			Age:      time.Duration(rapid.Int64().Draw(t, "age")),
			Failures: rapid.Int().Draw(t, "failures"),
			In:       rapid.SampledFrom(append(names, "")).Draw(t, "in"),
		}
		before := maps.Clone(s)
		got := route.Choose(s, rules, in)
		if _, ok := s[got]; !ok {
			t.Fatalf("%q is not in %v", got, s.Roles())
		}
		if again := route.Choose(s, rules, in); again != got {
			t.Fatalf("%s, then %s", got, again)
		}
		if !maps.Equal(before, s) {
			t.Fatal("the set has changed")
		}
		_, backlog := s[route.Backlog]
		if in.In == route.Backlog && backlog && got != route.Backlog {
			t.Fatalf("moved from the backlog to %s", got)
		}
		if _, inside := s[in.In]; inside && got != in.In && got != route.Backlog {
			t.Fatalf("moved from %s to %s", in.In, got)
		}
		// Where it went, it stays: no message goes back and forth.
		in.In = got
		if next := route.Choose(s, rules, in); next != got && next != route.Backlog {
			t.Fatalf("moved on from %s to %s", got, next)
		}
	})
}
