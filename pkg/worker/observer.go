package worker

import (
	"context"
	"time"
)

// Observer is told what a [Worker] does. A nil function costs nothing, and one
// that is set costs its own time: the worker allocates nothing for it.
//
// The functions are called from several goroutines of one batch, and must be
// safe for concurrent use. They must not block: the worker waits for each call,
// within the time of the batch. A panic in one is logged, and the worker goes
// on. ctx is that of the invocation; it may have been canceled.
//
// Events carry no input and no result. Those of one task come in order, except
// that the end of an attempt and its settlement may come at the same time.
// Delivery is at least once, so a later batch may tell of the same task again.
type Observer struct {
	BatchBegun func(ctx context.Context, e BatchBegun)
	BatchDone  func(ctx context.Context, e BatchDone)

	// AttemptBegun comes right before the handler is called, and AttemptEnded
	// exactly once after it, unless the process ends first.
	AttemptBegun func(ctx context.Context, e AttemptBegun)
	AttemptEnded func(ctx context.Context, e AttemptEnded)

	Settled func(ctx context.Context, e Settled)
	Moved   func(ctx context.Context, e Moved)
	Waited  func(ctx context.Context, e Waited)
}

// Subject is what an event is about. For a message that is not a task of this
// pipeline only MessageID is known.
type Subject struct {
	MessageID string // of SQS
	TaskID    string
	Type      string
	Tenant    string
	Run       int
}

// BatchBegun says that the worker has received a batch.
type BatchBegun struct {
	Queue   string // the role of the queue: "tasks", "backlog"
	Records int
}

// BatchDone says that the worker is about to answer Lambda.
type BatchDone struct {
	Queue    string
	Records  int
	Begun    int // handlers
	Back     int // messages that SQS delivers again
	Rejected int // messages without a task of this pipeline
	Took     time.Duration
}

// AttemptBegun says that a handler is about to be called.
type AttemptBegun struct {
	Subject
	Attempt int // 1 for the first one of a run
}

// AttemptEnded says that a handler has returned or panicked, or was given up.
type AttemptEnded struct {
	Subject
	Attempt int
	Took    time.Duration
	Class   Class
	Code    string // error code of a failure, as in the task's row
}

// Class is how an attempt ended.
type Class string

// The classes. The last four are failures.
const (
	ClassSuccess   Class = "success"
	ClassDeferred  Class = "deferred"   // [task.ErrDeferred]
	ClassYielded   Class = "yielded"    // [task.ErrYield], with progress
	ClassCanceled  Class = "canceled"   // the handler stopped because of a cancel request
	ClassLeaseLost Class = "lease_lost" // the handler stopped because another worker owns the task
	ClassError     Class = "error"      // may succeed when it is tried again
	ClassPermanent Class = "permanent"  // [task.Permanent]
	ClassTimeout   Class = "timeout"    // the handler reached its deadline
	ClassPanic     Class = "panic"
)

// Settled says what the table made of a task.
type Settled struct {
	Subject
	Outcome  Outcome
	Attempts int    // counted in this run, 0 if the worker did not claim the task
	Code     string // error code of a failed or dead-lettered task
}

// Outcome is what became of a task.
type Outcome string

// The outcomes. The first five end the run.
const (
	OutcomeSucceeded    Outcome = "succeeded"
	OutcomeFailed       Outcome = "failed"
	OutcomeDeadLettered Outcome = "dead_lettered"
	OutcomeCanceled     Outcome = "canceled"
	OutcomeExpired      Outcome = "expired"
	OutcomeDeferred     Outcome = "deferred"   // something else completes it
	OutcomeRetry        Outcome = "retry"      // queued for another attempt
	OutcomeYielded      Outcome = "yielded"    // queued to go on from its checkpoint
	OutcomeReleased     Outcome = "released"   // not begun, no attempt is counted
	OutcomeLeaseLost    Outcome = "lease_lost" // another worker owns it, nothing was written
)

// Moved says that a copy of a message has arrived in a queue, in the place of
// the message.
type Moved struct {
	Subject
	From, To string // roles; To is [DeadLetters] for a dead letter
	Why      Reason
	Code     string    // error code of a dead letter
	Until    time.Time // when the copy can be received; zero for at once
}

// DeadLetters stands for the dead-letter queue in [Moved].
const DeadLetters = "dead_letters"

// Waited says that a message comes back to the worker. Where SQS cannot be told
// when, that is at the end of its visibility timeout.
type Waited struct {
	Subject
	Why   Reason
	Until time.Time
}

// Reason is why a message is moved or waits.
type Reason string

// Reasons of [Moved].
const (
	WhyAged        Reason = "aged"         // older than [Options.BacklogAfter]
	WhyFailedOften Reason = "failed_often" // [Options.BacklogFailures]
	WhyWorn        Reason = "worn"         // received too often to be handed back
	WhyYielded     Reason = "yielded"      // the task goes on from its checkpoint
	WhyRejected    Reason = "rejected"     // dead letter of a message whose task is not the worker's
	WhyBuried      Reason = "buried"       // dead letter of a task without attempts or hops left
)

// Reasons of [Waited].
const (
	WhyRetry        Reason = "retry"         // the attempt failed
	WhyRetryAfter   Reason = "retry_after"   // the handler asked by [task.RetryAfter]
	WhyReleased     Reason = "released"      // there was no time to begin it
	WhyHeld         Reason = "held"          // another worker holds the task, or its time has not come
	WhyLeaseLost    Reason = "lease_lost"    // another worker has taken it over
	WhyNewerVersion Reason = "newer_version" // of the message: a newer worker reads it
	WhyUnavailable  Reason = "unavailable"   // the table or a queue did not answer
)
