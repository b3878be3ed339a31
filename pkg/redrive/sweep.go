package redrive

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/spillway-go/spillway/internal/job"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

// sweep goes through a dead-letter queue once. What it has received stays
// hidden until somebody deletes it or the sweep is closed, so that it is not
// received again; a process that dies leaves it to its visibility timeout.
// next is for one goroutine.
type sweep struct {
	letters Inbox
	hide    time.Duration
	seen    map[string]struct{} // message ids
	unseen  int                 // held by others until the end

	repeats  int           // receives in a row of nothing but what was seen before
	idle     time.Time     // since when there is nothing to receive
	patience time.Duration // how long to wait for letters that somebody else holds

	mu      sync.Mutex
	holding int      // received, and neither deleted nor given back
	held    []string // receipts to give back at the end, bounded
}

const (
	// maxHeld bounds the receipts that a sweep remembers; what is beyond comes
	// back by its visibility timeout.
	maxHeld = 20_000
	// receiveWait is how long a receive waits when there may be nothing.
	receiveWait = time.Second
	// hideSlack keeps letters hidden a little longer than whoever holds them can
	// live.
	hideSlack = 2 * time.Second
	// maxRepeats ends a sweep that goes round: its letters become visible faster
	// than the rest of the queue is received.
	maxRepeats = 20
	// peekPatience is how long a look waits for letters that somebody else holds.
	peekPatience = 3 * time.Second
)

// sweepOf begins a sweep for as long as ctx lasts.
func (r *Redrive) sweepOf(ctx context.Context, letters Inbox) *sweep {
	s := &sweep{letters: letters, hide: r.opts.Hide, patience: peekPatience, seen: map[string]struct{}{}}
	if end, ok := ctx.Deadline(); ok {
		s.hide = min(max(time.Until(end), 0)+hideSlack, workqueue.MaxVisibility)
	}
	return s
}

// next returns some letters, each for the first time in this sweep, or none
// for the moment; end says that there are no more.
func (s *sweep) next(ctx context.Context) (letters []*Letter, end bool, err error) {
	records, err := s.letters.Receive(ctx, workqueue.MaxEntries, s.hide, receiveWait)
	if err != nil {
		return nil, false, err
	}
	for _, rec := range records {
		if _, again := s.seen[rec.MessageID]; again {
			// Its visibility timeout was shorter than the sweep is long. It has
			// been dealt with, and is held once more.
			s.hold(rec.ReceiptHandle)
			continue
		}
		s.seen[rec.MessageID] = struct{}{}
		letters = append(letters, newLetter(rec))
	}
	s.gone(-len(letters))
	switch {
	case len(letters) > 0:
		s.repeats = 0
		return letters, false, nil
	case len(records) > 0:
		s.repeats++
		return nil, s.repeats >= maxRepeats, nil
	}
	counts, err := s.letters.Counts(ctx)
	if err != nil {
		return nil, false, err
	}
	// What this sweep received may still count as visible: the numbers lag
	// behind by up to a minute, but their sum does not change by a receive
	// (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html).
	s.mu.Lock()
	s.unseen = max(counts.All()-s.holding, 0)
	s.mu.Unlock()
	if s.unseen == 0 {
		return nil, true, nil
	}
	if s.idle.IsZero() {
		s.idle = time.Now()
	}
	return nil, time.Since(s.idle) >= s.patience, nil
}

// hold keeps a letter hidden until the sweep is over.
func (s *sweep) hold(receipt string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.held) < maxHeld {
		s.held = append(s.held, receipt)
	}
}

// gone counts letters that are not held any more.
func (s *sweep) gone(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.holding -= n
}

// close gives back what the sweep holds.
func (s *sweep) close(ctx context.Context) {
	ctx, cancel := job.Closing(ctx)
	defer cancel()
	changes := make([]workqueue.Visibility, len(s.held))
	for i, receipt := range s.held {
		changes[i].Receipt = receipt
	}
	// Those that fail become visible when their timeout ends.
	_ = s.letters.ChangeVisibility(ctx, changes)
	s.held = nil
}

// discard deletes letters that are dealt with, and reports whether all are gone.
// One that cannot be deleted comes back, and the ledger knows it.
func (s *sweep) discard(ctx context.Context, settled []*Letter) (all bool, err error) {
	if len(settled) == 0 {
		return true, nil
	}
	receipts := make([]string, len(settled))
	for i, l := range settled {
		receipts[i] = l.ReceiptHandle
	}
	gone := 0
	for _, err := range s.letters.Delete(ctx, receipts) {
		if err == nil || errors.Is(err, workqueue.ErrReceiptGone) {
			gone++
		}
	}
	s.gone(gone)
	return gone == len(settled), ctx.Err()
}
