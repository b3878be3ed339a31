// Package rescue keeps the records of streams that nobody could work on, and
// hands them over again when somebody can. A stream drops its records after a
// day; what was archived before that is not lost. It serves the streams of
// DynamoDB and of Kinesis alike.
//
// # Two nets
//
// What a handler can catch, it archives itself and goes on: its [Isolator]
// keeps the record with its data, its position in the stream and the error.
//
//	kept := archive.New(dynamodb.NewFromConfig(cfg), "control", s3.NewFromConfig(cfg), "archive-bucket", nil)
//	positions := rescue.NewPositions(dynamodb.NewFromConfig(cfg), "control", nil)
//	handler := rescue.Replayable(
//		batch.DynamoDB(rescue.Track(handle, positions), &batch.Options{Isolate: rescue.NewIsolator(kept, nil)}),
//		batch.DynamoDB(rescue.Track(handle, positions), nil),
//	)
//
// What it cannot catch, a crash or a time-out, is up to the mapping: it bisects,
// gives up after a while, and sends a document to a queue that says where the
// records are, but does not hold them ([ParseFailureDocument]). The function
// behind that queue reads exactly that range again ([Refetcher]) and archives
// what it finds ([Handler]):
//
//	streams := rescue.NewRefetcher(rescue.DynamoDB(dynamodbstreams.NewFromConfig(cfg)))
//	lambda.Start(rescue.Handler(kept, streams, nil))
//
// # Replay
//
// A [Replayer] hands records to their consumer again, in the order of their
// stream. It refuses one that is stale, because a later change of the same key
// was worked on meanwhile: the older image would undo the newer. [Positions]
// know that, if the consumer's handler is wrapped by [Track].
//
//	replayer := rescue.NewReplayer(dynamodb, "control", kept, positions, rescue.Functions(lambda.NewFromConfig(cfg), "index"), nil)
//	replay, err := replayer.Replay(ctx, rescue.ReplayRequest{DryRun: true})
//
// Without DryRun a replay is a job with an audit trail and a ledger. One runs at
// a time. It can be stopped, and it is resumed by its id; what its ledger has as
// replayed or refused is not tried again.
//
// # Delivery
//
// A record is archived once for each consumer, however often its failure is
// told and by whichever net; its id is made of the stream, the consumer and the
// sequence number. It is acknowledged, or let out of the stream's way, only when
// the archive has it. A replay is at least once, like the stream; a change that
// comes in while an older record of its key is on its way can still be overtaken
// by it.
//
// # Errors
//
// [ErrMalformed] and [ErrUnsupported] are conditions, [ErrTrimmed], [ErrGone]
// and [ErrIterator] are those of a [Stream]; anything else is the SDK's error
// with what was being done in front. Everything here is safe for concurrent
// use.
package rescue
