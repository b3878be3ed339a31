package workqueuetest_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/spillway-go/spillway/pkg/workqueue"
	"github.com/spillway-go/spillway/pkg/workqueue/workqueuetest"
)

// change changes the visibility of one message and returns the code of the
// refusal, which is the same for an entry of a batch.
func change(t *testing.T, s *workqueuetest.SQS, queue, receipt string, seconds int32) string {
	t.Helper()
	_, err := s.ChangeMessageVisibility(t.Context(), &sqs.ChangeMessageVisibilityInput{QueueUrl: url(queue), ReceiptHandle: &receipt, VisibilityTimeout: seconds})
	if err == nil {
		return ""
	}
	entry := types.ChangeMessageVisibilityBatchRequestEntry{Id: aws.String("a"), ReceiptHandle: &receipt, VisibilityTimeout: seconds}
	out, batchErr := s.ChangeMessageVisibilityBatch(t.Context(), &sqs.ChangeMessageVisibilityBatchInput{
		QueueUrl: url(queue), Entries: []types.ChangeMessageVisibilityBatchRequestEntry{entry},
	})
	if batchErr != nil || len(out.Failed) != 1 || *out.Failed[0].Code != code(err) {
		t.Errorf("single: %v, batch: %+v, %v", err, out, batchErr)
	}
	return code(err)
}

func remove(t *testing.T, s *workqueuetest.SQS, queue, receipt string) string {
	t.Helper()
	_, err := s.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: url(queue), ReceiptHandle: &receipt})
	return code(err)
}

// TestTwelveHours: the total of a message's visibility timeouts counts from its
// receive, not from the change, and a change that would exceed it is refused.
func TestTwelveHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := workqueuetest.New()
		q := open(s, "a", workqueuetest.QueueOptions{Visibility: time.Hour})
		send(t, q, "x")
		rec := s.Receive("a", 1)[0]
		for seconds, want := range map[int32]string{-1: badValue, 43_201: badValue, 43_200: ""} {
			if got := change(t, s, "a", rec.ReceiptHandle, seconds); got != want {
				t.Errorf("%d s: %q, want %q", seconds, got, want)
			}
		}
		time.Sleep(time.Hour)
		if got := change(t, s, "a", rec.ReceiptHandle, 11*3600+1); got != badValue {
			t.Errorf("beyond twelve hours: %q", got)
		}
		if got := change(t, s, "a", rec.ReceiptHandle, 11*3600); got != "" {
			t.Errorf("up to twelve hours: %q", got)
		}
	})
}

// TestLongestVisibility: the longest visibility that a Queue asks for is taken
// until a function that has the message must have ended.
func TestLongestVisibility(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := workqueuetest.New()
		q := open(s, "a", workqueuetest.QueueOptions{Visibility: time.Hour})
		send(t, q, "x")
		ask := []workqueue.Visibility{{Receipt: s.Receive("a", 1)[0].ReceiptHandle, After: 24 * time.Hour}}
		time.Sleep(15 * time.Minute)
		if err := q.ChangeVisibility(t.Context(), ask)[0]; err != nil {
			t.Error(err)
		}
		time.Sleep(time.Second)
		if err := q.ChangeVisibility(t.Context(), ask)[0]; err == nil || errors.Is(err, workqueue.ErrReceiptGone) {
			t.Errorf("a second later: %v", err)
		}
	})
}

// TestReceiptHandles: only the newest handle of a message counts, and not for
// ever.
func TestReceiptHandles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := workqueuetest.New()
		for _, name := range []string{"a", "a.fifo"} {
			fifo := strings.HasSuffix(name, ".fifo")
			send(t, open(s, name, workqueuetest.QueueOptions{Visibility: time.Minute}), "x")
			first := s.Receive(name, 1)[0].ReceiptHandle
			time.Sleep(time.Minute)
			if got := change(t, s, name, first, 10); got != prefix+"MessageNotInflight" {
				t.Errorf("%s: change of a visible message: %q", name, got)
			}
			second := s.Receive(name, 1)[0].ReceiptHandle
			if got := change(t, s, name, first, 10); got != badValue {
				t.Errorf("%s: change by an old handle: %q", name, got)
			}
			want := "" // and nothing is deleted
			if fifo {
				want = badValue
			}
			if got := remove(t, s, name, first); got != want || len(s.Messages(name)) != 1 {
				t.Errorf("%s: delete by an old handle: %q, %d left", name, got, len(s.Messages(name)))
			}
			for _, foreign := range []string{"AQEB", "AQEBeA", "M1", "x" + first} {
				if got := change(t, s, name, foreign, 10); got != "ReceiptHandleIsInvalid" {
					t.Errorf("%s: change by %q: %q", name, foreign, got)
				}
				if got := remove(t, s, name, foreign); got != "ReceiptHandleIsInvalid" {
					t.Errorf("%s: delete by %q: %q", name, foreign, got)
				}
			}
			if got := remove(t, s, name, ""); got != "MissingParameter" {
				t.Errorf("%s: delete by no handle: %q", name, got)
			}
			if got := remove(t, s, name, second); got != "" || len(s.Messages(name)) != 0 {
				t.Errorf("%s: delete: %q, %d left", name, got, len(s.Messages(name)))
			}
			if got := remove(t, s, name, second); got != "" {
				t.Errorf("%s: delete once more: %q", name, got)
			}
			if got := change(t, s, name, second, 10); got != badValue {
				t.Errorf("%s: change after the delete: %q", name, got)
			}
		}
	})
}

// TestVisibleAgain: the newest handle deletes a message that is visible again,
// until it is twelve hours old; a FIFO queue refuses it at once.
func TestVisibleAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := workqueuetest.New()
		send(t, open(s, "a", workqueuetest.QueueOptions{}), "x", "y")
		send(t, open(s, "a.fifo", workqueuetest.QueueOptions{}), "x")
		records, ordered := s.Receive("a", 2), s.Receive("a.fifo", 1)
		time.Sleep(time.Minute)
		if got := remove(t, s, "a.fifo", ordered[0].ReceiptHandle); got != badValue {
			t.Errorf("FIFO: %q", got)
		}
		if got := remove(t, s, "a", records[0].ReceiptHandle); got != "" || len(s.Messages("a")) != 1 {
			t.Errorf("delete: %q, %d left", got, len(s.Messages("a")))
		}
		time.Sleep(12 * time.Hour)
		if got := remove(t, s, "a", records[1].ReceiptHandle); got != badValue || len(s.Messages("a")) != 1 {
			t.Errorf("after twelve hours: %q, %d left", got, len(s.Messages("a")))
		}
	})
}

// TestExpiredHandleOfInbox: what SQS says of a handle that does not hold is
// what an Inbox recognizes.
func TestExpiredHandleOfInbox(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := workqueuetest.New()
		s.Create("a", workqueuetest.QueueOptions{})
		inbox := workqueue.NewInbox(s, *url("a"), nil)
		send(t, inbox.Queue, "x", "y")
		var receipts []string
		for _, m := range s.Receive("a", 2) {
			receipts = append(receipts, m.ReceiptHandle)
		}
		time.Sleep(13 * time.Hour)
		for i, err := range append(inbox.Delete(t.Context(), receipts), inbox.Delete(t.Context(), []string{"x"})...) {
			if !errors.Is(err, workqueue.ErrReceiptGone) {
				t.Errorf("%d: %v", i, err)
			}
		}
	})
}

// TestInFlight: beyond its quota a short poll of a standard queue fails, and a
// long poll, or any receive from a FIFO queue, finds nothing.
func TestInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, name := range []string{"a", "a.fifo"} {
			s := workqueuetest.New(workqueuetest.Options{InOrder: true})
			send(t, open(s, name, workqueuetest.QueueOptions{InFlight: 3, Visibility: time.Minute}), "1", "2", "3", "4", "5")
			if got := s.Receive(name, 10); len(got) != 3 {
				t.Fatalf("%s: received %d", name, len(got))
			}
			short := ""
			if name == "a" {
				short = "OverLimit"
			}
			receive := func(wait int32) (int, string) {
				out, err := s.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: url(name), MaxNumberOfMessages: 10, WaitTimeSeconds: wait})
				if err != nil {
					return 0, code(err)
				}
				return len(out.Messages), ""
			}
			if n, got := receive(0); n != 0 || got != short {
				t.Errorf("%s, short poll: %d, %q, want %q", name, n, got, short)
			}
			start := time.Now()
			if n, got := receive(20); n != 0 || got != "" || time.Since(start) != 20*time.Second {
				t.Errorf("%s, long poll: %d, %q after %v", name, n, got, time.Since(start))
			}
			if n := len(s.Receive(name, 10)); n != 0 {
				t.Errorf("%s: Lambda received %d", name, n)
			}
			time.Sleep(30 * time.Second) // ten seconds before one is free
			start = time.Now()
			if n, got := receive(20); n == 0 || got != "" || time.Since(start) != 10*time.Second {
				t.Errorf("%s, long poll until one is free: %d, %q after %v", name, n, got, time.Since(start))
			}
		}
	})
}

// TestLongPoll: a long poll ends when a message arrives, or its delay ends.
func TestLongPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := workqueuetest.New()
		q := open(s, "a", workqueuetest.QueueOptions{})
		wait := func() time.Duration {
			start := time.Now()
			out, err := s.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: url("a"), WaitTimeSeconds: 20})
			if err != nil || len(out.Messages) != 1 {
				t.Errorf("%+v, %v", out, err)
			}
			return time.Since(start)
		}
		if err := q.Send(t.Context(), workqueue.Outgoing{Body: "x", Delay: 7 * time.Second}); err != nil {
			t.Fatal(err)
		}
		if got := wait(); got != 7*time.Second {
			t.Errorf("a delayed message after %v", got)
		}
		go func() {
			time.Sleep(3 * time.Second)
			send(t, q, "y")
		}()
		if got := wait(); got != 3*time.Second {
			t.Errorf("a new message after %v", got)
		}
	})
}
