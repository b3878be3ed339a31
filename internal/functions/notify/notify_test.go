package notify

import (
	"encoding/json"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	gocmp "github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/internal/app/apptest"
	"github.com/spillway-go/spillway/pkg/event"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/tasktable/tasktabletest"
	"github.com/spillway-go/spillway/pkg/webhook"
)

var update = flag.Bool("update", false, "write events/notify.json anew")

const sample = "../../../events/notify.json"

func TestSetup(t *testing.T) {
	t.Parallel()
	aws := apptest.NewFake(nil)
	handler := lambda.NewHandler(apptest.Check(t, aws, Setup, "NotifyFunction", map[string]string{
		"TASKS_TABLE": "tasks", "TASK_RETENTION": "168h", "TASKS_QUEUE_URL": apptest.URL + "/1/tasks", "BACKLOG_QUEUE_URL": apptest.URL + "/1/backlog",
		"CONTROL_TABLE": "control", "ARCHIVE_BUCKET": "archive",
	}))
	text, err := os.ReadFile(sample)
	if err != nil {
		t.Fatal(err)
	}
	good := string(text)
	bad := strings.Replace(good, `"attempts": {`, `"attempts": 1, "x": {`, 1)
	told := []string{"PutItem", "SendMessage", "UpdateItem"} // the delivery's row and message, the position
	for name, tt := range map[string]struct {
		event, answer string
		calls         []string
	}{
		"nothing":          {`{"Records":[]}`, `{"batchItemFailures":[]}`, nil},
		"an end":           {good, `{"batchItemFailures":[]}`, told},
		"an end again":     {replay(t, good), `{"batchItemFailures":[]}`, told},
		"poison":           {bad, `{"batchItemFailures":[]}`, []string{"PutItem"}}, // into the archive
		"poison, replayed": {replay(t, bad), `{"batchItemFailures":[{"itemIdentifier":"` + sequence + `"}]}`, nil},
	} {
		before := len(aws.Operations())
		out, err := handler.Invoke(t.Context(), []byte(tt.event))
		if err != nil || string(out) != tt.answer {
			t.Errorf("%s: answer %s, %v, want %s", name, out, err, tt.answer)
		}
		if got := aws.Operations()[before:]; !slices.Equal(got, tt.calls) {
			t.Errorf("%s costs %v, want %v", name, got, tt.calls)
		}
	}
}

// The sample's end becomes the delivery of its callback.
func TestSampleIsTold(t *testing.T) {
	t.Parallel()
	aws := apptest.NewFake(nil)
	values := map[string]string{
		"TASKS_TABLE": "tasks", "TASK_RETENTION": "168h", "TASKS_QUEUE_URL": apptest.URL + "/1/tasks", "BACKLOG_QUEUE_URL": apptest.URL + "/1/backlog",
		"CONTROL_TABLE": "control", "ARCHIVE_BUCKET": "archive",
	}
	handler, err := Setup(aws.Env(values))
	if err != nil {
		t.Fatal(err)
	}
	out, err := lambda.NewHandler(handler).Invoke(t.Context(), apptest.Sample(t, "notify"))
	if err != nil || string(out) != `{"batchItemFailures":[]}` {
		t.Errorf("answer %s, %v", out, err)
	}
	var sent struct{ MessageBody string }
	var body struct {
		Type, Tenant string
		Input        struct {
			URL, Event string
			Payload    task.Task
		}
	}
	if err := json.Unmarshal([]byte(aws.Sent("SendMessage")[0]), &sent); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(sent.MessageBody), &body); err != nil {
		t.Fatal(err)
	}
	if body.Type != webhook.Type || body.Tenant != "AROAEXAMPLEEXAMPLE123" || body.Input.URL != "https://billing.example/tasks" || body.Input.Event != "task.succeeded" ||
		body.Input.Payload.ID != taskID || body.Input.Payload.Result == nil {
		t.Errorf("sent %s", sent.MessageBody)
	}
}

// replay is an event as a replay hands it over.
func replay(t *testing.T, text string) string {
	t.Helper()
	var e map[string]any
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		t.Fatal(err)
	}
	e["replay"] = true
	marked, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return string(marked)
}

const (
	taskID   = "01KWEG73E0EDR6JV3CEXGQJRB2"
	sequence = "4421584500000000017450439091"
)

// change is the end of a task as the stream has it: the sample's only record.
func change(t *testing.T) events.DynamoDBEventRecord {
	t.Helper()
	rec := events.DynamoDBEventRecord{
		AWSRegion: "us-east-1", EventID: "c4ca4238a0b923820dcc509a6f75849b", EventName: "MODIFY", EventSource: "aws:dynamodb", EventVersion: "1.1",
		EventSourceArn: "arn:aws:dynamodb:us-east-1:123456789012:table/spillway-TasksTable-1ABCDEF/stream/2026-07-01T00:00:00.000",
	}
	synctest.Test(t, func(t *testing.T) { // in which the time is what the sample says
		created := time.Date(2026, 7, 1, 9, 30, 0, 0, time.UTC)
		time.Sleep(time.Until(created))
		db := tasktabletest.NewDynamoDB()
		table := tasktable.New(db, "tasks", nil)
		_, err := table.Create(t.Context(), tasktable.Draft{
			ID: taskID, Tenant: "AROAEXAMPLEEXAMPLE123", Type: webhook.Type, Priority: task.Normal, Deadline: created.AddDate(0, 0, 7),
			Input:       json.RawMessage(`{"url":"https://billing.example/hooks","event":"invoice.paid","payload":{"invoice":"in_1","total":1999}}`),
			CallbackURL: "https://billing.example/tasks",
		})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(214 * time.Millisecond)
		claim := table.Claim(t.Context(), "k7Qx2vT9", time.Now().Add(2*time.Minute), []string{taskID})[0]
		before := db.Item(taskID)
		time.Sleep(177 * time.Millisecond)
		settled := table.Settle(t.Context(), []tasktable.Settlement{tasktable.Succeed(claim.Row, json.RawMessage(`{"status":204,"latency":"112.4ms","attempt":1}`))})[0]
		if settled.Err != nil || settled.Status != task.Succeeded {
			t.Fatal(settled)
		}
		rec.Change = events.DynamoDBStreamRecord{
			ApproximateCreationDateTime: events.SecondsEpochTime{Time: time.Now().Truncate(time.Second).UTC()},
			Keys:                        map[string]events.DynamoDBAttributeValue{"id": events.NewStringAttribute(taskID)},
			OldImage:                    image(t, before), NewImage: image(t, db.Item(taskID)),
			SequenceNumber: sequence, StreamViewType: "NEW_AND_OLD_IMAGES",
		}
		rec.Change.SizeBytes = size(rec.Change.Keys) + size(rec.Change.OldImage) + size(rec.Change.NewImage)
	})
	return rec
}

// size is what DynamoDB counts for an item: names and strings by their bytes, a
// number about a byte for two digits and one more
// (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html).
func size(image map[string]events.DynamoDBAttributeValue) (n int64) {
	for name, v := range image {
		n += int64(len(name))
		if v.DataType() == events.DataTypeNumber {
			n += int64(len(v.Number())+1)/2 + 1
		} else {
			n += int64(len(v.String()))
		}
	}
	return n
}

func image(t *testing.T, it map[string]types.AttributeValue) map[string]events.DynamoDBAttributeValue {
	t.Helper()
	out := map[string]events.DynamoDBAttributeValue{}
	for name, v := range it {
		switch v := v.(type) {
		case *types.AttributeValueMemberS:
			out[name] = events.NewStringAttribute(v.Value)
		case *types.AttributeValueMemberN:
			out[name] = events.NewNumberAttribute(v.Value)
		default:
			t.Fatalf("a row has the attribute %s of type %T", name, v)
		}
	}
	return out
}

// The sample is what today's table writes.
func TestSample(t *testing.T) {
	t.Parallel()
	want, err := json.MarshalIndent(events.DynamoDBEvent{Records: []events.DynamoDBEventRecord{change(t)}}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	if *update {
		if err := os.WriteFile(sample, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(sample)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(string(got), string(want)); diff != "" {
		t.Errorf("notify.json, rewrite it with -update (-got +want):\n%s", diff)
	}
	changes, err := event.DynamoDB(got)
	if err != nil || len(changes) != 1 {
		t.Fatal(changes, err)
	}
	row, err := tasktable.FromImage(changes[0].New)
	if err != nil || row.ID != taskID || row.Status != task.Succeeded || row.CallbackURL == "" {
		t.Errorf("the sample's row is %+v, %v", row, err)
	}
}
