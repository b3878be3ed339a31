package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/spillway-go/spillway/internal/localaws"
	"github.com/spillway-go/spillway/pkg/client"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// perfect is the evidence of a run in which everything went as planned. Its
// tasks are one of each kind, in the order of kinds.
func perfect() *evidence {
	e := &evidence{left: map[string]int{"tasks": 0, "backlog": 0}}
	for i := range kinds {
		k := &kinds[i]
		n := entry{kind: k, id: fmt.Sprintf("id-%d", i)}
		for a := range k.attempts {
			n.deliveries = append(n.deliveries, delivery{id: n.id + "-1", at: noon.Add(time.Duration(a) * time.Second), status: k.answer(a + 1)})
		}
		e.entries = append(e.entries, n)
		e.tasks = append(e.tasks, &client.Task{ID: n.id, Status: k.want, Attempts: k.attempts, CreatedAt: noon, FinishedAt: noon.Add(10 * time.Second)})
		if k.want == client.DeadLettered {
			e.letters = append(e.letters, letter{taskID: n.id, code: poisonCode, sent: noon.Add(9 * time.Second)})
		}
	}
	return e
}

// Positions in perfect.
const (
	good     = 0
	failsTwo = 2
	refused  = 4
	poison   = 5
)

func TestAudit(t *testing.T) {
	t.Parallel()
	dieAt := func(e *evidence, at time.Duration) {
		e.kills = append(e.kills, kill{begin: noon.Add(at), end: noon.Add(at), processes: 5, lost: 4})
	}
	again := func(e *evidence, i int, after time.Duration, status int) {
		n := &e.entries[i]
		n.deliveries = append(n.deliveries, delivery{id: n.id + "-1", at: noon.Add(after), status: status})
	}
	tests := []struct {
		name   string
		change func(*evidence)
		want   string // a part of the only violation; none when empty
	}{
		{"as planned", func(*evidence) {}, ""},
		{"not accepted", func(e *evidence) { e.entries[good].id = ""; e.tasks = e.tasks[1:] }, "number 0 was not accepted"},
		{"lost row", func(e *evidence) { e.tasks = e.tasks[1:] }, "id-0 (number 0, good) is not in the table"},
		{"not ended", func(e *evidence) { e.tasks[good].Status = client.Running }, "is running after 1 attempts, want succeeded"},
		{"failed for good", func(e *evidence) { e.tasks[refused].Status = client.Succeeded }, "is succeeded after 1 attempts, want failed"},
		{"unknown task", func(e *evidence) { e.tasks = append(e.tasks, &client.Task{ID: "x"}) }, "task x is in the table, but was never handed in"},
		{"row twice", func(e *evidence) { e.tasks = append(e.tasks, e.tasks[good]) }, "id-0 is in the table twice"},
		{"never delivered", func(e *evidence) { e.entries[failsTwo].deliveries[2].status = 503 }, "was never answered 204"},
		{"under another id", func(e *evidence) { e.entries[good].deliveries[0].id = "id-1-1" }, `under the webhook-id "id-1-1"`},
		{"delivered twice", func(e *evidence) { again(e, good, time.Second, 204) }, "was delivered 2 times (204, 204), want 1"},
		{"delivered twice, a worker died", func(e *evidence) { dieAt(e, time.Second); again(e, good, 20*time.Second, 204) }, ""},
		{"delivered twice, a worker died long after", func(e *evidence) { dieAt(e, time.Minute); again(e, good, time.Second, 204) }, "was delivered 2 times"},
		{"delivered three times, one worker died", func(e *evidence) {
			dieAt(e, time.Second)
			again(e, good, 20*time.Second, 204)
			again(e, good, 21*time.Second, 204)
		}, "was delivered 3 times (204, 204, 204), want 1 to 2"},
		{"too many attempts", func(e *evidence) { e.tasks[good].Attempts = 2 }, "took 2 attempts, want 1"},
		{"too few attempts", func(e *evidence) { e.tasks[failsTwo].Attempts = 2 }, "took 2 attempts, want 3"},
		{"one attempt not written", func(e *evidence) { dieAt(e, time.Second); e.tasks[failsTwo].Attempts = 2 }, ""},
		{"poison without letter", func(e *evidence) { e.letters = nil }, "(number 5, poison) has 0 dead letters, want 1"},
		{"poison with two", func(e *evidence) { e.letters = append(e.letters, e.letters[0]) }, "has 2 dead letters, want 1"},
		{"poison with two, a worker died", func(e *evidence) { dieAt(e, 10*time.Second); e.letters = append(e.letters, e.letters[0]) }, ""},
		{"another reason", func(e *evidence) { e.letters[0].code = "hops_exhausted" }, `the reason "hops_exhausted", want http_500`},
		{"worker lost without a kill", func(e *evidence) { e.letters[0].code = "worker_lost" }, `the reason "worker_lost"`},
		{"letter of a good task", func(e *evidence) { e.letters = append(e.letters, letter{taskID: "id-0", code: "x"}) }, "has 1 dead letters (x), want none"},
		{"letter of a stranger", func(e *evidence) { e.letters = append(e.letters, letter{taskID: "", code: "foreign_message"}) }, "a dead letter (foreign_message)"},
		{"message left", func(e *evidence) { e.left["tasks"] = 3 }, "3 messages are left on the tasks queue"},
		{"stray request", func(e *evidence) { e.alien = 1 }, "1 requests that are for no task"},
		{"idle workers killed", func(e *evidence) { e.kills = []kill{{begin: noon, end: noon, processes: 5}} }, "kill 1, of 5 processes, was not in the middle"},
		{"API differs", func(e *evidence) { e.differ = []string{"task x is queued"} }, "task x is queued"},
		{"memory grows", func(e *evidence) { e.lives = []*life{grownBy(30 << 20)} }, "worker process 7 grew from 10.0 to 40.0 MiB in 30s"},
		{"memory swings", func(e *evidence) { e.lives = []*life{grownBy(3 << 20)} }, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := perfect()
			tt.change(e)
			got := e.audit()
			switch {
			case tt.want == "" && len(got) > 0:
				t.Errorf("violations %q, want none", got)
			case tt.want != "" && (len(got) != 1 || !strings.Contains(got[0], tt.want)):
				t.Errorf("violations %q, want one with %q", got, tt.want)
			}
		})
	}
}

// grownBy is a process whose memory grew steadily from 10 MiB in half a minute.
func grownBy(bytes int64) *life {
	l := &life{process: localaws.Process{PID: 7}, from: noon, to: noon.Add(30 * time.Second)}
	for i := range int64(31) {
		// Its first third ends with what it began with.
		l.resident = append(l.resident, 10<<20+bytes*max(i-10, 0)/20)
	}
	return l
}

// A process that began just now says nothing about memory.
func TestYoungProcessIsNotJudged(t *testing.T) {
	t.Parallel()
	l := grownBy(100 << 20)
	l.to = l.from.Add(warm - time.Second)
	if got := l.grown(); got != "" {
		t.Error(got)
	}
}

func TestPercentile(t *testing.T) {
	t.Parallel()
	var times []time.Duration
	for i := range 200 {
		times = append(times, time.Duration(i+1))
	}
	for p, want := range map[int]time.Duration{50: 100, 99: 198, 100: 200} {
		if got := percentile(times, p); got != want {
			t.Errorf("p%d = %d, want %d", p, got, want)
		}
	}
	if got := percentile(nil, 99); got != 0 {
		t.Errorf("of nothing: %d", got)
	}
}
