package webhook

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/spillway-go/spillway/pkg/task"
)

func TestGuardCheck(t *testing.T) {
	t.Parallel()
	tests := []struct {
		addr  string
		block string // "" is reachable
		local bool   // reachable with AllowPrivate
	}{
		{"8.8.8.8", "", false},
		{"1.1.1.1", "", false},
		{"9.255.255.255", "", false},
		{"11.0.0.0", "", false},
		{"172.15.255.255", "", false},
		{"172.32.0.0", "", false},
		{"100.63.255.255", "", false},
		{"100.128.0.0", "", false},
		{"198.17.255.255", "", false},
		{"198.20.0.0", "", false},
		{"223.255.255.255", "", false},
		{"168.63.129.15", "", false},
		{"2606:4700:4700::1111", "", false},
		{"2a00:1450:4001:82a::200e", "", false},
		{"2001:200::1", "", false},
		{"2001:4860:4860::8888", "", false},
		{"3fff:1000::1", "", false},
		{"::ffff:8.8.8.8", "", false}, // a socket connects to 8.8.8.8 for it

		{"10.0.0.0", "private", true},
		{"10.255.255.255", "private", true},
		{"172.16.0.1", "private", true},
		{"172.31.255.255", "private", true},
		{"192.168.0.1", "private", true},
		{"127.0.0.1", "loopback", true},
		{"127.255.255.254", "loopback", true},
		{"::1", "loopback", true},
		{"fc00::1", "unique-local", true},
		{"fd12:3456::1", "unique-local", true},
		{"::ffff:10.0.0.1", "private", true},
		{"::ffff:127.0.0.1", "loopback", true},
		{"::ffff:7f00:1", "loopback", true},

		{"169.254.169.254", "cloud metadata", false},
		{"::ffff:169.254.169.254", "cloud metadata", false},
		{"fd00:ec2::254", "cloud metadata", false},
		{"fd20:ce::254", "cloud metadata", false},
		{"100.100.100.200", "cloud metadata", false},
		{"192.0.0.192", "cloud metadata", false},
		{"168.63.129.16", "cloud metadata", false},
		{"0.0.0.0", "unspecified", false},
		{"0.1.2.3", "unspecified", false},
		{"100.64.0.0", "shared", false},
		{"100.127.255.255", "shared", false},
		{"169.254.0.1", "link-local", false},
		{"169.254.170.2", "link-local", false}, // container credentials
		{"192.0.0.1", "reserved", false},
		{"192.0.2.1", "documentation", false},
		{"192.31.196.1", "reserved", false},
		{"192.52.193.1", "reserved", false},
		{"192.88.99.1", "6to4", false},
		{"192.175.48.1", "reserved", false},
		{"198.18.0.1", "benchmarking", false},
		{"198.19.255.255", "benchmarking", false},
		{"198.51.100.1", "documentation", false},
		{"203.0.113.1", "documentation", false},
		{"224.0.0.1", "multicast", false},
		{"239.255.255.255", "multicast", false},
		{"240.0.0.1", "reserved", false},
		{"255.255.255.255", "broadcast", false},
		{"::", "unspecified", false},
		{"::7f00:1", "IPv4-compatible", false},
		{"::8.8.8.8", "IPv4-compatible", false},
		{"::ffff:0:127.0.0.1", "not global unicast", false}, // IPv4-translated, RFC 2765
		{"64:ff9b::7f00:1", "NAT64", false},
		{"64:ff9b::8.8.8.8", "NAT64", false},
		{"64:ff9b:1::a00:1", "NAT64", false},
		{"100::1", "not global unicast", false},
		{"100:0:0:1::1", "not global unicast", false},
		{"2001::1", "Teredo", false},
		{"2001:0:4136:e378:8000:63bf:3fff:fdd2", "Teredo", false},
		{"2001:2::1", "benchmarking", false},
		{"2001:10::1", "reserved", false},
		{"2001:20::1", "reserved", false},
		{"2001:1ff::1", "reserved", false},
		{"2001:db8::1", "documentation", false},
		{"2002:7f00:1::1", "6to4", false},
		{"2002:a9fe:a9fe::", "6to4", false},
		{"2620:4f:8000::1", "reserved", false},
		{"3fff::1", "documentation", false},
		{"4000::1", "not global unicast", false},
		{"5f00::1", "not global unicast", false},
		{"fe80::1", "link-local", false},
		{"fe80::1%eth0", "link-local", false},
		{"fe80::a9fe:a9fe", "link-local", false},
		{"fec0::1", "site-local", false},
		{"ff02::1", "multicast", false},
		{"ff0e::1", "multicast", false},
	}
	for _, tt := range tests {
		addr := netip.MustParseAddr(tt.addr)
		for _, allow := range []bool{false, true} {
			err := Guard{AllowPrivate: allow}.Check(addr)
			if tt.block == "" || allow && tt.local {
				if err != nil {
					t.Errorf("%s, AllowPrivate %t: %v", tt.addr, allow, err)
				}
				continue
			}
			forbidden, ok := errors.AsType[*ForbiddenError](err)
			if !ok || !errors.Is(err, ErrForbidden) || forbidden.Block != tt.block || forbidden.Addr != addr {
				t.Errorf("%s, AllowPrivate %t: got %v, want %s", tt.addr, allow, err, tt.block)
			}
		}
	}
	if err := (Guard{}).Check(netip.Addr{}); !errors.Is(err, ErrForbidden) {
		t.Errorf("zero address: %v", err)
	}
}

func TestBlocksAreMasked(t *testing.T) {
	t.Parallel()
	for _, b := range blocks {
		if b.prefix != b.prefix.Masked() || b.name == "" {
			t.Errorf("%v %q", b.prefix, b.name)
		}
	}
}

func TestGuardControl(t *testing.T) {
	t.Parallel()
	tests := []struct {
		network, address string
		ok               bool
	}{
		{"tcp4", "8.8.8.8:443", true},
		{"tcp4", "8.8.8.8:22", true}, // any port
		{"tcp6", "[2606:4700::1]:443", true},
		{"tcp4", "127.0.0.1:443", false},
		{"tcp6", "[fe80::1%eth0]:443", false},
		{"tcp6", "[::ffff:10.0.0.1]:443", false},
		{"udp4", "8.8.8.8:443", false},
		{"unix", "/var/run/docker.sock", false},
		{"tcp4", ":80", false},
		{"tcp4", "localhost:80", false},
		{"tcp4", "8.8.8.8", false},
	}
	for _, tt := range tests {
		err := Guard{}.Control(t.Context(), tt.network, tt.address, nil)
		if (err == nil) != tt.ok || err != nil && !errors.Is(err, ErrForbidden) {
			t.Errorf("%s %s: %v", tt.network, tt.address, err)
		}
	}
}

func TestGuardTransport(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, nil)
	tr := Guard{}.Transport()
	if tr.Proxy != nil {
		t.Error("proxies are used")
	}
	resp, err := (&http.Client{Transport: tr}).Get(r.URL)
	if err == nil {
		resp.Body.Close()
	}
	if !errors.Is(err, ErrForbidden) || r.connections() != 0 {
		t.Errorf("got %v after %d connections", err, r.connections())
	}
}

// A name that is public when someone looks, and loopback when it is dialed.
func TestRebinding(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, nil)
	dns := &fakeDNS{addrs: []netip.Addr{netip.MustParseAddr("93.184.215.14"), netip.MustParseAddr("127.0.0.1")}}
	resolver := dns.resolver()
	before, err := resolver.LookupNetIP(t.Context(), "ip4", "rebind.test")
	if err != nil || len(before) != 1 || (Guard{}).Check(before[0]) != nil {
		t.Fatalf("first lookup: %v, %v", before, err)
	}
	d, l := deliverer(t, func(o *Options) { o.Transport = Guard{Resolver: resolver}.Transport() })
	_, err = d.Deliver(inTask(t.Context(), 1), input(viaName(r.Server, "rebind.test")+"/?token=hunter2"))
	f := task.FailureOf(err)
	if f.Code != CodeForbidden || f.Retryable || !errors.Is(err, ErrForbidden) {
		t.Errorf("got %+v", f)
	}
	if strings.Contains(f.Message, "127.0.0.1") || !strings.Contains(f.Message, "rebind.test") {
		t.Errorf("message %q: want the host and not its address", f.Message)
	}
	if !strings.Contains(l.String(), `"address":"127.0.0.1"`) || strings.Contains(l.String(), "hunter2") {
		t.Errorf("log %s: want the address and no query", l)
	}
	if len(r.requests()) != 0 || r.connections() != 0 {
		t.Error("the server was reached")
	}
}

func TestForbiddenLiterals(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, nil)
	_, port, _ := net.SplitHostPort(r.Listener.Addr().String())
	d, _ := deliverer(t, func(o *Options) { o.AllowPrivate = false })
	for _, host := range []string{
		"127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "0.0.0.0", "[::]",
		"169.254.169.254", "10.0.0.1", "[fd00:ec2::254]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]",
	} {
		_, err := d.Deliver(inTask(t.Context(), 1), input("http://"+host+":"+port))
		if f := task.FailureOf(err); f.Code != CodeForbidden || f.Retryable {
			t.Errorf("%s: %+v", host, f)
		}
	}
	// A lenient resolver may turn other spellings into addresses.
	dns := &fakeDNS{addrs: []netip.Addr{netip.MustParseAddr("127.0.0.1")}}
	client := &http.Client{Transport: Guard{Resolver: dns.resolver()}.Transport()}
	for _, host := range []string{"0x7f.0.0.0x1", "localhost.test", "127.0.0.1.nip.test"} {
		resp, err := client.Get("http://" + host + ":" + port)
		if err == nil {
			resp.Body.Close()
		}
		if !errors.Is(err, ErrForbidden) {
			t.Errorf("%s: %v", host, err)
		}
	}
	if r.connections() != 0 {
		t.Error("the server was reached")
	}
}

func TestAllowPrivateThroughName(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, nil)
	dns := &fakeDNS{addrs: []netip.Addr{netip.MustParseAddr("127.0.0.1")}}
	d, _ := deliverer(t, func(o *Options) { o.Transport = Guard{AllowPrivate: true, Resolver: dns.resolver()}.Transport() })
	if _, err := d.Deliver(inTask(t.Context(), 1), input(viaName(r.Server, "hooks.test"))); err != nil {
		t.Error(err)
	}
}
