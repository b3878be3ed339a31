package awsproxy

import (
	"fmt"
	"math/rand/v2"
	"slices"
)

// When is the moment at which a fault or a gate acts.
type When int

const (
	// Before the target sees the call: it has no effect.
	Before When = iota
	// After the target did the work: the call took effect, but its client does
	// not learn it.
	After
	// PartialBefore takes entries out of a batch and reports them as failed.
	PartialBefore
	// PartialAfter lets the whole batch take effect and reports some of its
	// entries as failed.
	PartialAfter
)

// String names the moment.
func (w When) String() string {
	switch w {
	case Before:
		return "before"
	case After:
		return "after"
	case PartialBefore:
		return "partial before"
	case PartialAfter:
		return "partial after"
	}
	return fmt.Sprintf("When(%d)", int(w))
}

// Fault describes failures to inject. Several may match a call: the first one
// that fires wins, in the order of injection.
type Fault struct {
	// Service and Operation select calls, as in [Call]. Empty matches all.
	Service, Operation string
	// Match selects further. It must not change or keep the call, and is
	// called with a lock held, so it must not call the proxy. Defaults to all.
	Match func(*Call) bool
	// When the failure happens. The partial moments work on DynamoDB's
	// BatchExecuteStatement and on SQS's SendMessageBatch, DeleteMessageBatch
	// and ChangeMessageVisibilityBatch; they leave other calls alone.
	When When
	// Error is what the client sees. Defaults to [ServerError].
	Error Error
	// Rate is the probability that a matching call is hit; of a partial fault,
	// that one entry is hit. Defaults to 1.
	Rate float64
	// Entries are the positions that a partial fault hits, instead of choosing
	// them by Rate. Positions beyond the batch are ignored.
	Entries []int
	// Times is after how many hit calls the fault is over. Defaults to no end.
	Times int
}

// Injection is a fault at work.
type Injection struct {
	proxy *Proxy
	Fault
	random *rand.Rand
	seen   int
	fired  int
}

// Inject starts a fault. It panics on a fault that makes no sense, which is a
// mistake in the test.
func (p *Proxy) Inject(f Fault) *Injection {
	if f.Rate == 0 {
		f.Rate = 1
	}
	if f.Rate < 0 || f.Rate > 1 {
		panic(fmt.Sprintf("awsproxy: rate %v is not a probability", f.Rate))
	}
	if f.Error == (Error{}) {
		f.Error = ServerError
	}
	if (f.When == PartialBefore || f.When == PartialAfter) && f.Error.Cut {
		panic("awsproxy: part of a batch cannot lose its connection")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.injected++
	in := &Injection{proxy: p, Fault: f, random: rand.New(rand.NewPCG(p.opts.Seed, p.injected))}
	p.faults = append(p.faults, in)
	return in
}

// Remove ends the fault. Calls that it already hit are not undone.
func (in *Injection) Remove() {
	in.proxy.mu.Lock()
	defer in.proxy.mu.Unlock()
	in.proxy.faults = slices.DeleteFunc(in.proxy.faults, func(o *Injection) bool { return o == in })
}

// Fired counts the calls that the fault hit.
func (in *Injection) Fired() int {
	in.proxy.mu.Lock()
	defer in.proxy.mu.Unlock()
	return in.fired
}

// Seen counts the calls that the fault could have hit.
func (in *Injection) Seen() int {
	in.proxy.mu.Lock()
	defer in.proxy.mu.Unlock()
	return in.seen
}

// verdict is what a fault does to one call.
type verdict struct {
	when  When
	err   Error
	picks []bool // of a partial fault, by position
}

// decide asks the faults about a call; nil lets it pass.
func (p *Proxy) decide(c *Call) *verdict {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, in := range p.faults {
		if v := in.decide(c); v != nil {
			return v
		}
	}
	return nil
}

// decide draws for one call. The proxy's lock must be held.
func (in *Injection) decide(c *Call) *verdict {
	if !matches(in.Service, c.Service) || !matches(in.Operation, c.Operation) ||
		in.Match != nil && !in.Match(c) || in.Times > 0 && in.fired >= in.Times {
		return nil
	}
	partial := in.When == PartialBefore || in.When == PartialAfter
	if partial && batchField(c) == "" {
		return nil
	}
	in.seen++
	v := &verdict{when: in.When, err: in.Error}
	hit := false
	if partial {
		v.picks = make([]bool, c.Statements)
		for i := range v.picks {
			if in.Entries != nil {
				v.picks[i] = slices.Contains(in.Entries, i)
			} else {
				v.picks[i] = in.random.Float64() < in.Rate
			}
			hit = hit || v.picks[i]
		}
	} else {
		hit = in.random.Float64() < in.Rate
	}
	if !hit {
		return nil
	}
	in.fired++
	return v
}
