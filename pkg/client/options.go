package client

import (
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Options tunes a [Client]. The zero value is ready to use with an API that
// asks for no signature.
type Options struct {
	// Credentials sign every request (SigV4, service execute-api).
	// Defaults to nil, which sends requests unsigned.
	Credentials aws.CredentialsProvider

	// Region is the one that signatures name. A host of API Gateway's own
	// ({id}.execute-api.{region}.amazonaws.com) overrules it, since no other
	// region can be right there. Required with Credentials and any other host.
	// Defaults to empty.
	Region string

	// APIKey goes along with every request as x-api-key, beside the signature:
	// stacks deployed with ApiKeys=required ask for one of their usage plan, and
	// take its id for the tenant. Defaults to empty, which sends none.
	APIKey string

	// HTTPClient sends the requests. It should not follow redirects: a
	// signature is good for one host only. Defaults to a client that follows
	// none and keeps enough idle connections for concurrent submitting.
	HTTPClient *http.Client

	// MaxAttempts is how often one call sends its request, the first time
	// included. Defaults to 4.
	MaxAttempts int

	// BaseDelay is the most that the first pause between attempts lasts; each
	// further pause may be twice as long. Defaults to 200 milliseconds.
	BaseDelay time.Duration

	// MaxDelay caps a pause between attempts. An answer that asks for a longer
	// one in Retry-After is returned as an error instead of being waited for.
	// Defaults to 30 seconds.
	MaxDelay time.Duration

	// AttemptTimeout bounds one attempt, from sending to the last byte of the
	// answer. It must be longer than LongPoll. Defaults to 35 seconds, a little
	// more than the longest time that API Gateway lets an answer take.
	AttemptTimeout time.Duration

	// LongPoll is how long [Client.Wait] asks the API to hold an answer. The
	// API allows 25 seconds at most. Defaults to 20 seconds.
	LongPoll time.Duration

	// MaxResponseBytes bounds the body of one answer; a larger one is
	// [ErrResponseTooLarge]. Defaults to 10 MiB, API Gateway's own limit.
	MaxResponseBytes int64

	// UserAgent goes in front of this package's own in the User-Agent header.
	// Defaults to empty.
	UserAgent string

	// Jitter is the randomness of the pauses, so that tests can seed it. It is
	// called by one goroutine at a time. Defaults to the runtime's generator.
	Jitter rand.Source
}

// withDefaults returns a copy of o, which may be nil, with every default filled in.
func (o *Options) withDefaults() Options {
	var out Options
	if o != nil {
		out = *o
	}
	if out.HTTPClient == nil {
		out.HTTPClient = defaultHTTPClient()
	}
	if out.MaxAttempts <= 0 {
		out.MaxAttempts = 4
	}
	if out.BaseDelay <= 0 {
		out.BaseDelay = 200 * time.Millisecond
	}
	if out.MaxDelay <= 0 {
		out.MaxDelay = 30 * time.Second
	}
	if out.AttemptTimeout <= 0 {
		out.AttemptTimeout = 35 * time.Second
	}
	if out.LongPoll <= 0 {
		out.LongPoll = 20 * time.Second
	}
	if out.MaxResponseBytes <= 0 {
		out.MaxResponseBytes = 10 << 20
	}
	return out
}

func defaultHTTPClient() *http.Client {
	c := &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if t, ok := http.DefaultTransport.(*http.Transport); ok {
		t = t.Clone()
		// The default of 2 would open a connection for most concurrent submits.
		t.MaxIdleConnsPerHost = 64
		c.Transport = t
	}
	return c
}
