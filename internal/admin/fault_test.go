package admin

import (
	"fmt"
	"testing"
	"time"

	"github.com/spillway-go/spillway/pkg/archive/archivetest"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable/tasktabletest"
	"github.com/spillway-go/spillway/pkg/workqueue/workqueuetest"
)

// scenarios are the commands, each on a queue with two dead letters of tasks
// and one of nobody's. What they do is done when no call fails.
var scenarios = map[string]func(f *fixture, ids []string) (payloads []string){
	"status": func(*fixture, []string) []string { return []string{`{"command":"dlq.status"}`} },
	"list":   func(*fixture, []string) []string { return []string{`{"command":"dlq.list"}`} },
	"jobs": func(f *fixture, _ []string) []string {
		id := f.ok(`{"command":"dlq.replay","filter":{"error_contains":"503"},"max":1}`).text("job_id")
		f.work()
		return []string{`{"command":"dlq.jobs"}`, `{"command":"dlq.jobs","job_id":"` + id + `","max":10}`}
	},
	"plan":   func(*fixture, []string) []string { return []string{`{"command":"dlq.replay","dry_run":true}`} },
	"replay": func(*fixture, []string) []string { return []string{`{"command":"dlq.replay"}`} },
	"execute": func(f *fixture, _ []string) []string {
		return []string{`{"command":"dlq.replay","plan_id":"` + f.ok(`{"command":"dlq.replay","dry_run":true}`).text("plan_id") + `"}`}
	},
	"native": func(*fixture, []string) []string { return []string{`{"command":"dlq.replay","native":true}`} },
	"stop": func(f *fixture, _ []string) []string {
		return []string{`{"command":"dlq.stop","job_id":"` + f.ok(`{"command":"dlq.replay","dry_run":true}`).text("plan_id") + `"}`}
	},
	"purge": func(*fixture, []string) []string { return []string{`{"command":"dlq.purge","confirm":"tasks"}`} },
	"purge goes on": func(f *fixture, _ []string) []string {
		f.ok(`{"command":"dlq.purge","dry_run":true}`)
		id := f.ok(`{"command":"dlq.jobs","max":1}`)["jobs"].([]any)[0].(map[string]any)["job_id"].(string)
		f.ok(`{"command":"dlq.stop","job_id":"` + id + `"}`)
		return []string{`{"command":"dlq.purge","confirm":"tasks","job_id":"` + id + `"}`}
	},
	"restore": func(f *fixture, _ []string) []string {
		return []string{`{"command":"dlq.restore","job_id":"` + f.ok(`{"command":"dlq.purge","confirm":"tasks"}`).text("job_id") + `"}`}
	},
	"get": func(_ *fixture, ids []string) []string {
		return []string{`{"command":"task.get","id":"` + ids[0] + `"}`}
	},
	"cancel": func(_ *fixture, ids []string) []string {
		return []string{`{"command":"task.cancel","id":"` + ids[0] + `"}`}
	},
	"retry": func(_ *fixture, ids []string) []string {
		return []string{`{"command":"task.retry","id":"` + ids[0] + `"}`}
	},
	"retry all": func(*fixture, []string) []string { return []string{`{"command":"task.retry","filter":{}}`} },
	"retry plan": func(*fixture, []string) []string {
		return []string{`{"command":"task.retry","filter":{},"dry_run":true}`}
	},
	"sagas": func(f *fixture, _ []string) []string {
		f.trips()
		f.parks(first, "CancelHotel")
		f.parks(other, "CancelCar")
		return []string{
			`{"command":"saga.list"}`, `{"command":"saga.show","execution":"` + first + `"}`, `{"command":"saga.resume","execution":"` + first + `","step":"CancelHotel"}`,
			`{"command":"saga.done","execution":"` + other + `","step":"CancelCar","reason":"by telephone"}`,
		}
	},
	"chaos": func(*fixture, []string) []string {
		return []string{
			`{"command":"chaos.set","target":"saga.BookFlight","fault":"panic","times":1}`, `{"command":"chaos.status"}`, `{"command":"chaos.clear"}`,
		}
	},
	"follow": func(f *fixture, _ []string) []string {
		f.ok(`{"command":"dlq.replay","filter":{"error_contains":"503"}}`)
		f.work()
		return f.calls.continuations()
	},
	"continue": func(f *fixture, _ []string) []string {
		f.timeout = 4 * time.Second
		f.ok(`{"command":"dlq.replay","rate":0.5,"filter":{"error_contains":"503"}}`)
		return f.calls.continuations()
	},
}

// failure is how a call to AWS fails.
type failure string

const (
	before failure = "" // it takes effect
	after  failure = " after its effect"
	onward failure = " and all later ones"
)

// Each call of each command fails: every answer is one, no answer says what AWS
// said, and nothing is lost: the tasks can be brought to their end after it.
func TestEveryCallFails(t *testing.T) {
	for name, scenario := range scenarios {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for n := 1; ; n++ {
				reached := false
				for _, how := range []failure{before, after, onward} {
					ok := t.Run(fmt.Sprintf("call %d%s", n, how), func(t *testing.T) {
						synctestRun(t, func(f *fixture) {
							ids := f.dead("shop.order", errFlaky, "1", "2")
							f.foreign(deadQueue, "hello")
							f.breaks(nil, "1", "2")
							payloads := scenario(f, ids)
							reached = f.failing(n, how, func() {
								for _, payload := range payloads {
									_, _ = f.invoke(payload) // which looks at the answer
								}
							}) || reached
							f.bringToEnd(ids)
						})
					})
					if !ok {
						return
					}
				}
				if !reached {
					if n == 1 {
						t.Error("no call was made")
					}
					return
				}
			}
		})
	}
}

// failing lets the nth call to AWS fail while it runs fn, and returns whether
// there was one.
func (f *fixture) failing(n int, how failure, fn func()) (reached bool) {
	f.Helper()
	calls := 0
	due := func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		calls++
		return calls == n || calls > n && how == onward
	}
	afterEffect := how == after
	f.db.Inject(func(c tasktabletest.Call) (fault tasktabletest.Fault) {
		if due() {
			fault.Err, fault.AfterEffect = awsError("DynamoDB", c.Operation, "ValidationException"), afterEffect
		}
		return fault
	})
	table := func(c archivetest.Call) (fault archivetest.Fault) {
		if due() {
			fault.Err, fault.AfterEffect = awsError("DynamoDB", c.Operation, "ValidationException"), afterEffect
		}
		return fault
	}
	f.control.Inject(table)
	f.bucket.Inject(table)
	f.queues.Inject(func(c workqueuetest.Call) (fault workqueuetest.Fault) {
		if due() {
			fault.Err, fault.AfterEffect = awsError("SQS", c.Operation, "AccessDenied"), afterEffect
		}
		return fault
	})
	defer func() {
		f.db.Inject(nil)
		f.control.Inject(nil)
		f.bucket.Inject(nil)
		f.queues.Inject(nil)
	}()
	fn()
	return calls >= n
}

// bringToEnd does what an operator does to get all tasks done, whatever has
// gone wrong before.
func (f *fixture) bringToEnd(ids []string) {
	f.Helper()
	time.Sleep(10 * time.Minute) // leases and hidden messages
	f.timeout = 5 * time.Minute
	for _, j := range f.ok(`{"command":"dlq.jobs","max":100}`)["jobs"].([]any) {
		job := j.(map[string]any)
		if job["kind"] == "purge" && job["quarantined"] != nil || job["kind"] == "purge" && job["status"] != "done" {
			f.ask(fmt.Sprintf(`{"command":"dlq.restore","job_id":%q}`, job["job_id"]))
		}
		if resume, _ := job["resume"].(string); job["kind"] == "replay" && resume != "" {
			f.ask(resume)
		}
	}
	time.Sleep(time.Minute) // a lease that nobody has given back
	f.ok(`{"command":"dlq.replay"}`)
	time.Sleep(20 * time.Minute) // the queue's visibility
	f.work()
	for _, id := range ids {
		row, err := f.table.GetConsistent(f.Context(), id)
		if err != nil {
			f.Fatal(err)
		}
		if row.Status == task.Queued || row.Status == task.DeadLettered || row.Status == task.Failed {
			f.ok(`{"command":"task.retry","id":"` + id + `"}`)
			f.work()
		}
		if row, err = f.table.GetConsistent(f.Context(), id); err != nil || row.Status != task.Succeeded && row.Status != task.Canceled {
			f.Errorf("task %s is %s in the end, %v", id, row.Status, err)
		}
	}
}
