package task

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"time"
)

// ErrDeferred is returned by a handler whose task someone else completes, for
// example a state machine that it started. The task stays running.
var ErrDeferred = errors.New("completion is deferred")

// ErrYield is returned by a handler whose work goes on from its checkpoint in
// another invocation, for example because the time of this one runs out (see
// [TimeLeft]). That is at once and no attempt, so a task may yield as often as
// it needs to until its deadline, if its checkpoint is another one than it
// began with. A handler that yields without such a checkpoint has failed with
// [CodeNoProgress], and is retried as after any other error.
var ErrYield = errors.New("the work goes on from its checkpoint")

// ErrCanceled is returned by [Checkpoint] when a cancel was requested. The
// handler returns it, and the task becomes canceled.
var ErrCanceled = errors.New("the task was canceled")

// ErrLeaseLost is returned by [Progress] and [Checkpoint] when another worker
// has taken the task over. The handler returns it; nothing that it did after
// that is recorded.
var ErrLeaseLost = errors.New("the lease on the task is lost")

// Error codes that Spillway itself gives to failures.
const (
	CodeHandlerError = "handler_error" // an error without a code of its own
	CodeInvalidInput = "invalid_input" // the input does not match the type
	CodeUnknownType  = "unknown_task_type"
	CodePanic        = "panic"
	CodeTimeout      = "timeout"     // the handler reached its deadline
	CodeWorkerLost   = "worker_lost" // the worker vanished in every attempt
	CodeNoProgress   = "no_progress" // the handler yielded and left no newer checkpoint
)

type permanentError struct{ error }

func (e permanentError) Unwrap() error { return e.error }

// Permanent marks err as one that no retry can mend. A task fails now, whatever
// attempts are left, and leaves no dead letter: its row says why. In package
// batch, which has no rows, the record goes to the dead-letter queue at once.
// Permanent(nil) is nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return permanentError{err}
}

// IsPermanent reports whether err was marked by [Permanent].
func IsPermanent(err error) bool {
	var p permanentError
	return errors.As(err, &p)
}

type retryAfterError struct {
	error
	after time.Duration
}

func (e retryAfterError) Unwrap() error { return e.error }

// RetryAfter asks for another attempt, not before d has passed (SQS can wait
// at most 12 hours; longer is cut). It counts as an attempt as any other error
// does. A nil err stands for "not ready yet".
func RetryAfter(d time.Duration, err error) error {
	if err == nil {
		err = errors.New("not ready yet")
	}
	return retryAfterError{err, max(d, 0)}
}

// RetryDelay returns the delay that [RetryAfter] asked for.
func RetryDelay(err error) (time.Duration, bool) {
	var r retryAfterError
	if errors.As(err, &r) {
		return r.after, true
	}
	return 0, false
}

type codedError struct {
	error
	code string
}

func (e codedError) Unwrap() error { return e.error }

// Code gives err a code for machines (snake_case, at most 64 bytes are kept).
// Code(c, nil) is nil.
func Code(code string, err error) error {
	if err == nil {
		return nil
	}
	return codedError{err, code}
}

// PanicError is a panic in a handler, caught.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// LogValue implements [slog.LogValuer]. What a handler panics with may quote
// what it worked on, so a log shows the value's type only; of the runtime's own
// errors, such as an index out of range, it shows the text.
func (e *PanicError) LogValue() slog.Value {
	if err, ok := e.Value.(runtime.Error); ok {
		return slog.StringValue("panic: " + err.Error())
	}
	return slog.StringValue(fmt.Sprintf("panic: a value of type %T", e.Value))
}

const (
	maxCode    = 64
	maxMessage = 400
)

// Failure is why a task failed, as stored and as answered by the API.
type Failure struct {
	Code      string `json:"code"`
	Message   string `json:"message"`
	Retryable bool   `json:"retryable"`
}

// FailureOf describes err: the code given by [Code] (or one of Spillway's
// own), the message bounded to 400 bytes and free of characters that no queue
// or document accepts. A panic shows its value but never its stack.
func FailureOf(err error) Failure {
	f := Failure{Code: CodeHandlerError, Message: CleanText(err.Error(), maxMessage), Retryable: !IsPermanent(err)}
	var coded codedError
	var panicked *PanicError
	switch {
	case errors.As(err, &coded):
		f.Code = CleanText(coded.code, maxCode)
	case errors.As(err, &panicked):
		f.Code = CodePanic
	case errors.Is(err, context.DeadlineExceeded):
		f.Code = CodeTimeout
	}
	return f
}
