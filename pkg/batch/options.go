package batch

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/spillway-go/spillway/pkg/event"
)

// Options tunes the processing of batches. The zero value is ready to use, and
// what is negative counts as zero.
type Options struct {
	// Concurrency is how many records of one batch are worked on at once. They
	// are begun in order. Defaults to 1: what one record needs of memory and
	// connections is then what an environment needs.
	Concurrency int
	// Margin is kept free before the function's time-out: records see a deadline
	// that much earlier, and a handler that ignores it is abandoned when half of
	// the margin is used up. What is left serves to settle and to answer. With
	// no more than Margin left nothing is begun. Defaults to [DefaultMargin] of
	// the time left at the start.
	Margin time.Duration
	// Timeout ends the context of each record after a while; what it returns
	// then has the code [task.CodeTimeout], if it wraps the context's error. A
	// handler that ignores its context keeps its place until it returns, or
	// until the batch abandons it. For streams it bounds each try of a record.
	// Defaults to none but the batch's own.
	Timeout time.Duration
	// Guard remembers how long records take, from batch to batch. Defaults to
	// one for each handler that is built, and one for each call of [Each].
	Guard *Guard
	// Visibility makes a failed message visible again after its backoff or its
	// RetryAfter, and one that was not begun at once; in a FIFO queue the rest of
	// a group comes back with the one that failed. Without it they come back when
	// the queue's visibility timeout ends. Used by SQS only.
	Visibility VisibilityChanger
	// Reject sends messages with a permanent error to a dead-letter queue. Without
	// it they count as failed, until the queue's redrive policy takes them. Used
	// by SQS only; for streams see Isolate.
	Reject Rejecter
	// Backoff is how long a failed message stays hidden after it was received
	// so many times (1 for the first). It needs Visibility. Defaults to full
	// jitter up to 2 s, doubling up to 15 minutes.
	Backoff func(receives int) time.Duration
	// Isolate takes records out of a stream's way that fail for good, or too
	// often, so that the records behind them are not held up. Without it the
	// first record that fails is where Lambda goes on, whatever the error. Used
	// by Kinesis and DynamoDB only.
	Isolate Isolator
	// IsolateAfter is how often a record of a stream is tried within one batch
	// before it is isolated; a permanent error needs one try. All tries and the
	// pauses between them have to fit into the time of one batch, for the next
	// one counts anew. Used with Isolate only. Defaults to 3.
	IsolateAfter int
	// Logger receives failures, and panics with their stacks. Defaults to
	// [slog.Default].
	Logger *slog.Logger
}

// VisibilityChanger changes when messages become visible again and returns one
// outcome for each. *workqueue.Queue is one.
type VisibilityChanger interface {
	ChangeVisibility(ctx context.Context, changes []Visibility) []error
}

// Visibility asks for the message with this receipt handle to become visible
// again after a while. It is an alias of an unnamed type, and the same as
// workqueue.Visibility, so that neither package needs the other.
type Visibility = struct {
	Receipt string
	After   time.Duration
}

// Rejecter sends a message that no retry can mend to a dead-letter queue, with
// the cause, and returns nil only when that is confirmed: the message is then
// acknowledged. *workqueue.Queue is one.
type Rejecter interface {
	Reject(ctx context.Context, rec *event.SQSMessage, cause error) error
}

// Isolator keeps a record of a stream that could not be worked on, with the
// cause, and returns nil only when it is safe: the stream then moves on without
// it. *workqueue.Queue is one.
type Isolator interface {
	Isolate(ctx context.Context, rec *event.StreamRecord, cause error) error
}

func (o *Options) withDefaults() Options {
	var d Options
	if o != nil {
		d = *o
	}
	d.Concurrency = max(d.Concurrency, 1)
	if d.Guard == nil {
		d.Guard = &Guard{}
	}
	if d.IsolateAfter <= 0 {
		d.IsolateAfter = 3
	}
	if d.Backoff == nil {
		d.Backoff = fullJitter
	}
	if d.Logger == nil {
		d.Logger = slog.Default()
	}
	return d
}

func fullJitter(receives int) time.Duration {
	bound := 15 * time.Minute
	if n := max(receives, 1) - 1; n < 9 { // 2 s · 2⁹ is beyond 15 minutes
		bound = min(bound, 2*time.Second<<n)
	}
	return rand.N(bound + 1)
}
