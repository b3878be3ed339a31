package batch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/spillway-go/spillway/pkg/task"
)

// ErrNotBegun is the outcome of a record that was not begun: too little time
// was left for it, or the batch was canceled. Its handler was not called, so
// this is no attempt at it.
var ErrNotBegun = errors.New("the record was not begun")

// ErrAbandoned is wrapped by the outcome of a record whose handler had not
// returned when the batch had to. It has the code [task.CodeTimeout].
var ErrAbandoned = errors.New("the handler did not return in time")

// errGoexit is the outcome of a handler that ended its goroutine.
var errGoexit = errors.New("the handler called runtime.Goexit")

// Each calls fn for the records 0 to n-1, at most [Options.Concurrency] at
// once and begun in order, and returns one outcome for each. It is the engine
// below [SQS], for those who settle records themselves.
//
// A panic becomes a [*task.PanicError], its stack goes to the log. When ctx has
// a deadline, fn's context ends [Options.Margin] earlier; a record begins only
// if the longest duration that the [Guard] expects still fits before that, but
// the first one begins in any case that leaves time; the rest are [ErrNotBegun],
// as they are once ctx is canceled. When half of the margin is used up, the
// handlers that are still running are given up with [ErrAbandoned]: their
// goroutines go on until they notice that their context has ended. In Lambda
// that may be in a later invocation, after a freeze, so what such a handler
// still does must be harmless: record results only against a fence, and pass
// its context to everything that waits.
//
// Without a deadline Each waits for every handler that it began.
func Each(ctx context.Context, n int, opts *Options, fn func(ctx context.Context, i int) error) []error {
	o := opts.withDefaults()
	return each(ctx, n, &o, newWindow(ctx, o.Margin), fn, func(i int) slog.Attr { return slog.Int("record", i) })
}

// outcome is what became of one record.
type outcome struct {
	i   int
	err error
}

// each is Each with defaults applied; name identifies a record in the log.
func each(
	ctx context.Context, n int, o *Options, w window,
	fn func(context.Context, int) error, name func(int) slog.Attr,
) []error {
	errs := make([]error, n)
	if n == 0 {
		return errs
	}
	recordCtx := ctx
	var abandon <-chan time.Time
	if w.limited {
		var cancel context.CancelFunc
		recordCtx, cancel = context.WithDeadline(ctx, w.soft)
		defer cancel()
		timer := time.NewTimer(time.Until(w.hard))
		defer timer.Stop()
		abandon = timer.C
	}
	// Room for every outcome, so that an abandoned handler's goroutine can end.
	outcomes := make(chan outcome, n)
	begun := make([]time.Time, n)
	running := make(map[int]struct{}, o.Concurrency)
	next := 0
	finish := func(r outcome) {
		errs[r.i] = r.err
		delete(running, r.i)
		o.Guard.observe(time.Since(begun[r.i]))
	}
	for {
		for next < n && len(running) < o.Concurrency && mayBegin(ctx, o, w, next) {
			begun[next] = time.Now()
			running[next] = struct{}{}
			go func(i int) {
				call(recordCtx, i, o.Logger, fn, name, outcomes)
			}(next)
			next++
		}
		if len(running) == 0 {
			break
		}
		select {
		case r := <-outcomes:
			finish(r)
			continue
		case <-abandon:
		}
		for len(outcomes) > 0 { // those that made it at the last moment
			finish(<-outcomes)
		}
		for i := range running {
			o.Logger.ErrorContext(ctx, "handler abandoned: it ignores its context", name(i),
				slog.Duration("running_for", time.Since(begun[i])))
			finish(outcome{i, task.Code(task.CodeTimeout, fmt.Errorf("%w: %w", ErrAbandoned, context.DeadlineExceeded))})
		}
		break
	}
	for i := next; i < n; i++ {
		errs[i] = ErrNotBegun
	}
	return errs
}

// mayBegin reports whether record i may begin now.
func mayBegin(ctx context.Context, o *Options, w window, i int) bool {
	if ctx.Err() != nil {
		return false
	}
	if i == 0 {
		return w.allows(0)
	}
	return w.allows(o.Guard.Longest())
}

// call runs fn for record i and always sends one outcome.
func call(
	ctx context.Context, i int, log *slog.Logger,
	fn func(context.Context, int) error, name func(int) slog.Attr, outcomes chan<- outcome,
) {
	err := errGoexit
	defer func() {
		if v := recover(); v != nil {
			stack := debug.Stack()
			log.ErrorContext(ctx, "handler panicked", name(i), slog.Any("panic", v), slog.String("stack", string(stack)))
			err = &task.PanicError{Value: v, Stack: stack}
		}
		outcomes <- outcome{i, err}
	}()
	err = fn(ctx, i)
}
