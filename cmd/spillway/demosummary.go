package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spillway-go/spillway/pkg/client"
)

// summary is how a run ended, by GET /tasks and by the receiver.
type summary struct {
	Tasks     int             `json:"tasks"`
	Accepted  int             `json:"accepted"`
	Finished  int             `json:"finished"`
	Complete  bool            `json:"complete"` // not broken off
	ElapsedMS int64           `json:"elapsed_ms"`
	Statuses  []statusSummary `json:"statuses"`
	// Attempts counts finished tasks by how many attempts they took.
	Attempts    []attemptCount  `json:"attempts"`
	DeadLetters []deadLetters   `json:"dead_letters"`
	Receiver    receiverSummary `json:"receiver"`
	// Problems are what should not be: nothing is hidden behind a good count.
	Problems []string `json:"problems"`

	sample     string   // id of a task to look at
	unfinished []string // accepted tasks that have not ended
}

// statusSummary covers the tasks in one state. The times run from submit to
// result and are zero where there are none.
type statusSummary struct {
	Status client.Status `json:"status"`
	Count  int           `json:"count"`
	P50MS  int64         `json:"p50_ms"`
	P99MS  int64         `json:"p99_ms"`
}

type attemptCount struct {
	Attempts int `json:"attempts"`
	Tasks    int `json:"tasks"`
}

// deadLetters are those that wait for the same reason.
type deadLetters struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Count   int    `json:"count"`
	Example string `json:"example"`
}

type receiverSummary struct {
	Requests   int `json:"requests"`
	Delivered  int `json:"delivered"`   // tasks that were taken
	WebhookIDs int `json:"webhook_ids"` // distinct, of what was taken
	Unsigned   int `json:"unsigned"`
}

// summarize looks at a run that has ended, or was broken off.
func summarize(d *demoRun, recv *receiver, complete bool) *summary {
	entries := d.snapshot()
	s := &summary{
		Tasks: len(d.plan), Complete: complete, ElapsedMS: time.Since(d.began).Milliseconds(),
		Statuses: []statusSummary{}, Attempts: []attemptCount{}, DeadLetters: []deadLetters{}, Problems: []string{},
	}
	attempts := map[int]int{}
	for _, e := range entries {
		if e.task == nil {
			continue
		}
		s.Accepted++
		if !e.task.Status.Finished() {
			continue
		}
		s.Finished++
		attempts[e.task.Attempts]++
		if e.task.Status == client.DeadLettered {
			s.addDeadLetter(e.task)
		}
		if s.sample == "" || e.task.Status == client.DeadLettered {
			s.sample = e.task.ID
		}
	}
	for n, tasks := range attempts {
		s.Attempts = append(s.Attempts, attemptCount{n, tasks})
	}
	slices.SortFunc(s.Attempts, func(a, b attemptCount) int { return cmp.Compare(a.Attempts, b.Attempts) })
	slices.SortFunc(s.DeadLetters, func(a, b deadLetters) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Message, b.Message))
	})
	s.countStatuses(entries)
	s.compare(d.plan, entries, recv)
	return s
}

func (s *summary) addDeadLetter(t *client.Task) {
	code, message := "unknown", "the task does not say why"
	if t.Error != nil {
		code, message = t.Error.Code, t.Error.Message
	}
	i := slices.IndexFunc(s.DeadLetters, func(g deadLetters) bool { return g.Code == code && g.Message == message })
	if i < 0 {
		i = len(s.DeadLetters)
		s.DeadLetters = append(s.DeadLetters, deadLetters{Code: code, Message: message, Example: t.ID})
	}
	s.DeadLetters[i].Count++
}

func (s *summary) countStatuses(entries []entry) {
	for _, status := range client.Statuses {
		row := statusSummary{Status: status}
		var times []time.Duration
		for _, e := range entries {
			if e.task == nil || e.task.Status != status {
				continue
			}
			row.Count++
			if !e.task.FinishedAt.IsZero() && !e.task.CreatedAt.IsZero() {
				times = append(times, e.task.FinishedAt.Sub(e.task.CreatedAt))
			}
		}
		if row.Count > 0 {
			slices.Sort(times)
			row.P50MS, row.P99MS = percentile(times, 50).Milliseconds(), percentile(times, 99).Milliseconds()
			s.Statuses = append(s.Statuses, row)
		}
	}
}

// percentile is the nearest-rank one of sorted times.
func percentile(sorted []time.Duration, p int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[max((len(sorted)*p+99)/100, 1)-1]
}

// compare holds the API's account against the plan and the receiver's.
func (s *summary) compare(plan []planItem, entries []entry, recv *receiver) {
	var notAccepted, notListed, otherEnd, notReceived, received, needless []string
	succeeded := 0
	for i, e := range entries {
		k, d := plan[i].kind, recv.of(i)
		if d.taken > 0 {
			s.Receiver.Delivered++
		}
		switch {
		case e.err != nil && s.Complete:
			notAccepted = append(notAccepted, fmt.Sprintf("%s task: %v", k.name, e.err))
			continue
		case e.task == nil:
			continue
		case !e.listed:
			notListed = append(notListed, e.task.ID)
			s.unfinished = append(s.unfinished, e.task.ID+" (not in GET /tasks)")
			continue
		case !e.task.Status.Finished():
			s.unfinished = append(s.unfinished, fmt.Sprintf("%s (%s, %s)", e.task.ID, k.name, e.task.Status))
			continue
		}
		if e.task.Status != k.want {
			otherEnd = append(otherEnd, fmt.Sprintf("%s (%s, %s)", e.task.ID, k.name, e.task.Status))
		}
		switch {
		case e.task.Status == client.Succeeded && d.taken == 0:
			notReceived = append(notReceived, e.task.ID)
		case e.task.Status != client.Succeeded && d.taken > 0:
			received = append(received, e.task.ID)
		case (k.late || k.cancel) && d.requests > 0:
			needless = append(needless, e.task.ID)
		}
		if e.task.Status == client.Succeeded {
			succeeded++
		}
	}
	s.Receiver.Requests, s.Receiver.Unsigned, s.Receiver.WebhookIDs = recv.totals()

	s.problem(notAccepted, "were not accepted or not canceled")
	if s.Complete {
		s.problem(notListed, "were accepted, but are not in GET /tasks")
	}
	s.problem(otherEnd, "ended otherwise than planned")
	s.problem(notReceived, "succeeded by the API, while the receiver took no delivery")
	s.problem(received, "did not succeed by the API, while the receiver took a delivery")
	s.problem(needless, "expired or were canceled before they began, but were sent")
	if s.Receiver.Unsigned > 0 {
		s.Problems = append(s.Problems, fmt.Sprintf("%d deliveries came without signature headers", s.Receiver.Unsigned))
	}
	// Broken off in the middle, the two cannot agree.
	if s.Complete && s.Receiver.WebhookIDs != succeeded {
		s.Problems = append(s.Problems, fmt.Sprintf("%d tasks succeeded by the API, and the receiver took %d distinct webhook-ids", succeeded, s.Receiver.WebhookIDs))
	}
}

// overtime reports that the run was broken off by its time limit.
func (s *summary) overtime(limit time.Duration) {
	if len(s.unfinished) == 0 {
		s.Problems = append(s.Problems, fmt.Sprintf("not all tasks were submitted within %s (--timeout)", limit))
		return
	}
	s.problem(s.unfinished, fmt.Sprintf("did not finish within %s (--timeout)", limit))
}

// problem reports cases, of which it names a few.
func (s *summary) problem(cases []string, what string) {
	const named = 3
	if len(cases) == 0 {
		return
	}
	examples := strings.Join(cases[:min(named, len(cases))], ", ")
	if len(cases) > named {
		examples += ", …"
	}
	s.Problems = append(s.Problems, fmt.Sprintf("tasks that %s: %d (%s)", what, len(cases), examples))
}
