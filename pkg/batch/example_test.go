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
