package webhook

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/spillway-go/spillway/internal/allocs"
	"github.com/spillway-go/spillway/pkg/task"
)

// answers is a transport that keeps the requests and answers them all alike.
type answers struct {
	status     int
	retryAfter string
	requests   []*http.Request
}

func (a *answers) RoundTrip(r *http.Request) (*http.Response, error) {
	a.requests = append(a.requests, r)
	return &http.Response{StatusCode: a.status, Header: http.Header{"Retry-After": {a.retryAfter}}, Body: http.NoBody}, nil
}

// FuzzDeliver hands in whatever a caller may, answers whatever a receiver may,
// and looks at what is sent and what the task's owner gets to read.
func FuzzDeliver(f *testing.F) {
	for _, input := range []string{
		`{"url":"https://h.example/a?b=c","event":"invoice.paid","payload":{"a":[1,2.50,"<&>\u2028"]}}`,
		`{"url":"http://[::ffff:127.0.0.1]:80","event":"e","payload":null}`,
		`{"url":"https://0x7f.1","event":"e","payload":""}`,
		`{"url":"https://user:hunter2@h.example","event":"e","payload":1}`,
		`{"url":"HTTPS://XN--BCHER-KVA.example:65535/%2f%00?a=%zz","event":"!~","payload":[]}`,
		`{"url":"https://h.example\\@evil.example/","event":"e","payload":{}}`,
		`{"url":"https://h.example/ü b","event":"e f","payload":1e400}`,
		`{"url":"https://h.example","event":"e","payload":{"a":1},"secret":"x"}`,
		`{"url":"https://h.example/a#b","event":"e","payload":1}`,
		`{"url":"https://h.example:0/","event":"e","payload":1}`,
		`{"url":"HTTP://00A:00000065535","event":"e","payload":1}`,
		`{"url":"https://[fe80::1%25eth0]/","event":"e","payload":1}`,
		`{}`,
	} {
		f.Add(input, 200, "")
		f.Add(input, 503, "120")
		f.Add(input, 404, "soon")
	}
	f.Fuzz(func(t *testing.T, input string, status int, retryAfter string) {
		allocs.Within(t, 1<<20+64*len(input), func() { checkDelivery(t, input, status, retryAfter) })
	})
}

func checkDelivery(t *testing.T, input string, status int, retryAfter string) {
	t.Helper()
	receiver := &answers{status: status, retryAfter: retryAfter}
	d, _ := deliverer(t, func(o *Options) { o.Transport = receiver })
	mux := task.NewMux()
	task.Handle(mux, Type, d.Deliver)
	_, err := mux.Run(inTask(t.Context(), 1), Type, json.RawMessage(input))
	if err != nil {
		failure := task.FailureOf(err)
		checkText(t, failure.Message, 400)
		if after, ok := task.RetryDelay(err); ok && (after <= 0 || after > maxRetryAfter || task.IsPermanent(err)) {
			t.Fatalf("%v: comes back after %s", err, after)
		}
	}
	if refused := mux.Check(Type, json.RawMessage(input)); refused != nil {
		if len(receiver.requests) > 0 || !task.IsPermanent(err) {
			t.Fatalf("%v, and %d requests; Run = %v", refused, len(receiver.requests), err)
		}
		return
	}
	if sent, good := len(receiver.requests), status >= 200 && status <= 299; sent != 1 || (err == nil) != good {
		t.Fatalf("%d requests, answered %d: %v", sent, status, err)
	}
	checkRequest(t, input, receiver.requests[0])
}

var hostForm = regexp.MustCompile(`^([0-9A-Za-z._-]{1,253}|\[[0-9A-Fa-f:.]+\])(:(0*[1-9][0-9]{0,4})?)?$`)

// checkRequest: what is sent goes where people see that it goes, and is signed.
func checkRequest(t *testing.T, input string, r *http.Request) {
	t.Helper()
	var in Input
	if err := json.Unmarshal([]byte(input), &in); err != nil {
		t.Fatal(err)
	}
	if s := r.URL.Scheme; s != "http" && s != "https" || !hostForm.MatchString(r.URL.Host) || r.URL.User != nil || r.URL.Fragment != "" {
		t.Fatalf("%q was taken: %+v", in.URL, r.URL)
	}
	if len(in.URL) > MaxURL || len(in.Event) > MaxEvent || !task.VisibleASCII(in.Event, MaxEvent) {
		t.Fatalf("taken with a URL of %d bytes and the event %q", len(in.URL), in.Event)
	}
	content := new(bytes.Buffer)
	if _, err := content.ReadFrom(r.Body); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Type string          `json:"type"`
		Data json.RawMessage `json:"data"`
	}
	want := new(bytes.Buffer)
	if err := json.Compact(want, in.Payload); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content.Bytes(), &got); err != nil || got.Type != in.Event || !bytes.Equal(got.Data, want.Bytes()) {
		t.Fatalf("sent %s, %v; want the payload %s", content, err, want)
	}
	key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(currentKey, secretPrefix))
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", r.Header.Get(HeaderID), r.Header.Get(HeaderTimestamp), content)
	if got := r.Header.Get(HeaderSignature); got != "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)) {
		t.Fatalf("signature %q", got)
	}
}

// checkText: people and queues can read it, and it is not long.
func checkText(t *testing.T, text string, limit int) {
	t.Helper()
	if len(text) > limit || text == "" || text != task.CleanText(text, limit) || !utf8.ValidString(text) {
		t.Fatalf("text of %d bytes: %q", len(text), text)
	}
}

// FuzzText gives what the package reads from headers, secrets and resolvers a
// text.
func FuzzText(f *testing.F) {
	for _, wait := range []string{"", "1", "99999999999", "-1", "0x1", "Fri, 31 Dec 1999 23:59:59 GMT", "Sunday, 06-Nov-94 08:49:37 GMT"} {
		f.Add(byte(0), wait, int64(784111777))
	}
	for _, secret := range []string{
		currentKey, currentKey + "\n", "whsec_", "whsk_" + currentKey, "whsec_AAAA", "whsec_" + strings.Repeat("A", 88),
		"whsec_" + strings.Repeat("k", 31) + "\n=", "whsec_" + strings.Repeat("é", 32),
	} {
		f.Add(byte(1), secret, int64(0))
		f.Add(byte(2), `{"current":`+strconv.Quote(secret)+`,"previous":""}`, int64(0))
	}
	f.Add(byte(2), `{"current":"`+currentKey+`","previous":"`+previousKey+`","more":[1]}`, int64(0))
	for _, address := range []string{
		"203.0.113.7:443", "[::1]:80", "[fe80::1%eth0]:80", "[::ffff:10.0.0.1]:80", "127.1:80", "[64:ff9b::a00:1]:1", "[2606:4700::1]:443", "8.8.8.8:53", "x",
	} {
		f.Add(byte(3), address, int64(0))
	}
	checks := []func(*testing.T, string, int64){checkRetryAfter, checkSecret, checkSecrets, checkAddress}
	f.Fuzz(func(t *testing.T, kind byte, text string, n int64) {
		allocs.Within(t, 512<<10+64*len(text), func() { checks[int(kind)%len(checks)](t, text, n) })
	})
}

var digits = regexp.MustCompile(`^[0-9]+$`)

func checkRetryAfter(t *testing.T, value string, unix int64) {
	t.Helper()
	now := time.Unix(unix, 0)
	wait, ok := parseRetryAfter(value, now)
	if ok != (wait > 0) || wait > maxRetryAfter {
		t.Fatalf("%q: %v, %t", value, wait, ok)
	}
	if value = strings.TrimSpace(value); !ok || wait == maxRetryAfter {
		return
	}
	if at, err := http.ParseTime(value); err == nil && !at.Equal(now.Add(wait)) {
		t.Fatalf("%q: %v after %s", value, wait, now)
	} else if err != nil && (!digits.MatchString(value) || strings.TrimLeft(value, "0") != strconv.FormatInt(int64(wait/time.Second), 10)) {
		t.Fatalf("%q: %v", value, wait)
	}
}

// checkSecret: a secret signs as its bytes do, and never shows itself.
func checkSecret(t *testing.T, text string, unix int64) {
	t.Helper()
	secret, err := ParseSecret(text)
	if err != nil {
		checkSilent(t, err.Error(), text)
		return
	}
	for _, shown := range []string{
		fmt.Sprint(secret), fmt.Sprintf("%#v %x %q %d", secret, secret, secret, secret), fmt.Sprintf("%+v", struct{ s Secret }{secret}),
		slog.AnyValue(secret).Resolve().String(),
	} {
		checkSilent(t, shown, text)
	}
	encoded, _ := strings.CutPrefix(strings.TrimSpace(text), secretPrefix)
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(key) < 24 || len(key) > 64 {
		t.Fatalf("a secret of %d bytes was taken: %v", len(key), err)
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "id.%d.body", unix)
	if got, err := secret.Sign("id", time.Unix(unix, 0), []byte("body")); err != nil || got != "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)) {
		t.Fatalf("Sign = %q, %v", got, err)
	}
}

// checkSilent: what is shown repeats nothing of a secret but its prefix.
func checkSilent(t *testing.T, shown, secret string) {
	t.Helper()
	secret = strings.TrimPrefix(strings.TrimSpace(secret), secretPrefix)
	for i := 0; i+12 <= len(secret); i++ {
		if part := secret[i : i+12]; strings.Contains(shown, part) {
			t.Fatalf("%q shows %q", shown, part)
		}
	}
}

func checkSecrets(t *testing.T, text string, _ int64) {
	t.Helper()
	secrets, err := parseSecrets(text)
	if err != nil {
		var doc map[string]any
		_ = json.Unmarshal([]byte(text), &doc)
		for _, value := range doc {
			checkSilent(t, err.Error(), fmt.Sprint(value))
		}
		return
	}
	var doc struct{ Current, Previous string }
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	want := 1
	if doc.Previous != "" && doc.Previous != doc.Current {
		want = 2
	}
	if header, err := signatures(secrets, "id", created, nil); err != nil || len(secrets) != want || len(strings.Fields(header)) != want {
		t.Fatalf("%d secrets sign %q, %v; want %d", len(secrets), header, err, want)
	}
}

// checkAddress: what net/netip takes for anything but a public address is not
// connected to, in none of its spellings.
func checkAddress(t *testing.T, address string, _ int64) {
	t.Helper()
	err := Guard{}.Control(t.Context(), "tcp6", address, nil)
	local := Guard{AllowPrivate: true}.Control(t.Context(), "tcp4", address, nil)
	if err != nil {
		checkText(t, err.Error(), 300)
	}
	ap, parseErr := netip.ParseAddrPort(address)
	if parseErr != nil {
		if err == nil || local == nil {
			t.Fatalf("%q may be connected to: %v", address, parseErr)
		}
		return
	}
	addr := ap.Addr().Unmap().WithZone("")
	private := addr.IsPrivate() || addr.IsLoopback()
	other := addr.IsUnspecified() || addr.IsMulticast() || addr.IsLinkLocalUnicast() || !addr.IsGlobalUnicast() && !addr.IsLoopback()
	switch {
	case (private || other) && err == nil:
		t.Fatalf("%s may be connected to", addr)
	case other && local == nil:
		t.Fatalf("%s may be connected to with AllowPrivate", addr)
	case !private && (err == nil) != (local == nil):
		t.Fatalf("AllowPrivate decides about %s", addr)
	case Guard{}.Check(netip.AddrFrom16(addr.As16())) == nil != (err == nil):
		t.Fatalf("%s and its mapped form differ", addr)
	}
}
