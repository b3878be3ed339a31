package worker

import (
	"crypto/md5"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"flag"
	"hash"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	gocmp "github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/internal/app"
	"github.com/spillway-go/spillway/internal/app/apptest"
	"github.com/spillway-go/spillway/internal/handlers"
	"github.com/spillway-go/spillway/pkg/event"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/webhook"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

var update = flag.Bool("update", false, "write events/worker.json anew")

const sample = "../../../events/worker.json"

func TestSetup(t *testing.T) {
	t.Parallel()
	aws := apptest.NewFake(nil)
	handler := apptest.Check(t, aws, Setup, "WorkerFunction", map[string]string{
		"TASKS_TABLE": "tasks", "TASK_RETENTION": "168h", "TASKS_QUEUE_URL": apptest.URL + "/1/tasks", "BACKLOG_QUEUE_URL": apptest.URL + "/1/backlog",
		"DEAD_LETTER_QUEUE_URL": apptest.URL + "/1/dead-letter", "MAX_ATTEMPTS": "5", "MAX_RECEIVE_COUNT": "100", "RETRY_BASE_DELAY": "2s",
		"RETRY_MAX_DELAY": "15m", "BACKLOG_AFTER": "5m", "WEBHOOK_TIMEOUT": "10s", "WEBHOOK_SECRET_ARN": "arn:aws:secretsmanager:us-east-1:1:secret:s",
		"WEBHOOK_SECRET_TTL": "5m", "ALLOW_PRIVATE_WEBHOOK_TARGETS": "false", "TRIP_SAGA_ARN": "arn:aws:states:us-east-1:123456789012:stateMachine:trip", "RESERVATIONS_TABLE": "reservations",
	})
	out, err := lambda.NewHandler(handler).Invoke(t.Context(), []byte(`{"Records":[]}`))
	if err != nil || string(out) != `{"batchItemFailures":[]}` {
		t.Errorf("answer %s, %v", out, err)
	}
	if got := aws.Operations(); len(got) > 0 {
		t.Errorf("an empty batch costs %v", got)
	}
}

// environment of a worker that may deliver to this machine.
func environment(url string) map[string]string {
	return map[string]string{
		"AWS_ENDPOINT_URL": url, "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
		"TASKS_TABLE": "tasks", "TASK_RETENTION": "168h", "TASKS_QUEUE_URL": url + "/1/spillway-tasks", "BACKLOG_QUEUE_URL": url + "/1/spillway-backlog",
		"DEAD_LETTER_QUEUE_URL": url + "/1/dead-letter", "MAX_ATTEMPTS": "5", "MAX_RECEIVE_COUNT": "100", "RETRY_BASE_DELAY": "2s",
		"RETRY_MAX_DELAY": "15m", "BACKLOG_AFTER": "5m", "WEBHOOK_TIMEOUT": "10s", "WEBHOOK_SECRET_ARN": "arn:aws:secretsmanager:us-east-1:1:secret:s",
		"WEBHOOK_SECRET_TTL": "5m", "ALLOW_PRIVATE_WEBHOOK_TARGETS": "true", "TRIP_SAGA_ARN": "arn:aws:states:us-east-1:123456789012:stateMachine:trip", "RESERVATIONS_TABLE": "reservations",
	}
}

// today is a text of the samples as if the task had been submitted just now.
func today(text string) string {
	now := time.Now().UTC()
	later := now.AddDate(0, 0, 7)
	return strings.NewReplacer(
		"2026-07-01T09:30:00.000Z", now.Format("2006-01-02T15:04:05.000Z"), "2026-07-08T09:30:00.000Z", later.Format("2006-01-02T15:04:05.000Z"),
		`"1782898320214"`, strconv.Quote(strconv.FormatInt(now.Add(2*time.Minute).UnixMilli(), 10)),
		`"1783503000000"`, strconv.Quote(strconv.FormatInt(later.UnixMilli(), 10)), `"1784107800"`, strconv.Quote(strconv.FormatInt(later.AddDate(0, 0, 7).Unix(), 10)),
	).Replace(text)
}

// The sample's webhook is delivered, signed, and its task ends as notify.json
// tells, but for the times; with a receiver on this machine.
func TestSampleIsDelivered(t *testing.T) {
	t.Parallel()
	type delivery struct {
		header http.Header
		body   string
	}
	got := make(chan delivery, 2)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got <- delivery{r.Header, string(body)}
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(receiver.Close)
	here := func(text string) string {
		return strings.Replace(today(text), "https://billing.example", receiver.URL, 1)
	}

	const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	aws := apptest.NewFake(map[string][]string{
		"UpdateItem":     {`{"Attributes":` + here(apptest.Image(t, "OldImage")) + `}`},
		"GetSecretValue": {`{"SecretString":"{\"current\":\"` + secret + `\",\"previous\":\"\"}"}`},
	})
	answer := handle(t, aws, here(string(apptest.Sample(t, "worker"))))
	if answer != `{"batchItemFailures":[]}` {
		t.Errorf("answer %s", answer)
	}
	if len(got) != 1 {
		t.Fatalf("%d deliveries", len(got))
	}
	d := <-got
	var payload struct {
		Type string
		Data json.RawMessage
	}
	if err := json.Unmarshal([]byte(d.body), &payload); err != nil || payload.Type != "invoice.paid" || string(payload.Data) != `{"invoice":"in_1","total":1999}` {
		t.Errorf("delivered %s, %v", d.body, err)
	}
	seconds, err := strconv.ParseInt(d.header.Get("Webhook-Timestamp"), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	id := message().TaskID + "-1"
	key, err := webhook.ParseSecret(secret)
	if err != nil {
		t.Fatal(err)
	}
	signature, err := key.Sign(id, time.Unix(seconds, 0), []byte(d.body))
	if err != nil || d.header.Get("Webhook-Id") != id || d.header.Get("Webhook-Signature") != signature {
		t.Errorf("headers %v, want the signature %s, %v", d.header, signature, err)
	}
	writes := aws.Sent("UpdateItem") // the claim, the end
	if len(writes) != 2 || !strings.Contains(writes[0], `"running"`) || !strings.Contains(writes[1], `"succeeded"`) || !strings.Contains(writes[1], `\"status\":204`) {
		t.Errorf("written: %q", writes)
	}
}

// A message whose task there is not becomes a dead letter that says so.
func TestSampleWithoutTask(t *testing.T) {
	t.Parallel()
	aws := apptest.NewFake(map[string][]string{"UpdateItem": {`ConditionalCheckFailedException {}`}})
	if answer := handle(t, aws, today(string(apptest.Sample(t, "worker")))); answer != `{"batchItemFailures":[]}` {
		t.Errorf("answer %s", answer)
	}
	letters := aws.Sent("SendMessage")
	if len(letters) != 1 || !strings.Contains(letters[0], `/1/dead-letter"`) || !strings.Contains(letters[0], `"StringValue":"foreign_message"`) || !strings.Contains(letters[0], message().TaskID) {
		t.Errorf("letters: %q", letters)
	}
}

// handle gives the worker an event.
func handle(t *testing.T, aws *apptest.Fake, event string) (answer string) {
	t.Helper()
	server := httptest.NewServer(aws) // a transport would take the webhook's place as well, without its guard
	t.Cleanup(server.Close)
	values := environment(server.URL)
	handler, err := Setup(app.NewEnv(func(name string) string { return values[name] }))
	if err != nil {
		t.Fatal(err)
	}
	out, err := lambda.NewHandler(handler).Invoke(t.Context(), []byte(event))
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// message is the task in the sample event.
func message() workqueue.Message {
	created := time.Date(2026, 7, 1, 9, 30, 0, 0, time.UTC)
	return workqueue.Message{
		Version: workqueue.Version, TaskID: "01KWEG73E0EDR6JV3CEXGQJRB2", Run: 1, Type: webhook.Type, Tenant: "AROAEXAMPLEEXAMPLE123",
		CreatedAt: created, Deadline: created.AddDate(0, 0, 7), Priority: task.Normal, Origin: "spillway-tasks",
		Input: json.RawMessage(`{"url":"https://billing.example/hooks","event":"invoice.paid","payload":{"invoice":"in_1","total":1999}}`),
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
			"ApproximateReceiveCount": "1", "SentTimestamp": "1782898200041", "SenderId": "AROAEXAMPLESUBMIT0000:spillway-SubmitFunction-8kQ2mZr4TtVw",
			"ApproximateFirstReceiveTimestamp": "1782898200057", "MessageGroupId": out.Group,
			"AWSTraceHeader": "Root=1-6a44de18-0123456789abcdef01234567;Parent=53995c3f42cd8ad8;Sampled=1",
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
	if diff := gocmp.Diff(got, want); diff != "" {
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
	if diff := gocmp.Diff(m, message()); diff != "" {
		t.Errorf("message (-got +want):\n%s", diff)
	}
	if err := handlers.Mux(handlers.Checks()).Check(m.Type, m.Input); err != nil {
		t.Errorf("the worker would refuse it: %v", err)
	}
}
