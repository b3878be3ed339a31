package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"syscall"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"github.com/spillway-go/spillway/internal/adminapi"
)

// refusal is the admin function's answer that it did not do what was asked.
type refusal adminapi.Refusal

// Error says what to do about it.
func (e *refusal) Error() string {
	text := clean(e.Message)
	if text == "" {
		text = "the admin function refused this"
	}
	text += " (" + clean(string(e.Code)) + ")"
	switch e.Code {
	case adminapi.CodePlanExpired:
		return text + ": make a new plan, the queue may have changed meanwhile"
	case adminapi.CodePlanUsed:
		return text + ": `spillway dlq jobs` shows what came of it"
	case adminapi.CodeJobRunning:
		return text + ": one job at a time works on a queue; `spillway dlq jobs` shows it, `spillway dlq stop` ends it"
	case adminapi.CodeDeadline:
		return text + ": submit it as a new task"
	case adminapi.CodeUnknownCommand, adminapi.CodeUnknownField:
		return text + ": the stack is older than this program, bring it up with `make deploy`"
	case adminapi.CodeUnavailable:
		return text + ": try again; if it stays so, see the function's log"
	default:
		return text
	}
}

// callError is a call that came to no answer. It hides its cause from explain,
// which knows such errors from CloudFormation only.
type callError struct {
	msg    string
	unsure bool // the function may have done its work all the same
}

func (e *callError) Error() string { return e.msg }

// unsure reports whether a call that changes something may have taken effect
// though it failed.
func unsure(err error) bool {
	e, ok := errors.AsType[*callError](err)
	return ok && e.unsure
}

// functionError is an invocation that broke off.
func (o *operator) functionError(command string, payload []byte) error {
	var failure struct {
		Type    string `json:"errorType"`
		Message string `json:"errorMessage"`
	}
	_ = json.Unmarshal(payload, &failure) // what is not known stays out
	why := strings.TrimSpace(clean(failure.Type + " " + failure.Message))
	if why == "" {
		why = "no reason given"
	}
	return &callError{msg: fmt.Sprintf("the admin function %s broke off during %s (%s): see its log", o.function, command, cut(why, 300)), unsure: true}
}

// invokeError is a call that did not get through, or whose answer did not.
func (o *operator) invokeError(ctx context.Context, command string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		msg := "nothing answers at Lambda's endpoint (connection refused): check the region and the network"
		if o.target.endpoint != "" {
			msg = fmt.Sprintf("nothing answers at %s (connection refused): check the address and the network", o.target.endpoint)
		}
		if isLoopback(o.target.endpoint) {
			msg = fmt.Sprintf("nothing answers at %s: start it with `make run`", o.target.endpoint)
		}
		return &callError{msg: msg}
	}
	e, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		return &callError{msg: fmt.Sprintf("%s: no answer from the admin function (%v)", command, rootCause(err)), unsure: true}
	}
	switch e.ErrorCode() {
	case "AccessDenied", "AccessDeniedException":
		return &callError{msg: fmt.Sprintf("not allowed: this identity needs lambda:InvokeFunction on %s (%s)", o.function, clean(e.ErrorMessage()))}
	case "ResourceNotFoundException":
		return &callError{msg: fmt.Sprintf("there is no function %q %s: check --admin-function, or deploy again", o.function, o.where())}
	case "TooManyRequestsException":
		return &callError{msg: "the admin function is busy with other calls: try again in a while"}
	case "ResourceConflictException", "CodeArtifactUserPendingException":
		return &callError{msg: "the admin function is being deployed: try again in a while"}
	}
	// What Lambda refuses has not run; after an error of its own side it may have.
	resp, ok := errors.AsType[*awshttp.ResponseError](err)
	return &callError{msg: adviceOnAWS(e), unsure: !ok || resp.HTTPStatusCode() >= 500}
}
