package rescue_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
	kinesistypes "github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/spillway-go/spillway/pkg/archive"
	"github.com/spillway-go/spillway/pkg/archive/archivetest"
	"github.com/spillway-go/spillway/pkg/batch"
	"github.com/spillway-go/spillway/pkg/event"
	"github.com/spillway-go/spillway/pkg/rescue"
	"github.com/spillway-go/spillway/pkg/task"
)

// A record that cannot be worked on is archived, the others take effect, and it
// is handed over again when its cause is mended.
func Example() {
	ctx := context.Background()
	table := archivetest.NewTable()
	kept := archive.New(table, "control", archivetest.NewBucket(), "archive", nil)
	positions := rescue.NewPositions(table, "control", nil)

	mended := false
	index := func(_ context.Context, change *event.Change) error {
		if change.Key() == `{"id":{"S":"bob"}}` && !mended {
			return task.Permanent(errors.New("bob has no address"))
		}
		fmt.Println("indexed", change.Key())
		return nil
	}
	handler := batch.DynamoDB(rescue.Track(index, positions), &batch.Options{
		Isolate: rescue.NewIsolator(kept, nil), Logger: slog.New(slog.DiscardHandler),
	})
	answer, err := handler.Invoke(ctx, eventOf(changeOf("ada", 101), changeOf("bob", 102), changeOf("cyd", 103)))
	fmt.Println(string(answer), err)

	// In a program: rescue.Functions(lambda.NewFromConfig(cfg), "index")
	consumers := func(string) rescue.Consumer { return again(rescue.Track(index, positions)) }
	replayer := rescue.NewReplayer(table, "control", kept, positions, consumers, nil)
	records, _ := replayer.List(ctx, 100)
	for _, r := range records {
		fmt.Println(r.State, r.Stream, r.SequenceNumber, r.Key, "-", r.Error.Message)
	}
	mended = true
	replay, err := replayer.Replay(ctx, rescue.ReplayRequest{})
	fmt.Println(replay.Replayed, "of", replay.Matched, "replayed", err)
	// Output:
	// indexed {"id":{"S":"ada"}}
	// indexed {"id":{"S":"cyd"}}
	// {"batchItemFailures":[]} <nil>
	// archived orders 102 {"id":{"S":"bob"}} - bob has no address
	// indexed {"id":{"S":"bob"}}
	// 1 of 1 replayed <nil>
}

// A message of the failures queue says where records are. They are read again
// while the stream still has them.
func ExampleHandler() {
	ctx := context.Background()
	kept := archive.New(archivetest.NewTable(), "control", archivetest.NewBucket(), "archive", nil)
	// In a function: rescue.DynamoDB(dynamodbstreams.NewFromConfig(cfg))
	client := &dynamoDBStreams{}
	for _, n := range []string{"7", "8", "9"} {
		client.records = append(client.records, types.Record{
			EventName: types.OperationTypeInsert,
			Dynamodb: &types.StreamRecord{
				Keys: map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: "k" + n}}, SequenceNumber: aws.String(n),
			},
		})
	}
	handler := rescue.Handler(kept, rescue.NewRefetcher(rescue.DynamoDB(client)), &rescue.Options{Logger: slog.New(slog.DiscardHandler)})

	message := fmt.Sprintf(`{"Records":[{"eventSource":"aws:sqs","messageId":"m1","body":%q}]}`, documentOf(7, 8))
	answer, err := handler.Invoke(ctx, []byte(message))
	fmt.Println(string(answer), err)

	replayer := rescue.NewReplayer(nil, "", kept, nil, nil, nil) // which replays nothing
	ranges, _ := replayer.Ranges(ctx, 100)
	records, _ := replayer.List(ctx, 100)
	fmt.Println(ranges[0].State, ranges[0].First, "to", ranges[0].Last, "of", ranges[0].Stream, "-", len(records), "records")
	// Output:
	// {"batchItemFailures":[]} <nil>
	// archived 7 to 8 of orders - 2 records
}

func ExampleParseFailureDocument() {
	r, err := rescue.ParseFailureDocument([]byte(documentOf(7, 8)))
	fmt.Println(r.Stream(), r.First, r.Last, r.Condition, r.Function, err)

	_, err = rescue.ParseFailureDocument([]byte(`{"Records":[]}`))
	fmt.Println(err)
	// Output:
	// orders 7 8 RetryAttemptsExhausted orders <nil>
	// malformed failure document: it has neither DDBStreamBatchInfo nor KinesisBatchInfo
}

// The records of a range come as Lambda would have delivered them.
func ExampleRefetcher_Fetch() {
	// In a program: rescue.Kinesis(kinesis.NewFromConfig(cfg))
	stream := rescue.Kinesis(&kinesisStreams{records: []kinesistypes.Record{kinesisRecord("17"), kinesisRecord("18"), kinesisRecord("19")}})
	fetched, err := rescue.NewRefetcher(stream).Fetch(context.Background(), kinesisRange("17", "18"), func(records []event.StreamRecord) error {
		for _, rec := range records {
			fmt.Println(rec.EventID, rec.Key)
		}
		return nil
	})
	fmt.Printf("%d records, missing %q, %v\n", fetched.Records, fetched.Missing, err)
	// Output:
	// shardId-000000000003:17 ada
	// shardId-000000000003:18 ada
	// 2 records, missing "", <nil>
}

// Somebody else's record can be archived as well, and a position noted without
// a handler.
func ExampleIsolator_Isolate() {
	ctx := context.Background()
	table := archivetest.NewTable()
	kept := archive.New(table, "control", nil, "", nil)
	positions := rescue.NewPositions(table, "control", nil)

	older, newer := recordOf("ada", 101), recordOf("ada", 105)
	fmt.Println(rescue.NewIsolator(kept, nil).Isolate(ctx, &older, errors.New("ada has no address")))
	fmt.Println(positions.Advance(ctx, &newer))

	replayer := rescue.NewReplayer(table, "control", kept, positions, func(string) rescue.Consumer { return &consumer{} }, nil)
	replay, err := replayer.Replay(ctx, rescue.ReplayRequest{})
	fmt.Println(replay.Records[0].Outcome, replay.Records[0].Reason, err)
	// Output:
	// <nil>
	// <nil>
	// refused stale <nil>
}

// A Lambda function is called as its mapping calls it, with a mark.
func ExampleFunctions() {
	// In a program: lambda.NewFromConfig(cfg), with a time-out beyond the function's
	client := &functions{payload: `{"batchItemFailures":[{"itemIdentifier":"102"}]}`}
	index := rescue.Functions(client, "index")("index")

	records := []json.RawMessage{json.RawMessage(changeOf("ada", 101)), json.RawMessage(changeOf("bob", 102))}
	failed, err := index.Consume(context.Background(), records)
	fmt.Println(failed, err)
	// Output: [102] <nil>
}
