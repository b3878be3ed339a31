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
	inCloud(t, func(c *cloud) {
		t, ta := c.t, c.newOperator()
		c.run(ta, exitOK, "submit", "--type", "webhook.deliver", "--input", `{"url":"https://x.test/?a=1&b=<2>","event":"e","payload":{}}`, "--priority", "bulk",
			"--deadline", "2000-01-02T03:04:05+01:00", "--callback-url", "https://x.test/done?a=1&b=<2>",
			"--idempotency-key", "k1", "--output", "json")
		r := c.api.last()
		want := `{"type":"webhook.deliver","input":{"url":"https://x.test/?a=1&b=<2>","event":"e","payload":{}},"priority":"bulk",` +
			`"deadline":"2000-01-02T02:04:05.000Z","callback_url":"https://x.test/done?a=1&b=<2>"}`
		if diff := cmp.Diff(decoded(t, bodyOf(t, r)), decoded(t, want)); diff != "" {
			t.Errorf("body (-got +want):\n%s", diff)
		}
		if r.Header.Get("Idempotency-Key") != "k1" || !strings.Contains(r.Header.Get("Authorization"), "/eu-central-1/execute-api/") {
			t.Errorf("headers = %v", r.Header)
		}
		var task client.Task
		if err := json.Unmarshal([]byte(ta.stdout.String()), &task); err != nil || task.ID == "" {
			t.Errorf("stdout is no task: %v", err)
		}
	})
}

func decoded(t *testing.T, text string) (v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestSubmitReadsInput(t *testing.T) {
	t.Parallel()
	const compact = `{"url":"https://hooks.example.com/0","event":"e","payload":{"n":12345678901234567890}}`
	file := filepath.Join(t.TempDir(), "in.json")
	if err := os.WriteFile(file, []byte(" "+strings.ReplaceAll(compact, ":1", ": 1")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	inCloud(t, func(c *cloud) {
		for _, input := range []string{"@" + file, "-"} {
			ta := c.newOperator()
			ta.in = strings.NewReader(compact)
			c.run(ta, exitOK, "submit", "webhook.deliver", "--input", input, "--ttl", "90s", "--delay", "0s")
			mustContain(c.t, "body", bodyOf(c.t, c.api.last()), `"input":`+compact)
			mustContain(c.t, "stdout", ta.stdout.String(), "status    queued", "type      webhook.deliver")
		}
	})
}

func TestSubmitWait(t *testing.T) {
	t.Parallel()
	inCloud(t, func(c *cloud) {
		ta := c.newOperator()
		c.run(ta, exitOK, "submit", "trips.export", "--input", `{"page_size":1}`, "--wait")
		mustContain(c.t, "stdout", ta.stdout.String(), "succeeded", "result", `"count": 0`)

		ta = c.newOperator()
		c.run(ta, exitNotSucceed, "submit", "webhook.deliver", "--input", string(toHook("/broken")), "--wait")
		mustContain(c.t, "stdout", ta.stdout.String(), "dead_lettered", "attempts  5", "error     http_503")
		mustContain(c.t, "stderr", ta.stderr.String(), "ended as dead_lettered")
	}, "MaxAttempts", "5")
}

func TestSubmitUnknownOutcome(t *testing.T) {
	t.Parallel()
	ta := newTestApp(t)
	ta.api = &apiWire{answer: problem("", 503, "unavailable")}
	if code := ta.play(t, "submit", "noop", "--idempotency-key", "order-1", "--api-url", cloudAPI); code != exitFailed {
		t.Error(code)
	}
	mustContain(t, "stderr", ta.stderr.String(), "503", "--idempotency-key order-1")
}

func TestGetAndCancel(t *testing.T) {
	t.Parallel()
	inCloud(t, func(c *cloud) {
		queued := c.submit(client.SubmitRequest{Type: "webhook.deliver", Input: toHook("/0"), Delay: time.Minute})
		ta := c.newOperator()
		c.run(ta, exitOK, "cancel", queued.ID)
		mustContain(c.t, "stdout", ta.stdout.String(), "canceled")

		c.hook(http.StatusOK, "/1")
		ta = c.newOperator()
		c.run(ta, exitFailed, "cancel", c.deliver(client.Succeeded, "/1")[0], "-o", "json")
		mustContain(c.t, "stderr", ta.stderr.String(), "too late")

		ta = c.newOperator()
		c.run(ta, exitNotSucceed, "get", queued.ID, "--wait", "-o", "json")
		mustContain(c.t, "stdout", ta.stdout.String(), `"status": "canceled"`)

		ta = c.newOperator()
		c.run(ta, exitFailed, "get", "lost")
		mustContain(c.t, "stderr", ta.stderr.String(), "no such task")

		c.api.answer = answers("", 200, &client.Task{
			ID: queued.ID, Type: queued.Type, CreatedAt: queued.CreatedAt, Status: client.Running, Tenant: "t1", StartedAt: time.Now(), CancelRequested: true, Attempts: 1,
			Deadline: time.Now().Add(time.Hour - time.Second),
			Progress: &client.Progress{Done: 3, Total: 9, Note: "page 3"},
			Error:    &client.TaskError{Code: "http_status", Message: "evil \x1b[2J\ntext"},
		})
		ta = c.newOperator()
		c.run(ta, exitOK, "get", queued.ID)
		mustContain(c.t, "stdout", ta.stdout.String(), "running (cancel requested)", "3 of 9, page 3", "tenant", "(in 59m")
		if strings.Contains(ta.stdout.String(), "\x1b") {
			c.t.Error("an escape sequence reached the terminal")
		}
	})
}

func TestWaitIsInterrupted(t *testing.T) {
	t.Parallel()
	inCloud(t, func(c *cloud) {
		task := c.submit(client.SubmitRequest{Type: "webhook.deliver", Input: toHook("/0"), Delay: time.Minute})
		ta := c.newOperator()
		c.api.answer = func(_ http.ResponseWriter, r *http.Request) bool {
			if r.URL.Query().Get("wait") != "" {
				ta.interrupt()
			}
			return false
		}
		c.run(ta, exitInterrupted, "get", task.ID, "--wait")

		c.api.answer = nil
		ta = c.newOperator()
		c.run(ta, exitFailed, "get", task.ID, "--wait", "--timeout", "20ms")
		mustContain(c.t, "stderr", ta.stderr.String(), "gave up after 20ms", "--timeout")
	})
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
	inCloud(t, func(c *cloud) {
		t := c.t
		c.deliver(client.DeadLettered, "/broken")
		for range 249 {
			c.submit(client.SubmitRequest{Type: "trips.export", Input: json.RawMessage(`{}`)})
		}
		c.stack.Quiet()
		list := func(args ...string) client.Page {
			t.Helper()
			ta := c.newOperator()
			c.run(ta, exitOK, append([]string{"list", "-o", "json"}, args...)...)
			var p client.Page
			if err := json.Unmarshal([]byte(ta.stdout.String()), &p); err != nil {
				t.Fatal(err)
			}
			return p
		}

		p := list()
		if len(p.Tasks) != 25 || p.Cursor == "" || p.Tasks[0].ID < p.Tasks[1].ID {
			t.Errorf("list: %d tasks, cursor %q", len(p.Tasks), p.Cursor)
		}
		first := p.Tasks[24].ID
		if p = list("--cursor", p.Cursor, "--limit", "130"); len(p.Tasks) != 130 || p.Tasks[0].ID >= first {
			t.Errorf("list on: %d tasks from %s", len(p.Tasks), p.Tasks[0].ID)
		}
		if p = list("--all"); len(p.Tasks) != 250 || p.Cursor != "" {
			t.Errorf("list --all: %d tasks", len(p.Tasks))
		}
		if p = list("--status", "dead_lettered", "--type", "webhook.deliver"); len(p.Tasks) != 1 {
			t.Errorf("list --status: %d tasks", len(p.Tasks))
		}
		if p = list("--status", "expired"); len(p.Tasks) != 0 || p.Tasks == nil {
			t.Errorf("list of nothing: %v", p.Tasks)
		}

		ta := c.newOperator()
		c.run(ta, exitOK, "list", "--status", "dead_lettered")
		lines := strings.Split(ta.stdout.String(), "\n")
		if !strings.HasPrefix(lines[0], "ID  ") || strings.Index(lines[0], "STATUS") != strings.Index(lines[1], "dead_lettered") {
			t.Errorf("not aligned:\n%s", ta.stdout)
		}
		mustContain(t, "table", lines[1], "http_503: ")

		ta = c.newOperator()
		c.run(ta, exitOK, "list", "--status", "expired")
		if ta.stdout.String() != "" {
			t.Errorf("stdout: %s", ta.stdout)
		}
		mustContain(t, "stderr", ta.stderr.String(), "no tasks")
	})
}

// A page may be empty and not the last.
func TestListGoesOn(t *testing.T) {
	t.Parallel()
	ta := newTestApp(t)
	pages := map[string]client.Page{
		"":  {Tasks: []*client.Task{}, Cursor: "2"},
		"2": {Tasks: []*client.Task{}, Cursor: "3"},
		"3": {Tasks: []*client.Task{{ID: "01LAST", Status: client.DeadLettered}}},
	}
	ta.api = &apiWire{answer: func(w http.ResponseWriter, r *http.Request) bool {
		return answers("", 200, pages[r.URL.Query().Get("cursor")])(w, r)
	}}
	if code := ta.play(t, "list", "--status", "dead_lettered", "--api-url", cloudAPI); code != exitOK {
		t.Errorf("exit %d", code)
	}
	mustContain(t, "stdout", ta.stdout.String(), "01LAST")
}

func TestListKeepsWhatItHas(t *testing.T) {
	t.Parallel()
	inCloud(t, func(c *cloud) {
		for range 150 {
			c.submit(client.SubmitRequest{Type: "trips.export", Input: json.RawMessage(`{}`), Delay: time.Minute})
		}
		ta := c.newOperator()
		c.api.answer = func(_ http.ResponseWriter, r *http.Request) bool {
			if r.URL.Query().Get("cursor") != "" {
				ta.interrupt()
			}
			return false
		}
		c.run(ta, exitInterrupted, "list", "--all", "-o", "json")
		var p client.Page
		if err := json.Unmarshal([]byte(ta.stdout.String()), &p); err != nil || len(p.Tasks) != 100 {
			c.t.Errorf("%d tasks, %v", len(p.Tasks), err)
		}
	})
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
