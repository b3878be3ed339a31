package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/pkg/client"
)

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	creds := aws.AnonymousCredentials{}
	tests := []struct {
		name string
		url  string
		opts *client.Options
		want string
	}{
		{"empty", "", nil, "absolute"},
		{"no host", "http:///tasks", nil, "absolute"},
		{"scheme", "ftp://host", nil, "absolute"},
		{"query", "http://host/?a=b", nil, "no query"},
		{"user", "http://me:pw@host/", nil, "no query"},
		{"no region", "http://host", &client.Options{Credentials: creds}, "region"},
		{"not Amazon's host", "http://x.execute-api.eu-west-1.example.com", &client.Options{Credentials: creds}, "region"},
		{"poll longer than attempt", "http://h", &client.Options{LongPoll: time.Hour}, "shorter"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := client.New(tt.url, tt.opts)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("New(%q) = %v, want an error with %q", tt.url, err, tt.want)
			}
		})
	}
}

func TestRegionOfTheHostWins(t *testing.T) {
	t.Parallel()
	for _, host := range []string{
		"abc123.execute-api.ap-southeast-2.amazonaws.com",
		"abc-vpce-1.execute-api.ap-southeast-2.vpce.amazonaws.com",
	} {
		s := &script{answers: []answer{{status: 200, body: accepted}}}
		c, err := client.New("https://"+host+"/live/", &client.Options{
			Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
				return aws.Credentials{AccessKeyID: "A", SecretAccessKey: "S"}, nil
			}),
			Region:     "us-east-1",
			HTTPClient: &http.Client{Transport: s},
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Get(t.Context(), "x"); err != nil {
			t.Fatal(err)
		}
		if auth := s.requests[0].Header.Get("Authorization"); !strings.Contains(auth, "/ap-southeast-2/execute-api/") {
			t.Errorf("%s: Authorization = %q", host, auth)
		}
	}
}

func TestSubmitSendsWhatWasAsked(t *testing.T) {
	t.Parallel()
	s := &script{answers: []answer{{status: 202, body: accepted}}}
	c := newClient(t, s, func(o *client.Options) { o.UserAgent, o.APIKey = "shop/1.2", "key-of-the-plan" })

	got, err := c.Submit(t.Context(), client.SubmitRequest{
		Type:           "webhook.deliver",
		Input:          json.RawMessage(`{"url":"https://x.test/?a=1&b=<2>"}`),
		Priority:       client.Bulk,
		Deadline:       time.Date(2026, 1, 2, 3, 4, 5, 6_000_000, time.FixedZone("", 3600)),
		Delay:          90 * time.Second,
		CallbackURL:    "https://x.test/done?a=1&b=<2>",
		IdempotencyKey: "order-17",
	})
	if err != nil {
		t.Fatal(err)
	}
	want := &client.Task{
		ID: "01J0000000000000000000TASK", Type: "webhook.deliver", Status: client.Queued,
		CreatedAt: time.Date(2026, 1, 2, 3, 4, 5, 120_000_000, time.UTC),
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("task (-got +want):\n%s", diff)
	}
	wantBody := `{"type":"webhook.deliver","input":{"url":"https://x.test/?a=1&b=<2>"},"priority":"bulk",` +
		`"deadline":"2026-01-02T02:04:05.006Z","delay":"1m30s","callback_url":"https://x.test/done?a=1&b=<2>"}`
	if diff := cmp.Diff(s.bodies[0], wantBody); diff != "" {
		t.Errorf("body (-got +want):\n%s", diff)
	}

	r := s.requests[0]
	if r.Method != http.MethodPost || r.URL.String() != "http://api.test/stage/tasks" {
		t.Errorf("request = %s %s", r.Method, r.URL)
	}
	for name, want := range map[string]string{
		"Content-Type":         "application/json",
		"Idempotency-Key":      "order-17",
		"X-Api-Key":            "key-of-the-plan",
		"X-Amz-Security-Token": "token",
	} {
		if got := r.Header.Get(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	if ua := r.Header.Get("User-Agent"); ua != "shop/1.2 spillway-go-client" {
		t.Errorf("User-Agent = %q", ua)
	}
	auth := r.Header.Get("Authorization")
	for _, part := range []string{"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/", "/eu-west-1/execute-api/", "content-type;", "idempotency-key;"} {
		if !strings.Contains(auth, part) {
			t.Errorf("Authorization = %q, lacks %q", auth, part)
		}
	}
}

func TestUnsignedWithoutCredentials(t *testing.T) {
	t.Parallel()
	s := &script{answers: []answer{{status: 200, body: accepted}}}
	c := newClient(t, s, func(o *client.Options) { o.Credentials = nil })
	if _, err := c.Get(t.Context(), "x"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Authorization", "X-Api-Key"} {
		if got := s.requests[0].Header.Values(name); len(got) > 0 {
			t.Errorf("%s = %q", name, got)
		}
	}
}

func TestCredentialsFailBeforeSending(t *testing.T) {
	t.Parallel()
	s := &script{answers: []answer{{status: 200, body: accepted}}}
	boom := errors.New("token expired")
	c := newClient(t, s, func(o *client.Options) {
		o.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{}, boom
		})
	})
	_, err := c.Submit(t.Context(), client.SubmitRequest{Type: "x", Input: 1})
	if !errors.Is(err, boom) || s.count() != 0 {
		t.Errorf("err = %v after %d requests", err, s.count())
	}
	if e, ok := errors.AsType[*client.SubmitError](err); !ok || e.OutcomeUnknown {
		t.Errorf("err = %#v, want a known outcome", err)
	}
}

func TestIDsCannotLeaveTheirPath(t *testing.T) {
	t.Parallel()
	s := &script{answers: []answer{{status: 200, body: accepted}}}
	c := newClient(t, s)
	for _, id := range []string{"", ".", ".."} {
		if _, err := c.Get(t.Context(), id); !errors.Is(err, client.ErrInvalidRequest) {
			t.Errorf("Get(%q) = %v", id, err)
		}
		if _, err := c.Cancel(t.Context(), id); !errors.Is(err, client.ErrInvalidRequest) {
			t.Errorf("Cancel(%q) = %v", id, err)
		}
		if _, err := c.Wait(t.Context(), id); !errors.Is(err, client.ErrInvalidRequest) {
			t.Errorf("Wait(%q) = %v", id, err)
		}
	}
	if _, err := c.Get(t.Context(), "a/../b?c"); err != nil {
		t.Fatal(err)
	}
	if got := s.requests[0].URL.EscapedPath(); got != "/stage/tasks/a%2F..%2Fb%3Fc" {
		t.Errorf("path = %s", got)
	}
}

// TestOverTheWire runs the default HTTP client against a real socket.
func TestOverTheWire(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/live/tasks/moved":
			http.Redirect(w, r, "/live/tasks/1", http.StatusFound)
		case "/live/tasks/1":
			_, _ = w.Write([]byte(accepted))
		default:
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write([]byte(`{"message":"Not Found"}`))
		}
	}))
	t.Cleanup(srv.Close)
	c, err := client.New(srv.URL+"/live/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.BaseURL(); got != srv.URL+"/live" {
		t.Errorf("BaseURL = %s", got)
	}
	if _, err := c.Get(t.Context(), "1"); err != nil {
		t.Error(err)
	}
	_, err = c.Get(t.Context(), "moved")
	if e, ok := errors.AsType[*client.APIError](err); !ok || e.Status != http.StatusFound {
		t.Errorf("redirect: %v, want it not followed", err)
	}
}

func TestTaskKeepsMillisecondsInJSON(t *testing.T) {
	t.Parallel()
	in := `{"id":"1","type":"t","status":"running","attempts":1,"progress":{"done":1},` +
		`"created_at":"2026-01-02T03:04:05.000Z","deadline":"2026-01-02T03:04:05.120Z"}`
	var task client.Task
	if err := json.Unmarshal([]byte(in), &task); err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(&task)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(out), in); diff != "" {
		t.Errorf("JSON (-got +want):\n%s", diff)
	}
}
