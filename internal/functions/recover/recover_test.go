package recover

import (
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/spillway-go/spillway/internal/app/apptest"
)

func TestSetup(t *testing.T) {
	t.Parallel()
	aws := apptest.NewFake(nil)
	handler := lambda.NewHandler(apptest.Check(t, aws, Setup, "RecoverFunction", map[string]string{"TASKS_TABLE": "tasks"}))
	for _, tt := range []struct {
		sample string
		calls  []string
	}{
		{"recover", []string{"GetItem"}},                   // it ended by itself: what it did, it undid
		{"aborted", []string{"GetItem", "StartExecution"}}, // there is no such task: nobody knows that it succeeded
	} {
		before := len(aws.Operations())
		if out, err := handler.Invoke(t.Context(), apptest.Sample(t, tt.sample)); err != nil || string(out) != "null" {
			t.Errorf("%s: answer %s, %v", tt.sample, out, err)
		}
		if got := aws.Operations()[before:]; !slices.Equal(got, tt.calls) {
			t.Errorf("%s costs %v, want %v", tt.sample, got, tt.calls)
		}
	}
}

// Where the task is open, an execution cleans up after the aborted one; and
// after the other, which has ended without writing its task.
func TestRecovers(t *testing.T) {
	t.Parallel()
	for sample, id := range map[string]string{"recover": "01KWEG8Y106S6Y1T5Q9W3V7R2K", "aborted": "01KWEGSDC0X7M3P5B8N2H4J6C9"} {
		aws := apptest.NewFake(map[string][]string{
			"GetItem": {`{"Item":{"id":{"S":"` + id + `"},"run":{"N":"1"},"status":{"S":"running"},"type":{"S":"trip.book"},"deadline":{"N":"4102444800000"},"expires_at":{"N":"4102444800"}}}`},
		})
		handler, err := Setup(aws.Env(map[string]string{"TASKS_TABLE": "tasks"}))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := lambda.NewHandler(handler).Invoke(t.Context(), apptest.Sample(t, sample)); err != nil {
			t.Fatal(err)
		}
		started := strings.Join(aws.Sent("StartExecution"), "\n")
		for _, want := range []string{`"name":"` + id + `-1-recover-1"`, `stateMachine:TripSaga-3k1QmXq0RrZb"`, `\"recover\":true`} {
			if !strings.Contains(started, want) {
				t.Errorf("started %s, without %s", started, want)
			}
		}
	}
}
