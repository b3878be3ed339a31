package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
)

// SecretOptions tunes a [SecretsManager]. The zero value is ready to use.
type SecretOptions struct {
	// TTL is for how long a value is used before it is read again; from half of
	// it on, a delivery reads the next one while it waits for its receiver. A
	// value is never used beyond it while Secrets Manager answers, however long
	// the process slept. So TTL, and the time of one delivery, is how long a
	// rotation takes to reach every environment: until then the old secret stays
	// as previous, and receivers go on knowing it. Defaults to 5 minutes.
	TTL time.Duration
	// StaleFor is for how long after its TTL a value is still used while
	// reading a new one fails, which the log tells. After that deliveries fail,
	// retryably. Defaults to 1 hour.
	StaleFor time.Duration
	// Logger gets the failures that an old value hides, never the value.
	// Defaults to [slog.Default].
	Logger *slog.Logger
}

func (o *SecretOptions) withDefaults() SecretOptions {
	var out SecretOptions
	if o != nil {
		out = *o
	}
	if out.TTL <= 0 {
		out.TTL = 5 * time.Minute
	}
	if out.StaleFor <= 0 {
		out.StaleFor = time.Hour
	}
	if out.Logger == nil {
		out.Logger = slog.Default()
	}
	return out
}

const (
	// fetchTimeout bounds one read, the SDK's retries included.
	fetchTimeout = 5 * time.Second
	// refreshTimeout bounds one read ahead of time: a delivery that has its
	// answer waits no longer for it.
	refreshTimeout = time.Second
	// retryStale and retryEmpty are the pauses after a failed read: long while
	// an old value serves, short while deliveries fail for want of one.
	retryStale = 10 * time.Second
	retryEmpty = time.Second
)

// SecretsManager is a [SecretSource] over one secret in AWS Secrets Manager,
// whose value is {"current":"whsec_…","previous":"whsec_…"}; previous may be
// empty or absent, other fields are ignored. Both sign while previous is set.
//
// It reads on demand within the caller's context, one call at a time however
// many ask, and starts no goroutine. A [Deliverer] that delivers steadily calls
// [SecretsManager.Refresh] beside its deliveries, so that none of them waits
// for a secret but the first. It is safe for concurrent use.
type SecretsManager struct {
	client   SecretsManagerAPI
	secretID string
	opts     SecretOptions

	mu       sync.Mutex
	secrets  []Secret  // nil before the first success
	fetched  time.Time // when the read of secrets began, which it is at least as new as
	err      error     // of the last read, nil after a success
	retryAt  time.Time // no read before this, after a failure
	inflight chan struct{}
}

// NewSecretsManager returns a source for the secret with this name or ARN. It
// does not call AWS yet.
func NewSecretsManager(client SecretsManagerAPI, secretID string, opts *SecretOptions) *SecretsManager {
	return &SecretsManager{client: client, secretID: secretID, opts: opts.withDefaults()}
}

// Secrets implements [SecretSource]. One caller reads when there is no value, or
// one older than the TTL, and the others wait for it: what Lambda froze for an
// hour must not sign once more with a secret that was dropped meanwhile. Where
// that read fails, or somebody's did in the last seconds, all get the old value.
func (s *SecretsManager) Secrets(ctx context.Context) ([]Secret, error) {
	for {
		s.mu.Lock()
		now := wallClock()
		if s.age(now) < s.opts.TTL {
			defer s.mu.Unlock()
			return s.secrets, nil
		}
		if now.Before(s.retryAt) {
			defer s.mu.Unlock()
			return s.last(now)
		}
		busy := s.inflight
		if busy == nil {
			done := make(chan struct{})
			s.inflight = done
			s.mu.Unlock()
			return s.refresh(ctx, done)
		}
		s.mu.Unlock()
		select {
		case <-busy:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// Due reports whether [SecretsManager.Refresh] would read the secret now: the
// value serves for less than half of its TTL, and nobody reads it already.
func (s *SecretsManager) Due() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.due(wallClock())
}

// due is Due at an instant. mu must be held.
func (s *SecretsManager) due(now time.Time) bool {
	return s.secrets != nil && s.age(now) >= s.opts.TTL/2 && !now.Before(s.retryAt) && s.inflight == nil
}

// Refresh reads the secret before anybody has to wait for it, if it is due,
// within a second. A failure is logged, and not repeated for some seconds; the
// value that is there goes on serving.
func (s *SecretsManager) Refresh(ctx context.Context) {
	s.mu.Lock()
	if !s.due(wallClock()) {
		s.mu.Unlock()
		return
	}
	done := make(chan struct{})
	s.inflight = done
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, refreshTimeout)
	defer cancel()
	_, _ = s.refresh(ctx, done) // it logs what the value that is there hides
}

// refresh reads the secret and releases those who wait on done.
func (s *SecretsManager) refresh(ctx context.Context, done chan struct{}) ([]Secret, error) {
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.inflight = nil
		close(done)
	}()
	began := wallClock()
	secrets, err := s.fetch(ctx)
	s.mu.Lock()
	now := wallClock()
	if err != nil && ctx.Err() != nil && !s.usable(now) {
		// The caller gave up. That says nothing about the secret: whoever
		// waits reads it next.
		s.mu.Unlock()
		return nil, context.Cause(ctx)
	}
	s.err = err
	if err == nil {
		s.secrets, s.fetched, s.retryAt = secrets, began, time.Time{}
		s.mu.Unlock()
		return secrets, nil
	}
	serving := s.usable(now)
	s.retryAt = now.Add(retryEmpty)
	if serving {
		s.retryAt = now.Add(retryStale)
	}
	secrets, last := s.last(now)
	s.mu.Unlock()

	if serving { // otherwise the caller gets the error, and with it the log
		s.opts.Logger.ErrorContext(ctx, "reading the webhook secret failed, the old one still signs", slog.Any("error", err))
	}
	return secrets, last
}

// last returns the old value, or why there is none. mu must be held.
func (s *SecretsManager) last(now time.Time) ([]Secret, error) {
	if s.usable(now) {
		return s.secrets, nil
	}
	return nil, s.err
}

// usable reports whether there is a value that may still sign. mu must be held.
func (s *SecretsManager) usable(now time.Time) bool {
	return s.age(now) < s.opts.TTL+s.opts.StaleFor
}

// age is how old the value is; forever when there is none. mu must be held.
func (s *SecretsManager) age(now time.Time) time.Duration {
	if s.secrets == nil {
		return 1<<63 - 1
	}
	return now.Sub(s.fetched)
}

func (s *SecretsManager) fetch(ctx context.Context) ([]Secret, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	out, err := s.client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: aws.String(s.secretID)})
	if err != nil {
		return nil, fmt.Errorf("read the webhook secret: %w", err)
	}
	if out.SecretString == nil {
		return nil, errors.New("the webhook secret has no string value")
	}
	secrets, err := parseSecrets(*out.SecretString)
	if err != nil {
		return nil, fmt.Errorf("malformed webhook secret: %w", err)
	}
	return secrets, nil
}

// parseSecrets reads {"current","previous"}. Errors of [json.Unmarshal] are not
// passed on, because they quote from the value.
func parseSecrets(value string) ([]Secret, error) {
	var doc struct {
		Current  string `json:"current"`
		Previous string `json:"previous"`
	}
	if json.Unmarshal([]byte(value), &doc) != nil {
		return nil, errors.New(`want {"current":"whsec_…","previous":"whsec_…"}`)
	}
	current, err := ParseSecret(doc.Current)
	if err != nil {
		return nil, fmt.Errorf("current: %w", err)
	}
	if doc.Previous == "" || doc.Previous == doc.Current {
		return []Secret{current}, nil
	}
	previous, err := ParseSecret(doc.Previous)
	if err != nil {
		return nil, fmt.Errorf("previous: %w", err)
	}
	return []Secret{current, previous}, nil
}

// wallClock is the time without its monotonic reading, which may stand still
// while Lambda has frozen the process.
func wallClock() time.Time { return time.Now().Round(0) }
