package main

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/pkg/client"
)

func TestDemo(t *testing.T) {
	t.Parallel()
	inCloud(t, func(c *cloud) {
		t := c.t
		ta := c.newOperator()
		ta.env["SPILLWAY_STACK"] = "my stack"
		c.run(ta, exitOK, "demo", "--tasks", "240", "-o", "json", "--api-url", cloudAPI)
		var s summary
		if err := json.Unmarshal([]byte(ta.stdout.String()), &s); err != nil {
			t.Fatal(err)
		}
		got := map[client.Status]int{}
		for _, row := range s.Statuses {
			got[row.Status] = row.Count
		}
		want := map[client.Status]int{client.Succeeded: 219, client.DeadLettered: 6, client.Failed: 6, client.Expired: 8, client.Canceled: 1}
		if diff := cmp.Diff(got, want); diff != "" {
			t.Errorf("statuses (-got +want):\n%s", diff)
		}
		if !s.Complete || s.Accepted != 240 || s.Finished != 240 || len(s.Problems) != 0 {
			t.Errorf("summary = %+v", s)
		}
		if s.Receiver.Delivered != 219 || s.Receiver.WebhookIDs != 219 || s.Receiver.Requests != 195+12+3*12+5*6+6 {
			t.Errorf("receiver = %+v", s.Receiver)
		}
		wantDead := []deadLetters{{Code: "http_500", Message: "hooks.example.com answered 500 Internal Server Error", Count: 6}}
		for i := range s.DeadLetters {
			s.DeadLetters[i].Example = ""
		}
		if diff := cmp.Diff(s.DeadLetters, wantDead); diff != "" {
			t.Errorf("dead letters (-got +want):\n%s", diff)
		}
		wantAttempts := []attemptCount{{0, 9}, {1, 213}, {3, 12}, {5, 6}}
		if diff := cmp.Diff(s.Attempts, wantAttempts); diff != "" {
			t.Errorf("attempts (-got +want):\n%s", diff)
		}
		mustContain(t, "stderr", ta.stderr.String(), "240 tasks to a receiver", "submitted 240/240", "dead_lettered 6")
	}, "MaxAttempts", "5")
}

func TestDemoForPeople(t *testing.T) {
	t.Parallel()
	inCloud(t, func(c *cloud) {
		t := c.t
		ta := c.newOperator()
		ta.screen = func(io.Writer) (int, bool) { return 60, true }
		c.run(ta, exitOK, "demo", "--tasks", "30", "--api-url", cloudAPI)
		mustContain(t, "stdout", ta.stdout.String(),
			"\x1b[8A", "█", "STATUS", "P99", "In the dead-letter queue", "1 × http_500: hooks.example.com answered 500",
			"agree", "Try next:", "spillway get 00V", "--api-url "+cloudAPI, "spillway list --status dead_lettered", "make down")
		for line := range strings.Lines(ta.stdout.String()) {
			if painted, ok := strings.CutPrefix(line, "\r\x1b[2K"); ok && len([]rune(painted)) > 61 {
				t.Errorf("wider than the screen: %q", painted)
			}
		}
	}, "MaxAttempts", "5")
}

func TestDemoFindsDifferences(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		set     func(*cloud)
		want    string
		timeout string
	}{
		{"unsigned", func(c *cloud) { c.unsigned = true }, "without signature", "5m"},
		{"made up", func(c *cloud) {
			c.api.spoil = strings.NewReplacer(`"dead_lettered"`, `"succeeded"`).Replace
		}, "the receiver took no delivery", "5m"},
		{"lost", func(c *cloud) {
			c.api.spoil = strings.NewReplacer(`"succeeded"`, `"failed"`).Replace
		}, "did not succeed by the API", "5m"},
		{"not listed", func(c *cloud) {
			c.api.spoil = func(body string) string {
				var p client.Page
				if err := json.Unmarshal([]byte(body), &p); err != nil || len(p.Tasks) == 0 {
					return body
				}
				p.Tasks = p.Tasks[1:]
				spoiled, err := json.Marshal(p)
				if err != nil {
					c.t.Error(err)
				}
				return string(spoiled)
			}
		}, "but are not in GET /tasks", "5m"},
		{"refused", func(c *cloud) {
			c.api.answer = problem(http.MethodPost, 403, "forbidden")
		}, "tasks that were not accepted or not canceled: 12", "5m"},
		{"not canceled", func(c *cloud) {
			c.api.answer = problem(http.MethodDelete, 403, "forbidden")
		}, "did not finish within 20s (--timeout): ", "20s"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			inCloud(t, func(c *cloud) {
				tt.set(c)
				ta := c.newOperator()
				c.run(ta, exitFailed, "demo", "--tasks", "12", "--timeout", tt.timeout)
				mustContain(c.t, "stdout", ta.stdout.String(), "This should not be", tt.want)
			}, "MaxAttempts", "5")
		})
	}
}

func TestDemoIsInterrupted(t *testing.T) {
	t.Parallel()
	inCloud(t, func(c *cloud) {
		t := c.t
		ta := c.newOperator()
		var accepted atomic.Int64
		c.api.spoil = func(body string) string {
			if accepted.Add(1) == 20 {
				ta.interrupt()
			}
			return body
		}
		c.run(ta, exitInterrupted, "demo", "--tasks", "2000")
		mustContain(t, "stdout", ta.stdout.String(), "broken off after", "of 2000 tasks submitted")
		if strings.Contains(ta.stdout.String(), "This should not be") {
			t.Errorf("problems of a run that was broken off:\n%s", ta.stdout)
		}
	}, "MaxAttempts", "5")
}

func TestDemoNeedsAReachableReceiver(t *testing.T) {
	t.Parallel()
	ta := newTestApp(t)
	if code := ta.try(t, "https://x.execute-api.eu-west-1.amazonaws.com/live", "demo"); code != exitUsage {
		t.Error(code)
	}
	mustContain(t, "stderr", ta.stderr.String(), "--receiver-url")
}

func TestPlanIsTheSameEveryTime(t *testing.T) {
	t.Parallel()
	for _, n := range []int{10, 200, 240, 10_000} {
		names := func() (out []string, count map[string]int) {
			count = map[string]int{}
			recv := &receiver{base: "http://r", expected: map[int]*kind{}}
			for _, item := range planLoad(n, recv, defaultPace) {
				out = append(out, item.kind.name)
				count[item.kind.name]++
			}
			return out, count
		}
		a, count := names()
		b, _ := names()
		if len(a) != n || !cmp.Equal(a, b) || len(count) != len(kinds) || count["called-off"] != 1 {
			t.Errorf("%d tasks: %v", len(a), count)
		}
	}
}

func TestReceiverKeepsStrangersOut(t *testing.T) {
	t.Parallel()
	recv, err := startReceiver(t.Context(), listenHTTP, "127.0.0.1:0", "", time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(recv.stop)
	known := recv.expect(0, &kinds[0])
	root := strings.Join(strings.Split(recv.base, "/")[:3], "/")
	for url, want := range map[string]int{
		known:                  http.StatusUnauthorized, // no signature
		recv.base + "/good/1":  http.StatusNotFound,
		recv.base + "/good/x":  http.StatusNotFound,
		root + "/guess/good/0": http.StatusNotFound,
		root:                   http.StatusNotFound,
	} {
		resp, err := http.Post(url, "application/json", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: %d, want %d", url, resp.StatusCode, want)
		}
	}
	if requests, unsigned, ids := recv.totals(); requests != 1 || unsigned != 1 || ids != 0 {
		t.Errorf("totals = %d, %d, %d", requests, unsigned, ids)
	}
}

func TestPercentile(t *testing.T) {
	t.Parallel()
	var times []time.Duration
	for i := range 200 {
		times = append(times, time.Duration(i+1))
	}
	for p, want := range map[int]time.Duration{50: 100, 99: 198, 100: 200} {
		if got := percentile(times, p); got != want {
			t.Errorf("p%d = %d, want %d", p, got, want)
		}
	}
	if got := percentile(nil, 50); got != 0 {
		t.Errorf("of nothing: %d", got)
	}
	if got := percentile(times[:1], 50); got != 1 {
		t.Errorf("of one: %d", got)
	}
}

func TestQuote(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"http://127.0.0.1:4566/a": "http://127.0.0.1:4566/a", "my stack": "'my stack'", "it's": `'it'\''s'`, "": "''",
	} {
		if got := quote(in); got != want {
			t.Errorf("quote(%q) = %s, want %s", in, got, want)
		}
	}
}
