// Package archive keeps bytes for later: what could not be worked on and must
// not be lost. Small items lie in a DynamoDB table, larger ones in S3 with a
// pointer in the table.
//
//	kept := archive.New(dynamodb.NewFromConfig(cfg), "control", s3.NewFromConfig(cfg), "archive-bucket", nil)
//	stored, err := kept.Put(ctx, archive.Item{Group: "stream", ID: id, Meta: map[string]string{"state": "archived"}, Data: record})
//	…
//	items, next, err := kept.List(ctx, "stream", "", 100) // without data
//	item, err := kept.Get(ctx, "stream", items[0].ID)     // with data
//
// # In the table
//
// It needs a hash key pk and a range key sk, both strings, and a time to live
// on expires_at. An item is
//
//	pk          its group
//	sk          its id; a group is listed in this order
//	meta        map of strings
//	data        bytes, if they are few
//	s3_key      where they lie in the bucket, if they are many
//	size        of the bytes
//	stored_at   milliseconds
//	expires_at  seconds
//
// Other items may share the table, in groups of their own.
//
// # Order of writes
//
// The object is written before its item, and deleted after it, so an item
// always has its data. Every write of an object has a key of its own: no item's
// data can be overwritten or deleted by way of another one's. A process that
// dies in between leaves an object that no item points to; so does an item that
// is overwritten, or that the table's time to live removes. Let the bucket
// expire its objects some time after the items.
//
// # Errors
//
// [ErrNotFound], [ErrNoData] and [ErrTooLarge] are conditions; anything else is
// the SDK's error with what was being done in front. An item whose time is over
// counts as absent before the table removes it. All methods are safe for
// concurrent use.
package archive
