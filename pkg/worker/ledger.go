package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/spillway-go/spillway/pkg/task"
)

// ledger collects verdicts and settles them together: when the batch is
// through, when the oldest has waited long enough, or when one cannot wait.
type ledger struct {
	shift *shift

	mu      sync.Mutex
	pending []verdict
	timer   *time.Timer
	started int // handlers

	flushing chan struct{}  // holds a token while a settlement is under way; a channel, since that takes calls
	timers   sync.WaitGroup // that will run, or are running
}

// add takes the first verdict on a job and drops later ones, which come from
// handlers that had been given up.
func (l *ledger) add(ctx context.Context, v verdict) {
	if l.take(ctx, &v) && v.begun {
		l.shift.tellAttemptEnded(ctx, &v)
	}
}

// take is add without a word to the observer, which may take its time. It
// reports false for a verdict that is dropped.
func (l *ledger) take(ctx context.Context, v *verdict) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	j := v.job
	if j.over {
		return false
	}
	if j.begun {
		v.took = time.Since(j.beganAt)
	}
	j.over, v.begun, v.canceled, v.advanced = true, j.begun, j.cancelSeen, j.advanced
	if v.step == byOutcome && !v.begun {
		v.step = release // whatever went wrong, it was not the task's handler
	}
	l.pending = append(l.pending, *v)
	within := l.shift.w.opts.SettleWithin
	if errors.Is(v.err, task.ErrDeferred) {
		within = 0 // whoever completes the task may do so any moment, and then its attempt would not be counted
	}
	switch {
	case l.timer == nil:
		l.timers.Add(1)
		l.timer = time.AfterFunc(within, func() {
			defer l.timers.Done()
			l.flush(ctx)
		})
	case within == 0 && l.timer.Stop():
		l.timer.Reset(0)
	}
	return true
}

// begin notes that a job's handler is about to run. It reports false if the
// job has been given up meanwhile: then the handler must not run.
func (l *ledger) begin(j *job) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if j.over {
		return false
	}
	j.begun, j.beganAt = true, time.Now()
	l.started++
	return true
}

// begun is how many handlers have run or are running.
func (l *ledger) begun() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.started
}

// sawCancel notes that a handler was told of a cancel request.
func (l *ledger) sawCancel(j *job) {
	l.mu.Lock()
	defer l.mu.Unlock()
	j.cancelSeen = true
}

// sawCheckpoint notes that a handler's checkpoint is in the table.
func (l *ledger) sawCheckpoint(j *job, state json.RawMessage) {
	l.mu.Lock()
	defer l.mu.Unlock()
	j.advanced = !bytes.Equal(state, j.row.State)
}

// close settles what is pending and waits for settlements under way. The
// ledger can be used again after it.
func (l *ledger) close(ctx context.Context) {
	l.flush(ctx)
	l.timers.Wait()
}

// flush settles what is pending now.
func (l *ledger) flush(ctx context.Context) {
	l.flushing <- struct{}{}
	defer func() { <-l.flushing }()
	l.mu.Lock()
	verdicts := l.pending
	l.pending = nil
	if l.timer != nil && l.timer.Stop() {
		l.timers.Done() // it will not run
	}
	l.timer = nil
	l.mu.Unlock()
	if len(verdicts) > 0 {
		l.shift.settle(ctx, verdicts)
	}
}
