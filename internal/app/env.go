package app

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Env reads a function's configuration from its environment. Every mistake is
// kept, so that [Env.Err] names all of them at once. Names carry no values
// into errors.
type Env struct {
	getenv    func(string) string
	transport http.RoundTripper
	errs      []error
}

// Option changes what an [Env] provides.
type Option func(*Env)

// WithTransport sends every request of the function through rt, which must be
// safe for concurrent use: those of the AWS clients, and webhooks. Defaults to
// connections of the function's own.
func WithTransport(rt http.RoundTripper) Option { return func(e *Env) { e.transport = rt } }

// NewEnv reads through getenv, which is [os.Getenv] outside of tests.
func NewEnv(getenv func(string) string, opts ...Option) *Env {
	e := &Env{getenv: getenv}
	for _, opt := range opts {
		opt(e)
	}
	return e
}

// Transport is the transport of [WithTransport], nil without one.
func (e *Env) Transport() http.RoundTripper { return e.transport }

// HTTPClient returns a client for the SDK, see [HTTPClient], that sends through
// the transport of [WithTransport] if there is one.
func (e *Env) HTTPClient(timeout time.Duration) aws.HTTPClient {
	if e.transport != nil {
		return httpClient{&http.Client{Transport: e.transport, Timeout: timeout}}
	}
	return HTTPClient(timeout)
}

// String returns a value that must not be empty.
func (e *Env) String(name string) string {
	v := e.getenv(name)
	if v == "" {
		e.errs = append(e.errs, fmt.Errorf("%s is not set", name))
	}
	return v
}

// Optional returns a value that may be empty.
func (e *Env) Optional(name string) string { return e.getenv(name) }

// Duration returns a duration that must be at least low.
func (e *Env) Duration(name string, low time.Duration) time.Duration {
	v := e.String(name)
	if v == "" {
		return 0
	}
	d, err := time.ParseDuration(v)
	if err != nil || d < low {
		e.errs = append(e.errs, fmt.Errorf("%s is not a duration of at least %s", name, low))
	}
	return d
}

// Int returns a number that must be at least low.
func (e *Env) Int(name string, low int) int {
	v := e.String(name)
	if v == "" {
		return 0
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < low {
		e.errs = append(e.errs, fmt.Errorf("%s is not a number of at least %d", name, low))
	}
	return n
}

// Bool returns true or false.
func (e *Env) Bool(name string) bool {
	switch e.String(name) {
	case "true":
		return true
	case "false", "":
		return false
	default:
		e.errs = append(e.errs, fmt.Errorf("%s is neither true nor false", name))
		return false
	}
}

// Err returns everything that was wrong, or nil.
func (e *Env) Err() error { return errors.Join(e.errs...) }
