package job

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// Run is one process's work on a job: until the job is done, or the time of its
// invocation is over. Its methods are safe for concurrent use, except where they
// say otherwise.
type Run[R any, S State, E Entry] struct {
	Job *Job[R, S]
	// Tidy says that no earlier run died: what the ledger has as dealt with is gone
	// from its source.
	Tidy bool

	engine *Engine[R, S, E]

	mu      lock          // also while the lease is renewed: no step is settled meanwhile
	ledger  *ledger[E]    // what is settled, and what this run has found out
	taken   int           // items in a step that is under way or begins next
	longest time.Duration // step
	kept    time.Time     // when the lease was last renewed
	untidy  bool          // this run may have left something in the source that is dealt with
	over    Status        // what to leave the job as; empty while it goes on
}

// lock is a mutex of one slot. Unlike a [sync.Mutex] it lets the virtual time of
// a testing/synctest bubble pass while a goroutine waits for one that calls AWS.
type lock chan struct{}

func (l lock) Lock()   { l <- struct{}{} }
func (l lock) Unlock() { <-l }

// Start creates a job, see [Engine.Create], and begins it. The error is [ErrBusy]
// when another job has the lock; there is no new job then.
func (e *Engine[R, S, E]) Start(ctx context.Context, jobID string, req R, s S, first Event) (*Run[R, S, E], error) {
	if err := e.lock(ctx, jobID, req); err != nil {
		return nil, err
	}
	j, err := e.Create(ctx, jobID, req, s, first)
	if err != nil {
		return nil, errors.Join(err, e.unlock(ctx, jobID, req, 0))
	}
	return e.begin(ctx, j, true)
}

// Begin takes a job and reads what has been done. anew is false for a hop: an
// invocation that [Options.Continue] has arranged. The error is [ErrBusy] when
// another process has the job or its lock.
func (e *Engine[R, S, E]) Begin(ctx context.Context, j *Job[R, S], anew bool) (*Run[R, S, E], error) {
	if err := e.lock(ctx, j.ID, j.Request); err != nil {
		return nil, err
	}
	return e.begin(ctx, j, anew)
}

// begin begins a job whose lock is taken.
func (e *Engine[R, S, E]) begin(ctx context.Context, j *Job[R, S], anew bool) (*Run[R, S, E], error) {
	if err := e.take(ctx, j, anew); err != nil {
		return nil, err
	}
	x := &Run[R, S, E]{Job: j, engine: e, mu: make(lock, 1), ledger: newLedger[E](), kept: time.Now()}
	if !j.fresh {
		var err error
		if x.ledger, err = e.ledger(ctx, j.ID, true); err != nil {
			return nil, errors.Join(err, e.leave(ctx, j, Stopped, j.tidy))
		}
	}
	j.fresh = false
	x.Tidy = j.tidy || len(x.ledger.entries) == 0
	p := j.State.progress()
	if p.StartedAt == 0 {
		p.StartedAt = time.Now().UnixMilli()
	}
	p.Note = ""
	if j.stop { // in the middle of the hop
		x.over = Stopped
	}
	return x, nil
}

// noteStopped is the note of a job that an error has stopped. What AWS said is
// in the log only.
const noteStopped = "stopped by a call to AWS that failed; the function's log says which"

// Drive runs work as far as the time goes, and leaves the job in order: as
// [Done] when work returns true, and otherwise for a later run. Without a job in
// its answer the error says why it is unknown how the job was left.
func (x *Run[R, S, E]) Drive(ctx context.Context, work func(context.Context) (through bool, err error)) (*Job[R, S], error) {
	e, j := x.engine, x.Job
	through, err := work(ctx)
	if errors.Is(err, errLost) {
		return nil, fmt.Errorf("%w: %s went on elsewhere", ErrBusy, j.ID)
	}
	ctx, cancel := Closing(ctx)
	defer cancel()
	status := x.over
	switch {
	case err != nil && !errors.Is(err, errNoTime) && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled):
		status = Stopped
		j.State.progress().Note = noteStopped
		e.opts.Logger.ErrorContext(ctx, "job stopped", slog.String("job_id", j.ID), slog.Any("error", err))
	case status != "":
		err = nil
	case through && err == nil:
		status = Done
	default:
		status, err = x.next(), nil
	}
	j.State.progress().Hops++
	if leaveErr := x.Leave(ctx, status); leaveErr != nil {
		return nil, errors.Join(err, leaveErr)
	}
	if status != Running {
		return j, errors.Join(err, e.Audit(ctx, j.ID, Event{What: string(status)}))
	}
	if contErr := e.opts.Continue(ctx, j.ID, j.State.progress().Hops); contErr != nil {
		// The job is stalled until it is resumed.
		e.opts.Logger.ErrorContext(ctx, "job not continued", slog.String("job_id", j.ID), slog.Any("error", contErr))
	}
	return j, nil
}

// Continue repeats the call of [Options.Continue] for a job that the invocation
// hop has left to the next one, in case the process died before it made that
// call. If it did not, the next invocation is asked for twice, and takes the job
// once. Any other job is left alone.
func (e *Engine[R, S, E]) Continue(ctx context.Context, j *Job[R, S], hop int) error {
	if next := j.State.progress().Hops; j.Status == Running && j.holder == "" && next == hop+1 && e.opts.Continue != nil {
		return e.opts.Continue(ctx, j.ID, next)
	}
	return nil
}

// Leave gives the job up in a state. [Run.Drive] does so by itself.
func (x *Run[R, S, E]) Leave(ctx context.Context, status Status) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.Job.State.progress().Counts = x.ledger.counts
	return x.engine.leave(ctx, x.Job, status, x.Tidy && !x.untidy)
}

// Fail leaves the job as [Stopped] by an error, and returns both errors.
func (x *Run[R, S, E]) Fail(ctx context.Context, err error) error {
	x.Job.State.progress().Note = noteStopped
	return errors.Join(err, x.Leave(ctx, Stopped))
}

// End lets the job end in a state of its kind once work returns.
func (x *Run[R, S, E]) End(status Status, note string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.over, x.Job.State.progress().Note = status, note
}

// next is the state of a job whose time is over.
func (x *Run[R, S, E]) next() Status {
	p := x.Job.State.progress()
	switch {
	case x.engine.opts.Continue == nil:
		return Stopped
	case p.Hops+1 >= x.engine.opts.MaxHops:
		p.Note = "it took as many invocations as a job may; resume it if it should go on"
		return Stopped
	default:
		return Running
	}
}

// keepEvery is how often a running job writes how far it is. Its lease is much
// longer.
const keepEvery = 2 * time.Second

// GoesOn reports whether the job may do another step: the invocation has the
// time, and no stop was asked for. Every two seconds it renews the lease and
// writes the state, so only the goroutine that changes the state may call it.
func (x *Run[R, S, E]) GoesOn(ctx context.Context) (bool, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.over != "" || !InTime(ctx, x.longest) {
		return false, nil
	}
	if time.Since(x.kept) < keepEvery {
		return true, nil
	}
	x.Job.State.progress().Counts = x.ledger.counts
	if err := x.engine.keep(ctx, x.Job); err != nil {
		return false, err
	}
	x.kept = time.Now()
	if x.Job.stop {
		x.over = Stopped
		return false, nil
	}
	return true, nil
}

// errNoTime says that a run ends here: its time is over, or it was asked to
// stop.
var errNoTime = errors.New("no time left")

// await returns at a moment, or errNoTime if the run ends before.
func (x *Run[R, S, E]) await(ctx context.Context, at time.Time) error {
	for {
		if more, err := x.GoesOn(ctx); err != nil || !more {
			return errors.Join(err, errNoTime)
		}
		left := time.Until(at)
		if left <= 0 {
			return ctx.Err()
		}
		timer := time.NewTimer(min(left, time.Second))
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}

// Step does one step: it writes down what is intended, does it, and writes down
// what was done. Only after that may a source forget an item. do returns one
// entry for each intent, in the same order, or none. An entry left as [Intended]
// was not tried: it is not written down, and it ends this run.
func (x *Run[R, S, E]) Step(ctx context.Context, intents []E, do func(context.Context) ([]E, error)) ([]E, error) {
	begun := time.Now()
	step, err := x.engine.intend(ctx, x.Job.ID, intents)
	if err != nil {
		return nil, err
	}
	entries, err := do(ctx)
	decided := slices.DeleteFunc(slices.Clone(entries), func(entry E) bool { return entry.Result().Outcome == Intended })
	if len(decided) > 0 {
		if failed := x.engine.conclude(ctx, x.Job.ID, step, decided); failed != nil {
			x.Untidy() // the entries may have been written
			return nil, errors.Join(err, failed)
		}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.longest = max(x.longest, time.Since(begun))
	x.ledger.put(decided...)
	if err == nil && len(decided) < len(intents) {
		err = errNoTime
	}
	return entries, err
}

// Untidy says that the source may still hold what is dealt with: a later run looks
// through all of it.
func (x *Run[R, S, E]) Untidy() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.untidy = true
}

// Known returns what is known about an item: that an earlier run has settled it,
// or what this one did.
func (x *Run[R, S, E]) Known(key string) (E, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.ledger.of(key)
}

// Entries returns all that [Run.Known] knows, in the order in which it was first
// known.
func (x *Run[R, S, E]) Entries() []E {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.Clone(x.ledger.entries)
}

// Idle reports whether no step is under way, and how many items are known.
func (x *Run[R, S, E]) Idle() (idle bool, known int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.taken == 0, len(x.ledger.entries)
}

// Room is how many more items may be taken.
func (x *Run[R, S, E]) Room(limit int) int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return limit - x.ledger.counts.used() - x.taken
}

// take counts items that a step begins with, or has ended with when n is
// negative.
func (x *Run[R, S, E]) take(n int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.taken += n
}
