package ddbfake

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// refuse is what a write meets at random. mu must be held.
func (d *DB) refuse(w *write) error {
	if d.chance(d.opts.Throttles) {
		return throttled()
	}
	if w.t.mixed[w.id] && d.chance(d.opts.Conflicts) {
		return &types.TransactionConflictException{Message: aws.String("Transaction is ongoing for the item")}
	}
	return nil
}

// leftOver reports, for each of n entries of a batch, whether it is not
// processed. mu must be held.
func (d *DB) leftOver(n int, fault Fault) []bool {
	skip := make([]bool, n)
	for i := range skip {
		skip[i] = d.chance(d.opts.Throttles) || d.chance(d.opts.Unprocessed) || i >= n-fault.Unprocessed
	}
	return skip
}

// accident is what one of the n actions of a transaction meets at random. mu
// must be held.
func (d *DB) accident(n int) (i int, err error) {
	switch {
	case d.chance(d.opts.Conflicts):
		err = &types.TransactionConflictException{Message: aws.String("Transaction is ongoing for the item")}
	case d.chance(d.opts.Throttles):
		err = throttled()
	default:
		return 0, nil
	}
	return d.random.IntN(n), err
}
