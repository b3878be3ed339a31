package main

import (
	"crypto/md5"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"flag"
	"hash"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/internal/app/apptest"
	"github.com/spillway-go/spillway/internal/handlers"
	"github.com/spillway-go/spillway/pkg/event"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/webhook"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

var update = flag.Bool("update", false, "write events/worker.json anew")

const sample = "../../events/worker.json"

func TestSetup(t *testing.T) {
	aws := apptest.NewAWS(t)
	apptest.Hermetic(t, aws.URL)
	handler := apptest.Check(t, setup, "WorkerFunction", map[string]string{
		"TASKS_TABLE": "tasks", "TASK_RETENTION": "168h", "TASKS_QUEUE_URL": aws.URL + "/1/tasks", "BACKLOG_QUEUE_URL": aws.URL + "/1/backlog",
		"DEAD_LETTER_QUEUE_URL": aws.URL + "/1/dead-letter", "MAX_ATTEMPTS": "5", "MAX_RECEIVE_COUNT": "100", "RETRY_BASE_DELAY": "2s",
		"RETRY_MAX_DELAY": "15m", "BACKLOG_AFTER": "5m", "WEBHOOK_TIMEOUT": "10s", "WEBHOOK_SECRET_ARN": "arn:aws:secretsmanager:us-east-1:1:secret:s",
		"ALLOW_PRIVATE_WEBHOOK_TARGETS": "false", "TRIP_SAGA_ARN": "arn:aws:states:us-east-1:123456789012:stateMachine:trip", "RESERVATIONS_TABLE": "reservations",
	})
	out, err := lambda.NewHandler(handler).Invoke(t.Context(), []byte(`{"Records":[]}`))
	if err != nil || string(out) != `{"batchItemFailures":[]}` {
		t.Errorf("answer %s, %v", out, err)
	}
	if got := aws.Calls(); len(got) > 0 {
		t.Errorf("an empty batch costs %v", got)
	}
}

// message is the task in the sample event.
func message() workqueue.Message {
	created := time.Date(2026, 7, 1, 9, 30, 0, 0, time.UTC)
	return workqueue.Message{
		Version: workqueue.Version, TaskID: "01KWEG73E0EDR6JV3CEXGQJRB2", Run: 1, Type: webhook.Type, Tenant: "AROAEXAMPLEEXAMPLE123",
		CreatedAt: created, Deadline: created.AddDate(0, 0, 7), Priority: task.Normal, Origin: "spillway-tasks",
		Input: json.RawMessage(`{"url":"https://example.com/hooks","event":"invoice.paid","payload":{"invoice":"in_1","total":1999}}`),
	}
}

// delivery is the message as Lambda hands it over.
func delivery(t *testing.T) events.SQSEvent {
	t.Helper()
	out, err := workqueue.Encode(message())
	if err != nil {
		t.Fatal(err)
	}
	rec := events.SQSMessage{
		MessageId:     "059f36b4-87a3-44ab-83d2-661975830a7d",
		ReceiptHandle: "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0aEXAMPLE",
		Body:          out.Body,
		Md5OfBody:     sum(md5.New(), out.Body),
		Attributes: map[string]string{
			"ApproximateReceiveCount": "1", "SentTimestamp": "1782898200041", "SenderId": "AROAEXAMPLESUBMIT0000:spillway-SubmitFunction",
			"ApproximateFirstReceiveTimestamp": "1782898200057", "MessageGroupId": out.Group,
		},
		MessageAttributes: map[string]events.SQSMessageAttribute{},
		EventSourceARN:    "arn:aws:sqs:us-east-1:123456789012:spillway-tasks",
		EventSource:       "aws:sqs",
		AWSRegion:         "us-east-1",
	}
	// MD5 of each name, type and value with its length, in the order of names
	// (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html).
	h := md5.New()
	for _, name := range slices.Sorted(maps.Keys(out.Attributes)) {
		v := out.Attributes[name]
		rec.MessageAttributes[name] = events.SQSMessageAttribute{
			StringValue: v.StringValue, StringListValues: []string{}, BinaryListValues: [][]byte{}, DataType: *v.DataType,
		}
		field(h, name)
		field(h, *v.DataType)
		h.Write([]byte{1}) // a string
		field(h, *v.StringValue)
	}
	rec.Md5OfMessageAttributes = sum(h, "")
	return events.SQSEvent{Records: []events.SQSMessage{rec}}
}

func field(h hash.Hash, s string) {
	h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(s))))
	h.Write([]byte(s))
}

func sum(h hash.Hash, s string) string {
	h.Write([]byte(s))
	return hex.EncodeToString(h.Sum(nil))
}

func TestSample(t *testing.T) {
	t.Parallel()
	want := delivery(t)
	if *update {
		text, err := json.MarshalIndent(want, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(sample, append(text, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(sample)
	if err != nil {
		t.Fatal(err)
	}
	var got events.SQSEvent
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("worker.json, rewrite it with -update (-got +want):\n%s", diff)
	}
	messages, err := event.SQS(text)
	if err != nil || len(messages) != 1 {
		t.Fatal(messages, err)
	}
	m, err := workqueue.DecodeRecord(&messages[0])
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(m, message()); diff != "" {
		t.Errorf("message (-got +want):\n%s", diff)
	}
	if err := handlers.Mux(handlers.Checks()).Check(m.Type, m.Input); err != nil {
		t.Errorf("the worker would refuse it: %v", err)
	}
}
