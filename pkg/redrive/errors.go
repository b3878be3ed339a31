package redrive

import (
	"errors"
	"fmt"

	"github.com/spillway-go/spillway/internal/job"
)

// What an operator may meet. Each comes wrapped, with a text that says what to
// do.
var (
	// ErrNotFound: no such job, plan or task.
	ErrNotFound = job.ErrNotFound
	// ErrUnknownQueue: no queue has this name.
	ErrUnknownQueue = errors.New("unknown queue")
	// ErrInvalid: the request cannot mean anything.
	ErrInvalid = errors.New("invalid request")
	// ErrPlanExpired: the plan is too old to be executed.
	ErrPlanExpired = errors.New("the plan has expired")
	// ErrPlanUsed: the plan has ended for good, or is for something else.
	ErrPlanUsed = errors.New("the plan cannot be executed any more")
	// ErrBusy: another job works on the same queue.
	ErrBusy = job.ErrBusy
	// ErrUnsupported: the endpoint, or the queue, cannot do this.
	ErrUnsupported = errors.New("not supported")
	// ErrNotRetryable: the task is in a state that no retry changes.
	ErrNotRetryable = errors.New("the task cannot be retried")
	// ErrDeadline: the task's deadline has passed.
	ErrDeadline = errors.New("the deadline has passed")
)

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(format, args...))
}
