package task_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/pkg/task"
)

// noting is middleware that writes down when it begins and ends.
func noting(notes *[]string, name string) task.Middleware {
	return func(next task.Handler) task.Handler {
		return func(ctx context.Context, input json.RawMessage) (json.RawMessage, error) {
			*notes = append(*notes, name+" "+task.Current(ctx).Type+" "+string(input))
			result, err := next(ctx, input)
			*notes = append(*notes, name+" "+string(result)+" "+task.FailureOf(orEOF(err)).Code)
			return result, err
		}
	}
}

func TestUse(t *testing.T) {
	t.Parallel()
	var notes []string
	m := shop()
	m.Use(noting(&notes, "outer"), noting(&notes, "middle"))
	m.Use(noting(&notes, "inner"))
	task.Handle(m, "later", func(context.Context, order) (int, error) { return 9, nil })
	for name, tt := range map[string]struct{ input, result, code string }{
		"order.place": {`{"id":"a","count":2}`, `{"total":6}`, "handler_error"}, // that of orEOF: there is none
		"order.fail":  {`{"id":"a"}`, "", "handler_error"},
		"later":       {`{"id":"a"}`, "9", "handler_error"},
		"any":         {`{`, "", task.CodeInvalidInput}, // not decoded
	} {
		notes = nil
		result, _ := m.Run(t.Context(), name, json.RawMessage(tt.input))
		begin, end := " "+name+" "+tt.input, " "+tt.result+" "+tt.code
		want := []string{"outer" + begin, "middle" + begin, "inner" + begin, "inner" + end, "middle" + end, "outer" + end}
		if diff := cmp.Diff(notes, want); diff != "" || string(result) != tt.result {
			t.Errorf("%s: result %s (-got +want):\n%s", name, result, diff)
		}
	}
	notes = nil
	if _, err := m.Run(t.Context(), "unknown", nil); !errors.Is(err, task.ErrUnknownType) || notes != nil {
		t.Errorf("%v, passed %v", err, notes)
	}
}

// Middleware changes what goes in and comes out, and need not call the handler.
func TestMiddlewareDecides(t *testing.T) {
	t.Parallel()
	m := shop()
	errRefused := task.Code("refused", errors.New("not now"))
	m.Use(func(next task.Handler) task.Handler {
		return func(ctx context.Context, input json.RawMessage) (json.RawMessage, error) {
			if task.Current(ctx).Attempt > 1 {
				return nil, errRefused
			}
			if _, err := next(ctx, input); err == nil {
				return next(ctx, json.RawMessage(`{"id":"b","count":5}`))
			}
			return json.RawMessage(`"instead"`), nil
		}
	})
	for _, tt := range []struct {
		name    string
		attempt int
		result  string
		err     error
	}{{"order.place", 1, `{"total":15}`, nil}, {"order.fail", 1, `"instead"`, nil}, {"order.place", 2, "", errRefused}} {
		ctx := task.NewContext(t.Context(), &task.Execution{Type: tt.name, Attempt: tt.attempt})
		if result, err := m.Run(ctx, tt.name, json.RawMessage(`{"id":"a"}`)); string(result) != tt.result || !errors.Is(err, tt.err) {
			t.Errorf("%s: %s, %v", tt.name, result, err)
		}
	}
}

// A panic passes through, and middleware can tell it from an error.
func TestMiddlewarePanic(t *testing.T) {
	t.Parallel()
	m := shop()
	left := false
	m.Use(func(next task.Handler) task.Handler {
		return func(ctx context.Context, input json.RawMessage) (json.RawMessage, error) {
			defer func() { left = true }()
			return next(ctx, input)
		}
	})
	defer func() {
		if p := recover(); p == nil || !left {
			t.Errorf("recovered %v, left: %t", p, left)
		}
	}()
	_, _ = m.Run(t.Context(), "order.panic", json.RawMessage(`{"id":"a"}`))
}

// The execution is the worker's own; without one it is made, with the type.
func TestMiddlewareSeesExecution(t *testing.T) {
	t.Parallel()
	m := shop()
	var seen *task.Execution
	m.Use(func(next task.Handler) task.Handler {
		return func(ctx context.Context, input json.RawMessage) (json.RawMessage, error) {
			seen = task.Current(ctx)
			return next(ctx, input)
		}
	})
	given := &task.Execution{ID: "1", Type: "order.place", Run: 2, Attempt: 3, Tenant: "acme"}
	for want, ctx := range map[*task.Execution]context.Context{
		given:                 task.NewContext(t.Context(), given),
		{Type: "order.place"}: t.Context(),
		{ID: "1", Tenant: "acme", Type: "order.place"}: task.NewContext(t.Context(), &task.Execution{ID: "1", Tenant: "acme"}),
	} {
		if _, err := m.Run(ctx, "order.place", json.RawMessage(`{"id":"a"}`)); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(seen, want); diff != "" || want == given && seen != given {
			t.Errorf("(-got +want):\n%s", diff)
		}
	}
}

// Each is called once for each type, by the run that comes first.
func TestMiddlewareIsMadeOnce(t *testing.T) {
	t.Parallel()
	m := shop()
	made := 0
	m.Use(func(next task.Handler) task.Handler { made++; return next })
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			_, _ = m.Run(t.Context(), "order.place", json.RawMessage(`{"id":"a"}`))
			_ = m.Concurrency("order.place")
		})
	}
	wg.Wait()
	if types := len(m.Types()); made != types {
		t.Errorf("made %d times for %d types", made, types)
	}
	task.Handle(m, "later", func(context.Context, order) (int, error) { return 1, io.EOF })
	if _, err := m.Run(t.Context(), "later", json.RawMessage(`{"id":"a"}`)); !errors.Is(err, io.EOF) || made != len(m.Types()) {
		t.Errorf("%v, made %d times", err, made)
	}
	defer func() {
		if recover() == nil {
			t.Error("Use after the first Run does not panic")
		}
	}()
	m.Use(func(next task.Handler) task.Handler { return next })
}

// passing is middleware that does nothing.
func passing(next task.Handler) task.Handler {
	return func(ctx context.Context, input json.RawMessage) (json.RawMessage, error) { return next(ctx, input) }
}

// A call passes through middleware without an allocation. The innermost one
// answers, because decoding takes memory from pools that the race detector
// empties at random.
func TestMiddlewareAllocates(t *testing.T) { // not parallel: it counts the allocations of all goroutines
	ctx := task.NewContext(context.Background(), &task.Execution{ID: "1", Type: "n", Run: 1, Attempt: 1})
	input := json.RawMessage(`1`)
	count := func(middleware ...task.Middleware) float64 {
		m := task.NewMux()
		task.Handle(m, "n", func(context.Context, int) (int, error) { return 1, nil })
		m.Use(middleware...)
		return testing.AllocsPerRun(1000, func() {
			if _, err := m.Run(ctx, "n", input); err != nil {
				t.Error(err)
			}
		})
	}
	answering := func(task.Handler) task.Handler {
		return func(context.Context, json.RawMessage) (json.RawMessage, error) { return nil, nil }
	}
	if one, three := count(answering), count(passing, passing, answering); three > one {
		t.Errorf("%v allocations with two more middleware, %v without", three, one)
	}
}

func BenchmarkMuxRun(b *testing.B) {
	ctx := task.NewContext(context.Background(), &task.Execution{ID: "1", Type: "n", Run: 1, Attempt: 1})
	for name, middleware := range map[string][]task.Middleware{"none": nil, "three": {passing, passing, passing}} {
		m := task.NewMux()
		task.Handle(m, "n", func(context.Context, int) (int, error) { return 1, nil })
		m.Use(middleware...)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := m.Run(ctx, "n", json.RawMessage(`1`)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
