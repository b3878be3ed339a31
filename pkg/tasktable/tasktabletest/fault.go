package tasktabletest

import "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

// Call is a request as an injected function sees it.
type Call struct {
	Operation string   // "UpdateItem", …
	N         int      // 1 for the first call of this operation
	IDs       []string // keys that it names, in order; none for Query
}

// Fault is what to do to a call. The zero value lets it pass.
type Fault struct {
	// Err is answered instead.
	Err error
	// AfterEffect lets the call take effect before Err is answered: its
	// answer is lost.
	AfterEffect bool
	// Statements fail inside of a BatchExecuteStatement that succeeds, by key.
	Statements map[string]types.BatchStatementErrorCodeEnum
	// NoItems leaves the items out of a BatchExecuteStatement's answers, as
	// some endpoints do.
	NoItems bool
	// Unprocessed keys are left over by a BatchGetItem.
	Unprocessed int
	// Stale makes a read that is not strongly consistent find nothing.
	Stale bool
}

// Inject calls f before every call and does what it says. f runs without a
// lock: it may use the table itself, and so put something between a decision
// and its write. It must be safe for concurrent use. nil ends it.
func (d *DynamoDB) Inject(f func(Call) Fault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.inject = f
}

// Calls returns how often each operation was called.
func (d *DynamoDB) Calls() map[string]int {
	d.mu.Lock()
	defer d.mu.Unlock()
	calls := make(map[string]int, len(d.calls))
	for op, n := range d.calls {
		calls[op] = n
	}
	return calls
}

// ResetCalls makes [DynamoDB.Calls] count from 0 again.
func (d *DynamoDB) ResetCalls() {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.calls)
}

// begin counts a call and asks what to do to it.
func (d *DynamoDB) begin(operation string, ids ...string) Fault {
	d.mu.Lock()
	d.calls[operation]++
	call := Call{Operation: operation, N: d.calls[operation], IDs: ids}
	inject := d.inject
	d.mu.Unlock()
	if inject == nil {
		return Fault{}
	}
	return inject(call)
}
