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

// A record of a stream goes to the consumer that the template names, and what it says is written down.
func TestStreamReplay(t *testing.T) {
	t.Parallel()
	const record = `{"pk":{"S":"stream"},"sk":{"S":"r1"},"data":{"B":"e30="},"size":{"N":"2"},"stored_at":{"N":"1782898200000"},"meta":{"M":{
		"source":{"S":"aws:dynamodb"},"stream_arn":{"S":"arn:aws:dynamodb:us-east-1:1:table/tasks/stream/s"},"sequence_number":{"S":"5"},
		"consumer":{"S":"notify"},"state":{"S":"archived"},"archived_by":{"S":"handler"}}}}`
	const consumer = "/2015-03-31/functions/notify/invocations"
	aws := apptest.NewFake(map[string][]string{
		"Query": {`{"Items":[` + record + `]}`}, "GetItem": {`{"Item":` + record + `}`}, consumer: {`{"batchItemFailures":[]}`},
	})
	handler, err := Setup(aws.Env(environment()))
	if err != nil {
		t.Fatal(err)
	}
	out, err := lambda.NewHandler(handler).Invoke(t.Context(), []byte(`{"command":"stream.replay"}`))
	want := `{"ok":true,"matched":1,"replayed":1,"refused":0,"failed":0,"done":true,"records":[{"id":"r1","outcome":"replayed"}]}`
	if err != nil || string(out) != want {
		t.Errorf("answer %s, %v", out, err)
	}
	if want := []string{"Query", "GetItem", consumer, "UpdateItem"}; !slices.Equal(aws.Operations(), want) {
		t.Errorf("calls %v, want %v", aws.Operations(), want)
	}
	if invoked := aws.Sent(consumer); len(invoked) != 1 || invoked[0] != `{"Records":[{}],"replay":true}` {
		t.Errorf("notify got %v", invoked)
	}
	if written := aws.Sent("UpdateItem"); len(written) != 1 || !strings.Contains(written[0], `"replayed"`) || !strings.Contains(written[0], `"control"`) {
		t.Errorf("written: %v", written)
	}
}
