package batch

import (
	"context"
	"sync"
	"time"
)

// deadlineContext is a context with an earlier deadline, which costs a timer
// and its bookkeeping only once somebody waits for it: a handler that is done
// in a millisecond seldom does.
type deadlineContext struct {
	context.Context // the parent
	at              time.Time

	mu     sync.Mutex
	inner  context.Context // nil until it is needed
	cancel context.CancelFunc
	ended  bool
}

// Deadline is at, or the parent's if that is earlier.
func (c *deadlineContext) Deadline() (time.Time, bool) {
	if end, ok := c.Context.Deadline(); ok && end.Before(c.at) {
		return end, true
	}
	return c.at, true
}

func (c *deadlineContext) Done() <-chan struct{} { return c.timed().Done() }

// Err says nothing that Done does not say too.
func (c *deadlineContext) Err() error {
	c.mu.Lock()
	quiet := c.inner == nil && !c.ended && c.Context.Err() == nil && time.Now().Before(c.at)
	c.mu.Unlock()
	if quiet {
		return nil
	}
	return c.timed().Err()
}

// Value asks the inner context once there is one, so that contexts derived
// from this one are linked to it without a goroutine of their own.
func (c *deadlineContext) Value(key any) any {
	c.mu.Lock()
	inner := c.inner
	c.mu.Unlock()
	if inner == nil {
		inner = c.Context
	}
	return inner.Value(key)
}

// timed returns the inner context.
func (c *deadlineContext) timed() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inner == nil {
		c.inner, c.cancel = context.WithDeadline(c.Context, c.at)
		if c.ended {
			c.cancel()
		}
	}
	return c.inner
}

// end cancels the context, as a CancelFunc does.
func (c *deadlineContext) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	if c.cancel != nil {
		c.cancel()
	}
}
