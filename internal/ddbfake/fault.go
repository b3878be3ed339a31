package ddbfake

import (
	"context"
	"maps"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Call is a request as an injected function sees it.
type Call struct {
	Operation string // "UpdateItem", …
	N         int    // 1 for the first call of this operation
	Keys      []Item // that it names, in order; none for Query and Scan
}

// Fault is what to do to a call. The zero value lets it pass.
type Fault struct {
	// Err is answered instead.
	Err error
	// AfterEffect lets the call take effect before Err is answered: its
	// answer is lost.
	AfterEffect bool
	// Statements fail inside of a BatchExecuteStatement that succeeds, by
	// their number from 0.
	Statements map[int]types.BatchStatementErrorCodeEnum
	// NoItems leaves the items out of a BatchExecuteStatement's answers, as
	// some endpoints do.
	NoItems bool
	// Unprocessed entries are left over by a BatchGetItem or BatchWriteItem,
	// the last ones.
	Unprocessed int
	// Stale makes a read that is not strongly consistent find nothing.
	Stale bool
}

// Inject calls f before every call and does what it says. f runs without a
// lock: it may use the DB itself, and so put something between a decision and
// its write. It must be safe for concurrent use. nil ends it.
func (d *DB) Inject(f func(Call) Fault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.inject = f
}

// Calls returns how often each operation was called.
func (d *DB) Calls() map[string]int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return maps.Clone(d.calls)
}

// ResetCalls makes [DB.Calls] count from 0 again.
func (d *DB) ResetCalls() {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.calls)
}

// enter is the beginning of every call: a context that is over, then the
// fault. The error is what to answer at once; one in the fault is what to
// answer in the end.
func (d *DB) enter(ctx context.Context, operation string, keys ...Item) (Fault, error) {
	if err := ctx.Err(); err != nil {
		return Fault{}, err
	}
	d.mu.Lock()
	d.calls[operation]++
	call, inject := Call{Operation: operation, N: d.calls[operation], Keys: keys}, d.inject
	d.mu.Unlock()
	if inject == nil {
		return Fault{}, nil
	}
	fault := inject(call)
	if fault.Err != nil && !fault.AfterEffect {
		return fault, fault.Err
	}
	return fault, ctx.Err()
}
