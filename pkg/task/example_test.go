package task_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spillway-go/spillway/pkg/task"
)

// A handler is a typed function; what it returns steers its task.
func ExampleHandle() {
	type greeting struct {
		Name string `json:"name"`
	}
	type answer struct {
		Text string `json:"text"`
	}
	mux := task.NewMux()
	task.Handle(mux, "greeting.send", func(_ context.Context, in greeting) (answer, error) {
		switch in.Name {
		case "":
			return answer{}, task.Permanent(task.Code("nobody", errors.New("no name")))
		case "sleeper":
			return answer{}, task.RetryAfter(time.Hour, errors.New("still asleep"))
		}
		return answer{"Hello, " + in.Name}, nil
	})

	for _, input := range []string{`{"name":"Ada"}`, `{"name":""}`, `{"name":"sleeper"}`, `{"title":"Ada"}`} {
		result, err := mux.Run(context.Background(), "greeting.send", json.RawMessage(input))
		if err != nil {
			f := task.FailureOf(err)
			fmt.Println(f.Code, f.Message, f.Retryable)
			continue
		}
		fmt.Println(string(result))
	}
	// Output:
	// {"text":"Hello, Ada"}
	// nobody no name false
	// handler_error still asleep true
	// invalid_input json: unknown field "title" false
}

// A long handler leaves a checkpoint after every page, and the next attempt
// goes on from there.
func ExampleRestore() {
	type cursor struct {
		Page int `json:"page"`
	}
	export := func(ctx context.Context, _ struct{}) (int, error) {
		var at cursor
		if _, err := task.Restore(ctx, &at); err != nil {
			return 0, err
		}
		for ; at.Page < 3; at.Page++ {
			fmt.Println("page", at.Page)
			if err := task.Checkpoint(ctx, cursor{at.Page + 1}); err != nil {
				return 0, err
			}
		}
		return at.Page, nil
	}

	// As the worker calls it in a second attempt, after a crash on page 1.
	ctx := task.NewContext(context.Background(), &task.Execution{
		ID: "01JZ8X2M7V3Q4R5S6T7V8W9XYZ", Run: 1, Attempt: 2, State: json.RawMessage(`{"page":1}`),
	})
	fmt.Println(export(ctx, struct{}{}))
	fmt.Println(task.IdempotencyKey(ctx))
	// Output:
	// page 1
	// page 2
	// 3 <nil>
	// 01JZ8X2M7V3Q4R5S6T7V8W9XYZ-1
}
