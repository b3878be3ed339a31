package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/spillway-go/spillway/pkg/client"
)

const accepted = `{"id":"01J0000000000000000000TASK","type":"webhook.deliver","status":"queued",` +
	`"created_at":"2026-01-02T03:04:05.120Z","attempts":0}`

// answer is one scripted answer.
type answer struct {
	status int
	header map[string]string
	body   string
	err    error
}

// script is a RoundTripper that gives its answers in order and repeats the last
// one. It opens no socket, so it works in a synctest bubble.
type script struct {
	answers []answer
	hold    func(context.Context, int) // called before answer i, may block

	mu       sync.Mutex
	requests []*http.Request
	bodies   []string
}

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	i := len(s.requests)
	s.requests = append(s.requests, r)
	s.bodies = append(s.bodies, string(body))
	a := s.answers[min(i, len(s.answers)-1)]
	s.mu.Unlock()

	if s.hold != nil {
		s.hold(r.Context(), i)
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if a.err != nil {
		return nil, a.err
	}
	h := http.Header{}
	if strings.Contains(a.body, `"code"`) {
		h.Set("Content-Type", "application/problem+json")
	}
	for k, v := range a.header {
		h.Set(k, v)
	}
	return &http.Response{
		StatusCode: a.status, Header: h, Request: r,
		Body: io.NopCloser(strings.NewReader(a.body)),
	}, nil
}

func (s *script) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.requests)
}

func problemBody(status int, code string) string {
	b, _ := json.Marshal(map[string]any{
		"type": "about:blank", "title": http.StatusText(status), "status": status, "code": code, "detail": "because",
	})
	return string(b)
}

var errReset = errors.New("connection reset by peer")

// newClient returns a client whose answers come from s.
func newClient(t *testing.T, s *script, tune ...func(*client.Options)) *client.Client {
	t.Helper()
	opts := &client.Options{
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "secret", SessionToken: "token"}, nil
		}),
		Region:     "eu-west-1",
		HTTPClient: &http.Client{Transport: s},
		Jitter:     rand.NewPCG(1, 2),
	}
	for _, f := range tune {
		f(opts)
	}
	c, err := client.New("http://api.test/stage", opts)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
