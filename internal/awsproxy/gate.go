package awsproxy

import (
	"context"
	"slices"
	"sync"
)

// Gate holds matching calls until a test lets them go on.
type Gate struct {
	proxy              *Proxy
	service, operation string
	when               When
	filters            []func(*Call) bool
	arrived            chan *Held
	opened             chan struct{}
	open               sync.Once
}

// Held is a call that waits at a gate.
type Held struct {
	// Call is the call so far. At a gate after the target it has the answer.
	Call     Call
	released chan struct{}
	release  sync.Once
}

// Block puts up a gate for the operation; empty names stand for all. [Before]
// holds a call that had no effect yet, [After] one whose client does not know
// the answer yet. Filters narrow it down. A client that gives up while it is
// held before the target leaves without effect. Faults are decided after the
// first kind of gate. Other moments panic.
func (p *Proxy) Block(service, operation string, when When, filters ...func(*Call) bool) *Gate {
	if when != Before && when != After {
		panic("awsproxy: a gate is before or after the target")
	}
	g := &Gate{
		proxy: p, service: service, operation: operation, when: when, filters: filters,
		arrived: make(chan *Held), opened: make(chan struct{}),
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gates = append(p.gates, g)
	return g
}

// Next waits for a call to arrive and returns it, still held. Calls that came
// at the same time are returned in no particular order.
func (g *Gate) Next(ctx context.Context) (*Held, error) {
	select {
	case h := <-g.arrived:
		return h, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Open lets all held calls go on and removes the gate.
func (g *Gate) Open() {
	g.proxy.mu.Lock()
	g.proxy.gates = slices.DeleteFunc(g.proxy.gates, func(o *Gate) bool { return o == g })
	g.proxy.mu.Unlock()
	g.open.Do(func() { close(g.opened) })
}

// Release lets the call go on. It may be called more than once.
func (h *Held) Release() { h.release.Do(func() { close(h.released) }) }

// hold stops the call at the gates for this moment, one after the other. It
// reports false when the client gave up meanwhile.
func (p *Proxy) hold(ctx context.Context, when When, c *Call) bool {
	p.mu.Lock()
	gates := slices.Clone(p.gates)
	p.mu.Unlock()
	for _, g := range gates {
		if g.when != when || !matches(g.service, c.Service) || !matches(g.operation, c.Operation) ||
			slices.ContainsFunc(g.filters, func(f func(*Call) bool) bool { return !f(c) }) {
			continue
		}
		if !g.hold(ctx, c) {
			return false
		}
	}
	return true
}

func (g *Gate) hold(ctx context.Context, c *Call) bool {
	h := &Held{Call: *c, released: make(chan struct{})}
	select {
	case g.arrived <- h:
	case <-g.opened:
		return true
	case <-ctx.Done():
		return false
	}
	select {
	case <-h.released:
		return true
	case <-g.opened:
		return true
	case <-ctx.Done():
		return false
	}
}
