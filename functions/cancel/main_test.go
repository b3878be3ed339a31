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
	handler := apptest.Check(t, setup, "CancelFunction", map[string]string{"TASKS_TABLE": "tasks", "TASK_RETENTION": "168h"})

	event, err := os.ReadFile("../../events/cancel.json")
	if err != nil {
		t.Fatal(err)
	}
	out, err := lambda.NewHandler(handler).Invoke(t.Context(), event)
	if err != nil || !strings.Contains(string(out), `"statusCode":404`) {
		t.Errorf("answer %s, %v", out, err)
	}
	if got := aws.Calls(); !slices.Equal(got, []string{"GetItem"}) {
		t.Errorf("calls %v", got)
	}
}
