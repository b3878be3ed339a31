package batch_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spillway-go/spillway/pkg/batch"
)

// once runs one record in a batch of ten seconds, nine of them its own.
func once(ctx context.Context, fn func(ctx context.Context)) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	batch.Each(ctx, 1, &batch.Options{Logger: quiet}, func(ctx context.Context, _ int) error {
		fn(ctx)
		return nil
	})
}

type key struct{}

// A handler's context is as good as any other, however it is used first.
func TestHandlersContext(t *testing.T) {
	t.Parallel()
	tests := map[string]func(t *testing.T, ctx context.Context){
		"Done": func(t *testing.T, ctx context.Context) {
			t.Helper()
			if err := ctx.Err(); err != nil {
				t.Errorf("at first: %v", err)
			}
			<-ctx.Done()
			if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
				t.Errorf("after Done: %v", ctx.Err())
			}
		},
		"Err": func(t *testing.T, ctx context.Context) {
			t.Helper()
			time.Sleep(9*time.Second - time.Nanosecond)
			if err := ctx.Err(); err != nil {
				t.Errorf("before the deadline: %v", err)
			}
			time.Sleep(time.Nanosecond)
			if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
				t.Errorf("at the deadline: %v", ctx.Err())
			}
			select {
			case <-ctx.Done():
			default:
				t.Error("it has an error and is not done")
			}
		},
		"Deadline": func(t *testing.T, ctx context.Context) {
			t.Helper()
			if end, ok := ctx.Deadline(); !ok || time.Until(end) != 9*time.Second {
				t.Errorf("%v, %t", time.Until(end), ok)
			}
		},
		"Value": func(t *testing.T, ctx context.Context) {
			t.Helper()
			for range 2 {
				if ctx.Value(key{}) != "value" || ctx.Value("none") != nil {
					t.Errorf("%v, %v", ctx.Value(key{}), ctx.Value("none"))
				}
				ctx.Done() // from now on it asks another one
			}
		},
		"derived": func(t *testing.T, ctx context.Context) {
			t.Helper()
			child, cancel := context.WithTimeout(ctx, time.Hour)
			defer cancel()
			stop := context.AfterFunc(ctx, func() {})
			defer stop()
			<-child.Done()
			if !errors.Is(child.Err(), context.DeadlineExceeded) || !errors.Is(context.Cause(child), context.DeadlineExceeded) {
				t.Errorf("%v, %v", child.Err(), context.Cause(child))
			}
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				once(context.WithValue(t.Context(), key{}, "value"), func(ctx context.Context) { test(t, ctx) })
			})
		})
	}
}

// When the batch is over its records' context ends, also for one who asks only
// then; when the batch is canceled it ends at once.
func TestHandlersContextEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		contexts := make(chan context.Context, 2)
		once(t.Context(), func(ctx context.Context) { ctx.Done(); contexts <- ctx })
		once(t.Context(), func(ctx context.Context) { contexts <- ctx })
		for range 2 {
			ctx := <-contexts
			<-ctx.Done()
			if !errors.Is(ctx.Err(), context.Canceled) {
				t.Errorf("after the batch: %v", ctx.Err())
			}
		}
		parent, cancel := context.WithCancel(t.Context())
		once(parent, func(ctx context.Context) {
			cancel()
			if !errors.Is(ctx.Err(), context.Canceled) {
				t.Errorf("canceled: %v", ctx.Err())
			}
			<-ctx.Done()
		})
	})
}

// Each record may have a time-out of its own; what it returns then says so, and
// the next one has the same time again.
func TestTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		errs := batch.Each(t.Context(), 3, &batch.Options{Timeout: time.Second, Logger: quiet}, func(ctx context.Context, i int) error {
			if end, ok := ctx.Deadline(); !ok || time.Until(end) != time.Second {
				t.Errorf("record %d has %v, %t", i, time.Until(end), ok)
			}
			return sleep(ctx, time.Duration(i)*900*time.Millisecond)
		})
		if errs[0] != nil || errs[1] != nil || !errors.Is(errs[2], context.DeadlineExceeded) {
			t.Errorf("%v", errs)
		}
		if took := time.Since(start); took != 1900*time.Millisecond {
			t.Errorf("took %v", took)
		}
	})
}
