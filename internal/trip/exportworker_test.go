package trip_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spillway-go/spillway/internal/trip"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/tasktable/tasktabletest"
	"github.com/spillway-go/spillway/pkg/worker"
	"github.com/spillway-go/spillway/pkg/workqueue"
	"github.com/spillway-go/spillway/pkg/workqueue/workqueuetest"
)

// In a worker whose function has ten seconds, an export takes dozens of
// invocations, some of which fail or vanish, and no more than its attempts.
func TestExportAcrossInvocations(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := slog.New(slog.DiscardHandler)
		db, sqs := tasktabletest.NewDynamoDB(), workqueuetest.New()
		table := tasktable.New(db, "tasks", nil)
		open := func(name string, o workqueuetest.QueueOptions) *workqueue.Queue {
			return workqueue.New(sqs, sqs.Create(name, o), &workqueue.Options{Logger: log})
		}
		source := workqueuetest.QueueOptions{Visibility: time.Minute, MaxReceives: 100, DeadLetter: "dead"}
		queues := worker.Queues{"tasks": open("tasks", source), "backlog": open("backlog", source)}
		s := &shelf{items: many(500, reserved), takes: time.Second, err: errThrottled}
		mux := task.NewMux()
		task.Handle(mux, trip.ExportType, trip.NewExport(s, "r", quiet()).Export)
		w := worker.New(mux, table, queues, open("dead", workqueuetest.QueueOptions{}), &worker.Options{Logger: log})

		now := time.Now()
		m := workqueue.Message{
			TaskID: tasktable.NewID(), Run: 1, Type: trip.ExportType, Tenant: "t", CreatedAt: now, Deadline: now.Add(time.Hour),
			Input: json.RawMessage(`{"page_size":2}`),
		}
		if _, err := table.Create(t.Context(), tasktable.Draft{ID: m.TaskID, Tenant: m.Tenant, Type: m.Type, Input: m.Input, Deadline: m.Deadline}); err != nil {
			t.Fatal(err)
		}
		out, err := workqueue.Encode(m)
		if err == nil {
			err = queues["tasks"].SendBatch(t.Context(), []workqueue.Outgoing{out})[0]
		}
		if err != nil {
			t.Fatal(err)
		}

		invocations := 0
		invoke := func(ctx context.Context, payload []byte) ([]byte, error) {
			ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
			defer cancel()
			switch invocations++; invocations {
			case 3:
				s.fails = 1
			case 5: // its function dies with a claim
				table.Claim(ctx, tasktable.NewOwner(), time.Now().Add(10*time.Second), []string{m.TaskID})
				time.Sleep(9 * time.Second)
			}
			return w.Invoke(ctx, payload)
		}
		for range 10_000 {
			if db.Row(m.TaskID).Status.Finished() {
				break
			}
			time.Sleep(time.Second)
			for _, queue := range []string{"tasks", "backlog"} {
				if _, err := sqs.Deliver(t.Context(), queue, 10, invoke); err != nil {
					t.Fatal(err)
				}
			}
		}

		row := db.Row(m.TaskID)
		var got trip.ExportResult
		if err := json.Unmarshal(row.Result, &got); err != nil {
			t.Fatalf("the task is %+v: %v", row, err)
		}
		count, digest := digestOf(s.items)
		if want := (trip.ExportResult{Count: count, Pages: 251, Digest: digest}); got != want {
			t.Errorf("the result is %+v, want %+v", got, want)
		}
		if row.Attempts != 2 || invocations < 30 { // the failed one and the one that yielded to the end
			t.Errorf("%d attempts in %d invocations", row.Attempts, invocations)
		}
		for _, queue := range []string{"tasks", "backlog", "dead"} {
			if left := sqs.Messages(queue); len(left) > 0 {
				t.Errorf("%s holds %+v", queue, left)
			}
		}
	})
}
