package workqueue_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spillway-go/spillway/pkg/event"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/workqueue"
	"github.com/spillway-go/spillway/pkg/workqueue/workqueuetest"
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
	// {"code":"foreign_message","message":"not a task message: the body is not JSON","retryable":false,"attempts":1,"failed_at":"2026-01-31T12:00:00.000Z","queue":"tasks","message_id":"m1","fingerprint":"83f667a3c3256a08"}
}

func ExampleBackoff_Delay() {
	b := workqueue.Backoff{Base: 2 * time.Second, Max: 15 * time.Minute}
	d := b.Delay(3, nil)
	fmt.Println(d >= 0, d <= 8*time.Second)
	// Output: true true
}

// Why a message is a dead letter travels with it, and is read by whoever lists
// them.
func ExampleFailureRecord() {
	failure := task.FailureOf(task.Code("http_503", errors.New("shop.example answered 503")))
	record := workqueue.NewFailure(context.Background(), failure, 5).Of(&event.SQSMessage{
		MessageID: "m1", QueueARN: "arn:aws:sqs:eu-central-1:123456789012:tasks",
	}, "webhook.deliver")
	record.History = []task.Attempt{{Attempt: 5, At: record.FailedAt, Code: "http_503"}}

	text := record.Encode() // into the attribute failure
	read, err := workqueue.ParseFailure(text)
	fmt.Println(read.Code, "after", read.Attempts, "attempts:", read.Message, err)
	fmt.Println(read.Fingerprint, "of", read.MessageID, "from", read.Queue)
	fmt.Println(len(text) <= workqueue.MaxFailure)
	// Output:
	// http_503 after 5 attempts: shop.example answered 503 <nil>
	// 0e740226b9547e82 of m1 from tasks
	// true
}

// However often a message was copied or delivered, its age counts from its
// creation, or its replay.
func ExampleMessage_WaitingSince() {
	m, err := workqueue.Decode(`{"v":1,"task_id":"t1","run":2,"type":"report.build","tenant":"acme",
		"created_at":"2026-01-31T12:00:00.000Z","replayed_at":"2026-02-01T09:30:00.000Z","deadline":"2026-02-07T12:00:00.000Z","input":{}}`, nil)
	fmt.Println(m.WaitingSince(), err)
	// Output: 2026-02-01 09:30:00 +0000 UTC <nil>
}

// One queue: what is sent, and how much of a message SQS counts.
func ExampleQueue_Send() {
	sqs := workqueuetest.New() // in a Lambda function: sqs.NewFromConfig(cfg)
	q := workqueue.New(sqs, sqs.Create("tasks", workqueuetest.QueueOptions{}), nil)

	// Fair queues keep one tenant's flood from delaying the others.
	msg := workqueue.Outgoing{Body: `{"v":1}`, Group: workqueue.Group("acme")}
	fmt.Println(msg.Size(), "bytes to", q.Name(), q.Send(context.Background(), msg))
	fmt.Println(strings.HasSuffix(q.URL(), "/tasks"), sqs.Messages("tasks")[0].Group)
	// Output:
	// 7 bytes to tasks <nil>
	// true acme
}

// A message that nobody can work on now, and whose receives run out, goes on
// as a fresh copy, but not for ever.
func ExampleCopy() {
	rec := &event.SQSMessage{Body: `{"v":2}`, ReceiveCount: 50}
	hops := 0
	for {
		out, err := workqueue.Copy(rec)
		if errors.Is(err, workqueue.ErrTooManyHops) {
			fmt.Println("rejected after", hops, "hops")
			return
		}
		// Sent and confirmed; then the original is acknowledged.
		hops++
		text := *out.Attributes[workqueue.AttrHops].StringValue
		rec = &event.SQSMessage{Body: out.Body, Attributes: []event.Attribute{{Name: workqueue.AttrHops, Type: "Number", String: text}}}
	}
	// Output: rejected after 20 hops
}

// A task that goes on from its checkpoint gets a message with all its hops.
func ExampleOnward() {
	worn := &event.SQSMessage{Body: `{"v":2}`, ReceiveCount: 50, Attributes: []event.Attribute{{Name: workqueue.AttrHops, Type: "Number", String: "19"}}}
	out := workqueue.Onward(worn)
	fmt.Println(out.Body, *out.Attributes[workqueue.AttrHops].StringValue)
	// Output: {"v":2} 0
}

// A message comes back when it is worth it.
func ExampleQueue_ChangeVisibility() {
	q := workqueue.New(&fakeSQS{}, "https://sqs.eu-central-1.amazonaws.com/123456789012/tasks", nil)
	backoff := workqueue.Backoff{Base: 2 * time.Second, Max: 15 * time.Minute}
	errs := q.ChangeVisibility(context.Background(), []workqueue.Visibility{
		{Receipt: "handle 1", After: backoff.Delay(3, nil)},
		{Receipt: "handle 2", After: 0}, // not begun: at once
	})
	fmt.Println(errs)
	// Output: [<nil> <nil>]
}

// What no retry mends is set aside with its reason: messages as dead letters,
// records of streams in a queue of their own.
func ExampleQueue_Reject() {
	ctx, cause := context.Background(), task.Permanent(task.Code("no_such_order", errors.New("there is no order 17")))
	sqs := workqueuetest.New()
	open := func(name string) *workqueue.Queue {
		return workqueue.New(sqs, sqs.Create(name, workqueuetest.QueueOptions{}), nil)
	}

	err := open("dead-letter").Reject(ctx, &event.SQSMessage{MessageID: "m1", Body: `{"order":17}`}, cause)
	dead := sqs.Messages("dead-letter")[0]
	fmt.Println(dead.Body, dead.Attribute(workqueue.AttrErrorCode), err)

	err = open("stream-failures").Isolate(ctx, &event.StreamRecord{
		Source: "aws:kinesis", StreamARN: "arn:aws:kinesis:eu-central-1:123456789012:stream/orders", SequenceNumber: "4954", JSON: `{"order":17}`,
	}, cause)
	kept := sqs.Messages("stream-failures")[0]
	fmt.Println(kept.Attribute(workqueue.AttrOrigin), kept.Attribute(workqueue.AttrErrorCode), err)
	// Output:
	// {"order":17} no_such_order <nil>
	// orders no_such_order <nil>
}
