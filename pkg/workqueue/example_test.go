package workqueue_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spillway-go/spillway/pkg/event"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

func ExampleEncode() {
	out, err := workqueue.Encode(workqueue.Message{
		TaskID: "01JH5T2V9Q8N4R6W3X7Y1Z0ABC", Run: 1, Type: "report.build", Tenant: "default",
		CreatedAt: time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC),
		Deadline:  time.Date(2026, 2, 7, 12, 0, 0, 0, time.UTC),
		Input:     []byte(`{"order": 7}`),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(out.Body)
	// Output: {"v":1,"task_id":"01JH5T2V9Q8N4R6W3X7Y1Z0ABC","run":1,"type":"report.build","tenant":"default","created_at":"2026-01-31T12:00:00.000Z","deadline":"2026-02-07T12:00:00.000Z","input":{"order":7}}
}

func ExampleDecodeRecord() {
	for _, body := range []string{
		`{"v":1,"task_id":"t1","run":1,"type":"report.build","tenant":"default","created_at":"2026-01-31T12:00:00.000Z","deadline":"2026-02-07T12:00:00.000Z","input":{}}`,
		`{"v":2,"task_id":"t1"}`,
		`{"Records":[]}`,
	} {
		m, err := workqueue.DecodeRecord(&event.SQSMessage{Body: body})
		foreign, isForeign := errors.AsType[*workqueue.ForeignError](err)
		switch {
		case isForeign:
			fmt.Println("reject:", foreign.Reason)
		case errors.Is(err, workqueue.ErrNewerVersion):
			fmt.Println("hand back:", err)
		default:
			fmt.Println("work on:", m.TaskID)
		}
	}
	// Output:
	// work on: t1
	// hand back: the message has a newer version: 2, known is 1
	// reject: v is missing
}

func ExampleQueue_SendBatch() {
	q := workqueue.New(&fakeSQS{}, "https://sqs.eu-central-1.amazonaws.com/123456789012/tasks", nil)
	for i, err := range q.SendBatch(context.Background(), []workqueue.Outgoing{{Body: "one"}, {Body: "\x00"}, {Body: "three"}}) {
		fmt.Println(i, err)
	}
	// Output:
	// 0 <nil>
	// 1 not a valid message: the body holds a character that SQS refuses
	// 2 <nil>
}

func ExampleDeadLetter() {
	rec := &event.SQSMessage{Body: "hello", MessageID: "m1", QueueARN: "arn:aws:sqs:eu-central-1:123456789012:tasks"}
	_, cause := workqueue.DecodeRecord(rec)
	out, dropped := workqueue.DeadLetter(rec, workqueue.FailureRecord{
		Code: workqueue.CodeForeign, Message: cause.Error(), Attempts: 1,
		FailedAt: task.At(time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)),
	}, 0)
	fmt.Println(out.Body, len(dropped))
	fmt.Println(*out.Attributes["failure"].StringValue)
	// Output:
	// hello 0
	// {"code":"foreign_message","message":"not a task message: the body is not JSON","retryable":false,"attempts":1,"failed_at":"2026-01-31T12:00:00.000Z","queue":"tasks","message_id":"m1"}
}

func ExampleBackoff_Delay() {
	b := workqueue.Backoff{Base: 2 * time.Second, Max: 15 * time.Minute}
	d := b.Delay(3, nil)
	fmt.Println(d >= 0, d <= 8*time.Second)
	// Output: true true
}
