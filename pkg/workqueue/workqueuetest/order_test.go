package workqueuetest_test

import (
	"regexp"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/pkg/workqueue"
	"github.com/spillway-go/spillway/pkg/workqueue/workqueuetest"
)

// bodies sends numbers and returns them, and the ids, in the order of receives.
func bodies(t *testing.T, s *workqueuetest.SQS, queue string, n int) (numbers []int, ids []string) {
	t.Helper()
	q := open(s, queue, workqueuetest.QueueOptions{})
	for i := range n {
		if err := q.Send(t.Context(), workqueue.Outgoing{Body: strconv.Itoa(i), Group: "g"}); err != nil {
			t.Fatal(err)
		}
	}
	for range n {
		for _, rec := range s.Receive(queue, 10) {
			number, err := strconv.Atoi(rec.Body)
			if err != nil {
				t.Fatal(err)
			}
			numbers, ids = append(numbers, number), append(ids, rec.MessageId)
			s.Delete(queue, rec.ReceiptHandle)
		}
	}
	return numbers, ids
}

// TestOrder: a standard queue does not keep the order of sends, in a way that
// the seed reproduces; a FIFO queue keeps it.
func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ascending := make([]int, 100)
		for i := range ascending {
			ascending[i] = i
		}
		first, ids := bodies(t, workqueuetest.New(workqueuetest.Options{Seed: 3}), "a", 100)
		if slices.IsSorted(first) {
			t.Error("a standard queue kept the order")
		}
		again, idsAgain := bodies(t, workqueuetest.New(workqueuetest.Options{Seed: 3}), "a", 100)
		if diff := cmp.Diff(first, again) + cmp.Diff(ids, idsAgain); diff != "" {
			t.Errorf("the same seed (-first +again):\n%s", diff)
		}
		if other, _ := bodies(t, workqueuetest.New(workqueuetest.Options{Seed: 4}), "a", 100); slices.Equal(first, other) {
			t.Error("another seed makes the same order")
		}
		slices.Sort(first)
		if diff := cmp.Diff(ascending, first); diff != "" {
			t.Errorf("not all of them (-want +got):\n%s", diff)
		}
		if got, _ := bodies(t, workqueuetest.New(workqueuetest.Options{Seed: 3}), "a.fifo", 100); !slices.IsSorted(got) {
			t.Errorf("FIFO: %v", got)
		}
		if got, _ := bodies(t, workqueuetest.New(workqueuetest.Options{InOrder: true}), "a", 100); !slices.IsSorted(got) {
			t.Errorf("in order: %v", got)
		}
	})
}

// TestDisorderIsBounded: an old message is not overtaken for ever.
func TestDisorderIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := workqueuetest.New(workqueuetest.Options{Disorder: 10 * time.Second})
		q := open(s, "a", workqueuetest.QueueOptions{})
		send(t, q, "old")
		for i := range 12 {
			time.Sleep(time.Second)
			send(t, q, strconv.Itoa(i), strconv.Itoa(i))
			if rec := s.Receive("a", 1)[0]; rec.Body == "old" {
				return
			}
		}
		t.Error("the oldest message was never received")
	})
}

// TestMessageIDs: ids are random UUIDs.
func TestMessageIDs(t *testing.T) {
	s := workqueuetest.New()
	_, ids := bodies(t, s, "a", 200)
	_, others := bodies(t, s, "b", 200)
	form := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	seen := map[string]bool{}
	for _, id := range append(ids, others...) {
		if !form.MatchString(id) || seen[id] {
			t.Errorf("id %q", id)
		}
		seen[id] = true
	}
	s = workqueuetest.New(workqueuetest.Options{Numbered: true, InOrder: true})
	if _, ids := bodies(t, s, "a", 2); ids[1] != "00000000-0000-4000-8000-000000000002" {
		t.Errorf("numbered: %q", ids)
	}
}

// TestRedelivery: a standard queue delivers more often than it was asked to:
// before a visibility timeout ends, and after a delete. A FIFO queue does not.
func TestRedelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 100
		early, after := map[string]int{}, map[string]int{}
		run := func(queue string, rate float64, deliveries map[string]int, handle func(*workqueuetest.SQS, string)) {
			s := workqueuetest.New(workqueuetest.Options{Redelivery: rate})
			q := open(s, queue, workqueuetest.QueueOptions{Visibility: time.Hour})
			for i := range n {
				send(t, q, strconv.Itoa(i))
			}
			for range 59 * 60 {
				for _, rec := range s.Receive(queue, 10) {
					deliveries[rec.MessageId]++
					handle(s, rec.ReceiptHandle)
				}
				time.Sleep(time.Second)
			}
		}
		repeated := func(m map[string]int) (n int) {
			for _, times := range m {
				n += times - 1
			}
			return n
		}
		run("a", 0.1, early, func(*workqueuetest.SQS, string) {})
		run("a", 0.1, after, func(s *workqueuetest.SQS, receipt string) { s.Delete("a", receipt) })
		if len(early) != n || repeated(early) == 0 || repeated(early) > n/2 {
			t.Errorf("%d of %d messages were received early", repeated(early), len(early))
		}
		if len(after) != n || repeated(after) == 0 || repeated(after) > n/2 {
			t.Errorf("%d of %d messages came back after the delete", repeated(after), len(after))
		}
		never, ordered := map[string]int{}, map[string]int{}
		run("a", 0, never, func(s *workqueuetest.SQS, receipt string) { s.Delete("a", receipt) })
		run("a.fifo", 0.1, ordered, func(s *workqueuetest.SQS, receipt string) { s.Delete("a.fifo", receipt) })
		if repeated(never) != 0 || len(never) != n || repeated(ordered) != 0 || len(ordered) != n {
			t.Errorf("%d repeated without redelivery, %d in a FIFO queue", repeated(never), repeated(ordered))
		}
	})
}

// TestShortPollMisses: a short poll may answer fewer messages than there are, or
// none; a long poll asks all servers.
func TestShortPollMisses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := workqueuetest.New(workqueuetest.Options{Missed: 0.5})
		q := open(s, "a", workqueuetest.QueueOptions{Visibility: time.Second})
		send(t, q, "1", "2", "3")
		receive := func(wait int32) int {
			out, err := s.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: url("a"), MaxNumberOfMessages: 10, WaitTimeSeconds: wait})
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute) // all are visible again
			return len(out.Messages)
		}
		seen := map[int]bool{}
		for range 50 {
			seen[receive(0)] = true
			if n := receive(1); n != 3 {
				t.Errorf("a long poll found %d", n)
			}
		}
		if len(seen) != 4 {
			t.Errorf("short polls found %v", seen)
		}
	})
}
