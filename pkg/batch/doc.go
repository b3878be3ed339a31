// Package batch turns a handler for one record into a handler for the batches
// that Lambda's event source mappings deliver, and answers with the records
// that failed, so that only those come back. It serves SQS queues, standard and
// FIFO, and the streams of Kinesis and DynamoDB; it does not need the AWS SDK.
//
//	handler := batch.SQS(func(ctx context.Context, msg *event.SQSMessage) error {
//		order, err := parse(msg.Body)
//		if err != nil {
//			return task.Permanent(err)
//		}
//		return ship(ctx, order)
//	}, &batch.Options{
//		Visibility: workqueue.New(client, queueURL, nil), // backoff for each message
//		Reject:     workqueue.New(client, deadLetterURL, nil),
//	})
//	lambda.Start(handler)
//
// task is the package of this module whose outcomes steer what becomes of a
// record.
//
// The mapping needs FunctionResponseTypes: [ReportBatchItemFailures]; without
// it Lambda ignores the response and deletes what failed.
//
// # Outcomes
//
// What becomes of a record, by source and by what its handler did. Standard
// queues and FIFO queues have [Options.Visibility] and [Options.Reject] here;
// streams, which are Kinesis and DynamoDB alike, are without and with
// [Options.Isolate]. A stream's checkpoint is the record where Lambda goes on:
// it and all that follow are delivered again.
//
//	              standard queue    FIFO queue         stream            stream, Isolate
//	nil           deleted           deleted            done              done
//	error         back after the    back after the     checkpoint        tried again, then
//	              backoff           backoff, with                        isolated
//	                                its group's rest
//	RetryAfter    back after the    back after the     checkpoint        tried again after
//	              delay asked for   delay, with its                      the delay, then
//	                                group's rest                         isolated
//	Permanent     dead letter, then dead letter, then  checkpoint        isolated, then
//	              deleted           deleted; its                         done; its key
//	                                group goes on                        goes on
//	panic         as error          as error           as error          as error
//	time-out of   as error          as error           as error          as error
//	the record
//	end of the    as error          as error           checkpoint        checkpoint
//	batch's time
//	ignores that  as error, after   as error, after    checkpoint, after checkpoint, after
//	              half the margin   half the margin    half the margin   half the margin
//	not begun     back at once      back when what it  behind the        behind the
//	                                follows comes back checkpoint        checkpoint
//
// In which order:
//
//	standard queue   begun in the batch's order, up to Concurrency at once
//	FIFO queue       one by one within a message group, groups at once
//	stream           one by one within a partition key or an item, keys at once
//
// And what a failure stops:
//
//	standard queue   nothing
//	FIFO queue       the rest of its message group
//	stream           all behind it: they are delivered again from there
//
// A response names every message of a queue that is not done, and of a stream
// exactly one record, the checkpoint: the first that is not done. Lambda
// delivers it again, and all that follow it, also those that are done
// (https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-batchfailurereporting.html,
// https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html).
// What it makes of malformed responses differs from source to source, so none
// is ever sent: the list is never null, and each id in it is one of the batch,
// not empty, and there once
// (https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html).
//
// # Delivery
//
// Delivery is at least once. A record that failed comes back, and so may one
// that succeeded, when the process dies before the response is out. Permanent
// failures are sent to the dead-letter queue, and records are isolated, before
// they are acknowledged, and only once that was confirmed: a crash in between
// makes a second dead letter, not none.
//
// # Time
//
// A function that runs into its time-out is killed and its whole batch comes
// back, the finished records too. So the batch stops itself: see [Each] for the
// margin, the [Guard] for how it knows which record would not fit, and
// [ErrAbandoned] for handlers that do not listen. What was not begun is handed
// back with [ErrNotBegun]. SQS counts that as a receive, so a queue's
// maxReceiveCount has to leave room for it.
//
// # Errors
//
// A handler's panic fails its record alone; the stack goes to the log, never
// into the error. The batch handler itself returns an error, upon which the
// whole batch comes back, only for an event that it cannot read
// ([event.ErrMalformed]) and for [ErrNoID], when no response could say
// what failed.
//
// # Differences from Powertools
//
// Whoever knows the batch processors of Powertools for AWS Lambda
// (https://docs.aws.amazon.com/powertools/python/latest/utilities/batch/,
// https://docs.aws.amazon.com/powertools/typescript/latest/features/batch/)
// finds these differences:
//
//	                   Powertools                       here
//	clock              not looked at; a batch that      nothing begins that would
//	                   takes too long comes back whole  not fit; the rest goes back
//	all have failed    raises by default                reports them, as always
//	permanent errors   come back like others            to the dead-letter queue
//	backoff            the queue's visibility timeout   for each message
//	concurrency        one by one, or all at once       at most Options.Concurrency
//	FIFO queues        one by one; the first failure    groups at once; the rest of
//	                   stops the batch, or its group    a failed group goes back
//	streams            every record is tried, all       nothing begins behind a
//	                   failures are named               failure, one record is named
//	order in a stream  none when concurrent             kept for each key
//	poison in streams  the mapping's retries and age    isolated, the shard goes on
//	the response       not validated                    valid, or an error
//	crashes            what the language can catch      panics and runtime.Goexit
//	                                                    fail their record alone
//
// "Raises" is raise_on_entire_batch_failure and throwOnFullBatchFailure; "or
// its group" is skip_group_on_error and skipGroupOnError. Powertools validates
// and parses records, which is left to the handler here.
package batch
