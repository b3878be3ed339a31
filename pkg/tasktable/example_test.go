package tasktable_test

import (
	"context"
	"encoding/json"
	"fmt"
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
