package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/internal/adminapi"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

// Sagas of these tests: two of one task, and one of another.
const (
	firstTask, otherTask = "01KWEG73E0EDR6JV3CEXGQJRB2", "01KWEG73E0EDR6JV3CEXGQJRB3"
	first, second, other = firstTask + "-1", firstTask + "-2", otherTask + "-1"
)

// trips lets three sagas be there, of which the first was recovered.
func (f *fixture) trips() {
	f.Helper()
	began := time.Now()
	for i, e := range []*fakeExecution{
		{name: first, status: types.ExecutionStatusAborted, events: history(f.T, "emulator-aborted"), error: "operator", cause: "stopped"},
		{name: first + "-recover-1", status: types.ExecutionStatusFailed, events: history(f.T, "aws-parked"), error: "compensation_failed", cause: "not undone: CancelHotel"},
		{name: second, status: types.ExecutionStatusSucceeded, events: history(f.T, "aws-succeeded")},
		{name: other, status: types.ExecutionStatusRunning, events: history(f.T, "aws-parallel-running")},
	} {
		e.began = began.Add(time.Duration(i) * time.Second)
		if e.status != types.ExecutionStatusRunning {
			e.ended = e.began.Add(1500 * time.Millisecond)
		}
		id, run := otherTask, 1
		if i < 3 {
			id = firstTask
		}
		if i == 2 {
			run = 2
		}
		e.input = fmt.Sprintf(`{"task_id":%q,"run":%d,"input":{"traveler":"Ada","hotel":{"id":"hotel-1","nights":2}},"recover":%t}`, id, run, i == 1)
		f.machine.run(e)
	}
	time.Sleep(time.Minute)
}

// parks puts a step into the queue as the state machine does, in its words.
func (f *fixture) parks(execution, step string) {
	f.Helper()
	f.sends(fmt.Sprintf(`{"task_id":%q,"execution":%q,"step":%q,"error":{"code":"errorString","message":"the hotel answers 503"},"completed":["BookHotel","BookFlight"]}`,
		taskOfExecution(execution), execution, step))
}

// sends puts a message into the queue.
func (f *fixture) sends(body string) {
	f.Helper()
	if err := f.queue(sagaQueue).Send(f.Context(), workqueue.Outgoing{Body: body}); err != nil {
		f.Fatal(err)
	}
	time.Sleep(time.Millisecond)
}

// parkedIn are the executions and steps in an answer.
func parkedIn(a answer) (found []string) {
	for _, p := range a["parked"].([]any) {
		m := p.(map[string]any)
		found = append(found, fmt.Sprint(m["execution"], " ", m["step"]))
	}
	return found
}

func TestSagaList(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.is(f.ok(`{"command":"saga.list"}`), nil, `{"ok": true, "executions": [], "parked": []}`)
		f.trips()
		f.parks(first, "CancelHotel")
		f.sends("from elsewhere")
		names := map[string]string{"T1": firstTask, "T2": otherTask}
		const list = `{"ok": true, "executions": [
			{"execution": "T2-1", "task_id": "T2", "status": "running", "started_at": "TIME"},
			{"execution": "T1-2", "task_id": "T1", "status": "succeeded", "started_at": "TIME", "stopped_at": "TIME"},
			{"execution": "T1-1-recover-1", "task_id": "T1", "status": "failed", "started_at": "TIME", "stopped_at": "TIME"},
			{"execution": "T1-1", "task_id": "T1", "status": "aborted", "started_at": "TIME", "stopped_at": "TIME"}],
			"parked": [{"execution": "T1-1", "task_id": "T1", "step": "CancelHotel", "error": {"code": "errorString", "message": "the hotel answers 503"},
				"completed": ["BookHotel", "BookFlight"], "parked_at": "TIME", "message_id": "M1"}], "foreign": 1}`
		for _, fields := range []string{"", `,"max":0`, `,"max":100`, `,"status":"","cursor":""`, `,"status":null,"cursor":null,"max":null`} {
			f.is(f.ok(`{"command":"saga.list"`+fields+`}`), names, list)
		}
		executions := func(fields string) (names, cursor string) {
			a := f.ok(`{"command":"saga.list"` + fields + `}`)
			for _, e := range a["executions"].([]any) {
				names += " " + e.(map[string]any)["execution"].(string)
			}
			return names, a.text("cursor")
		}
		for status, want := range map[string]string{
			"running": " " + other, "succeeded": " " + second, "failed": " " + first + "-recover-1", "aborted": " " + first, "timed_out": "", "Failed": " " + first + "-recover-1",
		} {
			if got, _ := executions(`,"status":"` + status + `"`); got != want {
				f.Errorf("%s: %s, want %s", status, got, want)
			}
		}
		got, cursor := executions(`,"max":3`)
		if want := " " + other + " " + second + " " + first + "-recover-1"; got != want || cursor == "" {
			f.Errorf("first page %s, cursor %q", got, cursor)
		}
		if got, end := executions(`,"max":3,"cursor":"` + cursor + `"`); got != " "+first || end != "" {
			f.Errorf("second page %s, cursor %q", got, end)
		}
		f.holds(sagaQueue, 2)
	})
}

func TestSagaListRefused(t *testing.T) {
	bubble(t, func(f *fixture) {
		for fields, message := range map[string]string{
			`"max":-1`:        "max is -1: it is between 1 and 100",
			`"max":101`:       "max is 101: it is between 1 and 100",
			`"status":"done"`: `status is "done": it is one of running, succeeded, failed, timed_out, aborted`,
			`"status":"` + strings.Repeat("é", 300) + `"`: `it is one of running`,
			`"cursor":"nonsense"`:                         "there is no page with this cursor: leave it out to begin anew",
		} {
			if got := f.refused(`{"command":"saga.list",`+fields+`}`, adminapi.CodeInvalid); !strings.Contains(got, message) {
				f.Errorf("%.60s: %s, want %s", fields, got, message)
			}
		}
	})
}

func TestSagaShow(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.trips()
		f.parks(first, "CancelHotel")
		f.parks(other, "CancelCar")
		f.sends("from elsewhere")
		names := map[string]string{"T1": firstTask}
		const want = `{"ok": true, "execution": "T1-1", "task_id": "T1", "status": "aborted", "started_at": "TIME", "stopped_at": "TIME", "error": "operator", "cause": "stopped",
			"path": [
				{"state": "Begin", "type": "Pass", "outcome": "ok", "entered_at": "TIME", "took_ms": 10},
				{"state": "Recovering", "type": "Choice", "outcome": "ok", "entered_at": "TIME", "took_ms": 10},
				{"state": "RecordBookHotel", "type": "Task", "outcome": "ok", "attempts": 1, "entered_at": "TIME", "took_ms": 70},
				{"state": "BookHotel", "type": "Task", "outcome": "ended", "attempts": 1, "entered_at": "TIME", "took_ms": 5010}],
			"parked": [{"execution": "T1-1", "task_id": "T1", "step": "CancelHotel", "error": {"code": "errorString", "message": "the hotel answers 503"},
				"completed": ["BookHotel", "BookFlight"], "parked_at": "TIME", "message_id": "M1"}], "foreign": 1}`
		for _, asked := range []string{first, executionOf + first} {
			f.is(f.ok(`{"command":"saga.show","execution":"`+asked+`"}`), names, want)
		}

		// A recovery is another execution of the same saga.
		a := f.ok(`{"command":"saga.show","execution":"` + first + `-recover-1"}`)
		if a.text("execution") != first+"-recover-1" || a.text("task_id") != firstTask || a.text("status") != "failed" || len(a["path"].([]any)) != 14 {
			f.Errorf("%v", a)
		}
		if diff := cmp.Diff([]string{first + " CancelHotel"}, parkedIn(a)); diff != "" {
			f.Errorf("parked (-want +got):\n%s", diff)
		}
		undoes := map[string]any{}
		for _, s := range a["path"].([]any) {
			if s := s.(map[string]any); s["undoes"] != nil {
				undoes[s["state"].(string)] = s["undoes"]
			}
		}
		if diff := cmp.Diff(map[string]any{"CancelHotel": "BookHotel", "CancelFlight": "BookFlight"}, undoes); diff != "" {
			f.Errorf("what undoes what (-want +got):\n%s", diff)
		}
		if a := f.ok(`{"command":"saga.show","execution":"` + second + `"}`); len(parkedIn(a)) != 0 || a.text("error") != "" {
			f.Errorf("%v", a)
		}
		f.holds(sagaQueue, 3)

		for asked, tt := range map[string]struct {
			code    adminapi.Code
			message string
		}{
			"":                          {adminapi.CodeInvalid, `"execution" is missing`},
			"01UNKNOWN-1":               {adminapi.CodeNotFound, "there is no execution 01UNKNOWN-1, or it is not kept any more"},
			executionOf + "01UNKNOWN-1": {adminapi.CodeNotFound, "there is no execution 01UNKNOWN-1"},
			machineARN:                  {adminapi.CodeInvalid, "no name of an execution"},
			strings.Replace(executionOf, "Trip", "Other", 1) + first: {adminapi.CodeInvalid, "no name of an execution"},
			"a b":                   {adminapi.CodeInvalid, "no name of an execution"},
			strings.Repeat("x", 81): {adminapi.CodeInvalid, "no name of an execution"},
			`\n`:                    {adminapi.CodeInvalid, "no name of an execution"},
		} {
			if got := f.refused(`{"command":"saga.show","execution":"`+asked+`"}`, tt.code); !strings.Contains(got, tt.message) {
				f.Errorf("%.60s: %s, want %s", asked, got, tt.message)
			}
		}
	})
}

// What somebody else holds is said not to be seen.
func TestSagaShowHeld(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.trips()
		f.parks(first, "CancelHotel")
		f.queues.Receive(sagaQueue, 1)
		a := f.ok(`{"command":"saga.show","execution":"` + first + `"}`)
		if len(parkedIn(a)) != 0 || !strings.Contains(a.text("note"), "try again") {
			f.Errorf("%v", a)
		}
	})
}

func TestSagaResume(t *testing.T) {
	for _, asked := range []string{first, first + "-recover-1", executionOf + first} {
		bubble2(t, asked, func(f *fixture) {
			f.trips()
			f.parks(first, "CancelFlight")
			f.parks(first, "CancelHotel")
			f.parks(other, "CancelHotel")
			f.sends(`{"execution":"` + first + `"}`)
			f.parks(first, "CancelHotel") // as a recovery did again

			a := f.ok(`{"command":"saga.resume","execution":"` + asked + `","step":"CancelHotel","by":"me"}`)
			job := a.text("job_id")
			f.is(a, map[string]string{"T1": firstTask, "J": job}, `{"ok": true, "execution": "T1-1", "step": "CancelHotel", "outcome": "resumed", "job_id": "J"}`)
			if len(f.steps.called) != 1 {
				f.Fatalf("%d calls", len(f.steps.called))
			}
			call := f.steps.called[0]
			if *call.FunctionName != functionARN+"CancelHotel" || call.InvocationType != "" {
				f.Errorf("called %s %s", *call.FunctionName, call.InvocationType)
			}
			var payload any
			if err := json.Unmarshal(call.Payload, &payload); err != nil {
				f.Fatal(err)
			}
			want := map[string]any{
				"task_id": firstTask, "run": 1.0, "key": first, "step": "CancelHotel", "action": "BookHotel",
				"input": map[string]any{"traveler": "Ada", "hotel": map[string]any{"id": "hotel-1", "nights": 2.0}},
			}
			if diff := cmp.Diff(want, payload); diff != "" {
				f.Errorf("payload (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff([]string{first + " CancelFlight", other + " CancelHotel"}, parkedIn(f.ok(`{"command":"saga.list"}`))); diff != "" {
				f.Errorf("parked (-want +got):\n%s", diff)
			}
			f.holds(sagaQueue, 3)
			f.is(answer(f.ok(`{"command":"dlq.jobs","job_id":"` + job + `","max":10}`)["job"].(map[string]any)), map[string]string{"T1": firstTask, "J": job}, `{
				"job_id": "J", "kind": "resume", "queue": "saga", "status": "done", "by": "me", "request_id": "8476a536-e9f4-11e8-9739-2dfe598c3fcd",
				"created_at": "TIME", "started_at": "TIME", "updated_at": "TIME", "finished_at": "TIME", "filter": {}, "max": 2,
				"execution": "T1-1", "step": "CancelHotel", "matched": 2, "replayed": 0, "skipped": 0, "dropped": 0, "failed": 0, "resolved": 2,
				"done": true, "at_least_once": 0, "hops": 0, "reasons": {},
				"events": [{"at": "TIME", "what": "begun", "by": "me", "request_id": "8476a536-e9f4-11e8-9739-2dfe598c3fcd"}, {"at": "TIME", "what": "resolved"}],
				"messages": [{"message_id": "M2", "outcome": "resolved"}, {"message_id": "M5", "outcome": "resolved"}]}`)

			got := f.refused(`{"command":"saga.resume","execution":"`+asked+`","step":"CancelHotel"}`, adminapi.CodeNotFound)
			if want := "CancelHotel of " + first + " is not parked: saga.show says what is"; !strings.Contains(got, want) {
				f.Errorf("%s, want %s", got, want)
			}
			if len(f.steps.called) != 1 {
				f.Errorf("%d calls", len(f.steps.called))
			}
		})
	}
}

// bubble2 is bubble for a subtest.
func bubble2(t *testing.T, name string, test func(f *fixture)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { bubble(t, test) })
}

func TestSagaResumeFails(t *testing.T) {
	for _, tt := range []struct {
		name    string
		answer  func(context.Context) (*awslambda.InvokeOutput, error)
		message string
	}{
		{"the function", fails(`{"errorType":"errorString","errorMessage":"the hotel answers 503"}`), "CancelHotel has failed again: errorString: the hotel answers 503; it is still parked"},
		{"without words", fails(`"oops"`), "CancelHotel has failed again: without a reason; it is still parked"},
		{
			"in AWS's words", fails(`{"errorType":"OperationError","errorMessage":"operation error DynamoDB: PutItem, https response error StatusCode: 400, RequestID: R1, api error AccessDeniedException: secret detail"}`),
			"CancelHotel has failed again: OperationError: a call to AWS failed, and the function's log says which; it is still parked",
		},
		{"the call", func(context.Context) (*awslambda.InvokeOutput, error) {
			return nil, awsError("Lambda", "Invoke", "TooManyRequestsException")
		}, "CancelHotel could not be called, or did not answer in time, and the function's log says why; it is still parked"},
		{"the time", func(ctx context.Context) (*awslambda.InvokeOutput, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}, "or did not answer in time"},
	} {
		bubble2(t, tt.name, func(f *fixture) {
			f.trips()
			f.parks(first, "CancelHotel")
			f.steps.answer = tt.answer
			resume := `{"command":"saga.resume","execution":"` + first + `","step":"CancelHotel","reason":"mended","by":"me"}`
			if got := f.refused(resume, adminapi.CodeCompensation); !strings.Contains(got, tt.message) {
				f.Errorf("%s, want %s", got, tt.message)
			}
			f.holds(sagaQueue, 1)
			job := f.ok(`{"command":"dlq.jobs"}`)["jobs"].([]any)[0].(map[string]any)
			if job["kind"] != "resume" || job["failed"] != 1.0 || job["status"] != "done" || job["reason"] != "mended" {
				f.Errorf("%v", job)
			}
			f.steps.answer = nil
			f.ok(resume)
			f.holds(sagaQueue, 0)
		})
	}
}

func TestSagaResumeRefused(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.trips()
		f.machine.run(&fakeExecution{name: "by-hand", input: `{}`})
		f.machine.run(&fakeExecution{name: "by-hand-2", input: `secret detail`})
		for _, name := range []string{first, "by-hand", "by-hand-2", "01GONE-1"} {
			f.parks(name, "CancelHotel")
			f.parks(name, "BookHotel")
		}
		for _, tt := range []struct {
			execution, step string
			code            adminapi.Code
			message         string
		}{
			{first, "", adminapi.CodeInvalid, `"step" is missing or no name of a step`},
			{first, "Cancel Hotel", adminapi.CodeInvalid, `"step" is missing or no name of a step`},
			{first, "BookHotel", adminapi.CodeInvalid, "BookHotel is no compensation of the state machine"},
			{first, "RecordBookHotel", adminapi.CodeInvalid, "RecordBookHotel is no compensation of the state machine"},
			{first, "ParkCancelHotel", adminapi.CodeInvalid, "ParkCancelHotel is no compensation of the state machine"},
			{first, "CancelTrain", adminapi.CodeInvalid, "CancelTrain is no compensation of the state machine"},
			{first, "CancelCar", adminapi.CodeNotFound, "CancelCar of " + first + " is not parked"},
			{second, "CancelHotel", adminapi.CodeNotFound, "CancelHotel of " + second + " is not parked"},
			{"", "CancelHotel", adminapi.CodeInvalid, `"execution" is missing`},
			{"01GONE-1", "CancelHotel", adminapi.CodeNotFound, "there is no execution 01GONE-1, or it is not kept any more"},
			{"01GONE-1", "CancelHotel", adminapi.CodeNotFound, "saga.skip or saga.done"},
			{"by-hand", "CancelHotel", adminapi.CodeInvalid, "by-hand was not started for a task"},
			{"by-hand-2", "CancelHotel", adminapi.CodeInvalid, "by-hand-2 was not started for a task"},
		} {
			got := f.refused(`{"command":"saga.resume","execution":"`+tt.execution+`","step":"`+tt.step+`"}`, tt.code)
			if !strings.Contains(got, tt.message) {
				f.Errorf("%s of %s: %s, want %s", tt.step, tt.execution, got, tt.message)
			}
		}
		if len(f.steps.called) > 0 {
			f.Errorf("%d calls", len(f.steps.called))
		}
		f.holds(sagaQueue, 8)
		if jobs := f.ok(`{"command":"dlq.jobs"}`)["jobs"].([]any); len(jobs) > 0 {
			f.Errorf("jobs %v", jobs)
		}
		// What cannot be run again can be settled all the same.
		f.ok(`{"command":"saga.done","execution":"01GONE-1","step":"CancelHotel","reason":"by telephone"}`)
		f.ok(`{"command":"saga.skip","execution":"` + first + `","step":"BookHotel","reason":"the hotel has closed"}`)
		f.holds(sagaQueue, 6)
	})
}

func TestSagaSkipAndDone(t *testing.T) {
	for _, tt := range []struct{ command, outcome, kind string }{{"saga.skip", "skipped", "skip"}, {"saga.done", "done", "done"}} {
		bubble2(t, tt.command, func(f *fixture) {
			f.trips()
			f.parks(first, "CancelHotel")
			f.sends("from elsewhere")
			payload := `{"command":"` + tt.command + `","execution":"` + first + `-recover-1","step":"CancelHotel"`
			for _, reason := range []string{"", `,"reason":""`, `,"reason":" \n\t"`, `,"reason":null`} {
				if got := f.refused(payload+reason+`}`, adminapi.CodeInvalid); !strings.Contains(got, `"reason" is missing`) {
					f.Errorf("%s: %s", reason, got)
				}
			}
			f.holds(sagaQueue, 2)
			a := f.ok(payload + `,"reason":" called the hotel, ` + strings.Repeat("é", 600) + `","by":"me"}`)
			if a.text("outcome") != tt.outcome || a.text("execution") != first || a.text("step") != "CancelHotel" {
				f.Errorf("%v", a)
			}
			job := f.ok(`{"command":"dlq.jobs","job_id":"` + a.text("job_id") + `"}`)["job"].(map[string]any)
			reason, _ := job["reason"].(string)
			if job["kind"] != tt.kind || job["execution"] != first || job["step"] != "CancelHotel" || job["by"] != "me" || job["resolved"] != 1.0 ||
				!strings.HasPrefix(reason, "called the hotel, é") || len(reason) > maxReason {
				f.Errorf("%v", job)
			}
			if len(f.steps.called) > 0 {
				f.Errorf("%d calls", len(f.steps.called))
			}
			f.holds(sagaQueue, 1) // what is from elsewhere
			f.refused(payload+`,"reason":"again"}`, adminapi.CodeNotFound)
		})
	}
}

// The queue is one of those that dlq commands see; only going back is not for
// it.
func TestSagaQueue(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.trips()
		f.parks(first, "CancelHotel")
		f.sends("from elsewhere")
		status := f.ok(`{"command":"dlq.status","queue":"saga"}`)
		if status.text("name") != sagaQueue || status.number("depth") != 2 || status["complete"] != true {
			f.Errorf("%v", status)
		}
		if list := f.ok(`{"command":"dlq.list","queue":"saga"}`)["messages"].([]any); len(list) != 2 {
			f.Errorf("%v", list)
		}
		for _, fields := range []string{"", `,"dry_run":true`, `,"native":true`, `,"filter":{"type":"x"},"max":1`, `,"plan_id":"x"`} {
			got := f.refused(`{"command":"dlq.replay","queue":"saga"`+fields+`}`, adminapi.CodeUnsupported)
			for _, want := range []string{"saga.resume", "saga.skip", "saga.done", "spillway saga ls"} {
				if !strings.Contains(got, want) {
					f.Errorf("%s: %s lacks %s", fields, got, want)
				}
			}
		}
		purge := f.ok(`{"command":"dlq.purge","queue":"saga","confirm":"saga"}`)
		f.holds(sagaQueue, 0)
		f.ok(`{"command":"dlq.restore","job_id":"` + purge.text("job_id") + `"}`)
		if diff := cmp.Diff([]string{first + " CancelHotel"}, parkedIn(f.ok(`{"command":"saga.list"}`))); diff != "" {
			f.Errorf("restored (-want +got):\n%s", diff)
		}
		f.holds(sagaQueue, 2)
	})
}

// What a queue may hold that is no parked step.
func TestForeign(t *testing.T) {
	bubble(t, func(f *fixture) {
		for _, body := range []string{
			"from elsewhere", "null", "[]", `"x"`, "{}", `{"execution":"` + first + `"}`, `{"step":"CancelHotel"}`, `{"execution":1,"step":"CancelHotel"}`,
			`{"execution":"a b","step":"CancelHotel"}`, `{"execution":"` + first + `","step":"Cancel\nHotel"}`, `{"execution":"` + machineARN + `","step":"CancelHotel"}`,
			`{"execution":"` + first + `","step":"CancelHotel","completed":"all"}`, `{"version":"0","source":"aws.states","detail":{"name":"` + first + `"}}`,
		} {
			f.sends(body)
		}
		f.sends(`{"execution":"` + first + `","step":"CancelHotel","task_id":"\u001b[2J","error":{"message":"` + strings.Repeat("<é", 1000) + `"},"parked_at":null,"message_id":"forged"}`)
		a := f.ok(`{"command":"saga.list"}`)
		if a.number("foreign") != 13 || len(parkedIn(a)) != 1 {
			f.Errorf("%v", a)
		}
		p := a["parked"].([]any)[0].(map[string]any)
		message := p["error"].(map[string]any)["message"].(string)
		if p["message_id"] == "forged" || p["parked_at"] == nil || strings.Contains(p["task_id"].(string), "\x1b") || len(message) > 400 || len(p["completed"].([]any)) != 0 {
			f.Errorf("%v", p)
		}
		f.holds(sagaQueue, 14)
		f.ok(`{"command":"saga.done","execution":"` + first + `","step":"CancelHotel","reason":"done"}`)
		f.holds(sagaQueue, 13)
	})
}

// What AWS said is for the log.
func TestSagaUnavailable(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.trips()
		f.parks(first, "CancelHotel")
		f.machine.err = awsError("SFN", "DescribeExecution", "AccessDeniedException")
		for _, payload := range []string{
			`{"command":"saga.list"}`, `{"command":"saga.show","execution":"` + first + `"}`, `{"command":"saga.resume","execution":"` + first + `","step":"CancelHotel"}`,
		} {
			f.refused(payload, adminapi.CodeUnavailable)
		}
		f.holds(sagaQueue, 1)
		f.ok(`{"command":"saga.skip","execution":"` + first + `","step":"CancelHotel","reason":"it is not needed"}`)
		f.machine.err = nil
		f.machine.definition = "secret detail"
		f.parks(first, "CancelHotel")
		f.refused(`{"command":"saga.resume","execution":"`+first+`","step":"CancelHotel"}`, adminapi.CodeUnavailable)
		f.holds(sagaQueue, 1)
	})
}

// Compensations are found in branches as well.
func TestFindInBranches(t *testing.T) {
	t.Parallel()
	var definition struct{ States map[string]machineState }
	err := json.Unmarshal([]byte(`{"States":{
		"Begin":{"Type":"Pass","Assign":{"x":1}},
		"Undo":{"Type":"Parallel","Branches":[{"States":{"Needs":{"Type":"Choice"}}},{"States":{
			"CancelHotel":{"Type":"Task","Arguments":{"FunctionName":"f","Payload":{"action":"BookHotel"}}}}}]}}}`), &definition)
	if err != nil {
		t.Fatal(err)
	}
	if s, ok := find(definition.States, "CancelHotel"); !ok || s.Arguments.FunctionName != "f" || s.Arguments.Payload.Action != "BookHotel" {
		t.Errorf("%+v, %t", s, ok)
	}
	if _, ok := find(definition.States, "CancelCar"); ok {
		t.Error("found what is not there")
	}
}
