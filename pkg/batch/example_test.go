package batch_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/spillway-go/spillway/pkg/batch"
	"github.com/spillway-go/spillway/pkg/task"
)

func ExampleSQS() {
	handler := batch.SQS(func(_ context.Context, rec *events.SQSMessage) error {
		switch rec.Body {
		case "bad":
			return task.Permanent(errors.New("no such order"))
		case "busy":
			return task.RetryAfter(time.Minute, errors.New("the warehouse is closed"))
		}
		return nil
	}, &batch.Options{Logger: slog.New(slog.DiscardHandler)})

	res, err := handler(context.Background(), events.SQSEvent{Records: []events.SQSMessage{
		{MessageId: "m1", Body: "good"}, {MessageId: "m2", Body: "bad"}, {MessageId: "m3", Body: "busy"},
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	answer, _ := json.Marshal(res)
	fmt.Println(string(answer))
	// Output: {"batchItemFailures":[{"itemIdentifier":"m2"},{"itemIdentifier":"m3"}]}
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
	records := []events.SQSMessage{{MessageId: "m1"}, {MessageId: "m2"}}
	res, err := batch.Response(records, func(i int) bool { return i == 1 })
	fmt.Println(res.BatchItemFailures, err)
	// Output: [{m2}] <nil>
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
