package batch

import (
	"context"

	"github.com/spillway-go/spillway/pkg/event"
)

// DynamoDB turns a handler for one change of an item into a Lambda handler for
// batches from a table's stream, with ReportBatchItemFailures set on the event
// source mapping. It does all that [Kinesis] does; changes of the same item,
// told by [event.Change.Key], are the ones that are worked on in order.
func DynamoDB(fn func(ctx context.Context, change *event.Change) error, opts *Options) Handler {
	return changes.handler(fn, opts)
}

var changes = stream[event.Change]{
	read:     event.DynamoDB,
	sequence: func(c *event.Change) string { return c.SequenceNumber },
	key:      (*event.Change).Key,
	record:   (*event.Change).StreamRecord,
}
