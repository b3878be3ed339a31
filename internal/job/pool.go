package job

import (
	"context"
	"sync"
	"time"
)

// pool does steps of a job beside each other, in batches, at the job's pace.
// add, flush and wait are for one goroutine.
type pool[T any] struct {
	pace  *pace
	await func(ctx context.Context, at time.Time) error
	step  func(ctx context.Context, batch []T) error

	pending []T           // of the next step
	slots   chan struct{} // one for each step under way
	steps   sync.WaitGroup

	mu  sync.Mutex
	err error // the first one; no step begins after it
}

func newPool[T any](p *pace, concurrency int, await func(context.Context, time.Time) error, step func(context.Context, []T) error) *pool[T] {
	return &pool[T]{pace: p, await: await, step: step, slots: make(chan struct{}, max(concurrency, 1))}
}

// add puts an item into the next step, and begins that once it is full.
func (p *pool[T]) add(ctx context.Context, item T) error {
	p.pending = append(p.pending, item)
	if len(p.pending) < p.pace.size() {
		return p.failed()
	}
	return p.flush(ctx)
}

// flush begins a step with the pending items, once a slot is free and their
// moment has come. If it returns an error they are still pending.
func (p *pool[T]) flush(ctx context.Context) error {
	if len(p.pending) == 0 {
		return p.failed()
	}
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	release := func() { <-p.slots }
	before := p.pace.next
	err := p.failed()
	if err == nil {
		err = p.await(ctx, p.pace.moment(len(p.pending)))
	}
	if err != nil {
		p.pace.next = before // not this time
		release()
		return err
	}
	batch := p.pending
	p.pending = nil
	p.steps.Go(func() {
		defer release()
		if err := p.step(ctx, batch); err != nil {
			p.mu.Lock()
			defer p.mu.Unlock()
			if p.err == nil {
				p.err = err
			}
		}
	})
	return nil
}

// failed is the first error of a step.
func (p *pool[T]) failed() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// wait returns when no step is under way. Pending items stay pending.
func (p *pool[T]) wait() error {
	p.steps.Wait()
	return p.failed()
}
