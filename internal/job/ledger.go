package redrive

import (
	"context"
	"strings"
	"time"

	"github.com/spillway-go/spillway/pkg/tasktable"
)

// Outcome is what became of one message in a job.
type Outcome string

// The outcomes.
const (
	// Intended is written before anything is done; what became of it is unknown
	// until a later entry says so.
	Intended Outcome = ""
	// Replayed was sent to its queue, and SQS has confirmed it.
	Replayed Outcome = "replayed"
	// Dropped was taken off the dead-letter queue without being sent, because its
	// task has ended in a way that no replay changes.
	Dropped Outcome = "dropped"
	// Skipped stays in the dead-letter queue, for the reason given.
	Skipped Outcome = "skipped"
	// Failed could not be sent, and stays where it was.
	Failed Outcome = "failed"
	// Quarantined was set aside and can be restored.
	Quarantined Outcome = "quarantined"
	// Restored went back from quarantine to the dead-letter queue.
	Restored Outcome = "restored"
	// Resolved was dealt with by hand.
	Resolved Outcome = "resolved"
)

// settled reports whether the message is dealt with, so that its letter can go.
func (o Outcome) settled() bool {
	return o == Replayed || o == Dropped || o == Quarantined || o == Restored || o == Resolved
}

// Entry is what a job's ledger says of one message, or of one task.
type Entry struct {
	MessageID   string  `json:"message_id,omitempty"`
	TaskID      string  `json:"task_id,omitempty"`
	Run         int     `json:"run,omitempty"` // that it was sent for
	Fingerprint string  `json:"fingerprint,omitempty"`
	To          string  `json:"to,omitempty"` // name of the queue
	NoRow       bool    `json:"no_row,omitempty"`
	Outcome     Outcome `json:"outcome,omitempty"`
	Reason      string  `json:"reason,omitempty"`
}

// key names what an entry is about.
func (e *Entry) key() string {
	if e.MessageID != "" {
		return e.MessageID
	}
	return e.TaskID
}

// The two halves of a step in the ledger. One is written before anything is
// done, the other when it is known what was done; neither is ever changed.
const (
	intentSuffix  = "#1"
	outcomeSuffix = "#2"
)

// intend writes down what is about to be done, and returns the name of the step.
func (r *Redrive) intend(ctx context.Context, j *job, entries []Entry) (step string, err error) {
	step = tasktable.NewID()
	return step, r.control.append(ctx, jobPartition(j.id), ledgerPrefix+step+intentSuffix, entries, time.Now().Add(r.opts.AuditRetention), nil)
}

// conclude writes down what was done.
func (r *Redrive) conclude(ctx context.Context, j *job, step string, entries []Entry) error {
	return r.control.append(ctx, jobPartition(j.id), ledgerPrefix+step+outcomeSuffix, entries, time.Now().Add(r.opts.AuditRetention), nil)
}

// ledger reads what has been done so far: the last outcome of each message, in
// the order in which they were first concluded. What was only intended is left
// out.
func (r *Redrive) ledger(ctx context.Context, j *job) (*record, error) {
	rec := newRecord()
	err := r.control.walk(ctx, jobPartition(j.id), ledgerPrefix, false, 0, func(it item) (bool, error) {
		if !strings.HasSuffix(text(it, attrSort), outcomeSuffix) {
			return true, nil
		}
		var entries []Entry
		if err := decode(it, &entries); err != nil {
			return false, err
		}
		for _, e := range entries {
			rec.put(e)
		}
		return true, nil
	})
	return rec, err
}

// record is a ledger in memory.
type record struct {
	entries []Entry
	index   map[string]int
	tasks   map[string]int // the same by task; of two letters, the last
	counts  Counts
}

func newRecord() *record { return &record{index: map[string]int{}, tasks: map[string]int{}} }

// put adds an entry, or replaces an earlier one about the same message, unless
// that is settled.
func (rec *record) put(e Entry) {
	i, known := rec.index[e.key()]
	switch {
	case !known:
		rec.index[e.key()] = len(rec.entries)
		if e.TaskID != "" {
			rec.tasks[e.TaskID] = len(rec.entries)
		}
		rec.entries = append(rec.entries, e)
	case rec.entries[i].Outcome.settled():
		return
	default:
		rec.counts.count(rec.entries[i], -1)
		rec.entries[i] = e
	}
	rec.counts.count(e, 1)
}

// of returns what is known about a message.
func (rec *record) of(key string) (Entry, bool) {
	i, known := rec.index[key]
	if !known {
		return Entry{}, false
	}
	return rec.entries[i], true
}

// dealtWith reports whether something is known about what a plan names so.
func (rec *record) dealtWith(key string) bool {
	index := rec.index
	if id, _, isTask := taskOf(key); isTask {
		key, index = id, rec.tasks
	}
	_, known := index[key]
	return known
}

// settled returns the part of a ledger that a later run need not look at again.
func (rec *record) settled() *record {
	kept := newRecord()
	for _, e := range rec.entries {
		if e.Outcome.settled() {
			kept.put(e)
		}
	}
	return kept
}
