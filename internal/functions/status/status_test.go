package status

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"

	"github.com/spillway-go/spillway/internal/app/apptest"
	"github.com/spillway-go/spillway/pkg/task"
)

func TestSetup(t *testing.T) {
	t.Parallel()
	aws := apptest.NewFake(nil)
	handler := lambda.NewHandler(apptest.Check(t, aws, Setup, "StatusFunction", map[string]string{"TASKS_TABLE": "tasks", "TASK_RETENTION": "168h"}))

	for name, want := range map[string]string{
		"status": `"statusCode":404,"headers":{"Cache-Control":"no-store","Content-Type":"application/problem+json"}`,
		"list":   `"body":"{\"tasks\":[]}"`,
	} {
		out, err := handler.Invoke(t.Context(), apptest.Sample(t, name))
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: answer %s, %v", name, out, err)
		}
	}
	if got := strings.Join(aws.Operations(), " "); !strings.Contains(got, "GetItem") || !strings.Contains(got, "Query") {
		t.Errorf("calls %s", got)
	}
}

// The sample's caller asks for its task as it is at the end of the story.
func TestSample(t *testing.T) {
	t.Parallel()
	row := strings.Replace(apptest.Image(t, "NewImage"), `"1783503000"`, strconv.Quote(strconv.FormatInt(time.Now().Add(time.Hour).Unix(), 10)), 1)
	aws := apptest.NewFake(map[string][]string{"GetItem": {`{"Item":` + row + `}`}})
	values := map[string]string{"TASKS_TABLE": "tasks", "TASK_RETENTION": "168h"}
	handler, err := Setup(aws.Env(values))
	if err != nil {
		t.Fatal(err)
	}
	out, err := lambda.NewHandler(handler).Invoke(t.Context(), apptest.Sample(t, "status"))
	if err != nil {
		t.Fatal(err)
	}
	var answer events.APIGatewayProxyResponse
	var got task.Task
	if err := json.Unmarshal(out, &answer); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(answer.Body), &got); err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode != http.StatusOK || got.ID != "01KWEG73E0EDR6JV3CEXGQJRB2" || got.Status != task.Succeeded || !strings.Contains(string(got.Result), `"status":204`) {
		t.Errorf("answer %s", out)
	}
}
