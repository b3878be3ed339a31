package apptest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Sample reads events/<name>.json.
func Sample(tb testing.TB, name string) []byte {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join(Root(tb), "events", name+".json")) //nolint:gosec // a test's own
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

// Image is the task's row in events/notify.json, OldImage or NewImage.
func Image(tb testing.TB, which string) string {
	tb.Helper()
	var event struct {
		Records []struct {
			Dynamodb map[string]json.RawMessage
		}
	}
	if err := json.Unmarshal(Sample(tb, "notify"), &event); err != nil {
		tb.Fatal(err)
	}
	var short bytes.Buffer
	if err := json.Compact(&short, event.Records[0].Dynamodb[which]); err != nil {
		tb.Fatal(err)
	}
	return short.String()
}

// Call is one call of AWS: its operation, such as PutItem, and its JSON.
type Call struct{ Operation, Body string }

// Fake answers calls as a test tells it, and keeps them.
type Fake struct {
	URL string

	mu    sync.Mutex
	calls []Call
}

// NewFake starts a [Fake] that ends with the test. An answer of answers is the
// JSON for an operation, and the empty object for those that are not in it. One
// that begins with the name of an error, as in `ConditionalCheckFailedException
// {}`, is that error. A list answers one call after the other; the last answers
// the rest.
func NewFake(t *testing.T, answers map[string][]string) *Fake {
	t.Helper()
	f := &Fake{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the client is gone
		}
		target := r.Header.Get("X-Amz-Target")
		operation := target[strings.LastIndexByte(target, '.')+1:]
		n := f.add(Call{operation, string(body)})
		answer := "{}"
		if list := answers[operation]; len(list) > 0 {
			answer = list[min(n, len(list)-1)]
		}
		w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
		if name, rest, _ := strings.Cut(answer, " "); strings.HasSuffix(name, "Exception") {
			w.Header().Set("X-Amzn-Errortype", name)
			w.WriteHeader(http.StatusBadRequest)
			answer = rest
		}
		_, _ = io.WriteString(w, answer) // a client that is gone needs no answer
	}))
	t.Cleanup(server.Close)
	f.URL = server.URL
	return f
}

// add keeps a call and returns how many of its operation there were before.
func (f *Fake) add(c Call) (before int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, earlier := range f.calls {
		if earlier.Operation == c.Operation {
			before++
		}
	}
	f.calls = append(f.calls, c)
	return before
}

// Operations are what was called, in order.
func (f *Fake) Operations() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	names := make([]string, len(f.calls))
	for i, c := range f.calls {
		names[i] = c.Operation
	}
	return names
}

// Sent are the bodies of an operation's calls, in order.
func (f *Fake) Sent(operation string) (bodies []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.calls {
		if c.Operation == operation {
			bodies = append(bodies, c.Body)
		}
	}
	return bodies
}
