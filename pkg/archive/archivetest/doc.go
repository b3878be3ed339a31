// Package archivetest is for testing code that uses an archive, or a control
// table of its own: a DynamoDB table and an S3 bucket in memory.
//
//	table, bucket := archivetest.NewTable(), archivetest.NewBucket()
//	kept := archive.New(table, "control", bucket, "archive", nil)
//
// What is simulated are the clients, so that the code under test sends its very
// requests, with their expressions; a package inside of this module
// evaluates those, and refuses loudly what it does not know.
//
// [Run] is the conformance suite of an archive: it passes on these doubles, and
// on DynamoDB with S3.
//
// Nothing here starts a goroutine or a timer, so both work inside of a
// [testing/synctest] bubble. [Table.Inject] and [Bucket.Inject] make calls fail
// before or after they took effect, or run something else in between.
package archivetest
