package client

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// ErrNoRegion is returned by [New] when requests are to be signed and neither
// the options nor the host name say for which region.
var ErrNoRegion = errors.New("client: signing needs a region")

// Client calls one Spillway API. It is safe for concurrent use.
type Client struct {
	base   *url.URL
	region string
	opts   Options
	signer *v4.Signer

	jitterMu sync.Mutex // guards opts.Jitter
}

// New returns a client for the API at baseURL, which is a stack's ApiUrl
// output. A nil opts means all defaults. It sends nothing.
func New(baseURL string, opts *Options) (*Client, error) {
	u, err := url.Parse(strings.TrimRight(baseURL, "/"))
	if err != nil {
		return nil, fmt.Errorf("client: base URL: %w", err)
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, fmt.Errorf("client: base URL %q is not an absolute http or https URL", baseURL)
	}
	if u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return nil, fmt.Errorf("client: base URL must have no query, fragment or user")
	}

	c := &Client{base: u, opts: opts.withDefaults()}
	if c.opts.LongPoll >= c.opts.AttemptTimeout {
		return nil, fmt.Errorf("client: LongPoll (%s) must be shorter than AttemptTimeout (%s)",
			c.opts.LongPoll, c.opts.AttemptTimeout)
	}
	if c.opts.Credentials == nil {
		return c, nil
	}
	c.region = gatewayRegion(u.Hostname())
	if c.region == "" {
		c.region = c.opts.Region
	}
	if c.region == "" {
		return nil, ErrNoRegion
	}
	if _, cached := c.opts.Credentials.(*aws.CredentialsCache); !cached {
		c.opts.Credentials = aws.NewCredentialsCache(c.opts.Credentials)
	}
	c.signer = v4.NewSigner()
	return c, nil
}

// BaseURL returns the URL that the client was made for, without a trailing slash.
func (c *Client) BaseURL() string { return c.base.String() }

var gatewayHost = regexp.MustCompile(
	`\.execute-api\.([a-z0-9-]+)\.(?:vpce\.)?(?:amazonaws\.com(?:\.cn)?|api\.aws)$`)

// gatewayRegion returns the region in one of API Gateway's own host names, or "".
func gatewayRegion(host string) string {
	if net.ParseIP(host) != nil {
		return ""
	}
	m := gatewayHost.FindStringSubmatch(strings.ToLower(host))
	if m == nil {
		return ""
	}
	return m[1]
}
