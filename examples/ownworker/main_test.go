package main

import (
	"encoding/json"
	"testing"

	"github.com/spillway-go/spillway/pkg/intake"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/tasktable/tasktabletest"
	"github.com/spillway-go/spillway/pkg/workqueue"
	"github.com/spillway-go/spillway/pkg/workqueue/workqueuetest"
)

// A task from its acceptance to its result, on a table and queues in memory.
func TestWorker(t *testing.T) {
	t.Parallel()
	db, queues := tasktabletest.NewDynamoDB(), workqueuetest.New()
	env := map[string]string{"TASKS_TABLE": "tasks"}
	for variable, name := range map[string]string{
		"TASKS_QUEUE_URL": "tasks", "BACKLOG_QUEUE_URL": "backlog", "DEAD_LETTER_QUEUE_URL": "dead-letter",
	} {
		env[variable] = queues.Create(name, workqueuetest.QueueOptions{})
	}
	w := newWorker(db, queues, func(name string) string { return env[name] })

	table := tasktable.New(db, env["TASKS_TABLE"], nil)
	in := intake.New(table, intake.Queues{
		"tasks":   workqueue.New(queues, env["TASKS_QUEUE_URL"], nil),
		"backlog": workqueue.New(queues, env["BACKLOG_QUEUE_URL"], nil),
	}, handlers(), nil)

	row, created, err := in.Submit(t.Context(), intake.Request{
		Tenant: "acme", Type: "greeting.write", Input: json.RawMessage(`{"name":"Ada"}`),
	})
	if err != nil || !created || row.Status != task.Queued {
		t.Fatalf("submit: %+v, %t, %v", row, created, err)
	}
	if n, err := queues.Deliver(t.Context(), "tasks", 10, w.Invoke); n != 1 || err != nil {
		t.Fatalf("deliver: %d, %v", n, err)
	}
	row, err = table.Get(t.Context(), row.ID)
	if err != nil || row.Status != task.Succeeded || string(row.Result) != `"Hello, Ada"` {
		t.Errorf("got %+v, %v", row, err)
	}
	if left := queues.Messages("tasks"); len(left) != 0 {
		t.Errorf("%d messages are left", len(left))
	}
}
