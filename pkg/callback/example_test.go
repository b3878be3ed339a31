package callback_test

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/spillway-go/spillway/pkg/batch"
	"github.com/spillway-go/spillway/pkg/callback"
	"github.com/spillway-go/spillway/pkg/event"
	"github.com/spillway-go/spillway/pkg/intake"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/tasktable/tasktabletest"
	"github.com/spillway-go/spillway/pkg/webhook"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

// printingQueue stands for a [workqueue.Queue].
type printingQueue struct{}

func (printingQueue) Name() string { return "tasks" }

func (printingQueue) Send(_ context.Context, m workqueue.Outgoing) error {
	fmt.Println("queued", *m.Attributes[workqueue.AttrType].StringValue, *m.Attributes[workqueue.AttrTaskID].StringValue)
	return nil
}

// A function behind the task table's stream.
func ExampleNotifier_Handle() {
	mux := task.NewMux()
	task.Handle(mux, webhook.Type, webhook.New(nil, nil).Deliver) // the worker has one that delivers
	table := tasktabletest.NewTable(nil)
	in := intake.New(table, intake.Queues{"tasks": printingQueue{}, "backlog": printingQueue{}}, mux, nil)
	quiet := slog.New(slog.DiscardHandler)
	n := callback.New(table, in, &callback.Options{Logger: quiet})
	handler := batch.DynamoDB(n.Handle, &batch.Options{Concurrency: 4, Logger: quiet})

	answer, err := handler.Invoke(context.Background(), []byte(`{"Records":[{"eventSource":"aws:dynamodb","eventName":"MODIFY","dynamodb":{
		"Keys":{"id":{"S":"01KWEG73E0EDR6JV3CEXGQJRB2"}},"SequenceNumber":"101",
		"OldImage":{"id":{"S":"01KWEG73E0EDR6JV3CEXGQJRB2"},"run":{"N":"1"},"status":{"S":"running"}},
		"NewImage":{"id":{"S":"01KWEG73E0EDR6JV3CEXGQJRB2"},"run":{"N":"1"},"status":{"S":"failed"},"tenant_shard":{"S":"acme#2"},
			"type":{"S":"report.build"},"attempts":{"N":"1"},"finished_at":{"N":"1782898200391"},"deadline":{"N":"1783503000000"},
			"error":{"S":"{\"code\":\"no_such_year\",\"message\":\"there is no 1752\",\"retryable\":false}"},
			"callback_url":{"S":"https://example.com/done"}}}}]}`))
	fmt.Println(string(answer), err)

	// Whoever knows the end knows the delivery's task.
	id := callback.TaskID(&tasktable.Row{ID: "01KWEG73E0EDR6JV3CEXGQJRB2", Run: 1, Status: task.Failed, FinishedAt: 1782898200391})
	row, err := table.Get(context.Background(), id)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(row.Tenant, row.Status, row.CreatedAt())
	var input webhook.Input
	if err := task.Decode(row.Input, &input); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(input.Event, input.URL)
	// Output:
	// queued webhook.deliver 01KWEG73T7CRPZPXE6K453YQXM
	// {"batchItemFailures":[]} <nil>
	// acme queued 2026-07-01 09:30:00.391 +0000 UTC
	// task.failed https://example.com/done
}

// A function that reads the stream without a mapping leaves out the same.
func ExampleConcerns() {
	record := func(status, more string) *event.StreamRecord {
		return &event.StreamRecord{JSON: `{"eventSource":"aws:dynamodb","eventName":"MODIFY","dynamodb":{"Keys":{"id":{"S":"a"}},
			"NewImage":{"id":{"S":"a"},"run":{"N":"1"},"status":{"S":"` + status + `"}` + more + `}}}`}
	}
	const url = `,"callback_url":{"S":"https://example.com/done"}`
	fmt.Println(callback.Concerns(record("failed", url)), callback.Concerns(record("failed", "")), callback.Concerns(record("running", url)))
	// Output: true false false
}
