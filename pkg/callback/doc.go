// Package callback tells callers that their tasks have ended: it reads the
// changes in the task table's stream, and hands in a webhook.deliver task for
// each end of a task that has a callback URL.
//
//	in := intake.New(table, queues, types, nil)
//	n := callback.New(table, in, nil)
//	lambda.Start(batch.DynamoDB(n.Handle, &batch.Options{Concurrency: 4}))
//
// The stream has to have new and old images. A filter on the event source
// mapping keeps everything else from costing an invocation; [Notifier.Handle]
// looks at all changes the same way without it:
//
//	{"eventName":["INSERT","MODIFY"],"dynamodb":{"NewImage":{
//	  "callback_url":{"S":[{"exists":true}]},
//	  "status":{"S":["succeeded","failed","canceled","expired","dead_lettered"]}}}}
//
// [Concerns] is that filter for records that do not come by way of the mapping.
//
// # What the receiver gets
//
// A signed POST as package webhook describes it. Its type is task. and the
// state, its timestamp is when the task ended, its data is the task as callers
// see it:
//
//	{"type":"task.succeeded","timestamp":"2026-07-01T09:30:00.391Z","data":{"id":"01KWEG73E0EDR6JV3CEXGQJRB2",
//	 "type":"report.build","status":"succeeded","tenant":"acme","attempts":1,…,"result":{"rows":17}}}
//
// A result that makes the whole larger than an input may be is left out, as is
// one that is not kept any more; "result_omitted":true then says so.
//
// # Delivery
//
// There is one callback for each run and each state that it ended in: a
// dead-lettered task that is canceled, or replayed, ends again. What counts is
// the image: a callback tells of the task as it was at that end, also when it
// has been replayed meanwhile. Its task has an id that follows from the end
// ([TaskID]), so a change that is delivered again, after a crash at any point,
// finds its task, and queues it if nobody has begun it. That holds for as long
// as the table keeps the callback's task; a change that is replayed later makes
// another one. The delivery itself is at least once, like any webhook's.
//
// An end that is written is told. A task past its deadline that no worker and
// no reader looks at before its retention is over never gets a last state, and
// its removal by TTL is not told.
//
// # Cost
//
// A callback is a task: a write of its row, or two if its input is large, and a
// message. A result in an item of its own is read once. Tasks without a callback
// URL cost nothing.
//
// # Errors
//
// [Notifier.Handle] marks as permanent what no repetition can mend: an image
// that is malformed, a delivery that is refused. All else may be tried again.
// No error and no log line holds the URL, which may carry a token.
package callback
