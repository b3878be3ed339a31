package batch_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/spillway-go/spillway/pkg/batch"
	"github.com/spillway-go/spillway/pkg/event"
)

// Batches of streams as they are by default, of 100 records.

func kinesisBatch(n int) []byte {
	ev := events.KinesisEvent{}
	for i := range n {
		sequence := fmt.Sprintf("4959033827149025660855969253836157109592157598913658%04d", i)
		ev.Records = append(ev.Records, events.KinesisEventRecord{
			EventID: "shardId-000000000006:" + sequence, EventName: "aws:kinesis:record", EventSource: "aws:kinesis", EventVersion: "1.0",
			EventSourceArn: "arn:aws:kinesis:us-east-2:123456789012:stream/orders", AwsRegion: "us-east-2",
			InvokeIdentityArn: "arn:aws:iam::123456789012:role/lambda-role",
			Kinesis: events.KinesisRecord{
				KinesisSchemaVersion: "1.0", PartitionKey: fmt.Sprint("customer-", i%17), SequenceNumber: sequence,
				Data:                        []byte(`{"order":` + fmt.Sprint(i) + `,"note":"` + strings.Repeat("x", 200) + `"}`),
				ApproximateArrivalTimestamp: events.SecondsEpochTime{Time: time.Unix(1545084650, 987e6)},
			},
		})
	}
	return marshal(ev)
}

func changesBatch(n int) []byte {
	ev := events.DynamoDBEvent{}
	for i := range n {
		keys := map[string]events.DynamoDBAttributeValue{
			"pk": events.NewStringAttribute(fmt.Sprint("customer-", i%17)), "sk": events.NewNumberAttribute("1"),
		}
		image := map[string]events.DynamoDBAttributeValue{
			"pk": keys["pk"], "sk": keys["sk"], "n": events.NewNumberAttribute(fmt.Sprint(i)), "note": events.NewStringAttribute(strings.Repeat("x", 200)),
		}
		ev.Records = append(ev.Records, events.DynamoDBEventRecord{
			EventID: fmt.Sprintf("%032d", i), EventName: "MODIFY", EventSource: "aws:dynamodb", EventVersion: "1.1", AWSRegion: "us-east-1",
			EventSourceArn: "arn:aws:dynamodb:us-east-1:123456789012:table/orders/stream/2015-06-27T00:48:05.899",
			Change: events.DynamoDBStreamRecord{
				ApproximateCreationDateTime: events.SecondsEpochTime{Time: time.Unix(1479499740, 0)}, Keys: keys, NewImage: image, OldImage: image,
				SequenceNumber: fmt.Sprintf("442158450000000001745%07d", i), SizeBytes: 512, StreamViewType: "NEW_AND_OLD_IMAGES",
			},
		})
	}
	return marshal(ev)
}

func marshal(v any) []byte {
	payload, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return payload
}

func benchmarkStream(b *testing.B, payload []byte, handler func(opts *batch.Options) batch.Handler) {
	b.Helper()
	for _, concurrency := range []int{1, 4} {
		b.Run(fmt.Sprint("concurrency ", concurrency), func(b *testing.B) {
			h := handler(&batch.Options{Concurrency: concurrency, Logger: quiet})
			ctx, cancel := context.WithTimeout(b.Context(), time.Hour)
			defer cancel()
			b.ReportAllocs()
			b.SetBytes(int64(len(payload)))
			for b.Loop() {
				if answer, err := h.Invoke(ctx, payload); err != nil || string(answer) != nothingFailed {
					b.Fatalf("%s, %v", answer, err)
				}
			}
		})
	}
}

func BenchmarkKinesis(b *testing.B) {
	benchmarkStream(b, kinesisBatch(100), func(opts *batch.Options) batch.Handler {
		return batch.Kinesis(func(context.Context, *event.KinesisRecord) error { return nil }, opts)
	})
}

func BenchmarkDynamoDB(b *testing.B) {
	benchmarkStream(b, changesBatch(100), func(opts *batch.Options) batch.Handler {
		return batch.DynamoDB(func(context.Context, *event.Change) error { return nil }, opts)
	})
}

// What decoding alone costs, here and with encoding/json.
func BenchmarkDecodeStreams(b *testing.B) {
	kinesis, changes := kinesisBatch(100), changesBatch(100)
	for _, bb := range []struct {
		name    string
		payload []byte
		decode  func([]byte) error
	}{
		{"kinesis", kinesis, func(p []byte) error { _, err := event.Kinesis(p); return err }},
		{"kinesis/encoding json", kinesis, func(p []byte) error { return json.Unmarshal(p, new(events.KinesisEvent)) }},
		{"dynamodb", changes, func(p []byte) error { _, err := event.DynamoDB(p); return err }},
		{"dynamodb/encoding json", changes, func(p []byte) error { return json.Unmarshal(p, new(events.DynamoDBEvent)) }},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(bb.payload)))
			for b.Loop() {
				if err := bb.decode(bb.payload); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
