package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/spillway-go/spillway/internal/app"
	"github.com/spillway-go/spillway/internal/app/apptest"
)

const sample = "../../events/recover.json"

func TestSetup(t *testing.T) {
	aws := apptest.NewAWS(t)
	apptest.Hermetic(t, aws.URL)
	handler := lambda.NewHandler(apptest.Check(t, setup, "RecoverFunction", map[string]string{"TASKS_TABLE": "tasks"}))
	event, err := os.ReadFile(sample)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := handler.Invoke(t.Context(), event); err != nil {
		t.Error(err)
	}
	if got, want := aws.Calls(), []string{"GetItem", "StartExecution"}; !slices.Equal(got, want) { // there is no such task: nobody knows that it succeeded
		t.Errorf("the sample costs %v, want %v", got, want)
	}
}

// The sample's task is open: an execution cleans up after the aborted one.
func TestRecovers(t *testing.T) {
	const row = `{"Item":{"id":{"S":"01JD8Z9X6S6Y1T5Q9W3V7R2K4M"},"run":{"N":"1"},"status":{"S":"running"},"type":{"S":"trip.book"},"deadline":{"N":"4102444800000"},"expires_at":{"N":"4102444800"}}}`
	var started string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
		answer := row
		if strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".StartExecution") {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			started, answer = string(body), `{}`
		}
		_, _ = w.Write([]byte(answer)) // a client that is gone needs no answer
	}))
	t.Cleanup(server.Close)
	apptest.Hermetic(t, server.URL)
	handler, err := setup(app.NewEnv(func(name string) string {
		if name == "TASKS_TABLE" {
			return "tasks"
		}
		return os.Getenv(name)
	}))
	if err != nil {
		t.Fatal(err)
	}
	event, err := os.ReadFile(sample)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lambda.NewHandler(handler).Invoke(t.Context(), event); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"name":"01JD8Z9X6S6Y1T5Q9W3V7R2K4M-1-recover-1"`, `stateMachine:TripSaga-3k1QmXq0RrZb"`, `\"recover\":true`} {
		if !strings.Contains(started, want) {
			t.Errorf("started %s, without %s", started, want)
		}
	}
}
