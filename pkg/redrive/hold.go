package redrive

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spillway-go/spillway/internal/job"
)

// Held are letters that stay hidden from other receivers until they are deleted
// or released, or until their visibility timeout ends. It is for one goroutine.
type Held struct {
	Letters []*Letter
	sweep   *sweep
}

// Hold looks through a queue and holds the letters that match. All other letters
// are hidden as well until [Held.Release], which the caller must call. The error
// is [ErrNotFound] if no letter matches.
func (r *Redrive) Hold(ctx context.Context, queue string, match func(*Letter) bool) (*Held, error) {
	src, err := r.source(queue)
	if err != nil {
		return nil, err
	}
	h := &Held{sweep: r.sweepOf(ctx, src.Letters)}
	complete, err := h.find(ctx, match)
	switch {
	case err != nil:
	case len(h.Letters) == 0 && !complete:
		err = fmt.Errorf("%w: no such message was seen, but not all of the queue could be looked at: try again", ErrNotFound)
	case len(h.Letters) == 0:
		err = fmt.Errorf("%w: no such message is in the queue", ErrNotFound)
	default:
		return h, nil
	}
	h.Release(ctx)
	return nil, err
}

func (h *Held) find(ctx context.Context, match func(*Letter) bool) (complete bool, err error) {
	for job.InTime(ctx, 0) {
		letters, end, err := h.sweep.next(ctx)
		if err != nil {
			return false, err
		}
		for _, l := range letters {
			h.sweep.hold(l.ReceiptHandle)
			if match(l) {
				h.Letters = append(h.Letters, l)
			}
		}
		if end {
			return h.sweep.unseen == 0, nil
		}
	}
	return false, ctx.Err()
}

// Delete deletes the letters. Those that could not be deleted are still held.
func (h *Held) Delete(ctx context.Context) error {
	receipts := make([]string, len(h.Letters))
	for i, l := range h.Letters {
		receipts[i] = l.ReceiptHandle
	}
	errs := h.sweep.letters.Delete(ctx, receipts)
	for i, receipt := range receipts {
		if errs[i] == nil {
			h.sweep.held = slices.DeleteFunc(h.sweep.held, func(held string) bool { return held == receipt })
		}
	}
	return errors.Join(errs...)
}

// Release makes all letters that are still held visible again.
func (h *Held) Release(ctx context.Context) { h.sweep.close(ctx) }
