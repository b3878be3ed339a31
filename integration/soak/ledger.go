package main

import (
	"sync"
	"time"

	"github.com/spillway-go/spillway/pkg/client"
)

// entry is what is known of one task.
type entry struct {
	kind       *kind
	id         string // empty until it is accepted
	byHTTP     bool
	err        error // why it was not accepted
	deliveries []delivery
	ended      client.Status // by the table, while the load runs; empty before
}

// delivery is one request that the receiver got for a task.
type delivery struct {
	id     string    // webhook-id: task and run
	at     time.Time // when it arrived
	status int       // the answer; 0 when the worker was gone before
}

// ledger collects what happens to the tasks, in the order of the plan. It is
// safe for concurrent use.
type ledger struct {
	mu      sync.Mutex
	entries []entry
	pending []int // accepted and not known to have ended, in the order of acceptance

	accepted, ended int
}

func newLedger(p []*kind) *ledger {
	l := &ledger{entries: make([]entry, len(p))}
	for i, k := range p {
		l.entries[i].kind = k
	}
	return l
}

// accept notes what became of the submission of task i.
func (l *ledger) accept(i int, id string, byHTTP bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := &l.entries[i]
	e.id, e.byHTTP, e.err = id, byHTTP, err
	if err != nil {
		return
	}
	l.accepted++
	l.pending = append(l.pending, i)
}

// deliver notes a delivery and returns its number.
func (l *ledger) deliver(i int, d delivery) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := &l.entries[i]
	e.deliveries = append(e.deliveries, d)
	return len(e.deliveries) - 1
}

// answer chooses the answer to a delivery and notes it.
func (l *ledger) answer(i, number int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := &l.entries[i]
	n := 1
	for _, d := range e.deliveries {
		if d.status != 0 {
			n++
		}
	}
	e.deliveries[number].status = e.kind.answer(n)
	return e.deliveries[number].status
}

// oldest returns up to n of the pending tasks, by id.
func (l *ledger) oldest(n int) map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	ids := map[string]int{}
	for _, i := range l.pending[:min(n, len(l.pending))] {
		ids[l.entries[i].id] = i
	}
	return ids
}

// end notes how tasks ended.
func (l *ledger) end(statuses map[int]client.Status) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, s := range statuses {
		l.entries[i].ended = s
	}
	l.ended += len(statuses)
	left := l.pending[:0]
	for _, i := range l.pending {
		if l.entries[i].ended == "" {
			left = append(left, i)
		}
	}
	l.pending = left
}

// counts returns how many tasks were accepted, and how many have ended.
func (l *ledger) counts() (accepted, ended int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.accepted, l.ended
}
