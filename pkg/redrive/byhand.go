package redrive

import (
	"context"
	"errors"
	"fmt"

	"github.com/spillway-go/spillway/pkg/tasktable"
)

// ByHand deals with one matter that lies in a queue, as an operator decided: it
// looks for the letters that match, which may be several of one matter, writes
// down what is intended, calls act once, and when that succeeds deletes them and
// writes down that it is done. All other letters are visible again afterwards.
// It returns the job that the audit trail has it under, and [ErrNotFound] if no
// letter matches.
//
// A crash in the middle leaves the letters in the queue and the intent in the
// trail, so act must bear being called again; so must one whose error came after
// it took effect. An error of act is returned as it is.
func (r *Redrive) ByHand(ctx context.Context, req Request, match func(*Letter) bool, act func(context.Context, *Letter) error) (jobID string, err error) {
	src, err := r.source(req.Queue)
	if err != nil {
		return "", err
	}
	if err := checkRequest(&req); err != nil {
		return "", err
	}
	s := r.sweepOf(ctx, src.Letters)
	defer s.close(ctx)
	found, complete, err := s.matching(ctx, match)
	if err != nil {
		return "", err
	}
	if len(found) == 0 && !complete {
		return "", fmt.Errorf("%w: no such message was seen, but not all of the queue could be looked at: try again", ErrNotFound)
	}
	if len(found) == 0 {
		return "", fmt.Errorf("%w: no such message is in the queue", ErrNotFound)
	}
	req.Max = len(found)
	j := &job{id: tasktable.NewID(), request: req}
	if err := r.begun(ctx, j); err != nil {
		return "", err
	}
	x := &run{Redrive: r, job: j, rec: newRecord(), taken: len(found)}
	var failed error
	_, err = x.record(ctx, handled(found, Intended, ""), func(ctx context.Context) ([]Entry, error) {
		if failed = act(ctx, found[0]); failed != nil {
			return handled(found, Failed, "the action failed"), nil
		}
		return handled(found, Resolved, ""), nil
	})
	if err == nil && failed == nil {
		err = x.deleteAll(ctx, s, found)
	}
	j.Counts = x.rec.counts
	return j.id, errors.Join(failed, err, r.leave(ctx, j, Done))
}

// matching goes through the queue and keeps what matches; everything stays
// hidden until the sweep is closed.
func (s *sweep) matching(ctx context.Context, match func(*Letter) bool) (found []*Letter, complete bool, err error) {
	for inTime(ctx, 0) {
		letters, end, err := s.next(ctx)
		if err != nil {
			return nil, false, err
		}
		for _, l := range letters {
			s.hold(l.ReceiptHandle)
			if match(l) {
				found = append(found, l)
			}
		}
		if end {
			return found, s.unseen == 0, nil
		}
	}
	return found, false, ctx.Err()
}

func handled(letters []*Letter, outcome Outcome, reason string) []Entry {
	entries := make([]Entry, len(letters))
	for i, l := range letters {
		entries[i] = Entry{MessageID: l.MessageID, Outcome: outcome, Reason: reason}
	}
	return entries
}

func (x *run) deleteAll(ctx context.Context, s *sweep, letters []*Letter) error {
	receipts := make([]string, len(letters))
	for i, l := range letters {
		receipts[i] = l.ReceiptHandle
	}
	s.release(receipts)
	return errors.Join(s.letters.Delete(ctx, receipts)...)
}

// release keeps receipts from being given back when the sweep is closed.
func (s *sweep) release(receipts []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := make(map[string]bool, len(receipts))
	for _, r := range receipts {
		taken[r] = true
	}
	kept := s.held[:0]
	for _, r := range s.held {
		if !taken[r] {
			kept = append(kept, r)
		}
	}
	s.held = kept
	s.holding -= len(receipts)
}
