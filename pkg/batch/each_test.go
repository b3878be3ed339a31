package batch_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/spillway-go/spillway/pkg/batch"
	"github.com/spillway-go/spillway/pkg/task"
)

// sleep waits like a handler that listens to its context.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// notBegun returns the records that were not begun.
func notBegun(errs []error) []int {
	var is []int
	for i, err := range errs {
		if errors.Is(err, batch.ErrNotBegun) {
			is = append(is, i)
		}
	}
	return is
}

func TestEachReturnsEveryOutcome(t *testing.T) {
	t.Parallel()
	odd := errors.New("odd")
	for _, concurrency := range []int{-1, 0, 1, 3, 100} {
		errs := batch.Each(t.Context(), 25, &batch.Options{Concurrency: concurrency}, func(_ context.Context, i int) error {
			if i%2 == 1 {
				return fmt.Errorf("%d: %w", i, odd)
			}
			return nil
		})
		for i, err := range errs {
			if errors.Is(err, odd) != (i%2 == 1) || err != nil && err.Error() != fmt.Sprintf("%d: odd", i) {
				t.Errorf("concurrency %d, record %d: %v", concurrency, i, err)
			}
		}
	}
	if errs := batch.Each(t.Context(), 0, nil, ignore); errs == nil || len(errs) != 0 {
		t.Errorf("no records: %v", errs)
	}
}

// At any concurrency: begun in order, never more at once than allowed, and as
// many as allowed while there are enough.
func TestEachConcurrency(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, concurrency := range []int{1, 2, 5} {
			var mu sync.Mutex
			running, most := 0, 0
			var order []int
			start := time.Now()
			batch.Each(t.Context(), 10, &batch.Options{Concurrency: concurrency}, func(ctx context.Context, i int) error {
				mu.Lock()
				order = append(order, i)
				running++
				most = max(most, running)
				mu.Unlock()
				// A little longer for each, so that they end one after the other.
				err := sleep(ctx, time.Second+time.Duration(i)*time.Millisecond)
				mu.Lock()
				running--
				mu.Unlock()
				return err
			})
			if most != concurrency {
				t.Errorf("concurrency %d: %d at once", concurrency, most)
			}
			slices.Sort(order[:concurrency]) // these begin together
			if concurrency > 1 {
				order = order[:1]
			}
			if !slices.IsSorted(order) || order[0] != 0 {
				t.Errorf("concurrency %d: order %v", concurrency, order)
			}
			if want, got := time.Duration(10/concurrency)*time.Second, time.Since(start); got < want || got > want+100*time.Millisecond {
				t.Errorf("concurrency %d: took %v", concurrency, got)
			}
		}
	})
}

func TestEachCatchesPanics(t *testing.T) {
	t.Parallel()
	log, text := newLog()
	secret := "pkg/batch_test.TestEachCatchesPanics"
	errs := batch.Each(t.Context(), 5, &batch.Options{Logger: log}, func(_ context.Context, i int) error {
		switch i {
		case 1:
			panic("boom")
		case 2:
			var none []int
			none[i]++
		case 3:
			panic(nil)
		}
		return nil
	})
	if errs[0] != nil || errs[4] != nil {
		t.Errorf("neighbours: %v", errs)
	}
	for i, want := range map[int]string{1: "panic: boom", 2: "index out of range", 3: "nil"} {
		p, ok := errors.AsType[*task.PanicError](errs[i])
		if !ok || len(p.Stack) == 0 || !strings.Contains(errs[i].Error(), want) || strings.Contains(errs[i].Error(), "goroutine") {
			t.Errorf("record %d: %v", i, errs[i])
		}
		if f := task.FailureOf(errs[i]); f.Code != task.CodePanic || strings.Contains(f.Message, "goroutine") {
			t.Errorf("record %d: %+v", i, f)
		}
	}
	if n := strings.Count(text.String(), secret); n < 3 {
		t.Errorf("%d stacks in the log:\n%s", n, text)
	}
}

// A handler that ends its goroutine, as t.FailNow does, must not stop the batch.
func TestEachSurvivesGoexit(t *testing.T) {
	t.Parallel()
	errs := batch.Each(t.Context(), 2, nil, func(_ context.Context, i int) error {
		if i == 0 {
			runtime.Goexit()
		}
		return nil
	})
	if errs[0] == nil || errs[1] != nil {
		t.Errorf("got %v", errs)
	}
}

func TestEachGivesRecordsAnEarlierDeadline(t *testing.T) {
	t.Parallel()
	tests := []struct {
		total, margin, want time.Duration
	}{
		{10 * time.Second, 0, 9 * time.Second},
		{2 * time.Minute, 0, 115 * time.Second},
		{3 * time.Second, 0, 2500 * time.Millisecond},
		{400 * time.Millisecond, 0, 200 * time.Millisecond},
		{10 * time.Second, 3 * time.Second, 7 * time.Second},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), tt.total)
			defer cancel()
			var got time.Duration
			errs := batch.Each(ctx, 1, &batch.Options{Margin: tt.margin}, func(ctx context.Context, _ int) error {
				end, _ := ctx.Deadline()
				got = time.Until(end)
				<-ctx.Done()
				return fmt.Errorf("call: %w", ctx.Err())
			})
			if got != tt.want {
				t.Errorf("%v: %v, want %v", tt.total, got, tt.want)
			}
			if f := task.FailureOf(errs[0]); f.Code != task.CodeTimeout || errors.Is(errs[0], batch.ErrAbandoned) {
				t.Errorf("%v: %+v", tt.total, f)
			}
		})
	}
}

// Nothing begins that would probably not finish: of a batch that does not fit,
// exactly the rest is handed back, in good time.
func TestEachHandsTheRestBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		start := time.Now()
		errs := batch.Each(ctx, 10, nil, func(ctx context.Context, _ int) error { return sleep(ctx, 2*time.Second) })
		// 9 s are usable: four times 2 s fit, a fifth time does not.
		if diff := cmp.Diff([]int{4, 5, 6, 7, 8, 9}, notBegun(errs)); diff != "" {
			t.Errorf("not begun (-want +got):\n%s", diff)
		}
		for i, err := range errs[:4] {
			if err != nil {
				t.Errorf("record %d: %v", i, err)
			}
		}
		if took := time.Since(start); took != 8*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

// One slow record makes the guard careful, and some quick ones make it forget.
func TestGuardDecays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		guard := &batch.Guard{}
		run := func(n int, d time.Duration) []error {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			return batch.Each(ctx, n, &batch.Options{Guard: guard}, func(ctx context.Context, _ int) error { return sleep(ctx, d) })
		}
		run(1, 9*time.Second-1)
		if got := guard.Longest(); got != 9*time.Second-1 {
			t.Fatalf("longest %v", got)
		}
		// The first record begins although none is expected to fit; it takes an
		// eighth away, after which the rest fits.
		if got := notBegun(run(10, time.Millisecond)); got != nil {
			t.Errorf("not begun: %v", got)
		}
		if got := guard.Longest(); got > 3*time.Second || got < 2*time.Second {
			t.Errorf("longest after ten quick ones: %v", got)
		}
		for range 10 {
			run(10, time.Millisecond)
		}
		if got := guard.Longest(); got > 2*time.Millisecond || got < time.Millisecond {
			t.Errorf("longest in the end: %v", got)
		}
	})
}

func TestEachBeginsNothingWithoutTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		called := func(context.Context, int) error {
			t.Error("called")
			return nil
		}
		past, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
		defer cancel()
		if got := notBegun(batch.Each(past, 3, nil, called)); len(got) != 3 {
			t.Errorf("past its deadline: %v", got)
		}
		short, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		if got := notBegun(batch.Each(short, 3, &batch.Options{Margin: 2 * time.Second}, called)); len(got) != 3 {
			t.Errorf("nothing but the margin left: %v", got)
		}
		canceled, cancel := context.WithCancel(t.Context())
		cancel()
		if got := notBegun(batch.Each(canceled, 3, nil, called)); len(got) != 3 {
			t.Errorf("canceled: %v", got)
		}
	})
}

// A cancel lets the running record finish and begins no other.
func TestEachStopsWhenCanceled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	errs := batch.Each(ctx, 4, nil, func(ctx context.Context, i int) error {
		if i == 1 {
			cancel()
			<-ctx.Done()
		}
		return nil
	})
	if errs[0] != nil || errs[1] != nil {
		t.Errorf("begun ones: %v", errs[:2])
	}
	if diff := cmp.Diff([]int{2, 3}, notBegun(errs)); diff != "" {
		t.Errorf("not begun (-want +got):\n%s", diff)
	}
}

// A handler that listens to nothing is given up before the function's time-out;
// its neighbours' outcomes stay what they were.
func TestEachAbandonsDeafHandlers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log, text := newLog()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		release := make(chan struct{})
		var late atomic.Int32
		start := time.Now()
		guard := &batch.Guard{}
		errs := batch.Each(ctx, 5, &batch.Options{Concurrency: 3, Logger: log, Guard: guard}, func(_ context.Context, i int) error {
			if i == 1 || i == 2 {
				<-release
				late.Add(1)
				if i == 2 {
					panic("late") // must not end the process
				}
			}
			return nil
		})
		if took := time.Since(start); took != 9500*time.Millisecond {
			t.Errorf("took %v: half of the margin of 1 s is to be left", took)
		}
		for i, err := range errs {
			if errors.Is(err, batch.ErrAbandoned) != (i == 1 || i == 2) || errors.Is(err, batch.ErrNotBegun) {
				t.Errorf("record %d: %v", i, err)
			}
			if err != nil && (task.FailureOf(err).Code != task.CodeTimeout || !errors.Is(err, context.DeadlineExceeded)) {
				t.Errorf("record %d: %+v", i, task.FailureOf(err))
			}
		}
		if n := strings.Count(text.String(), "handler abandoned"); n != 2 {
			t.Errorf("log:\n%s", text)
		}
		if got := guard.Longest(); got != 9500*time.Millisecond {
			t.Errorf("the guard learned %v", got)
		}
		before := slices.Clone(errs)
		close(release) // the environment thaws
		synctest.Wait()
		if late.Load() != 2 {
			t.Errorf("%d went on", late.Load())
		}
		if !slices.Equal(before, errs) {
			t.Errorf("outcomes changed afterwards: %v", errs)
		}
	})
}

// With a deaf first record and no concurrency the rest is handed back.
func TestEachAbandonedRecordsNeighboursAreNotBegun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		release := make(chan struct{})
		defer close(release)
		errs := batch.Each(ctx, 3, &batch.Options{Logger: quiet}, func(context.Context, int) error {
			<-release
			return nil
		})
		if !errors.Is(errs[0], batch.ErrAbandoned) {
			t.Errorf("got %v", errs[0])
		}
		if diff := cmp.Diff([]int{1, 2}, notBegun(errs)); diff != "" {
			t.Errorf("not begun (-want +got):\n%s", diff)
		}
	})
}

// Without a deadline nobody is given up.
func TestEachWithoutADeadlineWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		errs := batch.Each(ctx, 2, nil, func(ctx context.Context, _ int) error {
			if _, ok := ctx.Deadline(); ok {
				t.Error("a deadline from nowhere")
			}
			time.Sleep(24 * time.Hour)
			return nil
		})
		if err := errors.Join(errs...); err != nil {
			t.Error(err)
		}
	})
}

// Whatever the durations, deadline and concurrency: the batch ends before the
// function does, begun records are a prefix, and outcomes are complete.
func TestEachAlwaysEndsInTime(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(0, 20).Draw(rt, "n")
		concurrency := rapid.IntRange(1, 5).Draw(rt, "concurrency")
		total := time.Duration(rapid.IntRange(1, 30_000).Draw(rt, "total")) * time.Millisecond
		takes := rapid.SliceOfN(rapid.IntRange(0, 20_000), n, n).Draw(rt, "takes")
		deaf := rapid.SliceOfN(rapid.Bool(), n, n).Draw(rt, "deaf")
		synctest.Test(t, func(*testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), total)
			defer cancel()
			defer time.Sleep(time.Minute) // until the deaf ones have ended
			start := time.Now()
			var mu sync.Mutex
			begun := map[int]bool{}
			errs := batch.Each(ctx, n, &batch.Options{Concurrency: concurrency, Logger: quiet}, func(ctx context.Context, i int) error {
				mu.Lock()
				begun[i] = true
				mu.Unlock()
				d := time.Duration(takes[i]) * time.Millisecond
				if deaf[i] {
					time.Sleep(d)
					return nil
				}
				return sleep(ctx, d)
			})
			if took := time.Since(start); took >= total {
				rt.Fatalf("took %v of %v", took, total)
			}
			mu.Lock()
			defer mu.Unlock()
			if len(errs) != n {
				rt.Fatalf("%d outcomes", len(errs))
			}
			for i, err := range errs {
				if begun[i] == errors.Is(err, batch.ErrNotBegun) {
					rt.Fatalf("record %d: begun %v, %v", i, begun[i], err)
				}
				if i > 0 && begun[i] && !begun[i-1] {
					rt.Fatalf("record %d was begun before %d", i, i-1)
				}
			}
			if n > 0 && !begun[0] {
				rt.Fatal("the first record was not begun")
			}
		})
	})
}
