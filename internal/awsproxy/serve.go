package awsproxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

var errTooLarge = errors.New("body exceeds the proxy's limit")

// answer is what goes back to a client: a body, or a stream to pass through.
type answer struct {
	status int
	header http.Header
	body   []byte
	stream io.ReadCloser
	length int64 // of the stream, -1 if unknown
}

// ServeHTTP handles one call. It implements [http.Handler].
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	var body []byte
	if buffered(r) {
		var err error
		if body, err = readAll(r.Body, p.opts.MaxBody); err != nil {
			status := http.StatusBadRequest
			if errors.Is(err, errTooLarge) {
				status = http.StatusRequestEntityTooLarge
			}
			http.Error(w, err.Error(), status)
			return
		}
		if body == nil {
			body = []byte{}
		}
	}
	c := recognise(r, body)
	c.Start = time.Now()
	p.mu.Lock()
	p.seq++
	c.Seq = p.seq
	p.mu.Unlock()

	if !p.hold(ctx, Before, &c) {
		p.drop(w, &c)
		return
	}
	a, cut := p.exchange(r, &c)
	if a != nil && a.stream != nil {
		defer func() { _ = a.stream.Close() }()
	}
	if !p.hold(ctx, After, &c) {
		p.drop(w, &c)
		return
	}
	if cut {
		p.drop(w, &c)
		return
	}
	c.Duration = time.Since(c.Start)
	p.record(c)
	write(w, a)
}

// drop ends a call without an answer.
func (p *Proxy) drop(w http.ResponseWriter, c *Call) {
	c.Status, c.ErrorCode, c.Failures, c.Response = 0, "", nil, nil
	c.Duration = time.Since(c.Start)
	p.record(*c)
	reset(w)
}

// exchange gets the answer to a call, from the target or from a fault.
func (p *Proxy) exchange(r *http.Request, c *Call) (a *answer, cut bool) {
	v := p.decide(c)
	switch {
	case v == nil:
		return p.forward(r, c, c.Request), false
	case v.when == PartialBefore || v.when == PartialAfter:
		return p.partial(r, c, v), false
	case v.when == After:
		a = p.forward(r, c, c.Request)
		if a.stream != nil {
			_, _ = io.Copy(io.Discard, a.stream)
			_ = a.stream.Close()
		}
	}
	c.Injected, c.InjectedAt = true, v.when
	if v.err.Cut {
		return nil, true
	}
	a = v.err.answer(c)
	c.ErrorCode, c.Failures = "", nil
	c.inspect(a.status, a.header, a.body)
	return a, false
}

// partial lets a fault hit some entries of a batch.
func (p *Proxy) partial(r *http.Request, c *Call, v *verdict) *answer {
	removed := v.when == PartialBefore
	body := c.Request
	if removed {
		var err error
		if body, err = without(c, v.picks); err != nil {
			return p.broken(c, err) // a request that is not what it says
		}
	}
	a := &answer{status: http.StatusOK, header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}}}
	if body != nil {
		a = p.forward(r, c, body)
		if a.status != http.StatusOK {
			return a // the call failed on its own
		}
	}
	text, err := plain(a, p.opts.MaxBody)
	if err == nil {
		text, err = report(c, text, v, removed)
	}
	if err != nil {
		return p.broken(c, err)
	}
	a.body = text
	a.header.Del("Content-Encoding")
	a.header.Del("Content-Md5")
	if a.header.Get("X-Amz-Crc32") != "" {
		a.header.Set("X-Amz-Crc32", strconv.FormatUint(uint64(crc32.ChecksumIEEE(text)), 10))
	}
	c.Injected, c.InjectedAt = true, v.when
	c.Failures, c.Units, c.ReadUnits, c.WriteUnits = nil, 0, 0, 0
	c.inspect(a.status, a.header, text)
	return a
}

// forward sends the call to the target and inspects the answer. body replaces
// the request's own unless it is nil.
func (p *Proxy) forward(r *http.Request, c *Call, body []byte) *answer {
	ctx := r.Context()
	if c.Request != nil && (c.Service != "sqs" || c.Operation != "ReceiveMessage") {
		// what was sent completely takes effect, whatever becomes of the client
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), p.opts.Timeout)
		defer cancel()
	}
	out := (&http.Request{
		Method: r.Method,
		URL: &url.URL{
			Scheme: p.target.Scheme, Host: p.target.Host,
			Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery, ForceQuery: r.URL.ForceQuery,
		},
		Host:          r.Host,
		Header:        passed(r.Header),
		Body:          r.Body,
		ContentLength: r.ContentLength,
	}).WithContext(ctx)
	if body != nil {
		out.Body = io.NopCloser(bytes.NewReader(body))
		out.ContentLength = int64(len(body))
	}
	if out.ContentLength == 0 {
		out.Body = http.NoBody
	}
	if c.Request != nil && !signs(r, "accept-encoding") {
		out.Header.Set("Accept-Encoding", "identity")
	}
	if out.Header.Get("User-Agent") == "" {
		out.Header["User-Agent"] = nil // do not invent one
	}
	resp, err := p.transport.RoundTrip(out)
	if err != nil {
		return p.broken(c, err)
	}
	c.Forwarded = true
	a := &answer{status: resp.StatusCode, header: passed(resp.Header), length: resp.ContentLength}
	if c.Request == nil {
		a.stream = resp.Body
		c.inspect(a.status, a.header, nil)
		return a
	}
	defer func() { _ = resp.Body.Close() }()
	if a.body, err = readAll(resp.Body, p.opts.MaxBody); err != nil {
		return p.broken(c, err)
	}
	text, err := plain(a, p.opts.MaxBody)
	if err != nil {
		return p.broken(c, err)
	}
	c.inspect(a.status, a.header, text)
	return a
}

// broken answers for a target that cannot be reached or understood.
func (p *Proxy) broken(c *Call, err error) *answer {
	c.Status, c.ErrorCode = http.StatusBadGateway, "BadGateway"
	return Error{Status: http.StatusBadGateway, Code: "BadGateway", Message: fmt.Sprintf("test proxy: %v", err)}.answer(c)
}

// hopHeaders belong to one connection and are not passed on. Expect is among
// them because the server has answered it already.
var hopHeaders = []string{
	"Connection", "Expect", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection",
	"Te", "Trailer", "Transfer-Encoding", "Upgrade",
}

// passed copies the headers that belong to the message.
func passed(h http.Header) http.Header {
	out := h.Clone()
	for _, list := range h["Connection"] {
		for name := range strings.SplitSeq(list, ",") {
			out.Del(strings.TrimSpace(name))
		}
	}
	for _, name := range hopHeaders {
		out.Del(name)
	}
	return out
}

// signs tells whether a request's signature covers a header.
func signs(r *http.Request, name string) bool {
	_, rest, _ := strings.Cut(r.Header.Get("Authorization"), "SignedHeaders=")
	list, _, _ := strings.Cut(rest, ",")
	for signed := range strings.SplitSeq(list, ";") {
		if signed == name {
			return true
		}
	}
	return false
}

// write sends an answer to the client.
func write(w http.ResponseWriter, a *answer) {
	maps.Copy(w.Header(), a.header)
	if a.stream == nil {
		w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
		w.WriteHeader(a.status)
		_, _ = w.Write(a.body) //nolint:gosec // passed on as it came, to SDK clients in tests
		return
	}
	if a.length >= 0 && w.Header().Get("Content-Length") == "" && a.status != http.StatusNoContent {
		w.Header().Set("Content-Length", strconv.FormatInt(a.length, 10))
	}
	w.WriteHeader(a.status)
	if _, err := io.Copy(w, a.stream); err != nil {
		panic(http.ErrAbortHandler) // the client must not take it for complete
	}
}

// reset ends the client's connection so that it sees an error, not an end.
func reset(w http.ResponseWriter) {
	if h, ok := w.(http.Hijacker); ok {
		if conn, _, err := h.Hijack(); err == nil {
			if tcp, ok := conn.(*net.TCPConn); ok {
				_ = tcp.SetLinger(0)
			}
			_ = conn.Close()
			return
		}
	}
	panic(http.ErrAbortHandler)
}
