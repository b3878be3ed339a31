// Package redrive looks into dead-letter queues and brings back what is in
// them: it lists and groups, plans and replays, sets aside and restores, and
// keeps an audit trail of all of it.
//
//	r := redrive.New(dynamodb, "control", map[string]redrive.Source{
//		"orders": {Letters: workqueue.NewInbox(sqs, deadLetterURL, nil), Origins: redrive.Origins{"orders": orders}},
//	}, nil)
//	plan, err := r.Plan(ctx, redrive.Request{Kind: redrive.KindReplay, Queue: "orders", Filter: redrive.Filter{ErrorContains: "timeout"}})
//	…
//	report, err := r.Execute(ctx, plan.ID, redrive.KindReplay, "orders", redrive.Settings{Rate: 50})
//
// It serves any SQS queue; one whose messages are Spillway's tasks gets more
// out of it, see [Source.Tasks].
//
// # What a replay does to one message
//
// In this order, ten messages a step, so that a process that dies at any point
// loses nothing and repeats nothing that matters:
//
//  1. The ledger says what is intended.
//  2. Of a task, the row is queued in its next run, by one conditional write
//     that names the plan. A task that has succeeded, expired or been canceled
//     meanwhile is not replayed: its letter is dropped, and that is reported.
//  3. The message is sent to the queue it came from, and to no other, with all
//     its attributes; SQS confirms each entry of a batch.
//  4. The ledger says what was done.
//  5. The letter is deleted.
//
// A run that died is resumed by [Redrive.Execute] with the same plan. What the
// ledger has as done is only deleted; a row that names the plan gets its message
// again, which is harmless, because a run of a task takes effect once. So each
// task runs once more for each replay, whatever dies. A message without a row,
// one that is no task or whose task is not kept any more, has no such guard: it
// is replayed at least once, and the report counts it ([Counts.AtLeastOnce]).
// A FIFO queue drops the second send of such a message, if it comes within five
// minutes, by its deduplication id, which is another one than the original's.
//
// # Jobs
//
// A replay, a retry, a purge and a restore are jobs. One runs at a time for each
// queue. A job goes on over as many invocations as it takes: it stops early
// enough before the end of its context, and [Options.Continue] has the next one
// begin, a bounded number of times. It can be stopped ([Redrive.Stop]) and
// resumed. [Redrive.Job] follows its tasks to their end: succeeded, failed the
// same way, failed another way.
//
// What was asked, the events of a job and its ledger are only ever appended to
// the control table; a job's state is one item that changes.
//
// # Looking
//
// SQS has no way to look without receiving. [Redrive.List], and plans, receive,
// and make everything visible again: receive counts rise, and nothing else. So
// a dead-letter queue should have no redrive policy of its own.
// [Redrive.Overview] groups the letters of tasks from the index of the task
// table, without receiving anything.
//
// # What it costs
//
// A full step of ten messages is three calls to SQS (receive, send, delete) and
// three to DynamoDB (two for the ledger, one for the rows).
//
// # Where to look
//
// sweep.go goes through a queue, run.go does so for a job. decide.go is the table
// of what becomes of a letter, replay.go does it, retry.go does the same for
// tasks without their letters. job.go has a job's state, ledger.go what was done.
// Leases, ledgers and hops are those of internal/job.
package redrive
