// Package ddbfake is DynamoDB in memory, as strict as AWS is.
//
//	db := ddbfake.New(nil)
//	db.CreateTable(ddbfake.Spec{Name: "tasks", Hash: ddbfake.Key{Name: "id"}})
//	table := tasktable.New(db, "tasks", nil)
//
// A [DB] has the methods of the SDK's client, for the items of several tables
// with global secondary indexes, and those of the client of DynamoDB Streams.
// It evaluates the expressions and PartiQL statements that this module sends,
// refuses what AWS refuses, and refuses loudly what it does not know.
//
// # What happens at random
//
// On AWS an index lags behind its table, and so does a read that is not
// strongly consistent; transactions conflict; single keys of a batch are left
// over; calls are throttled. [Options] sets how much of it happens, and a seed.
// The zero value does none of it, and [AsOnAWS] all of it.
//
// # Time
//
// Nothing here starts a goroutine or a timer. What takes time on AWS is done by
// the next call after it, by [time.Now], so that a DB works inside of a
// [testing/synctest] bubble. Items whose TTL is over stay until
// [DB.ExpireTTL].
//
// # Faults
//
// [DB.Inject] makes calls fail before or after they took effect, or runs
// something else in between. [DB.Watch] tells of every single write.
package ddbfake
