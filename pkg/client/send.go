package client

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// userAgent names this package to the API's access log.
const userAgent = "spillway-go-client"

// maxErrorBytes bounds the body of an error, of which only a sentence is used.
const maxErrorBytes = 64 << 10

// errBadAnswer is a success whose body is not what the API answers.
var errBadAnswer = errors.New("the answer is not a Spillway API's")

// networkError is a request that got no complete answer.
type networkError struct{ err error }

func (e *networkError) Error() string { return e.err.Error() }
func (e *networkError) Unwrap() error { return e.err }

// call is a request that can be sent any number of times.
type call struct {
	method string
	path   string // below the base URL, escaped
	query  url.Values
	header http.Header
	body   []byte
}

// attempt sends c once and decodes a good answer into out.
func (cl *Client) attempt(ctx context.Context, c call, out any) (time.Duration, error) {
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("%s %s: %w", c.method, c.path, err) // nothing was sent
	}
	parent := ctx
	ctx, cancel := context.WithTimeout(ctx, cl.opts.AttemptTimeout)
	defer cancel()

	req, err := cl.request(ctx, c)
	if err != nil {
		return 0, err
	}
	resp, err := cl.opts.HTTPClient.Do(req)
	if err != nil {
		return 0, cl.netError(parent, c, err)
	}
	defer func() { _ = resp.Body.Close() }()

	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		// Its status says enough: a body that is cut or broken off only costs the detail.
		body, _ := io.ReadAll(io.LimitReader(resp.Body, min(cl.opts.MaxResponseBytes, maxErrorBytes)))
		return 0, newAPIError(req, resp, body)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, cl.opts.MaxResponseBytes+1))
	if err != nil {
		return 0, cl.netError(parent, c, err)
	}
	if int64(len(body)) > cl.opts.MaxResponseBytes {
		return 0, fmt.Errorf("%s %s: %w: more than %d bytes",
			c.method, req.URL.Path, ErrResponseTooLarge, cl.opts.MaxResponseBytes)
	}
	if err := decode(body, out); err != nil {
		// Package json quotes what it cannot read.
		return 0, fmt.Errorf("%s %s: %w: %s", c.method, req.URL.Path, errBadAnswer, shorten(err.Error(), maxDetail))
	}
	return retryAfter(resp.Header), nil
}

// netError makes err a [networkError]. A deadline of the attempt is one, too,
// and must not look like the end of the caller's context.
func (cl *Client) netError(parent context.Context, c call, err error) error {
	if parent.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("%s %s: no answer within %s", c.method, cl.base.Path+c.path, cl.opts.AttemptTimeout)
	}
	return &networkError{err}
}

func (cl *Client) request(ctx context.Context, c call) (*http.Request, error) {
	target := cl.base.String() + c.path
	if len(c.query) > 0 {
		target += "?" + c.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, c.method, target, bytes.NewReader(c.body))
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", c.method, c.path, err)
	}
	for name, values := range c.header {
		req.Header[name] = values
	}
	req.Header.Set("Accept", "application/json, application/problem+json")
	req.Header.Set("User-Agent", strings.TrimSpace(cl.opts.UserAgent+" "+userAgent))
	if cl.opts.APIKey != "" {
		req.Header.Set("X-Api-Key", cl.opts.APIKey)
	}
	if cl.signer == nil {
		return req, nil
	}

	creds, err := cl.opts.Credentials.Retrieve(ctx)
	if err != nil {
		return nil, fmt.Errorf("credentials to sign with: %w", err)
	}
	sum := sha256.Sum256(c.body)
	if err := cl.signer.SignHTTP(ctx, creds, req, hex.EncodeToString(sum[:]),
		"execute-api", cl.region, time.Now()); err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return req, nil
}

// decode refuses bodies that are no task and no page, so that a captive portal
// or a wrong URL does not pass for an empty answer.
func decode(body []byte, out any) error {
	if err := json.Unmarshal(body, out); err != nil {
		return err
	}
	switch v := out.(type) {
	case *Task:
		if v.ID == "" || v.Status == "" {
			return errors.New("no task in it")
		}
	case *Page:
		if v.Tasks == nil {
			return errors.New("no list of tasks in it")
		}
		if slices.ContainsFunc(v.Tasks, func(t *Task) bool { return t == nil || t.ID == "" }) {
			return errors.New("a task without id in it")
		}
	}
	return nil
}
