// Package batch turns a handler for one record into a handler for the batches
// that Lambda's event source mappings deliver, and answers with the records
// that failed, so that only those come back. It depends on aws-lambda-go and
// pkg/task, not on the AWS SDK.
//
//	handler := batch.SQS(func(ctx context.Context, rec *events.SQSMessage) error {
//		order, err := parse(rec.Body)
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
// The mapping needs FunctionResponseTypes: [ReportBatchItemFailures]; without
// it Lambda ignores the response and deletes what failed.
//
// # Delivery
//
// Delivery is at least once. A record that failed comes back, and so may one
// that succeeded, when the process dies before the response is out. Permanent
// failures are sent to the dead-letter queue, and acknowledged only after that
// was confirmed: a crash in between makes a second dead letter, not none.
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
// into the error. The batch handler itself returns an error only for
// [ErrNoMessageID], when no response could say what failed.
package batch
