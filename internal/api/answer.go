package api

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/spillway-go/spillway/pkg/intake"
	"github.com/spillway-go/spillway/pkg/tasktable"
)

type (
	request  = events.APIGatewayProxyRequest
	response = events.APIGatewayProxyResponse
)

// problem is an error as RFC 9457 describes it.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Code   string `json:"code"`
	Detail string `json:"detail,omitempty"`
}

// Codes of problems beside those of package intake.
const (
	codeNotFound     = "not_found"
	codeFinished     = "task_finished"
	codeMediaType    = "unsupported_media_type"
	codeUnavailable  = "unavailable"
	codeTimeout      = "timeout"
	retrySoonSeconds = 1
)

// statuses maps a problem's code to its HTTP status.
var statuses = map[string]int{
	intake.CodeInvalid:     http.StatusBadRequest,
	intake.CodeUnknownType: http.StatusBadRequest,
	intake.CodeTooLarge:    http.StatusRequestEntityTooLarge,
	intake.CodeKeyReused:   http.StatusUnprocessableEntity,
	codeNotFound:           http.StatusNotFound,
	codeFinished:           http.StatusConflict,
	codeMediaType:          http.StatusUnsupportedMediaType,
	codeUnavailable:        http.StatusServiceUnavailable,
	codeTimeout:            http.StatusGatewayTimeout,
}

func answer(status int, body any, headers map[string]string) response {
	text, err := json.Marshal(body)
	if err != nil { // a stored result that is not JSON: nothing that a handler can write
		return problemAnswer(codeUnavailable, "The task cannot be shown.")
	}
	if headers == nil {
		headers = map[string]string{}
	}
	headers["Content-Type"] = "application/json"
	headers["Cache-Control"] = "no-store"
	return response{StatusCode: status, Headers: headers, Body: string(text)}
}

func problemAnswer(code, detail string) response {
	status := statuses[code]
	text, err := json.Marshal(problem{
		Type: "about:blank", Title: http.StatusText(status), Status: status, Code: code, Detail: detail,
	})
	if err != nil {
		panic(err) // strings and a number only
	}
	headers := map[string]string{"Content-Type": "application/problem+json", "Cache-Control": "no-store"}
	if status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout {
		headers["Retry-After"] = strconv.Itoa(retrySoonSeconds)
	}
	return response{StatusCode: status, Headers: headers, Body: string(text)}
}

const outcomeUnknown = "The outcome is unknown. It is safe to repeat the request; a POST needs the same Idempotency-Key for that."

// answerMargin is kept back from the function's time: a function that is cut
// off while it waits for the table cannot say so.
const answerMargin = 500 * time.Millisecond

// inTime ends the context early enough to answer that it ended.
func inTime(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, limited := ctx.Deadline()
	if !limited {
		return ctx, func() {}
	}
	return context.WithDeadline(ctx, deadline.Add(-answerMargin))
}

// failure answers an error. What it says of inner workings goes to the log,
// not to the caller.
func failure(ctx context.Context, err error) response {
	var refused *intake.RefusedError
	switch {
	case errors.As(err, &refused):
		return problemAnswer(refused.Code, refused.Detail)
	case errors.Is(err, tasktable.ErrNotFound):
		return problemAnswer(codeNotFound, "There is no such task, or it is not kept any more.")
	case errors.Is(err, context.DeadlineExceeded):
		slog.ErrorContext(ctx, "out of time", slog.Any("error", err))
		return problemAnswer(codeTimeout, outcomeUnknown)
	default:
		slog.ErrorContext(ctx, "request failed", slog.Any("error", err))
		return problemAnswer(codeUnavailable, outcomeUnknown)
	}
}
