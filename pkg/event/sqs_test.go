package event_test

import (
	"encoding/json"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/spillway-go/spillway/pkg/event"
)

func TestSQS(t *testing.T) {
	t.Parallel()
	got, err := event.SQS([]byte(standardQueue))
	if err != nil {
		t.Fatal(err)
	}
	want := []event.SQSMessage{
		{
			MessageID: "059f36b4-87a3-44ab-83d2-661975830a7d", ReceiptHandle: "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a+/=",
			Body: "{\"order\":17,\"note\":\"café 😀\\n\"}", QueueARN: "arn:aws:sqs:us-east-2:123456789012:orders-dead",
			ReceiveCount: 3, SentAt: time.UnixMilli(1545082649183), FirstReceivedAt: time.UnixMilli(1545082649185),
			Sender: "AIDAIENQZJOLO23YVJ4VO", TraceHeader: "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
			DeadLetterSource: "arn:aws:sqs:us-east-2:123456789012:orders",
			Attributes: []event.Attribute{
				{Name: "type", Type: "String", String: "order.placed"},
				{Name: "amount", Type: "Number.float", String: "12.50"},
				{Name: "digest", Type: "Binary", Binary: []byte{0, 1, 0xfe, 0xff}},
			},
		},
		{
			MessageID: "2e1424d4-f796-459a-8184-9c92662be6da", ReceiptHandle: "AQEBzWwaftRI0KuVm4tP+/7q1rGgNqicHq", Body: "plain",
			QueueARN: "arn:aws:sqs:us-east-2:123456789012:orders-dead", ReceiveCount: 1, SentAt: time.UnixMilli(1545082650636),
			FirstReceivedAt: time.UnixMilli(1545082650649), Sender: "AIDAIENQZJOLO23YVJ4VO", GroupID: "tenant-4",
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if q := got[0].Queue(); q != "orders-dead" {
		t.Errorf("queue %q", q)
	}
	if a := got[0].Attribute("amount"); a.String != "12.50" {
		t.Errorf("attribute %+v", a)
	}
	if a := got[0].Attribute("Amount"); a.Name != "" || a.Type != "" {
		t.Errorf("attribute %+v, want none", a)
	}
}

func TestSQSOfAFIFOQueue(t *testing.T) {
	t.Parallel()
	got, err := event.SQS([]byte(fifoQueue))
	if err != nil || len(got) != 1 {
		t.Fatal(got, err)
	}
	if m := got[0]; m.GroupID != "1" || m.DeduplicationID != "1" || m.SequenceNumber != "18849496460467696128" || m.Queue() != "fifo.fifo" || m.Attributes != nil {
		t.Errorf("%+v", m)
	}
}

// Appending to one message's attributes must not reach the next one's.
func TestAttributesKeepApart(t *testing.T) {
	t.Parallel()
	got, err := event.SQS([]byte(`{"Records":[{"eventSource":"aws:sqs","messageAttributes":{"a":{"stringValue":"1"}}},{"eventSource":"aws:sqs","messageAttributes":{"b":{"stringValue":"2"}}}]}`))
	if err != nil || len(got) != 2 {
		t.Fatal(got, err)
	}
	_ = append(got[0].Attributes, event.Attribute{Name: "c"})
	if got[1].Attribute("b").String != "2" {
		t.Errorf("%+v", got[1].Attributes)
	}
}

// SQS agrees with encoding/json on whatever batches of whatever size.
func TestSQSAgreesOnGeneratedBatches(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		var ev events.SQSEvent
		ev.Records = []events.SQSMessage{}
		for i := range rapid.IntRange(0, 25).Draw(rt, "messages") {
			m := events.SQSMessage{
				MessageId: fmt.Sprint("m", i), ReceiptHandle: rapid.String().Draw(rt, "receipt"), Body: rapid.String().Draw(rt, "body"),
				EventSource: "aws:sqs", EventSourceARN: "arn:aws:sqs:us-east-2:123456789012:q",
				Attributes: map[string]string{
					"ApproximateReceiveCount": strconv.Itoa(rapid.IntRange(-1, 200).Draw(rt, "receives")),
					"SentTimestamp":           strconv.FormatInt(rapid.Int64().Draw(rt, "sent"), 10),
					"MessageGroupId":          rapid.String().Draw(rt, "group"),
				},
				MessageAttributes: map[string]events.SQSMessageAttribute{},
			}
			for range rapid.IntRange(0, 10).Draw(rt, "attributes") {
				a := events.SQSMessageAttribute{DataType: "String", StringListValues: []string{}, BinaryListValues: [][]byte{}}
				if rapid.Bool().Draw(rt, "binary") {
					a.DataType, a.BinaryValue = "Binary", rapid.SliceOf(rapid.Byte()).Draw(rt, "bytes")
				} else {
					s := rapid.String().Draw(rt, "string")
					a.StringValue = &s
				}
				m.MessageAttributes[rapid.StringMatching(`[a-z]{1,3}`).Draw(rt, "name")] = a
			}
			ev.Records = append(ev.Records, m)
		}
		payload, err := json.Marshal(ev)
		if err != nil {
			rt.Fatal(err)
		}
		want, err := wantMessages(string(payload))
		if err != nil {
			rt.Fatal(err)
		}
		got, err := event.SQS(payload)
		if diff := cmp.Diff(want, got); err != nil || (diff != "" && len(got)+len(want) > 0) {
			rt.Fatalf("%v (-aws-lambda-go +got):\n%s", err, diff)
		}
	})
}
