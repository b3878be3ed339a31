package batch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/spillway-go/spillway/pkg/event"
	"github.com/spillway-go/spillway/pkg/internal/sleep"
	"github.com/spillway-go/spillway/pkg/task"
)

// stream is a kind of event source whose records are in order.
type stream[R any] struct {
	read     func(payload []byte) ([]R, error)
	sequence func(*R) string // the record's sequence number
	key      func(*R) string // records of the same key follow one another
	record   func(*R) event.StreamRecord
}

// handler is what [Kinesis] and [DynamoDB] return.
func (s *stream[R]) handler(fn func(context.Context, *R) error, opts *Options) Handler {
	if fn == nil {
		panic("batch: nil handler")
	}
	o := opts.withDefaults()
	timeout := o.Timeout
	o.Timeout = 0 // it bounds each try, not all that is done with a record
	return func(ctx context.Context, payload []byte) ([]byte, error) {
		records, err := s.read(payload)
		if err != nil {
			return nil, err
		}
		b := streamBatch[R]{
			stream: s, crew: crew{opts: &o, window: newWindow(ctx, o.Margin), halt: true}, timeout: timeout, fn: fn, records: records,
		}
		return b.run(ctx)
	}
}

// streamBatch is one batch on its way through a handler.
type streamBatch[R any] struct {
	*stream[R]
	crew    crew
	timeout time.Duration
	fn      func(context.Context, *R) error
	records []R
}

func (b *streamBatch[R]) run(ctx context.Context) ([]byte, error) {
	b.crew.work = b
	if b.crew.opts.Concurrency > 1 { // else all are one lane anyway
		b.crew.lanes = newLanes(len(b.records), func(i int) string { return b.key(&b.records[i]) })
	}
	errs := b.crew.run(ctx, len(b.records))
	first := slices.IndexFunc(errs, func(err error) bool { return err != nil })
	if first < 0 {
		return (&response{}).json(), nil
	}
	b.report(ctx, errs, first)
	return b.goOnAt(first)
}

func (b *streamBatch[R]) name(i int) slog.Attr {
	return slog.String("sequence_number", b.sequence(&b.records[i]))
}

// do works on one record, with as many tries as it takes to be done with it.
func (b *streamBatch[R]) do(ctx, recordCtx context.Context, i int) error {
	for attempts := 1; ; attempts++ {
		begun := time.Now()
		err := b.try(recordCtx, i)
		if err == nil || b.crew.opts.Isolate == nil || b.cutShort(recordCtx, err) {
			return err
		}
		if task.IsPermanent(err) || attempts >= b.crew.opts.IsolateAfter {
			return b.isolate(ctx, i, attempts, err)
		}
		pause, asked := task.RetryDelay(err)
		if !asked {
			pause = pauseAfter(attempts)
		}
		took := time.Since(begun)
		b.crew.opts.Guard.observe(took)
		if !b.wait(recordCtx, pause, took) {
			return err
		}
		b.crew.restart(i)
	}
}

// try calls the handler once. A panic in it is an error like any other.
func (b *streamBatch[R]) try(ctx context.Context, i int) (err error) {
	defer b.crew.caught(i, &err)
	if b.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, b.timeout)
		defer cancel()
	}
	return b.fn(ctx, &b.records[i])
}

// lastMoments is how close to the deadline an error may be due to it although
// the context has not ended: what waits for a network has timers of its own.
const lastMoments = 50 * time.Millisecond

// cutShort reports whether err may be due to the end of the batch, its time or
// its context, rather than to the record.
func (b *streamBatch[R]) cutShort(ctx context.Context, err error) bool {
	if ctx.Err() == nil && b.crew.window.allows(time.Now(), lastMoments) {
		return false
	}
	return !task.IsPermanent(err) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// wait lets d pass. It reports whether there is time for that, and then for a
// try that takes as long as the last one.
func (b *streamBatch[R]) wait(ctx context.Context, d, try time.Duration) bool {
	if !b.crew.window.allows(time.Now().Add(d), try) {
		return false
	}
	return sleep.For(ctx, d) == nil
}

// pauseAfter returns the pause after so many tries: full jitter up to 100 ms,
// doubling up to 2 s. It is short because the rest of the key, or of the shard,
// waits as well.
func pauseAfter(attempts int) time.Duration {
	bound := 2 * time.Second
	if n := attempts - 1; n < 5 {
		bound = min(bound, 100*time.Millisecond<<n)
	}
	return rand.N(bound + 1)
}

// isolate takes a record out of the stream's way and returns what is left of
// its error. ctx is the batch's: isolation may use the margin that a handler
// may not.
func (b *streamBatch[R]) isolate(ctx context.Context, i, attempts int, cause error) error {
	if b.crew.over() { // Lambda has been told to go on here
		return cause
	}
	rec := b.record(&b.records[i])
	rec.Attempts = attempts
	if err := b.crew.opts.Isolate.Isolate(ctx, &rec, cause); err != nil {
		return errors.Join(cause, err)
	}
	b.crew.opts.Logger.WarnContext(ctx, "record isolated", b.name(i), slog.Int("attempts", attempts),
		slog.String("code", task.FailureOf(cause).Code), logged(cause))
	return nil
}

// report logs what failed, and what comes back with it.
func (b *streamBatch[R]) report(ctx context.Context, errs []error, first int) {
	notBegun, again := 0, 0
	for i, err := range errs {
		switch {
		case err == nil && i > first:
			again++
		case err == nil:
		case unbegun(err):
			notBegun++
		default:
			b.crew.opts.Logger.WarnContext(ctx, "record failed", b.name(i),
				slog.String("code", task.FailureOf(err).Code), logged(err))
		}
	}
	b.crew.opts.Logger.InfoContext(ctx, "the stream goes on from this record", b.name(first),
		slog.Int("not_begun", notBegun), slog.Int("done_again", again), slog.Duration("longest_record", b.crew.opts.Guard.Longest()))
}

// goOnAt answers that record i is where Lambda is to go on. Should a later
// record have its sequence number too, Lambda might go on there and leave out
// what lies between them; then one before it is named, which is only done
// again.
func (b *streamBatch[R]) goOnAt(i int) ([]byte, error) {
	at := i
	for at >= 0 && b.repeated(at) {
		at--
	}
	var r response
	if at < 0 {
		return nil, fmt.Errorf("record %d of %d: %w of its own", i, len(b.records), ErrNoID)
	}
	if err := r.add(b.sequence(&b.records[at])); err != nil {
		return nil, fmt.Errorf("record %d of %d: %w", at, len(b.records), err)
	}
	return r.json(), nil
}

// repeated reports whether a later record has the sequence number of record i.
func (b *streamBatch[R]) repeated(i int) bool {
	id := b.sequence(&b.records[i])
	for j := i + 1; j < len(b.records) && id != ""; j++ {
		if b.sequence(&b.records[j]) == id {
			return true
		}
	}
	return false
}
