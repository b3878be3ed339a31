package submit

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	gocmp "github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/internal/app/apptest"
	"github.com/spillway-go/spillway/pkg/task"
)

func environment() map[string]string {
	return map[string]string{
		"TASKS_TABLE": "tasks", "TASK_RETENTION": "168h", "TASKS_QUEUE_URL": apptest.URL + "/123456789012/spillway-tasks",
		"BACKLOG_QUEUE_URL": apptest.URL + "/123456789012/spillway-backlog", "MAX_INPUT_BYTES": "262144",
	}
}

func TestSetup(t *testing.T) {
	t.Parallel()
	aws := apptest.NewFake(nil)
	values := environment()
	values["ENDPOINT_URL"] = "http://127.0.0.1:4566"
	handler := apptest.Check(t, aws, Setup, "SubmitFunction", values, "ENDPOINT_URL")
	out, err := lambda.NewHandler(handler).Invoke(t.Context(), apptest.Sample(t, "submit"))
	if err != nil || !strings.Contains(string(out), `"statusCode":202`) || !strings.Contains(string(out), `"Location":"http://127.0.0.1:4566/restapis/`) {
		t.Errorf("answer %s, %v", out, err)
	}
	if got := aws.Operations(); !slices.Equal(got, []string{"PutItem", "PutItem", "SendMessage"}) {
		t.Errorf("calls %v", got)
	}
}

// The sample is accepted on AWS, and becomes the row and the message of the
// other samples.
func TestSample(t *testing.T) {
	t.Parallel()
	aws := apptest.NewFake(nil)
	values := environment()
	handler, err := Setup(aws.Env(values))
	if err != nil {
		t.Fatal(err)
	}
	out, err := lambda.NewHandler(handler).Invoke(t.Context(), apptest.Sample(t, "submit"))
	if err != nil {
		t.Fatal(err)
	}
	var answer events.APIGatewayProxyResponse
	if err := json.Unmarshal(out, &answer); err != nil {
		t.Fatal(err)
	}
	var accepted task.Task
	if err := json.Unmarshal([]byte(answer.Body), &accepted); err != nil || accepted.ID == "" || accepted.Status != task.Queued {
		t.Fatalf("answer %s, %v", out, err)
	}
	if _, err := strconv.Atoi(answer.Headers["Retry-After"]); answer.StatusCode != http.StatusAccepted || err != nil ||
		answer.Headers["Location"] != "https://abcdef1234.execute-api.us-east-1.amazonaws.com/v1/tasks/"+accepted.ID {
		t.Errorf("answer %s", out)
	}

	row := decode[struct{ Item map[string]any }](t, aws.Sent("PutItem")[1]).Item
	before := decode[struct {
		Records []struct {
			Dynamodb struct{ OldImage map[string]any }
		}
	}](t, string(apptest.Sample(t, "notify"))).Records[0].Dynamodb.OldImage
	for _, name := range []string{"input", "callback_url", "type", "run"} {
		if diff := gocmp.Diff(row[name], before[name]); diff != "" {
			t.Errorf("%s of the row (-got +notify.json):\n%s", name, diff)
		}
	}

	sent := decode[struct {
		MessageBody, MessageGroupId string
		MessageAttributes           map[string]struct{ StringValue, DataType string }
	}](t, aws.Sent("SendMessage")[0])
	message := decode[events.SQSEvent](t, string(apptest.Sample(t, "worker"))).Records[0]
	body, want := decode[map[string]any](t, sent.MessageBody), decode[map[string]any](t, message.Body)
	if body["task_id"] != accepted.ID || sent.MessageGroupId != message.Attributes["MessageGroupId"] {
		t.Errorf("message %+v", sent)
	}
	for _, name := range []string{"task_id", "created_at", "deadline"} { // are those of today's task
		body[name] = want[name]
	}
	if diff := gocmp.Diff(body, want); diff != "" {
		t.Errorf("body (-got +worker.json):\n%s", diff)
	}
	for name, want := range message.MessageAttributes {
		got := sent.MessageAttributes[name]
		if got.DataType != want.DataType || got.StringValue != *want.StringValue && name != "task_id" {
			t.Errorf("attribute %s is %+v, in worker.json %s %s", name, got, want.DataType, *want.StringValue)
		}
	}
	if len(sent.MessageAttributes) != len(message.MessageAttributes) {
		t.Errorf("attributes %v", slices.Sorted(maps.Keys(sent.MessageAttributes)))
	}
}

func decode[T any](t *testing.T, text string) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}
