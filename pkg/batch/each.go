package batch

import (
	"context"
	"errors"
	"log/slog"
)

// ErrNotBegun is the outcome of a record that was not begun: too little time
// was left for it, the batch was canceled, or a record failed that it has to
// follow. Its handler was not called, so this is no attempt at it.
var ErrNotBegun = errors.New("the record was not begun")

// unbegun reports whether err is the batch's own word that a record was not
// begun. A handler's error may wrap another batch's.
func unbegun(err error) bool {
	return err == ErrNotBegun //nolint:errorlint // the very value, not what wraps it
}

// ErrAbandoned is wrapped by the outcome of a record whose handler had not
// returned when the batch had to. It has the code [task.CodeTimeout].
var ErrAbandoned = errors.New("the handler did not return in time")

// errGoexit is the outcome of a handler that ended its goroutine.
var errGoexit = errors.New("the handler called runtime.Goexit")

// Each calls fn for the records 0 to n-1, at most [Options.Concurrency] at
// once and begun in order, and returns one outcome for each. It is the engine
// below [SQS], [Kinesis] and [DynamoDB], for those who settle records
// themselves.
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
	c := crew{opts: &o, window: newWindow(ctx, o.Margin), work: function(fn)}
	return c.run(ctx, n)
}

// function is the work of [Each].
type function func(ctx context.Context, i int) error

func (f function) do(_, recordCtx context.Context, i int) error { return f(recordCtx, i) }

func (f function) name(i int) slog.Attr { return slog.Int("record", i) }
