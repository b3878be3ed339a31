package intake

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spillway-go/spillway/pkg/task"
)

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

// explain says what is wrong with an input in the caller's words: package
// json's errors name Go types, which mean nothing outside.
func explain(err error) string {
	text := strings.TrimPrefix(err.Error(), "json: ")
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		text = fmt.Sprintf("%s is of the wrong type", wrong.Value)
		if wrong.Field != "" {
			text = fmt.Sprintf("%q is of the wrong type: %s", wrong.Field, wrong.Value)
		}
	}
	return task.CleanText(text, 400)
}
