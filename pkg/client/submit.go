package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// SubmitRequest is a task to be submitted. Type and Input are required, the
// API decides about everything else that is left zero.
type SubmitRequest struct {
	// Type names the task's handler, for example "webhook.deliver".
	Type string
	// Input is marshaled to JSON; a [json.RawMessage] goes as it is.
	Input any
	// Priority is [Normal] when empty.
	Priority Priority
	// Deadline is when the task is given up, at most 7 days ahead, which is
	// also the API's default. Not together with TTL.
	Deadline time.Time
	// TTL is a deadline counted from acceptance.
	TTL time.Duration
	// Delay keeps the task from starting, at most 15 minutes.
	Delay time.Duration
	// CallbackURL is the http or https endpoint that is told of the task's end by
	// a signed webhook, and once more each time that a replay leads to another.
	CallbackURL string
	// IdempotencyKey makes the same request twice one task, for 24 hours: 1 to
	// 128 visible ASCII characters. A random one is used when it is empty.
	IdempotencyKey string
}

// SubmitError is returned by [Client.Submit] for every request that was sent.
type SubmitError struct {
	// IdempotencyKey is the key that was sent, random or not.
	IdempotencyKey string
	// OutcomeUnknown means that the task may have been accepted all the same.
	// Submit the same request with IdempotencyKey to find out or to finish.
	OutcomeUnknown bool
	// Err is the cause, often an [*APIError].
	Err error
}

// Error implements error.
func (e *SubmitError) Error() string {
	if e.OutcomeUnknown {
		return fmt.Sprintf("%v (outcome unknown)", e.Err)
	}
	return e.Err.Error()
}

// Unwrap returns the cause.
func (e *SubmitError) Unwrap() error { return e.Err }

// Submit hands in a task and returns it as accepted. Its retries are safe: they
// carry one idempotency key. An error after sending is a [*SubmitError].
func (c *Client) Submit(ctx context.Context, r SubmitRequest) (*Task, error) {
	body, err := r.body()
	if err != nil {
		return nil, fmt.Errorf("submit: %w", err)
	}
	key := r.IdempotencyKey
	if key == "" {
		key = rand.Text()
	} else if err := checkKey(key); err != nil {
		return nil, fmt.Errorf("submit: %w", err)
	}

	t := new(Task)
	out := c.do(ctx, call{
		method: http.MethodPost,
		path:   "/tasks",
		header: http.Header{
			"Content-Type":    {"application/json"},
			"Idempotency-Key": {key},
		},
		body: body,
	}, t)
	if out.err != nil {
		return nil, &SubmitError{IdempotencyKey: key, OutcomeUnknown: out.submitUnknown(), Err: out.err}
	}
	return t, nil
}

// submitUnknown reports whether a failed submit may have left a task behind.
func (o outcome) submitUnknown() bool {
	for _, refused := range []error{ErrInvalidRequest, ErrUnknownTaskType, ErrInputTooLarge, ErrUnsupportedMediaType, ErrIdempotencyKeyReused} {
		if errors.Is(o.err, refused) {
			return false // for what it says: an earlier attempt was, too
		}
	}
	return o.unknown
}

func (r SubmitRequest) body() ([]byte, error) {
	w := struct {
		Type        string   `json:"type"`
		Input       any      `json:"input,omitempty"`
		Priority    Priority `json:"priority,omitempty"`
		Deadline    apiTime  `json:"deadline,omitzero"`
		TTL         string   `json:"ttl,omitempty"`
		Delay       string   `json:"delay,omitempty"`
		CallbackURL string   `json:"callback_url,omitempty"`
	}{
		Type: r.Type, Input: r.Input, Priority: r.Priority, Deadline: apiTime(r.Deadline),
		TTL: durationText(r.TTL), Delay: durationText(r.Delay), CallbackURL: r.CallbackURL,
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false) // inputs are bounded in bytes, and & is common in URLs
	if err := enc.Encode(w); err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

func durationText(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return d.String()
}

// checkKey refuses what cannot travel in a header, or would be cut or trimmed
// on the way and so name another key.
func checkKey(key string) error {
	if len(key) > 128 {
		return fmt.Errorf("idempotency key has %d characters, 128 are allowed: %w", len(key), ErrInvalidRequest)
	}
	for i := range len(key) {
		if key[i] <= ' ' || key[i] > '~' {
			return fmt.Errorf("idempotency key must be visible ASCII characters: %w", ErrInvalidRequest)
		}
	}
	return nil
}
