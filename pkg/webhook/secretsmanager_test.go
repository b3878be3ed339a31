package webhook

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
)

// fakeSecrets is a secret in Secrets Manager.
type fakeSecrets struct {
	mu    sync.Mutex
	value *string
	err   error
	delay time.Duration
	calls int
}

func (f *fakeSecrets) GetSecretValue(ctx context.Context, in *secretsmanager.GetSecretValueInput, _ ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error) {
	f.mu.Lock()
	f.calls++
	delay, value, err := f.delay, f.value, f.err
	f.mu.Unlock()
	if aws.ToString(in.SecretId) != "hooks" {
		return nil, errors.New("another secret")
	}
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if err != nil {
		return nil, err
	}
	return &secretsmanager.GetSecretValueOutput{SecretString: value}, nil
}

func (f *fakeSecrets) set(value string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.value, f.err = &value, err
}

func (f *fakeSecrets) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls
}

func document(current, previous string) string {
	return fmt.Sprintf(`{"current":%q,"previous":%q}`, current, previous)
}

// keys are the raw keys that s gives now.
func keys(t *testing.T, s *SecretsManager) []string {
	t.Helper()
	secrets, err := s.Secrets(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var raw []string
	for _, secret := range secrets {
		raw = append(raw, string(secret.key())[:3])
	}
	return raw
}

func TestSecretsRotate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		api := &fakeSecrets{}
		api.set(document(previousKey, ""), nil)
		s := NewSecretsManager(api, "hooks", nil)
		check := func(when string, calls int, want ...string) {
			t.Helper()
			if got := keys(t, s); strings.Join(got, " ") != strings.Join(want, " ") || api.count() != calls {
				t.Errorf("%s: %v after %d calls, want %v after %d", when, got, api.count(), want, calls)
			}
		}
		check("at first", 1, "pre")
		api.set(document(currentKey, previousKey), nil)
		time.Sleep(5*time.Minute - time.Nanosecond)
		check("cached", 1, "pre")
		time.Sleep(time.Nanosecond)
		check("rotating", 2, "cur", "pre")
		api.set(`{"current":"`+currentKey+`","rotated_at":1}`, nil)
		time.Sleep(5 * time.Minute)
		check("rotated", 3, "cur")
		api.set(document(currentKey, currentKey), nil)
		time.Sleep(5 * time.Minute)
		check("the same twice", 4, "cur")
	})
}

func TestSecretsReadOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		api := &fakeSecrets{delay: time.Second}
		api.set(document(currentKey, ""), nil)
		s := NewSecretsManager(api, "hooks", nil)
		all := func() time.Duration {
			start := time.Now()
			var wg sync.WaitGroup
			var slowest time.Duration
			var mu sync.Mutex
			for range 50 {
				wg.Go(func() {
					if _, err := s.Secrets(t.Context()); err != nil {
						t.Error(err)
					}
					mu.Lock()
					defer mu.Unlock()
					slowest = max(slowest, time.Since(start))
				})
			}
			wg.Wait()
			return slowest
		}
		if d := all(); d != time.Second || api.count() != 1 {
			t.Errorf("cold: %v, %d calls", d, api.count())
		}
		time.Sleep(5 * time.Minute)
		if d := all(); d != time.Second || api.count() != 2 {
			t.Errorf("refresh: %v, %d calls", d, api.count())
		}

		// Read ahead of time, nobody is held up.
		time.Sleep(3 * time.Minute)
		var wg sync.WaitGroup
		wg.Go(func() { s.Refresh(t.Context()) })
		synctest.Wait()
		start := time.Now()
		if _, err := s.Secrets(t.Context()); err != nil || time.Since(start) != 0 {
			t.Errorf("waited %v for a refresh: %v", time.Since(start), err)
		}
		wg.Wait()
	})
}

// What slept through a rotation signs nothing with what it still knows, in none
// of the deliveries that it begins at once.
func TestSecretsAfterASleep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		api := &fakeSecrets{}
		api.set(document(previousKey, ""), nil)
		s := NewSecretsManager(api, "hooks", nil)
		keys(t, s)
		time.Sleep(30 * time.Minute)
		api.set(document(currentKey, ""), nil)
		api.delay = time.Second
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				if got, err := s.Secrets(t.Context()); err != nil || len(got) != 1 || string(got[0].key()[:3]) != "cur" {
					t.Errorf("it signs with %d secrets, the first not the new one: %v", len(got), err)
				}
			})
		}
		wg.Wait()
		if api.count() != 2 {
			t.Errorf("%d reads", api.count())
		}
		// The age of a value counts from when it was asked for: the answer may
		// have waited while the next one was put in.
		time.Sleep(5*time.Minute - time.Second - time.Nanosecond)
		if keys(t, s); api.count() != 2 {
			t.Error("read before the TTL was over")
		}
		time.Sleep(time.Nanosecond)
		if keys(t, s); api.count() != 3 {
			t.Error("not read when the TTL was over")
		}
	})
}

func TestSecretsOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &logs{}
		api := &fakeSecrets{}
		api.set(document(currentKey, ""), nil)
		s := NewSecretsManager(api, "hooks", &SecretOptions{Logger: l.logger()})
		keys(t, s)
		api.set("", errors.New("service is down"))
		time.Sleep(5 * time.Minute)
		for range 100 {
			keys(t, s)
		}
		if api.count() != 2 || strings.Count(l.String(), "service is down") != 1 {
			t.Errorf("%d calls, log %s", api.count(), l)
		}
		time.Sleep(10 * time.Second)
		keys(t, s)
		if api.count() != 3 {
			t.Errorf("%d calls after the pause", api.count())
		}
		time.Sleep(time.Hour - 10*time.Second - time.Nanosecond)
		keys(t, s)
		time.Sleep(10 * time.Second)
		if _, err := s.Secrets(t.Context()); err == nil || !strings.Contains(err.Error(), "service is down") {
			t.Errorf("after an hour: %v", err)
		}
		n := api.count()
		if _, err := s.Secrets(t.Context()); err == nil || api.count() != n {
			t.Errorf("%v, and %d calls at once", err, api.count()-n)
		}
		api.set(document(currentKey, ""), nil)
		time.Sleep(time.Second)
		keys(t, s)
	})
}

func TestSecretsMalformed(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, value, want string }{
		{"not JSON", currentKey, "want {"},
		{"number", `{"current":123456789}`, "want {"},
		{"empty", `{}`, "current: the secret does not begin"},
		{"bad current", `{"current":"whsec_abc"}`, "current: the secret is not base64"},
		{"bad previous", document(currentKey, "hunter2"), "previous: the secret does not begin"},
	}
	for _, tt := range tests {
		api := &fakeSecrets{}
		api.set(tt.value, nil)
		_, err := NewSecretsManager(api, "hooks", nil).Secrets(t.Context())
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "malformed") {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
			continue
		}
		for _, leak := range []string{"hunter2", "123456", "whsec_abc", currentKey} {
			if strings.Contains(err.Error(), leak) {
				t.Errorf("%s: leak in %v", tt.name, err)
			}
		}
	}
	if _, err := NewSecretsManager(&fakeSecrets{}, "hooks", nil).Secrets(t.Context()); err == nil || !strings.Contains(err.Error(), "no string value") {
		t.Errorf("binary: %v", err)
	}
}

// A malformed new value does not stop deliveries either.
func TestSecretsMalformedLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &logs{}
		api := &fakeSecrets{}
		api.set(document(currentKey, ""), nil)
		s := NewSecretsManager(api, "hooks", &SecretOptions{TTL: time.Minute, StaleFor: time.Minute, Logger: l.logger()})
		keys(t, s)
		api.set(document("whsec_hunter2", ""), nil)
		time.Sleep(time.Minute)
		keys(t, s)
		if !strings.Contains(l.String(), "malformed") || strings.Contains(l.String(), "hunter2") {
			t.Errorf("log %s", l)
		}
		time.Sleep(time.Minute)
		if _, err := s.Secrets(t.Context()); err == nil {
			t.Error("served beyond StaleFor")
		}
	})
}

func TestSecretsCallerGivesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		api := &fakeSecrets{delay: 2 * time.Second}
		api.set(document(currentKey, ""), nil)
		s := NewSecretsManager(api, "hooks", nil)
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := s.Secrets(short); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("leader: %v", err)
			}
		})
		synctest.Wait()
		wg.Go(func() { // waits for the leader, then reads itself at once
			start := time.Now()
			if _, err := s.Secrets(t.Context()); err != nil || time.Since(start) != 3*time.Second {
				t.Errorf("follower: %v after %v", err, time.Since(start))
			}
		})
		wg.Go(func() { // gives up while it waits
			if _, err := s.Secrets(short); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("waiting: %v", err)
			}
		})
		wg.Wait()
		if api.count() != 2 {
			t.Errorf("%d calls", api.count())
		}
	})
}

func TestSecretsReadIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := NewSecretsManager(&fakeSecrets{delay: time.Hour}, "hooks", nil)
		start := time.Now()
		if _, err := s.Secrets(t.Context()); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != fetchTimeout {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

// A value is read again before it is too old, beside a delivery: no delivery
// waits for a secret but the first.
func TestSecretsAreReadAhead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		api := &fakeSecrets{}
		api.set(document(previousKey, ""), nil)
		s := NewSecretsManager(api, "hooks", &SecretOptions{Logger: (&logs{}).logger()})
		if s.Due() {
			t.Error("due before the first read")
		}
		keys(t, s)
		time.Sleep(2*time.Minute + 29*time.Second)
		s.Refresh(t.Context())
		if s.Due() || api.count() != 1 {
			t.Errorf("read %d times before half of the TTL was over", api.count())
		}
		time.Sleep(time.Second)
		api.set(document(currentKey, ""), nil)
		if got := keys(t, s); got[0] != "pre" || !s.Due() {
			t.Errorf("it signs with %v while the next value is due", got)
		}
		api.delay = time.Second
		var wg sync.WaitGroup
		start := time.Now()
		for range 3 {
			wg.Go(func() { s.Refresh(t.Context()) })
		}
		synctest.Wait()
		if got := keys(t, s); got[0] != "pre" || time.Since(start) > 0 {
			t.Errorf("a delivery waited %v for %v", time.Since(start), got)
		}
		wg.Wait()
		if got := keys(t, s); got[0] != "cur" || api.count() != 2 || s.Due() {
			t.Errorf("%v after %d reads", got, api.count())
		}
		// So a delivery does it, and has ended it when it returns.
		time.Sleep(3 * time.Minute)
		d := New(s, &Options{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
		})})
		if _, err := d.Deliver(inTask(t.Context(), 1), Input{URL: "https://example.com", Event: "e", Payload: []byte(`1`)}); err != nil {
			t.Error(err)
		}
		if api.count() != 3 || s.Due() {
			t.Errorf("%d reads after a delivery", api.count())
		}
		// A failure is hidden by the value that is there, and not repeated at once.
		time.Sleep(3 * time.Minute)
		api.set("", errors.New("down"))
		s.Refresh(t.Context())
		s.Refresh(t.Context())
		if got := keys(t, s); got[0] != "cur" || api.count() != 4 || s.Due() {
			t.Errorf("%v after %d reads", got, api.count())
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A Secrets Manager that hangs costs a delivery a second now and then, not
// every delivery its time-out.
func TestSecretsReadAheadIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &logs{}
		api := &fakeSecrets{}
		api.set(document(currentKey, ""), nil)
		s := NewSecretsManager(api, "hooks", &SecretOptions{Logger: l.logger()})
		keys(t, s)
		time.Sleep(3 * time.Minute)
		api.delay = time.Hour
		d := New(s, &Options{Timeout: 500 * time.Millisecond, Transport: roundTrip(func(*http.Request) (*http.Response, error) {
			time.Sleep(20 * time.Millisecond)
			return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
		})})
		for n, want := range []time.Duration{time.Second, 20 * time.Millisecond, 20 * time.Millisecond} {
			start := time.Now()
			if _, err := d.Deliver(inTask(t.Context(), 1), Input{URL: "https://example.com", Event: "e", Payload: []byte(`1`)}); err != nil {
				t.Error(err)
			}
			if took := time.Since(start); took != want {
				t.Errorf("delivery %d took %v, want %v", n, took, want)
			}
		}
		if api.count() != 2 || !strings.Contains(l.String(), "the old one still signs") {
			t.Errorf("%d reads; %s", api.count(), l)
		}
	})
}
