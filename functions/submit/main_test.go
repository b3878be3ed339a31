package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/spillway-go/spillway/internal/app/apptest"
)

func TestSetup(t *testing.T) {
	aws := apptest.NewAWS(t)
	apptest.Hermetic(t, aws.URL)
	handler := apptest.Check(t, setup, "SubmitFunction", map[string]string{
		"TASKS_TABLE": "tasks", "TASK_RETENTION": "168h", "TASKS_QUEUE_URL": aws.URL + "/1/tasks", "BACKLOG_QUEUE_URL": aws.URL + "/1/backlog",
		"MAX_INPUT_BYTES": "262144", "ENDPOINT_URL": "http://127.0.0.1:4566",
	}, "ENDPOINT_URL")

	event, err := os.ReadFile("../../events/submit.json")
	if err != nil {
		t.Fatal(err)
	}
	out, err := lambda.NewHandler(handler).Invoke(t.Context(), event)
	if err != nil || !strings.Contains(string(out), `"statusCode":202`) || !strings.Contains(string(out), `"Location":"http://127.0.0.1:4566/restapis/`) {
		t.Errorf("answer %s, %v", out, err)
	}
	if got := aws.Calls(); !slices.Equal(got, []string{"PutItem", "PutItem", "SendMessage"}) {
		t.Errorf("calls %v", got)
	}
}
