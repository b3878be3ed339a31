package worker

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/spillway-go/spillway/pkg/batch"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

// verdict is how the work on one task ended.
type verdict struct {
	job    *job
	step   step // byOutcome: result and err decide
	result json.RawMessage
	err    error

	wait time.Duration // the least that the message stays away, if it comes back

	// Filled in by the ledger.
	begun    bool // the handler was called: this is an attempt
	canceled bool // the handler has seen that a cancel was requested
	advanced bool // the handler has left a newer checkpoint than it began with
	took     time.Duration

	// Filled in by explain, of a failure for good: how it is written to the
	// table, and the record of it that the row and the dead letter carry.
	failed tasktable.Settlement
	record workqueue.FailureRecord
}

// step is what is done about a task when the work on it is over.
type step string

const (
	byOutcome  step = ""        // not decided yet
	succeed    step = "succeed" // record the result
	deferTask  step = "defer"   // somebody else completes it
	drop       step = "drop"    // somebody newer owns it: nothing is written
	cancelTask step = "cancel"  // as was requested
	expireTask step = "expire"  // its deadline passed before it began
	fail       step = "fail"    // for good, no dead letter
	yield      step = "yield"   // goes on from its checkpoint, no attempt
	retry      step = "retry"   // later
	release    step = "release" // not begun: for anybody to begin, no attempt
	bury       step = "bury"    // its attempts are used up: dead letter
)

// codeHops is the error code of a message that cannot be passed on any more.
const codeHops = "hops_exhausted"

var errHops = task.Code(codeHops, errors.New("the message was handed back too often"))

// decide settles what the verdict leaves open: what the handler's outcome
// means, and that a message that cannot come back is buried instead.
func (s *shift) decide(v *verdict) {
	if v.step == byOutcome {
		v.step = s.stepAfter(v)
	}
	if (v.step == retry || v.step == release) && s.stuck(v.job) {
		if v.step == release {
			v.err = errHops
		}
		v.step = bury
	}
	if v.step == release && v.err != nil && !errors.Is(v.err, batch.ErrNotBegun) {
		v.wait = outageWait
	}
}

var errNoProgress = task.Code(task.CodeNoProgress, errors.New("the handler yielded and left no newer checkpoint"))

// stepAfter is what a handler's outcome means.
func (s *shift) stepAfter(v *verdict) step {
	yielded := errors.Is(v.err, task.ErrYield)
	if yielded && !v.advanced {
		v.err = errNoProgress // else it could yield for ever
	}
	switch {
	case v.err == nil:
		return succeed
	case errors.Is(v.err, task.ErrDeferred):
		return deferTask
	case errors.Is(v.err, task.ErrLeaseLost):
		return drop
	case v.canceled:
		return cancelTask
	case yielded && v.advanced:
		return yield
	case task.IsPermanent(v.err):
		return fail
	case v.job.row.Counted() >= s.w.opts.MaxAttempts:
		return bury
	default:
		return retry
	}
}

// failure is why a task fails.
func (v *verdict) failure() task.Failure {
	switch r := v.job.row; {
	case v.err != nil:
		return task.FailureOf(v.err)
	case r.Vanished() || r.Error == nil: // its attempts were used up when it was claimed
		return task.Failure{Code: task.CodeWorkerLost, Message: "the worker vanished in every attempt: it crashed, or ran into its time-out", Retryable: true}
	default:
		return *r.Error
	}
}

// explain makes the record of a task that fails for good, once for its row and
// its dead letter.
func (s *shift) explain(ctx context.Context, v *verdict) {
	r, end := v.job.row, tasktable.Fail
	switch v.step {
	case fail:
	case bury:
		end = tasktable.DeadLetter
	default:
		return
	}
	f := v.failure()
	v.failed = end(r, f)
	if !v.begun {
		v.failed = v.failed.Uncounted()
	}
	v.record = workqueue.NewFailure(ctx, f, v.attempts()).Of(v.job.rec, r.Type)
	v.record.FailedAt, v.record.History = task.At(v.failed.At()), v.failed.History()
	v.failed = v.failed.Explained(v.record.Fingerprint, json.RawMessage(v.record.Encode()))
}

// attempts is how many there have been, this one included if it is one.
func (v *verdict) attempts() int {
	if v.begun {
		return v.job.row.Counted()
	}
	return v.job.row.Counted() - 1
}

// settlement is how the verdict is written to the table. A dead letter must
// have been sent before.
func (s *shift) settlement(v *verdict) (st tasktable.Settlement) {
	r := v.job.row
	switch v.step {
	case succeed:
		return tasktable.Succeed(r, v.result)
	case deferTask:
		return tasktable.Defer(r)
	case expireTask:
		return tasktable.Expired(r)
	case release:
		return tasktable.Release(r)
	case yield:
		return tasktable.Yield(r)
	case fail, bury:
		return v.failed
	case cancelTask:
		st = tasktable.Cancel(r)
	default:
		st = tasktable.Retry(r, v.failure(), time.Now().Add(s.retryDelay(v)))
	}
	if !v.begun {
		return st.Uncounted()
	}
	return st
}

// retryDelay is how long a failed task waits: as its handler asked, else full
// jitter.
func (s *shift) retryDelay(v *verdict) time.Duration {
	d, asked := task.RetryDelay(v.err)
	if !asked {
		d = s.w.opts.Backoff.Delay(v.job.row.Counted(), nil)
	}
	return min(d, workqueue.MaxVisibility)
}
