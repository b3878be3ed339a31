package intake_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spillway-go/spillway/pkg/intake"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable/tasktabletest"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

// printingQueue stands for a [workqueue.Queue].
type printingQueue struct{}

func (printingQueue) Name() string { return "tasks" }

func (printingQueue) Send(_ context.Context, m workqueue.Outgoing) error {
	fmt.Println("sent a message of type", *m.Attributes[workqueue.AttrType].StringValue)
	return nil
}

func ExampleIntake_Submit() {
	type order struct {
		Year int `json:"year"`
	}
	mux := task.NewMux()
	task.Handle(mux, "report.build", func(context.Context, order) (string, error) { return "", nil })

	table := tasktabletest.NewTable(nil)
	in := intake.New(table, intake.Queues{"tasks": printingQueue{}, "backlog": printingQueue{}}, mux, nil)

	ctx := context.Background()
	request := intake.Request{Tenant: "acme", Type: "report.build", Input: json.RawMessage(`{"year": 2026}`)}
	row, created, err := in.Submit(ctx, request)
	fmt.Println(row.Status, created, err)

	request.Input = json.RawMessage(`{"month": 7}`)
	_, _, err = in.Submit(ctx, request)
	if refused, ok := errors.AsType[*intake.RefusedError](err); ok {
		fmt.Println(refused.Code, "-", refused.Detail)
	}
	// Output:
	// sent a message of type report.build
	// queued true <nil>
	// invalid_request - "input" does not match type report.build: unknown field "month"
}

// The same request with the same key is the same task, however often a caller
// repeats it.
func ExampleRequest_idempotencyKey() {
	mux := task.NewMux()
	task.Handle(mux, "report.build", func(context.Context, map[string]int) (string, error) { return "", nil })
	in := intake.New(tasktabletest.NewTable(nil), intake.Queues{"tasks": printingQueue{}, "backlog": printingQueue{}}, mux, nil)

	ctx, key := context.Background(), "order-17"
	request := intake.Request{Tenant: "acme", Type: "report.build", Input: json.RawMessage(`{"year":2026}`), IdempotencyKey: &key}
	first, _, _ := in.Submit(ctx, request)
	second, created, _ := in.Submit(ctx, request) // nobody has begun it: it is sent again
	fmt.Println(second.ID == first.ID, created)

	request.Input = json.RawMessage(`{"year":2025}`)
	_, _, err := in.Submit(ctx, request)
	fmt.Println(err)
	// Output:
	// sent a message of type report.build
	// sent a message of type report.build
	// true false
	// idempotency_key_reused: this Idempotency-Key was used within the last 24 hours with another request
}

// An id that follows from what the task is about makes it one task, without a
// key that is forgotten after a day.
func ExampleRequest_id() {
	mux := task.NewMux()
	task.Handle(mux, "report.build", func(context.Context, map[string]int) (string, error) { return "", nil })
	in := intake.New(tasktabletest.NewTable(nil), intake.Queues{"tasks": printingQueue{}, "backlog": printingQueue{}}, mux, nil)

	request := intake.Request{ID: "01KWEG73E0EDR6JV3CEXGQJRB2", Tenant: "acme", Type: "report.build", Input: json.RawMessage(`{"year":2026}`)}
	for range 2 {
		row, created, err := in.Submit(context.Background(), request)
		fmt.Println(row.ID, created, err)
	}
	// Output:
	// sent a message of type report.build
	// 01KWEG73E0EDR6JV3CEXGQJRB2 true <nil>
	// sent a message of type report.build
	// 01KWEG73E0EDR6JV3CEXGQJRB2 false <nil>
}
