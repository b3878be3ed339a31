package batch_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/spillway-go/spillway/pkg/batch"
	"github.com/spillway-go/spillway/pkg/event"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

// The queue fits both hooks without either package knowing the other.
var (
	_ batch.VisibilityChanger = (*workqueue.Queue)(nil)
	_ batch.Rejecter          = (*workqueue.Queue)(nil)
)

// hooks records what a batch asks of its queue and its dead-letter queue.
type hooks struct {
	mu       sync.Mutex
	hidden   map[string]time.Duration // by receipt handle
	rejected map[string]string        // message id to cause
	calls    int

	visibilityErr, rejectErr error
	ctxErr                   error // of the context at the call
}

func (h *hooks) ChangeVisibility(ctx context.Context, changes []batch.Visibility) []error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls++
	h.ctxErr = ctx.Err()
	errs := make([]error, len(changes))
	for i, c := range changes {
		if errs[i] = h.visibilityErr; errs[i] == nil {
			if h.hidden == nil {
				h.hidden = map[string]time.Duration{}
			}
			h.hidden[c.Receipt] = c.After
		}
	}
	return errs
}

func (h *hooks) Reject(ctx context.Context, rec *event.SQSMessage, cause error) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ctxErr = ctx.Err()
	if h.rejectErr != nil {
		return h.rejectErr
	}
	if h.rejected == nil {
		h.rejected = map[string]string{}
	}
	h.rejected[rec.MessageID] = cause.Error()
	return nil
}

// byBody acts as the message's body says.
func byBody(_ context.Context, rec *event.SQSMessage) error {
	switch rec.Body {
	case "panic":
		panic("boom")
	case "permanent":
		return task.Permanent(errors.New("never"))
	case "later":
		return fmt.Errorf("call: %w", task.RetryAfter(7*time.Minute, errors.New("busy")))
	case "error":
		return errors.New("no luck")
	default:
		return nil
	}
}

func withBodies(bodies ...string) events.SQSEvent {
	recs := records(len(bodies))
	for i, b := range bodies {
		recs[i].Body = b
	}
	return events.SQSEvent{Records: recs}
}

func TestSQSWithoutHooks(t *testing.T) {
	t.Parallel()
	log, text := newLog()
	handler := call(batch.SQS(byBody, &batch.Options{Logger: log}))
	res, err := handler(t.Context(), withBodies("ok", "error", "panic", "permanent", "later", "ok"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"m1", "m2", "m3", "m4"}, failures(res)); diff != "" {
		t.Errorf("failed (-want +got):\n%s", diff)
	}
	for _, want := range []string{"message_id=m1", "no luck", "code=panic", "message_id=m2", "stack="} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in the log:\n%s", want, text)
		}
	}
	if strings.Contains(text.String(), "boom") || !strings.Contains(text.String(), "panic: a value of type string") {
		t.Errorf("the log has not the type of what a handler panicked with, or more than that:\n%s", text)
	}
}

func TestSQSWithHooks(t *testing.T) {
	t.Parallel()
	h := &hooks{}
	handler := call(batch.SQS(byBody, &batch.Options{
		Logger: quiet, Visibility: h, Reject: h,
		Backoff: func(receives int) time.Duration { return time.Duration(receives) * time.Minute },
	}))
	ev := withBodies("ok", "error", "panic", "permanent", "later", "error")
	ev.Records[1].Attributes["ApproximateReceiveCount"] = "4"
	ev.Records[2].Attributes["ApproximateReceiveCount"] = "junk"
	ev.Records[5].Attributes = nil
	res, err := handler(t.Context(), ev)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"m1", "m2", "m4", "m5"}, failures(res)); diff != "" {
		t.Errorf("failed (-want +got):\n%s", diff)
	}
	wantHidden := map[string]time.Duration{"r1": 4 * time.Minute, "r2": time.Minute, "r4": 7 * time.Minute, "r5": time.Minute}
	if diff := cmp.Diff(wantHidden, h.hidden); diff != "" {
		t.Errorf("hidden (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"m3": "never"}, h.rejected); diff != "" {
		t.Errorf("rejected (-want +got):\n%s", diff)
	}
	if h.calls != 1 {
		t.Errorf("%d calls to change visibilities", h.calls)
	}
	if _, err := handler(t.Context(), withBodies("ok")); err != nil || h.calls != 1 {
		t.Errorf("a batch without failures: %d calls, %v", h.calls, err)
	}
}

func TestSQSHooksThatFail(t *testing.T) {
	t.Parallel()
	log, text := newLog()
	h := &hooks{visibilityErr: errors.New("receipt gone"), rejectErr: errors.New("queue down")}
	res, err := call(batch.SQS(byBody, &batch.Options{Logger: log, Visibility: h, Reject: h}))(t.Context(), withBodies("permanent", "error", "ok"))
	if err != nil {
		t.Fatal(err)
	}
	// Not confirmed, so not acknowledged.
	if diff := cmp.Diff([]string{"m0", "m1"}, failures(res)); diff != "" {
		t.Errorf("failed (-want +got):\n%s", diff)
	}
	for _, want := range []string{"queue down", "receipt gone"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in the log:\n%s", want, text)
		}
	}
}

func TestSQSDefaultBackoff(t *testing.T) {
	t.Parallel()
	for receives, bound := range map[string]time.Duration{
		"": 2 * time.Second, "-7": 2 * time.Second, "1": 2 * time.Second, "3": 8 * time.Second,
		"9": 512 * time.Second, "10": 15 * time.Minute, "11": 15 * time.Minute, "99999999": 15 * time.Minute,
	} {
		var highest time.Duration
		for range 100 {
			h := &hooks{}
			ev := withBodies("error")
			ev.Records[0].Attributes["ApproximateReceiveCount"] = receives
			if _, err := call(batch.SQS(byBody, &batch.Options{Logger: quiet, Visibility: h}))(t.Context(), ev); err != nil {
				t.Fatal(err)
			}
			highest = max(highest, h.hidden["r0"])
		}
		if highest > bound || highest < bound/2 {
			t.Errorf("%q receives: up to %v, want up to %v", receives, highest, bound)
		}
	}
}

// Two deliveries of one message in one batch are one call; each receipt is hidden.
func TestSQSDuplicates(t *testing.T) {
	t.Parallel()
	h := &hooks{}
	calls := map[string]int{}
	ev := withBodies("ok", "error", "error", "ok", "ok")
	for i, id := range []string{"a", "b", "b", "a", "c"} {
		ev.Records[i].MessageId = id
	}
	ev.Records[2].ReceiptHandle = ""
	res, err := call(batch.SQS(func(ctx context.Context, rec *event.SQSMessage) error {
		calls[rec.MessageID]++
		return byBody(ctx, rec)
	}, &batch.Options{Logger: quiet, Visibility: h}))(t.Context(), ev)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int{"a": 1, "b": 1, "c": 1}, calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"b"}, failures(res)); diff != "" {
		t.Errorf("failed (-want +got):\n%s", diff)
	}
	if _, ok := h.hidden["r1"]; !ok || len(h.hidden) != 1 {
		t.Errorf("hidden %v", h.hidden)
	}
}

func TestSQSRecordsWithoutAnID(t *testing.T) {
	t.Parallel()
	ev := withBodies("ok", "ok", "error")
	for i := range ev.Records {
		ev.Records[i].MessageId = ""
	}
	handler := call(batch.SQS(byBody, &batch.Options{Logger: quiet}))
	if _, err := handler(t.Context(), ev); !errors.Is(err, batch.ErrNoID) {
		t.Errorf("got %v", err)
	}
	ev.Records = ev.Records[:2]
	if res, err := handler(t.Context(), ev); err != nil || len(res.BatchItemFailures) != 0 {
		t.Errorf("all succeeded: %v, %v", res, err)
	}
}

// A batch that would pass the function's time-out hands the rest back at once,
// with time left for the change of visibility.
func TestSQSHandsTheRestBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &hooks{}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		res, err := call(batch.SQS(func(ctx context.Context, _ *event.SQSMessage) error {
			return sleep(ctx, 4*time.Second)
		}, &batch.Options{Logger: quiet, Visibility: h}))(ctx, events.SQSEvent{Records: records(5)})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"m2", "m3", "m4"}, failures(res)); diff != "" {
			t.Errorf("failed (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(map[string]time.Duration{"r2": 0, "r3": 0, "r4": 0}, h.hidden); diff != "" {
			t.Errorf("hidden (-want +got):\n%s", diff)
		}
		if h.ctxErr != nil {
			t.Errorf("the change of visibility came too late: %v", h.ctxErr)
		}
	})
}

// A handler that used up its time and failed for good can still be rejected;
// a deaf one is reported, and the response leaves in time.
func TestSQSAtTheEndOfItsTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &hooks{}
		release := make(chan struct{})
		defer close(release)
		handler := call(batch.SQS(func(ctx context.Context, rec *event.SQSMessage) error {
			if rec.Body == "deaf" {
				<-release
				return nil
			}
			<-ctx.Done()
			return task.Permanent(errors.New("too slow"))
		}, &batch.Options{Logger: quiet, Visibility: h, Reject: h, Concurrency: 2}))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		start := time.Now()
		res, err := handler(ctx, withBodies("slow", "deaf", "x"))
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took != 9500*time.Millisecond {
			t.Errorf("took %v", took)
		}
		if diff := cmp.Diff([]string{"m1", "m2"}, failures(res)); diff != "" {
			t.Errorf("failed (-want +got):\n%s", diff)
		}
		if len(h.rejected) != 1 || h.ctxErr != nil || len(h.hidden) != 2 {
			t.Errorf("rejected %v, hidden %v, context %v", h.rejected, h.hidden, h.ctxErr)
		}
	})
}

// What leaves is JSON that Lambda understands, through the real entrance.
func TestSQSThroughLambda(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ event, want string }{
		"no records": {`{"Records":[]}`, `{"batchItemFailures":[]}`},
		"all good":   {`{"Records":[{"eventSource":"aws:sqs","messageId":"a","body":"ok"}]}`, `{"batchItemFailures":[]}`},
		"one bad":    {`{"Records":[{"eventSource":"aws:sqs","messageId":"a","body":"ok"},{"eventSource":"aws:sqs","messageId":"b","body":"panic"}]}`, `{"batchItemFailures":[{"itemIdentifier":"b"}]}`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := lambda.NewHandler(batch.SQS(byBody, &batch.Options{Logger: quiet})).Invoke(t.Context(), []byte(tt.event))
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != tt.want {
				t.Errorf("got %s", got)
			}
		})
	}
}

// A function behind the wrong trigger says so, and acknowledges nothing.
func TestSQSRefusesOtherEvents(t *testing.T) {
	t.Parallel()
	handler := batch.SQS(byBody, &batch.Options{Logger: quiet})
	for _, payload := range []string{``, `null`, `{}`, `{"Records":null}`, `{"Records":[{"eventSource":"aws:kinesis"}]}`, `{"Records":[]`} {
		if got, err := handler.Invoke(t.Context(), []byte(payload)); !errors.Is(err, event.ErrMalformed) || got != nil {
			t.Errorf("%s: %s, %v", payload, got, err)
		}
	}
}

// Whatever the handlers do, and whichever ids repeat: exactly the messages that
// failed are named, once each.
func TestSQSNamesExactlyTheFailed(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ids := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f"}), 0, 12).Draw(t, "ids")
		behaviour := map[string]string{}
		for _, id := range []string{"a", "b", "c", "d", "e", "f"} {
			behaviour[id] = rapid.SampledFrom([]string{"ok", "error", "panic", "permanent", "later"}).Draw(t, id)
		}
		h := &hooks{}
		if rapid.Bool().Draw(t, "dead-letter queue down") {
			h.rejectErr = errors.New("down")
		}
		ev := events.SQSEvent{Records: records(len(ids))}
		want := []string{}
		for i, id := range ids {
			ev.Records[i].MessageId, ev.Records[i].Body = id, behaviour[id]
			failed := behaviour[id] != "ok" && (behaviour[id] != "permanent" || h.rejectErr != nil)
			if failed && !slices.Contains(want, id) {
				want = append(want, id)
			}
		}
		res, err := call(batch.SQS(byBody, &batch.Options{
			Logger: quiet, Visibility: h, Reject: h, Concurrency: rapid.IntRange(1, 4).Draw(t, "concurrency"),
		}))(context.Background(), ev)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, failures(res)); diff != "" {
			t.Fatalf("failed (-want +got):\n%s", diff)
		}
		if raw, err := json.Marshal(res); err != nil || strings.Contains(string(raw), "null") {
			t.Fatal(string(raw), err)
		}
	})
}
