package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/spillway-go/spillway/internal/adminapi"
	"github.com/spillway-go/spillway/internal/allocs"
	"github.com/spillway-go/spillway/pkg/task"
)

// FuzzHandle hands over payloads, in which the names of things that are there
// stand for them. Every answer is one: valid, with a known code if it is not
// ok, and without anything internal; and whatever was asked for, each dead
// letter is still somewhere.
func FuzzHandle(f *testing.F) {
	for name, c := range commands {
		f.Add([]byte(fmt.Sprintf(`{"command":%q}`, name)))
		for _, field := range c.fields {
			for _, value := range []string{`"TASK1"`, `"PLAN1"`, `"PURGE1"`, `"tasks"`, `"stream"`, `1`, `-1`, `1e-9`, `1e300`, `true`, `["TASK1","TASK1"]`, `{}`, `null`} {
				f.Add([]byte(fmt.Sprintf(`{"command":%q,%q:%s}`, name, field, value)))
			}
		}
	}
	for _, payload := range []string{
		`{"command":"dlq.replay","plan_id":"PLAN1","rate":1e-300,"max":1,"canary":1}`, `{"command":"dlq.replay","native":true,"rate":1}`,
		`{"command":"dlq.replay","filter":{"type":"shop.order","tenant":"AROAEXAMPLE","older_than":"1ns","newer_than":"9h","ids":["TASK1"]},"by":"\ud800"}`,
		`{"command":"dlq.purge","confirm":"tasks","max":1,"filter":{"error_contains":"503"}}`, `{"command":"dlq.purge","queue":"stream","confirm":"stream"}`,
		`{"command":"task.retry","filter":{"status":"dead_lettered","ids":["TASK1","TASK1"]},"dry_run":true}`, `{"command":"dlq.restore","job_id":"PURGE1","by":"me"}`,
		`{"command":"task.retry","filter":{"older_than":"-1s"}}`, `{"command":"job.resume","job_id":"PLAN1","hop":0}`, `{"command":"job.resume"}`,
		`{"command":"job.follow","job_id":"PLAN1","hop":0}`, `{"command":"job.follow"}`, `{"command":"dlq.jobs","job_id":"PURGE1","max":3,"from":1}`,
		`{"command":"dlq.purge","confirm":"tasks","job_id":"PURGE1"}`, `{"command":"dlq.purge","confirm":"tasks","job_id":"PLAN1","filter":{"type":"x"}}`,
		`{"command":"dlq.list","filter":{"ids":[],"error_contains":"` + strings.Repeat("<", 300) + `"}}`, `{"command":"dlq.status"} {}`, `null`, `[]`, ``, "\xff",
		`{"command":"saga.list","status":"failed","max":1,"cursor":"page-1"}`, `{"command":"saga.show","execution":"SAGA1"}`,
		`{"command":"saga.show","execution":"SAGA1-recover-1"}`, `{"command":"saga.resume","execution":"SAGA1","step":"CancelHotel","by":"me"}`,
		`{"command":"saga.resume","execution":"SAGA1","step":"BookHotel"}`, `{"command":"saga.skip","execution":"SAGA1","step":"CancelHotel","reason":"x"}`,
		`{"command":"saga.done","execution":"SAGA1-recover-99","step":"CancelHotel","reason":"\ud800"}`, `{"command":"dlq.replay","queue":"saga"}`,
		`{"command":"chaos.set","target":"saga.BookFlight","fault":"latency","rate":0.5,"latency":"1s","for":"1m","by":"me"}`,
		`{"command":"chaos.set","target":"saga.BookFlight","fault":"panic","times":-1}`, `{"command":"chaos.clear","target":"sqs"}`,
		`{"command":"dlq.status","command":"dlq.list"}`, `{"\u0063ommand":"dlq.status"}`, `{"command":"` + strings.Repeat("x", 3000) + `"}`,
	} {
		f.Add([]byte(payload))
	}
	known := map[any]bool{}
	for _, code := range []adminapi.Code{
		adminapi.CodeInvalid, adminapi.CodeUnknownCommand, adminapi.CodeUnknownField, adminapi.CodeUnknownQueue, adminapi.CodeNotFound,
		adminapi.CodePlanExpired, adminapi.CodePlanUsed, adminapi.CodeJobRunning, adminapi.CodeConfirm,
		adminapi.CodeUnsupported, adminapi.CodeDeadline, adminapi.CodeNotRetryable, adminapi.CodeFinished,
	} { // not unavailable: all calls here succeed
		known[string(code)] = true
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		allocs.Within(t, 16<<20+64*len(payload), func() {
			synctestRun(t, func(f *fixture) {
				ids := f.dead("shop.order", errFlaky, "1", "2", "3")
				f.foreign(deadQueue, "hello")
				purge := f.ok(`{"command":"dlq.purge","confirm":"tasks","filter":{"ids":["` + ids[2] + `"]}}`).text("job_id")
				plan := f.ok(`{"command":"dlq.replay","dry_run":true}`).text("plan_id")
				f.trips()
				f.parks(first, "CancelHotel")
				f.sends("hello")
				before := f.letters()
				names := strings.NewReplacer("SAGA1", first, "TASK1", ids[0], "PLAN1", plan, "PURGE1", purge)
				ctx, cancel := context.WithTimeout(f.Context(), 20*time.Second)
				defer cancel()
				out, err := f.admin().Handle(ctx, []byte(names.Replace(string(payload))))
				var a answer
				if err != nil || json.Unmarshal(out, &a) != nil {
					f.Fatalf("answer %.500s, %v", out, err)
				}
				f.clean(names.Replace(string(out)))
				switch message, _ := a["message"].(string); {
				case a["ok"] == true:
				case a["ok"] != false || !known[a["code"]] || message == "" || len(message) > 1000 || len(a) != 3:
					f.Errorf("answer %.2000s", out)
				case f.letters() != before:
					f.Errorf("refused, and yet letters moved: %.500s", out)
				}
				if after := f.letters(); after.all() < before.all() {
					f.Errorf("there were %+v, and are %+v", before, after)
				}
				for _, id := range ids {
					row, err := f.table.GetConsistent(f.Context(), id)
					if err != nil || row.Status != task.DeadLettered && row.Status != task.Queued && row.Status != task.Canceled || row.Run > 2 {
						f.Errorf("task %s: %+v, %v", id, row, err)
					}
				}
			})
		})
	})
}

// letters are where dead letters can be. What a saga has parked is not among
// them: it is there to be taken off.
type letters struct{ dead, stream, saga, tasks, backlog, aside int }

func (l letters) all() int { return l.dead + l.stream + l.saga + l.tasks + l.backlog + l.aside }

func (f *fixture) letters() letters {
	l := letters{
		dead: len(f.queues.Messages(deadQueue)), stream: len(f.queues.Messages(streamQueue)), tasks: len(f.queues.Messages(tasksQueue)),
		backlog: len(f.queues.Messages(backlogQueue)),
	}
	for _, m := range f.queues.Messages(sagaQueue) {
		if m.Body == "hello" {
			l.saga++
		}
	}
	for _, key := range f.control.Keys() {
		if strings.HasPrefix(key.PK, "quarantine#") {
			l.aside++
		}
	}
	return l
}
