package admin

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/spillway-go/spillway/internal/app/apptest"
)

func environment() map[string]string {
	return map[string]string{
		"TASKS_TABLE": "tasks", "TASK_RETENTION": "168h", "CONTROL_TABLE": "control", "ARCHIVE_BUCKET": "archive",
		"TASKS_QUEUE_URL": apptest.URL + "/1/tasks", "BACKLOG_QUEUE_URL": apptest.URL + "/1/backlog", "DEAD_LETTER_QUEUE_URL": apptest.URL + "/1/dead-letter",
		"STREAM_FAILURES_QUEUE_URL": apptest.URL + "/1/stream-failures", "TASKS_QUEUE_ARN": "arn:aws:sqs:us-east-1:123456789012:tasks",
		"NOTIFY_FUNCTION": "notify", "CHAOS_ENABLED": "false", "RESERVATIONS_TABLE": "reservations",
		"SAGA_FAILURES_QUEUE_URL": apptest.URL + "/1/saga-failures", "TRIP_SAGA_ARN": "arn:aws:states:us-east-1:123456789012:stateMachine:trip",
	}
}

func TestSetup(t *testing.T) {
	t.Parallel()
	aws := apptest.NewFake(nil)
	handler := lambda.NewHandler(apptest.Check(t, aws, Setup, "AdminFunction", environment()))

	index := slices.Repeat([]string{"Query"}, 4) // a shard each
	for name, tt := range map[string]struct {
		event, answer string
		calls         []string
	}{
		"the sample": {
			string(apptest.Sample(t, "admin")),
			`{"ok":true,"queue":"tasks","name":"dead-letter","depth":0,"in_flight":0,"delayed":0,"oldest_age":"","groups":[],"indexed":0,"complete":true}`,
			slices.Concat([]string{"GetQueueAttributes"}, index),
		},
		"of the stream": {
			`{"command":"dlq.status","queue":"stream"}`,
			`{"ok":true,"queue":"stream","name":"stream-failures","depth":0,"in_flight":0,"delayed":0,"oldest_age":"","groups":[],"indexed":0,"complete":true}`,
			[]string{"GetQueueAttributes"},
		},
		"records": {`{"command":"stream.list"}`, `{"ok":true,"ranges":[],"records":[]}`, []string{"Query", "Query"}},
		"jobs":    {`{"command":"dlq.jobs"}`, `{"ok":true,"jobs":[]}`, []string{"Query"}},
		"letters": {string(apptest.Sample(t, "letters")), `{"ok":true,"queue":"tasks","messages":[],`, []string{"ReceiveMessage", "GetQueueAttributes"}},
		"a plan":  {string(apptest.Sample(t, "replay")), `{"ok":true,"job_id":"`, slices.Concat([]string{"GetQueueAttributes"}, index, []string{"ReceiveMessage", "GetQueueAttributes", "PutItem", "PutItem", "PutItem"})},
		"stocks":  {string(apptest.Sample(t, "stock")), `{"ok":true,"items":[{"id":"hotel-grand","available":3},`, []string{"PutItem", "PutItem", "PutItem"}},
		"task": {
			string(apptest.Sample(t, "task")),
			`{"ok":false,"code":"not_found","message":"task 01KWEG73E0EDR6JV3CEXGQJRB2: no such task"}`,
			[]string{"GetItem", "GetItem"},
		},
		"go on":  {`{"command":"job.resume","job_id":"01KWEG73E0EDR6JV3CEXGQJRB2","hop":1}`, `{"ok":true}`, []string{"GetItem"}},
		"follow": {`{"command":"job.follow","job_id":"01KWEG73E0EDR6JV3CEXGQJRB2","hop":1}`, `{"ok":true}`, []string{"GetItem"}},
		"stock":  {`{"command":"inventory.get"}`, `{"ok":true,"items":[]}`, []string{"Scan"}},
		"no faults": {
			`{"command":"chaos.set","target":"saga.BookCar","fault":"panic","times":1}`, `{"ok":false,"code":"chaos_disabled","message":"`, nil,
		},
		"no command": {`{}`, `{"ok":false,"code":"unknown_command","message":"\"command\" is missing or no text: it is one of `, nil},
	} {
		before := len(aws.Operations())
		out, err := handler.Invoke(t.Context(), []byte(tt.event))
		if err != nil || !strings.HasPrefix(string(out), tt.answer) || !json.Valid(out) {
			t.Errorf("%s: answer %s, %v, want %s", name, out, err, tt.answer)
		}
		if got := aws.Operations()[before:]; !slices.Equal(got, tt.calls) {
			t.Errorf("%s costs %v, want %v", name, got, tt.calls)
		}
	}
}

func TestSetupWithFaults(t *testing.T) {
	t.Parallel()
	aws := apptest.NewFake(nil)
	values := environment()
	values["CHAOS_ENABLED"] = "true"
	handler, err := Setup(aws.Env(values))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		event, answer string
		calls         []string
	}{
		{`{"command":"chaos.set","target":"saga.CancelHotel","fault":"panic","times":1}`, `{"ok":true,"target":"saga.CancelHotel","fault":"panic","times_left":1,`, []string{"PutItem"}},
		{`{"command":"chaos.status"}`, `{"ok":true,"enabled":true,"faults":[]}`, []string{"Query"}},
		{`{"command":"chaos.clear","target":"saga.CancelHotel"}`, `{"ok":true,"cleared":[]}`, []string{"Query"}},
		{`{"command":"chaos.clear","target":"saga.BookTrain"}`, `{"ok":false,"code":"invalid_request","message":"there is no target \"saga.BookTrain\": known are saga.BookHotel, saga.BookFlight, saga.BookCar, saga.CancelCar, saga.CancelFlight, saga.CancelHotel"}`, nil},
	} {
		before := len(aws.Operations())
		out, err := lambda.NewHandler(handler).Invoke(t.Context(), []byte(tt.event))
		if err != nil || !strings.HasPrefix(string(out), tt.answer) {
			t.Errorf("%s: answer %s, %v", tt.event, out, err)
		}
		if got := aws.Operations()[before:]; !slices.Equal(got, tt.calls) {
			t.Errorf("%s costs %v, want %v", tt.event, got, tt.calls)
		}
	}
}
