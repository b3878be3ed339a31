package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/smithy-go"

	"github.com/spillway-go/spillway/internal/adminapi"
	"github.com/spillway-go/spillway/pkg/chaos"
	"github.com/spillway-go/spillway/pkg/redrive"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
)

// Error is an answer that is not ok.
type Error struct {
	Code    adminapi.Code
	Message string // for people; says what to do
}

func (e *Error) Error() string { return string(e.Code) + ": " + e.Message }

// codes are what errors of the packages below are answered as, with their own
// text.
var codes = []struct {
	err  error
	code adminapi.Code
}{
	{redrive.ErrNotFound, adminapi.CodeNotFound},
	{redrive.ErrUnknownQueue, adminapi.CodeUnknownQueue},
	{redrive.ErrInvalid, adminapi.CodeInvalid},
	{redrive.ErrPlanExpired, adminapi.CodePlanExpired},
	{redrive.ErrPlanUsed, adminapi.CodePlanUsed},
	{redrive.ErrBusy, adminapi.CodeJobRunning},
	{redrive.ErrUnsupported, adminapi.CodeUnsupported},
	{redrive.ErrNotRetryable, adminapi.CodeNotRetryable},
	{redrive.ErrDeadline, adminapi.CodeDeadline},
	{chaos.ErrInvalid, adminapi.CodeInvalid},
	{tasktable.ErrNotFound, adminapi.CodeNotFound},
	{tasktable.ErrFinished, adminapi.CodeFinished},
}

// describe makes an answer of an error. The cause is not nil where AWS said
// something, which is for the log only.
func describe(err error) (answer *Error, cause error) {
	if e, ok := errors.AsType[*Error](err); ok {
		return e, nil
	}
	_, fromAWS := errors.AsType[smithy.APIError](err)
	for _, c := range codes {
		switch {
		case !errors.Is(err, c.err):
		case fromAWS: // something else failed as well
			return &Error{c.code, c.err.Error()}, err
		default:
			return &Error{c.code, task.CleanText(err.Error(), 1000)}, nil
		}
	}
	return &Error{adminapi.CodeUnavailable, "a call to AWS failed, and the function's log says which; nothing is lost, and the command can be repeated"}, err
}

// maxID is longer than any id of ours.
const maxID = 128

// checkIDs refuses what no item of a table can be called, before a table does.
func checkIDs(field string, ids ...string) error {
	for _, id := range ids {
		if len(id) > maxID || id == "" {
			return &Error{adminapi.CodeInvalid, fmt.Sprintf("%q is no id: it has %d bytes, and an id has between 1 and %d", field, len(id), maxID)}
		}
	}
	return nil
}

// mistake says what is wrong with a command's fields in its user's words.
func mistake(err error) string {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && wrong.Field != "" {
		field := strings.TrimPrefix(wrong.Field, "Change.") // which is embedded
		return fmt.Sprintf("%q is of the wrong type: %s", field, task.CleanText(wrong.Value, 64))
	}
	return task.CleanText(strings.TrimPrefix(err.Error(), "json: "), 400)
}
