package batch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/spillway-go/spillway/pkg/task"
)

// work is what a [crew] is to do.
type work interface {
	// do works on record i. recordCtx is the handler's; ctx, the batch's, ends
	// later.
	do(ctx, recordCtx context.Context, i int) error
	// name tells record i in the log.
	name(i int) slog.Attr
}

// crew works through one batch, see [Each]. Its slots, one goroutine for each
// record that may run at once, help themselves: a slot that has finished a
// record takes the next one. It holds contexts because it lives as long as the
// batch that they are for.
type crew struct {
	opts   *Options
	window window
	work   work
	lanes  *lanes // of records that must follow one another
	halt   bool   // a failure stops every record behind it, not only its lane

	ctx     context.Context // the batch's
	records deadlineContext // the handlers', if the window is limited
	slots   sync.WaitGroup  // that work

	mu     sync.Mutex // guards all below
	errs   []error
	places []place // one for each slot
	next   int     // the first record that nobody has looked at
	begun  int     // how many were begun
	last   int     // no record behind this one may begin
	closed bool    // the batch has ended without the slots that still work

	// Room for a batch of the usual size.
	fewErrs   [10]error
	fewPlaces [1]place
}

// place is what one slot works on.
type place struct {
	record int
	since  time.Time
	busy   bool
}

// run works through n records and returns their outcomes. A crew runs once.
func (c *crew) run(ctx context.Context, n int) []error {
	c.ctx, c.last = ctx, n-1
	if c.errs = c.fewErrs[:]; n > len(c.errs) {
		c.errs = make([]error, n)
	}
	c.errs = c.errs[:n]
	for i := range c.errs {
		c.errs[i] = ErrNotBegun
	}
	if c.window.limited {
		c.records.Context, c.records.at = ctx, c.window.soft
		defer c.records.end()
		timer := time.AfterFunc(time.Until(c.window.hard), c.abandon)
		defer timer.Stop()
	}
	c.start(min(c.opts.Concurrency, n))
	c.slots.Wait()
	return c.errs
}

// start begins the first records.
func (c *crew) start(slots int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.places = c.fewPlaces[:]; slots != len(c.places) {
		c.places = make([]place, slots)
	}
	c.fill(time.Now())
}

// fill sets slots to work in the places that are free, as far as records may
// begin. Places stay free while the guard is careful, and while records wait
// for others. mu must be held.
func (c *crew) fill(now time.Time) {
	for k := range c.places {
		if c.places[k].busy {
			continue
		}
		if !c.take(k, now) {
			return
		}
		c.slots.Add(1)
		go c.serve(k)
	}
}

// serve works on the record in place k and on those that it takes after it.
func (c *crew) serve(k int) {
	returned := false
	defer func() {
		if !returned && c.finish(k, errGoexit) { // the handler ended this goroutine
			go c.serve(k)
		}
	}()
	for c.finish(k, c.call(c.places[k].record)) {
	}
	returned = true
}

// take gives place k the first record that may begin, if there is one. mu must
// be held.
func (c *crew) take(k int, now time.Time) bool {
	if !c.mayBegin(now) {
		return false
	}
	i, ok := c.ready()
	if !ok {
		return false
	}
	c.places[k] = place{record: i, since: now, busy: true}
	c.begun++
	return true
}

// mayBegin reports whether there is time for another record. mu must be held.
func (c *crew) mayBegin(now time.Time) bool {
	if c.closed || c.ctx.Err() != nil {
		return false
	}
	if c.begun == 0 {
		return c.window.allows(now, 0)
	}
	return c.window.allows(now, c.opts.Guard.Longest())
}

// ready removes the first record that waits for no other. mu must be held.
func (c *crew) ready() (int, bool) {
	for c.next <= c.last && !c.lanes.leads(c.next) {
		c.next++
	}
	limit := c.next // what leads a lane comes first, unless an earlier one was freed
	if c.next > c.last {
		limit = c.last + 1
	}
	if i, ok := c.lanes.first(limit); ok {
		return i, true
	}
	if c.next > c.last {
		return 0, false
	}
	c.next++
	return c.next - 1, true
}

// finish records the outcome at place k and gives it another record. It reports
// whether there was one.
func (c *crew) finish(k int, err error) bool {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.settle(k, now, err)
	if !c.take(k, now) {
		c.slots.Done()
		return false
	}
	c.fill(now)
	return true
}

// over reports whether the batch has ended without those that still work.
func (c *crew) over() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// settle records an outcome. mu must be held.
func (c *crew) settle(k int, now time.Time, err error) {
	p := &c.places[k]
	p.busy = false
	c.errs[p.record] = err
	c.opts.Guard.observe(now.Sub(p.since))
	switch {
	case err == nil:
		c.lanes.release(p.record)
	case c.halt:
		c.last = min(c.last, p.record)
	}
}

// restart begins record i's time anew: what it has waited for does not count for
// the guard.
func (c *crew) restart(i int) {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	for k := range c.places {
		if p := &c.places[k]; p.busy && p.record == i {
			p.since = now
		}
	}
}

// abandon gives up the handlers that are still running.
func (c *crew) abandon() {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.closed = true
	for k, p := range c.places {
		if !p.busy {
			continue
		}
		c.opts.Logger.ErrorContext(c.ctx, "handler abandoned: it ignores its context", c.work.name(p.record),
			slog.Duration("running_for", now.Sub(p.since)))
		c.settle(k, now, task.Code(task.CodeTimeout, fmt.Errorf("%w: %w", ErrAbandoned, context.DeadlineExceeded)))
		c.slots.Done()
	}
}

// call runs the handler of record i.
func (c *crew) call(i int) (err error) {
	defer c.caught(i, &err)
	ctx := c.ctx
	if c.window.limited {
		ctx = &c.records
	}
	if c.opts.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.opts.Timeout)
		defer cancel()
	}
	return c.work.do(c.ctx, ctx, i)
}

// caught, deferred, turns a panic of record i's handler into an error and logs
// the stack.
func (c *crew) caught(i int, err *error) {
	if v := recover(); v != nil {
		panicked := &task.PanicError{Value: v, Stack: debug.Stack()}
		c.opts.Logger.ErrorContext(c.ctx, "handler panicked", c.work.name(i), logged(panicked), slog.String("stack", string(panicked.Stack)))
		*err = panicked
	}
}

// logged is the attribute for an error, without the value of a panic, see
// [task.PanicError.LogValue].
func logged(err error) slog.Attr {
	panicked, ok := errors.AsType[*task.PanicError](err)
	if !ok {
		return slog.Any("error", err)
	}
	return slog.String("error", strings.ReplaceAll(err.Error(), panicked.Error(), panicked.LogValue().String()))
}
