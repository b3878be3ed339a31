package webhook

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/spillway-go/spillway/pkg/task"
)

// addrs parses addresses.
func addrs(texts ...string) (all []netip.Addr) {
	for _, text := range texts {
		all = append(all, netip.MustParseAddr(text))
	}
	return all
}

// Where a target is refused.
const (
	submitted = task.CodeInvalidInput // POST /tasks answers 400
	dialed    = CodeForbidden         // the task fails, before the first packet
)

// URLs that somebody may submit to reach what only the worker can reach, where
// each is stopped, and what it would get at.
func TestHostileTargets(t *testing.T) {
	t.Parallel()
	tests := []struct{ url, stopped, why string }{
		// This machine: in Lambda, the Runtime API.
		{"http://127.0.0.1:9001/2018-06-01/runtime/invocation/next", dialed, "loopback"},
		{"http://127.255.255.254/", dialed, "all of 127.0.0.0/8 is loopback"},
		{"http://localhost/", dialed, "a name for loopback"},
		{"http://LOCALHOST./", dialed, "the same, in capitals and fully qualified"},
		{"http://0.0.0.0/", dialed, "unspecified: Linux connects to loopback"},
		{"http://0.1.2.3/", dialed, "0.0.0.0/8, this network"},
		{"http://[::1]/", dialed, "loopback"},
		{"http://[0:0:0:0:0:0:0:1]/", dialed, "the same, in full"},
		{"http://[::]/", dialed, "unspecified: Linux connects to loopback"},

		// Credentials.
		{"http://169.254.169.254/latest/meta-data/iam/security-credentials/", dialed, "metadata of EC2, Azure, Google"},
		{"http://169.254.170.2/v2/credentials", dialed, "credentials of ECS tasks"},
		{"http://[fd00:ec2::254]/latest/meta-data/", dialed, "metadata of EC2 in IPv6"},
		{"http://[fd00:ec2::23]/", dialed, "credentials of EKS pods"},
		{"http://[fd20:ce::254]/", dialed, "metadata of Google in IPv6"},
		{"http://100.100.100.200/latest/meta-data/", dialed, "metadata of Alibaba"},
		{"http://192.0.0.192/", dialed, "metadata of Oracle"},
		{"http://168.63.129.16/", dialed, "the wire server of Azure, a public address"},

		// The network behind.
		{"http://10.0.0.1/", dialed, "RFC 1918"},
		{"http://172.31.0.2/", dialed, "RFC 1918; a VPC's resolver"},
		{"http://192.168.1.1/", dialed, "RFC 1918"},
		{"http://100.64.0.1/", dialed, "shared address space, carrier-grade NAT"},
		{"http://169.254.0.1/", dialed, "link-local"},
		{"http://192.0.0.1/", dialed, "IETF protocol assignments"},
		{"http://198.18.0.1/", dialed, "benchmarking"},
		{"http://[fd12:3456::1]/", dialed, "unique-local"},
		{"http://[fc00::1]/", dialed, "unique-local"},
		{"http://[fe80::1]/", dialed, "link-local"},
		{"http://[fec0::1]/", dialed, "site-local, deprecated"},

		// IPv4 inside of IPv6.
		{"http://[::ffff:127.0.0.1]/", dialed, "IPv4-mapped: a socket connects to 127.0.0.1"},
		{"http://[::ffff:a9fe:a9fe]/", dialed, "IPv4-mapped, in hexadecimal: metadata"},
		{"http://[0:0:0:0:0:FFFF:10.0.0.1]/", dialed, "IPv4-mapped, in full"},
		{"http://[::127.0.0.1]/", dialed, "IPv4-compatible, deprecated"},
		{"http://[::ffff:0:127.0.0.1]/", dialed, "IPv4-translated"},
		{"http://[64:ff9b::169.254.169.254]/", dialed, "NAT64"},
		{"http://[64:ff9b:1::10.0.0.1]/", dialed, "NAT64 for local use"},
		{"http://[2002:7f00:1::]/", dialed, "6to4"},
		{"http://[2001:0:4136:e378:8000:63bf:f5ff:fffe]/", dialed, "Teredo"},

		// What is nobody's.
		{"http://224.0.0.1/", dialed, "multicast"},
		{"http://239.255.255.250:1900/", dialed, "multicast: UPnP"},
		{"http://255.255.255.255/", dialed, "broadcast"},
		{"http://240.0.0.1/", dialed, "reserved"},
		{"http://192.0.2.1/", dialed, "documentation"},
		{"http://198.51.100.7/", dialed, "documentation"},
		{"http://203.0.113.9/", dialed, "documentation"},
		{"http://192.88.99.1/", dialed, "relays of 6to4"},
		{"http://[ff02::1]/", dialed, "multicast"},
		{"http://[2001:db8::1]/", dialed, "documentation"},
		{"http://[3fff::1]/", dialed, "documentation"},
		{"http://[100::1]/", dialed, "discard only"},
		{"http://[4000::1]/", dialed, "not assigned"},

		// Addresses that are spelled so that people and filters do not see them.
		{"http://2130706433/", submitted, "127.0.0.1 as one number"},
		{"http://0x7f000001/", submitted, "the same in hexadecimal"},
		{"http://017700000001/", submitted, "the same in octal"},
		{"http://0x7f.1/", submitted, "hexadecimal, and fewer parts"},
		{"http://0X7F.0.0.0X1/", submitted, "hexadecimal in capitals"},
		{"http://0177.0.0.1/", submitted, "octal"},
		{"http://127.1/", submitted, "fewer parts"},
		{"http://127.0.1/", submitted, "fewer parts"},
		{"http://0/", submitted, "0.0.0.0"},
		{"http://127.0.0.1./", submitted, "an address with a dot behind"},
		{"http://2852039166./", submitted, "a number with a dot behind: metadata"},
		{"http://127.0.0.256/", submitted, "overflow"},
		{"http://4294967297/", submitted, "overflow"},
		{"http://00000127.0.0.1/", submitted, "leading zeros"},
		{"http://127.0.0.0x1/", submitted, "one part in hexadecimal"},
		{"http://127.0.0.1../", submitted, "two dots behind"},
		{"http://.127.0.0.1/", submitted, "a dot in front"},
		{"http://127..0.0.1/", submitted, "an empty part"},
		{"http://example..com/", submitted, "an empty label"},
		{"http://./", submitted, "the root of DNS"},
		{"http://%31%32%37.0.0.1/", submitted, "percent-encoded"},
		{"http://127%2e0%2e0%2e1/", submitted, "percent-encoded dots"},
		{"http://127.0.0.1%00.example.com/", submitted, "a zero byte"},
		{"http://%6c%6f%63%61lhost/", submitted, "percent-encoded name"},
		{"http://%EF%BC%91%EF%BC%92%EF%BC%97.0.0.1/", submitted, "percent-encoded full-width digits"},
		{"http://１２７.０.０.１/", submitted, "full-width digits, which IDNA maps to ASCII"},
		{"http://127。0。0。1/", submitted, "ideographic full stops, which IDNA maps to dots"},
		{"http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/", submitted, "circled letters, which IDNA maps to localhost"},
		{"http://local\u00adhost/", submitted, "a soft hyphen, which IDNA drops"},
		{"http://bücher.example/", submitted, "IDN: the xn-- form is taken"},

		// Brackets and zones.
		{"http://[fe80::1%25eth0]/", submitted, "a zone"},
		{"http://[::1%25lo]/", submitted, "a zone"},
		{"http://[::ffff:127.0.0.1%251]/", submitted, "a zone"},
		{"http://[127.0.0.1]/", submitted, "IPv4 in brackets"},
		{"http://[localhost]/", submitted, "a name in brackets"},
		{"http://[v1.x]/", submitted, "IPvFuture"},
		{"http://[::1/", submitted, "no end"},
		{"http://::1/", submitted, "no brackets"},
		{"http://[::1]x/", submitted, "something behind"},

		// Who is the host?
		{"http://example.com@127.0.0.1/", submitted, "user information"},
		{"http://127.0.0.1:80@example.com/", submitted, "user information"},
		{"http://user:secret@example.com/", submitted, "user information"},
		{"http://@127.0.0.1/", submitted, "empty user information"},
		{"http://127.0.0.1\\@example.com/", submitted, "a backslash: browsers take it for a slash"},
		{"http:\\\\127.0.0.1/", submitted, "backslashes"},
		{"http://example.com#@127.0.0.1/", submitted, "a fragment"},
		{"http:127.0.0.1", submitted, "no slashes"},
		{"http:/127.0.0.1/", submitted, "one slash"},
		{"http:///127.0.0.1/", submitted, "three slashes"},
		{"//127.0.0.1/", submitted, "no scheme"},
		{"http://127.0.0.1\t/", submitted, "a tab"},
		{"http://127.0.0.1\r\nHost: x/", submitted, "a line break, for a header of one's own"},
		{" http://127.0.0.1/", submitted, "a space in front"},
		{"http://127.0.0.1 .example.com/", submitted, "a space in the host"},

		// Ports.
		{"http://example.com:0/", submitted, "port 0"},
		{"http://example.com:65536/", submitted, "no port"},
		{"http://example.com:99999999999999999999/", submitted, "no port"},
		{"http://example.com:-1/", submitted, "no port"},
		{"http://example.com:80:80/", submitted, "two ports"},
		{"http://example.com:8a/", submitted, "no port"},
		{"http://example.com:%38%30/", submitted, "percent-encoded"},

		// Other schemes.
		{"file:///proc/self/environ", submitted, "a file: the credentials of the function"},
		{"ftp://example.com/", submitted, "not HTTP"},
		{"gopher://127.0.0.1:6379/_INFO", submitted, "not HTTP"},
		{"unix:///var/run/docker.sock", submitted, "not HTTP"},
		{"dict://127.0.0.1:11211/stats", submitted, "not HTTP"},
		{"ws://127.0.0.1/", submitted, "not HTTP"},
		{"jar:http://127.0.0.1!/", submitted, "not HTTP"},
		{"http+unix://%2Fvar%2Frun%2Fdocker.sock/", submitted, "not HTTP"},
		{"javascript:alert(1)", submitted, "not HTTP"},
	}
	dns := &fakeDNS{all: addrs("127.0.0.1"), six: addrs("::1")}
	for _, tt := range tests {
		d, l := deliverer(t, func(o *Options) { o.Transport = Guard{Resolver: dns.resolver()}.Transport() })
		in := input(tt.url)
		if err := in.Validate(); (err != nil) != (tt.stopped == submitted) {
			t.Errorf("%s (%s): at submission %v", tt.url, tt.why, err)
		}
		start := time.Now()
		_, err := d.Deliver(inTask(t.Context(), 1), in)
		if err == nil {
			t.Errorf("%s (%s) was delivered", tt.url, tt.why)
			continue
		}
		if f := task.FailureOf(err); f.Code != tt.stopped || f.Retryable {
			t.Errorf("%s (%s): %+v, want %s for good", tt.url, tt.why, f, tt.stopped)
		}
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("%s (%s) took %s: was something dialed?", tt.url, tt.why, took)
		}
		if tt.stopped == dialed && !strings.Contains(l.String(), `"block":`) {
			t.Errorf("%s (%s): the log does not say why: %s", tt.url, tt.why, l)
		}
	}
}

// Names that lead to such addresses, in every kind of answer that DNS gives.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	tests := []struct {
		why string
		dns *fakeDNS
	}{
		{"private", &fakeDNS{all: addrs("10.0.0.1")}},
		{"metadata", &fakeDNS{all: addrs("169.254.169.254")}},
		{"nothing but refused ones", &fakeDNS{all: addrs("127.0.0.1", "10.0.0.1", "0.0.0.0", "224.0.0.1")}},
		{"loopback in IPv6", &fakeDNS{six: addrs("::1")}},
		{"metadata in IPv6", &fakeDNS{six: addrs("fd00:ec2::254")}},
		{"IPv4-mapped in a AAAA record", &fakeDNS{six: addrs("::ffff:169.254.169.254")}},
		{"NAT64 of loopback", &fakeDNS{six: addrs("64:ff9b::7f00:1")}},
		{"6to4 of metadata", &fakeDNS{six: addrs("2002:a9fe:a9fe::1")}},
		{"link-local in IPv6", &fakeDNS{six: addrs("fe80::1")}},
		{"both families", &fakeDNS{all: addrs("192.168.0.1"), six: addrs("fd12::1")}},
	}
	for _, tt := range tests {
		t.Run(tt.why, func(t *testing.T) {
			t.Parallel()
			d, l := deliverer(t, func(o *Options) { o.Transport = Guard{Resolver: tt.dns.resolver()}.Transport() })
			_, err := d.Deliver(inTask(t.Context(), 1), input("https://innocent.test/"))
			if f := task.FailureOf(err); f.Code != CodeForbidden || f.Retryable || !errors.Is(err, ErrForbidden) {
				t.Errorf("got %+v", f)
			} else {
				for _, addr := range append(tt.dns.six, tt.dns.all...) {
					if strings.Contains(f.Message, addr.String()) {
						t.Errorf("%q tells the address", f.Message)
					}
				}
			}
			if !strings.Contains(l.String(), `"host":"innocent.test"`) {
				t.Errorf("log %s", l)
			}
		})
	}
}

// A name with several addresses is reached at one that may be, wherever it
// stands in the answer. Here loopback is what may be.
func TestMixedAddresses(t *testing.T) {
	t.Parallel()
	for _, all := range [][]netip.Addr{
		addrs("169.254.169.254", "127.0.0.1"),
		addrs("127.0.0.1", "169.254.169.254"),
		addrs("0.0.0.0", "224.0.0.1", "127.0.0.1"),
	} {
		r := newReceiver(t, nil)
		dns := &fakeDNS{all: all}
		d, _ := deliverer(t, func(o *Options) { o.Transport = Guard{AllowPrivate: true, Resolver: dns.resolver()}.Transport() })
		if _, err := d.Deliver(inTask(t.Context(), 1), input(viaName(r.Server, "mixed.test"))); err != nil || len(r.requests()) != 1 {
			t.Errorf("%v: %v after %d requests", all, err, len(r.requests()))
		}
	}
}

// Every connection is checked, not only a name's first one. A connection that
// is kept open goes on leading where it led.
func TestRebindingBetweenDeliveries(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, nil)
	dns := &fakeDNS{addrs: addrs("127.0.0.1", "169.254.169.254")}
	transport := Guard{AllowPrivate: true, Resolver: dns.resolver()}.Transport()
	d, _ := deliverer(t, func(o *Options) { o.Transport = transport })
	url := viaName(r.Server, "rebind.test")
	for range 2 {
		if _, err := d.Deliver(inTask(t.Context(), 1), input(url)); err != nil {
			t.Fatal(err)
		}
	}
	transport.CloseIdleConnections()
	_, err := d.Deliver(inTask(t.Context(), 1), input(url))
	if f := task.FailureOf(err); f.Code != CodeForbidden || f.Retryable {
		t.Errorf("after the name moved: %+v", f)
	}
	if r.connections() != 1 || len(r.requests()) != 2 {
		t.Errorf("%d connections, %d requests", r.connections(), len(r.requests()))
	}
}

// A receiver cannot send a delivery elsewhere: a redirect is an answer like any
// other that is not 2xx, and nothing looks at where it leads.
func TestRedirectsOfDeliveries(t *testing.T) {
	t.Parallel()
	elsewhere := newReceiver(t, nil)
	locations := []string{
		elsewhere.URL, "http://127.0.0.1:9001/", "http://169.254.169.254/latest/meta-data/", "http://[::ffff:127.0.0.1]/", "http://2130706433/",
		"file:///proc/self/environ", "gopher://127.0.0.1:6379/_INFO", "ftp://example.com/", "//127.0.0.1/", "/", "", "http://user:secret@127.0.0.1/", "http://%zz/",
	}
	for _, status := range []int{300, 301, 302, 303, 304, 305, 307, 308} {
		for _, location := range locations {
			r := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", location)
				w.WriteHeader(status)
			})
			d, _ := deliverer(t, nil)
			_, err := d.Deliver(inTask(t.Context(), 1), input(r.URL))
			if f := task.FailureOf(err); f.Code != fmt.Sprintf("http_%d", status) || f.Retryable {
				t.Errorf("%d to %q: %+v", status, location, f)
			}
			if n := len(r.requests()); n != 1 {
				t.Errorf("%d to %q: %d requests", status, location, n)
			}
			r.Close()
		}
	}
	if elsewhere.connections() > 0 {
		t.Error("a redirect was followed")
	}
}

// redirector answers the host public.test, which no test can dial, with a
// redirect, and sends everything else through a guard.
type redirector struct {
	status   int
	location string
	guarded  http.RoundTripper
}

func (d redirector) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host != "public.test" {
		return d.guarded.RoundTrip(r)
	}
	return &http.Response{StatusCode: d.status, Header: http.Header{"Location": {d.location}}, Body: http.NoBody, Request: r}, nil
}

// Who puts a client of their own around the guard, which follows redirects, has
// each of them guarded.
func TestRedirectsOfAClient(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, nil)
	_, port, _ := net.SplitHostPort(r.Listener.Addr().String())
	dns := &fakeDNS{all: addrs("127.0.0.1"), six: addrs("::1")}
	tests := []struct {
		location  string
		forbidden bool // by the guard; the others the client does not even try
	}{
		{"http://127.0.0.1:" + port + "/", true},
		{"https://127.0.0.1:" + port + "/", true},
		{"//127.0.0.1:" + port + "/", true},
		{"http://[::ffff:127.0.0.1]:" + port + "/", true},
		{"http://0.0.0.0:" + port + "/", true},
		{"http://169.254.169.254/latest/meta-data/", true},
		{"http://[fd00:ec2::254]/", true},
		{"http://[64:ff9b::7f00:1]/", true},
		{"http://inside.test:" + port + "/", true},
		{"http://0x7f.1:" + port + "/", true},      // a name, for Go
		{"http://2130706433:" + port + "/", false}, // neither a name nor an address, for Go
		{"http://0177.0.0.1:" + port + "/", false},
		{"http://user:secret@127.0.0.1:" + port + "/", true},
		{"file:///etc/passwd", false},
		{"ftp://127.0.0.1:" + port + "/", false},
		{"gopher://127.0.0.1:" + port + "/", false},
		{"/again", false}, // and again: the client gives up after ten
	}
	for _, tt := range tests {
		for _, status := range []int{http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect} {
			for _, scheme := range []string{"http", "https"} {
				client := &http.Client{Transport: redirector{status, tt.location, Guard{Resolver: dns.resolver()}.Transport()}}
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, scheme+"://public.test/", strings.NewReader("{}"))
				if err != nil {
					t.Fatal(err)
				}
				resp, err := client.Do(req)
				if err == nil {
					resp.Body.Close()
				}
				if err == nil || errors.Is(err, ErrForbidden) != tt.forbidden {
					t.Errorf("%d from %s to %s: %v", status, scheme, tt.location, err)
				}
			}
		}
	}
	if r.connections() > 0 {
		t.Error("the server was reached")
	}
}

// A proxy of the environment gets no delivery: it would resolve the name out of
// the guard's sight.
func TestNoProxies(t *testing.T) {
	r, proxy := newReceiver(t, nil), newReceiver(t, nil)
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"} {
		t.Setenv(name, proxy.URL)
	}
	dns := &fakeDNS{all: addrs("127.0.0.1")}
	d, _ := deliverer(t, func(o *Options) { o.Transport = Guard{AllowPrivate: true, Resolver: dns.resolver()}.Transport() })
	if _, err := d.Deliver(inTask(t.Context(), 1), input(viaName(r.Server, "hooks.test"))); err != nil {
		t.Error(err)
	}
	if proxy.connections() > 0 {
		t.Error("the proxy was used")
	}
}

// A slow name server takes no more than the delivery's time.
func TestSlowNameServer(t *testing.T) {
	t.Parallel()
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	d, _ := deliverer(t, func(o *Options) {
		o.Timeout, o.Transport = 100*time.Millisecond, Guard{Resolver: resolver}.Transport()
	})
	start := time.Now()
	_, err := d.Deliver(inTask(t.Context(), 1), input("https://slow.test/"))
	if f := task.FailureOf(err); f.Code != CodeTimeout || !f.Retryable || time.Since(start) > 3*time.Second {
		t.Errorf("%+v after %s", f, time.Since(start))
	}
}
