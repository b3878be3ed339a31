package webhook

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spillway-go/spillway/pkg/task"
)

// Headers of a delivery ("Webhook headers" of the specification). Their names
// are the same in any case.
const (
	HeaderID        = "Webhook-Id"
	HeaderTimestamp = "Webhook-Timestamp"
	HeaderSignature = "Webhook-Signature"
)

const (
	// maxDrain is how much of an answer's body is read, in bytes, only so that
	// the connection can be used again. None of it is kept.
	maxDrain = 64 << 10
	// drainTimeout is how long that may take; a new connection costs less.
	drainTimeout = 250 * time.Millisecond
)

// Result is what a delivered webhook leaves behind.
type Result struct {
	// Status is the HTTP status, 200 to 299.
	Status int `json:"status"`
	// Latency is the time from sending, a new connection included, to the
	// headers of the answer, as a Go duration ("12.3ms").
	Latency string `json:"latency"`
	// Attempt is the attempt of the run that succeeded, from 1.
	Attempt int `json:"attempt"`
}

// Deliverer delivers webhooks. It holds the connections that deliveries share,
// so a program makes one and keeps it. It is safe for concurrent use.
type Deliverer struct {
	secrets SecretSource
	opts    Options
}

// New returns a [Deliverer] that signs with secrets. Nil secrets will do where
// [Deliverer.Deliver] is only registered, never called, as in a function that
// checks inputs; a call would fail with [CodeSecret].
func New(secrets SecretSource, opts *Options) *Deliverer {
	return &Deliverer{secrets: secrets, opts: opts.withDefaults()}
}

// Deliver is the handler of webhook.deliver tasks: one attempt, one POST. ctx
// must belong to a task ([task.NewContext]), for the message id comes from it.
// The errors steer the task and carry the codes of this package; none of them
// holds a secret, more of the URL than its host, or anything that the receiver
// wrote.
func (d *Deliverer) Deliver(ctx context.Context, in Input) (Result, error) {
	if err := in.Validate(); err != nil {
		return Result{}, task.Permanent(task.Code(task.CodeInvalidInput, err))
	}
	target, err := parseTarget(in.URL)
	if err != nil {
		return Result{}, task.Permanent(task.Code(task.CodeInvalidInput, err))
	}
	secrets, err := d.signing(ctx)
	if err != nil {
		return Result{}, err
	}

	sending, cancel := context.WithTimeout(ctx, d.opts.Timeout)
	defer cancel()
	var connected atomic.Bool
	req, err := d.request(httptrace.WithClientTrace(sending, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	}), target, in, secrets)
	if err != nil {
		return Result{}, task.Permanent(err)
	}

	defer d.refreshing(ctx)()
	start := time.Now()
	// Straight to the transport: no redirects, no cookies, and no errors that
	// quote the URL, all of which an http.Client brings.
	resp, err := d.opts.Transport.RoundTrip(req)
	if err != nil {
		return Result{}, d.noAnswer(sending, ctx, target.Host, connected.Load(), err)
	}
	latency := time.Since(start)
	drain(resp, cancel)
	if err := answerError(target.Host, resp, time.Now()); err != nil {
		return Result{}, err
	}
	return Result{
		Status:  resp.StatusCode,
		Latency: latency.Round(100 * time.Microsecond).String(),
		Attempt: task.Current(ctx).Attempt,
	}, nil
}

// refresher is a [SecretSource] that reads the next value ahead of time.
type refresher interface {
	Due() bool
	Refresh(ctx context.Context)
}

var _ refresher = (*SecretsManager)(nil)

// refreshing lets the source read its next value while a delivery waits for its
// receiver, and returns how to wait for the end of that: nothing goes on when
// the handler has returned, since Lambda would freeze it.
func (d *Deliverer) refreshing(ctx context.Context) (wait func()) {
	r, ok := d.secrets.(refresher)
	if !ok || !r.Due() {
		return func() {}
	}
	var wg sync.WaitGroup
	wg.Go(func() { r.Refresh(ctx) })
	return wg.Wait
}

// signing returns the secrets. What went wrong is for the operator's log: an
// error of AWS names accounts and roles.
func (d *Deliverer) signing(ctx context.Context) ([]Secret, error) {
	if d.secrets == nil {
		return nil, task.Code(CodeSecret, errors.New("no secret source is configured"))
	}
	secrets, err := d.secrets.Secrets(ctx)
	if err == nil && len(secrets) == 0 {
		err = errors.New("the source has no secret")
	}
	switch {
	case err == nil:
		return secrets, nil
	case errors.Is(ctx.Err(), context.Canceled):
		return nil, &failure{"the delivery was canceled", context.Cause(ctx)}
	}
	d.opts.Logger.ErrorContext(ctx, "no secret to sign a webhook with", slog.Any("error", err))
	return nil, task.Code(CodeSecret, &failure{"the signing secret cannot be read, see the worker's log", err})
}

// request builds the signed POST for this attempt.
func (d *Deliverer) request(ctx context.Context, target *url.URL, in Input, secrets []Secret) (*http.Request, error) {
	now, created := time.Now(), task.Current(ctx).CreatedAt
	if created.IsZero() {
		created = now
	}
	content, err := encodeBody(body{Type: in.Event, Timestamp: task.At(created), Data: in.Payload})
	if err != nil {
		return nil, &failure{"the body cannot be encoded", err}
	}
	id := task.IdempotencyKey(ctx)
	signature, err := signatures(secrets, id, now, content)
	if err != nil {
		return nil, &failure{"the delivery cannot be signed: " + err.Error(), err}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target.String(), bytes.NewReader(content))
	if err != nil {
		return nil, &failure{"the request cannot be made", err}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", d.opts.UserAgent)
	req.Header.Set(HeaderID, id)
	req.Header.Set(HeaderTimestamp, strconv.FormatInt(now.Unix(), 10))
	req.Header.Set(HeaderSignature, signature)
	// Present but empty: not sent, yet it tells http.Transport that it may send
	// again when a reused connection turns out to be dead, which would otherwise
	// cost the task an attempt. Receivers know the message by its id.
	req.Header["Idempotency-Key"] = nil
	return req, nil
}

// drain reads what is left of an answer within its bounds, and closes it. The
// outcome is known from the headers, so nothing here can change it.
func drain(resp *http.Response, cancel context.CancelFunc) {
	defer resp.Body.Close() //nolint:errcheck // nothing is left to lose
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return // the body is an open connection
	}
	timer := time.AfterFunc(drainTimeout, cancel)
	defer timer.Stop()
	_, _ = io.CopyN(io.Discard, resp.Body, maxDrain) // whatever it holds, the outcome is decided
}
