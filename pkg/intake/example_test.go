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
	in := intake.New(table, intake.Queues{Tasks: printingQueue{}, Backlog: printingQueue{}}, mux, nil)

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
