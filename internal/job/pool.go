package redrive

import (
	"context"
	"sync"
	"time"
)

// crew does steps of a job beside each other, in batches, at the job's pace.
// add, flush and wait are for one goroutine.
type crew[T any] struct {
	pace  *pace
	await func(ctx context.Context, at time.Time) error
	step  func(ctx context.Context, batch []T) error

	pending []T           // of the next step
	slots   chan struct{} // one for each step under way
	steps   sync.WaitGroup

	mu  sync.Mutex
	err error // the first one; no step begins after it
}

// newCrew makes a crew for a run.
func newCrew[T any](x *run, concurrency int, step func(context.Context, []T) error) *crew[T] {
	return &crew[T]{pace: newPace(x.job.Rate, x.job.PacedAt), await: x.await, step: step, slots: make(chan struct{}, concurrency)}
}

// add puts something into the next step, and begins that once it is full.
func (c *crew[T]) add(ctx context.Context, v T) error {
	c.pending = append(c.pending, v)
	if len(c.pending) < c.pace.size() {
		return c.failed()
	}
	return c.flush(ctx)
}

// flush begins a step with what there is.
func (c *crew[T]) flush(ctx context.Context) error {
	if err := c.failed(); err != nil || len(c.pending) == 0 {
		return err
	}
	batch, before := c.pending, c.pace.next
	if err := c.await(ctx, c.pace.moment(len(batch))); err != nil {
		c.pace.next = before // not this time
		return err
	}
	c.pending = nil
	select {
	case c.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	c.steps.Go(func() {
		defer func() { <-c.slots }()
		if err := c.step(ctx, batch); err != nil {
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.err == nil {
				c.err = err
			}
		}
	})
	return nil
}

// failed is the first error of a step.
func (c *crew[T]) failed() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// wait returns when no step is under way. What is pending stays so.
func (c *crew[T]) wait() error {
	c.steps.Wait()
	return c.failed()
}
