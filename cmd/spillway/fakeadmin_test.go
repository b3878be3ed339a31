package main

import (
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

// fakeAdmin plays Lambda's Invoke, with a small model of the admin function
// behind it: one plan, whose job comes further with every look at it. It is the
// HTTP client itself, with no network in between, so that what waits for it can
// be tested in a [synctest] bubble.
type fakeAdmin struct {
	t *testing.T

	// A test may set these before the first request.
	answer     func(adminRequest) any // nil leaves it to the model
	looked     func(n int)            // before the nth dlq.jobs of the running job is answered
	matched    int
	skipped    int
	unsent     int  // messages that cannot be sent
	step       int  // messages between two looks
	hop        bool // calls come back while the job goes on
	stalls     []int
	lose       bool // the answer of a call is lost on the way
	canaryDies bool
	ends       adminapi.Outcomes
	endStep    int
	deaf       bool // does not stop

	mu       sync.Mutex
	requests []adminRequest
	job      *adminapi.Job
	looks    int
	calls    []chan any // open calls of the job
}

// adminRequest is what the admin function takes. It refuses fields that a
// command does not know, so those that are not given stay away.
type adminRequest struct {
	Command string               `json:"command"`
	By      string               `json:"by,omitempty"`
	Queue   string               `json:"queue,omitempty"`
	Filter  *adminapi.Filter     `json:"filter,omitempty"`
	ID      string               `json:"id,omitempty"`
	IDs     []string             `json:"ids,omitempty"`
	JobID   string               `json:"job_id,omitempty"`
	PlanID  string               `json:"plan_id,omitempty"`
	Max     int                  `json:"max,omitempty"`
	Rate    float64              `json:"rate,omitempty"`
	Canary  int                  `json:"canary,omitempty"`
	DryRun  bool                 `json:"dry_run,omitempty"`
	Native  bool                 `json:"native,omitempty"`
	Confirm string               `json:"confirm,omitempty"`
	Target  string               `json:"target,omitempty"`
	Fault   string               `json:"fault,omitempty"`
	Times   int                  `json:"times,omitempty"`
	Latency string               `json:"latency,omitempty"`
	For     string               `json:"for,omitempty"`
	Items   []adminapi.StockItem `json:"items,omitempty"`

	Execution string `json:"execution,omitempty"`
	Step      string `json:"step,omitempty"`
	Reason    string `json:"reason,omitempty"`
	Status    string `json:"status,omitempty"`
	Cursor    string `json:"cursor,omitempty"`
}

// noAnswer is an answer that is none: what Lambda says of the function, or of
// itself.
type noAnswer struct {
	never         bool // the call stays open until it is given up
	status        int
	code          string // of Lambda's error
	functionError string
	body          string
}

// knownFields are the fields of each command, beside by for those that change
// something.
var knownFields = map[string][]string{
	"dlq.status":    {"queue"},
	"dlq.list":      {"queue", "filter", "max"},
	"dlq.replay":    {"by", "queue", "filter", "max", "rate", "dry_run", "plan_id", "canary", "native"},
	"dlq.stop":      {"by", "job_id"},
	"dlq.purge":     {"by", "queue", "filter", "confirm", "job_id", "max", "dry_run"},
	"dlq.restore":   {"by", "job_id"},
	"dlq.jobs":      {"job_id", "max"},
	"task.get":      {"id"},
	"task.retry":    {"by", "id", "filter", "max", "rate", "canary", "dry_run", "plan_id"},
	"task.cancel":   {"by", "id"},
	"stream.list":   {"max"},
	"stream.replay": {"by", "max", "dry_run", "ids", "job_id"},
	"saga.list":     {"status", "max", "cursor"},
	"saga.show":     {"execution"},
	"saga.resume":   {"by", "execution", "step", "reason"},
	"saga.skip":     {"by", "execution", "step", "reason"},
	"saga.done":     {"by", "execution", "step", "reason"},
	"inventory.put": {"by", "items"},
	"inventory.get": {"ids"},
	"chaos.set":     {"by", "target", "fault", "rate", "times", "latency", "for"},
	"chaos.clear":   {"by", "target"},
	"chaos.status":  {},
}

const (
	fakePlan     = "01PLAN"
	fakeEndpoint = "http://127.0.0.1:1" // on this machine, and nothing of it is reached
	fakeARN      = "arn:aws:iam::123456789012:user/me"
)

func newFakeAdmin(t *testing.T) *fakeAdmin {
	t.Helper()
	f := &fakeAdmin{t: t, matched: 100, skipped: 4, step: 40, endStep: 10}
	f.ends = adminapi.Outcomes{Succeeded: 96}
	return f
}

// newOperator is an app that reaches the fake.
func (f *fakeAdmin) newOperator() *testApp {
	ta := newTestApp(f.t)
	ta.cfg.BaseEndpoint, ta.cfg.HTTPClient = aws.String(fakeEndpoint), f
	ta.stack = stackOf("spillway", "UPDATE_COMPLETE", map[string]string{"AdminFunctionName": "spillway-Admin"})
	return ta
}

// atTerminal is an app in front of which somebody types text.
func (f *fakeAdmin) atTerminal(text string) *testApp {
	ta := f.newOperator()
	ta.in = struct {
		io.Reader
		io.Writer
	}{strings.NewReader(text), io.Discard}
	ta.screen = func(io.Writer) (int, bool) { return 70, true }
	return ta
}

// Do answers a request, unless its context has ended by then.
func (f *fakeAdmin) Do(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	answered := f.serve(w, r)
	err := r.Context().Err()
	if err == nil && !answered {
		err = io.EOF
	}
	if err != nil {
		return nil, &url.Error{Op: "Post", URL: r.URL.String(), Err: err}
	}
	return w.Result(), nil
}

// serve answers, unless the connection breaks.
func (f *fakeAdmin) serve(w http.ResponseWriter, r *http.Request) (answered bool) {
	body, _ := io.ReadAll(r.Body)
	if want := "/2015-03-31/functions/spillway-Admin/invocations"; r.URL.Path != want {
		f.t.Errorf("path %s, want %s", r.URL.Path, want)
	}
	var fields map[string]json.RawMessage
	var req adminRequest
	if json.Unmarshal(body, &fields) != nil || json.Unmarshal(body, &req) != nil {
		f.t.Errorf("payload %s", body)
	}
	for name := range fields {
		if name != "command" && !slices.Contains(knownFields[req.Command], name) {
			f.t.Errorf("%s was sent the field %s", req.Command, name)
		}
	}
	if by := slices.Contains(knownFields[req.Command], "by"); by != (req.By == fakeARN) {
		f.t.Errorf("%s was sent by %q", req.Command, req.By)
	}
	f.mu.Lock()
	f.requests = append(f.requests, req)
	f.mu.Unlock()
	var out any
	if f.answer != nil {
		out = f.answer(req)
	}
	if out == nil {
		out = f.model(r, req)
	}
	switch b, ok := out.(noAnswer); {
	case ok && b.never:
		<-r.Context().Done()
	case out == nil:
		return false
	case ok && b.functionError != "":
		w.Header().Set("X-Amz-Function-Error", b.functionError)
		_, _ = io.WriteString(w, b.body)
	case ok && b.status != 0:
		w.Header().Set("X-Amzn-ErrorType", b.code)
		w.WriteHeader(b.status)
		_, _ = io.WriteString(w, `{"Message":"Lambda says no"}`)
	case ok:
		_, _ = io.WriteString(w, b.body)
	default:
		_ = json.NewEncoder(w).Encode(out)
	}
	return true
}

// fields is an answer.
type fields map[string]any

// ago is a time so long before a command that [testApp.play] runs, as the admin
// function writes it: the clock of a [synctest] bubble begins with the year 2000.
func ago(d time.Duration) string {
	return time.Date(2000, time.January, 1, 0, 0, 0, 0, time.UTC).Add(-d).Format("2006-01-02T15:04:05.000Z07:00")
}

func refused(code string) fields {
	return fields{"ok": false, "code": code, "message": "the fake says " + code}
}

func (f *fakeAdmin) model(r *http.Request, req adminRequest) any {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch req.Command {
	case "dlq.replay", "task.retry":
		if req.DryRun {
			return f.dryRun(req)
		}
		return f.work(r, req)
	case "dlq.jobs":
		if f.job == nil || req.JobID != f.job.JobID {
			return refused("not_found")
		}
		f.advance()
		return fields{"ok": true, "job": *f.job}
	case "dlq.stop":
		if f.job == nil || f.job.Status.Ended() {
			return refused("not_found")
		}
		if f.job.Status = adminapi.JobStopped; f.deaf {
			f.job.Status = adminapi.JobStopping
		}
		return fields{"ok": true, "job_id": req.JobID, "status": adminapi.JobStopping}
	default:
		return refused("unknown_command")
	}
}

// dryRun makes the plan. mu must be held.
func (f *fakeAdmin) dryRun(req adminRequest) any {
	kind := adminapi.KindReplay
	if req.Command == "task.retry" {
		kind = adminapi.KindRetry
	}
	f.job = &adminapi.Job{JobID: fakePlan, Kind: kind, Queue: "tasks", Status: adminapi.JobPlanned, Planned: f.matched - f.skipped, Rate: req.Rate}
	return fields{
		"ok": true, "plan_id": fakePlan, "matched": f.matched, "replay": f.matched - f.skipped, "skip": f.skipped,
		"reasons": map[string]int{"task_finished": f.skipped}, "destinations": map[string]int{"tasks": f.matched - f.skipped},
		"groups":   []fields{{"type": "noop", "code": "boom", "message": "it \x1b[2Jbroke", "count": f.matched}},
		"messages": []fields{{"message_id": "m1", "task_id": "01TASK", "type": "noop", "run": 2, "action": "replay", "to": "tasks"}}, "done": true,
	}
}

// work carries the plan out, until the job comes to rest. mu must be held.
func (f *fakeAdmin) work(r *http.Request, req adminRequest) any {
	if f.job == nil || req.PlanID != f.job.JobID {
		return refused("plan_expired")
	}
	if f.job.Status.Ended() && f.job.Status != adminapi.JobStopped {
		return refused("plan_used")
	}
	f.job.Status = adminapi.JobRunning
	back := make(chan any, 1)
	f.calls = append(f.calls, back)
	f.mu.Unlock()
	defer f.mu.Lock()
	select {
	case out := <-back:
		return out
	case <-r.Context().Done():
		return nil
	}
}

// comeBack answers the open calls. mu must be held.
func (f *fakeAdmin) comeBack(out any) {
	for _, c := range f.calls {
		c <- out
	}
	f.calls = nil
}

// advance is what happens between two looks. mu must be held.
func (f *fakeAdmin) advance() {
	j := f.job
	if j.Status == adminapi.JobRunning || j.Status == adminapi.JobStopping {
		f.looks++
		if f.looked != nil {
			f.looked(f.looks)
		}
	}
	switch {
	case j.Outcomes != nil && j.Outcomes.Pending > 0:
		if j.Outcomes.Pending -= f.endStep; j.Outcomes.Pending <= 0 {
			j.Outcomes = &f.ends
		}
	case j.Status == adminapi.JobStopped:
		f.comeBack(fields{"ok": true, "job_id": j.JobID, "status": j.Status, "done": false})
	case j.Status != adminapi.JobRunning:
	case len(f.stalls) > 0 && j.Replayed >= f.stalls[0]:
		f.stalls = f.stalls[1:]
		j.Status = adminapi.JobStalled
		f.comeBack(noAnswer{functionError: "Unhandled", body: `{"errorType":"Sandbox.Timedout","errorMessage":"timed out"}`})
	case f.canaryDies:
		j.Status, j.Replayed, j.Canary = adminapi.JobCanaryFailed, 5, &adminapi.Canary{Size: 5, Succeeded: 3, Failed: 2}
		f.comeBack(fields{"ok": true, "job_id": j.JobID, "status": j.Status, "done": true})
	case j.Replayed+f.step < f.matched-f.skipped-f.unsent:
		j.Replayed += f.step
		if f.hop {
			f.comeBack(fields{"ok": true, "job_id": j.JobID, "status": adminapi.JobRunning, "replayed": j.Replayed, "done": false})
		}
		if f.lose {
			f.comeBack(nil)
		}
	default:
		j.Status, j.Failed, j.Note = adminapi.JobDone, f.unsent, "one note"
		j.Replayed = f.matched - f.skipped - f.unsent
		j.Reasons, j.AtLeastOnce = map[adminapi.Reason]int{"refused": f.unsent}, 1
		j.Outcomes = &adminapi.Outcomes{Pending: j.Replayed}
		f.comeBack(fields{"ok": true, "job_id": j.JobID, "status": j.Status, "done": true})
	}
}

// sent lists the requests of the commands, "dlq.replay dry", in their order;
// looks at jobs are left out.
func (f *fakeAdmin) sent() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var names []string
	for _, r := range f.requests {
		name := r.Command
		if r.DryRun {
			name += " dry"
		}
		if r.PlanID != "" {
			name += " " + r.PlanID
		}
		if r.Command != "dlq.jobs" {
			names = append(names, name)
		}
	}
	return names
}

// last is the last request of a command.
func (f *fakeAdmin) last(command string) adminRequest {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range slices.Backward(f.requests) {
		if r.Command == command {
			return r
		}
	}
	f.t.Errorf("%s was not called", command)
	return adminRequest{}
}
