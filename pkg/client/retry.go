package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/spillway-go/spillway/pkg/internal/sleep"
)

// outcome is how a call went, over all its attempts.
type outcome struct {
	err        error
	attempts   int
	unknown    bool          // an attempt may have taken effect without telling
	retryAfter time.Duration // of a successful answer
}

// do sends c until it is answered well, refused, or out of attempts, and
// decodes a good answer into out.
func (cl *Client) do(ctx context.Context, c call, out any) outcome {
	var o outcome
	for {
		o.attempts++
		var err error
		o.retryAfter, err = cl.attempt(ctx, c, out)
		if err == nil {
			o.err = nil
			return o
		}
		o.err = err
		o.unknown = o.unknown || mayHaveTakenEffect(err)
		if ctx.Err() != nil || o.attempts >= cl.opts.MaxAttempts || !transient(err) {
			break
		}
		pause, ok := cl.pause(o.attempts, err)
		if !ok || pastDeadline(ctx, pause) || sleep.For(ctx, pause) != nil {
			break
		}
	}
	if o.attempts > 1 {
		o.err = fmt.Errorf("after %d attempts: %w", o.attempts, o.err)
	}
	return o
}

// transient reports whether sending again can help.
func transient(err error) bool {
	if e, ok := errors.AsType[*APIError](err); ok {
		switch e.Status {
		case http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusBadGateway,
			http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return true
		default:
			return false
		}
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.IsNotFound {
		return false
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return false
	}
	_, ok := errors.AsType[*networkError](err)
	return ok
}

// mayHaveTakenEffect reports whether the server may have acted on a request
// that ended with err.
func mayHaveTakenEffect(err error) bool {
	if e, ok := errors.AsType[*APIError](err); ok {
		return e.Status >= 500
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return false // never left this machine
	}
	_, sent := errors.AsType[*networkError](err)
	return sent || errors.Is(err, ErrResponseTooLarge) || errors.Is(err, errBadAnswer)
}

// pause returns how long to wait after the given attempt: full jitter, never
// less than the server asked for. It reports false when that is too long to wait.
func (cl *Client) pause(attempt int, err error) (time.Duration, bool) {
	limit := cl.opts.MaxDelay
	if shift := attempt - 1; shift < 30 && cl.opts.BaseDelay<<shift < limit && cl.opts.BaseDelay<<shift > 0 {
		limit = cl.opts.BaseDelay << shift
	}
	pause := cl.jitter(limit)
	if e, ok := errors.AsType[*APIError](err); ok && e.RetryAfter > 0 {
		if e.RetryAfter > cl.opts.MaxDelay {
			return 0, false
		}
		// On top, not instead: clients that were refused together would all
		// come back together.
		pause += e.RetryAfter
	}
	return pause, true
}

// jitter returns a random duration in [0, limit].
func (cl *Client) jitter(limit time.Duration) time.Duration {
	if cl.opts.Jitter == nil {
		return rand.N(limit + 1)
	}
	cl.jitterMu.Lock()
	defer cl.jitterMu.Unlock()
	return time.Duration(rand.New(cl.opts.Jitter).Int64N(int64(limit) + 1))
}

// pastDeadline reports whether ctx would end during the pause, so that the
// error at hand, which says more than ctx's, can be returned right away.
func pastDeadline(ctx context.Context, pause time.Duration) bool {
	deadline, ok := ctx.Deadline()
	return ok && time.Until(deadline) <= pause
}

// retryAfter reads the header in both of its forms; zero when absent or bad.
func retryAfter(h http.Header) time.Duration {
	v := h.Get("Retry-After")
	if v == "" {
		return 0
	}
	if s, err := strconv.ParseInt(v, 10, 32); err == nil {
		return max(0, time.Duration(s)*time.Second)
	}
	if at, err := http.ParseTime(v); err == nil {
		return max(0, time.Until(at))
	}
	return 0
}
