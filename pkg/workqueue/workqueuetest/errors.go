package workqueuetest

import (
	"fmt"

	"github.com/aws/smithy-go"
)

// Error is a refusal as SQS words it. Calls made in memory return it; a
// transport that answers the SDK's client writes Shape as the error's type and
// Code into the header x-amzn-query-error, as SQS does
// (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-json-faqs.html).
type Error struct {
	// Shape is the error's name in the service model, such as
	// QueueDoesNotExist.
	Shape string
	// Code is what the SDK's ErrorCode returns: the code of the older query
	// protocol, such as AWS.SimpleQueueService.NonExistentQueue.
	Code    string
	Message string
	Status  int // of the HTTP response
}

var _ smithy.APIError = (*Error)(nil)

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// ErrorCode implements [smithy.APIError].
func (e *Error) ErrorCode() string { return e.Code }

// ErrorMessage implements [smithy.APIError].
func (e *Error) ErrorMessage() string { return e.Message }

// ErrorFault implements [smithy.APIError]: every refusal here is the caller's
// fault.
func (e *Error) ErrorFault() smithy.ErrorFault { return smithy.FaultClient }

// statuses are the HTTP statuses that differ from 400. They, the shapes and
// the codes are those of the service model, which every SDK contains, and of
// the API reference's error tables
// (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/Welcome.html).
var statuses = map[string]int{
	"OverLimit": 403, "PurgeQueueInProgress": 403, "ReceiptHandleIsInvalid": 404, "ResourceNotFoundException": 404,
}

// refuse returns the error of a shape whose query code is the shape itself.
func refuse(shape, format string, args ...any) *Error {
	status := 400
	if s, ok := statuses[shape]; ok {
		status = s
	}
	return &Error{Shape: shape, Code: shape, Message: fmt.Sprintf(format, args...), Status: status}
}

// prefixed is refuse for a shape whose query code has SQS's prefix.
func prefixed(shape, format string, args ...any) *Error {
	e := refuse(shape, format, args...)
	e.Code = "AWS.SimpleQueueService." + shape
	return e
}

func noQueue() *Error {
	e := prefixed("QueueDoesNotExist", "The specified queue does not exist.")
	e.Code = "AWS.SimpleQueueService.NonExistentQueue"
	return e
}

// invalid is the refusal of a parameter. The model does not list it, so no
// page says its code; answers recorded on AWS do
// (https://github.com/localstack/localstack/blob/b648df1bab27e187f2798cefc82cfb8e230fa925/tests/aws/services/sqs/test_sqs.snapshot.json).
func invalid(format string, args ...any) *Error {
	e := refuse("InvalidParameterValueException", format, args...)
	e.Code = "InvalidParameterValue"
	return e
}

// invalidValue is invalid in the words for a single value.
func invalidValue(value any, parameter, reason string) *Error {
	return invalid("Value %v for parameter %s is invalid. Reason: %s", value, parameter, reason)
}

func missing(parameter string) *Error {
	e := refuse("MissingRequiredParameterException", "The request must contain the parameter %s.", parameter)
	e.Code = "MissingParameter"
	return e
}
