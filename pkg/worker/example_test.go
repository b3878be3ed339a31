package worker_test

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/tasktable/tasktabletest"
	"github.com/spillway-go/spillway/pkg/worker"
	"github.com/spillway-go/spillway/pkg/workqueue"
	"github.com/spillway-go/spillway/pkg/workqueue/workqueuetest"
)

// A complete worker, on a table and queues in memory. In a Lambda function the
// clients are the SDK's, and lambda.Start(w.Invoke) takes the place of Deliver.
func Example() {
	ctx := context.Background()
	quiet := slog.New(slog.DiscardHandler)

	// The handlers: one typed function for each type of task.
	type order struct {
		Item string `json:"item"`
	}
	type receipt struct {
		Shipped string `json:"shipped"`
	}
	mux := task.NewMux()
	task.Handle(mux, "order.ship", func(ctx context.Context, o order) (receipt, error) {
		switch {
		case o.Item == "unicorn":
			return receipt{}, task.Permanent(task.Code("no_such_item", fmt.Errorf("there is no %s", o.Item)))
		case o.Item == "piano" && task.Current(ctx).Attempt == 1:
			return receipt{}, task.RetryAfter(0, fmt.Errorf("it needs more hands"))
		}
		return receipt{Shipped: o.Item}, nil
	})

	// The worker between its queues and its table.
	table := tasktabletest.NewTable(nil)
	sqs := workqueuetest.New()
	open := func(name string) *workqueue.Queue {
		return workqueue.New(sqs, sqs.Create(name, workqueuetest.QueueOptions{}), nil)
	}
	queues := worker.Queues{"tasks": open("tasks"), "backlog": open("backlog")}
	w := worker.New(mux, table, queues, open("dead-letter"), &worker.Options{Logger: quiet})

	// Three tasks: a row, then its message.
	var ids []string
	for _, item := range []string{"teapot", "piano", "unicorn"} {
		now := time.Now()
		draft := tasktable.Draft{
			ID: tasktable.NewID(), Tenant: "acme", Type: "order.ship",
			Input: fmt.Appendf(nil, `{"item":%q}`, item), Deadline: now.Add(time.Hour),
		}
		if _, err := table.Create(ctx, draft); err != nil {
			panic(err)
		}
		out, err := workqueue.Encode(workqueue.Message{
			TaskID: draft.ID, Run: 1, Type: draft.Type, Tenant: draft.Tenant, CreatedAt: now, Deadline: draft.Deadline, Input: draft.Input,
		})
		if err != nil {
			panic(err)
		}
		if err := queues["tasks"].(*workqueue.Queue).Send(ctx, out); err != nil {
			panic(err)
		}
		ids = append(ids, draft.ID)
	}

	// Lambda's part: deliver batches until the queue is empty.
	for len(sqs.Messages("tasks")) > 0 {
		if _, err := sqs.Deliver(ctx, "tasks", 10, w.Invoke); err != nil {
			panic(err)
		}
	}
	for _, id := range ids {
		row, err := table.Get(ctx, id)
		if err != nil {
			panic(err)
		}
		if row.Status == task.Failed {
			fmt.Printf("%s after %d: %s, %s\n", row.Status, row.Attempts, row.Error.Code, row.Error.Message)
		} else {
			fmt.Printf("%s after %d: %s\n", row.Status, row.Attempts, row.Result)
		}
	}
	// Output:
	// succeeded after 1: {"shipped":"teapot"}
	// succeeded after 2: {"shipped":"piano"}
	// failed after 1: no_such_item, there is no unicorn
}
