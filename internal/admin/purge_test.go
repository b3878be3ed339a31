package admin

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spillway-go/spillway/internal/adminapi"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/workqueue/workqueuetest"
)

func TestPurgeAndRestore(t *testing.T) {
	bubble(t, func(f *fixture) {
		ids := f.dead("shop.order", errFlaky, "1", "2")
		f.foreign(deadQueue, strings.Repeat("x", 400_000)) // more than an item of the table holds
		before := f.queues.Messages(deadQueue)
		if got := f.ok(`{"command":"dlq.purge","dry_run":true,"filter":{"type":"shop.order"}}`); got.number("matched") != 2 {
			f.Errorf("answer %v", got)
		}
		f.holds(deadQueue, 3)
		a := f.ok(`{"command":"dlq.purge","queue":"tasks","confirm":"tasks","by":"me"}`)
		purge := a.text("job_id")
		f.is(a, map[string]string{"J": purge}, `{"ok": true, "job_id": "J", "status": "done", "matched": 3, "quarantined": 3, "failed": 0, "done": true,
			"restorable_until": "TIME"}`)
		until, err := task.ParseTime(a.text("restorable_until"))
		if left := time.Until(until.Time); err != nil || left < 13*24*time.Hour || left > 14*24*time.Hour {
			f.Errorf("it can be restored for %s, %v", left, err)
		}
		f.holds(deadQueue, 0)
		if n := f.ok(`{"command":"dlq.status"}`).number("indexed"); n != 0 {
			f.Errorf("the index still lists %d", n)
		}
		time.Sleep(time.Second)
		a = f.ok(`{"command":"dlq.restore","job_id":"` + purge + `","by":"me"}`)
		f.is(a, nil, `{"ok": true, "job_id": "ID", "status": "done", "restored": 3, "failed": 0, "done": true}`)
		f.holds(deadQueue, 3)
		restored := map[string]bool{}
		for _, m := range f.queues.Messages(deadQueue) {
			restored[m.Body] = true
		}
		for _, m := range before {
			if !restored[m.Body] {
				f.Errorf("lost: %.100s", m.Body)
			}
		}
		if n := f.ok(`{"command":"dlq.status"}`).number("indexed"); n != 2 {
			f.Errorf("the index lists %d", n)
		}
		if a := f.ok(`{"command":"dlq.restore","job_id":"` + purge + `"}`); a.number("restored") != 0 || a["done"] != true {
			f.Errorf("restored twice: %v", a)
		}
		job := f.ok(`{"command":"dlq.jobs","job_id":"` + a.text("job_id") + `","max":5}`)["job"].(map[string]any)
		if job["kind"] != "restore" || job["restores"] != purge || job["restored"] != 3.0 || len(job["messages"].([]any)) != 3 {
			f.Errorf("the audit trail has %v", job)
		}
		f.breaks(nil, "1", "2")
		if a := f.ok(`{"command":"dlq.replay"}`); a.number("replayed") != 2 {
			f.Errorf("replayed: %v", a)
		}
		f.work()
		for _, id := range ids {
			f.has(id, task.Succeeded)
		}
	})
}

// A purge that was stopped goes on from where it was, by its id: what it has set
// aside stays so, and all of it can be restored by one id.
func TestPurgeGoesOn(t *testing.T) {
	bubble(t, func(f *fixture) {
		const n = 60
		for range n {
			f.foreign(deadQueue, "hello")
		}
		f.ok(`{"command":"dlq.jobs"}`)
		f.queues.Inject(func(c workqueuetest.Call) workqueuetest.Fault {
			if c.Operation == "ReceiveMessage" {
				time.Sleep(time.Second)
			}
			return workqueuetest.Fault{}
		})
		var done sync.WaitGroup
		var a answer
		done.Go(func() { a = f.ask(`{"command":"dlq.purge","confirm":"tasks","max":55,"by":"me"}`) })
		time.Sleep(1500 * time.Millisecond)
		id := f.ok(`{"command":"dlq.jobs","max":1}`)["jobs"].([]any)[0].(map[string]any)["job_id"].(string)
		resume := `{"command":"dlq.purge","queue":"tasks","confirm":"tasks","job_id":"` + id + `"}`
		if got := f.refused(resume, adminapi.CodeJobRunning); !strings.Contains(got, "another job is running") {
			f.Error(got)
		}
		f.ok(`{"command":"dlq.stop","job_id":"` + id + `","by":"you"}`)
		done.Wait()
		first := a.number("quarantined")
		if a["ok"] != true || a.text("job_id") != id || a.text("status") != "stopped" || a["done"] != false || first == 0 || first >= 55 {
			f.Fatalf("the purge answers %v", a)
		}
		if got := a.text("note"); got != "the job can be resumed: "+resume {
			f.Errorf("it says %q", got)
		}
		job := f.ok(`{"command":"dlq.jobs","job_id":"` + id + `"}`)["job"].(map[string]any)
		if job["status"] != "stopped" || job["resume"] != resume {
			f.Errorf("the job is %v", job)
		}
		for _, tt := range []struct {
			payload string
			code    adminapi.Code
			message string
		}{
			{`{"command":"dlq.purge","confirm":"tasks","job_id":"` + id + `","filter":{"type":"x"}}`, adminapi.CodeInvalid, "the job has its filter: leave filter out"},
			{`{"command":"dlq.purge","job_id":"` + id + `"}`, adminapi.CodeConfirm, `which is "tasks"`},
			{`{"command":"dlq.purge","queue":"stream","confirm":"stream","job_id":"` + id + `"}`, adminapi.CodePlanUsed, `it is for the queue "tasks", not for "stream"`},
			{`{"command":"dlq.purge","confirm":"tasks","job_id":"` + id + `","max":-1}`, adminapi.CodeInvalid, "max is -1"},
			{`{"command":"dlq.replay","plan_id":"` + id + `"}`, adminapi.CodePlanUsed, id + " is a purge, not a replay"},
		} {
			if got := f.refused(tt.payload, tt.code); !strings.Contains(got, tt.message) {
				f.Errorf("%s: %s, want %s", tt.payload, got, tt.message)
			}
		}
		f.holds(deadQueue, n-first)
		time.Sleep(time.Second) // so that events sort
		want := `{"ok": true, "job_id": "J", "status": "done", "matched": 55, "quarantined": 55, "failed": 0, "done": true, "restorable_until": "TIME"}`
		for range 2 { // the second time it only says what came of it
			f.is(f.ok(resume), map[string]string{"J": id}, want)
		}
		f.holds(deadQueue, n-55)
		f.is(f.ok(`{"command":"dlq.jobs","job_id":"`+id+`"}`), map[string]string{"J": id}, `{"ok": true, "job": {
			"job_id": "J", "kind": "purge", "queue": "tasks", "status": "done", "by": "me", "request_id": "8476a536-e9f4-11e8-9739-2dfe598c3fcd",
			"created_at": "TIME", "started_at": "TIME", "updated_at": "TIME", "finished_at": "TIME", "filter": {}, "max": 55,
			"matched": 55, "replayed": 0, "skipped": 0, "dropped": 0, "failed": 0, "quarantined": 55, "done": true, "at_least_once": 0, "hops": 1, "reasons": {},
			"events": [
				{"at": "TIME", "what": "begun", "by": "me", "request_id": "8476a536-e9f4-11e8-9739-2dfe598c3fcd"},
				{"at": "TIME", "what": "stop asked", "by": "you", "request_id": "8476a536-e9f4-11e8-9739-2dfe598c3fcd"},
				{"at": "TIME", "what": "stopped"},
				{"at": "TIME", "what": "resumed", "by": "unknown", "request_id": "8476a536-e9f4-11e8-9739-2dfe598c3fcd"},
				{"at": "TIME", "what": "done"}
			]}}`)
		if a := f.ok(`{"command":"dlq.restore","job_id":"` + id + `"}`); a.number("restored") != 55 {
			f.Errorf("answer %v", a)
		}
		f.holds(deadQueue, n)
	})
}

// Its dry run needs no confirmation and shows what would go.
func TestPurgeDryRun(t *testing.T) {
	bubble(t, func(f *fixture) {
		ids := f.dead("shop.order", errFlaky, "1")
		f.is(f.ok(`{"command":"dlq.purge","dry_run":true}`), map[string]string{"T1": ids[0]}, `{"ok": true, "job_id": "ID", "matched": 1, "quarantined": 0, "failed": 0, "done": true,
			"groups": [{"fingerprint": "7f339f3c37e0dc0d", "type": "shop.order", "code": "handler_error", "message": "the shop answers 503 after 17 ms",
				"count": 1, "first_seen": "TIME", "last_seen": "TIME", "moved_by": "worker", "sample": {"task_id": "T1"}}]}`)
		f.is(f.ok(`{"command":"dlq.purge","dry_run":true,"filter":{"type":"none"}}`), nil,
			`{"ok": true, "job_id": "ID", "matched": 0, "quarantined": 0, "failed": 0, "done": true, "note": "nothing matches"}`)
		f.holds(deadQueue, 1)
	})
}

// A dry run that is carried out takes what it has shown, and nothing that came
// after it.
func TestPurgeOfDryRun(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.dead("shop.order", errFlaky, "1")
		f.foreign(deadQueue, "hello")
		id := f.ok(`{"command":"dlq.purge","dry_run":true}`).text("job_id")
		later := f.dead("shop.order", errFlaky, "2")
		f.foreign(deadQueue, "hello")
		if a := f.ok(`{"command":"dlq.purge","confirm":"tasks","job_id":"` + id + `"}`); a.text("job_id") != id || a.number("quarantined") != 2 || a["done"] != true {
			f.Errorf("answer %v", a)
		}
		f.holds(deadQueue, 2)
		if a := f.ok(`{"command":"dlq.list","filter":{"ids":["` + later[0] + `"]}}`); len(a["messages"].([]any)) != 1 {
			f.Errorf("the one that came later is gone: %v", a)
		}
	})
}

func TestPurgeOfStream(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.foreign(streamQueue, "hello")
		a := f.ok(`{"command":"dlq.purge","queue":"stream","confirm":"stream"}`)
		if a.number("quarantined") != 1 {
			f.Errorf("answer %v", a)
		}
		f.holds(streamQueue, 0)
		if a := f.ok(`{"command":"dlq.restore","job_id":"` + a.text("job_id") + `"}`); a.number("restored") != 1 {
			f.Errorf("answer %v", a)
		}
		f.holds(streamQueue, 1)
	})
}

func TestPurgeRefusals(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.dead("shop.order", errFlaky, "1")
		replay := f.ok(`{"command":"dlq.replay","dry_run":true}`).text("plan_id")
		for _, tt := range []struct {
			payload string
			code    adminapi.Code
			message string
		}{
			{`{"command":"dlq.purge"}`, adminapi.CodeConfirm, `a purge takes messages off the queue: repeat its name in "confirm", which is "tasks"`},
			{`{"command":"dlq.purge","confirm":"stream"}`, adminapi.CodeConfirm, `which is "tasks"`},
			{`{"command":"dlq.purge","confirm":"TASKS"}`, adminapi.CodeConfirm, `which is "tasks"`},
			{`{"command":"dlq.purge","queue":"stream","confirm":"tasks"}`, adminapi.CodeConfirm, `which is "stream"`},
			{`{"command":"dlq.purge","queue":"sagas","confirm":"sagas"}`, adminapi.CodeUnknownQueue, "known are saga, stream, tasks"},
			{`{"command":"dlq.purge","confirm":"tasks","max":-1}`, adminapi.CodeInvalid, "max is -1"},
			{`{"command":"dlq.purge","confirm":"tasks","filter":{"older_than":"x"}}`, adminapi.CodeInvalid, "older_than is not a duration"},
			{`{"command":"dlq.purge","confirm":"tasks","plan_id":"x"}`, adminapi.CodeUnknownField, `dlq.purge has no field "plan_id": it has queue, filter, confirm, job_id, max, dry_run, by`},
			{`{"command":"dlq.purge","confirm":"tasks","job_id":"x"}`, adminapi.CodeNotFound, "there is no job or plan x"},
			{`{"command":"dlq.purge","confirm":"tasks","job_id":"` + replay + `"}`, adminapi.CodePlanUsed, replay + " is a replay, not a purge"},
			{`{"command":"dlq.purge","confirm":"tasks","filter":{"tenant":"` + strings.Repeat("x", 257) + `"}}`, adminapi.CodeInvalid, "longer than 256 bytes"},
			{`{"command":"dlq.restore"}`, adminapi.CodeInvalid, `"job_id" is missing`},
			{`{"command":"dlq.restore","job_id":"x"}`, adminapi.CodeNotFound, "there is no job or plan x"},
			{`{"command":"dlq.restore","job_id":"` + strings.Repeat("x", 2000) + `"}`, adminapi.CodeInvalid, `"job_id" is no id`},
			{`{"command":"dlq.restore","job_id":"` + replay + `"}`, adminapi.CodeInvalid, replay + " is a replay; a restore needs the id of a purge"},
		} {
			if got := f.refused(tt.payload, tt.code); !strings.Contains(got, tt.message) {
				f.Errorf("%.100s: %s, want %s", tt.payload, got, tt.message)
			}
		}
		f.holds(deadQueue, 1)
		f.opts.Quarantine = nil
		f.handler = nil
		f.refused(`{"command":"dlq.purge","confirm":"tasks"}`, adminapi.CodeUnsupported)
		f.refused(`{"command":"dlq.restore","job_id":"`+replay+`"}`, adminapi.CodeUnsupported)
		f.holds(deadQueue, 1)
	})
}
