package task

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"
)

// Reporter is how an [Execution] reaches the table and the queue. The worker
// provides it; a test of a handler can leave it out.
type Reporter interface {
	// Progress stores how far the task has come and renews its lease and the
	// visibility timeout of its message.
	Progress(ctx context.Context, a Advance) error
	// Checkpoint stores state for the next attempt, and how far the task has
	// come unless a is nil. It renews lease and visibility, and returns
	// [ErrCanceled] when a cancel was requested.
	Checkpoint(ctx context.Context, state json.RawMessage, a *Advance) error
}

// Execution is one attempt at a task, as its handler sees it.
type Execution struct {
	ID          string
	Type        string
	Tenant      string
	Run         int // 1, raised by every replay
	Attempt     int // 1 for the first attempt of a run, and the same again after [ErrYield]
	MaxAttempts int
	CreatedAt   time.Time
	Deadline    time.Time
	State       json.RawMessage // the last checkpoint, nil without one
	Reporter    Reporter        // nil makes progress and checkpoints do nothing
}

// IdempotencyKey is the same for every attempt of one run of the task, and
// another one after a replay.
func (e *Execution) IdempotencyKey() string { return e.ID + "-" + strconv.Itoa(e.Run) }

type executionKey struct{}

// NewContext returns a context that carries e to a handler. Workers and
// handlers' tests call it.
func NewContext(ctx context.Context, e *Execution) context.Context {
	return context.WithValue(ctx, executionKey{}, e)
}

// Current returns the execution that ctx belongs to, or an empty one outside
// of a handler.
func Current(ctx context.Context) *Execution {
	if e, ok := ctx.Value(executionKey{}).(*Execution); ok {
		return e
	}
	return &Execution{}
}

// IdempotencyKey returns the key that is the same for every attempt of this
// run of the task (task id and run). Delivery is at least once: hand the key
// to whatever the handler changes outside, so that a second attempt has no
// second effect. It is empty outside of a handler.
func IdempotencyKey(ctx context.Context) string {
	e := Current(ctx)
	if e.ID == "" {
		return ""
	}
	return e.IdempotencyKey()
}

// MaxState is the size in bytes up to which [Checkpoint] takes state. Beyond
// some 500 bytes every write of the row costs a second write unit.
const MaxState = 4096

// maxNote is how much of a progress note is kept, in bytes.
const maxNote = 120

// Progress tells callers how far the task has come. One call updates the row,
// renews the lease and extends the message's visibility timeout, so a handler
// that reports progress is not taken over while it works. Each call is one
// write; report a few times a minute, not per item. [ErrLeaseLost] means that
// another worker owns the task: stop.
func Progress(ctx context.Context, done, total int64, note string) error {
	a := Advance{Done: done, Total: total, Note: note}
	if err := a.clean(); err != nil {
		return err
	}
	e := Current(ctx)
	if e.Reporter == nil {
		return nil
	}
	return e.Reporter.Progress(ctx, a)
}

// clean makes an advance fit to be stored.
func (a *Advance) clean() error {
	if a.Done < 0 || a.Total < 0 {
		return Permanent(fmt.Errorf("progress of %d out of %d: neither may be negative", a.Done, a.Total))
	}
	a.Note = CleanText(a.Note, maxNote)
	return nil
}

// Checkpoint stores state, as JSON of at most [MaxState] bytes, for the next
// attempt to [Restore], and renews the lease as [Progress] does. It returns
// [ErrCanceled] when a cancel was requested and [ErrLeaseLost] when another
// worker owns the task; the handler returns either as it is.
func Checkpoint(ctx context.Context, state any) error { return checkpoint(ctx, state, nil) }

// CheckpointAt is [Checkpoint] and [Progress] in one write.
func CheckpointAt(ctx context.Context, state any, a Advance) error {
	if err := a.clean(); err != nil {
		return err
	}
	return checkpoint(ctx, state, &a)
}

func checkpoint(ctx context.Context, state any, a *Advance) error {
	raw, err := json.Marshal(state)
	if err != nil {
		return Permanent(fmt.Errorf("checkpoint: %w", err))
	}
	if len(raw) > MaxState {
		return Permanent(fmt.Errorf("checkpoint of %d bytes: at most %d are kept", len(raw), MaxState))
	}
	e := Current(ctx)
	if e.Reporter == nil {
		return nil
	}
	return e.Reporter.Checkpoint(ctx, raw, a)
}

// TimeLeft is how long a handler may still work. Its context ends early enough
// that the worker can settle the task before the function's time-out, so work
// that takes longer stores a [Checkpoint] and returns [ErrYield] while there is
// some time left. It is not positive once ctx has ended, and the largest
// duration if ctx never ends by itself.
func TimeLeft(ctx context.Context) time.Duration {
	if ctx.Err() != nil {
		return 0
	}
	end, ok := ctx.Deadline()
	if !ok {
		return math.MaxInt64
	}
	return time.Until(end)
}

// Restore reads the last checkpoint into state and reports whether there was
// one. A checkpoint that does not fit state is an error, permanent because no
// retry changes it.
func Restore(ctx context.Context, state any) (bool, error) {
	raw := Current(ctx).State
	if len(raw) == 0 {
		return false, nil
	}
	if err := json.Unmarshal(raw, state); err != nil {
		return false, Permanent(fmt.Errorf("restore checkpoint: %w", err))
	}
	return true, nil
}

var (
	errNothing  = errors.New("a JSON value is missing")
	errTrailing = errors.New("unexpected data after the JSON value")
)

// Decode reads exactly one JSON value into v and refuses unknown fields and
// trailing data, so that a typing mistake is an error and not a default.
func Decode(raw []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); errors.Is(err, io.EOF) {
		return errNothing
	} else if err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errTrailing
	}
	return nil
}
