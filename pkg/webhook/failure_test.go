package webhook

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"github.com/spillway-go/spillway/pkg/task"
)

// fails delivers to url and checks the failure, and that neither it nor the
// log holds what must stay secret.
func fails(t *testing.T, transport http.RoundTripper, url, code, message string) {
	t.Helper()
	d, l := deliverer(t, func(o *Options) { o.Transport = transport })
	_, err := d.Deliver(inTask(t.Context(), 1), input(url+"/path-hunter2?token=hunter2"))
	if err == nil {
		t.Fatal("it succeeded")
	}
	f := task.FailureOf(err)
	if f.Code != code || !f.Retryable || !strings.Contains(f.Message, message) {
		t.Errorf("got %+v (%v), want %s, %q", f, errors.Unwrap(err), code, message)
	}
	key := strings.TrimPrefix(currentKey, secretPrefix)
	for _, leak := range []string{"hunter2", key, "current-key", "SSH-2.0"} {
		if strings.Contains(f.Message, leak) || leak != "SSH-2.0" && strings.Contains(l.String(), leak) {
			t.Errorf("%q leaks in %q or %s", leak, f.Message, l)
		}
	}
}

func local() *http.Transport { return Guard{AllowPrivate: true}.Transport() }

func TestConnectionRefused(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	fails(t, local(), "http://"+ln.Addr().String(), CodeConnection, "refused the connection")
}

// rawServer answers each connection with text, after it got something.
func rawServer(t *testing.T, text string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			conn.Read(make([]byte, 4096))
			io.WriteString(conn, text)
			conn.Close()
		}
	}()
	return "http://" + ln.Addr().String()
}

func TestNotHTTP(t *testing.T) {
	t.Parallel()
	fails(t, local(), rawServer(t, "SSH-2.0-OpenSSH\r\n"), CodeConnection, "not valid HTTP")
}

func TestClosedWithoutAnswer(t *testing.T) {
	t.Parallel()
	fails(t, local(), rawServer(t, ""), CodeConnection, "before it answered")
}

func TestNoSuchHost(t *testing.T) {
	t.Parallel()
	fails(t, recorder(func(*http.Request) (*http.Response, error) {
		return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Name: "h.example", Server: "10.0.0.2:53", IsNotFound: true}}
	}), "https://h.example", CodeDNS, "h.example does not resolve")
}

func TestClassify(t *testing.T) {
	t.Parallel()
	dial := func(err error) error { return &net.OpError{Op: "dial", Net: "tcp", Err: err} }
	tests := []struct {
		err  error
		code string
	}{
		{dial(syscall.ECONNREFUSED), CodeConnection},
		{dial(syscall.ENETUNREACH), CodeConnection},
		{dial(syscall.EHOSTUNREACH), CodeConnection},
		{dial(syscall.ETIMEDOUT), CodeTimeout},
		{&net.OpError{Op: "read", Err: syscall.ECONNRESET}, CodeConnection},
		{&net.DNSError{IsTimeout: true}, CodeDNS},
		{&net.DNSError{Err: "server misbehaving", IsTemporary: true}, CodeDNS},
		{io.ErrUnexpectedEOF, CodeConnection},
		{errors.New("anything"), CodeConnection},
		{&net.OpError{Op: "remote error", Err: tls.AlertError(40)}, CodeTLS},
		{errors.New("tls: server selected unsupported version"), CodeTLS},
		{tls.RecordHeaderError{}, CodeTLS},
		{&tls.CertificateVerificationError{Err: x509.CertificateInvalidError{Reason: x509.Expired}}, CodeTLS},
		{&tls.CertificateVerificationError{Err: x509.CertificateInvalidError{Reason: x509.IncompatibleUsage}}, CodeTLS},
		{&tls.CertificateVerificationError{Err: errors.New("odd")}, CodeTLS},
	}
	for _, tt := range tests {
		if code, what := classify(tt.err, true); code != tt.code || what == "" {
			t.Errorf("%v: %s, %q", tt.err, code, what)
		}
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	r := unstartedReceiver(t, nil)
	r.EnableHTTP2 = true
	r.StartTLS()
	trusting := func() *http.Transport {
		roots := x509.NewCertPool()
		roots.AddCert(r.Certificate())
		dns := &fakeDNS{addrs: []netip.Addr{netip.MustParseAddr("127.0.0.1")}}
		tr := Guard{AllowPrivate: true, Resolver: dns.resolver()}.Transport()
		tr.TLSClientConfig = &tls.Config{RootCAs: roots}
		t.Cleanup(tr.CloseIdleConnections)
		return tr
	}
	fails(t, local(), r.URL, CodeTLS, "unknown authority")
	fails(t, trusting(), viaName(r.Server, "other.test"), CodeTLS, "another name")
	fails(t, trusting(), "https"+strings.TrimPrefix(newReceiver(t, nil).URL, "http"), CodeTLS, "does not speak TLS")

	strict := trusting()
	strict.TLSClientConfig.MinVersion, strict.TLSClientConfig.MaxVersion = tls.VersionTLS10, tls.VersionTLS10
	fails(t, strict, r.URL, CodeTLS, "ended the TLS handshake: tls: protocol version")

	d, _ := deliverer(t, func(o *Options) { o.Transport = trusting() })
	for range 2 {
		if _, err := d.Deliver(inTask(t.Context(), 1), input(r.URL)); err != nil {
			t.Fatal(err)
		}
	}
	for _, got := range r.requests() {
		if got.proto != 2 {
			t.Errorf("HTTP/%d", got.proto)
		}
	}
}
