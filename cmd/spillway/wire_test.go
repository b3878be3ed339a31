package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/spillway-go/spillway/internal/adminapi"
)

// wire carries invocations of the admin function: to the one of a [cloud], or to
// none where a test is about one answer. It is the SDK's HTTP client itself, so
// that what waits for an answer can be tested in a [synctest] bubble.
type wire struct {
	t        *testing.T
	next     aws.HTTPClient // nil if answer answers everything
	function string

	// answer may answer in place of the function: with an answer or a refusal of
	// adminapi, or what a function that works does not answer, a [noReply]. nil
	// leaves it to the function. A test sets it before the first request.
	answer func(asked) any

	turn chan struct{} // one call of answer at a time; a channel, so that a bubble's time goes on meanwhile

	mu       sync.Mutex
	payloads []string
}

// asked is a request, as far as tests answer by it.
type asked struct {
	Command string `json:"command"`
	ID      string `json:"id"`
	JobID   string `json:"job_id"`
	PlanID  string `json:"plan_id"`
	DryRun  bool   `json:"dry_run"`
	Max     int    `json:"max"`

	Execution string                `json:"execution"`
	Step      string                `json:"step"`
	Target    string                `json:"target"`
	IDs       []string              `json:"ids"`
	Items     []adminapi.StockOrder `json:"items"`
}

// noReply is an answer that is none: what Lambda says of the function or of
// itself, or nothing.
type noReply struct {
	never         bool // the call stays open until it is given up
	lost          bool // the function does its work, and its answer is lost
	status        int
	code          string // of Lambda's error
	functionError string
	body          string
}

const (
	fakeEndpoint = "http://127.0.0.1:1" // on this machine, and nothing of it is reached
	fakeARN      = "arn:aws:iam::123456789012:user/me"
)

// newWire is a wire without a function behind it.
func newWire(t *testing.T, answer func(asked) any) *wire {
	t.Helper()
	return &wire{t: t, function: "spillway-Admin", answer: answer, turn: make(chan struct{}, 1)}
}

// only answers every request alike.
func only(answer any) func(asked) any { return func(asked) any { return answer } }

// refusedAs is a refusal.
func refusedAs(code adminapi.Code) *adminapi.Refusal {
	return &adminapi.Refusal{Code: code, Message: "the function says " + string(code)}
}

// newOperator is an app at the end of the wire.
func (w *wire) newOperator() *testApp {
	ta := newTestApp(w.t)
	ta.cfg.BaseEndpoint, ta.cfg.HTTPClient = aws.String(fakeEndpoint), w
	ta.stack = stackOf("spillway", "UPDATE_COMPLETE", map[string]string{"AdminFunctionName": w.function})
	return ta
}

// atTerminal is an app at a terminal, where text is typed.
func (w *wire) atTerminal(text string) *testApp { return typing(w.newOperator(), text) }

// typing puts a person in front of an app, who types text.
func typing(ta *testApp, text string) *testApp {
	ta.in = struct {
		io.Reader
		io.Writer
	}{strings.NewReader(text), io.Discard}
	ta.screen = func(io.Writer) (int, bool) { return 70, true }
	return ta
}

// Do carries a request, unless its context has ended by then.
func (w *wire) Do(r *http.Request) (*http.Response, error) {
	if want := "/2015-03-31/functions/" + w.function + "/invocations"; r.URL.Path != want {
		w.t.Errorf("path %s, want %s", r.URL.Path, want)
	}
	payload, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	w.payloads = append(w.payloads, string(payload))
	w.mu.Unlock()
	var q asked
	if err := json.Unmarshal(payload, &q); err != nil {
		w.t.Errorf("payload %s: %v", payload, err)
	}
	var out any
	if w.answer != nil {
		w.turn <- struct{}{}
		out = w.answer(q)
		<-w.turn
	}
	b, isNone := out.(noReply)
	var response *http.Response
	switch {
	case out == nil || b.lost:
		r.Body = io.NopCloser(bytes.NewReader(payload))
		response, err = w.next.Do(r)
	case b.never:
		<-r.Context().Done()
	default:
		response = w.write(out)
	}
	if ended := r.Context().Err(); ended != nil {
		err = ended
	} else if isNone && b.lost {
		err = io.EOF
	}
	if err != nil {
		return nil, &url.Error{Op: "Post", URL: r.URL.String(), Err: err}
	}
	return response, nil
}

// write is the response with an answer.
func (w *wire) write(answer any) *http.Response {
	to := httptest.NewRecorder()
	var text json.RawMessage
	var err error
	switch a := answer.(type) {
	case noReply:
		text = json.RawMessage(a.body)
		if a.functionError != "" {
			to.Header().Set("X-Amz-Function-Error", a.functionError)
		}
		if a.status != 0 {
			to.Header().Set("X-Amzn-ErrorType", a.code)
			to.WriteHeader(a.status)
			text = json.RawMessage(`{"Message":"Lambda says no"}`)
		}
	case *adminapi.Refusal:
		text, err = adminapi.Refuse(a)
	default:
		text, err = adminapi.Accept(a)
	}
	if err != nil {
		w.t.Error(err)
	}
	_, _ = to.Write(text)
	return to.Result()
}

// sent lists the commands that were sent, in their order: "dlq.replay dry",
// "dlq.replay plan". Looks at jobs are left out.
func (w *wire) sent() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var names []string
	for _, payload := range w.payloads {
		var q asked
		_ = json.Unmarshal([]byte(payload), &q)
		switch {
		case q.Command == string(adminapi.DLQJobs):
			continue
		case q.DryRun:
			q.Command += " dry"
		case q.PlanID != "":
			q.Command += " plan"
		}
		names = append(names, q.Command)
	}
	return names
}

// last is the last payload of a command.
func (w *wire) last(command string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, payload := range slices.Backward(w.payloads) {
		if strings.HasPrefix(payload, `{"command":"`+command+`"`) {
			return payload
		}
	}
	w.t.Errorf("%s was not called", command)
	return ""
}

// wants checks the last payload of a command: that with these fields, by the
// caller if it changes something.
func (w *wire) wants(command, fields string) {
	w.t.Helper()
	if want := `{"command":"` + command + `"` + fields + `}`; w.last(command) != want {
		w.t.Errorf("payload %s, want %s", w.last(command), want)
	}
}

// byMe is the last field of a command that changes something.
const byMe = `,"by":"` + fakeARN + `"`

// before is a time so long before a command that [testApp.play] runs: the clock
// of a [synctest] bubble begins with the year 2000.
func before(d time.Duration) time.Time {
	return time.Date(2000, time.January, 1, 0, 0, 0, 0, time.UTC).Add(-d)
}
