package batch_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/pkg/batch"
	"github.com/spillway-go/spillway/pkg/task"
)

// queueBatch invokes a handler for messages of these groups with 20 s of time,
// and returns the answer and the order in which they were begun.
func queueBatch(t *testing.T, s source, groups string, opts *batch.Options, act func(ctx context.Context, i int) error) (answer string, order []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), allTime)
	defer cancel()
	var mu sync.Mutex
	opts.Logger = quiet
	raw, err := s.handler(func(ctx context.Context, i int) error {
		mu.Lock()
		order = append(order, fmt.Sprint(i))
		mu.Unlock()
		return act(ctx, i)
	}, opts).Invoke(ctx, s.payload(strings.Split(groups, "")))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw), order
}

func TestFIFOGroupsRunAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for concurrency, want := range map[int]time.Duration{1: 8 * aMoment, 2: 5 * aMoment, 4: 4 * aMoment} {
			start := time.Now()
			var mu sync.Mutex
			running := map[byte]int{}
			const groups = "aaaabbcd" // four moments of a
			answer, _ := queueBatch(t, fifo, groups, &batch.Options{Concurrency: concurrency}, func(ctx context.Context, i int) error {
				mu.Lock()
				running[groups[i]]++
				if running[groups[i]] > 1 {
					t.Errorf("two messages of group %c at once", groups[i])
				}
				mu.Unlock()
				err := sleep(ctx, aMoment)
				mu.Lock()
				running[groups[i]]--
				mu.Unlock()
				return err
			})
			// With two slots a has one for itself, but for what comes before it.
			if took := time.Since(start); answer != nothingFailed || took > want {
				t.Errorf("concurrency %d: %s after %s, want %s", concurrency, answer, took, want)
			}
		}
	})
}

// After a failure the rest of the group comes back unbegun, and no sooner than
// what it has to follow.
func TestFIFOGroupComesBackTogether(t *testing.T) {
	t.Parallel()
	h := &hooks{}
	answer, order := queueBatch(t, fifo, "abacabc", &batch.Options{
		Visibility: h, Reject: h, Backoff: func(int) time.Duration { return time.Minute },
	}, func(_ context.Context, i int) error {
		switch i {
		case 2: // the second of a
			return task.RetryAfter(7*time.Minute, errors.New("busy"))
		case 3: // the first of c
			return errors.New("no luck")
		}
		return nil
	})
	if want := `{"batchItemFailures":[{"itemIdentifier":"m-2"},{"itemIdentifier":"m-3"},{"itemIdentifier":"m-4"},{"itemIdentifier":"m-6"}]}`; answer != want {
		t.Errorf("%s, want %s", answer, want)
	}
	if diff := cmp.Diff([]string{"0", "1", "2", "3", "5"}, order); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	want := map[string]time.Duration{"r-2": 7 * time.Minute, "r-4": 7 * time.Minute, "r-3": time.Minute, "r-6": time.Minute}
	if diff := cmp.Diff(want, h.hidden); diff != "" {
		t.Errorf("hidden (-want +got):\n%s", diff)
	}
}

// What is safe in the dead-letter queue is out of the way; what is not there
// for certain stays in it.
func TestFIFOGroupGoesOnAfterARejection(t *testing.T) {
	t.Parallel()
	never := func(_ context.Context, i int) error {
		if i == 1 {
			return task.Permanent(errors.New("never"))
		}
		return nil
	}
	h := &hooks{}
	answer, order := queueBatch(t, fifo, "aaba", &batch.Options{Reject: h, Visibility: h}, never)
	if answer != nothingFailed || strings.Join(order, "") != "0123" || h.rejected["m-1"] != "never" || h.calls != 0 {
		t.Errorf("%s, order %v, rejected %v, %d changes of visibility", answer, order, h.rejected, h.calls)
	}
	h = &hooks{rejectErr: errors.New("queue down")}
	answer, order = queueBatch(t, fifo, "aaba", &batch.Options{Reject: h}, never)
	if want := `{"batchItemFailures":[{"itemIdentifier":"m-1"},{"itemIdentifier":"m-3"}]}`; answer != want || strings.Join(order, "") != "012" {
		t.Errorf("queue down: %s, order %v", answer, order)
	}
}

// On a standard queue a group is a tenant, and orders nothing.
func TestGroupsOfAStandardQueueOrderNothing(t *testing.T) {
	t.Parallel()
	answer, order := queueBatch(t, standard, "aaaa", &batch.Options{}, func(_ context.Context, i int) error {
		if i == 0 {
			return errors.New("no luck")
		}
		return nil
	})
	if answer != naming(0) || strings.Join(order, "") != "0123" {
		t.Errorf("%s, order %v", answer, order)
	}
}

// What has no time left is handed back in order, too.
func TestFIFOAtTheEndOfItsTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &hooks{}
		answer, order := queueBatch(t, fifo, "aabb", &batch.Options{Visibility: h, Backoff: func(int) time.Duration { return time.Minute }}, func(ctx context.Context, i int) error {
			return sleep(ctx, 8*time.Second)
		})
		want := `{"batchItemFailures":[{"itemIdentifier":"m-2"},{"itemIdentifier":"m-3"}]}`
		if answer != want || strings.Join(order, "") != "01" {
			t.Errorf("%s, order %v", answer, order)
		}
		if diff := cmp.Diff(map[string]time.Duration{"r-2": 0, "r-3": 0}, h.hidden); diff != "" {
			t.Errorf("hidden (-want +got):\n%s", diff)
		}
	})
}
