package workqueuetest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/spillway-go/spillway/pkg/workqueue/workqueuetest"
)

const day = 24 * time.Hour

// TestRetention: a message vanishes when its retention is over, hidden or not.
func TestRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := workqueuetest.New()
		send(t, open(s, "a", workqueuetest.QueueOptions{Visibility: 12 * time.Hour}), "1", "2")
		send(t, open(s, "b", workqueuetest.QueueOptions{Retention: time.Minute}), "1")
		time.Sleep(time.Minute - time.Nanosecond)
		if n := len(s.Messages("b")); n != 1 {
			t.Fatalf("%d messages before the retention is over", n)
		}
		time.Sleep(time.Nanosecond)
		if n := len(s.Messages("b")); n != 0 {
			t.Errorf("%d messages after it", n)
		}
		time.Sleep(4*day - time.Minute - time.Hour)
		rec := s.Receive("a", 1)
		send(t, open(s, "c", workqueuetest.QueueOptions{}), "1")
		time.Sleep(time.Hour)
		if n := len(s.Messages("a")); n != 0 || len(rec) != 1 {
			t.Errorf("%d messages after four days", n)
		}
		if got := change(t, s, "a", rec[0].ReceiptHandle, 10); got != badValue {
			t.Errorf("change of a message that expired: %q", got)
		}
		if n := len(s.Messages("c")); n != 1 {
			t.Errorf("%d messages of an hour", n)
		}
	})
}

// TestRetentionOfDeadLetters: the redrive policy of a standard queue keeps the
// time of the send, from which the retention of the dead-letter queue counts;
// that of a FIFO queue does not, and gives the message's id for deduplication.
func TestRetentionOfDeadLetters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, suffix := range []string{"", ".fifo"} {
			s := workqueuetest.New()
			s.Create("dead"+suffix, workqueuetest.QueueOptions{Retention: 4 * day})
			send(t, open(s, "a"+suffix, workqueuetest.QueueOptions{Retention: 14 * day, MaxReceives: 1, DeadLetter: "dead" + suffix}), "x")
			sent := time.Now()
			first := s.Receive("a"+suffix, 1)[0]
			time.Sleep(day)
			if got := s.Receive("a"+suffix, 1); len(got) != 0 {
				t.Fatalf("received a second time: %+v", got)
			}
			letter := s.Messages("dead" + suffix)[0]
			if letter.ID != first.MessageId || letter.Receives != 1 || letter.MovedFrom != "arn:aws:sqs:eu-central-1:123456789012:a"+suffix {
				t.Errorf("%+v", letter)
			}
			end := sent.Add(4 * day)
			if suffix != "" {
				end = end.Add(day)
				if letter.DeduplicationID != letter.ID || !letter.SentAt.Equal(sent.Add(day)) {
					t.Errorf("FIFO: %+v", letter)
				}
			}
			time.Sleep(time.Until(end) - time.Second)
			if n := len(s.Messages("dead" + suffix)); n != 1 {
				t.Errorf("%d dead letters a second before the end of %q", n, suffix)
			}
			time.Sleep(time.Second)
			if n := len(s.Messages("dead" + suffix)); n != 0 {
				t.Errorf("%d dead letters after the end of %q", n, suffix)
			}
		}
	})
}

// TestDeadOnArrival: a message older than the dead-letter queue keeps messages
// is lost by the move.
func TestDeadOnArrival(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := workqueuetest.New()
		s.Create("dead", workqueuetest.QueueOptions{Retention: time.Hour})
		send(t, open(s, "a", workqueuetest.QueueOptions{MaxReceives: 1, DeadLetter: "dead"}), "x")
		s.Receive("a", 1)
		time.Sleep(2 * time.Hour)
		s.Receive("a", 1)
		if n := len(s.Messages("a")) + len(s.Messages("dead")); n != 0 {
			t.Errorf("%d messages are left", n)
		}
	})
}

// TestFIFOGroups: of a group with a message in flight no other consumer
// receives one, and a send with a used id is dropped for five minutes.
func TestFIFOGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := workqueuetest.New()
		q := open(s, "a.fifo", workqueuetest.QueueOptions{})
		post := func(body, group, once string) string {
			in := legal("a.fifo", once)
			in.MessageBody, in.MessageGroupId = &body, &group
			out, err := s.SendMessage(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			return *out.MessageId
		}
		first := post("1", "g", "1")
		if again := post("1", "g", "1"); again != first || len(s.Messages("a.fifo")) != 1 {
			t.Errorf("a repeated send is %q, the first %q; %d messages", again, first, len(s.Messages("a.fifo")))
		}
		post("2", "g", "2")
		post("3", "h", "3")
		got := s.Receive("a.fifo", 1)
		if got[0].Body != "1" || got[0].Attributes["SequenceNumber"] == "" || got[0].Attributes["MessageDeduplicationId"] != "1" {
			t.Errorf("%+v", got)
		}
		if other := s.Receive("a.fifo", 10); len(other) != 1 || other[0].Body != "3" {
			t.Errorf("beside one in flight: %+v", other)
		}
		s.Delete("a.fifo", got[0].ReceiptHandle)
		if next := s.Receive("a.fifo", 10); len(next) != 1 || next[0].Body != "2" {
			t.Errorf("after it: %+v", next)
		}
		time.Sleep(5 * time.Minute)
		if again := post("1", "g", "1"); again == first || len(s.Messages("a.fifo")) != 3 || !q.FIFO() {
			t.Errorf("after five minutes: %q", again)
		}
	})
}
