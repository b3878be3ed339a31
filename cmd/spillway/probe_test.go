package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/spillway-go/spillway/integration/probe"
)

// queues is an SQS that takes any delay, and counts the queues that it has. It
// does not allow to receive.
func newQueues(t *testing.T) (url string, left *atomic.Int64) {
	t.Helper()
	left = &atomic.Int64{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		answer := "{}"
		switch operation {
		case "CreateQueue":
			left.Add(1)
			answer = `{"QueueUrl":"http://queues/one"}`
		case "DeleteQueue":
			left.Add(-1)
		case "ReceiveMessage":
			w.WriteHeader(http.StatusForbidden)
			answer = `{"__type":"AccessDeniedException","message":"not you"}`
		case "":
			answer = `{"version":"9"}`
		}
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	return server.URL, left
}

func TestProbeShowsTable(t *testing.T) {
	t.Parallel()
	url, left := newQueues(t)
	ta := newTestApp(t)
	ta.cfg.BaseEndpoint = &url
	if code := ta.try(t, "", "probe", "--only", "delay-limit"); code != exitOK {
		t.Errorf("exit %d", code)
	}
	mustContain(t, "stdout", ta.stdout.String(),
		"FEATURE", "AWS, BY ITS DOCUMENTATION", "delay-limit", "missing: 901 s are accepted", "DelaySeconds above 900 is refused", "ministack 9: 0 as on AWS, 0 differ, 1 are missing, 0 could not")
	mustContain(t, "stderr", ta.stderr.String(), "1 of 1: delay-limit: missing", "removing what was made")
	if n := left.Load(); n != 0 {
		t.Errorf("%d queues are left", n)
	}
}

// What could not be tried has no verdict; the rest is shown.
func TestProbeFails(t *testing.T) {
	t.Parallel()
	url, left := newQueues(t)
	ta := newTestApp(t)
	ta.cfg.BaseEndpoint = &url
	if code := ta.try(t, "", "probe", "--only", "visibility-limit,delay-limit", "-o", "json"); code != exitFailed {
		t.Errorf("exit %d", code)
	}
	var r probeReport
	if err := json.Unmarshal([]byte(ta.stdout.String()), &r); err != nil {
		t.Fatal(err)
	}
	if r.Target != "ministack" || r.Version != "9" || r.Endpoint != url || len(r.Features) != 2 {
		t.Fatalf("got %+v", r)
	}
	if a, b := r.Features[0], r.Features[1]; a.ID != probe.DelayLimit || a.Verdict != probe.Missing || a.Source == "" ||
		b.ID != probe.VisibilityLimit || b.Verdict != "" {
		t.Errorf("got %+v", r.Features)
	}
	mustContain(t, "stderr", ta.stderr.String(), "visibility-limit", "not you")
	if n := left.Load(); n != 0 {
		t.Errorf("%d queues are left", n)
	}
}

func TestProbeRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		endpoint string
		args     []string
		want     []string
	}{
		{"an unknown id", "http://127.0.0.1:1", []string{"--only", "delay-limit,fast"}, []string{`"fast"`, "stream-bisect", "delay-limit"}},
		{"AWS", "", nil, []string{"--aws", "spillway-probe-", "cost"}},
		{"AWS by name", "https://sqs.eu-west-1.amazonaws.com", nil, []string{"--aws"}},
		{"an argument", "", []string{"all"}, []string{"all"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ta := newTestApp(t)
			if tt.endpoint != "" {
				ta.cfg.BaseEndpoint = aws.String(tt.endpoint)
			}
			if code := ta.try(t, "", append([]string{"probe"}, tt.args...)...); code != exitUsage {
				t.Errorf("exit %d", code)
			}
			mustContain(t, "stderr", ta.stderr.String(), tt.want...)
		})
	}
}

func TestProbeProgressOnAScreen(t *testing.T) {
	t.Parallel()
	url, _ := newQueues(t)
	ta := newTestApp(t)
	ta.cfg.BaseEndpoint = &url
	ta.screen = func(w io.Writer) (int, bool) { return 60, w == ta.errw }
	if code := ta.try(t, "", "probe", "--only", "delay-limit"); code != exitOK {
		t.Errorf("exit %d", code)
	}
	mustContain(t, "stderr", ta.stderr.String(), "\r\x1b[K0 of 1 tried; trying delay-limit", "\r\x1b[K1 of 1 tried")
	if strings.Contains(ta.stderr.String(), "\n") {
		t.Error("the line is not painted over")
	}
}

func TestAmazonsEndpoints(t *testing.T) {
	t.Parallel()
	for endpoint, want := range map[string]bool{
		"": true, "https://sqs.eu-west-1.amazonaws.com": true, "https://vpce-1.sqs.eu-west-1.vpce.amazonaws.com/": true, "https://lambda.eu-west-1.api.aws": true,
		"https://sqs.cn-north-1.amazonaws.com.cn": true, "http://127.0.0.1:4566": false, "http://localstack:4566": false, "http://notamazonaws.com": false, "::": false,
	} {
		if got := isAmazons(endpoint); got != want {
			t.Errorf("%q: got %t", endpoint, got)
		}
	}
}
