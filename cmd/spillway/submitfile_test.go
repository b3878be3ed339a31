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
	inCloud(t, func(c *cloud) {
		t := c.t
		file := filepath.Join(t.TempDir(), "tasks.ndjson")
		text := "\xef\xbb\xbf" + strings.Join([]string{
			`{"type":"trips.export","input":{"page_size":1},"priority":"bulk","ttl":"1m","callback_url":"https://x.test/done","idempotency_key":"k1"}`,
			``,
			`{"type":"trips.export","input":`,
			`{"type":"trips.export","inputs":{}}`,
			`{"type":"trips.export"} {"type":"trips.export"}`,
			`{"input":{}}`,
			`{"type":"trips.export","ttl":"soon"}`,
			`{"type":"trips.export","idempotency_key":"ü"}`,
			`{"type":"missing","input":{}}`,
			`{"type":"trips.export","input":"` + strings.Repeat("x", maxLineBytes) + `"}`,
			`{"type":"trips.export","input":{"page_size":2}}` + "\r",
			`{"type":"trips.export","input":{"page_size":3}}`, // and no line end
		}, "\n")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		ta := c.newOperator()
		c.run(ta, exitFailed, "submit", "-f", file, "-o", "json")
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
		if !slices.ContainsFunc(c.api.requests, func(r *http.Request) bool {
			return strings.Contains(bodyOf(t, r), `"callback_url":"https://x.test/done"`)
		}) {
			t.Error("no body has the callback")
		}

		ta = c.newOperator()
		c.run(ta, exitFailed, "submit", "-f", file)
		mustContain(t, "stdout", ta.stdout.String(), "line 1 ", "line 4       malformed_line: json: unknown field")
	})
}

func TestSubmitFileFromStdinAndWait(t *testing.T) {
	t.Parallel()
	inCloud(t, func(c *cloud) {
		t := c.t
		var text strings.Builder
		for i := range 500 {
			path := fmt.Sprintf("/%d", i)
			c.hook(200+i%100, path) // by which the tasks' results are told apart
			fmt.Fprintf(&text, `{"type":"webhook.deliver","input":%s}`+"\n", toHook(path))
		}
		ta := c.newOperator()
		ta.in = strings.NewReader(text.String())
		c.run(ta, exitOK, "submit", "-f", "-", "--wait", "-o", "json")
		found := outcomes(t, ta.stdout.String())
		for i := range 500 {
			if o := found[i+1]; !o.OK || !strings.Contains(string(o.Task.Result), fmt.Sprintf(`"status":%d,`, 200+i%100)) {
				t.Fatalf("line %d: %+v", i+1, o)
			}
		}

		ta = c.newOperator()
		ta.in = strings.NewReader(`{"type":"trips.export","input":{}}` + "\n" +
			`{"type":"webhook.deliver","input":` + string(toHook("/broken")) + `}`)
		c.run(ta, exitNotSucceed, "submit", "-f", "-", "--wait")
		mustContain(t, "stderr", ta.stderr.String(), "2 accepted, 0 failed, 1 did not succeed")
	})
}

func TestSubmitFileIsInterrupted(t *testing.T) {
	t.Parallel()
	inCloud(t, func(c *cloud) {
		t := c.t
		r, w := io.Pipe() // stays open, as a terminal does
		t.Cleanup(func() { _ = w.Close() })
		go func() {
			_, _ = io.WriteString(w, `{"type":"trips.export","input":{}}`+"\n"+`{"type":"trips.export","input":{"page_size":1},"idempotency_key":"k2"}`+"\n")
		}()
		ta := c.newOperator()
		ta.in = r
		c.api.answer = func(_ http.ResponseWriter, r *http.Request) bool {
			if r.Header.Get("Idempotency-Key") == "k2" {
				ta.interrupt()
			}
			return false
		}
		c.run(ta, exitInterrupted, "submit", "-f", "-", "-o", "json", "--concurrency", "1")
		found := outcomes(t, ta.stdout.String())
		if !found[1].OK {
			t.Errorf("line 1: %+v", found[1])
		}
		if e := found[2].Error; e == nil || e.Code != "interrupted" || e.IdempotencyKey != "k2" {
			t.Errorf("line 2: %+v", found[2])
		}
		mustContain(t, "stderr", ta.stderr.String(), "1 accepted, 1 failed", "interrupted")
	})
}
