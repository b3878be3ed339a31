package batch

import (
	"context"

	"github.com/spillway-go/spillway/pkg/event"
)

// Kinesis turns a handler for one record into a Lambda handler for batches from
// a Kinesis data stream, with ReportBatchItemFailures set on the event source
// mapping. The response names the first record of the batch that is not done;
// Lambda goes on with it and delivers all that follow it again
// (https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-batchfailurereporting.html).
//
// What the handler returns decides:
//
//	                          without Isolate      with Isolate
//	nil                       done                 done
//	error                     again from here     tried again, then isolated
//	task.RetryAfter(d, err)   as error, without d  tried again after d, then isolated
//	task.Permanent(err)       again from here     isolated at once
//
// Records of the same partition key are worked on in order, those of different
// keys at once as far as [Options.Concurrency] allows; with a concurrency of 1
// the whole batch is in order. Once a record has failed, none behind it begins.
// What had begun before that, and succeeds, is delivered again nevertheless: a
// handler must expect to see any record more than once.
//
// With [Options.Isolate] a record that fails is tried up to
// [Options.IsolateAfter] times in the same batch, with a pause of up to 100 ms,
// doubling up to 2 s, or as long as RetryAfter asks. It keeps its place
// meanwhile; other keys go on. Then it is isolated, and its key goes on without
// it. It is never isolated because the time of the batch ran out, or because
// ctx was canceled: then it counts as failed, and so it does when it cannot be
// isolated. So a record whose tries, with the pauses between them, take longer
// than a batch has time for holds up its shard, until the mapping's
// MaximumRetryAttempts or MaximumRecordAge ends that: set those, keep
// [Options.Timeout] and IsolateAfter small, and isolate by task.Permanent what
// a long RetryAfter would not mend.
//
// See [Each] for panics and time-outs. The handler returns no error for the
// failure of records; its errors are [event.ErrMalformed] and
// [ErrNoID]. Tumbling windows are not supported.
func Kinesis(fn func(ctx context.Context, rec *event.KinesisRecord) error, opts *Options) Handler {
	return kinesis.handler(fn, opts)
}

var kinesis = stream[event.KinesisRecord]{
	read:     event.Kinesis,
	sequence: func(r *event.KinesisRecord) string { return r.SequenceNumber },
	key:      func(r *event.KinesisRecord) string { return r.PartitionKey },
	record:   (*event.KinesisRecord).StreamRecord,
}
