package awsproxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// Proxy forwards AWS calls to one endpoint. Make it with [New].
type Proxy struct {
	target    *url.URL
	opts      Options
	transport *http.Transport

	mu        sync.Mutex
	seq       int64
	counts    Counts
	log       []Call // a ring once it is full
	oldest    int
	forgotten int
	faults    []*Injection
	injected  uint64
	gates     []*Gate
}

// New makes a proxy in front of target, of which only scheme and host matter.
func New(target *url.URL, opts *Options) *Proxy {
	return &Proxy{
		target: target,
		opts:   opts.withDefaults(),
		counts: Counts{},
		transport: &http.Transport{
			// The environment's HTTP proxy is not for loopback.
			Proxy:               nil,
			DisableCompression:  true,
			MaxIdleConnsPerHost: 256,
			// Emulators close idle connections after a few seconds. Staying
			// below that keeps their closing from looking like a fault.
			IdleConnTimeout: 2 * time.Second,
		},
	}
}

// Seed returns the seed in use, for a test to print.
func (p *Proxy) Seed() uint64 { return p.opts.Seed }

// Start serves the proxy on [Options.Addr] until stop is called or ctx ends.
// stop waits for the calls in progress; held calls and polls are ended. It may
// be called more than once.
func (p *Proxy) Start(ctx context.Context) (endpoint string, stop func(), err error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", p.opts.Addr)
	if err != nil {
		return "", nil, fmt.Errorf("listen: %w", err)
	}
	life, end := context.WithCancel(ctx)
	srv := &http.Server{
		Handler:           p,
		ReadHeaderTimeout: 10 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return life },
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			end()
		}
	}()
	stop = sync.OnceFunc(func() {
		end()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.opts.Timeout)
		defer cancel()
		if srv.Shutdown(grace) != nil {
			_ = srv.Close()
		}
		<-served
		p.transport.CloseIdleConnections()
	})
	context.AfterFunc(ctx, stop)
	return "http://" + ln.Addr().String(), stop, nil
}
