package workqueuetest_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/spillway-go/spillway/pkg/batch"
	"github.com/spillway-go/spillway/pkg/event"
	"github.com/spillway-go/spillway/pkg/workqueue"
	"github.com/spillway-go/spillway/pkg/workqueue/workqueuetest"
)

// A message is delivered until its handler succeeds, or the redrive policy
// takes it.
func ExampleSQS_Deliver() {
	ctx := context.Background()
	sqs := workqueuetest.New()
	sqs.Create("dead-letter", workqueuetest.QueueOptions{})
	url := sqs.Create("orders", workqueuetest.QueueOptions{MaxReceives: 2, DeadLetter: "dead-letter"})
	orders := workqueue.New(sqs, url, nil)
	for _, body := range []string{"teapot", "unicorn"} {
		if err := orders.Send(ctx, workqueue.Outgoing{Body: body}); err != nil {
			fmt.Println(err)
		}
	}

	handler := batch.SQS(func(_ context.Context, msg *event.SQSMessage) error {
		fmt.Println(msg.Body, "for the", msg.ReceiveCount, "time")
		if msg.Body == "unicorn" {
			return errors.New("there is no unicorn")
		}
		return nil
	}, &batch.Options{
		Visibility: orders, Backoff: func(int) time.Duration { return 0 }, Logger: slog.New(slog.DiscardHandler),
	})
	for n := 1; n > 0; {
		var err error
		if n, err = sqs.Deliver(ctx, "orders", 10, handler.Invoke); err != nil {
			fmt.Println(err)
			return
		}
	}
	fmt.Println(len(sqs.Messages("orders")), "left,", sqs.Messages("dead-letter")[0].Body, "is dead")
	// Output:
	// teapot for the 1 time
	// unicorn for the 1 time
	// unicorn for the 2 time
	// 0 left, unicorn is dead
}

// The queue does not answer once.
func ExampleSQS_Inject() {
	ctx := context.Background()
	sqs := workqueuetest.New()
	q := workqueue.New(sqs, sqs.Create("orders", workqueuetest.QueueOptions{}), nil)
	sqs.Inject(func(workqueuetest.Call) workqueuetest.Fault {
		return workqueuetest.Fault{Err: errors.New("no route to host")}
	})
	fmt.Println(q.Send(ctx, workqueue.Outgoing{Body: "teapot"}))

	sqs.Inject(nil)
	fmt.Println(q.Send(ctx, workqueue.Outgoing{Body: "teapot"}), len(sqs.Messages("orders")), sqs.Calls())
	// Output:
	// send: no route to host
	// <nil> 1 map[SendMessage:2]
}
