package webhook

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spillway-go/spillway/pkg/task"
)

// Codes of failures without an answer. An answer outside of 2xx has the code
// http_ followed by its status, for example http_404.
const (
	CodeTimeout    = "webhook_timeout"    // no connection or no answer in time; retried
	CodeConnection = "webhook_connection" // refused, reset, or not HTTP; retried
	CodeDNS        = "webhook_dns"        // the host's name does not resolve; retried
	CodeTLS        = "webhook_tls"        // certificate or handshake; retried, since certificates get renewed
	CodeSecret     = "webhook_secret"     // no secret to sign with; retried
	CodeForbidden  = "target_forbidden"   // an address that [Guard] refuses; permanent
)

// failure is an error whose text is fit for the task's owner: its cause can be
// reached with [errors.Is] and [errors.As] but is not in the message, because
// causes quote URLs, internal addresses, ARNs or a receiver's bytes.
type failure struct {
	message string
	cause   error
}

func (f *failure) Error() string { return f.message }
func (f *failure) Unwrap() error { return f.cause }

// answerError is the outcome of an answer, nil for 2xx ("Delivery success and
// failure" of the specification). The text is the standard one for the status;
// what the receiver wrote beside the number is not repeated.
func answerError(host string, resp *http.Response, now time.Time) error {
	status := resp.StatusCode
	if status >= 200 && status <= 299 {
		return nil
	}
	message := host + " answered " + strconv.Itoa(status)
	if text := http.StatusText(status); text != "" {
		message += " " + text
	}
	if status >= 300 && status <= 399 {
		message += ": redirects are not followed, use the final URL"
	}
	err := task.Code("http_"+strconv.Itoa(status), errors.New(message))
	if permanentStatus(status) {
		return task.Permanent(err)
	}
	if wait, ok := parseRetryAfter(resp.Header.Get("Retry-After"), now); ok {
		return task.RetryAfter(wait, err)
	}
	return err
}

// permanentStatus reports whether another attempt would get the same answer:
// 3xx, because redirects are not followed, and 4xx except for those that speak
// of this moment.
func permanentStatus(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	default:
		return status >= 300 && status <= 499
	}
}

// noAnswer turns an error of the transport into a failure, and logs what the
// task's owner does not get to see. ctx is the delivery's own, parent the
// handler's.
func (d *Deliverer) noAnswer(ctx, parent context.Context, host string, connected bool, cause error) error {
	if errors.Is(parent.Err(), context.Canceled) {
		// Not the receiver's doing: the worker stops, or lost the lease.
		return &failure{"delivery to " + host + " was canceled", context.Cause(parent)}
	}
	if forbidden, ok := errors.AsType[*ForbiddenError](cause); ok {
		d.opts.Logger.WarnContext(ctx, "webhook target refused", slog.String("host", host),
			slog.String("address", forbidden.Addr.String()), slog.String("block", forbidden.Block))
		message := fmt.Sprintf("%s is refused: its address is not public (%s)", host, forbidden.Block)
		return task.Permanent(task.Code(CodeForbidden, &failure{message, cause}))
	}
	code, what := classify(cause, connected)
	switch {
	case parent.Err() != nil:
		code, what = CodeTimeout, "did not answer in the time that the worker had left"
	case ctx.Err() != nil && connected:
		code, what = CodeTimeout, "did not answer within "+d.opts.Timeout.String()
	case ctx.Err() != nil:
		code, what = CodeTimeout, "was not connected within "+d.opts.Timeout.String()
	}
	d.opts.Logger.DebugContext(ctx, "webhook attempt without an answer", slog.String("host", host),
		slog.String("error_code", code), slog.Any("error", cause))
	return task.Code(code, &failure{host + " " + what, cause})
}

// classify names the kind of a network error and says it in words of ours.
func classify(err error, connected bool) (code, what string) {
	if code, what := classifyTLS(err); code != "" {
		return code, what
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		switch {
		case dns.IsNotFound:
			return CodeDNS, "does not resolve: no such host"
		case dns.IsTimeout:
			return CodeDNS, "did not resolve in time"
		default:
			return CodeDNS, "did not resolve: the name server failed"
		}
	}
	if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
		if connected {
			return CodeTimeout, "did not answer in time"
		}
		return CodeTimeout, "was not connected in time"
	}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return CodeConnection, "refused the connection"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return CodeConnection, "is not reachable: no route"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return CodeConnection, "reset the connection before it answered"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return CodeConnection, "closed the connection before it answered"
	default:
		return CodeConnection, "could not be reached, or its answer was not valid HTTP"
	}
}

// classifyTLS is the part of [classify] for certificates and handshakes.
func classifyTLS(err error) (code, what string) {
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		if invalid.Reason == x509.Expired {
			return CodeTLS, "has a certificate that is expired or not valid yet"
		}
		return CodeTLS, "has a certificate that is not valid for a server"
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return CodeTLS, "has a certificate of an unknown authority (self-signed, or the chain is incomplete)"
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return CodeTLS, "has a certificate for another name"
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return CodeTLS, "has a certificate that cannot be verified"
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok || errors.Is(err, http.ErrSchemeMismatch) {
		return CodeTLS, "does not speak TLS on this port"
	}
	// crypto/tls reports alerts as a net.OpError with these operations around an
	// unexported type, whose texts are fixed, and everything else as plain text.
	if op, ok := errors.AsType[*net.OpError](err); ok && (op.Op == "remote error" || op.Op == "local error") {
		return CodeTLS, "ended the TLS handshake: " + op.Err.Error()
	}
	if strings.HasPrefix(err.Error(), "tls: ") {
		return CodeTLS, "could not agree on a TLS connection"
	}
	return "", ""
}
