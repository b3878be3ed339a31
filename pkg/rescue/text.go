package rescue

import (
	"errors"

	"github.com/aws/smithy-go"

	"github.com/spillway-go/spillway/pkg/task"
)

// publicText is an error as the archive keeps it, where operators read it. What
// AWS says names accounts and resources, and is for the log: of that it is the
// code only.
func publicText(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return task.CleanText(api.ErrorCode(), maxMessage)
	}
	if call, ok := errors.AsType[*smithy.OperationError](err); ok { // without an answer
		return task.CleanText(call.Service()+" "+call.Operation()+" failed", maxMessage)
	}
	return task.CleanText(err.Error(), maxMessage)
}

// failureOf describes why a record could not be worked on.
func failureOf(err error) Error {
	failure := task.FailureOf(err)
	_, said := errors.AsType[smithy.APIError](err)
	_, called := errors.AsType[*smithy.OperationError](err)
	if said || called {
		failure.Message = publicText(err)
	}
	return Error{failure.Code, failure.Message}
}
