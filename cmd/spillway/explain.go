package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go"

	"github.com/spillway-go/spillway/pkg/client"
)

// errNoRegion means that neither flags nor AWS configuration name a region.
var errNoRegion = errors.New("no region")

// credentialsError means that there is nothing to sign requests with.
type credentialsError struct{ err error }

func (e *credentialsError) Error() string { return "no AWS credentials: " + e.err.Error() }
func (e *credentialsError) Unwrap() error { return e.err }

// explain makes err one sentence that says what to do about it.
func (a *app) explain(err error) string {
	msg := a.advice(err)
	if e, ok := errors.AsType[*client.SubmitError](err); ok && e.OutcomeUnknown {
		msg += fmt.Sprintf("\nThe task may have been accepted all the same: submit it again with `--idempotency-key %s`, which starts no second one.", e.IdempotencyKey)
	}
	return msg
}

func (a *app) advice(err error) string {
	if _, ok := errors.AsType[config.SharedConfigProfileNotExistError](err); ok {
		return fmt.Sprintf("there is no AWS profile of that name (%v): see `aws configure list-profiles`, and name one with --profile", rootCause(err))
	}
	if e, ok := errors.AsType[*credentialsError](err); ok {
		return adviceOnCredentials(e)
	}
	if errors.Is(err, context.DeadlineExceeded) && a.flags.timeout > 0 {
		return fmt.Sprintf("gave up after %s: allow more time with --timeout", a.flags.timeout)
	}
	if errors.Is(err, errNoStack) {
		return fmt.Sprintf("there is no stack named %q %s: deploy it with `make deploy` (`make run` for the local one), or name it with --stack", a.flags.stack, a.where())
	}
	if errors.Is(err, errNoRegion) || errors.Is(err, client.ErrNoRegion) {
		return "no AWS region is configured: give one with --region or AWS_REGION"
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		at := a.target.apiURL
		if at == "" {
			at = a.target.endpoint
		}
		if isLoopback(at) {
			return fmt.Sprintf("nothing answers at %s: start it with `make run`", at)
		}
		return fmt.Sprintf("nothing answers at %s (connection refused): check the address and the network", at)
	}
	if e, ok := errors.AsType[*client.APIError](err); ok {
		return a.adviceOnAPI(e)
	}
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		return adviceOnAWS(e)
	}
	return err.Error()
}

// where is where AWS was looked for.
func (a *app) where() string {
	where := "in " + a.target.cfg.Region
	if a.target.endpoint != "" {
		where += " at " + a.target.endpoint
	}
	return where
}

func adviceOnCredentials(e *credentialsError) string {
	text := strings.ToLower(e.Error())
	if strings.Contains(text, "expired") || strings.Contains(text, "sso") {
		return fmt.Sprintf("the AWS credentials have expired or cannot be refreshed (%v): sign in again, for example with `aws sso login`", rootCause(e))
	}
	return fmt.Sprintf("no AWS credentials (%v): run `aws configure`, set AWS_PROFILE, or name a profile with --profile; for the local stack run `eval \"$(make env)\"`", rootCause(e))
}

func adviceOnAWS(e smithy.APIError) string {
	switch e.ErrorCode() {
	case "ExpiredToken", "ExpiredTokenException", "RequestExpired":
		return "the AWS credentials have expired: sign in again, for example with `aws sso login`"
	case "InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch", "InvalidSignatureException":
		return fmt.Sprintf("AWS does not accept these credentials (%s): check the profile, the keys and this machine's clock", e.ErrorCode())
	case "AccessDenied", "AccessDeniedException":
		return fmt.Sprintf("not allowed: this identity needs cloudformation:DescribeStacks on the stack, or give the API's address with --api-url (%s)", e.ErrorMessage())
	default:
		return fmt.Sprintf("AWS answered %s: %s", e.ErrorCode(), e.ErrorMessage())
	}
}

func (a *app) adviceOnAPI(e *client.APIError) string {
	detail := clean(e.Detail)
	lower := strings.ToLower(detail)
	switch {
	case e.Code == client.ErrForbidden.Error() && strings.Contains(lower, "signature expired"),
		strings.Contains(lower, "not yet current"):
		return "the API refused the signature for its time: set this machine's clock (`spillway doctor` shows by how much it is off)"
	case e.Code == client.ErrForbidden.Error() && strings.Contains(lower, "expired"):
		return "the AWS credentials have expired: sign in again, for example with `aws sso login`"
	case e.Foreign && strings.Contains(lower, "missing authentication token"),
		e.Foreign && e.Code == client.ErrNotFound.Error():
		return fmt.Sprintf("there is no Spillway API at %s (%d %s): check --api-url, or deploy again", a.target.apiURL, e.Status, detail)
	case e.Code == client.ErrForbidden.Error():
		return fmt.Sprintf("the API refused this identity (%d %s): it needs the permission execute-api:Invoke on the API's ARN (arn:aws:execute-api:REGION:ACCOUNT:API/*)", e.Status, detail)
	case e.Code == client.ErrNotFound.Error():
		return "no such task: check the id; another tenant's tasks and those past their retention are not shown"
	case e.Code == client.ErrTaskFinished.Error():
		return "too late, the task has already finished: `spillway get` shows how"
	case e.Code == client.ErrIdempotencyKeyReused.Error():
		return "this idempotency key was used for another task within 24 hours: take a new one, or submit the very same task"
	case e.Code == client.ErrTooManyRequests.Error():
		return fmt.Sprintf("the API is asked too much at the moment (%s): try again in a while, or with less --concurrency", detail)
	case e.Status >= 500:
		return fmt.Sprintf("the API could not answer (%d %s %s): try again; if it stays so, see the function's log", e.Status, e.Code, detail)
	default:
		return fmt.Sprintf("the API refused this (%d %s): %s", e.Status, e.Code, detail)
	}
}

// rootCause is the innermost error: the SDK wraps in up to ten layers, each
// with its own prefix.
func rootCause(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}
