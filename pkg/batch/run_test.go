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

	"github.com/spillway-go/spillway/pkg/batch"
	"github.com/spillway-go/spillway/pkg/event"
	"github.com/spillway-go/spillway/pkg/task"
)

// A guard that has seen one slow record is careful at first. As soon as it has
// learned that the records are quick, as many run at once as may.
func TestPlacesFillAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		guard := &batch.Guard{}
		run := func(n int, d time.Duration) (errs []error, most int) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			var mu sync.Mutex
			running := 0
			errs = batch.Each(ctx, n, &batch.Options{Concurrency: 10, Guard: guard}, func(ctx context.Context, _ int) error {
				mu.Lock()
				running++
				most = max(most, running)
				mu.Unlock()
				err := sleep(ctx, d)
				mu.Lock()
				running--
				mu.Unlock()
				return err
			})
			return errs, most
		}
		run(1, time.Minute) // until its context ends
		start := time.Now()
		errs, most := run(100, time.Second)
		if most != 10 || errors.Join(errs...) != nil {
			t.Errorf("%d at once, %d not begun", most, len(notBegun(errs)))
		}
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("100 records of a second, ten at once, took %v", took)
		}
	})
}

// late is a dead-letter queue, and one for isolated records, that must not be
// used any more.
type late struct {
	mu   sync.Mutex
	used []string
}

func (l *late) Reject(_ context.Context, msg *event.SQSMessage, _ error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.used = append(l.used, msg.MessageID)
	return nil
}

func (l *late) Isolate(_ context.Context, rec *event.StreamRecord, _ error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.used = append(l.used, rec.SequenceNumber)
	return nil
}

// A record that was given up has been reported as failed and comes back, so
// what its handler says after that makes no dead letter.
func TestAbandonedIsNotRejected(t *testing.T) {
	t.Parallel()
	deaf := func() error {
		time.Sleep(10 * time.Second) // longer than half of the margin leaves
		return task.Permanent(errors.New("too late"))
	}
	l := &late{}
	o := &batch.Options{Logger: quiet, Reject: l, Isolate: l}
	for name, h := range map[string]struct {
		handler batch.Handler
		payload string
	}{
		"a message": {
			batch.SQS(func(context.Context, *event.SQSMessage) error { return deaf() }, o),
			`{"Records":[{"eventSource":"aws:sqs","messageId":"m"}]}`,
		},
		"a record": {
			batch.Kinesis(func(context.Context, *event.KinesisRecord) error { return deaf() }, o),
			`{"Records":[{"eventSource":"aws:kinesis","kinesis":{"sequenceNumber":"m"}}]}`,
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			answer, err := h.handler.Invoke(ctx, []byte(h.payload))
			if string(answer) != `{"batchItemFailures":[{"itemIdentifier":"m"}]}` || err != nil {
				t.Errorf("%s: %s, %v", name, answer, err)
			}
			time.Sleep(time.Second)
		})
	}
	if len(l.used) > 0 {
		t.Errorf("%v were rejected after the batch", l.used)
	}
}

type brokenVisibility struct{}

func (brokenVisibility) ChangeVisibility(context.Context, []batch.Visibility) []error {
	panic("broken")
}

// A hook that panics must not bring back what has succeeded.
func TestVisibilityPanics(t *testing.T) {
	t.Parallel()
	log, text := newLog()
	res, err := call(batch.SQS(byBody, &batch.Options{Logger: log, Visibility: brokenVisibility{}}))(t.Context(), withBodies("ok", "error"))
	if got := failures(res); err != nil || len(got) != 1 || got[0] != "m1" {
		t.Errorf("%v, %v", got, err)
	}
	if !strings.Contains(text.String(), "broken") {
		t.Errorf("the log says %s", text)
	}
}

// A handler may use a batch of its own. That something in there was not begun
// does not say that its record was not.
func TestNestedBatch(t *testing.T) {
	t.Parallel()
	h := &hooks{}
	log, text := newLog()
	handler := call(batch.SQS(func(context.Context, *event.SQSMessage) error {
		return fmt.Errorf("a part of it: %w", batch.ErrNotBegun)
	}, &batch.Options{Logger: log, Visibility: h, Backoff: func(int) time.Duration { return time.Minute }}))
	if _, err := handler(t.Context(), withBodies("x")); err != nil {
		t.Fatal(err)
	}
	if h.hidden["r0"] != time.Minute || !strings.Contains(text.String(), `msg="message failed"`) {
		t.Errorf("hidden for %v; %s", h.hidden["r0"], text)
	}
}

// A nil handler is a mistake of the program, seen when it starts.
func TestNilHandler(t *testing.T) {
	t.Parallel()
	for name, make := range map[string]func(){
		"SQS":      func() { batch.SQS(nil, nil) },
		"Kinesis":  func() { batch.Kinesis(nil, nil) },
		"DynamoDB": func() { batch.DynamoDB(nil, nil) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s took a nil handler", name)
				}
			}()
			make()
		}()
	}
}
