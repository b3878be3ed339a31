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

// sqsPayload is an event as Lambda delivers it: n messages of about 1.7 KB with
// everything that AWS puts into one, bodies that are JSON, two attributes.
func sqsPayload(tb testing.TB, n int) []byte {
	tb.Helper()
	ev := events.SQSEvent{Records: records(n)}
	for i := range ev.Records {
		r := &ev.Records[i]
		id := fmt.Sprintf("059f36b4-87a3-44ab-83d2-%012d", i)
		kind, run := "webhook.deliver", "1"
		r.MessageId, r.ReceiptHandle = id, strings.Repeat("AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a", 10)
		r.Body = `{"v":1,"task_id":"` + id + `","input":{"url":"https://example.com/hook","event":"order.created","payload":{"id":17,"note":"` + strings.Repeat("x", 200) + `"}}}`
		r.Md5OfBody, r.EventSource, r.AWSRegion = "e4e68fb7bd0e697a0ae8f1bb342846b3", "aws:sqs", "eu-central-1"
		r.EventSourceARN = "arn:aws:sqs:eu-central-1:123456789012:orders"
		r.Attributes = map[string]string{
			"ApproximateReceiveCount": "1", "SentTimestamp": "1545082649183", "SenderId": "AIDAIENQZJOLO23YVJ4VO",
			"ApproximateFirstReceiveTimestamp": "1545082649185", "MessageGroupId": "tenant-7",
		}
		r.MessageAttributes = map[string]events.SQSMessageAttribute{
			"type": {DataType: "String", StringValue: &kind}, "run": {DataType: "Number", StringValue: &run},
		}
	}
	payload, err := json.Marshal(ev)
	if err != nil {
		tb.Fatal(err)
	}
	return payload
}

const benchBatch = 10

// perRecord reports what one record costs.
func perRecord(b *testing.B) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*benchBatch), "ns/record")
}

// From the event's bytes to the response's, around a handler that does nothing.
func BenchmarkSQS(b *testing.B) {
	for _, concurrency := range []int{1, 4} {
		b.Run(fmt.Sprintf("concurrency %d", concurrency), func(b *testing.B) {
			handler := batch.SQS(func(context.Context, *event.SQSMessage) error { return nil },
				&batch.Options{Logger: quiet, Concurrency: concurrency})
			payload := sqsPayload(b, benchBatch)
			ctx, cancel := context.WithTimeout(b.Context(), time.Hour)
			defer cancel()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := handler.Invoke(ctx, payload); err != nil {
					b.Fatal(err)
				}
			}
			perRecord(b)
		})
	}
}

// The same by hand, as one writes it with aws-lambda-go: no guard, no panics
// caught, no concurrency.
func BenchmarkByHand(b *testing.B) {
	handle := func(_ context.Context, _ events.SQSMessage) error { return nil }
	payload := sqsPayload(b, benchBatch)
	b.ReportAllocs()
	for b.Loop() {
		var ev events.SQSEvent
		if err := json.Unmarshal(payload, &ev); err != nil {
			b.Fatal(err)
		}
		res := events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{}}
		for _, r := range ev.Records {
			if handle(b.Context(), r) != nil {
				res.BatchItemFailures = append(res.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: r.MessageId})
			}
		}
		if _, err := json.Marshal(res); err != nil {
			b.Fatal(err)
		}
	}
	perRecord(b)
}

func BenchmarkEach(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		batch.Each(b.Context(), benchBatch, nil, ignore)
	}
	perRecord(b)
}
