package adminapi_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/internal/adminapi"
)

func TestPayload(t *testing.T) {
	t.Parallel()
	none, err := adminapi.ChaosStatus.Payload(struct{}{})
	if want := `{"command":"chaos.status"}`; err != nil || string(none) != want {
		t.Errorf("payload %s, %v, want %s", none, err, want)
	}
	q := adminapi.TaskRetryRequest{Filter: &adminapi.Filter{ErrorContains: "<503>"}, Rate: 0.5}
	q.SetBy("me")
	some, err := adminapi.TaskReplay.Payload(q)
	if want := `{"command":"task.retry","filter":{"error_contains":"<503>"},"rate":0.5,"by":"me"}`; err != nil || string(some) != want {
		t.Errorf("payload %s, %v, want %s", some, err, want)
	}
}

// What the function writes is what its clients read.
func TestAnswer(t *testing.T) {
	t.Parallel()
	want := adminapi.StopAnswer{JobID: "01JOB", Status: adminapi.JobStopping}
	text, err := adminapi.Accept(want)
	if form := `{"ok":true,"job_id":"01JOB","status":"stopping"}`; err != nil || string(text) != form {
		t.Errorf("answer %s, %v, want %s", text, err, form)
	}
	got, err := adminapi.DLQStop.Answer(text)
	if err != nil || *got != want {
		t.Errorf("read %+v, %v, want %+v", got, err, want)
	}

	text, err = adminapi.Refuse(&adminapi.Refusal{Code: adminapi.CodeJobRunning, Message: "another job is running"})
	if form := `{"ok":false,"code":"job_running","message":"another job is running"}`; err != nil || string(text) != form {
		t.Errorf("refusal %s, %v, want %s", text, err, form)
	}
	_, err = adminapi.DLQStop.Answer(text)
	refusal, ok := errors.AsType[*adminapi.Refusal](err)
	if !ok || refusal.Code != adminapi.CodeJobRunning || refusal.Error() != "job_running: another job is running" {
		t.Errorf("read %v", err)
	}
}

func TestAnswerOfAnotherFunction(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "hello", "null", "[]", "{}", `{"statusCode":200}`, `{"ok":"yes"}`, `{"ok":null}`, `{"ok":true,"status":{}}`, `{"ok":false,"code":1}`} {
		if _, err := adminapi.DLQStop.Answer([]byte(text)); !errors.Is(err, adminapi.ErrNoAnswer) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := adminapi.DLQJob.Answer([]byte(`{"ok":true}`)); !errors.Is(err, adminapi.ErrNoAnswer) {
		t.Errorf("no job: %v", err)
	}
	if _, err := adminapi.TaskGet.Answer([]byte(`{"ok":true}`)); !errors.Is(err, adminapi.ErrNoAnswer) {
		t.Errorf("no task: %v", err)
	}
}

// An answer of a newer function has members and words that are not known here.
func TestAnswerOfANewerFunction(t *testing.T) {
	t.Parallel()
	got, err := adminapi.DLQJob.Answer([]byte(`{"ok":true,"job":{"job_id":"01JOB","status":"resting","filter":{"color":"red","status":"queued"},"x":{"y":1}},"z":[]}`))
	want := &adminapi.JobAnswer{Job: &adminapi.Job{JobID: "01JOB", Status: "resting", Filter: adminapi.Filter{Status: "queued"}}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	names := adminapi.Names()
	if !slices.IsSorted(names) || len(slices.Compact(slices.Clone(names))) != len(names) {
		t.Errorf("names %v", names)
	}
	if slices.Contains(names, string(adminapi.JobResume)) || slices.Contains(names, string(adminapi.JobFollow)) {
		t.Error("commands that the function sends to itself are offered")
	}
}

func TestLastFailure(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]*adminapi.Failure{
		"": nil, "1": nil, `{"code":"boom","attempts":3,"later":true}`: {Code: "boom", Attempts: 3},
	} {
		if diff := cmp.Diff(want, (&adminapi.Task{Failure: json.RawMessage(text)}).LastFailure()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}

// A client invokes the function with a payload, and reads its answer.
func Example() {
	payload, err := adminapi.DLQStop.Payload(adminapi.JobRequest{JobID: "01JOB", Change: adminapi.Change{By: "me"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(string(payload))
	answer, err := adminapi.DLQStop.Answer([]byte(`{"ok":true,"job_id":"01JOB","status":"stopping"}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(answer.Status)
	// Output:
	// {"command":"dlq.stop","job_id":"01JOB","by":"me"}
	// stopping
}
