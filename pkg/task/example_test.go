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

// Middleware stands around the handlers of all types.
func ExampleMux_Use() {
	mux := task.NewMux()
	task.Handle(mux, "greeting.send", func(_ context.Context, name string) (string, error) {
		if name == "" {
			return "", errors.New("no name")
		}
		return "Hello, " + name, nil
	})
	mux.Use(func(next task.Handler) task.Handler {
		return func(ctx context.Context, input json.RawMessage) (json.RawMessage, error) {
			result, err := next(ctx, input)
			fmt.Println(task.Current(ctx).Type, "failed:", err != nil)
			return result, err
		}
	})

	for _, input := range []string{`"Ada"`, `""`} {
		result, err := mux.Run(context.Background(), "greeting.send", json.RawMessage(input))
		fmt.Println(string(result), err)
	}
	// Output:
	// greeting.send failed: false
	// "Hello, Ada" <nil>
	// greeting.send failed: true
	//  no name
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

// An API asks the mux whether a task would be accepted, a worker how many of
// its type may run at once.
func ExampleMux() {
	type letter struct {
		To string `json:"to"`
	}
	mux := task.NewMux()
	task.Handle(mux, "letter.send", func(context.Context, letter) (string, error) {
		return "posted", nil
	}, task.Concurrency(4))

	fmt.Println(mux.Types(), mux.Concurrency("letter.send"))
	fmt.Println(mux.Check("letter.send", json.RawMessage(`{"to":"Ada"}`)))
	fmt.Println(mux.Check("letter.send", json.RawMessage(`{"to":7}`)))
	fmt.Println(mux.Check("letter.lose", json.RawMessage(`{"to":"Ada"}`)))
	// Output:
	// [letter.send] 4
	// <nil>
	// json: cannot unmarshal number into Go struct field letter.to of type string
	// unknown task type "letter.lose": known are letter.send
}

// A worker reads from an error what the handler asked for.
func ExampleRetryAfter() {
	for _, err := range []error{
		errors.New("connection reset"),
		task.RetryAfter(2*time.Minute, errors.New("too many requests")),
		fmt.Errorf("fetch: %w", task.Permanent(task.Code("gone", errors.New("there is no such report")))),
	} {
		delay, asked := task.RetryDelay(err)
		fmt.Println(err, "- permanent:", task.IsPermanent(err), "- wait:", asked, delay)
	}
	// Output:
	// connection reset - permanent: false - wait: false 0s
	// too many requests - permanent: false - wait: true 2m0s
	// fetch: there is no such report - permanent: true - wait: false 0s
}

// printed is a [task.Reporter] for tests of handlers; in a worker, progress and
// checkpoints go to the task's row.
type printed struct{}

func (printed) Progress(_ context.Context, a task.Advance) error {
	fmt.Printf("%d of %d: %s\n", a.Done, a.Total, a.Note)
	return nil
}

func (printed) Checkpoint(context.Context, json.RawMessage, *task.Advance) error {
	return task.ErrCanceled
}

// Callers see how far a long handler has come; a checkpoint is where it learns
// that it should stop.
func ExampleProgress() {
	build := func(ctx context.Context, _ struct{}) (string, error) {
		for page := range int64(3) {
			if err := task.Progress(ctx, page, 3, "building"); err != nil {
				return "", err
			}
			if err := task.Checkpoint(ctx, page+1); err != nil {
				return "", err
			}
		}
		return "built", nil
	}

	ctx := task.NewContext(context.Background(), &task.Execution{ID: "01JZ8X2M7V3Q4R5S6T7V8W9XYZ", Run: 1, Reporter: printed{}})
	_, err := build(ctx, struct{}{})
	fmt.Println(err)
	// Output:
	// 0 of 3: building
	// the task was canceled
}

// A handler can look at its task: here it gives up nicer in the last attempt.
func ExampleCurrent() {
	ctx := task.NewContext(context.Background(), &task.Execution{ID: "01JZ8X2M7V3Q4R5S6T7V8W9XYZ", Run: 2, Attempt: 5, MaxAttempts: 5})

	e := task.Current(ctx)
	fmt.Println("the last attempt:", e.Attempt == e.MaxAttempts)
	fmt.Println("the same in every attempt of a run:", e.IdempotencyKey())
	// Output:
	// the last attempt: true
	// the same in every attempt of a run: 01JZ8X2M7V3Q4R5S6T7V8W9XYZ-2
}

func ExampleStatus() {
	for _, s := range []task.Status{task.Running, task.DeadLettered, task.Succeeded} {
		fmt.Printf("%s: finished %t, final %t, can be queued again %t\n", s, s.Finished(), s.Final(), s.CanBecome(task.Queued))
	}
	fmt.Println(task.Status("lost").Known())
	// Output:
	// running: finished false, final false, can be queued again true
	// dead_lettered: finished true, final false, can be queued again true
	// succeeded: finished true, final true, can be queued again false
	// false
}

// What an operator can still do about a task that has ended.
func ExampleTransitions() {
	for t := range task.Transitions() {
		if t.From.Finished() {
			fmt.Printf("%s: a %s makes it %s\n", t.From, t.Cause, t.To)
		}
	}
	// Output:
	// failed: a replay makes it queued
	// dead_lettered: a replay makes it queued
	// dead_lettered: a cancel makes it canceled
}

// Times have one length and sort as text.
func ExampleTime() {
	at, err := task.ParseTime("2026-01-31T13:00:00.5+01:00")
	fmt.Println(at, err)
	fmt.Println(task.At(at.Add(1500 * time.Microsecond)))
	fmt.Println(task.AtMilli(at.UnixMilli() + 1))

	_, err = task.ParseTime("tomorrow")
	fmt.Println(err)
	// Output:
	// 2026-01-31T12:00:00.500Z <nil>
	// 2026-01-31T12:00:00.501Z
	// 2026-01-31T12:00:00.501Z
	// "tomorrow" is not an RFC 3339 time such as 2026-01-31T12:00:00Z
}

// A typing mistake is an error, not a default.
func ExampleDecode() {
	var options struct {
		Pages int `json:"pages"`
	}
	fmt.Println(task.Decode([]byte(`{"pages":7}`), &options), options.Pages)
	fmt.Println(task.Decode([]byte(`{"page":7}`), &options))
	fmt.Println(task.Decode([]byte(`{"pages":7} {}`), &options))
	// Output:
	// <nil> 7
	// json: unknown field "page"
	// unexpected data after the JSON value
}

// What others wrote is made fit for queues and people.
func ExampleCleanText() {
	fmt.Println(task.CleanText("out of \x00 memory", 400))
	fmt.Println(task.CleanText("a very long story", 9))
	// Output:
	// out of � memory
	// a very…
}

// Two failures that differ in an id only are one problem.
func ExampleFingerprint() {
	for _, message := range []string{
		`order 4711: Get "https://shop.example/stock/17": connection refused by 10.0.3.17:443`,
		`order 4712: Get "https://shop.example/stock/8": connection refused by 10.0.9.2:443`,
		`order 4713 is unknown`,
	} {
		f := task.FailureOf(errors.New(message))
		fmt.Println(task.Fingerprint("order.place", f), task.NormalizeMessage(f.Message))
	}
	// Output:
	// eab478e42ec4f403 order #: Get #: connection refused by #
	// eab478e42ec4f403 order #: Get #: connection refused by #
	// aea1c6ef74dbda0c order # is unknown
}

// What can be a type, a tenant or a key, a priority.
func ExampleLegalType() {
	fmt.Println(task.LegalType("letter.send"), task.LegalType("Letter"))
	fmt.Println(task.VisibleASCII("acme", 128), task.VisibleASCII("a c", 128))
	fmt.Println(task.Bulk.Known(), task.Priority("urgent").Known())
	// Output:
	// true false
	// true false
	// true false
}

// Work that may take longer than its function yields: it goes on from its
// checkpoint in the next invocation, without using up an attempt.
func ExampleTimeLeft() {
	index := func(ctx context.Context, _ struct{}) (int, error) {
		var page int
		if _, err := task.Restore(ctx, &page); err != nil {
			return 0, err
		}
		for ; page < 3; page++ {
			// Read and index a page here. Then:
			if err := task.CheckpointAt(ctx, page+1, task.Advance{Done: int64(page) + 1, Total: 3}); err != nil {
				return page, err
			}
			if task.TimeLeft(ctx) < 2*time.Second {
				return page, task.ErrYield
			}
		}
		return page, nil
	}

	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_, err := index(ctx, struct{}{})
	fmt.Println(err)
	pages, err := index(context.Background(), struct{}{})
	fmt.Println(pages, err)
	// Output:
	// the work goes on from its checkpoint
	// 3 <nil>
}
