package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spillway-go/spillway/internal/allocs"
	"github.com/spillway-go/spillway/pkg/client"
)

// FuzzAnswer answers a call as anything may that has the API's address: the
// call ends, with what the API answers or with an error that can be shown.
func FuzzAnswer(f *testing.F) {
	const problem = "application/problem+json"
	for kind := range byte(6) {
		f.Add(kind, 200, "application/json", "1", []byte(accepted))
		f.Add(kind, 404, problem, "", []byte(problemBody(404, "not_found")))
	}
	f.Add(byte(0), 200, "", "-1", []byte(`{"id":"a","status":"succeeded","result":[1e400,"\ud800"],"created_at":"9999-12-31T23:59:59-01:00"}`))
	f.Add(byte(0), 200, "", "", []byte(`{"id":"a","status":"failed","error":{"code":"x","message":"\u001b[2J"},"attempts":1e3}`))
	f.Add(byte(0), 503, "text/html", "99999999999", []byte(`<html>`))
	f.Add(byte(1), 429, problem, "3600", []byte(`{"code":"`+strings.Repeat("c", 2000)+`","title":"\u0000","type":"\u202e"}`))
	f.Add(byte(2), 200, "", "", []byte(`{"tasks":[{"id":"a"},{"id":"b"}],"cursor":"a"}`))
	f.Add(byte(2), 200, "", "", []byte(`{"tasks":[null]}`))
	f.Add(byte(3), 409, problem, "Fri, 31 Dec 1999 23:59:59 GMT", []byte(problemBody(409, "task_finished")))
	f.Add(byte(4), 200, "", "2147483647", []byte(`{"id":"a","status":"lost"}`))
	f.Add(byte(4), 504, "text/plain; charset=\x00", "1", []byte("\x1b[2J\xff"))
	for _, id := range []string{"a", "", ".", "..", "a/../b", "a?b#c", "%2e%2e", "\x00\xff", "é;b=c"} {
		f.Add(byte(5), 200, "", id, []byte(accepted))
	}
	f.Add(byte(0), 200, "", "", []byte(`{"id":"a","attempts":`+strings.Repeat("9", 2000)+`}`))
	f.Fuzz(func(t *testing.T, kind byte, status int, contentType, retryAfter string, body []byte) {
		status = 200 + int(uint(status-200)%400)
		allocs.Within(t, 4<<20+256*len(body), func() {
			synctest.Test(t, func(t *testing.T) {
				s := &script{answers: []answer{{status: status, header: map[string]string{"Content-Type": contentType, "Retry-After": retryAfter}, body: string(body)}}}
				if kind%6 == 5 {
					checkPath(t, s, retryAfter)
					return
				}
				checkAnswer(t, s, kind%6, status)
			})
		})
	})
}

// patience is how long a call may take, maxCalls how many requests a Wait makes
// in that time: an answer that was not held is not asked for within a second.
const (
	patience = time.Minute
	maxCalls = 4 + int(patience/time.Second)
)

func checkAnswer(t *testing.T, s *script, kind byte, status int) {
	t.Helper()
	c := newClient(t, s)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var (
		got *client.Task
		err error
	)
	switch kind {
	case 0:
		got, err = c.Get(ctx, "a")
	case 1:
		got, err = c.Submit(ctx, client.SubmitRequest{Type: "webhook.deliver", Input: 1})
	case 2:
		var page *client.Page
		if page, err = c.List(ctx, client.ListRequest{}); err == nil && len(page.Tasks) > 0 {
			got = page.Tasks[0]
		}
	case 3:
		got, err = c.Cancel(ctx, "a")
	case 4:
		if got, err = c.Wait(ctx, "a"); err == nil && !got.Status.Finished() {
			t.Fatalf("waited until %+v", got)
		}
	}
	if n := s.count(); n < 1 || n > maxCalls {
		t.Fatalf("%d requests", n)
	}
	if err != nil {
		checkError(t, err, status)
		return
	}
	if status > 299 {
		t.Fatalf("%d is %+v", status, got)
	}
	if got != nil {
		checkRoundTrip(t, got)
	}
}

// checkPath: whatever the id is, no other resource is addressed.
func checkPath(t *testing.T, s *script, id string) {
	t.Helper()
	c := newClient(t, s, func(o *client.Options) { o.MaxAttempts = 1 })
	_, err := c.Get(t.Context(), id)
	if s.count() == 0 {
		if id != "" && id != "." && id != ".." || !errors.Is(err, client.ErrInvalidRequest) {
			t.Fatalf("%q was not asked for: %v", id, err)
		}
		return
	}
	u := s.requests[0].URL
	if rest, ok := strings.CutPrefix(u.EscapedPath(), "/stage/tasks/"); !ok || strings.Contains(rest, "/") || u.Path != "/stage/tasks/"+id || u.RawQuery != "" {
		t.Fatalf("%q led to %s", id, u)
	}
}

// checkError: it says what the answer was, in a few words that are safe to
// show at a terminal.
func checkError(t *testing.T, err error, status int) {
	t.Helper()
	text := err.Error()
	unsafe := func(r rune) bool { return r != ' ' && !unicode.IsPrint(r) }
	if len(text) > 1000 || !utf8.ValidString(text) || strings.ContainsFunc(text, unsafe) {
		t.Fatalf("an error of %d bytes: %q", len(text), text)
	}
	e, ok := errors.AsType[*client.APIError](err)
	if ok != (status > 299) && !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("%d is %v", status, err)
	}
	if !ok {
		return
	}
	if e.Status != status || e.Code == "" || e.Type == "" || e.RetryAfter < 0 {
		t.Fatalf("%d is %+v", status, e)
	}
	for _, field := range []string{e.Type, e.Title, e.Code, e.Detail} {
		if len(field) > 600 || !utf8.ValidString(field) || strings.ContainsFunc(field, unsafe) {
			t.Fatalf("a field of %d bytes: %q", len(field), field)
		}
	}
}

// checkRoundTrip: what was decoded is encoded as the same task.
func checkRoundTrip(t *testing.T, got *client.Task) {
	t.Helper()
	text, err := json.Marshal(got)
	if err != nil && strings.Contains(err.Error(), "year") {
		return // 9999-12-31T23:59:59-01:00 is of year 10000 in UTC
	}
	if err != nil {
		t.Fatalf("%+v: %v", got, err)
	}
	var again client.Task
	if err := json.Unmarshal(text, &again); err != nil || again.ID != got.ID || again.Status != got.Status {
		t.Fatalf("%s became %+v, %v", text, again, err)
	}
	// Times are written in milliseconds.
	if !again.CreatedAt.Equal(got.CreatedAt.Truncate(time.Millisecond)) {
		t.Fatalf("%s became %s", got.CreatedAt, again.CreatedAt)
	}
}
