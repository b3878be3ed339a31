package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// apiWire carries requests to the API: to that of a [cloud], or to none where a
// test is about one answer.
type apiWire struct {
	next http.RoundTripper // nil if answer answers everything

	// answer may answer in place of the API, and reports whether it has. spoil
	// changes the API's answers. A test sets them before the first request.
	answer func(http.ResponseWriter, *http.Request) bool
	spoil  func(body string) string

	mu       sync.Mutex
	requests []*http.Request
}

// RoundTrip implements [http.RoundTripper]. An answer is lost if the request's
// context has ended by then.
func (w *apiWire) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	w.requests = append(w.requests, r)
	w.mu.Unlock()
	to := httptest.NewRecorder()
	answered := w.answer != nil && w.answer(to, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if answered {
		return to.Result(), nil
	}
	response, err := w.next.RoundTrip(r)
	if err != nil || w.spoil == nil {
		return response, err
	}
	body, err := io.ReadAll(response.Body)
	spoiled := []byte(w.spoil(string(body)))
	response.Body, response.ContentLength = io.NopCloser(bytes.NewReader(spoiled)), int64(len(spoiled))
	return response, err
}

// answers answers every request of a method alike; of any if it is empty.
func answers(method string, status int, body any) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if method != "" && r.Method != method {
			return false
		}
		w.WriteHeader(status)
		return json.NewEncoder(w).Encode(body) == nil
	}
}

// problem answers every request of a method with a refusal.
func problem(method string, status int, code string) func(http.ResponseWriter, *http.Request) bool {
	return answers(method, status, map[string]any{"type": "about:blank", "status": status, "code": code, "detail": "the API says " + code})
}

// last is the last request.
func (w *apiWire) last() *http.Request {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.requests[len(w.requests)-1]
}

// bodyOf is the body that a request was sent with.
func bodyOf(t *testing.T, r *http.Request) string {
	t.Helper()
	from, err := r.GetBody()
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(from)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
