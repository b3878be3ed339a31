package workqueue_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"go.uber.org/goleak"

	"github.com/spillway-go/spillway/pkg/event"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	queueURL = "https://sqs.eu-central-1.amazonaws.com/123456789012/tasks"
	queueARN = "arn:aws:sqs:eu-central-1:123456789012:tasks"
	taskID   = "01JH5T2V9Q8N4R6W3X7Y1Z0ABC"
)

func at(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		panic(err)
	}
	return t
}

// example returns a complete message.
func example() workqueue.Message {
	return workqueue.Message{
		Version: 1, TaskID: taskID, Run: 2, Type: "webhook.deliver", Tenant: "AIDAEXAMPLE",
		CreatedAt: at("2026-01-31T12:00:00.125Z"), ReplayedAt: at("2026-01-31T13:00:00Z"), Deadline: at("2026-02-07T12:00:00Z"),
		Input:    []byte(`{"url":"https://example.com/?a=1&b=<2>"}`),
		Priority: "bulk", Replays: 1, Hops: 3, Origin: "tasks",
	}
}

// record returns out as Lambda would hand it over.
func record(out workqueue.Outgoing) *event.SQSMessage {
	rec := &event.SQSMessage{
		MessageID: "059f36b4-87a3-44ab-83d2-661975830a7d", ReceiptHandle: "handle", Body: out.Body,
		ReceiveCount: 3, GroupID: out.Group, QueueARN: queueARN,
	}
	for name, v := range out.Attributes {
		rec.Attributes = append(rec.Attributes, event.Attribute{
			Name: name, Type: *v.DataType, String: aws.ToString(v.StringValue), Binary: v.BinaryValue,
		})
	}
	return rec
}

// attribute returns an attribute of a type and value as [plain] shows them.
func attribute(name, value string) event.Attribute {
	a := event.Attribute{Name: name}
	a.Type, a.String, _ = strings.Cut(value, "=")
	if strings.HasPrefix(a.Type, "Binary") {
		a.Binary, a.String = []byte(a.String), ""
	}
	return a
}

// with puts an attribute in the place of one of the same name.
func with(rec *event.SQSMessage, name, value string) {
	rec.Attributes = append(without(rec, name), attribute(name, value))
}

func without(rec *event.SQSMessage, name string) []event.Attribute {
	return slices.DeleteFunc(slices.Clone(rec.Attributes), func(a event.Attribute) bool { return a.Name == name })
}

func encode(tb testing.TB, m workqueue.Message) workqueue.Outgoing {
	tb.Helper()
	out, err := workqueue.Encode(m)
	if err != nil {
		tb.Fatalf("Encode: %v", err)
	}
	return out
}

// plain shows attributes as name → "type=value".
func plain(attrs map[string]types.MessageAttributeValue) map[string]string {
	m := make(map[string]string, len(attrs))
	for name, v := range attrs {
		m[name] = aws.ToString(v.DataType) + "=" + aws.ToString(v.StringValue) + string(v.BinaryValue)
	}
	return m
}

func str(s string) types.MessageAttributeValue {
	return types.MessageAttributeValue{DataType: aws.String("String"), StringValue: aws.String(s)}
}
