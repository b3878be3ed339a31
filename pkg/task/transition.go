package task

import (
	"iter"
	"slices"
)

// Cause is what brings a task from one state to another.
type Cause string

// The causes of transitions.
const (
	// CauseClaim is a worker that leases the task, also one whose lease lapsed.
	CauseClaim Cause = "claim"
	// CauseDefer is a handler that leaves the task to somebody else.
	CauseDefer Cause = "defer"
	// CauseRelease is a worker that hands the task back without beginning it.
	CauseRelease Cause = "release"
	// CauseYield is a handler whose work goes on from its checkpoint in another
	// invocation, no attempt counted.
	CauseYield Cause = "yield"
	// CauseRetry is an attempt that failed while others are left.
	CauseRetry Cause = "retry"
	// CauseSucceed is a handler's result.
	CauseSucceed Cause = "succeed"
	// CauseFail is a permanent error.
	CauseFail Cause = "fail"
	// CauseDeadLetter is the last attempt's error, a worker that vanished in
	// every attempt, or a message that was passed on too often.
	CauseDeadLetter Cause = "dead letter"
	// CauseCancel is a caller's wish: at once while nobody works on the task,
	// else when its worker notices.
	CauseCancel Cause = "cancel"
	// CauseExpire is a deadline that passed while nobody worked on the task:
	// before an attempt began, between two, or after its lease lapsed.
	CauseExpire Cause = "expire"
	// CauseReplay is an operator who has the task run again, as by moving its
	// dead letter back; a running one only when its lease lapsed.
	CauseReplay Cause = "replay"
)

// Transition is one legal change of a task's state.
type Transition struct {
	From, To Status
	Cause    Cause
}

// transitions holds every legal change; what is missing is refused.
var transitions = []Transition{
	{Queued, Running, CauseClaim},
	{Queued, Canceled, CauseCancel},
	{Queued, Expired, CauseExpire},

	{Running, Queued, CauseRelease},
	{Running, Queued, CauseYield},
	{Running, Queued, CauseRetry},
	{Running, Queued, CauseReplay},
	{Running, Running, CauseClaim},
	{Running, Running, CauseDefer},
	{Running, Succeeded, CauseSucceed},
	{Running, Failed, CauseFail},
	{Running, Canceled, CauseCancel},
	{Running, Expired, CauseExpire},
	{Running, DeadLettered, CauseDeadLetter},

	{Failed, Queued, CauseReplay},

	{DeadLettered, Queued, CauseReplay},
	{DeadLettered, Canceled, CauseCancel},
}

// Transitions are all legal changes, ordered by the state that they lead out
// of, then by the one that they lead to, as in [Statuses]. Two states appear
// once for each cause that leads from one to the other. A new task begins as
// [Queued].
func Transitions() iter.Seq[Transition] { return slices.Values(transitions) }

// changes reports whether a legal change is as asked.
func changes(asked func(Transition) bool) bool { return slices.ContainsFunc(transitions, asked) }
