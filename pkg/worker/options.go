package worker

import (
	"log/slog"
	"time"

	"github.com/spillway-go/spillway/pkg/workqueue"
)

// Options tunes a [Worker]. The zero value is ready to use.
type Options struct {
	// MaxAttempts is how often a task is tried before it is dead-lettered.
	// Defaults to 5.
	MaxAttempts int

	// Backoff is the wait between attempts. A nil Backoff defaults to full
	// jitter from 2 s, doubling, up to 15 minutes; one with a zero Base
	// retries at once.
	Backoff *workqueue.Backoff

	// BacklogAfter is the age at which a message of the tasks queue moves to
	// the backlog queue, so that fresh work does not wait behind it.
	// Defaults to 5 minutes.
	BacklogAfter time.Duration

	// BacklogFailures is after how many failed attempts a task moves to the
	// backlog queue. Defaults to 3.
	BacklogFailures int

	// MaxReceiveCount is that of the queues' redrive policy. A message that
	// was received half as often is replaced by a fresh copy, so that
	// hand-backs never carry it to the dead-letter queue. Defaults to 100.
	MaxReceiveCount int

	// SettleWithin is the longest that a finished task waits for the rest of
	// its batch before it is settled; a deferred one does not wait. Defaults to
	// 2 seconds.
	SettleWithin time.Duration

	// Lease is how long a claim holds when the context has no deadline. No
	// handler begins on a lease that is over, and progress renews it. With a
	// deadline, as always in Lambda, a lease holds until just after that, when
	// the function is certain to have ended. Defaults to 5 minutes.
	Lease time.Duration

	// Margin is how long before the function's time-out the handlers' context
	// ends, so that there is time to settle and to answer; at most half of the
	// time left. Defaults to a tenth of it, at least 500 ms and at most 5 s.
	Margin time.Duration

	// Observer is told what the worker does. Defaults to none.
	Observer Observer

	// Logger defaults to [slog.Default].
	Logger *slog.Logger
}

func (o *Options) withDefaults() Options {
	var d Options
	if o != nil {
		d = *o
	}
	if d.MaxAttempts <= 0 {
		d.MaxAttempts = 5
	}
	if d.Backoff == nil {
		d.Backoff = &workqueue.Backoff{Base: 2 * time.Second, Max: 15 * time.Minute}
	}
	if d.BacklogAfter <= 0 {
		d.BacklogAfter = 5 * time.Minute
	}
	if d.BacklogFailures <= 0 {
		d.BacklogFailures = 3
	}
	if d.MaxReceiveCount <= 0 {
		d.MaxReceiveCount = 100
	}
	if d.SettleWithin <= 0 {
		d.SettleWithin = 2 * time.Second
	}
	if d.Lease <= 0 {
		d.Lease = 5 * time.Minute
	}
	if d.Logger == nil {
		d.Logger = slog.Default()
	}
	return d
}
