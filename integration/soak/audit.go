package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spillway-go/spillway/pkg/client"
)

// letter is a message of the dead-letter queue.
type letter struct {
	taskID string
	code   string
	sent   time.Time
}

// evidence is everything that is known at the end.
type evidence struct {
	entries []entry
	tasks   []*client.Task // in the table
	differ  []string       // what the API says otherwise
	letters []letter
	left    map[string]int // messages on the other queues, by name
	lives   []*life
	kills   []kill
	alien   int // requests to the receiver that are for no task
}

// audit holds the evidence against the plan. Each violation names the task and
// the reason.
func (e *evidence) audit() []string {
	var violations []string
	found := func(format string, args ...any) { violations = append(violations, fmt.Sprintf(format, args...)) }

	byID := map[string]*client.Task{}
	for _, t := range e.tasks {
		if byID[t.ID] != nil {
			found("task %s is in the table twice", t.ID)
		}
		byID[t.ID] = t
	}
	letters := map[string][]letter{}
	for _, m := range e.letters {
		letters[m.taskID] = append(letters[m.taskID], m)
	}
	for i := range e.entries {
		n := &e.entries[i]
		if n.id == "" {
			found("task number %d was not accepted: %v", i, n.err)
			continue
		}
		for _, v := range e.auditTask(n, byID[n.id], letters[n.id]) {
			found("task %s (number %d, %s) %s", n.id, i, n.kind.name, v)
		}
		delete(byID, n.id)
		delete(letters, n.id)
	}
	for id := range byID {
		found("task %s is in the table, but was never handed in", id)
	}
	for id, m := range letters {
		found("a dead letter (%s) is of task %q, which was never handed in", m[0].code, id)
	}
	for queue, n := range e.left {
		if n != 0 {
			found("%d messages are left on the %s queue", n, queue)
		}
	}
	violations = append(violations, e.differ...)
	if e.alien > 0 {
		found("the receiver got %d requests that are for no task", e.alien)
	}
	for i, k := range e.kills {
		if k.processes == 0 || k.lost == 0 {
			found("kill %d, of %d processes, was not in the middle of work", i+1, k.processes)
		}
	}
	for _, l := range e.lives {
		if v := l.grown(); v != "" {
			found("worker process %d %s", l.process.PID, v)
		}
	}
	slices.Sort(violations)
	return violations
}

// auditTask holds what became of one accepted task against its plan. No worker
// died in its hands: then everything is exact. A kill explains one more
// delivery each, of what was delivered but not yet written down.
func (e *evidence) auditTask(n *entry, t *client.Task, letters []letter) []string {
	var violations []string
	found := func(format string, args ...any) { violations = append(violations, fmt.Sprintf(format, args...)) }

	if t == nil {
		return []string{"is not in the table"}
	}
	if t.Status != n.kind.want {
		found("is %s after %d attempts, want %s (error %v)", t.Status, t.Attempts, n.kind.want, t.Error)
	}
	hit := e.hits(n.deliveries)
	planned := n.kind.attempts
	// Of an attempt that a worker died in, nothing is written the first time;
	// the next time it is counted before it begins.
	if low, high := max(planned-hit, 1), min(planned+max(e.survived(t)-1, 0), maxAttempts); t.Attempts < low || t.Attempts > high {
		found("took %d attempts, want %s", t.Attempts, between(low, high))
	}
	if got := len(n.deliveries); got < max(planned-max(hit-1, 0), 1) || got > planned+hit {
		found("was delivered %d times (%s), want %s", got, statuses(n.deliveries), between(planned, planned+hit))
	}
	for _, d := range n.deliveries {
		if d.id != n.id+"-1" {
			found("was delivered under the webhook-id %q", d.id)
		}
	}
	if last := n.kind.answer(planned); !slices.ContainsFunc(n.deliveries, func(d delivery) bool { return d.status == last }) {
		found("was never answered %d", last)
	}
	return append(violations, e.auditLetters(n, letters, hit)...)
}

// auditLetters checks the dead letters of one task.
func (e *evidence) auditLetters(n *entry, letters []letter, hit int) []string {
	if n.kind.want != client.DeadLettered {
		if len(letters) > 0 {
			return []string{fmt.Sprintf("has %d dead letters (%s), want none", len(letters), letters[0].code)}
		}
		return nil
	}
	var violations []string
	// A worker that dies after the letter and before the row sends it again.
	again := 0
	for _, k := range e.kills {
		if slices.ContainsFunc(letters, func(m letter) bool { return k.near(m.sent) }) {
			again++
		}
	}
	if len(letters) < 1 || len(letters) > 1+again {
		violations = append(violations, fmt.Sprintf("has %d dead letters, want %s", len(letters), between(1, 1+again)))
	}
	for _, m := range letters {
		if m.code != poisonCode && (m.code != "worker_lost" || hit < 2) {
			violations = append(violations, fmt.Sprintf("has a dead letter with the reason %q, want %s", m.code, poisonCode))
		}
	}
	return violations
}

// hits counts the kills that may have taken a delivery's outcome with them.
func (e *evidence) hits(deliveries []delivery) int {
	n := 0
	for _, k := range e.kills {
		if slices.ContainsFunc(deliveries, func(d delivery) bool { return k.near(d.at) }) {
			n++
		}
	}
	return n
}

// survived counts the kills during a task's life.
func (e *evidence) survived(t *client.Task) int {
	n := 0
	for _, k := range e.kills {
		if k.end.After(t.CreatedAt) && k.begin.Before(t.FinishedAt) {
			n++
		}
	}
	return n
}

const (
	// warm is how long a process has to live for its memory to be judged.
	warm = 10 * time.Second
	// growth is what a process may gain between the first and the last third
	// of its life, as a factor and in bytes: a heap swings by that much
	// between two collections.
	growth, slack = 1.2, 4 << 20
)

// grown says how the process's memory grew, if it grew too much.
func (l *life) grown() string {
	early, late := l.thirds()
	if early == 0 || float64(late) <= float64(early)*growth+slack {
		return ""
	}
	return fmt.Sprintf("grew from %.1f to %.1f MiB in %s", mib(early), mib(late), l.to.Sub(l.from).Round(time.Second))
}

// thirds returns the most memory in the first and in the last third of a life
// that is long enough to be judged, and zeros otherwise.
func (l *life) thirds() (early, late int64) {
	third := len(l.resident) / 3
	if l.to.Sub(l.from) < warm || third == 0 {
		return 0, 0
	}
	return slices.Max(l.resident[:third]), slices.Max(l.resident[len(l.resident)-third:])
}

func between(low, high int) string {
	if low == high {
		return fmt.Sprint(low)
	}
	return fmt.Sprintf("%d to %d", low, high)
}

func statuses(deliveries []delivery) string {
	var all []string
	for _, d := range deliveries {
		if d.status == 0 {
			all = append(all, "cut")
		} else {
			all = append(all, fmt.Sprint(d.status))
		}
	}
	return strings.Join(all, ", ")
}
