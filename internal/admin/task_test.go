package admin

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/spillway-go/spillway/internal/adminapi"
	"github.com/spillway-go/spillway/pkg/task"
)

func TestTaskGet(t *testing.T) {
	bubble(t, func(f *fixture) {
		ids := f.dead("shop.order", errFlaky, "1")
		waiting := f.submit("shop.note", "2")[0]
		f.is(f.ok(`{"command":"task.get","id":"`+ids[0]+`"}`), map[string]string{"T1": ids[0]}, `{"ok": true, "task": {
			"id": "T1", "type": "shop.order", "status": "dead_lettered", "tenant": "AROAEXAMPLE", "priority": "normal",
			"created_at": "TIME", "started_at": "TIME", "finished_at": "TIME", "deadline": "TIME", "attempts": 1,
			"error": {"code": "handler_error", "message": "the shop answers 503 after 17 ms", "retryable": true},
			"run": 1, "replays": 0, "fingerprint": "7f339f3c37e0dc0d", "history": [{"attempt": 1, "at": "TIME", "code": "handler_error"}],
			"failure": {"code": "handler_error", "message": "the shop answers 503 after 17 ms", "retryable": true, "attempts": 1, "failed_at": "TIME",
				"queue": "spillway-tasks", "message_id": "M1", "fingerprint": "7f339f3c37e0dc0d",
				"history": [{"attempt": 1, "at": "TIME", "code": "handler_error"}]}
		}}`)
		f.is(f.ok(`{"command":"task.get","id":"`+waiting+`"}`), map[string]string{"T2": waiting}, `{"ok": true, "task": {
			"id": "T2", "type": "shop.note", "status": "queued", "tenant": "AROAEXAMPLE", "priority": "normal", "created_at": "TIME", "deadline": "TIME",
			"attempts": 0, "run": 1, "replays": 0}}`)
	})
}

func TestTaskRefusals(t *testing.T) {
	bubble(t, func(f *fixture) {
		for _, command := range []string{"task.get", "task.cancel", "task.retry"} {
			for _, id := range []string{"x", "00VHNCZB0168CGXGT1HNR1ZXC2", `\u0000`, strings.Repeat("9", 26), "00VHNCZB0168CGXGT1HNR1ZXC2#input"} {
				f.refused(`{"command":"`+command+`","id":"`+id+`"}`, adminapi.CodeNotFound)
			}
			f.refused(`{"command":"`+command+`","id":"`+strings.Repeat("x", 5000)+`"}`, adminapi.CodeNotFound)
		}
		for _, command := range []string{"task.get", "task.cancel"} {
			for _, payload := range []string{`{"command":"` + command + `"}`, `{"command":"` + command + `","id":""}`, `{"command":"` + command + `","id":null}`} {
				if got := f.refused(payload, adminapi.CodeInvalid); got != `"id" is missing: it is a task's id` {
					f.Errorf("%s: %s", payload, got)
				}
			}
		}
	})
}

func TestTaskCancel(t *testing.T) {
	bubble(t, func(f *fixture) {
		ids := f.submit("shop.order", "1", "2", "3")
		a := f.ok(`{"command":"task.cancel","id":"` + ids[0] + `","by":"me"}`)
		f.is(a, map[string]string{"T1": ids[0]}, `{"ok": true, "task": {
			"id": "T1", "type": "shop.order", "status": "canceled", "tenant": "AROAEXAMPLE", "priority": "normal", "created_at": "TIME", "finished_at": "TIME",
			"deadline": "TIME", "attempts": 0, "run": 1, "replays": 0}}`)
		f.ok(`{"command":"task.cancel","id":"` + ids[0] + `"}`) // again
		f.table.Claim(f.Context(), "w", time.Now().Add(time.Minute), ids[1:2])
		if got := f.ok(`{"command":"task.cancel","id":"` + ids[1] + `"}`)["task"].(map[string]any); got["status"] != "running" || got["cancel_requested"] != true {
			f.Errorf("a running task: %v", got)
		}
		f.work()
		f.has(ids[2], task.Succeeded)
		if got := f.refused(`{"command":"task.cancel","id":"`+ids[2]+`"}`, adminapi.CodeFinished); !strings.Contains(got, ids[2]+" is succeeded") {
			f.Error(got)
		}
		dead := f.dead("shop.order", errFlaky, "4")[0]
		if got := f.ok(`{"command":"task.cancel","id":"` + dead + `"}`)["task"].(map[string]any); got["status"] != "canceled" {
			f.Errorf("a dead-lettered task: %v", got)
		}
	})
}

func TestTaskRetry(t *testing.T) {
	bubble(t, func(f *fixture) {
		ids := f.dead("shop.order", errFlaky, "1")
		f.breaks(nil, "1")
		a := f.ok(`{"command":"task.retry","id":"` + ids[0] + `","by":"me"}`)
		job := a.text("job_id")
		f.is(a, map[string]string{"T1": ids[0], "J": job}, `{"ok": true, "job_id": "J", "task": {
			"id": "T1", "type": "shop.order", "status": "queued", "tenant": "AROAEXAMPLE", "priority": "normal", "created_at": "TIME", "started_at": "TIME",
			"deadline": "TIME", "attempts": 0, "run": 2, "replays": 1, "plan_id": "J"}}`)
		f.work()
		f.has(ids[0], task.Succeeded)
		if got := f.refused(`{"command":"task.retry","id":"`+ids[0]+`"}`, adminapi.CodeNotRetryable); got != "the task cannot be retried: it is succeeded; only failed and dead-lettered tasks can be" {
			f.Error(got)
		}
		history := f.ok(`{"command":"dlq.jobs","job_id":"` + job + `","max":1}`)["job"].(map[string]any)
		if history["kind"] != "retry" || history["status"] != "done" || history["by"] != "me" || history["replayed"] != 1.0 {
			f.Errorf("the audit trail has %v", history)
		}
		// Its dead letter is still there, and brings nothing back.
		if a := f.ok(`{"command":"dlq.replay"}`); a.number("dropped") != 1 || a.number("replayed") != 0 {
			f.Errorf("answer %v", a)
		}
		f.holds(tasksQueue, 0)
	})
}

func TestTaskRetryByFilter(t *testing.T) {
	bubble(t, func(f *fixture) {
		ids := f.dead("shop.order", errFlaky, "1", "2")
		f.breaks(task.Permanent(errors.New("no such item")), "3")
		failed := f.submit("shop.note", "3")[0]
		f.work()
		f.has(failed, task.Failed)
		f.breaks(nil, "1", "2", "3")
		a := f.ok(`{"command":"task.retry","filter":{"status":"failed"},"dry_run":true}`)
		f.is(a, map[string]string{"T3": failed, "P": a.text("plan_id")}, `{"ok": true, "job_id": "P", "plan_id": "P", "expires_at": "TIME", "matched": 1, "replay": 1, "drop": 0, "skip": 0,
			"replayed": 0, "skipped": 0, "failed": 0, "done": true, "dry_run": true, "complete": true, "reasons": {}, "destinations": {"spillway-tasks": 1},
			"groups": [{"fingerprint": "377607438ac49b97", "type": "shop.note", "code": "handler_error", "message": "no such item",
				"count": 1, "first_seen": "TIME", "last_seen": "TIME", "moved_by": "worker", "sample": {"task_id": "T3"}}],
			"messages": [{"task_id": "T3", "type": "shop.note", "run": 2, "action": "replay", "to": "spillway-tasks"}]}`)
		f.holds(tasksQueue, 0)
		if got := f.refused(`{"command":"dlq.replay","plan_id":"`+a.text("plan_id")+`"}`, adminapi.CodePlanUsed); !strings.Contains(got, "is a retry, not a replay") {
			f.Error(got)
		}
		a = f.ok(`{"command":"task.retry","plan_id":"` + a.text("plan_id") + `"}`)
		f.is(a, nil, `{"ok": true, "job_id": "ID", "plan_id": "ID", "status": "done", "matched": 1, "replayed": 1, "skipped": 0, "dropped": 0, "failed": 0,
			"done": true, "at_least_once": 0, "reasons": {}}`)
		f.work()
		f.has(failed, task.Succeeded)
		if a := f.ok(`{"command":"task.retry","filter":{},"max":1,"rate":10}`); a.number("replayed") != 1 {
			f.Errorf("answer %v", a)
		}
		f.work()
		if a := f.ok(`{"command":"task.retry","filter":{"ids":["` + ids[0] + `","` + ids[1] + `"]}}`); a.number("replayed") != 1 {
			f.Errorf("answer %v", a)
		}
		f.work()
		for _, id := range ids {
			if row := f.has(id, task.Succeeded); row.Run != 2 {
				f.Errorf("task %s is in run %d", id, row.Run)
			}
		}
	})
}

func TestTaskRetryRefusals(t *testing.T) {
	bubble(t, func(f *fixture) {
		id := f.dead("shop.order", errFlaky, "1")[0]
		for _, tt := range []struct {
			fields  string
			code    adminapi.Code
			message string
		}{
			{``, adminapi.CodeInvalid, `say which: "id", "filter" ({} retries all that failed), or "plan_id"`},
			{`,"id":""`, adminapi.CodeInvalid, "say which"},
			{`,"filter":null`, adminapi.CodeInvalid, "say which"},
			{`,"dry_run":true`, adminapi.CodeInvalid, "say which"},
			{`,"id":"` + id + `","filter":{}`, adminapi.CodeInvalid, `"id" is for one task: it goes with no other field but "by"`},
			{`,"id":"` + id + `","dry_run":true`, adminapi.CodeInvalid, `"id" is for one task`},
			{`,"id":"` + id + `","rate":1`, adminapi.CodeInvalid, `"id" is for one task`},
			{`,"id":"` + id + `","max":1`, adminapi.CodeInvalid, `"id" is for one task`},
			{`,"id":"` + id + `","plan_id":"x"`, adminapi.CodeInvalid, `"id" is for one task`},
			{`,"filter":{"status":"canceled"}`, adminapi.CodeInvalid, `status is "canceled"; it is failed or dead_lettered`},
			{`,"filter":{"ids":["x",""]}`, adminapi.CodeInvalid, "the filter has an id that is empty or longer than 128 bytes"},
			{`,"filter":{},"max":-1`, adminapi.CodeInvalid, "max is -1"},
			{`,"filter":{"ids":["` + strings.Repeat("x", 129) + `"]}`, adminapi.CodeInvalid, "the filter has an id that is empty or longer than 128 bytes"},
			{`,"filter":{"type":"` + strings.Repeat("x", 257) + `"}`, adminapi.CodeInvalid, "a text of the filter is longer than 256 bytes"},
			{`,"filter":{},"rate":-1`, adminapi.CodeInvalid, "rate is -1"},
			{`,"filter":{},"rate":0.009`, adminapi.CodeInvalid, "rate is 0.009 messages a second; it is between 0.01 and 10000"},
			{`,"filter":{},"queue":"tasks"`, adminapi.CodeUnknownField, `task.retry has no field "queue": it has id, filter, max, rate, canary, dry_run, plan_id, by`},
			{`,"plan_id":"x"`, adminapi.CodeNotFound, "there is no job or plan x"},
		} {
			if got := f.refused(`{"command":"task.retry"`+tt.fields+`}`, tt.code); !strings.Contains(got, tt.message) {
				f.Errorf("%s: %s, want %s", tt.fields, got, tt.message)
			}
		}
		f.has(id, task.DeadLettered)
		f.holds(tasksQueue, 0)
		time.Sleep(8 * 24 * time.Hour)
		if got := f.refused(`{"command":"task.retry","id":"`+id+`"}`, adminapi.CodeDeadline); !strings.Contains(got, "submit it anew") {
			f.Error(got)
		}
	})
}
