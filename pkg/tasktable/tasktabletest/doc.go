// Package tasktabletest is for testing code that uses a task table: a real
// [tasktable.Table] in memory, the conformance suite of the protocol, and its
// model.
//
//	table := tasktabletest.NewTable(nil)
//	row, err := table.Create(ctx, draft)
//
// # Why a DynamoDB and not a second table
//
// What is simulated is the client, not the table: [DynamoDB] keeps items in a
// map and evaluates the expressions and PartiQL statements that package
// tasktable sends. A second implementation of the protocol would be shorter,
// but then unit tests everywhere would trust the copy, and each rule would be
// written twice. This way there is one implementation, and a unit test runs
// its very conditions, under the race detector, without a network.
// The price is an evaluator of some 300 lines; it accepts only the grammar that
// is in use and refuses everything else loudly. [Run] keeps it honest: the
// same suite passes on DynamoDB.
//
// # The model
//
// [History] is the protocol as a judge: it is told what happened, in memory
// ([DynamoDB.Watch] tells every single write) or in processes that were killed
// ([Fact] is also a line of a log), and names every promise that was broken,
// with the whole history of its task.
//
//	history := tasktabletest.NewHistory(tasktabletest.HistoryOptions{MaxAttempts: 5, EveryWrite: true})
//	db.Watch(func(r *tasktable.Row) { history.Add(tasktabletest.Fact{What: tasktabletest.Stored, Row: r}) })
//	…
//	err := history.Err()
//
// # Time
//
// Nothing here starts a goroutine or a timer, so a table works inside of a
// [testing/synctest] bubble.
//
// # Faults
//
// [DynamoDB.Inject] makes calls fail before or after they took effect, throttles single
// statements of a batch that succeeds, or runs something else in between.
package tasktabletest
