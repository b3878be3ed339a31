package apptest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/spillway-go/spillway/internal/app"
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

// URL is where queues' URLs begin. A [Fake] answers for every address.
const URL = "https://sqs.us-east-1.amazonaws.com"

// runtime is what Lambda puts into every function's environment.
var runtime = map[string]string{
	"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_LAMBDA_FUNCTION_NAME": "function",
}

// Fake answers calls as a test tells it, and keeps them. It is a transport for a
// function's clients, and a handler for a server.
type Fake struct {
	answers map[string][]string

	mu    sync.Mutex
	calls []Call
}

// NewFake returns a [Fake]. An answer of answers is the JSON for an operation,
// and the empty object for those that are not in it: tables without rows, and
// queues that take everything. One that begins with the name of an error, as in
// `ConditionalCheckFailedException {}`, is that error. A list answers one call
// after the other; the last answers the rest. A call without a name, as those of
// Lambda, goes by its path.
func NewFake(answers map[string][]string) *Fake { return &Fake{answers: answers} }

// Env is the environment of a function whose clients call f.
func (f *Fake) Env(values map[string]string) *app.Env {
	return app.NewEnv(func(name string) string { return cmp.Or(values[name], runtime[name]) }, app.WithTransport(f))
}

// RoundTrip implements [http.RoundTripper].
func (f *Fake) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	response := w.Result()
	response.Request = r
	return response, nil
}

// ServeHTTP implements [http.Handler].
func (f *Fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return // the client is gone
		}
	}
	target := cmp.Or(r.Header.Get("X-Amz-Target"), r.URL.Path)
	operation := target[strings.LastIndexByte(target, '.')+1:]
	n := f.add(Call{operation, string(body)})
	answer := "{}"
	if list := f.answers[operation]; len(list) > 0 {
		answer = list[min(n, len(list)-1)]
	}
	w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
	if name, rest, _ := strings.Cut(answer, " "); strings.HasSuffix(name, "Exception") {
		w.Header().Set("X-Amzn-Errortype", name)
		w.WriteHeader(http.StatusBadRequest)
		answer = rest
	}
	_, _ = io.WriteString(w, answer) // a client that is gone needs no answer
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
