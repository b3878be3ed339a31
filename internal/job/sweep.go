package job

import (
	"context"
	"errors"
)

// Work goes through a source once: it finds items, and deals with those that the
// job is about. One goroutine calls Next and Wants; several at once call Do,
// Intent and Leave, each about items of its own.
type Work[T any, E Entry] interface {
	// Next returns the items that come next, which may be none for the moment. end
	// says that there are no more.
	Next(ctx context.Context) (items []T, end bool, err error)
	// Wants reports whether the job is about an item.
	Wants(item T) bool
	// Intent is the ledger's entry about an item before anything is done.
	Intent(item T) E
	// Do deals with items and returns an entry for each, in their order. An entry
	// that it leaves as [Intended] was not tried, for want of time. An error
	// concerns all items that the entries do not decide.
	Do(ctx context.Context, items []T) ([]E, error)
	// Leave hands items back to their source: settled are those that the ledger
	// has as dealt with, which the source may forget; rest stay there.
	Leave(ctx context.Context, settled, rest []T) error
}

// Bounds are those of a sweep.
type Bounds struct {
	Limit       int // how many items may be replayed, set aside or restored by the job in all
	Concurrency int // how many steps are under way at once; 1 keeps the order of items
	Step        int // how many items a step has at most
}

// Sweep goes through the source of some work, in steps, at the job's rate. It
// returns true when there are no more items or the limit is reached, and false
// when the job has to go on later.
func Sweep[T any, R any, S State, E Entry](ctx context.Context, x *Run[R, S, E], w Work[T, E], b Bounds) (through bool, err error) {
	s := &sweep[T, R, S, E]{Run: x, work: w, limit: b.Limit}
	s.pool = newPool(newPace(x.Job.State.progress(), b.Step), b.Concurrency, x.await, s.step)
	defer func() {
		err = errors.Join(err, s.pool.wait())
		x.Job.State.progress().PacedAt = s.pool.pace.at()
		x.take(-len(s.pool.pending)) // never begun
		err = errors.Join(err, w.Leave(ctx, nil, s.pool.pending))
	}()
	for {
		if more, err := x.GoesOn(ctx); err != nil || !more {
			return false, err
		}
		// After a run that died, the source may hold items beyond the limit that are
		// dealt with.
		if full, err := s.full(ctx); err != nil || full && x.Tidy {
			return full, err
		}
		items, end, err := w.Next(ctx)
		if err != nil {
			return false, err
		}
		if err := s.spread(ctx, items); err != nil {
			return false, err
		}
		if end {
			err := s.drain(ctx)
			return err == nil, err
		}
		if len(items) == 0 || s.pool.pace.slow() {
			if err := s.pool.flush(ctx); err != nil {
				return false, err
			}
		}
	}
}

type sweep[T any, R any, S State, E Entry] struct {
	*Run[R, S, E]
	work  Work[T, E]
	limit int
	pool  *pool[T]
}

// drain begins and awaits all steps.
func (s *sweep[T, R, S, E]) drain(ctx context.Context) error {
	return errors.Join(s.pool.flush(ctx), s.pool.wait())
}

// full reports whether the limit is reached. What is under way may turn out to
// be skipped, and make room.
func (s *sweep[T, R, S, E]) full(ctx context.Context) (bool, error) {
	if s.Room(s.limit) > 0 {
		return false, nil
	}
	if err := s.drain(ctx); err != nil {
		return false, err
	}
	return s.Room(s.limit) <= 0, nil
}

// spread hands items to the steps, or back to their source.
func (s *sweep[T, R, S, E]) spread(ctx context.Context, items []T) (err error) {
	var settled, rest []T
	for i, it := range items {
		entry, known := s.Known(s.work.Intent(it).Key())
		taken := false
		switch {
		case known && entry.Result().Outcome.Settled():
			settled = append(settled, it) // by a run that died before its source forgot it
			continue
		case s.work.Wants(it):
			taken, err = s.offer(ctx, it)
		}
		if !taken {
			rest = append(rest, it)
		}
		if err != nil {
			rest = append(rest, items[i+1:]...)
			break
		}
	}
	return errors.Join(err, s.leave(ctx, settled, rest))
}

// offer puts an item into the next step, if there is room for it.
func (s *sweep[T, R, S, E]) offer(ctx context.Context, item T) (taken bool, err error) {
	if full, err := s.full(ctx); err != nil || full {
		return false, err
	}
	s.take(1)
	return true, s.pool.add(ctx, item)
}

// step does one step, and hands its items back to their source.
func (s *sweep[T, R, S, E]) step(ctx context.Context, items []T) error {
	intents := make([]E, len(items))
	for i, it := range items {
		intents[i] = s.work.Intent(it)
	}
	entries, err := s.Step(ctx, intents, func(ctx context.Context) ([]E, error) { return s.work.Do(ctx, items) })
	s.take(-len(items))
	var settled, rest []T
	for i, it := range items {
		if i < len(entries) && entries[i].Result().Outcome.Settled() {
			settled = append(settled, it)
		} else {
			rest = append(rest, it)
		}
	}
	return errors.Join(err, s.leave(ctx, settled, rest))
}

// leave hands items back to their source.
func (s *sweep[T, R, S, E]) leave(ctx context.Context, settled, rest []T) error {
	err := s.work.Leave(ctx, settled, rest)
	if err != nil && len(settled) > 0 {
		s.Untidy()
	}
	return err
}
