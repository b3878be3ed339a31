package client_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spillway-go/spillway/pkg/client"
)

func TestRetries(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		answers []answer
		sent    int
		ok      bool
		unknown bool
	}{
		{"503 then good", []answer{{status: 503}, {status: 202, body: accepted}}, 2, true, false},
		{"429, 504, reset, good", []answer{{status: 429}, {status: 504}, {err: errReset}, {status: 202, body: accepted}}, 4, true, false},
		{"always 503", []answer{{status: 503}}, 4, false, true},
		{"always 429", []answer{{status: 429}}, 4, false, false},
		{"always reset", []answer{{err: errReset}}, 4, false, true},
		{"never connected", []answer{{err: &net.OpError{Op: "dial", Err: errReset}}}, 4, false, false},
		{"no such host", []answer{{err: &net.OpError{Op: "dial", Err: &net.DNSError{IsNotFound: true}}}}, 1, false, false},
		{"400", []answer{{status: 400}}, 1, false, false},
		{"409", []answer{{status: 409}}, 1, false, false},
		{"503 then 422", []answer{{status: 503}, {status: 422, body: problemBody(422, "idempotency_key_reused")}}, 2, false, false},
		{"503 then 429", []answer{{status: 503}, {status: 429}}, 4, false, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &script{answers: tt.answers}
				_, err := newClient(t, s).Submit(t.Context(), client.SubmitRequest{Type: "x", Input: 1})
				if (err == nil) != tt.ok {
					t.Errorf("err = %v", err)
				}
				if s.count() != tt.sent {
					t.Errorf("%d requests, want %d", s.count(), tt.sent)
				}
				for i, r := range s.requests {
					if k := r.Header.Get("Idempotency-Key"); k == "" || k != s.requests[0].Header.Get("Idempotency-Key") {
						t.Errorf("request %d has key %q", i, k)
					}
					if s.bodies[i] != s.bodies[0] {
						t.Errorf("request %d has body %q", i, s.bodies[i])
					}
				}
				if e, ok := errors.AsType[*client.SubmitError](err); ok && e.OutcomeUnknown != tt.unknown {
					t.Errorf("OutcomeUnknown = %t, want %t", e.OutcomeUnknown, tt.unknown)
				}
			})
		})
	}
}

func TestRandomKeysDiffer(t *testing.T) {
	t.Parallel()
	s := &script{answers: []answer{{status: 202, body: accepted}}}
	c := newClient(t, s)
	for range 2 {
		if _, err := c.Submit(t.Context(), client.SubmitRequest{Type: "x", Input: 1}); err != nil {
			t.Fatal(err)
		}
	}
	if a, b := s.requests[0].Header.Get("Idempotency-Key"), s.requests[1].Header.Get("Idempotency-Key"); a == b {
		t.Errorf("two submits with key %q", a)
	}
}

func TestBadKeysAreNotSent(t *testing.T) {
	t.Parallel()
	s := &script{answers: []answer{{status: 202, body: accepted}}}
	c := newClient(t, s)
	for _, key := range []string{"a b", "ü", "\n", string(make([]byte, 129))} {
		_, err := c.Submit(t.Context(), client.SubmitRequest{Type: "x", Input: 1, IdempotencyKey: key})
		if !errors.Is(err, client.ErrInvalidRequest) {
			t.Errorf("key %q: %v", key, err)
		}
	}
	if _, err := c.Submit(t.Context(), client.SubmitRequest{Type: "x", Input: func() {}}); err == nil {
		t.Error("a func was submitted")
	}
	if s.count() != 0 {
		t.Errorf("%d requests", s.count())
	}
}

func TestPausesGrowAndJitter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var at []time.Time
		s := &script{
			answers: []answer{{status: 503}},
			hold:    func(context.Context, int) { at = append(at, time.Now()) },
		}
		c := newClient(t, s, func(o *client.Options) {
			o.MaxAttempts, o.BaseDelay, o.MaxDelay = 8, time.Second, 5*time.Second
		})
		if _, err := c.Get(t.Context(), "x"); !errors.Is(err, client.ErrUnavailable) {
			t.Fatal(err)
		}
		var longest time.Duration
		for i := 1; i < len(at); i++ {
			pause := at[i].Sub(at[i-1])
			longest = max(longest, pause)
			if limit := min(time.Second<<(i-1), 5*time.Second); pause > limit {
				t.Errorf("pause %d = %s, want at most %s", i, pause, limit)
			}
		}
		if longest < time.Second {
			t.Errorf("longest pause = %s, want some growth", longest)
		}
	})
}

func TestRetryAfterIsHonoured(t *testing.T) {
	t.Parallel()
	tests := map[string]func() string{
		"seconds": func() string { return "7" },
		"date":    func() string { return time.Now().Add(7 * time.Second).UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT") },
	}
	for name, header := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				s := &script{answers: []answer{
					{status: 429, header: map[string]string{"Retry-After": header()}},
					{status: 200, body: accepted},
				}}
				if _, err := newClient(t, s).Get(t.Context(), "x"); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(began); took < 7*time.Second || took > 8*time.Second {
					t.Errorf("took %s, want 7 seconds and some jitter", took)
				}
			})
		})
	}
}

func TestNoPauseBeyondTheDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		began := time.Now()
		s := &script{answers: []answer{{status: 503, header: map[string]string{"Retry-After": "10"}}}}
		_, err := newClient(t, s).Get(ctx, "x")
		if !errors.Is(err, client.ErrUnavailable) || time.Since(began) != 0 {
			t.Errorf("err = %v after %s, want ErrUnavailable at once", err, time.Since(began))
		}
	})
}

func TestCanceledWhilePausing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := &script{answers: []answer{{status: 503, header: map[string]string{"Retry-After": "10"}}}}
		c := newClient(t, s)
		done := make(chan error)
		go func() {
			_, err := c.Get(ctx, "x")
			done <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-done; !errors.Is(err, client.ErrUnavailable) {
			t.Errorf("err = %v", err)
		}
		if s.count() != 1 {
			t.Errorf("%d requests", s.count())
		}
		if _, err := c.Submit(ctx, client.SubmitRequest{Type: "x", Input: 1}); !errors.Is(err, context.Canceled) {
			t.Errorf("err = %v", err)
		} else if e, ok := errors.AsType[*client.SubmitError](err); !ok || e.OutcomeUnknown {
			t.Errorf("err = %+v, want a known outcome: nothing was sent", e)
		}
	})
}

func TestAttemptTimesOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &script{
			answers: []answer{{status: 200, body: accepted}},
			hold: func(ctx context.Context, i int) {
				if i == 0 {
					<-ctx.Done()
				}
			},
		}
		began := time.Now()
		if _, err := newClient(t, s).Get(t.Context(), "x"); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); s.count() != 2 || took < 35*time.Second || took > 36*time.Second {
			t.Errorf("%d requests in %s", s.count(), took)
		}
	})
}
