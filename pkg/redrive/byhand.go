package redrive

import (
	"context"
	"errors"
	"fmt"
	"slices"

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
	err = r.handle(ctx, s, j, found, act)
	return j.id, err
}

// handle acts, and leaves enough of the time to write down what came of it.
func (r *Redrive) handle(ctx context.Context, s *sweep, j *job, found []*Letter, act func(context.Context, *Letter) error) error {
	x := &run{Redrive: r, job: j, rec: newRecord(), taken: len(found)}
	books, cancel := closing(ctx)
	defer cancel()
	var failed error
	_, err := x.record(books, handled(found, Intended, ""), func(context.Context) ([]Entry, error) {
		acting, cancel := leavingMargin(ctx)
		defer cancel()
		if failed = act(acting, found[0]); failed != nil {
			return handled(found, Failed, "the action failed"), nil
		}
		return handled(found, Resolved, ""), nil
	})
	what := string(Failed)
	if err == nil && failed == nil {
		what = string(Resolved)
		err = s.deleteAll(books, found)
	}
	j.Counts = x.rec.counts
	return errors.Join(failed, err, r.leave(books, j, Done), r.event(books, j, what, "", ""))
}

// leavingMargin ends so long before ctx that what was done can be written down.
func leavingMargin(ctx context.Context) (context.Context, context.CancelFunc) {
	end, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, end.Add(-margin))
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

// deleteAll deletes letters. Those that could not be deleted are given back when
// the sweep is closed.
func (s *sweep) deleteAll(ctx context.Context, letters []*Letter) error {
	receipts := make([]string, len(letters))
	for i, l := range letters {
		receipts[i] = l.ReceiptHandle
	}
	errs := s.letters.Delete(ctx, receipts)
	s.release(slices.DeleteFunc(receipts, func(receipt string) bool {
		i := slices.IndexFunc(letters, func(l *Letter) bool { return l.ReceiptHandle == receipt })
		return errs[i] != nil
	}))
	return errors.Join(errs...)
}

// release keeps receipts from being given back when the sweep is closed.
func (s *sweep) release(receipts []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = slices.DeleteFunc(s.held, func(held string) bool { return slices.Contains(receipts, held) })
	s.holding -= len(receipts)
}
