package webhook

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"time"
)

// SecretSource provides the secrets that sign deliveries. It is asked before
// every attempt, so an implementation caches; it must be safe for concurrent
// use.
type SecretSource interface {
	// Secrets returns at least one secret, the current one first. Each of them
	// signs; more than one is for the time of a rotation.
	Secrets(ctx context.Context) ([]Secret, error)
}

// StaticSecrets is a [SecretSource] that never changes, for tests and for
// programs that get their secret elsewhere.
type StaticSecrets []Secret

// Secrets implements [SecretSource].
func (s StaticSecrets) Secrets(context.Context) ([]Secret, error) { return s, nil }

// Form of a secret, from the table "Signature scheme" of the Standard Webhooks
// specification.
const (
	secretPrefix   = "whsec_"
	minSecretBytes = 24
	maxSecretBytes = 64
	redacted       = secretPrefix + "[redacted]"
)

// Secret is a symmetric signing key. However it is printed or logged, it shows
// as whsec_[redacted].
type Secret struct {
	// key is a function because fmt cannot call our methods in an unexported
	// field of a struct around this one, and of a function it prints only the
	// address, whatever the verb. Of a pointer, %s prints what it points to.
	key func() []byte
}

// ParseSecret reads a secret in its serialized form: "whsec_" followed by 24 to
// 64 bytes in base64. Its errors say what is wrong without any part of the
// value.
func ParseSecret(s string) (Secret, error) {
	encoded, ok := strings.CutPrefix(strings.TrimSpace(s), secretPrefix)
	if !ok {
		return Secret{}, fmt.Errorf("the secret does not begin with %s", secretPrefix)
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return Secret{}, fmt.Errorf("the secret is not base64 after %s", secretPrefix)
	}
	if len(key) < minSecretBytes || len(key) > maxSecretBytes {
		return Secret{}, fmt.Errorf("the secret has %d bytes, the specification asks for %d to %d", len(key), minSecretBytes, maxSecretBytes)
	}
	return Secret{key: func() []byte { return key }}, nil
}

// Sign returns one entry of the webhook-signature header: "v1," and the base64
// form of the HMAC-SHA256 of "{id}.{unix seconds}.{body}" ("Signature scheme"
// of the specification). An id with a dot would make that ambiguous.
func (s Secret) Sign(id string, at time.Time, body []byte) (string, error) {
	switch {
	case s.key == nil:
		return "", errors.New("the secret is empty")
	case id == "" || strings.Contains(id, "."):
		return "", errors.New("the message id is empty or has a dot")
	}
	mac := hmac.New(sha256.New, s.key())
	_, _ = io.WriteString(mac, id+"."+strconv.FormatInt(at.Unix(), 10)+".") // a hash never fails
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)), nil
}

// String implements [fmt.Stringer] without the secret.
func (Secret) String() string { return redacted }

// Format implements [fmt.Formatter]: every verb prints the same, without the
// secret.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue implements [slog.LogValuer] without the secret.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// signatures returns the webhook-signature header: one signature for each
// secret, separated by spaces.
func signatures(secrets []Secret, id string, at time.Time, body []byte) (string, error) {
	if len(secrets) == 0 {
		return "", errors.New("there is no secret")
	}
	signed := make([]string, len(secrets))
	for i, s := range secrets {
		sig, err := s.Sign(id, at, body)
		if err != nil {
			return "", err
		}
		signed[i] = sig
	}
	return strings.Join(signed, " "), nil
}
