// Package task is the vocabulary of asynchronous work: what a task is, which
// states it passes through, how a handler is written and how it steers its
// task by what it returns. It imports nothing but the standard library, so
// business code that uses it stays free of AWS.
//
// A handler is a typed function on a [Mux]:
//
//	mux := task.NewMux()
//	task.Handle(mux, "report.build", func(ctx context.Context, in Order) (Report, error) {
//		task.Progress(ctx, 1, 3, "fetching")
//		rows, err := fetch(ctx, in.ID)
//		if errors.Is(err, errGone) {
//			return Report{}, task.Permanent(err)
//		}
//		return build(rows), err
//	})
//
// # Delivery
//
// Delivery is at least once: a handler can run again although an earlier run
// finished its work, because the process died, or the network lost the answer,
// before the result was recorded. The result is recorded at most once per run
// of a task. A handler with effects outside makes them idempotent with
// [IdempotencyKey], which is the same for every attempt of one run.
//
// # Outcomes
//
//	result, nil              the task has succeeded
//	error                    retried with backoff, until the attempts are used up: then it is dead-lettered
//	RetryAfter(d, err)       the same, but not before d has passed
//	Permanent(err)           failed now; no more attempts, no dead letter
//	ErrDeferred              someone else completes the task
//	ErrYield                 goes on from its checkpoint in another invocation, at once and as the same attempt
//
// # Errors
//
// A code for machines travels with an error through [Code]; messages are for
// people and end up in the task's row and answers, so secrets have no place in them.
package task
