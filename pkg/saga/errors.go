package saga

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/aws/aws-lambda-go/lambda/messages"
	"github.com/aws/smithy-go"

	"github.com/spillway-go/spillway/pkg/task"
)

// ErrCompensated is what an action answers that comes after its compensation:
// it was called, its state gave up on it, it was undone, and only then it began.
// It must not begin any more.
var ErrCompensated = Business(CodeCompensated, errors.New("the step was undone, and must not begin any more"))

// Codes of failures that the handlers themselves give.
const (
	CodeCompensated  = "already_compensated"
	CodeInvalidInput = "invalid_input" // the payload is not what the step takes
	codePanic        = "panic"
	codeError        = "step_failed" // anything else: tried again, then compensated
)

type businessError struct {
	error
	code string
}

func (e businessError) Unwrap() error { return e.error }

// Business is a failure of the business, such as sold out: nothing was done, and
// no retry can help. Its code is the error's name in the state machine, where
// [Step.Business] has to list it. Business(c, nil) is nil.
func Business(code string, err error) error {
	if err == nil {
		return nil
	}
	return businessError{err, code}
}

// asLambda names an error for the state machine, which knows it by errorType.
// The message gets to callers: it has no stack, no more than a row keeps, and
// nothing that AWS said, which is for the log.
func asLambda(ctx context.Context, err error) error {
	if _, fromAWS := errors.AsType[*smithy.OperationError](err); fromAWS {
		slog.ErrorContext(ctx, "step failed", slog.Any("error", err))
		err = errors.New("a call to AWS failed, and the function's log says which")
	}
	code := codeError
	if b, ok := errors.AsType[businessError](err); ok {
		code = b.code
	} else if _, ok := errors.AsType[*task.PanicError](err); ok {
		code = codePanic
	}
	return messages.InvokeResponse_Error{Type: code, Message: task.FailureOf(err).Message}
}

// guard runs fn and makes an error of its panic.
func guard[T any](fn func() (T, error)) (v T, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &task.PanicError{Value: p}
		}
	}()
	return fn()
}

func invalid(format string, args ...any) error {
	return Business(CodeInvalidInput, fmt.Errorf(format, args...))
}
