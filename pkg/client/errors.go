package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// What an [*APIError] is, for [errors.Is]. Each stands for one code of the API.
var (
	ErrInvalidRequest       = errors.New("invalid_request")
	ErrUnknownTaskType      = errors.New("unknown_task_type")
	ErrForbidden            = errors.New("forbidden")
	ErrNotFound             = errors.New("not_found")
	ErrTaskFinished         = errors.New("task_finished")
	ErrInputTooLarge        = errors.New("input_too_large")
	ErrUnsupportedMediaType = errors.New("unsupported_media_type")
	ErrIdempotencyKeyReused = errors.New("idempotency_key_reused")
	ErrTooManyRequests      = errors.New("too_many_requests")
	ErrUnavailable          = errors.New("unavailable")
	ErrTimeout              = errors.New("timeout")
)

// ErrResponseTooLarge is an answer beyond [Options.MaxResponseBytes].
var ErrResponseTooLarge = errors.New("response too large")

// APIError is an answer other than success. Its fields are those of RFC 9457.
type APIError struct {
	Type   string // a URI, or about:blank
	Title  string
	Status int    // of HTTP
	Code   string // what programs go by; one of the API's codes, or one by Status
	Detail string

	// RetryAfter is how long the answer asks to stay away; zero when it does not.
	RetryAfter time.Duration
	// RequestID finds the request in the API's log; may be empty.
	RequestID string
	// Foreign means that the answer was no problem document, so something in
	// front of Spillway gave it (an API gateway, a proxy, another server).
	Foreign bool

	request string // method and path, for Error
}

// Error implements error.
func (e *APIError) Error() string {
	var b strings.Builder
	if e.request != "" {
		b.WriteString(e.request + ": ")
	}
	fmt.Fprintf(&b, "%d %s", e.Status, e.Code)
	if e.Detail != "" {
		b.WriteString(": " + e.Detail)
	}
	return b.String()
}

// Is matches the sentinel of the error's code.
func (e *APIError) Is(target error) bool {
	for _, s := range []error{
		ErrInvalidRequest, ErrUnknownTaskType, ErrForbidden, ErrNotFound, ErrTaskFinished, ErrInputTooLarge,
		ErrUnsupportedMediaType, ErrIdempotencyKeyReused, ErrTooManyRequests, ErrUnavailable, ErrTimeout,
	} {
		if target == s {
			return e.Code == s.Error()
		}
	}
	return false
}

// problem is what an error's body may hold: RFC 9457, or a gateway's own.
type problem struct {
	Type    string `json:"type"`
	Title   string `json:"title"`
	Code    string `json:"code"`
	Detail  string `json:"detail"`
	Message string `json:"message"` // decoding ignores case: API Gateway spells it both ways
}

// What an unknown server's texts may add to an error, in bytes.
const (
	maxDetail = 500
	maxName   = 100 // of a type, title, code or request id
)

func newAPIError(req *http.Request, resp *http.Response, body []byte) *APIError {
	e := &APIError{
		Status:     resp.StatusCode,
		RetryAfter: retryAfter(resp.Header),
		RequestID:  shorten(firstOf(resp.Header.Get("x-amzn-RequestId"), resp.Header.Get("x-amz-apigw-id")), maxName),
		request:    req.Method + " " + req.URL.Path,
	}
	media, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	isProblem := err == nil && media == "application/problem+json"

	var p problem
	decoded := json.Unmarshal(body, &p) == nil
	e.Foreign = !decoded || (!isProblem && p.Code == "")
	e.Type, e.Title, e.Code = shorten(p.Type, maxName), shorten(p.Title, maxName), shorten(p.Code, maxName)
	e.Detail = firstOf(p.Detail, p.Message)
	if !decoded && strings.HasPrefix(media, "text/plain") {
		e.Detail = string(body)
	}
	e.Detail = shorten(e.Detail, maxDetail)
	if e.Type == "" {
		e.Type = "about:blank"
	}
	if e.Title == "" {
		e.Title = http.StatusText(e.Status)
	}
	if e.Code == "" {
		e.Code = codeOf(e.Status)
	}
	return e
}

// codeOf is the API's code for a status whose answer names none.
func codeOf(status int) string {
	switch status {
	case http.StatusBadRequest:
		return ErrInvalidRequest.Error()
	case http.StatusUnauthorized, http.StatusForbidden:
		return ErrForbidden.Error()
	case http.StatusNotFound:
		return ErrNotFound.Error()
	case http.StatusRequestEntityTooLarge:
		return ErrInputTooLarge.Error()
	case http.StatusUnsupportedMediaType:
		return ErrUnsupportedMediaType.Error()
	case http.StatusTooManyRequests:
		return ErrTooManyRequests.Error()
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable:
		return ErrUnavailable.Error()
	case http.StatusGatewayTimeout:
		return ErrTimeout.Error()
	default:
		return "http_" + strconv.Itoa(status)
	}
}

// shorten cuts a text of somebody else's to limit bytes, without white space
// around it. What is not printable, which could steer a terminal that shows the
// error, is replaced.
func shorten(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsPrint(r):
			return r
		case unicode.IsSpace(r):
			return ' '
		default:
			return utf8.RuneError
		}
	}, strings.TrimSpace(s))
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "…"
}

func firstOf(ss ...string) string {
	for _, s := range ss {
		if s != "" {
			return s
		}
	}
	return ""
}
