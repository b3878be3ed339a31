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

// Two kinds of batches of ten, as Lambda delivers them.
var payloads = []struct {
	name string
	make func(r *events.SQSMessage)
}{
	// As in AWS's documentation, about 0.6 KB
	// (https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html).
	{"plain", func(r *events.SQSMessage) { r.Body = "Test message." }},
	// A task on its way through Spillway, about 1.8 KB: a body that is JSON, so
	// that every quote in it is escaped, and eight attributes.
	{"task", func(r *events.SQSMessage) {
		r.Body = `{"v":1,"task_id":"01JH5T2V9Q8N4R6W3X7Y1Z0ABC","run":1,"type":"webhook.deliver","tenant":"AROAEXAMPLEEXAMPLE123",` +
			`"created_at":"2026-01-31T12:00:00.000Z","deadline":"2026-02-07T12:00:00.000Z",` +
			`"input":{"url":"https://example.com/hook","event":"invoice.paid","payload":{"invoice":"in_1","total":1999}}}`
		for name, value := range map[string]string{
			"task_id": "01JH5T2V9Q8N4R6W3X7Y1Z0ABC", "type": "webhook.deliver", "tenant": "AROAEXAMPLEEXAMPLE123", "priority": "normal",
			"run": "1", "replays": "0", "hops": "0", "origin": "spillway-tasks",
		} {
			r.MessageAttributes[name] = events.SQSMessageAttribute{
				DataType: "String", StringValue: &value, StringListValues: []string{}, BinaryListValues: [][]byte{},
			}
		}
		r.Attributes["MessageGroupId"], r.Attributes["AWSTraceHeader"] = "AROAEXAMPLEEXAMPLE123", "Root=1-5759e988-bd862e3fe1be46a994272793"
	}},
}

func batchOf(tb testing.TB, change func(r *events.SQSMessage)) []byte {
	tb.Helper()
	ev := events.SQSEvent{Records: make([]events.SQSMessage, benchBatch)}
	for i := range ev.Records {
		ev.Records[i] = events.SQSMessage{
			MessageId:     fmt.Sprintf("059f36b4-87a3-44ab-83d2-%012d", i),
			ReceiptHandle: strings.Repeat("AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a", 4),
			Attributes: map[string]string{
				"ApproximateReceiveCount": "1", "SentTimestamp": "1545082649183", "SenderId": "AIDAIENQZJOLO23YVJ4VO",
				"ApproximateFirstReceiveTimestamp": "1545082649185",
			},
			MessageAttributes: map[string]events.SQSMessageAttribute{},
			Md5OfBody:         "e4e68fb7bd0e697a0ae8f1bb342846b3", EventSource: "aws:sqs", AWSRegion: "us-east-2",
			EventSourceARN: "arn:aws:sqs:us-east-2:123456789012:my-queue",
		}
		change(&ev.Records[i])
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
	b.Helper()
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*benchBatch), "ns/record")
}

// From the event's bytes to the response's, around a handler that does nothing.
func BenchmarkSQS(b *testing.B) {
	for _, p := range payloads {
		for _, concurrency := range []int{1, 4} {
			b.Run(fmt.Sprintf("%s/concurrency=%d", p.name, concurrency), func(b *testing.B) {
				handler := batch.SQS(func(context.Context, *event.SQSMessage) error { return nil },
					&batch.Options{Logger: quiet, Concurrency: concurrency})
				payload := batchOf(b, p.make)
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
}

// The same by hand, as one writes it with aws-lambda-go: no guard against the
// time-out, no panics caught, nothing at once.
func BenchmarkByHand(b *testing.B) {
	handle := func(context.Context, events.SQSMessage) error { return nil }
	for _, p := range payloads {
		b.Run(p.name, func(b *testing.B) {
			payload := batchOf(b, p.make)
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
		})
	}
}

// What a batch allocates is held here, beside the benchmarks: at most one
// allocation for each of its records.
func TestAllocations(t *testing.T) {
	handler := batch.SQS(func(context.Context, *event.SQSMessage) error { return nil }, &batch.Options{Logger: quiet})
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	for _, p := range payloads {
		payload := batchOf(t, p.make)
		allocs := testing.AllocsPerRun(100, func() {
			if _, err := handler.Invoke(ctx, payload); err != nil {
				t.Fatal(err)
			}
		})
		if allocs > benchBatch {
			t.Errorf("%s: %.0f allocations for %d records", p.name, allocs, benchBatch)
		}
	}
}

func BenchmarkEach(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		batch.Each(b.Context(), benchBatch, nil, ignore)
	}
	perRecord(b)
}
