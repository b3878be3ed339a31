package rescue

import (
	"bytes"
	"crypto/md5"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	gocmp "github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/internal/app/apptest"
	"github.com/spillway-go/spillway/pkg/event"
	"github.com/spillway-go/spillway/pkg/rescue"
)

var update = flag.Bool("update", false, "write events/rescue.json anew")

const sample = "../../../events/rescue.json"

func TestSetup(t *testing.T) {
	t.Parallel()
	aws := apptest.NewFake(nil)
	handler := apptest.Check(t, aws, Setup, "RescueFunction", map[string]string{
		"CONTROL_TABLE": "control", "ARCHIVE_BUCKET": "archive", "STREAM_FAILURES_QUEUE_URL": apptest.URL + "/1/stream-failures",
	})
	out, err := lambda.NewHandler(handler).Invoke(t.Context(), []byte(`{"Records":[]}`))
	if err != nil || string(out) != `{"batchItemFailures":[]}` {
		t.Errorf("answer %s, %v", out, err)
	}
	if got := aws.Operations(); len(got) > 0 {
		t.Errorf("an empty batch costs %v", got)
	}
}

// The records that notify would have got are archived; those of a kind of stream
// that the stack does not have are not looked for.
func TestRescue(t *testing.T) {
	t.Parallel()
	record := func(n, more string) string {
		return `{"eventID":"e` + n + `","eventName":"MODIFY","dynamodb":{"SequenceNumber":"` + n + `","Keys":{"id":{"S":"t` + n + `"}},` +
			`"NewImage":{"id":{"S":"t` + n + `"},"run":{"N":"1"},"status":{"S":"failed"}` + more + `}}}`
	}
	const callback = `,"callback_url":{"S":"https://example.com/done"}`
	aws := apptest.NewFake(map[string][]string{
		"GetShardIterator": {`{"ShardIterator":"i"}`},
		"GetRecords":       {`{"Records":[` + record("3", callback) + "," + record("4", "") + "," + record("5", callback) + `]}`},
	})
	values := map[string]string{"CONTROL_TABLE": "control", "ARCHIVE_BUCKET": "archive", "STREAM_FAILURES_QUEUE_URL": apptest.URL + "/1/stream-failures"}
	handler, err := Setup(aws.Env(values))
	if err != nil {
		t.Fatal(err)
	}
	ofTable := strings.NewReplacer(`"startSequenceNumber":"4421584500000000017450439091"`, `"startSequenceNumber":"3"`,
		`"endSequenceNumber":"4421584500000000017450439091"`, `"endSequenceNumber":"5"`).Replace(document)
	ofKinesis := strings.NewReplacer("DDBStreamBatchInfo", "KinesisBatchInfo",
		"arn:aws:dynamodb:us-east-1:123456789012:table/spillway-TasksTable-1ABCDEF/stream/2026-07-01T00:00:00.000", "arn:aws:kinesis:us-east-1:123456789012:stream/s").Replace(document)
	for body, want := range map[string][]string{
		ofTable:   {"GetShardIterator", "GetRecords", "PutItem", "PutItem", "BatchWriteItem"},
		ofKinesis: {"BatchWriteItem"},
	} {
		before := len(aws.Operations())
		batch := delivery()
		batch.Records[0].Body = body
		payload, err := json.Marshal(batch)
		if err != nil {
			t.Fatal(err)
		}
		out, err := lambda.NewHandler(handler).Invoke(t.Context(), payload)
		calls := aws.Operations()[before:]
		if err != nil || string(out) != `{"batchItemFailures":[]}` || !slices.Equal(calls, want) {
			t.Errorf("answer %s, %v, and costs %v, want %v", out, err, calls, want)
		}
	}
}

// The sample's range holds the record of notify.json, which comes into the
// archive as it is.
func TestSampleIsRescued(t *testing.T) {
	t.Parallel()
	var event struct{ Records []json.RawMessage }
	if err := json.Unmarshal(apptest.Sample(t, "notify"), &event); err != nil {
		t.Fatal(err)
	}
	aws := apptest.NewFake(map[string][]string{
		"GetShardIterator": {`{"ShardIterator":"i"}`}, "GetRecords": {`{"Records":[` + string(event.Records[0]) + `]}`},
	})
	values := map[string]string{"CONTROL_TABLE": "control", "ARCHIVE_BUCKET": "archive", "STREAM_FAILURES_QUEUE_URL": apptest.URL + "/1/stream-failures"}
	handler, err := Setup(aws.Env(values))
	if err != nil {
		t.Fatal(err)
	}
	out, err := lambda.NewHandler(handler).Invoke(t.Context(), apptest.Sample(t, "rescue"))
	if err != nil || string(out) != `{"batchItemFailures":[]}` {
		t.Errorf("answer %s, %v", out, err)
	}
	if got := aws.Sent("GetShardIterator"); len(got) != 1 || !strings.Contains(got[0], `"AT_SEQUENCE_NUMBER"`) || !strings.Contains(got[0], `"4421584500000000017450439091"`) {
		t.Errorf("read from %v", got)
	}
	if got := aws.Sent("PutItem"); len(got) != 1 || !strings.Contains(got[0], `"4421584500000000017450439091"`) {
		t.Errorf("archived %v", got)
	}
	if got := aws.Sent("BatchWriteItem"); len(got) != 1 || !strings.Contains(got[0], `"state":{"S":"archived"}`) {
		t.Errorf("noted of the range: %v", got)
	}
}

// document is what Lambda sends about a record of the tasks table's stream that
// crashed the function: the sample's message.
const document = `{"requestContext":{"requestId":"8b1d7f1c-2f0c-4c09-9a0e-0f5f8f0d2a11",` +
	`"functionArn":"arn:aws:lambda:us-east-1:123456789012:function:spillway-NotifyFunction-3vXbQd0aLm2T","condition":"RetryAttemptsExhausted","approximateInvokeCount":6},` +
	`"responseContext":{"statusCode":200,"executedVersion":"$LATEST","functionError":"Unhandled"},"version":"1.0","timestamp":"2026-07-01T09:31:04.104Z",` +
	`"DDBStreamBatchInfo":{"shardId":"shardId-00000001782898100104-1f0b8ab4","startSequenceNumber":"4421584500000000017450439091",` +
	`"endSequenceNumber":"4421584500000000017450439091","approximateArrivalOfFirstRecord":"2026-07-01T09:30:00Z","approximateArrivalOfLastRecord":"2026-07-01T09:30:00Z",` +
	`"batchSize":1,"streamArn":"arn:aws:dynamodb:us-east-1:123456789012:table/spillway-TasksTable-1ABCDEF/stream/2026-07-01T00:00:00.000"}}`

// delivery is the message as Lambda hands it over.
func delivery() events.SQSEvent {
	return events.SQSEvent{Records: []events.SQSMessage{{
		MessageId:     "2e1424d4-f796-459a-8184-9c92662be6da",
		ReceiptHandle: "AQEBzWwaftRI0KuVm4tP+/7q1rGgNqicHqEXAMPLE",
		Body:          document,
		Md5OfBody:     fmt.Sprintf("%x", md5.Sum([]byte(document))),
		Attributes: map[string]string{
			"ApproximateReceiveCount": "1", "SentTimestamp": "1782898264141", "SenderId": "AROAEXAMPLENOTIFY0000:awslambda_123_20260701093104104",
			"ApproximateFirstReceiveTimestamp": "1782898264157",
		},
		MessageAttributes: map[string]events.SQSMessageAttribute{},
		EventSourceARN:    "arn:aws:sqs:us-east-1:123456789012:spillway-stream-failures",
		EventSource:       "aws:sqs",
		AWSRegion:         "us-east-1",
	}}}
}

func TestSample(t *testing.T) {
	t.Parallel()
	want := delivery()
	if *update {
		text, err := json.MarshalIndent(want, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		// SQS has no digest of attributes that there are not.
		text = bytes.Replace(text, []byte(`"md5OfMessageAttributes": ""`), []byte(`"md5OfMessageAttributes": null`), 1)
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
	if diff := gocmp.Diff(got, want); diff != "" {
		t.Errorf("rescue.json, rewrite it with -update (-got +want):\n%s", diff)
	}
	messages, err := event.SQS(text)
	if err != nil || len(messages) != 1 {
		t.Fatal(messages, err)
	}
	r, err := rescue.ParseFailureDocument([]byte(messages[0].Body))
	if err != nil || r.Stream() != "spillway-TasksTable-1ABCDEF" || r.Records != 1 {
		t.Errorf("%+v, %v", r, err)
	}
}
