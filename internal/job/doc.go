// Package job runs work that takes more than one invocation of a Lambda
// function: an operator asks for it, and it may be stopped, killed and resumed.
//
// An [Engine] keeps jobs in a DynamoDB table. It knows nothing of what they do.
// A kind of work brings:
//
//   - a request, which is what was asked and never changes;
//   - a [State] that embeds [Progress];
//   - an [Entry] for its ledger, one for each item;
//   - a [Work] that finds items and deals with them.
//
// One run of a job is this, and the package's example has all of it:
//
//	run, err := engine.Start(ctx, id.New(), request, &state{}, job.Event{What: "begun", By: "ada"})
//	// a planned job, or a later run: engine.Find, then run, err := engine.Begin(ctx, j, true)
//	j, err := run.Drive(ctx, func(ctx context.Context) (bool, error) {
//		return job.Sweep(ctx, run, work, job.Bounds{Limit: 1000, Concurrency: 4, Step: 10})
//	})
//
// # What a step does
//
// A step deals with up to [Bounds.Step] items, in this order:
//
//  1. The ledger says what is intended.
//  2. [Work.Do] deals with the items.
//  3. The ledger says what was done.
//  4. [Work.Leave] lets the source forget the items that are settled.
//
// A process that dies between 1 and 3 leaves items of which the ledger says
// nothing. A later run does them again, so Do must be idempotent, or guard each
// item by a condition of its own. One that dies between 3 and 4 leaves items
// that are settled; a later run hands them to Leave only.
//
// The zero value of an [Outcome] is [Intended]. An entry that Do never decided is
// not written down, and the item is tried again.
//
// # Who runs a job
//
// A process holds a lease on the job and on its lock ([Spec]), and renews both
// every two seconds between steps. One that finds that it has lost them stops,
// with [ErrBusy]. The lease of a process that died lapses after
// [Options.Lease]; the job is then [Stalled].
//
// A run ends early enough to leave the job in order before the deadline of its
// context. The job then goes on by [Options.Continue] in a next invocation, a
// hop, at most [Options.MaxHops] times; without Continue it is [Stopped].
//
// # What is stored
//
// The items of the table, by the keys pk and sk:
//
//	jobs      <id>            the request
//	job#<id>  state           status, lease, state
//	job#<id>  plan#<n>        keys that the job may deal with, see [Engine.SavePlan]
//	job#<id>  event#<id>      a line of the audit trail
//	job#<id>  ledger#<id>#1   a step's intents
//	job#<id>  ledger#<id>#2   its outcomes
//	lock      <lock>          the job that has a lock, and until when
//
// Only the state and the lock change; the rest is only ever appended. A state
// that a process of another version wrote is read as far as its fields are
// known, and its other fields are lost with the next write.
package job
