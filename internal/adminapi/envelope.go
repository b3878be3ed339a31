package adminapi

import (
	"bytes"
	"encoding/json"
	"errors"
)

// Code says why a command was refused.
type Code string

// The codes of refusals.
const (
	CodeInvalid        Code = "invalid_request"
	CodeUnknownCommand Code = "unknown_command"
	CodeUnknownField   Code = "unknown_field"
	CodeUnknownQueue   Code = "unknown_queue"
	CodeNotFound       Code = "not_found"
	CodePlanExpired    Code = "plan_expired"
	CodePlanUsed       Code = "plan_used"
	CodeJobRunning     Code = "job_running"         // one job at a time works on a queue
	CodeConfirm        Code = "confirm_required"    // a purge has to repeat the queue's name
	CodeUnsupported    Code = "unsupported"         // the queue or target has no such operation
	CodeDeadline       Code = "deadline_passed"     // the task would expire at once
	CodeNotRetryable   Code = "not_retryable"       // the task is in a state that no retry changes
	CodeFinished       Code = "task_finished"       // the task is in a state that no cancel changes
	CodeChaosDisabled  Code = "chaos_disabled"      // the stack was deployed without fault injection
	CodeCompensation   Code = "compensation_failed" // a resumed compensation has failed again
	CodeUnavailable    Code = "unavailable"         // a call to AWS failed; the command can be repeated
)

// Refusal is an answer that is not ok.
//
//nolint:errname // it is an answer in the first place
type Refusal struct {
	Code    Code   `json:"code"`
	Message string `json:"message"` // for people; says what to do
}

// Error implements error.
func (r *Refusal) Error() string { return string(r.Code) + ": " + r.Message }

// ErrNoAnswer means that a text is no answer of the admin function.
var ErrNoAnswer = errors.New("not an answer of the admin function")

// Payload returns what the function is invoked with.
func (c Command[Q, A]) Payload(q Q) (json.RawMessage, error) {
	return prepend(`{"command":"`+string(c)+`"`, q)
}

// Answer reads what the function has answered. The error is a [*Refusal] for a
// refusal, and [ErrNoAnswer] for a text of another form.
func (c Command[Q, A]) Answer(text []byte) (*A, error) {
	var head struct {
		OK *bool `json:"ok"`
		Refusal
	}
	if json.Unmarshal(text, &head) != nil || head.OK == nil {
		return nil, ErrNoAnswer
	}
	if !*head.OK {
		return nil, &head.Refusal
	}
	answer := new(A)
	if json.Unmarshal(text, answer) != nil {
		return nil, ErrNoAnswer
	}
	if a, ok := any(answer).(interface{ missing() bool }); ok && a.missing() {
		return nil, ErrNoAnswer
	}
	return answer, nil
}

// Accept returns the text of an answer that is ok.
func Accept(answer any) (json.RawMessage, error) { return prepend(`{"ok":true`, answer) }

// Refuse returns the text of a refusal.
func Refuse(r *Refusal) (json.RawMessage, error) { return prepend(`{"ok":false`, r) }

// prepend writes a struct's JSON with members in front of its own.
func prepend(head string, v any) (json.RawMessage, error) {
	text, err := Encode(v)
	if err != nil {
		return nil, err
	}
	if rest := bytes.TrimPrefix(text, []byte("{")); len(rest) > 1 {
		return append([]byte(head+","), rest...), nil
	}
	return []byte(head + "}"), nil
}

// Encode writes JSON without the escapes that web pages need: an escaped < has
// six bytes, and the size of an answer is limited.
func Encode(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), err
}
