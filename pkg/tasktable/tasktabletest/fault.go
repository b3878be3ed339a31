package tasktabletest

import (
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/spillway-go/spillway/internal/ddbfake"
)

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
	if f == nil {
		d.DB.Inject(nil)
		return
	}
	d.DB.Inject(func(c ddbfake.Call) ddbfake.Fault {
		var ids []string
		for _, key := range c.Keys {
			ids = append(ids, idOf(key))
		}
		fault := f(Call{Operation: c.Operation, N: c.N, IDs: ids})
		statements := map[int]types.BatchStatementErrorCodeEnum{}
		for i, id := range ids {
			if code, ok := fault.Statements[id]; ok {
				statements[i] = code
			}
		}
		return ddbfake.Fault{
			Err: fault.Err, AfterEffect: fault.AfterEffect, Statements: statements,
			NoItems: fault.NoItems, Unprocessed: fault.Unprocessed, Stale: fault.Stale,
		}
	})
}
