package webhook

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

// ErrForbidden is matched by the error for an address that a [Guard] refuses.
var ErrForbidden = errors.New("the address is not public")

// ForbiddenError says which address a [Guard] refused and why. It matches
// [ErrForbidden].
type ForbiddenError struct {
	Addr  netip.Addr // the zero Addr when it was not an IP address
	Block string     // the kind of address, for example "loopback"
}

// Error names the address. Show it to operators only: it tells what an
// internal name resolves to.
func (e *ForbiddenError) Error() string {
	// A zone may be any text, and says nothing of the address.
	return fmt.Sprintf("the address %s is not public: %s", e.Addr.WithZone(""), e.Block)
}

// Is makes the error match [ErrForbidden].
func (e *ForbiddenError) Is(target error) bool { return target == ErrForbidden }

// Guard keeps requests whose URL comes from someone else away from addresses
// that only we can reach (server-side request forgery). The zero value refuses
// everything but public unicast addresses, is ready to use, and safe for
// concurrent use. It works alone as well:
//
//	client := &http.Client{Transport: webhook.Guard{}.Transport()}
//	dialer := &net.Dialer{ControlContext: webhook.Guard{}.Control}
//
// It looks at the address that is about to be connected, after the name was
// resolved. A name with a public and a private address is reached at its public
// one. In a network that reaches IPv4 only through DNS64 and NAT64, nothing is
// reachable: the translated addresses could stand for anything.
type Guard struct {
	// AllowPrivate opens loopback (127.0.0.0/8, ::1), RFC 1918 and unique-local
	// addresses, for a stage whose receivers run on the same machine.
	// Link-local addresses and cloud metadata services stay closed.
	// Defaults to false.
	AllowPrivate bool
	// Resolver looks up the names for [Guard.Transport].
	// Defaults to [net.DefaultResolver].
	Resolver *net.Resolver
}

// Check returns a [*ForbiddenError] unless addr may be reached. An IPv4-mapped
// IPv6 address (::ffff:0:0/96) is judged as the IPv4 address that a socket
// connects to for it.
func (g Guard) Check(addr netip.Addr) error {
	// A prefix never contains an address with a zone.
	bare := addr.Unmap().WithZone("")
	if !bare.IsValid() {
		return &ForbiddenError{Addr: addr, Block: "not an address"}
	}
	for _, b := range blocks {
		if b.prefix.Contains(bare) {
			if b.local && g.AllowPrivate {
				return nil
			}
			return &ForbiddenError{Addr: addr, Block: b.name}
		}
	}
	if bare.Is6() && !globalUnicast.Contains(bare) {
		return &ForbiddenError{Addr: addr, Block: "not global unicast"}
	}
	return nil
}

// Control has the signature of [net.Dialer.ControlContext]: it refuses the
// connection before the first packet. Anything but TCP to an IP address is
// refused as well.
func (g Guard) Control(_ context.Context, network, address string, _ syscall.RawConn) error {
	if network != "tcp4" && network != "tcp6" {
		return &ForbiddenError{Block: "not TCP"}
	}
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return &ForbiddenError{Block: "not an address"}
	}
	return g.Check(ap.Addr())
}

// Bounds of [Guard.Transport]. A request's context can only shorten them.
const (
	dialTimeout      = 5 * time.Second
	tlsTimeout       = 5 * time.Second
	headerTimeout    = 30 * time.Second
	maxHeaderBytes   = 64 << 10
	maxIdlePerTarget = 10
	// idleTimeout ends connections that receivers and NAT gateways (350 s)
	// would drop first. net/http compares wall-clock time before it reuses
	// one, so the time for which Lambda froze the process counts.
	idleTimeout = 30 * time.Second
)

// Transport returns a new transport that connects to nothing but what g allows.
// Beside that it ignores the environment's proxies, speaks HTTP/2 where the
// receiver does, reuses connections for 30 seconds, never asks for compressed
// answers (nothing to inflate), reads at most 64 KiB of headers, and gives up
// after 5 seconds for connecting, 5 for the TLS handshake, and 30 for the
// headers of the answer. It follows no redirects; an [http.Client] around it
// does, each of them guarded.
func (g Guard) Transport() *http.Transport {
	dialer := &net.Dialer{
		Timeout:        dialTimeout,
		Resolver:       g.Resolver,
		ControlContext: g.Control,
	}
	return &http.Transport{
		Proxy:                  nil,
		DialContext:            dialer.DialContext,
		ForceAttemptHTTP2:      true, // off by default with a dialer of one's own
		TLSHandshakeTimeout:    tlsTimeout,
		ResponseHeaderTimeout:  headerTimeout,
		MaxResponseHeaderBytes: maxHeaderBytes,
		DisableCompression:     true,
		MaxIdleConns:           10 * maxIdlePerTarget,
		MaxIdleConnsPerHost:    maxIdlePerTarget,
		IdleConnTimeout:        idleTimeout,
	}
}
