package saga

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

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
	CodeInvalidInput = "invalid_input" // for a function's own use: what its input asks for cannot be
	CodeInvalidCall  = "invalid_call"  // the payload is not what the step takes; it may have been done before all the same
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
// [Step.Business] has to list it. The ledger keeps an action's, so the step stays
// refused for this saga. Business(c, nil) is nil.
func Business(code string, err error) error {
	if err == nil {
		return nil
	}
	return businessError{err, code}
}

// asLambda names an error for the state machine, which knows it by errorType.
func asLambda(ctx context.Context, err error) error {
	code := codeError
	if b, ok := errors.AsType[businessError](err); ok {
		code = b.code
	} else if _, ok := errors.AsType[*task.PanicError](err); ok {
		code = codePanic
	}
	return messages.InvokeResponse_Error{Type: code, Message: messageOf(ctx, err)}
}

// messageOf is what callers are told of an error: it has no stack, no more than a
// row keeps, and nothing that AWS said, which is for the log.
func messageOf(ctx context.Context, err error) string {
	_, operation := errors.AsType[*smithy.OperationError](err)
	_, said := errors.AsType[smithy.APIError](err)
	if operation || said {
		slog.ErrorContext(ctx, "step failed", slog.Any("error", err))
		return "a call to AWS failed, and the function's log says which"
	}
	return plain.Replace(task.FailureOf(err).Message)
}

// plain takes out of a message what JSON escapes: the state machine cuts it out
// of the text of an error.
var plain = strings.NewReplacer(`"`, "'", `\`, "/", "\n", " ", "\t", " ", "&", "+", "<", "(", ">", ")")

// failure is a refusal as the ledger keeps it.
type failure struct {
	Code    string `json:"code"`
	Message string `json:"message"`
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
	return Business(CodeInvalidCall, fmt.Errorf(format, args...))
}
