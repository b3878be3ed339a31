package intake

import "fmt"

// Codes of a [RefusedError].
const (
	CodeInvalid     = "invalid_request"
	CodeUnknownType = "unknown_task_type"
	CodeTooLarge    = "input_too_large"
	CodeKeyReused   = "idempotency_key_reused"
)

// RefusedError is a request that can never be accepted as it is. Nothing was
// stored. Detail is meant for the caller and says what to change.
type RefusedError struct {
	Code   string
	Detail string
}

func (e *RefusedError) Error() string { return e.Code + ": " + e.Detail }

func refuse(code, format string, args ...any) error {
	return &RefusedError{Code: code, Detail: fmt.Sprintf(format, args...)}
}
