// Package worker works through batches of task messages: it claims the tasks
// of a batch with one call, runs their handlers, settles them with another,
// and answers Lambda which messages are to come back.
//
//	w := worker.New(mux, table, worker.Queues{"tasks": tasks, "backlog": backlog}, dead, nil)
//	lambda.Start(w)
//
// # What happens to a message
//
//   - not ours, or of a task that is not in the table: sent to the dead-letter
//     queue with the reason, at once;
//   - of a newer version: handed back, so that a deployment can roll;
//   - past its deadline: the task becomes expired, no handler runs;
//   - too old for the tasks queue, or its task failed too often: moved to the
//     backlog queue;
//   - leased by another worker, or to be retried later: hidden until then;
//   - of a run above the row's (a replay, or SQS's own redrive): the task
//     begins that run;
//   - of a task that has ended or is deferred, or the second of its task in one
//     batch: acknowledged;
//   - otherwise its handler runs, and what it returns decides (package task).
//
// A message goes round a bounded number of times ([workqueue.MaxHops]). When
// it cannot be handed back any more, it becomes a dead letter that says so. Only
// a handler that yields with a newer checkpoint gets a new message, as often as
// it needs to before its deadline.
//
// # Time
//
// Handlers see a deadline [Options.Margin] before the function's time-out, and
// one that ignores it is abandoned: counted as a failed attempt with the code
// timeout. It may go on in a later invocation, after a freeze; whatever it then
// returns or reports is refused. What does not fit any more is handed back, and
// the first task of a batch always begins.
//
// # What a crash costs
//
// Nothing is acknowledged before it is settled, and nothing waits longer than
// [Options.SettleWithin] for its settlement. A task whose worker vanished runs
// alone, after the rest of its batch is settled, with its attempt counted
// beforehand: one crashing task costs its neighbours neither attempts nor, in
// the end, their turn. Records that were not begun are handed back and pay
// nothing. The protocol, crash by crash, is in docs/protocol.md.
//
// # Where to look
//
// A batch goes through triage.go (by the messages alone), claim.go (by the
// rows) and work.go (the handlers). verdict.go is the table from a handler's
// outcome to what is written, settle.go writes it, handback.go and reject.go
// pass messages on.
package worker
