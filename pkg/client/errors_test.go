package client_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/spillway-go/spillway/pkg/client"
)

func TestEveryCodeHasItsSentinel(t *testing.T) {
	t.Parallel()
	tests := []struct {
		status int
		err    error
	}{
		{400, client.ErrInvalidRequest},
		{400, client.ErrUnknownTaskType},
		{403, client.ErrForbidden},
		{404, client.ErrNotFound},
		{409, client.ErrTaskFinished},
		{413, client.ErrInputTooLarge},
		{415, client.ErrUnsupportedMediaType},
		{422, client.ErrIdempotencyKeyReused},
		{429, client.ErrTooManyRequests},
		{503, client.ErrUnavailable},
		{504, client.ErrTimeout},
	}
	for _, tt := range tests {
		t.Run(tt.err.Error(), func(t *testing.T) {
			t.Parallel()
			s := &script{answers: []answer{{status: tt.status, body: problemBody(tt.status, tt.err.Error())}}}
			c := newClient(t, s, func(o *client.Options) { o.MaxAttempts = 1 })
			_, err := c.Submit(t.Context(), client.SubmitRequest{Type: "x", Input: 1})
			if !errors.Is(err, tt.err) {
				t.Errorf("err = %v, want %v", err, tt.err)
			}
			for _, other := range tests {
				if !errors.Is(other.err, tt.err) && errors.Is(err, other.err) {
					t.Errorf("err = %v, also is %v", err, other.err)
				}
			}
			e, ok := errors.AsType[*client.APIError](err)
			if !ok {
				t.Fatalf("err = %T", err)
			}
			if e.Status != tt.status || e.Detail != "because" || e.Foreign {
				t.Errorf("err = %+v", e)
			}
			if want := "POST /stage/tasks: "; !strings.HasPrefix(err.Error(), want) {
				t.Errorf("err = %q, want prefix %q", err, want)
			}
			se, ok := errors.AsType[*client.SubmitError](err)
			if !ok || se.OutcomeUnknown != (tt.status >= 500) || se.IdempotencyKey == "" {
				t.Errorf("submit error = %+v", se)
			}
		})
	}
}

func TestAnswersOfOthers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		a      answer
		want   error
		detail string
	}{
		{"gateway", answer{status: 403, body: `{"message":"Forbidden"}`}, client.ErrForbidden, "Forbidden"},
		{"gateway, IAM", answer{status: 403, body: `{"Message":"User is not authorized"}`}, client.ErrForbidden, "User is not authorized"},
		{"gateway, unknown route", answer{status: 404, body: `{"message":"Not Found"}`}, client.ErrNotFound, "Not Found"},
		{"gateway, throttled", answer{status: 429, body: `{"message":"Too Many Requests"}`}, client.ErrTooManyRequests, "Too Many Requests"},
		{"gateway, crash", answer{status: 502, body: `{"message":"Internal server error"}`}, client.ErrUnavailable, "Internal server error"},
		{"gateway, slow", answer{status: 504, body: `{"message":"Endpoint request timed out"}`}, client.ErrTimeout, "Endpoint request timed out"},
		{"too large", answer{status: 413, body: `{"message":"Request Too Long"}`}, client.ErrInputTooLarge, "Request Too Long"},
		{"html", answer{status: 503, header: map[string]string{"Content-Type": "text/html"}, body: "<html>no</html>"}, client.ErrUnavailable, ""},
		{"text", answer{status: 400, header: map[string]string{"Content-Type": "text/plain"}, body: " bad\n"}, client.ErrInvalidRequest, "bad"},
		{"empty", answer{status: 401}, client.ErrForbidden, ""},
		{"array", answer{status: 400, body: `["x"]`}, client.ErrInvalidRequest, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, &script{answers: []answer{tt.a}}, func(o *client.Options) { o.MaxAttempts = 1 })
			_, err := c.Get(t.Context(), "x")
			e, ok := errors.AsType[*client.APIError](err)
			if !ok || !errors.Is(err, tt.want) || e.Detail != tt.detail || !e.Foreign {
				t.Errorf("err = %+v, want %v with detail %q", err, tt.want, tt.detail)
			}
		})
	}
}

func TestErrorFields(t *testing.T) {
	t.Parallel()
	s := &script{answers: []answer{{
		status: 429,
		header: map[string]string{"Retry-After": "3600", "X-Amzn-Requestid": "req-1"},
		body:   problemBody(429, "too_many_requests"),
	}}}
	c := newClient(t, s)
	_, err := c.Get(t.Context(), "x")
	e, ok := errors.AsType[*client.APIError](err)
	if !ok || e.RetryAfter != time.Hour || e.RequestID != "req-1" || e.Title != "Too Many Requests" || e.Type != "about:blank" {
		t.Errorf("err = %+v", e)
	}
	if s.count() != 1 {
		t.Errorf("%d requests, want 1: an hour is too long to wait", s.count())
	}
}

func TestAnswersAreBounded(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("x", 2000)
	s := &script{answers: []answer{{status: 200, body: `{"id":"` + big + `"}`}}}
	c := newClient(t, s, func(o *client.Options) { o.MaxResponseBytes = 1000 })
	if _, err := c.Get(t.Context(), "x"); !errors.Is(err, client.ErrResponseTooLarge) || s.count() != 1 {
		t.Errorf("err = %v after %d requests, want ErrResponseTooLarge after 1", err, s.count())
	}

	s = &script{answers: []answer{{status: 404, header: map[string]string{"Content-Type": "text/plain"}, body: big}}}
	c = newClient(t, s, func(o *client.Options) { o.MaxResponseBytes = 1000 })
	if _, err := c.Get(t.Context(), "x"); !errors.Is(err, client.ErrNotFound) || len(err.Error()) > 600 {
		t.Errorf("err = %v, want a short ErrNotFound", err)
	}
}

func TestAnswersThatAreNoTask(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", "<html>", "{}", "null", `{"id":"x"}`, "[]"} {
		c := newClient(t, &script{answers: []answer{{status: http.StatusOK, body: body}}})
		if task, err := c.Get(t.Context(), "x"); err == nil {
			t.Errorf("body %q: task %+v, want an error", body, task)
		}
	}
	for _, body := range []string{"{}", `{"tasks":null}`, `{"tasks":[null]}`} {
		c := newClient(t, &script{answers: []answer{{status: http.StatusOK, body: body}}})
		if page, err := c.List(t.Context(), client.ListRequest{}); err == nil {
			t.Errorf("body %q: page %+v, want an error", body, page)
		}
	}
}
