package admin

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"

	"github.com/spillway-go/spillway/internal/adminapi"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

func TestReplayDryRun(t *testing.T) {
	bubble(t, func(f *fixture) {
		ids := append(f.dead("shop.order", errFlaky, "1"), f.dead("shop.order", errFlaky, "2")...)
		if _, err := f.table.Cancel(f.Context(), tenant, ids[1]); err != nil {
			f.Fatal(err)
		}
		f.foreign(deadQueue, "hello")
		before := f.queues.Messages(deadQueue)
		a := f.ok(`{"command":"dlq.replay","dry_run":true,"by":"me"}`)
		f.is(a, map[string]string{"T1": ids[0], "T2": ids[1], "P": a.text("plan_id")}, `{
			"ok": true, "job_id": "P", "plan_id": "P", "expires_at": "TIME", "matched": 3, "replay": 1, "drop": 1, "skip": 2, "replayed": 0, "skipped": 0, "failed": 0,
			"done": true, "dry_run": true, "complete": true,
			"reasons": {"canceled": 1, "unknown_origin": 1}, "destinations": {"spillway-tasks": 1},
			"groups": [
				{"fingerprint": "7f339f3c37e0dc0d", "type": "shop.order", "code": "handler_error", "message": "the shop answers 503 after 17 ms",
				 "count": 2, "first_seen": "TIME", "last_seen": "TIME", "moved_by": "worker", "sample": {"task_id": "T2", "message_id": "M4"}},
				{"fingerprint": "d25df5e71686a74f", "type": "", "code": "unexplained",
				 "message": "the message does not say why it is here: it was sent to this queue as it is",
				 "count": 1, "first_seen": "TIME", "last_seen": "TIME", "moved_by": "sender", "sample": {"message_id": "M5"}}
			],
			"messages": [
				{"message_id": "M4", "task_id": "T2", "type": "shop.order", "action": "drop", "reason": "canceled"},
				{"message_id": "M5", "action": "skip", "reason": "unknown_origin"},
				{"task_id": "T1", "type": "shop.order", "run": 2, "action": "replay", "to": "spillway-tasks"}
			]}`)
		until, err := task.ParseTime(a.text("expires_at"))
		if left := time.Until(until.Time); err != nil || left > time.Hour || left < 59*time.Minute {
			f.Errorf("the plan lasts %s, %v", left, err)
		}
		f.has(ids[0], task.DeadLettered)
		f.holds(deadQueue, 3)
		f.holds(tasksQueue, 0)
		for i, m := range f.queues.Messages(deadQueue) {
			if m.Body != before[i].Body || m.Receives != 1 {
				f.Errorf("message %s was %+v, is %+v", m.ID, before[i], m)
			}
		}
		a = f.ok(`{"command":"dlq.replay","dry_run":true,"filter":{"type":"shop.return"}}`)
		f.is(a, map[string]string{"P": a.text("plan_id")}, `{
			"ok": true, "job_id": "P", "plan_id": "P", "expires_at": "TIME", "matched": 0, "replay": 0, "drop": 0, "skip": 0, "replayed": 0, "skipped": 0, "failed": 0,
			"done": true, "dry_run": true, "complete": true, "reasons": {}, "destinations": {}, "groups": [], "messages": [], "note": "nothing matches"}`)
	})
}

// A plan is executed as it was made; what has changed meanwhile is skipped, and
// said. Executing it once more does nothing.
func TestReplayPlan(t *testing.T) {
	bubble(t, func(f *fixture) {
		ids := f.dead("shop.order", errFlaky, "1", "2", "3")
		plan := f.ok(`{"command":"dlq.replay","dry_run":true,"filter":{"type":"shop.order"},"by":"planner"}`).text("plan_id")
		f.dead("shop.order", errFlaky, "4") // matches, but is not in the plan
		if n := f.ok(`{"command":"dlq.purge","confirm":"tasks","filter":{"ids":["` + ids[0] + `"]}}`).number("quarantined"); n != 1 {
			f.Errorf("%d purged", n)
		}
		if _, err := f.table.Cancel(f.Context(), tenant, ids[1]); err != nil {
			f.Fatal(err)
		}
		f.breaks(nil, "1", "2", "3", "4")
		want := `{"ok": true, "job_id": "P", "plan_id": "P", "status": "done", "matched": 3, "replayed": 1, "skipped": 2, "dropped": 1, "failed": 0,
			"done": true, "at_least_once": 0, "reasons": {"canceled": 1, "gone": 1}}`
		for range 2 {
			f.is(f.ok(`{"command":"dlq.replay","plan_id":"`+plan+`","by":"me"}`), map[string]string{"P": plan}, want)
		}
		f.holds(tasksQueue, 1)
		f.holds(deadQueue, 1)
		time.Sleep(time.Second)
		f.work()
		f.has(ids[2], task.Succeeded)
		history := f.ok(`{"command":"dlq.jobs","job_id":"` + plan + `","max":10}`)
		job := history["job"].(map[string]any)
		slices.SortFunc(job["messages"].([]any), func(a, b any) int {
			return strings.Compare(a.(map[string]any)["task_id"].(string), b.(map[string]any)["task_id"].(string))
		})
		f.is(history, map[string]string{"P": plan, "T1": ids[0], "T2": ids[1], "T3": ids[2]}, `{"ok": true, "job": {
			"job_id": "P", "kind": "replay", "queue": "tasks", "status": "done", "by": "planner", "request_id": "8476a536-e9f4-11e8-9739-2dfe598c3fcd",
			"created_at": "TIME", "started_at": "TIME", "updated_at": "TIME", "finished_at": "TIME", "filter": {"type": "shop.order"},
			"planned": 3, "matched": 3, "replayed": 1, "skipped": 2, "dropped": 1, "failed": 0, "done": true, "at_least_once": 0, "hops": 1,
			"reasons": {"canceled": 1, "gone": 1},
			"outcomes": {"succeeded": 1, "failed_same": 0, "failed_other": 0, "canceled": 0, "expired": 0, "pending": 0, "later": 0, "gone": 0},
			"events": [
				{"at": "TIME", "what": "planned", "by": "planner", "request_id": "8476a536-e9f4-11e8-9739-2dfe598c3fcd"},
				{"at": "TIME", "what": "executed", "by": "me", "request_id": "8476a536-e9f4-11e8-9739-2dfe598c3fcd"},
				{"at": "TIME", "what": "done"},
				{"at": "TIME", "what": "all its tasks have ended"}
			],
			"messages": [
				{"task_id": "T1", "run": 2, "outcome": "skipped", "reason": "gone"},
				{"message_id": "M5", "task_id": "T2", "fingerprint": "7f339f3c37e0dc0d", "outcome": "dropped", "reason": "canceled"},
				{"message_id": "M6", "task_id": "T3", "run": 2, "fingerprint": "7f339f3c37e0dc0d", "to": "spillway-tasks", "outcome": "replayed", "became": "succeeded"}
			]}}`)
	})
}

func TestReplayWithoutPlan(t *testing.T) {
	bubble(t, func(f *fixture) {
		ids := f.dead("shop.order", errFlaky, "1", "2")
		crashed := f.crashed("3")
		f.breaks(nil, "1", "2")
		a := f.ok(`{"command":"dlq.replay","filter":{"error_contains":"503"},"max":1}`)
		f.is(a, map[string]string{"J": a.text("job_id")}, `{"ok": true, "job_id": "J", "plan_id": "J", "status": "done", "matched": 1, "replayed": 1,
			"skipped": 0, "dropped": 0, "failed": 0, "done": true, "at_least_once": 0, "reasons": {}}`)
		if a := f.ok(`{"command":"dlq.replay"}`); a.number("replayed") != 2 || a.number("at_least_once") != 0 {
			f.Errorf("answer %v", a)
		}
		f.holds(deadQueue, 0)
		f.work()
		for _, id := range append(ids, crashed) {
			if row := f.has(id, task.Succeeded); row.Run != 2 || row.Replays != 1 {
				f.Errorf("task %s: run %d, %d replays", id, row.Run, row.Replays)
			}
		}
		f.is(f.ok(`{"command":"dlq.replay","queue":"tasks","filter":{}}`), nil, `{"ok": true, "job_id": "ID", "plan_id": "ID", "status": "done", "matched": 0,
			"replayed": 0, "skipped": 0, "dropped": 0, "failed": 0, "done": true, "at_least_once": 0, "reasons": {}, "note": "nothing matches"}`)
	})
}

// A message without a row is sent at least once, and the answer says how many.
func TestReplayOfMessagesWithoutRow(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.foreign(tasksQueue, "hello")
		for range 3 {
			f.queues.Receive(tasksQueue, 1)
			time.Sleep(751 * time.Second)
		}
		f.queues.Receive(tasksQueue, 1) // moves it
		f.holds(deadQueue, 1)
		a := f.ok(`{"command":"dlq.replay"}`)
		if a.number("replayed") != 1 || a.number("at_least_once") != 1 {
			f.Errorf("answer %v", a)
		}
		f.holds(tasksQueue, 1)
	})
}

// A message that does not agree with its task, which no worker has written,
// brings nothing back and stays where it is.
func TestReplayOfMismatches(t *testing.T) {
	bubble(t, func(f *fixture) {
		id := f.dead("shop.order", errFlaky, "1")[0]
		f.breaks(nil, "1")
		for _, change := range []func(m *workqueue.Message){
			func(m *workqueue.Message) { m.Tenant = "AROAOTHER" },
			func(m *workqueue.Message) { m.Type = "shop.note" },
			func(m *workqueue.Message) { m.Run = 7 },
		} {
			now := time.Now()
			m := workqueue.Message{
				TaskID: id, Run: 1, Type: "shop.order", Tenant: tenant, CreatedAt: now, Deadline: now.Add(time.Hour), Priority: task.Normal, Origin: tasksQueue,
				Input: json.RawMessage(`{"n":"1"}`),
			}
			change(&m)
			out, err := workqueue.Encode(m)
			if err == nil {
				err = f.queue(deadQueue).Send(f.Context(), out)
			}
			if err != nil {
				f.Fatal(err)
			}
		}
		filter := `"filter":{"error_contains":"unexplained"}`
		a := f.ok(`{"command":"dlq.replay","dry_run":true,` + filter + `}`)
		f.is(answer(a["reasons"].(map[string]any)), nil, `{"mismatch": 3}`)
		if a.number("matched") != 3 || a.number("skip") != 3 || a.number("drop") != 0 {
			f.Errorf("planned: %v", a)
		}
		time.Sleep(2 * time.Second)
		a = f.ok(`{"command":"dlq.replay",` + filter + `}`)
		f.is(a, map[string]string{"J": a.text("job_id")}, `{"ok": true, "job_id": "J", "plan_id": "J", "status": "done", "matched": 3, "replayed": 0,
			"skipped": 3, "dropped": 0, "failed": 0, "done": true, "at_least_once": 0, "reasons": {"mismatch": 3}}`)
		f.has(id, task.DeadLettered)
		f.holds(deadQueue, 4)
		f.holds(tasksQueue, 0)
		if a := f.ok(`{"command":"dlq.replay"}`); a.number("replayed") != 1 || a.number("skipped") != 3 {
			f.Errorf("beside its own letter: %v", a)
		}
		f.work()
		if row := f.has(id, task.Succeeded); row.Run != 2 {
			f.Errorf("the task is in run %d", row.Run)
		}
	})
}

func TestReplayRefusals(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.dead("shop.order", errFlaky, "1")
		plan := f.ok(`{"command":"dlq.replay","dry_run":true}`).text("plan_id")
		purge := f.ok(`{"command":"dlq.purge","confirm":"tasks","filter":{"type":"none"}}`).text("job_id")
		for _, tt := range []struct {
			fields  string
			code    adminapi.Code
			message string
		}{
			{`"queue":"sagas"`, adminapi.CodeUnknownQueue, `unknown queue "sagas": known are saga, stream, tasks`},
			{`"queue":"Tasks"`, adminapi.CodeUnknownQueue, `unknown queue "Tasks": known are saga, stream, tasks`},
			{`"queue":"stream"`, adminapi.CodeUnsupported, "records of a stream are replayed by stream.replay"},
			{`"queue":"stream","dry_run":true`, adminapi.CodeUnsupported, "records of a stream are replayed by stream.replay"},
			{`"max":-1`, adminapi.CodeInvalid, "max is -1"},
			{`"max":100001`, adminapi.CodeInvalid, "max is 100001, at most 100000 messages go into one job"},
			{`"rate":-0.5`, adminapi.CodeInvalid, "rate is -0.5 messages a second; it is between 0.01 and 10000"},
			{`"rate":1e300`, adminapi.CodeInvalid, "rate is 1e+300 messages a second; it is between 0.01 and 10000"},
			{`"rate":0.0099`, adminapi.CodeInvalid, "rate is 0.0099 messages a second; it is between 0.01 and 10000"},
			{`"rate":1e-300,"dry_run":true`, adminapi.CodeInvalid, "rate is 1e-300 messages a second; it is between 0.01 and 10000"},
			{`"plan_id":"` + plan + `","rate":0.0099`, adminapi.CodeInvalid, "it is between 0.01 and 10000"},
			{`"filter":{"type":"` + strings.Repeat("x", 257) + `"}`, adminapi.CodeInvalid, "a text of the filter is longer than 256 bytes"},
			{`"filter":{"ids":["` + strings.Repeat("x", 129) + `"]},"dry_run":true`, adminapi.CodeInvalid, "longer than 128 bytes"},
			{`"canary":-1`, adminapi.CodeInvalid, "canary is -1; it is between 1 and 100"},
			{`"canary":101`, adminapi.CodeInvalid, "canary is 101; it is between 1 and 100"},
			{`"plan_id":"` + plan + `","filter":{}`, adminapi.CodeInvalid, "a plan has its filter, and has been tried: leave filter and dry_run out"},
			{`"plan_id":"` + plan + `","dry_run":true`, adminapi.CodeInvalid, "leave filter and dry_run out"},
			{`"plan_id":"` + plan + `","max":-1`, adminapi.CodeInvalid, "max is -1"},
			{`"plan_id":"` + plan + `","queue":"stream"`, adminapi.CodePlanUsed, `it is for the queue "tasks", not for "stream"`},
			{`"plan_id":"x"`, adminapi.CodeNotFound, "there is no job or plan x"},
			{`"plan_id":"` + strings.Repeat("x", 3000) + `"`, adminapi.CodeInvalid, `"plan_id" is no id: it has 3000 bytes, and an id has between 1 and 128`},
			{`"plan_id":"` + purge + `"`, adminapi.CodePlanUsed, purge + " is a purge, not a replay"},
		} {
			if got := f.refused(`{"command":"dlq.replay",`+tt.fields+`}`, tt.code); !strings.Contains(got, tt.message) {
				f.Errorf("%.100s: %s, want %s", tt.fields, got, tt.message)
			}
		}
		f.holds(deadQueue, 1)
		f.holds(tasksQueue, 0)
		time.Sleep(time.Hour + time.Second)
		if got := f.refused(`{"command":"dlq.replay","plan_id":"`+plan+`"}`, adminapi.CodePlanExpired); !strings.Contains(got, "make a new one") {
			f.Error(got)
		}
		f.holds(deadQueue, 1)
	})
}

// slowly starts a replay of all, which takes some seconds, and returns its id
// and a function that waits for its answer.
func (f *fixture) slowly(fields string) (id string, wait func() answer) {
	f.Helper()
	plan := f.ok(`{"command":"dlq.replay","dry_run":true}`).text("plan_id")
	var done sync.WaitGroup
	var a answer
	done.Go(func() { a = f.ask(`{"command":"dlq.replay","plan_id":"` + plan + `"` + fields + `}`) })
	time.Sleep(2500 * time.Millisecond)
	return plan, func() answer { done.Wait(); return a }
}

// One job at a time works on a queue. It can be looked at and stopped, and goes
// on from where it was.
func TestReplayWhileAnotherRuns(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.dead("shop.order", errFlaky, "1", "2", "3", "4", "5", "6", "7", "8")
		f.breaks(nil, "1", "2", "3", "4", "5", "6", "7", "8")
		id, wait := f.slowly(`,"rate":1`)
		for _, payload := range []string{
			`{"command":"dlq.replay"}`, `{"command":"dlq.replay","plan_id":"` + id + `"}`, `{"command":"dlq.purge","confirm":"tasks"}`,
		} {
			if got := f.refused(payload, adminapi.CodeJobRunning); !strings.Contains(got, "another job is running") {
				f.Errorf("%s: %s", payload, got)
			}
		}
		job := f.ok(`{"command":"dlq.jobs","job_id":"` + id + `"}`)["job"].(map[string]any)
		if job["status"] != "running" || job["done"] != false || job["replayed"].(float64) < 1 {
			f.Errorf("the job is %v", job)
		}
		a := f.ok(`{"command":"dlq.stop","job_id":"` + id + `","by":"me"}`)
		f.is(a, map[string]string{"J": id}, `{"ok": true, "job_id": "J", "status": "stopping"}`)
		stopped := wait()
		if stopped["ok"] != true || stopped.text("status") != "stopped" || stopped["done"] != false || stopped.number("replayed") == 0 || stopped.number("replayed") == 8 {
			f.Errorf("the job answers %v", stopped)
		}
		resume := `{"command":"dlq.replay","queue":"tasks","plan_id":"` + id + `"}`
		if got := stopped.text("note"); got != "the job can be resumed: "+resume {
			f.Errorf("the job says %q", got)
		}
		job = f.ok(`{"command":"dlq.jobs","job_id":"` + id + `"}`)["job"].(map[string]any)
		if job["status"] != "stopped" || job["resume"] != resume {
			f.Errorf("the job is %v", job)
		}
		f.is(f.ok(`{"command":"dlq.stop","job_id":"`+id+`"}`), map[string]string{"J": id}, `{"ok": true, "job_id": "J", "status": "stopped",
			"note": "the job can be resumed: {\"command\":\"dlq.replay\",\"queue\":\"tasks\",\"plan_id\":\"J\"}"}`)
		if a := f.ok(resume); a.number("replayed") != 8 || a["done"] != true {
			f.Errorf("resumed: %v", a)
		}
		f.work()
		f.holds(deadQueue, 0)
		f.is(f.ok(`{"command":"dlq.stop","job_id":"`+id+`"}`), map[string]string{"J": id}, `{"ok": true, "job_id": "J", "status": "done"}`)
	})
}

func TestStopRefusals(t *testing.T) {
	bubble(t, func(f *fixture) {
		if got := f.refused(`{"command":"dlq.stop"}`, adminapi.CodeInvalid); got != `"job_id" is missing: dlq.jobs lists them` {
			f.Error(got)
		}
		if got := f.refused(`{"command":"dlq.stop","job_id":"00VHNCZB0168CGXGT1HNR1ZXC2"}`, adminapi.CodeNotFound); got != "not found: there is no job or plan 00VHNCZB0168CGXGT1HNR1ZXC2" {
			f.Error(got)
		}
		f.refused(`{"command":"dlq.stop","job_id":"`+strings.Repeat("x", 2000)+`"}`, adminapi.CodeInvalid)
	})
}

// The rest follows the canary only if that succeeds.
func TestReplayCanary(t *testing.T) {
	bubble(t, func(f *fixture) {
		ids := f.dead("shop.order", errFlaky, "1", "2", "3", "4")
		run := func() answer { // beside a worker
			var done sync.WaitGroup
			var a answer
			done.Go(func() { a = f.ask(`{"command":"dlq.replay","canary":1}`) })
			time.Sleep(3 * time.Second)
			f.work()
			done.Wait()
			return a
		}
		a := run()
		f.is(a, map[string]string{"J": a.text("job_id")}, `{"ok": true, "job_id": "J", "plan_id": "J", "status": "canary_failed", "matched": 1, "replayed": 1,
			"skipped": 0, "dropped": 0, "failed": 0, "done": true, "at_least_once": 0, "reasons": {},
			"canary": {"size": 1, "succeeded": 0, "failed": 1, "pending": 0}, "note": "the canary did not succeed, so the rest was not replayed"}`)
		f.holds(deadQueue, 4)
		if got := f.refused(`{"command":"dlq.replay","plan_id":"`+a.text("job_id")+`"}`, adminapi.CodePlanUsed); !strings.Contains(got, "its canary failed; make a new plan") {
			f.Error(got)
		}
		f.breaks(nil, "1", "2", "3", "4")
		a = run()
		f.is(a, nil, `{"ok": true, "job_id": "ID", "plan_id": "ID", "status": "done", "matched": 4, "replayed": 4,
			"skipped": 0, "dropped": 0, "failed": 0, "done": true, "at_least_once": 0, "reasons": {}, "canary": {"size": 1, "succeeded": 1, "failed": 0, "pending": 0}}`)
		f.work()
		for _, id := range ids {
			f.has(id, task.Succeeded)
		}
	})
}

func TestReplayNative(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.dead("shop.order", errFlaky, "1")
		a := f.ok(`{"command":"dlq.replay","native":true,"rate":500,"by":"me"}`)
		f.is(a, map[string]string{"J": a.text("job_id")}, `{"ok": true, "native": true, "task_handle": "handle-1",
			"job_id": "J", "plan_id": "J", "status": "running", "matched": 0, "replayed": 0, "skipped": 0, "dropped": 0, "failed": 0, "done": false,
			"at_least_once": 0, "reasons": {},
			"note": "SQS moves the messages now, and knows how many: aws sqs list-message-move-tasks shows it; what SQS moves is not in this job's ledger"}`)
		if got := f.refused(`{"command":"dlq.replay","plan_id":"`+a.text("plan_id")+`"}`, adminapi.CodePlanUsed); !strings.Contains(got, "is a native, not a replay") {
			f.Error(got)
		}
		in := f.mover.asked[0]
		if *in.SourceArn != "arn:aws:sqs:eu-central-1:123456789012:"+deadQueue || *in.DestinationArn != "arn:aws:sqs:eu-central-1:123456789012:"+tasksQueue ||
			aws.ToInt32(in.MaxNumberOfMessagesPerSecond) != 500 {
			f.Errorf("SQS was asked for %+v", in)
		}
		for _, tt := range []struct {
			fields  string
			code    adminapi.Code
			message string
		}{
			{`"filter":{"type":"x"}`, adminapi.CodeInvalid, "native moves all messages: it takes no filter, max, canary, dry run or plan"},
			{`"dry_run":true`, adminapi.CodeInvalid, "native moves all messages: it takes no filter, max, canary, dry run or plan"},
			{`"plan_id":"x"`, adminapi.CodeInvalid, "native moves all messages"},
			{`"canary":1`, adminapi.CodeInvalid, "native moves all messages"},
			{`"max":1`, adminapi.CodeInvalid, "native moves all messages"},
			{`"rate":501`, adminapi.CodeInvalid, "rate is 501: SQS moves at most 500 messages a second"},
			{`"rate":0.5`, adminapi.CodeInvalid, "rate is 0.5: SQS takes whole numbers"},
			{`"rate":-1`, adminapi.CodeInvalid, "rate is -1"},
			{`"queue":"stream"`, adminapi.CodeUnsupported, `SQS cannot move the messages of the queue "stream"`},
			{`"queue":"sagas"`, adminapi.CodeUnknownQueue, "known are saga, stream, tasks"},
		} {
			if got := f.refused(`{"command":"dlq.replay","native":true,`+tt.fields+`}`, tt.code); !strings.Contains(got, tt.message) {
				f.Errorf("%s: %s, want %s", tt.fields, got, tt.message)
			}
		}
		if len(f.mover.asked) != 1 {
			f.Errorf("SQS was asked %d times", len(f.mover.asked))
		}
		f.mover.err = &smithy.OperationError{ServiceID: "SQS", OperationName: "StartMessageMoveTask", Err: &smithy.GenericAPIError{Code: "InvalidAction", Message: "secret detail"}}
		if got := f.refused(`{"command":"dlq.replay","native":true}`, adminapi.CodeUnsupported); !strings.Contains(got, "this endpoint has no StartMessageMoveTask; leave native out") {
			f.Error(got)
		}
		f.mover.err = awsError("SQS", "StartMessageMoveTask", "AccessDenied")
		f.refused(`{"command":"dlq.replay","native":true}`, adminapi.CodeUnavailable)
		f.holds(deadQueue, 1)
	})
}

// A rate is kept, also one that no step of ten fits into.
func TestReplayRate(t *testing.T) {
	bubble(t, func(f *fixture) {
		var inputs []string
		for i := range 40 {
			inputs = append(inputs, fmt.Sprint(i))
		}
		f.dead("shop.order", errFlaky, inputs...)
		begun := time.Now()
		a := f.ok(`{"command":"dlq.replay","rate":4}`)
		if took := time.Since(begun); a.number("replayed") != 40 || took < 9*time.Second || took > 13*time.Second {
			f.Errorf("%d replayed in %s", a.number("replayed"), took)
		}
	})
}
