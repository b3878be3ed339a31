package archivetest

import (
	"context"
	"maps"
	"sync"
)

// Call is a request as an injected function sees it.
type Call struct {
	Operation string // "UpdateItem", "PutObject", …
	N         int    // 1 for the first call of this operation
	Keys      []Key  // that it names, in order; none for Query. An object's key is the SK.
}

// Fault is what to do to a call. The zero value lets it pass.
type Fault struct {
	// Err is answered instead.
	Err error
	// AfterEffect lets the call take effect before Err is answered: its answer
	// is lost.
	AfterEffect bool
	// Unprocessed entries are left over by a batch.
	Unprocessed int
	// Stale makes a read that is not strongly consistent find nothing.
	Stale bool
}

// faults counts a bucket's calls, and asks what to do to them.
type faults struct {
	guard  sync.Mutex
	calls  map[string]int
	inject func(Call) Fault
}

// Inject calls f before every call and does what it says. f runs without a
// lock: it may use the double itself, and so put something between a decision
// and its write. It must be safe for concurrent use. nil ends it.
func (f *faults) Inject(inject func(Call) Fault) {
	f.guard.Lock()
	defer f.guard.Unlock()
	f.inject = inject
}

// Calls returns how often each operation was called.
func (f *faults) Calls() map[string]int {
	f.guard.Lock()
	defer f.guard.Unlock()
	calls := maps.Clone(f.calls)
	if calls == nil {
		calls = map[string]int{}
	}
	return calls
}

// ResetCalls makes Calls count from 0 again.
func (f *faults) ResetCalls() {
	f.guard.Lock()
	defer f.guard.Unlock()
	clear(f.calls)
}

// enter is the beginning of every call: a context that is over, then the
// fault. The error is what to answer at once; an error in the fault is what to
// answer in the end.
func (f *faults) enter(ctx context.Context, operation string, keys ...Key) (Fault, error) {
	if err := ctx.Err(); err != nil {
		return Fault{}, err
	}
	f.guard.Lock()
	if f.calls == nil {
		f.calls = map[string]int{}
	}
	f.calls[operation]++
	call, inject := Call{Operation: operation, N: f.calls[operation], Keys: keys}, f.inject
	f.guard.Unlock()
	if inject == nil {
		return Fault{}, nil
	}
	fault := inject(call)
	if fault.Err != nil && !fault.AfterEffect {
		return fault, fault.Err
	}
	return fault, ctx.Err()
}
