package main

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/pkg/client"
)

func TestDemo(t *testing.T) {
	t.Parallel()
	api := newFakeAPI(t)
	ta := newTestApp(t)
	ta.env["SPILLWAY_STACK"] = "my stack"
	if code := ta.try(t, api.url, "demo", "--tasks", "240", "-o", "json"); code != exitOK {
		t.Fatal(code)
	}
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
	wantDead := []deadLetters{{Code: "http_status", Message: "POST the receiver: 500", Count: 6}}
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
}

func TestDemoForPeople(t *testing.T) {
	t.Parallel()
	api := newFakeAPI(t)
	ta := newTestApp(t)
	ta.screen = func(io.Writer) (int, bool) { return 60, true }
	if code := ta.try(t, api.url, "demo", "--tasks", "30"); code != exitOK {
		t.Fatal(code)
	}
	mustContain(t, "stdout", ta.stdout.String(),
		"\x1b[8A", "█", "STATUS", "P99", "In the dead-letter queue", "1 × http_status: POST the receiver: 500",
		"agree", "Try next:", "spillway get 01J", "--api-url "+api.url, "spillway list --status dead_lettered", "make down")
	for line := range strings.Lines(ta.stdout.String()) {
		if painted, ok := strings.CutPrefix(line, "\r\x1b[2K"); ok && len([]rune(painted)) > 61 {
			t.Errorf("wider than the screen: %q", painted)
		}
	}
}

func TestDemoFindsDifferences(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		set     func(*fakeAPI)
		want    string
		endless bool // only --timeout ends it
	}{
		{"unsigned", func(f *fakeAPI) { f.unsigned = true }, "without signature", false},
		{"made up", func(f *fakeAPI) {
			f.twist = func(t *client.Task) {
				if t.Status == client.DeadLettered {
					t.Status = client.Succeeded
				}
			}
		}, "the receiver took no delivery", false},
		{"lost", func(f *fakeAPI) {
			f.twist = func(t *client.Task) {
				if t.Status == client.Succeeded {
					t.Status = client.Failed
				}
			}
		}, "did not succeed by the API", false},
		{"not listed", func(f *fakeAPI) {
			f.hide = func(t *client.Task) bool { return strings.HasSuffix(t.ID, "7") }
		}, "but are not in GET /tasks", false},
		{"refused", func(f *fakeAPI) {
			f.refuse = func(r *http.Request) (int, string) {
				if r.Method == http.MethodPost {
					return 403, "forbidden"
				}
				return 0, ""
			}
		}, "tasks that were not accepted or not canceled: 12", false},
		{"not canceled", func(f *fakeAPI) {
			f.refuse = func(r *http.Request) (int, string) {
				if r.Method == http.MethodDelete {
					return 403, "forbidden"
				}
				return 0, ""
			}
		}, "did not finish within 1s (--timeout): ", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			api := newFakeAPI(t)
			tt.set(api)
			ta := newTestApp(t)
			limit := "1m"
			if tt.endless {
				limit = "1s"
			}
			if code := ta.try(t, api.url, "demo", "--tasks", "12", "--timeout", limit); code != exitFailed {
				t.Errorf("exit %d", code)
			}
			mustContain(t, "stdout", ta.stdout.String(), "This should not be", tt.want)
		})
	}
}

func TestDemoIsInterrupted(t *testing.T) {
	t.Parallel()
	api := newFakeAPI(t)
	ta := newTestApp(t)
	api.accepted = func(n int) {
		if n == 20 {
			ta.interrupt()
		}
	}
	if code := ta.try(t, api.url, "demo", "--tasks", "2000"); code != exitInterrupted {
		t.Errorf("exit %d", code)
	}
	mustContain(t, "stdout", ta.stdout.String(), "broken off after", "of 2000 tasks submitted")
	if strings.Contains(ta.stdout.String(), "This should not be") {
		t.Errorf("problems of a run that was broken off:\n%s", ta.stdout)
	}
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
	recv, err := startReceiver(t.Context(), "127.0.0.1:0", "", time.Millisecond)
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
