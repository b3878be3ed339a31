package webhook

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/spillway-go/spillway/pkg/task"
)

// Type is the task type that [Deliverer.Deliver] handles.
const Type = "webhook.deliver"

// Limits of an [Input], in bytes.
const (
	MaxURL   = 2048
	MaxEvent = 128
	maxHost  = 253 // RFC 1035 section 2.3.4, without the root's length byte
)

// Input is what a webhook.deliver task is given.
type Input struct {
	// URL is the receiver's endpoint: absolute, http or https, of at most
	// [MaxURL] bytes, without user information and fragment. Its host is a
	// DNS name in ASCII or an IP address in its usual form.
	URL string `json:"url"`
	// Event names what happened, for example "invoice.paid": 1 to [MaxEvent]
	// visible ASCII characters. The specification recommends words of
	// [a-zA-Z0-9_] joined by dots.
	Event string `json:"event"`
	// Payload is the event's data: any JSON value, null included. It must be
	// present.
	Payload json.RawMessage `json:"payload"`
}

// Validate implements [task.Validator]. It looks at the input alone, without
// the network: which addresses may be reached is decided when they are dialed.
// Its errors name the field and never repeat the URL, which may carry a token.
func (in *Input) Validate() error {
	if _, err := parseTarget(in.URL); err != nil {
		return fmt.Errorf("url: %w", err)
	}
	if err := checkEvent(in.Event); err != nil {
		return fmt.Errorf("event: %w", err)
	}
	if len(in.Payload) == 0 {
		return errors.New("payload: is missing (null is allowed)")
	}
	if !json.Valid(in.Payload) {
		return errors.New("payload: is not JSON")
	}
	return nil
}

func checkEvent(event string) error {
	if event == "" || len(event) > MaxEvent {
		return fmt.Errorf("must have 1 to %d characters", MaxEvent)
	}
	for i := range len(event) {
		if event[i] <= ' ' || event[i] > '~' {
			return errors.New("may only have visible ASCII characters, no spaces")
		}
	}
	return nil
}

// parseTarget returns the URL that raw stands for, or says what is wrong with
// it. [url.Parse]'s own errors quote their input, so they are not passed on.
func parseTarget(raw string) (*url.URL, error) {
	switch {
	case raw == "":
		return nil, errors.New("is missing")
	case len(raw) > MaxURL:
		return nil, fmt.Errorf("has %d bytes, at most %d are taken", len(raw), MaxURL)
	case strings.Contains(raw, "#"):
		return nil, errors.New("must not have a fragment")
	}
	u, err := url.Parse(raw)
	if err != nil {
		return nil, errors.New("is not a valid URL")
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, errors.New("must begin with https:// or http://")
	case u.User != nil:
		return nil, errors.New("must not have user information (user:password@)")
	}
	if err := checkHost(u); err != nil {
		return nil, err
	}
	if p := u.Port(); p != "" {
		if n, err := strconv.ParseUint(p, 10, 16); err != nil || n == 0 {
			return nil, errors.New("has a port outside of 1 to 65535")
		}
	}
	return u, nil
}

// checkHost refuses hosts that resolvers read differently from what people
// see: characters outside of host names, and addresses spelled as one number,
// in octal or in hexadecimal. The guard would stop the latter as well; an error
// at submission is clearer.
func checkHost(u *url.URL) error {
	host := u.Hostname()
	if host == "" {
		return errors.New("has no host")
	}
	if strings.HasPrefix(u.Host, "[") {
		if a, err := netip.ParseAddr(host); err != nil || a.Zone() != "" {
			return errors.New("has a host that is not an IPv6 address without zone")
		}
		return nil
	}
	if len(host) > maxHost {
		return fmt.Errorf("has a host of %d bytes, at most %d are taken", len(host), maxHost)
	}
	for i := range len(host) {
		c := host[i]
		if !isAlnum(c) && c != '-' && c != '_' && c != '.' {
			return errors.New("has a host that is not a DNS name in ASCII (xn-- form) or an IP address")
		}
	}
	if labels := "." + strings.TrimSuffix(host, ".") + "."; strings.Contains(labels, "..") {
		return errors.New("has a host with an empty label (two dots, or one in front)")
	}
	if endsInNumber(host) {
		if a, err := netip.ParseAddr(host); err != nil || !a.Is4() {
			return errors.New("has a host that is not an IPv4 address in dotted-decimal form, and no name ends in a number")
		}
	}
	return nil
}

// endsInNumber reports whether the last label of host is a decimal or
// hexadecimal number, which makes lenient parsers take the host for an IPv4
// address (https://url.spec.whatwg.org/#ends-in-a-number-checker).
func endsInNumber(host string) bool {
	host = strings.TrimSuffix(host, ".")
	last := host[strings.LastIndexByte(host, '.')+1:]
	if last == "" {
		return false
	}
	if hex, ok := strings.CutPrefix(strings.ToLower(last), "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return strings.Trim(last, "0123456789") == ""
}

func isAlnum(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// body is the payload structure that the Standard Webhooks specification
// recommends ("Payload structure").
type body struct {
	Type      string          `json:"type"`
	Timestamp task.Time       `json:"timestamp"`
	Data      json.RawMessage `json:"data"`
}

// encodeBody returns the bytes that are signed and sent. HTML escaping is off,
// because it would rewrite <, > and & inside of the payload.
func encodeBody(b body) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(b); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}
