package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// outcomes decodes what submit -f wrote.
func outcomes(t *testing.T, text string) map[int]lineOutcome {
	t.Helper()
	found := map[int]lineOutcome{}
	for line := range strings.Lines(text) {
		var o lineOutcome
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		found[o.Line] = o
	}
	return found
}

func TestSubmitFile(t *testing.T) {
	t.Parallel()
	api := newFakeAPI(t)
	file := filepath.Join(t.TempDir(), "tasks.ndjson")
	text := "\xef\xbb\xbf" + strings.Join([]string{
		`{"type":"noop","input":{"n":1},"priority":"bulk","ttl":"1m","callback_url":"https://x.test/done","idempotency_key":"k1"}`,
		``,
		`{"type":"noop","input":`,
		`{"type":"noop","inputs":{}}`,
		`{"type":"noop"} {"type":"noop"}`,
		`{"input":{}}`,
		`{"type":"noop","ttl":"soon"}`,
		`{"type":"noop","idempotency_key":"ü"}`,
		`{"type":"missing","input":{}}`,
		`{"type":"noop","input":"` + strings.Repeat("x", maxLineBytes) + `"}`,
		`{"type":"noop","input":{"n":2}}` + "\r",
		`{"type":"noop","input":{"n":3}}`, // and no line end
	}, "\n")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ta := newTestApp(t)
	if code := ta.try(t, api.url, "submit", "-f", file, "-o", "json"); code != exitFailed {
		t.Error(code)
	}
	got := map[int]string{}
	for n, o := range outcomes(t, ta.stdout.String()) {
		switch {
		case o.OK:
			got[n] = string(o.Task.Status)
		default:
			got[n] = o.Error.Code
		}
	}
	want := map[int]string{
		1: "queued", 3: "malformed_line", 4: "malformed_line", 5: "malformed_line", 6: "malformed_line", 7: "malformed_line",
		8: "malformed_line", 9: "unknown_task_type", 10: "malformed_line", 11: "queued", 12: "queued",
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("outcomes (-got +want):\n%s", diff)
	}
	mustContain(t, "stderr", ta.stderr.String(), "3 accepted, 8 failed")
	if !slices.ContainsFunc(api.bodies, func(b submitBody) bool { return b.CallbackURL == "https://x.test/done" }) {
		t.Errorf("no body has the callback: %+v", api.bodies)
	}

	ta = newTestApp(t)
	if code := ta.try(t, api.url, "submit", "-f", file); code != exitFailed {
		t.Error(code)
	}
	mustContain(t, "stdout", ta.stdout.String(), "line 1 ", "line 4       malformed_line: json: unknown field")
}

func TestSubmitFileFromStdinAndWait(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	for i := range 500 {
		fmt.Fprintf(&text, `{"type":"noop","input":{"n":%d}}`+"\n", i)
	}
	api := newFakeAPI(t)
	ta := newTestApp(t)
	ta.in = strings.NewReader(text.String())
	if code := ta.try(t, api.url, "submit", "-f", "-", "--wait", "-o", "json"); code != exitOK {
		t.Error(code)
	}
	found := outcomes(t, ta.stdout.String())
	for i := range 500 {
		if o := found[i+1]; !o.OK || string(o.Task.Result) != fmt.Sprintf(`{"n":%d}`, i) {
			t.Fatalf("line %d: %+v", i+1, o)
		}
	}

	ta = newTestApp(t)
	ta.in = strings.NewReader(`{"type":"noop","input":{}}` + "\n" +
		`{"type":"webhook.deliver","input":{"url":"http://127.0.0.1:1/"}}`)
	if code := ta.try(t, api.url, "submit", "-f", "-", "--wait"); code != exitNotSucceed {
		t.Error(code)
	}
	mustContain(t, "stderr", ta.stderr.String(), "2 accepted, 0 failed, 1 did not succeed")
}

func TestSubmitFileIsInterrupted(t *testing.T) {
	t.Parallel()
	api := newFakeAPI(t)
	r, w := io.Pipe() // stays open, as a terminal does
	t.Cleanup(func() { _ = w.Close() })
	go func() {
		_, _ = io.WriteString(w, `{"type":"noop","input":{}}`+"\n"+`{"type":"noop","input":{"hang":1},"idempotency_key":"k2"}`+"\n")
	}()
	ta := newTestApp(t)
	ta.in = r
	api.refuse = func(r *http.Request) (int, string) {
		if r.Header.Get("Idempotency-Key") == "k2" {
			ta.interrupt()
			<-r.Context().Done()
		}
		return 0, ""
	}
	if code := ta.try(t, api.url, "submit", "-f", "-", "-o", "json", "--concurrency", "1"); code != exitInterrupted {
		t.Errorf("exit %d", code)
	}
	found := outcomes(t, ta.stdout.String())
	if !found[1].OK {
		t.Errorf("line 1: %+v", found[1])
	}
	if e := found[2].Error; e == nil || e.Code != "interrupted" || e.IdempotencyKey != "k2" {
		t.Errorf("line 2: %+v", found[2])
	}
	mustContain(t, "stderr", ta.stderr.String(), "1 accepted, 1 failed", "interrupted")
}
