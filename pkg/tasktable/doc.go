// Package tasktable keeps tasks in one DynamoDB table so that none is lost,
// none is worked on by two workers at a time, and no late worker overwrites a
// newer truth. It is the task protocol (docs/protocol.md) as code.
//
// A worker's day:
//
//	claims := table.Claim(ctx, owner, leaseEnd, ids) // one call for a batch
//	for each claim that is Claimed: run the handler
//	table.Settle(ctx, []Settlement{Succeed(row, result), Retry(row, failure, at), …}) // one call
//
// # Leases and fencing
//
// A claim is a lease: it holds until its end, and then anybody may claim the
// task again. Every claim raises the row's fence; whoever settles must hold
// the current one. A worker that was paused past its lease finds its
// settlement lost ([Settled]) and drops it.
//
// # Cost
//
// A task whose row stays under 1 KiB costs one write to create, one to claim
// and one to settle, no read, and one write for the listing index. Claims and
// settlements of a batch share one BatchExecuteStatement call each.
//
// # Failures
//
// A row keeps the failed attempts of its run ([Row.History]) and, once it has
// failed for good, a record of why ([Settlement.Explained]). A sparse index
// lists what is dead-lettered or failed by fingerprint and time
// ([Table.Failures]). Only failures have these attributes: a task that succeeds
// at once pays nothing for them, one that fails a write of the index, and
// another when it leaves the state. [Table.ReplayAll] queues such tasks again,
// 25 a call, so that a plan can be sent twice and takes effect once.
//
// # Errors
//
// Conditions of the protocol are values ([ErrNotFound], [ErrFinished],
// [ErrExists], outcomes of claims and settlements); anything else is the
// SDK's error with what was being done in front. All methods are safe for
// concurrent use; none caches.
package tasktable
