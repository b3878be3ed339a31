package chaos_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/spillway-go/spillway/pkg/archive/archivetest"
	"github.com/spillway-go/spillway/pkg/chaos"
)

// The next two calls of a handler fail, wherever it runs; the third one does
// not.
func Example() {
	ctx := context.Background()
	table := archivetest.NewTable() // on AWS: dynamodb.NewFromConfig(cfg)

	// Whoever operates the stack.
	faults := chaos.NewStore(table, "control")
	if _, err := faults.Set(ctx, chaos.Setting{Target: chaos.Step("BookFlight"), Fault: chaos.ErrorAfterEffect, Times: 2}); err != nil {
		fmt.Println(err)
	}

	// The function.
	book := func(context.Context, json.RawMessage) (json.RawMessage, error) {
		fmt.Println("the seat is taken")
		return json.RawMessage(`{"confirmation":"F-17"}`), nil
	}
	injector := chaos.New(table, "control", &chaos.Options{Logger: slog.New(slog.DiscardHandler)})
	handler := injector.At(chaos.Step("BookFlight"))(book)
	for range 3 {
		out, err := handler(ctx, nil)
		fmt.Println(string(out), err)
	}
	// Output:
	// the seat is taken
	//  fault injected at saga.BookFlight: error_after_effect
	// the seat is taken
	//  fault injected at saga.BookFlight: error_after_effect
	// the seat is taken
	// {"confirmation":"F-17"} <nil>
}

// What is set can be seen, and ended before its time.
func ExampleStore() {
	ctx := context.Background()
	faults := chaos.NewStore(archivetest.NewTable(), "control")
	_, err := faults.Set(ctx, chaos.Setting{Target: chaos.Step("BookCar"), Fault: "melt", Times: 1})
	fmt.Println(errors.Is(err, chaos.ErrInvalid), err)
	_, _ = faults.Set(ctx, chaos.Setting{Target: chaos.Step("BookCar"), Fault: chaos.Panic, Rate: 0.5})

	found, _ := faults.List(ctx)
	for _, f := range found {
		fmt.Println(f.Target, f.Fault, f.Rate)
	}
	cleared, _ := faults.Clear(ctx, "") // all
	fmt.Println(cleared)
	// Output:
	// true invalid fault: there is no fault "melt": known are business_error, error, panic, timeout, throttle, latency, error_after_effect
	// saga.BookCar panic 0.5
	// [saga.BookCar]
}

// Executions fail side by side, each in its own way.
func ExampleStore_ClearExecution() {
	ctx := context.Background()
	table := archivetest.NewTable()
	faults := chaos.NewStore(table, "control")
	_, _ = faults.Set(ctx, chaos.Setting{Target: chaos.Step("BookCar"), Execution: "01A-1", Fault: chaos.PlainError, Rate: 1})

	injector := chaos.New(table, "control", &chaos.Options{
		Logger:    slog.New(slog.DiscardHandler),
		Execution: func(payload json.RawMessage) string { return strings.Trim(string(payload), `"`) },
	})
	handler := injector.At(chaos.Step("BookCar"))(func(context.Context, json.RawMessage) (json.RawMessage, error) { return nil, nil })
	for _, execution := range []string{`"01B-1"`, `"01A-1"`} {
		_, err := handler(ctx, json.RawMessage(execution))
		fmt.Println(execution, err)
	}
	fmt.Println(faults.ClearExecution(ctx, "01A-1"))
	// Output:
	// "01B-1" <nil>
	// "01A-1" fault injected at saga.BookCar: error
	// [saga.BookCar] <nil>
}

func ExampleFaults() {
	fmt.Println(chaos.Faults())
	// Output: [business_error error panic timeout throttle latency error_after_effect]
}
