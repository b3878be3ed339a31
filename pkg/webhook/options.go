package webhook

import (
	"log/slog"
	"net/http"
	"time"
)

// Options tunes a [Deliverer]. The zero value is ready to use.
type Options struct {
	// Timeout bounds one delivery, from looking up the name to the headers of
	// the answer; a context that ends earlier bounds it as well. It must leave
	// the worker time to settle the task. The specification recommends 15 to
	// 30 seconds; ours is shorter, because a slow receiver occupies an
	// environment that is paid for. Defaults to 10 seconds.
	Timeout time.Duration
	// AllowPrivate lets deliveries reach loopback, RFC 1918 and unique-local
	// addresses, see [Guard.AllowPrivate]. Only a local stage sets it.
	// Defaults to false.
	AllowPrivate bool
	// UserAgent is sent with every delivery.
	// Defaults to "Spillway/1 (+https://github.com/spillway-go/spillway)".
	UserAgent string
	// Transport sends the requests; it must be safe for concurrent use. It
	// replaces the guard, AllowPrivate included, so wrap [Guard.Transport] in
	// whatever is added. Defaults to [Guard.Transport].
	Transport http.RoundTripper
	// Logger gets refused targets (with the address that the message leaves
	// out), and the causes of network errors at debug level.
	// Defaults to [slog.Default].
	Logger *slog.Logger
}

func (o *Options) withDefaults() Options {
	var out Options
	if o != nil {
		out = *o
	}
	if out.Timeout <= 0 {
		out.Timeout = 10 * time.Second
	}
	if out.UserAgent == "" {
		out.UserAgent = "Spillway/1 (+https://github.com/spillway-go/spillway)"
	}
	if out.Transport == nil {
		t := Guard{AllowPrivate: out.AllowPrivate}.Transport()
		t.ResponseHeaderTimeout = out.Timeout
		out.Transport = t
	}
	if out.Logger == nil {
		out.Logger = slog.Default()
	}
	return out
}
