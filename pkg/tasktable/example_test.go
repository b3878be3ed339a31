package tasktable_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/tasktable/tasktabletest"
)

// A batch is claimed by one call and settled by another.
func Example() {
	ctx := context.Background()
	// In a Lambda function: tasktable.New(dynamodb.NewFromConfig(cfg), os.Getenv("TASK_TABLE"), nil)
	table := tasktabletest.NewTable(nil)

	ids := []string{tasktable.NewID(), tasktable.NewID(), tasktable.NewID()}
	for _, id := range ids[:2] {
		_, err := table.Create(ctx, tasktable.Draft{
			ID: id, Tenant: "acme", Type: "report.build", Input: json.RawMessage(`{"year":2026}`),
			Deadline: time.Now().Add(time.Hour),
		})
		if err != nil {
			fmt.Println(err)
		}
	}

	var settlements []tasktable.Settlement
	for i, c := range table.Claim(ctx, tasktable.NewOwner(), time.Now().Add(5*time.Minute), ids) {
		switch c.Outcome {
		case tasktable.Claimed:
			fmt.Printf("task %d: attempt %d with %s\n", i, c.Row.Counted(), c.Row.Input)
			settlements = append(settlements, tasktable.Succeed(c.Row, json.RawMessage(`{"pages":12}`)))
		case tasktable.Absent:
			fmt.Printf("task %d: there is none\n", i)
		default:
			fmt.Printf("task %d: hand its message back, or acknowledge a duplicate\n", i)
		}
	}
	for _, s := range table.Settle(ctx, settlements) {
		fmt.Println(s.Status)
	}
	// Output:
	// task 0: attempt 1 with {"year":2026}
	// task 1: attempt 1 with {"year":2026}
	// task 2: there is none
	// succeeded
	// succeeded
}

// A worker that was away for longer than its lease finds that its task has
// changed hands.
func ExampleTable_Settle() {
	ctx := context.Background()
	table := tasktabletest.NewTable(nil)
	id := tasktable.NewID()
	_, _ = table.Create(ctx, tasktable.Draft{ID: id, Tenant: "acme", Type: "report.build", Input: []byte(`{}`), Deadline: time.Now().Add(time.Hour)})

	lapsed := time.Now().Add(-time.Second)
	slow := table.Claim(ctx, tasktable.NewOwner(), lapsed, []string{id})[0].Row
	quick := table.Claim(ctx, tasktable.NewOwner(), time.Now().Add(time.Minute), []string{id})[0].Row
	fmt.Println("a worker vanished:", quick.Vanished())

	late := table.Settle(ctx, []tasktable.Settlement{tasktable.Fail(slow, task.Failure{Code: "timeout"})})[0]
	fmt.Println("the slow one lost:", late.Lost)
	fmt.Println(table.Settle(ctx, []tasktable.Settlement{tasktable.Succeed(quick, nil)})[0].Status)
	// Output:
	// a worker vanished: true
	// the slow one lost: true
	// succeeded
}

// The shortest way to a task: read it as its callers see it.
func ExampleTable_Get() {
	ctx := context.Background()
	table := tasktabletest.NewTable(nil)
	_, _ = table.Create(ctx, tasktable.Draft{
		ID: "01JZ8X2M7V3Q4R5S6T7V8W9XYZ", Tenant: "acme", Type: "report.build", Input: []byte(`{}`),
		Deadline: time.Now().Add(time.Hour),
	})
	r, err := table.Get(ctx, "01JZ8X2M7V3Q4R5S6T7V8W9XYZ")
	if err != nil {
		fmt.Println(err)
		return
	}
	t := r.Task()
	fmt.Println(t.Status, t.CreatedAt)

	_, err = table.Get(ctx, tasktable.NewID())
	fmt.Println(err != nil)
	// Output:
	// queued 2025-07-03T19:44:05.371Z
	// true
}

// create hands in a task, as an API does.
func create(ctx context.Context, table *tasktable.Table) string {
	id := tasktable.NewID()
	_, err := table.Create(ctx, tasktable.Draft{
		ID: id, Tenant: "acme", Type: "report.build", Input: json.RawMessage(`{"year":2026}`), Deadline: time.Now().Add(time.Hour),
	})
	if err != nil {
		panic(err)
	}
	return id
}

// claim leases a task to a worker for five minutes.
func claim(ctx context.Context, table *tasktable.Table, id string) *tasktable.Row {
	return table.Claim(ctx, tasktable.NewOwner(), time.Now().Add(5*time.Minute), []string{id})[0].Row
}

// The table works on any client of DynamoDB, also on the one in memory.
func ExampleNew() {
	ctx := context.Background()
	table := tasktable.New(tasktabletest.NewDynamoDB(), "tasks", &tasktable.Options{Retention: 30 * 24 * time.Hour})

	r, err := table.GetConsistent(ctx, create(ctx, table))
	fmt.Println(r.Status, r.Attempts, err)
	// Output: queued 0 <nil>
}

// All the ways in which a claim can end, in one call.
func ExampleTable_Settle_outcomes() {
	ctx := context.Background()
	table := tasktabletest.NewTable(nil)
	row := func() *tasktable.Row { return claim(ctx, table, create(ctx, table)) }
	failure := task.Failure{Code: "http_503", Message: "shop.example answered 503", Retryable: true}

	settlements := []tasktable.Settlement{
		tasktable.Succeed(row(), json.RawMessage(`{"pages":12}`)),
		tasktable.Retry(row(), failure, time.Now().Add(time.Minute)),
		tasktable.Fail(row(), failure),
		tasktable.DeadLetter(row(), failure),
		tasktable.Cancel(row()),
		tasktable.Expired(row()),
		tasktable.Release(row()),
		tasktable.Yield(row()),
		tasktable.Defer(row()),
	}
	for i, s := range table.Settle(ctx, settlements) {
		now, _ := table.GetConsistent(ctx, settlements[i].Row().ID)
		fmt.Println(s.Status, "after attempts:", now.Attempts)
	}
	// Output:
	// succeeded after attempts: 1
	// queued after attempts: 1
	// failed after attempts: 1
	// dead_lettered after attempts: 1
	// canceled after attempts: 1
	// expired after attempts: 0
	// queued after attempts: 0
	// queued after attempts: 0
	// running after attempts: 1
}

// A worker reads from a settlement what to do with the message.
func ExampleSettlement() {
	ctx := context.Background()
	table := tasktabletest.NewTable(nil)
	row := claim(ctx, table, create(ctx, table))

	s := tasktable.Retry(row, task.Failure{Code: "timeout"}, time.Now().Add(90*time.Second))
	fmt.Println(s.To(), "- hide the message for", s.Wait().Round(time.Second))

	// The breaker was open, the handler never ran: no attempt.
	table.Settle(ctx, []tasktable.Settlement{s.Uncounted()})
	now, _ := table.GetConsistent(ctx, row.ID)
	fmt.Println("attempts:", now.Attempts)
	// Output:
	// queued - hide the message for 1m30s
	// attempts: 0
}

// A result that no item can hold is not written, and its task is failed.
func ExampleSettled_IsTooLarge() {
	ctx := context.Background()
	table := tasktabletest.NewTable(nil)
	row := claim(ctx, table, create(ctx, table))

	result := json.RawMessage(`"` + strings.Repeat("x", 400_000) + `"`)
	settled := table.Settle(ctx, []tasktable.Settlement{tasktable.Succeed(row, result)})[0]
	if settled.IsTooLarge() {
		settled = table.Settle(ctx, []tasktable.Settlement{tasktable.Fail(row, task.Failure{Code: "result_too_large"})})[0]
	}
	fmt.Println(settled.Status)
	// Output: failed
}

// Newest first, page by page.
func ExampleTable_List() {
	ctx := context.Background()
	table := tasktabletest.NewTable(nil)
	for range 5 {
		create(ctx, table)
	}

	q := tasktable.Query{Tenant: "acme", Status: task.Queued, Limit: 2}
	for {
		page, err := table.List(ctx, q)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(len(page.Rows), "tasks")
		if page.Next == "" {
			return
		}
		q.Before = page.Next
	}
	// Output:
	// 2 tasks
	// 2 tasks
	// 1 tasks
}

// A task that nobody works on is canceled at once; a running one is asked.
func ExampleTable_Cancel() {
	ctx := context.Background()
	table := tasktabletest.NewTable(nil)
	waiting, running := create(ctx, table), create(ctx, table)
	row := claim(ctx, table, running)

	for _, id := range []string{waiting, running} {
		now, err := table.Cancel(ctx, "acme", id)
		fmt.Println(now.Status, now.CancelRequested, err)
	}
	// A failure, unlike a success, gives way to the cancel.
	fmt.Println(table.Settle(ctx, []tasktable.Settlement{tasktable.Fail(row, task.Failure{Code: "timeout"})})[0].Status)

	done := claim(ctx, table, create(ctx, table))
	table.Settle(ctx, []tasktable.Settlement{tasktable.Succeed(done, nil)})
	_, err := table.Cancel(ctx, "acme", done.ID)
	fmt.Println("too late:", errors.Is(err, tasktable.ErrFinished))
	// Output:
	// canceled false <nil>
	// running true <nil>
	// canceled
	// too late: true
}

// Whoever finds a task past its deadline writes it as expired, unless a worker
// has it.
func ExampleTable_Expire() {
	ctx := context.Background()
	table := tasktabletest.NewTable(nil)
	late := tasktable.NewID()
	_, _ = table.Create(ctx, tasktable.Draft{ID: late, Tenant: "acme", Type: "report.build", Input: []byte(`{}`), Deadline: time.Now().Add(-time.Second)})

	for _, c := range table.Expire(ctx, []string{late, create(ctx, table)}) {
		fmt.Println(c.Outcome == tasktable.Finished, c.Row.Status)
	}
	// Output:
	// true expired
	// false queued
}

// An idempotency key stands for the first task that it was used with.
func ExampleTable_Remember() {
	ctx := context.Background()
	table := tasktabletest.NewTable(nil)
	first := tasktable.Key{TaskID: "01JZ8X2M7V3Q4R5S6T7V8W9XYZ", Payload: "hash of the request"}

	_, err := table.Remember(ctx, "acme", "order-17", first)
	fmt.Println(err)
	again, err := table.Remember(ctx, "acme", "order-17", tasktable.Key{TaskID: tasktable.NewID(), Payload: "hash of the request"})
	fmt.Println(again.TaskID, err)

	_, err = table.Recall(ctx, "acme", "order-18")
	fmt.Println(errors.Is(err, tasktable.ErrNotFound))
	// Output:
	// <nil>
	// 01JZ8X2M7V3Q4R5S6T7V8W9XYZ <nil>
	// true
}

// A long attempt renews its lease with every checkpoint, and learns on the way
// that it was canceled, or that another worker took the task over.
func ExampleTable_Renew() {
	ctx := context.Background()
	table := tasktabletest.NewTable(nil)
	row := claim(ctx, table, create(ctx, table))
	_, _ = table.Cancel(ctx, "acme", row.ID)

	now, err := table.Renew(ctx, row, time.Now().Add(-time.Second), tasktable.Renewal{
		Progress: &task.Advance{Done: 1, Total: 3}, State: []byte(`{"page":1}`),
	})
	fmt.Println(now.CancelRequested, err)

	claim(ctx, table, row.ID) // the renewed lease was over at once
	_, err = table.Renew(ctx, row, time.Now().Add(time.Minute), tasktable.Renewal{})
	fmt.Println(errors.Is(err, tasktable.ErrLost))
	// Output:
	// true <nil>
	// true
}

// A dead letter carries the next run; moved back to its queue, it begins that.
func ExampleTable_Replay() {
	ctx := context.Background()
	table := tasktabletest.NewTable(nil)
	row := claim(ctx, table, create(ctx, table))
	table.Settle(ctx, []tasktable.Settlement{tasktable.DeadLetter(row, task.Failure{Code: "timeout"})})

	waits, err := table.Replay(ctx, row.ID, row.Run+1)
	fmt.Println(waits, err)

	row = claim(ctx, table, row.ID)
	fmt.Println("run", row.Run, "attempt", row.Counted(), "replays", row.Replays)

	// The message of a third run came, and its replay had not been written.
	fmt.Println(table.Rerun(ctx, row, 3), "run", row.Run)
	// Output:
	// true <nil>
	// run 2 attempt 1 replays 1
	// <nil> run 3
}

// dead lets the last attempt at a task fail, with all that a worker keeps of it.
func dead(ctx context.Context, table *tasktable.Table, id, code string) {
	row, failure := claim(ctx, table, id), task.Failure{Code: code, Message: "shop.example answered 503"}
	s := tasktable.DeadLetter(row, failure).Explained(task.Fingerprint(row.Type, failure), json.RawMessage(`{"code":"`+code+`"}`))
	table.Settle(ctx, []tasktable.Settlement{s})
}

// A failure is settled with its history and its record, under a fingerprint.
func ExampleSettlement_Explained() {
	ctx := context.Background()
	table := tasktabletest.NewTable(nil)
	id := create(ctx, table)
	first := tasktable.Retry(claim(ctx, table, id), task.Failure{Code: "timeout"}, time.Now().Add(-time.Second))
	table.Settle(ctx, []tasktable.Settlement{first})

	failure := task.Failure{Code: "http_503", Message: "shop.example answered 503"}
	s := tasktable.DeadLetter(claim(ctx, table, id), failure)
	report, _ := json.Marshal(map[string]any{"code": failure.Code, "failed_at": task.At(s.At()), "history": s.History()})
	table.Settle(ctx, []tasktable.Settlement{s.Explained(task.Fingerprint("report.build", failure), report)})

	row, _ := table.GetConsistent(ctx, id)
	for _, a := range row.History {
		fmt.Println("attempt", a.Attempt, "failed with", a.Code)
	}
	fmt.Println(row.Fingerprint, len(row.Report) > 0)
	// Output:
	// attempt 1 failed with timeout
	// attempt 2 failed with http_503
	// 9cf9baff4f262adf true
}

// The failed tasks, without receiving a single dead letter.
func ExampleTable_Failures() {
	ctx := context.Background()
	table := tasktabletest.NewTable(nil)
	for _, code := range []string{"http_503", "timeout", "http_503"} {
		dead(ctx, table, create(ctx, table), code)
	}

	count := map[string]int{}
	q := tasktable.FailureQuery{Status: task.DeadLettered, Limit: 2}
	for {
		page, err := table.Failures(ctx, q)
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, e := range page.Entries {
			count[e.Type+" "+e.Fingerprint]++
		}
		if q.Cursor = page.Cursor; q.Cursor == "" {
			break
		}
	}
	for _, problem := range slices.Sorted(maps.Keys(count)) {
		fmt.Println(problem, count[problem])
	}
	// Output:
	// report.build 9cf9baff4f262adf 2
	// report.build d9f6bc24d047e453 1
}

// A plan whose answers were lost is sent again, and no task is queued twice.
func ExampleTable_ReplayAll() {
	ctx := context.Background()
	table := tasktabletest.NewTable(nil)
	a, b, done := create(ctx, table), create(ctx, table), create(ctx, table)
	dead(ctx, table, a, "http_503")
	dead(ctx, table, b, "http_503")
	table.Settle(ctx, []tasktable.Settlement{tasktable.Succeed(claim(ctx, table, done), nil)})

	plan := []tasktable.ReplayRequest{{ID: a, Run: 2, PlanID: "p1"}, {ID: b, Run: 2, PlanID: "p1"}, {ID: done, Run: 2, PlanID: "p1"}}
	for range 2 {
		for _, r := range table.ReplayAll(ctx, plan) {
			fmt.Println(r.Done, r.Row.Status, "replays:", r.Row.Replays, r.Err)
		}
	}
	// The same task in another plan: the row names the first one.
	r := table.ReplayFor(ctx, tasktable.ReplayRequest{ID: a, Run: 2, PlanID: "p2"})
	fmt.Println(r.Done, r.Row.PlanID)
	// Output:
	// true queued replays: 1 <nil>
	// true queued replays: 1 <nil>
	// false succeeded replays: 0 <nil>
	// true queued replays: 1 <nil>
	// true queued replays: 1 <nil>
	// false succeeded replays: 0 <nil>
	// false p1
}

// Dead letters that are put aside are not listed, until they are put back.
func ExampleTable_Unlist() {
	ctx := context.Background()
	table := tasktabletest.NewTable(nil)
	id := create(ctx, table)
	dead(ctx, table, id, "http_503")
	listed := func() []tasktable.FailureEntry {
		page, err := table.Failures(ctx, tasktable.FailureQuery{Status: task.DeadLettered})
		if err != nil {
			fmt.Println(err)
		}
		return page.Entries
	}

	entries := listed()
	errs := table.Unlist(ctx, entries)
	fmt.Println(len(entries), len(listed()), errs)
	errs = table.Relist(ctx, entries)
	fmt.Println(len(listed()), errs)
	// Output:
	// 1 0 [<nil>]
	// 1 [<nil>]
}

// Many tasks at once, by id.
func ExampleTable_Rows() {
	ctx := context.Background()
	table := tasktabletest.NewTable(nil)
	a, b := create(ctx, table), create(ctx, table)

	rows, err := table.Rows(ctx, []string{a, b, tasktable.NewID()})
	fmt.Println(len(rows), rows[a].Status, err)
	// Output: 2 queued <nil>
}

// The attempt at a task whose last worker vanished is counted before it
// begins: it may take this worker down as well.
func ExampleTable_Charge() {
	ctx := context.Background()
	table := tasktabletest.NewTable(nil)
	id := create(ctx, table)
	table.Claim(ctx, tasktable.NewOwner(), time.Now().Add(-time.Second), []string{id}) // and never heard of again

	row := claim(ctx, table, id)
	if row.Vanished() {
		fmt.Println(table.Charge(ctx, row), row.Attempts)
	}
	// Output: <nil> 1
}

// What a dead letter cannot carry is kept beside the tasks.
func ExampleTable_Archive() {
	table := tasktabletest.NewTable(nil)
	err := table.Archive(context.Background(), "059f36b4-87a3-44ab-83d2-661975830a7d", []byte(`{"trace":"…"}`))
	fmt.Println(err)
	// Output: <nil>
}
