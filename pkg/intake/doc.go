// Package intake accepts tasks: it validates a request, writes the task's row
// and sends its message, in an order in which nothing that was acknowledged
// can be lost.
//
//	in := intake.New(table, intake.Queues{"tasks": tasks, "backlog": backlog}, mux, nil)
//	row, created, err := in.Submit(ctx, intake.Request{Tenant: "acme", Type: "report.build", Input: input})
//
// # Promise
//
// When [Intake.Submit] returns without an error, the task is in the table and
// its message is on a queue. A [*RefusedError] means that nothing was stored.
// After any other error the outcome is unknown: the row may be there without a
// message. Repeating the request with the same idempotency key, or the same id,
// is safe and finds it; without either, a row that has no message expires at its
// deadline.
package intake
