package batch_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/spillway-go/spillway/pkg/batch"
	"github.com/spillway-go/spillway/pkg/event"
	"github.com/spillway-go/spillway/pkg/task"
)

func ExampleSQS() {
	handler := batch.SQS(func(_ context.Context, msg *event.SQSMessage) error {
		switch msg.Body {
		case "bad":
			return task.Permanent(errors.New("no such order"))
		case "busy":
			return task.RetryAfter(time.Minute, errors.New("the warehouse is closed"))
		}
		return nil
	}, &batch.Options{Logger: slog.New(slog.DiscardHandler)})

	answer, err := handler.Invoke(context.Background(), []byte(`{"Records":[
		{"eventSource":"aws:sqs","messageId":"m1","body":"good"},
		{"eventSource":"aws:sqs","messageId":"m2","body":"bad"},
		{"eventSource":"aws:sqs","messageId":"m3","body":"busy"}]}`))
	fmt.Println(string(answer), err)
	// Output: {"batchItemFailures":[{"itemIdentifier":"m2"},{"itemIdentifier":"m3"}]} <nil>
}

func ExampleEach() {
	words := []string{"one", "two", "three"}
	errs := batch.Each(context.Background(), len(words), nil, func(_ context.Context, i int) error {
		if words[i] == "two" {
			return errors.New("not this one")
		}
		return nil
	})
	fmt.Println(errs)
	// Output: [<nil> not this one <nil>]
}

func ExampleResponse() {
	messages := []event.SQSMessage{{MessageID: "m1"}, {MessageID: "m2"}}
	answer, err := batch.Response(messages, func(i int) bool { return i == 1 })
	fmt.Println(string(answer), err)
	// Output: {"batchItemFailures":[{"itemIdentifier":"m2"}]} <nil>
}

func ExampleDefaultMargin() {
	for _, left := range []time.Duration{2 * time.Minute, 10 * time.Second, time.Second} {
		fmt.Println(left, batch.DefaultMargin(left))
	}
	// Output:
	// 2m0s 5s
	// 10s 1s
	// 1s 500ms
}

// setAside stands for a *workqueue.Queue that keeps what a stream cannot wait
// for.
type setAside struct{}

func (setAside) Isolate(_ context.Context, rec *event.StreamRecord, cause error) error {
	fmt.Println("set aside", rec.Key, "-", cause)
	return nil
}

// A record that fails for good is taken out of the stream's way, the records
// behind it go on.
func ExampleKinesis() {
	handler := batch.Kinesis(func(_ context.Context, rec *event.KinesisRecord) error {
		if len(rec.Data) == 0 {
			return task.Permanent(errors.New("an empty order"))
		}
		fmt.Println("shipped", rec.PartitionKey, string(rec.Data))
		return nil
	}, &batch.Options{Isolate: setAside{}, Logger: slog.New(slog.DiscardHandler)})

	answer, err := handler.Invoke(context.Background(), []byte(`{"Records":[
		{"eventSource":"aws:kinesis","eventID":"shardId-0:1","kinesis":{"partitionKey":"ada","sequenceNumber":"1","data":""}},
		{"eventSource":"aws:kinesis","eventID":"shardId-0:2","kinesis":{"partitionKey":"bob","sequenceNumber":"2","data":"dGVh"}}]}`))
	fmt.Println(string(answer), err)
	// Output:
	// set aside ada - an empty order
	// shipped bob tea
	// {"batchItemFailures":[]} <nil>
}

// Without an isolator the first record that fails is where the stream goes on.
func ExampleDynamoDB() {
	handler := batch.DynamoDB(func(_ context.Context, change *event.Change) error {
		if change.Kind == event.Remove {
			return errors.New("the index does not answer")
		}
		fmt.Println("indexed", change.Key())
		return nil
	}, &batch.Options{Logger: slog.New(slog.DiscardHandler)})

	answer, err := handler.Invoke(context.Background(), []byte(`{"Records":[
		{"eventSource":"aws:dynamodb","eventName":"INSERT","dynamodb":{"Keys":{"id":{"S":"a"}},"SequenceNumber":"101"}},
		{"eventSource":"aws:dynamodb","eventName":"REMOVE","dynamodb":{"Keys":{"id":{"S":"b"}},"SequenceNumber":"102"}},
		{"eventSource":"aws:dynamodb","eventName":"INSERT","dynamodb":{"Keys":{"id":{"S":"c"}},"SequenceNumber":"103"}}]}`))
	fmt.Println(string(answer), err)
	// Output:
	// indexed {"id":{"S":"a"}}
	// {"batchItemFailures":[{"itemIdentifier":"102"}]} <nil>
}

// A guard that outlives its batches knows which record would not fit into what
// is left of the next one.
func ExampleGuard() {
	guard := &batch.Guard{}
	opts := &batch.Options{Guard: guard}
	batch.Each(context.Background(), 3, opts, func(context.Context, int) error { return nil })
	fmt.Println(guard.Longest() > 0)
	// Output: true
}
