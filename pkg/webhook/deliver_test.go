package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/spillway-go/spillway/pkg/task"
)

func TestDeliverySignature(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, nil)
	d, _ := deliverer(t, nil)
	d.secrets = StaticSecrets{mustSecret(t, currentKey), mustSecret(t, previousKey)}
	result, err := d.Deliver(inTask(t.Context(), 3), input(r.URL+"/hooks?a=b"))
	if err != nil {
		t.Fatal(err)
	}
	if latency, err := time.ParseDuration(result.Latency); err != nil || latency < 0 || latency > 5*time.Second || result.Status != 200 || result.Attempt != 3 {
		t.Errorf("result %+v", result)
	}
	got := r.requests()[0]
	if want := `{"type":"invoice.paid","timestamp":"2026-01-31T12:00:00.123Z","data":{"id":"in_1"}}`; string(got.body) != want {
		t.Errorf("body %s, want %s", got.body, want)
	}
	for _, key := range []string{currentKey, previousKey} {
		wh, err := standardwebhooks.NewWebhook(key)
		if err != nil {
			t.Fatal(err)
		}
		if err := wh.Verify(got.body, got.header); err != nil {
			t.Error(err)
		}
		if wh.Verify(append(bytes.Clone(got.body), ' '), got.header) == nil {
			t.Error("a changed body verifies")
		}
	}
	signatures := strings.Split(got.header.Get(HeaderSignature), " ")
	if len(signatures) != 2 || signatures[0] == signatures[1] {
		t.Errorf("signatures %v", signatures)
	}
	sent := got.header.Clone()
	sent.Del(HeaderSignature)
	sent.Del(HeaderTimestamp)
	want := http.Header{
		"Content-Type": {"application/json"}, "Content-Length": {strconv.Itoa(len(got.body))},
		"User-Agent": {"Spillway/1 (+https://github.com/spillway-go/spillway)"}, HeaderID: {"01J8ZQ4T6Y0V5N3C9K2M7R1XAB-1"},
	}
	if diff := cmp.Diff(sent, want); diff != "" {
		t.Errorf("headers (-got +want):\n%s", diff)
	}
}

// recorder is a transport without a network.
type recorder func(*http.Request) (*http.Response, error)

func (f recorder) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestAttemptsOfOneRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var got []received
		d, _ := deliverer(t, func(o *Options) {
			o.Transport = recorder(func(r *http.Request) (*http.Response, error) {
				var buf bytes.Buffer
				buf.ReadFrom(r.Body)
				got = append(got, received{header: r.Header.Clone(), body: buf.Bytes()})
				return &http.Response{StatusCode: 503, Body: http.NoBody, Header: http.Header{}}, nil
			})
		})
		for attempt := range 3 {
			d.Deliver(inTask(t.Context(), attempt+1), input("https://h.example"))
			time.Sleep(time.Minute)
		}
		wh, _ := standardwebhooks.NewWebhook(currentKey)
		for i, r := range got {
			if !bytes.Equal(r.body, got[0].body) || r.header.Get(HeaderID) != got[0].header.Get(HeaderID) {
				t.Errorf("attempt %d differs: %s, %v", i+1, r.body, r.header)
			}
			if i > 0 && r.header.Get(HeaderTimestamp) == got[i-1].header.Get(HeaderTimestamp) {
				t.Errorf("attempt %d has the timestamp of the one before", i+1)
			}
			if err := wh.VerifyIgnoringTimestamp(r.body, r.header); err != nil {
				t.Error(err)
			}
		}
		if len(got) != 3 {
			t.Errorf("%d attempts", len(got))
		}
	})
}

func TestStatuses(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, func(w http.ResponseWriter, req *http.Request) {
		code, _ := strconv.Atoi(strings.TrimPrefix(req.URL.Path, "/"))
		w.Header().Set("Location", "http://127.0.0.1/secret-location")
		if after := req.URL.Query().Get("after"); after != "" {
			w.Header().Set("Retry-After", after)
		}
		w.WriteHeader(code)
		if code != 204 && code != 304 {
			fmt.Fprint(w, "what the receiver says")
		}
	})
	d, _ := deliverer(t, nil)
	tests := []struct {
		path      string
		permanent bool
		after     time.Duration
	}{
		{"200", false, 0},
		{"201", false, 0},
		{"202", false, 0},
		{"204", false, 0},
		{"299", false, 0},
		{"300", true, 0},
		{"301", true, 0},
		{"302", true, 0},
		{"303", true, 0},
		{"304", true, 0},
		{"307", true, 0},
		{"308", true, 0},
		{"400", true, 0},
		{"401", true, 0},
		{"403", true, 0},
		{"404", true, 0},
		{"404?after=5", true, 0},
		{"408", false, 0},
		{"410", true, 0},
		{"413", true, 0},
		{"422", true, 0},
		{"425", false, 0},
		{"429", false, 0},
		{"429?after=7", false, 7 * time.Second},
		{"429?after=-7", false, 0},
		{"451", true, 0},
		{"499", true, 0},
		{"500", false, 0},
		{"501", false, 0},
		{"502", false, 0},
		{"503", false, 0},
		{"503?after=99999", false, 12 * time.Hour},
		{"503?after=soon", false, 0},
		{"504", false, 0},
		{"599", false, 0},
		{"799", false, 0},
	}
	for _, tt := range tests {
		status := tt.path[:3]
		result, err := d.Deliver(inTask(t.Context(), 1), input(r.URL+"/"+tt.path))
		if status[0] == '2' {
			if err != nil || strconv.Itoa(result.Status) != status {
				t.Errorf("%s: %+v, %v", tt.path, result, err)
			}
			continue
		}
		if err == nil {
			t.Errorf("%s succeeded", tt.path)
			continue
		}
		f := task.FailureOf(err)
		if f.Code != "http_"+status || f.Retryable == tt.permanent || result != (Result{}) {
			t.Errorf("%s: %+v", tt.path, f)
		}
		if after, ok := task.RetryDelay(err); after != tt.after || ok != (tt.after > 0) {
			t.Errorf("%s: retry after %v, %t", tt.path, after, ok)
		}
		for _, leak := range []string{"what the receiver says", "secret-location", "after="} {
			if strings.Contains(f.Message, leak) {
				t.Errorf("%s: %q leaks in %q", tt.path, leak, f.Message)
			}
		}
		if !strings.HasPrefix(f.Message, strings.TrimPrefix(r.URL, "http://")+" answered "+status) {
			t.Errorf("%s: message %q", tt.path, f.Message)
		}
		if status[0] == '3' && !strings.Contains(f.Message, "redirects are not followed") {
			t.Errorf("%s: message %q", tt.path, f.Message)
		}
	}
	if n := len(r.requests()); n != len(tests) {
		t.Errorf("%d requests for %d deliveries", n, len(tests))
	}
	if n := r.connections(); n != 1 {
		t.Errorf("%d connections, want one that is reused", n)
	}
}

func TestRetryAfterDate(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat))
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	d, _ := deliverer(t, nil)
	_, err := d.Deliver(inTask(t.Context(), 1), input(r.URL))
	if after, ok := task.RetryDelay(err); !ok || after > time.Hour || after < 59*time.Minute {
		t.Errorf("%v, %t", after, ok)
	}
}

func TestSlowAnswer(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, func(_ http.ResponseWriter, req *http.Request) { <-req.Context().Done() })
	d, _ := deliverer(t, func(o *Options) { o.Timeout = 50 * time.Millisecond })
	_, err := d.Deliver(inTask(t.Context(), 1), input(r.URL+"?token=hunter2"))
	f := task.FailureOf(err)
	if f.Code != CodeTimeout || !f.Retryable || !strings.Contains(f.Message, "did not answer") || strings.Contains(f.Message, "hunter2") {
		t.Errorf("%+v", f)
	}
}

// Time-outs on a fake clock: the transport hangs until the context ends.
func TestTimeouts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, _ := deliverer(t, func(o *Options) {
			o.Timeout = 0
			o.Transport = recorder(func(r *http.Request) (*http.Response, error) {
				<-r.Context().Done()
				return nil, r.Context().Err()
			})
		})
		start := time.Now()
		_, err := d.Deliver(inTask(t.Context(), 1), input("https://h.example"))
		if f := task.FailureOf(err); time.Since(start) != 10*time.Second || f.Code != CodeTimeout || !f.Retryable ||
			f.Message != "h.example was not connected within 10s" || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%+v after %v", f, time.Since(start))
		}

		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start = time.Now()
		_, err = d.Deliver(inTask(short, 1), input("https://h.example"))
		if f := task.FailureOf(err); time.Since(start) != time.Second || f.Code != CodeTimeout || !f.Retryable || !strings.Contains(f.Message, "worker") {
			t.Errorf("%+v after %v", f, time.Since(start))
		}

		lost, stop := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { stop(task.ErrLeaseLost) })
		_, err = d.Deliver(inTask(lost, 1), input("https://h.example"))
		if !errors.Is(err, task.ErrLeaseLost) || task.IsPermanent(err) {
			t.Errorf("lost lease: %v", err)
		}
	})
}

// The outcome is known from the headers; a body that drips or never ends does
// not change it.
func TestBodiesAreBounded(t *testing.T) {
	t.Parallel()
	stopped := make(chan struct{}, 2)
	r := newReceiver(t, func(w http.ResponseWriter, req *http.Request) {
		defer func() { stopped <- struct{}{} }()
		w.WriteHeader(http.StatusAccepted)
		if err := http.NewResponseController(w).Flush(); err != nil {
			return
		}
		if req.URL.Path == "/drips" {
			<-req.Context().Done()
			return
		}
		chunk := make([]byte, 32<<10)
		for {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	})
	d, _ := deliverer(t, nil)
	for _, path := range []string{"/endless", "/drips"} {
		start := time.Now()
		result, err := d.Deliver(inTask(t.Context(), 1), input(r.URL+path))
		if err != nil || result.Status != 202 || time.Since(start) > 4*time.Second {
			t.Errorf("%s: %+v, %v after %v", path, result, err, time.Since(start))
		}
		<-stopped
	}
}

func TestHugeHeaders(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Huge", strings.Repeat("a", 2*maxHeaderBytes))
	})
	d, _ := deliverer(t, nil)
	_, err := d.Deliver(inTask(t.Context(), 1), input(r.URL))
	if f := task.FailureOf(err); f.Code != CodeConnection || !f.Retryable {
		t.Errorf("%+v", f)
	}
}

// A receiver that drops a connection it kept open costs no attempt.
func TestDeadConnection(t *testing.T) {
	t.Parallel()
	var n int
	r := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) {
		if n++; n == 2 { // requests come one after the other
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			conn.Close()
		}
	})
	d, _ := deliverer(t, nil)
	for range 2 {
		if _, err := d.Deliver(inTask(t.Context(), 1), input(r.URL)); err != nil {
			t.Error(err)
		}
	}
	got := r.requests()
	if len(got) != 3 || got[1].header.Get(HeaderID) != got[2].header.Get(HeaderID) || !bytes.Equal(got[1].body, got[2].body) {
		t.Errorf("%d requests: %v", len(got), got)
	}
}

// A source's error is for the log.
func TestSecretSourceFails(t *testing.T) {
	t.Parallel()
	d, l := deliverer(t, nil)
	api := &fakeSecrets{}
	api.set("", errors.New("arn:aws:iam::123456789012:role/worker is not authorized"))
	d.secrets = NewSecretsManager(api, "hooks", nil)
	_, err := d.Deliver(inTask(t.Context(), 1), input("https://h.example"))
	f := task.FailureOf(err)
	if f.Code != CodeSecret || !f.Retryable || strings.Contains(f.Message, "arn:") {
		t.Errorf("%+v", f)
	}
	if strings.Count(l.String(), "not authorized") != 1 {
		t.Errorf("log %s", l)
	}
	d.secrets = StaticSecrets{}
	if _, err := d.Deliver(inTask(t.Context(), 1), input("https://h.example")); task.FailureOf(err).Code != CodeSecret {
		t.Errorf("no secret: %v", err)
	}
}
