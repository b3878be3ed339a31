// Package tasktabletest is for testing code that uses a task table: a real
// [tasktable.Table] in memory, the conformance suite of the protocol, and its
// model.
//
//	table := tasktabletest.NewTable(nil)
//	row, err := table.Create(ctx, draft)
//
// # Why a DynamoDB and not a second table
//
// [DynamoDB] simulates the client, not the table: it evaluates the expressions
// and PartiQL statements that package tasktable sends, in a DynamoDB in memory
// that all packages of this module share. A second implementation of the
// protocol would be shorter, but unit tests would then trust the copy, and each
// rule would be written twice. This way a unit test runs the conditions of the
// one implementation, under the race detector and without a network. The
// DynamoDB in memory refuses what AWS refuses and what it does not know. [Run]
// keeps it honest: the same suite passes on DynamoDB.
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
