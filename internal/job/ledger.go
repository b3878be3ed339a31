package job

import (
	"context"
	"maps"
	"strings"

	"github.com/spillway-go/spillway/internal/id"
)

// Outcome is what became of one item in a job.
type Outcome string

// The outcomes.
const (
	// Intended is written before anything is done. What became of the item is
	// unknown until a later entry says so.
	Intended Outcome = ""
	// Replayed was handed over again, with success.
	Replayed Outcome = "replayed"
	// Dropped was taken off without being handed over, for good.
	Dropped Outcome = "dropped"
	// Skipped stays where it is, for the reason given.
	Skipped Outcome = "skipped"
	// Failed could not be handed over, and stays where it is.
	Failed Outcome = "failed"
	// Quarantined was set aside and can be restored.
	Quarantined Outcome = "quarantined"
	// Restored went back from quarantine to where it was.
	Restored Outcome = "restored"
	// Resolved was dealt with by an operator.
	Resolved Outcome = "resolved"
)

// Settled reports whether the item is dealt with: its source may forget it, and
// the job does not try it again.
func (o Outcome) Settled() bool {
	switch o {
	case Replayed, Dropped, Quarantined, Restored, Resolved:
		return true
	default:
		return false
	}
}

// Entry is what a ledger says of one item. It is stored as JSON.
type Entry interface {
	// Key names the item. The ledger holds one entry for each key.
	Key() string
	// Result is what became of the item.
	Result() Result
}

// Result is what became of an item, as [Counts] count it.
type Result struct {
	Outcome     Outcome
	Reason      string
	AtLeastOnce bool // nothing guards the item against being replayed twice
}

// Counts are what became of a job's items so far.
type Counts struct {
	Matched     int            `json:"matched"`
	Replayed    int            `json:"replayed"`
	Skipped     int            `json:"skipped"` // not replayed, for a reason; Dropped ones among them
	Dropped     int            `json:"dropped"` // taken off for good without being replayed
	Failed      int            `json:"failed"`  // they are where they were
	Quarantined int            `json:"quarantined,omitempty"`
	Restored    int            `json:"restored,omitempty"`
	Resolved    int            `json:"resolved,omitempty"`
	AtLeastOnce int            `json:"at_least_once"` // replayed, with nothing to guard them
	Reasons     map[string]int `json:"reasons,omitempty"`
}

// count adds n of a result, which may be -1.
func (c *Counts) count(r Result, n int) {
	c.Matched += n
	switch r.Outcome {
	case Replayed:
		c.Replayed += n
		if r.AtLeastOnce {
			c.AtLeastOnce += n
		}
	case Dropped:
		c.Skipped += n
		c.Dropped += n
	case Skipped:
		c.Skipped += n
	case Quarantined:
		c.Quarantined += n
	case Restored:
		c.Restored += n
	case Resolved:
		c.Resolved += n
	case Failed, Intended:
		c.Failed += n
	}
	if r.Reason == "" {
		return
	}
	if c.Reasons == nil {
		c.Reasons = map[string]int{}
	}
	if c.Reasons[r.Reason] += n; c.Reasons[r.Reason] == 0 {
		delete(c.Reasons, r.Reason)
	}
}

// used is how much of a job's limit is used up.
func (c *Counts) used() int { return c.Replayed + c.Quarantined + c.Restored }

// Clone returns a copy that shares nothing with c.
func (c *Counts) Clone() Counts {
	d := *c
	d.Reasons = maps.Clone(c.Reasons)
	return d
}

// The two halves of a step in the ledger. One is written before anything is
// done, the other when it is known what was done; neither is ever changed.
const (
	intentSuffix  = "#1"
	outcomeSuffix = "#2"
)

// intend writes down what is about to be done, and returns the name of the step.
func (e *Engine[R, S, E]) intend(ctx context.Context, jobID string, entries []E) (step string, err error) {
	step = id.New()
	return step, e.control.append(ctx, jobPartition(jobID), ledgerPrefix+step+intentSuffix, entries, e.expires(), nil)
}

// conclude writes down what was done.
func (e *Engine[R, S, E]) conclude(ctx context.Context, jobID, step string, entries []E) error {
	return e.control.append(ctx, jobPartition(jobID), ledgerPrefix+step+outcomeSuffix, entries, e.expires(), nil)
}

// Ledger reads what a job has done so far: the last outcome of each item, in the
// order in which they were first concluded. What was only intended is left out.
func (e *Engine[R, S, E]) Ledger(ctx context.Context, jobID string) ([]E, error) {
	l, err := e.ledger(ctx, jobID, false)
	return l.entries, err
}

func (e *Engine[R, S, E]) ledger(ctx context.Context, jobID string, settled bool) (*ledger[E], error) {
	all := newLedger[E]()
	err := e.control.walk(ctx, jobPartition(jobID), ledgerPrefix, false, 0, func(it item) (bool, error) {
		if !strings.HasSuffix(text(it, attrSort), outcomeSuffix) {
			return true, nil
		}
		var entries []E
		if err := decode(it, &entries); err != nil {
			return false, err
		}
		all.put(entries...)
		return true, nil
	})
	if !settled || err != nil {
		return all, err
	}
	kept := newLedger[E]()
	for _, entry := range all.entries {
		if entry.Result().Outcome.Settled() {
			kept.put(entry)
		}
	}
	return kept, nil
}

// ledger is a ledger in memory.
type ledger[E Entry] struct {
	entries []E
	index   map[string]int
	counts  Counts
}

func newLedger[E Entry]() *ledger[E] { return &ledger[E]{index: map[string]int{}} }

// put adds entries. One about a known item replaces the earlier one, unless that
// is settled.
func (l *ledger[E]) put(entries ...E) {
	for _, entry := range entries {
		i, known := l.index[entry.Key()]
		switch {
		case !known:
			l.index[entry.Key()] = len(l.entries)
			l.entries = append(l.entries, entry)
		case l.entries[i].Result().Outcome.Settled():
			continue
		default:
			l.counts.count(l.entries[i].Result(), -1)
			l.entries[i] = entry
		}
		l.counts.count(entry.Result(), 1)
	}
}

// of returns what is known about an item.
func (l *ledger[E]) of(key string) (entry E, known bool) {
	i, known := l.index[key]
	if known {
		entry = l.entries[i]
	}
	return entry, known
}
