package awsproxy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Key names an operation in [Counts].
type Key struct{ Service, Operation string }

// Tally is what was counted for an operation. What the proxy answered itself
// counts too; only Forwarded leaves it out.
type Tally struct {
	// Calls are requests, SDK retries included.
	Calls int
	// Forwarded are the calls that the target saw.
	Forwarded int
	// Statements, Reads and Writes sum the fields of [Call].
	Statements, Reads, Writes int
	// ConditionsFailed sums [Call.ConditionsFailed].
	ConditionsFailed int
	// Failed are the calls for which [Call.Failed] holds.
	Failed int
	// Injected are the calls that a fault hit.
	Injected int
}

func (t Tally) add(u Tally, sign int) Tally {
	return Tally{
		Calls:            t.Calls + sign*u.Calls,
		Forwarded:        t.Forwarded + sign*u.Forwarded,
		Statements:       t.Statements + sign*u.Statements,
		Reads:            t.Reads + sign*u.Reads,
		Writes:           t.Writes + sign*u.Writes,
		ConditionsFailed: t.ConditionsFailed + sign*u.ConditionsFailed,
		Failed:           t.Failed + sign*u.Failed,
		Injected:         t.Injected + sign*u.Injected,
	}
}

func tally(c *Call) Tally {
	t := Tally{
		Calls: 1, Statements: c.Statements, Reads: c.Reads, Writes: c.Writes,
		ConditionsFailed: c.ConditionsFailed(),
	}
	if c.Forwarded {
		t.Forwarded = 1
	}
	if c.Failed() {
		t.Failed = 1
	}
	if c.Injected {
		t.Injected = 1
	}
	return t
}

// Counts is what the proxy counted up to one moment, or between two.
type Counts map[Key]Tally

// Sub returns what was counted since earlier. Operations without a call since
// then are left out, so that two Counts can be compared.
func (c Counts) Sub(earlier Counts) Counts {
	d := Counts{}
	for k, t := range c {
		if t = t.add(earlier[k], -1); t != (Tally{}) {
			d[k] = t
		}
	}
	return d
}

// Of sums what was counted for the operation. An empty service or operation
// stands for all.
func (c Counts) Of(service, operation string) Tally {
	var sum Tally
	for k, t := range c {
		if matches(service, k.Service) && matches(operation, k.Operation) {
			sum = sum.add(t, 1)
		}
	}
	return sum
}

// Calls counts the requests of an operation, see [Counts.Of].
func (c Counts) Calls(service, operation string) int { return c.Of(service, operation).Calls }

// String is a table with a line for each operation, for test logs.
func (c Counts) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-44s %6s %6s %6s %6s %6s %6s %6s\n",
		"", "calls", "stmts", "reads", "writes", "cond", "failed", "inject")
	keys := slices.SortedFunc(maps.Keys(c), func(a, b Key) int {
		return strings.Compare(a.Service+"."+a.Operation, b.Service+"."+b.Operation)
	})
	for _, k := range keys {
		t := c[k]
		fmt.Fprintf(&b, "%-44s %6d %6d %6d %6d %6d %6d %6d\n", k.Service+"."+k.Operation,
			t.Calls, t.Statements, t.Reads, t.Writes, t.ConditionsFailed, t.Failed, t.Injected)
	}
	return b.String()
}

// matches compares a pattern with a name. The empty pattern matches all.
func matches(pattern, name string) bool { return pattern == "" || pattern == name }

// Snapshot returns the counts so far.
func (p *Proxy) Snapshot() Counts {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.counts)
}

// Count counts the calls of an operation since the proxy was made. An empty
// service or operation stands for all. With filters it counts the calls in the
// log that pass all of them, and so misses what the log has forgotten, see
// [Proxy.Forgotten].
func (p *Proxy) Count(service, operation string, filters ...func(*Call) bool) int {
	if len(filters) == 0 {
		return p.Snapshot().Calls(service, operation)
	}
	n := 0
	for _, c := range p.Calls() {
		if matches(service, c.Service) && matches(operation, c.Operation) &&
			!slices.ContainsFunc(filters, func(f func(*Call) bool) bool { return !f(&c) }) {
			n++
		}
	}
	return n
}

// Calls returns the latest calls, up to [Options.LogSize], in the order in
// which they were answered.
func (p *Proxy) Calls() []Call {
	p.mu.Lock()
	defer p.mu.Unlock()
	calls := make([]Call, 0, len(p.log))
	for i := range p.log {
		calls = append(calls, p.log[(p.oldest+i)%len(p.log)])
	}
	return calls
}

// Forgotten counts the calls that no longer fit into the log.
func (p *Proxy) Forgotten() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.forgotten
}

// record counts and logs a call, once it is known what its client will see.
func (p *Proxy) record(c Call) {
	if !p.opts.KeepBodies {
		c.Request, c.Response = nil, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	k := Key{c.Service, c.Operation}
	p.counts[k] = p.counts[k].add(tally(&c), 1)
	if len(p.log) < p.opts.LogSize {
		p.log = append(p.log, c)
		return
	}
	p.log[p.oldest] = c
	p.oldest = (p.oldest + 1) % len(p.log)
	p.forgotten++
}
