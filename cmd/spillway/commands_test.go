package main

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/pkg/client"
)

func TestUsage(t *testing.T) {
	t.Parallel()
	misused(t, []misuse{
		{"unknown command", []string{"lst"}, `unknown command "lst"`},
		{"unknown flag", []string{"list", "--colour"}, "unknown flag: --colour"},
		{"output", []string{"list", "--output", "xml"}, "must be one of table, json"},
		{"status", []string{"list", "--status", "dead"}, "must be one of queued, running"},
		{"limit", []string{"list", "--limit", "0"}, "--limit must be at least 1"},
		{"limit and all", []string{"list", "--limit", "3", "--all"}, "none of the others can be"},
		{"too many", []string{"list", "x"}, "unknown command"},
		{"no id", []string{"get"}, "accepts 1 arg(s)"},
		{"two ids", []string{"cancel", "a", "b"}, "accepts 1 arg(s)"},
		{"timeout", []string{"list", "--timeout", "soon"}, "invalid duration"},
		{"negative timeout", []string{"list", "--timeout", "-1s"}, "must not be negative"},
		{"no type", []string{"submit"}, "which type of task"},
		{"type twice", []string{"submit", "noop", "--type", "noop"}, "given twice"},
		{"input", []string{"submit", "noop", "--input", "{"}, "--input is not JSON"},
		{"two inputs", []string{"submit", "noop", "--input", "1 2"}, "--input is not JSON"},
		{"input file", []string{"submit", "noop", "--input", "@/does/not/exist"}, "no such file"},
		{"priority", []string{"submit", "noop", "--priority", "high"}, "must be one of normal, bulk"},
		{"deadline", []string{"submit", "noop", "--deadline", "tomorrow"}, "must be a time like"},
		{"deadline and ttl", []string{"submit", "noop", "--ttl", "1m", "--deadline", "2026-01-01T00:00:00Z"}, "none of the others can be"},
		{"file and input", []string{"submit", "-f", "x", "--input", "{}"}, "none of the others can be"},
		{"file and callback", []string{"submit", "-f", "x", "--callback-url", "https://x.test"}, "none of the others can be"},
		{"file and type", []string{"submit", "noop", "-f", "-"}, "each line names its own"},
		{"file", []string{"submit", "-f", "/does/not/exist"}, "no such file"},
		{"concurrency", []string{"submit", "-f", "-", "--concurrency", "0"}, "--concurrency must be"},
		{"demo size", []string{"demo", "--tasks", "3"}, "--tasks must be"},
		{"demo concurrency", []string{"demo", "--concurrency", "0"}, "--concurrency must be"},
		{"receiver", []string{"demo", "--receiver-url", "nowhere"}, "--receiver-url must be"},
		{"api url", []string{"list", "--api-url", "nowhere"}, "--api-url"},
	})
}

func TestHelpAndCompletion(t *testing.T) {
	t.Parallel()
	shows(t, []showing{
		{nil, []string{"submit", "doctor"}},
		{[]string{"submit", "--help"}, []string{"idempotency-key", "-f tasks.ndjson"}},
		{[]string{"version"}, []string{"spillway ", "go1."}},
		{[]string{"version", "-o", "json"}, []string{`"platform"`}},
		{[]string{"completion", "bash"}, []string{"spillway"}},
		{[]string{"__complete", "list", "--status", ""}, []string{"dead_lettered", "succeeded"}},
		{[]string{"__complete", "submit", "--priority", ""}, []string{"normal", "bulk"}},
		{[]string{"__complete", "list", "--output", ""}, []string{"table", "json"}},
		{[]string{"__complete", "submit", ""}, []string{"webhook.deliver"}},
	})
}

func TestSubmitSendsEverything(t *testing.T) {
	t.Parallel()
	api := newFakeAPI(t)
	ta := newTestApp(t)
	code := ta.try(t, api.url, "submit", "--type", "noop", "--input", `{"a":"<&>"}`, "--priority", "bulk",
		"--deadline", "2030-01-02T03:04:05+01:00", "--callback-url", "https://x.test/done?a=1&b=<2>",
		"--idempotency-key", "k1", "--output", "json")
	if code != exitOK {
		t.Fatal(code)
	}
	want := submitBody{
		Type: "noop", Input: json.RawMessage(`{"a":"<&>"}`), Priority: client.Bulk,
		Deadline: time.Date(2030, 1, 2, 2, 4, 5, 0, time.UTC), CallbackURL: "https://x.test/done?a=1&b=<2>",
	}
	if diff := cmp.Diff(api.bodies[0], want); diff != "" {
		t.Errorf("body (-got +want):\n%s", diff)
	}
	r := api.requests[0]
	if r.Header.Get("Idempotency-Key") != "k1" || !strings.Contains(r.Header.Get("Authorization"), "/eu-west-1/execute-api/") {
		t.Errorf("headers = %v", r.Header)
	}
	var task client.Task
	if err := json.Unmarshal([]byte(ta.stdout.String()), &task); err != nil || task.ID == "" {
		t.Errorf("stdout is no task: %v", err)
	}
}

func TestSubmitReadsInput(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "in.json")
	if err := os.WriteFile(file, []byte(" {\"n\": 12345678901234567890}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, input := range []string{"@" + file, "-"} {
		api := newFakeAPI(t)
		ta := newTestApp(t)
		ta.in = strings.NewReader(`{"n":12345678901234567890}`)
		if code := ta.try(t, api.url, "submit", "noop", "--input", input, "--ttl", "90s", "--delay", "0s"); code != exitOK {
			t.Fatal(code)
		}
		if got := string(api.bodies[0].Input); got != `{"n":12345678901234567890}` {
			t.Errorf("input = %s", got)
		}
		mustContain(t, "stdout", ta.stdout.String(), "status    queued", "type      noop")
	}
}

func TestSubmitWait(t *testing.T) {
	t.Parallel()
	api := newFakeAPI(t)
	ta := newTestApp(t)
	if code := ta.try(t, api.url, "submit", "noop", "--input", `{"a":[1]}`, "--wait"); code != exitOK {
		t.Error(code)
	}
	mustContain(t, "stdout", ta.stdout.String(), "succeeded", "result", `"a": [`)

	ta = newTestApp(t) // nothing listens there, so every attempt fails
	in := `{"url":"http://127.0.0.1:1/","event":"e","payload":{}}`
	if code := ta.try(t, api.url, "submit", "webhook.deliver", "--input", in, "--wait"); code != exitNotSucceed {
		t.Error(code)
	}
	mustContain(t, "stdout", ta.stdout.String(), "dead_lettered", "attempts  5", "error     http_status")
	mustContain(t, "stderr", ta.stderr.String(), "ended as dead_lettered")
}

func TestSubmitUnknownOutcome(t *testing.T) {
	t.Parallel()
	api := newFakeAPI(t)
	api.refuse = func(*http.Request) (int, string) { return 503, "unavailable" }
	ta := newTestApp(t)
	if code := ta.try(t, api.url, "submit", "noop", "--idempotency-key", "order-1"); code != exitFailed {
		t.Error(code)
	}
	mustContain(t, "stderr", ta.stderr.String(), "503", "--idempotency-key order-1")
}

func TestGetAndCancel(t *testing.T) {
	t.Parallel()
	api := newFakeAPI(t)
	queued := api.add(&client.Task{})
	spiky := api.add(&client.Task{
		Status: client.Running, Tenant: "t1", StartedAt: time.Now(), CancelRequested: true, Attempts: 1,
		Deadline: time.Now().Add(time.Hour),
		Progress: &client.Progress{Done: 3, Total: 9, Note: "page 3"},
		Error:    &client.TaskError{Code: "http_status", Message: "evil \x1b[2J\ntext"},
	})

	ta := newTestApp(t)
	if code := ta.try(t, api.url, "get", spiky.ID); code != exitOK {
		t.Error(code)
	}
	mustContain(t, "stdout", ta.stdout.String(), "running (cancel requested)", "3 of 9, page 3", "tenant", "(in 59m")
	if strings.Contains(ta.stdout.String(), "\x1b") {
		t.Error("an escape sequence reached the terminal")
	}

	ta = newTestApp(t)
	if code := ta.try(t, api.url, "cancel", queued.ID); code != exitOK {
		t.Error(code)
	}
	mustContain(t, "stdout", ta.stdout.String(), "canceled")

	ta = newTestApp(t)
	if code := ta.try(t, api.url, "cancel", queued.ID, "-o", "json"); code != exitFailed {
		t.Error(code)
	}
	mustContain(t, "stderr", ta.stderr.String(), "too late")

	ta = newTestApp(t)
	if code := ta.try(t, api.url, "get", queued.ID, "--wait", "-o", "json"); code != exitNotSucceed {
		t.Error(code)
	}
	mustContain(t, "stdout", ta.stdout.String(), `"status": "canceled"`)

	ta = newTestApp(t)
	if code := ta.try(t, api.url, "get", "lost"); code != exitFailed {
		t.Error(code)
	}
	mustContain(t, "stderr", ta.stderr.String(), "no such task")
}

func TestWaitIsInterrupted(t *testing.T) {
	t.Parallel()
	api := newFakeAPI(t)
	task := api.add(&client.Task{})
	ta := newTestApp(t)
	api.refuse = func(r *http.Request) (int, string) {
		if r.URL.Query().Get("wait") != "" {
			ta.interrupt()
		}
		return 0, ""
	}
	if code := ta.try(t, api.url, "get", task.ID, "--wait"); code != exitInterrupted {
		t.Errorf("exit %d", code)
	}

	api.refuse = nil
	ta = newTestApp(t)
	if code := ta.try(t, api.url, "get", task.ID, "--wait", "--timeout", "20ms"); code != exitFailed {
		t.Error(code)
	}
	mustContain(t, "stderr", ta.stderr.String(), "gave up after 20ms", "--timeout")
}

func TestInputReadIsInterrupted(t *testing.T) {
	t.Parallel()
	ta := newTestApp(t)
	r, w := io.Pipe()
	t.Cleanup(func() { _ = w.Close() })
	ta.in = readerFunc(func(b []byte) (int, error) {
		ta.interrupt()
		return r.Read(b)
	})
	if code := ta.try(t, "", "submit", "noop", "--input", "-"); code != exitInterrupted {
		t.Errorf("exit %d", code)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

func TestList(t *testing.T) {
	t.Parallel()
	api := newFakeAPI(t)
	for i := range 250 {
		task := &client.Task{Type: "noop", Status: client.Succeeded}
		if i == 3 {
			task = &client.Task{Status: client.DeadLettered, Attempts: 5, Error: &client.TaskError{Code: "http_status", Message: "500"}}
		}
		api.add(task)
	}
	list := func(args ...string) (client.Page, *testApp) {
		t.Helper()
		ta := newTestApp(t)
		if code := ta.try(t, api.url, append([]string{"list", "-o", "json"}, args...)...); code != exitOK {
			t.Fatal(code)
		}
		var p client.Page
		if err := json.Unmarshal([]byte(ta.stdout.String()), &p); err != nil {
			t.Fatal(err)
		}
		return p, ta
	}

	p, _ := list()
	if len(p.Tasks) != 25 || p.Cursor == "" || p.Tasks[0].ID < p.Tasks[1].ID {
		t.Errorf("list: %d tasks, cursor %q", len(p.Tasks), p.Cursor)
	}
	first := p.Tasks[24].ID
	if p, _ = list("--cursor", p.Cursor, "--limit", "130"); len(p.Tasks) != 130 || p.Tasks[0].ID >= first {
		t.Errorf("list on: %d tasks from %s", len(p.Tasks), p.Tasks[0].ID)
	}
	if p, _ = list("--all"); len(p.Tasks) != 250 || p.Cursor != "" {
		t.Errorf("list --all: %d tasks", len(p.Tasks))
	}
	// The one task is on the third page; those before it are empty.
	if p, _ = list("--status", "dead_lettered", "--type", "webhook.deliver"); len(p.Tasks) != 1 {
		t.Errorf("list --status: %d tasks", len(p.Tasks))
	}
	if p, _ = list("--status", "expired"); len(p.Tasks) != 0 || p.Tasks == nil {
		t.Errorf("list of nothing: %v", p.Tasks)
	}

	ta := newTestApp(t)
	if code := ta.try(t, api.url, "list", "--status", "dead_lettered"); code != exitOK {
		t.Error(code)
	}
	lines := strings.Split(ta.stdout.String(), "\n")
	if !strings.HasPrefix(lines[0], "ID  ") || strings.Index(lines[0], "STATUS") != strings.Index(lines[1], "dead_lettered") {
		t.Errorf("not aligned:\n%s", ta.stdout)
	}
	mustContain(t, "table", lines[1], "http_status: 500")

	ta = newTestApp(t)
	if code := ta.try(t, api.url, "list", "--status", "expired"); code != exitOK || ta.stdout.String() != "" {
		t.Error(code)
	}
	mustContain(t, "stderr", ta.stderr.String(), "no tasks")
}

func TestListKeepsWhatItHas(t *testing.T) {
	t.Parallel()
	api := newFakeAPI(t)
	for range 150 {
		api.add(&client.Task{})
	}
	ta := newTestApp(t)
	api.refuse = func(r *http.Request) (int, string) {
		if r.URL.Query().Get("cursor") != "" {
			ta.interrupt()
			<-r.Context().Done()
		}
		return 0, ""
	}
	if code := ta.try(t, api.url, "list", "--all", "-o", "json"); code != exitInterrupted {
		t.Errorf("exit %d", code)
	}
	var p client.Page
	if err := json.Unmarshal([]byte(ta.stdout.String()), &p); err != nil || len(p.Tasks) != 100 {
		t.Errorf("%d tasks, %v", len(p.Tasks), err)
	}
}

// misuse is a command line that cannot mean anything, and what is said about it.
type misuse struct {
	name string
	args []string
	want string
}

// misused expects that command lines are refused.
func misused(t *testing.T, tests []misuse) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ta := newTestApp(t)
			if code := ta.try(t, "", tt.args...); code != exitUsage {
				t.Errorf("exit %d, want %d", code, exitUsage)
			}
			mustContain(t, "stderr", ta.stderr.String(), tt.want, "--help")
			if out := ta.stdout.String(); out != "" {
				t.Errorf("stdout: %s", out)
			}
		})
	}
}

// showing is a command line, and what it shows.
type showing struct {
	args, want []string
}

// shows expects that command lines work.
func shows(t *testing.T, tests []showing) {
	t.Helper()
	for _, tt := range tests {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			t.Parallel()
			ta := newTestApp(t)
			if code := ta.run(t.Context(), tt.args); code != exitOK {
				t.Errorf("exit %d: %s", code, ta.stderr)
			}
			mustContain(t, "stdout", ta.stdout.String(), tt.want...)
		})
	}
}
