// Package worker works through batches of task messages: it claims the tasks
// of a batch with one call, runs their handlers, settles them with another,
// and answers Lambda which messages are to come back.
//
//	w := worker.New(mux, table, worker.Queues{Tasks: tasks, Backlog: backlog, DeadLetter: dead}, nil)
//	lambda.Start(w.Handle)
//
// # What happens to a message
//
//   - not ours: sent to the dead-letter queue with the reason, at once;
//   - of a newer version: handed back, so that a deployment can roll;
//   - past its deadline: the task becomes expired, no handler runs;
//   - too old for the tasks queue, or failed too often: moved to the backlog queue;
//   - leased by another worker, or to be retried later: hidden until then;
//   - of a task that has ended: acknowledged;
//   - otherwise its handler runs, and what it returns decides (package task).
//
// # What a crash costs
//
// Nothing is acknowledged before it is settled, and nothing waits longer than
// [Options.SettleWithin] for its settlement. A task whose worker vanished runs
// alone, after the rest of its batch is settled, with its attempt counted
// beforehand: one crashing task costs its neighbours neither attempts nor, in
// the end, their turn. Records that were not begun are handed back and pay
// nothing. The protocol, crash by crash, is in docs/protocol.md.
package worker
