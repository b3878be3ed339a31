package main

import (
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/spillway-go/spillway/internal/app/apptest"
)

func TestSetup(t *testing.T) {
	aws := apptest.NewAWS(t)
	apptest.Hermetic(t, aws.URL)
	handler := lambda.NewHandler(apptest.Check(t, setup, "StatusFunction", map[string]string{"TASKS_TABLE": "tasks", "TASK_RETENTION": "168h"}))

	for name, want := range map[string]string{"status": `"statusCode":404`, "list": `"statusCode":200`} {
		event, err := os.ReadFile("../../events/" + name + ".json")
		if err != nil {
			t.Fatal(err)
		}
		out, err := handler.Invoke(t.Context(), event)
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: answer %s, %v", name, out, err)
		}
	}
	if got := strings.Join(aws.Calls(), " "); !strings.Contains(got, "GetItem") || !strings.Contains(got, "Query") {
		t.Errorf("calls %s", got)
	}
}
