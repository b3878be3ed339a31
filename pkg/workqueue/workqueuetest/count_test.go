package workqueuetest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/pkg/workqueue"
	"github.com/spillway-go/spillway/pkg/workqueue/workqueuetest"
)

// TestCountLag: numbers of messages are as old as the options say.
func TestCountLag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := workqueuetest.New(workqueuetest.Options{CountLag: 5 * time.Second})
		s.Create("a", workqueuetest.QueueOptions{Visibility: time.Minute})
		inbox := workqueue.NewInbox(s, *url("a"), nil)
		has := func(when string, visible, inFlight, delayed int) {
			t.Helper()
			got, err := inbox.Counts(t.Context())
			want := workqueue.Counts{ARN: "arn:aws:sqs:eu-central-1:123456789012:a", Visible: visible, InFlight: inFlight, Delayed: delayed}
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("%s: %v (-want +got):\n%s", when, err, diff)
			}
		}
		send(t, inbox.Queue, "1", "2")
		if err := inbox.Send(t.Context(), workqueue.Outgoing{Body: "3", Delay: 10 * time.Second}); err != nil {
			t.Fatal(err)
		}
		has("at once", 0, 0, 0)
		time.Sleep(4 * time.Second)
		s.Receive("a", 1)
		has("after 4 s", 0, 0, 0)
		time.Sleep(time.Second)
		has("after 5 s", 2, 0, 1)
		time.Sleep(4 * time.Second)
		has("after 9 s", 1, 1, 1)
		time.Sleep(5 * time.Second)
		has("after 14 s", 1, 1, 1) // the delay is over for 4 s
		time.Sleep(time.Second)
		has("after 15 s", 2, 1, 0)
		time.Sleep(time.Hour)
		has("after an hour", 3, 0, 0)
		ordered := workqueue.NewInbox(s, s.Create("a.fifo", workqueuetest.QueueOptions{}), nil)
		send(t, ordered.Queue, "1")
		if got, err := ordered.Counts(t.Context()); got.Visible != 1 || err != nil {
			t.Errorf("FIFO: %+v, %v", got, err)
		}
	})
}

// TestCountJitter: each number of an answer is of a moment of its own, and all
// are right when nothing has changed for as long as the options say.
func TestCountJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := workqueuetest.New(workqueuetest.Options{CountJitter: time.Minute})
		s.Create("a", workqueuetest.QueueOptions{Visibility: time.Hour})
		inbox := workqueue.NewInbox(s, *url("a"), nil)
		send(t, inbox.Queue, "1")
		time.Sleep(2 * time.Minute)
		for len(s.Receive("a", 1)) == 0 {
			time.Sleep(time.Second) // its place in the order
		}
		time.Sleep(30 * time.Second)
		sums := map[int]bool{} // of the one message: not counted, once, twice
		for range 100 {
			got, err := inbox.Counts(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			sums[got.Visible+got.InFlight] = true
		}
		if diff := cmp.Diff(map[int]bool{0: true, 1: true, 2: true}, sums); diff != "" {
			t.Errorf("numbers of one message (-want +got):\n%s", diff)
		}
		time.Sleep(31 * time.Second)
		for range 100 {
			if got, err := inbox.Counts(t.Context()); err != nil || got.Visible != 0 || got.InFlight != 1 {
				t.Errorf("after a minute without change: %+v, %v", got, err)
			}
		}
	})
}

// TestQueueAttributes: a queue tells its attributes by name.
func TestQueueAttributes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := workqueuetest.New()
		s.Create("dead.fifo", workqueuetest.QueueOptions{Redrive: workqueuetest.ByQueue, Sources: []string{"a.fifo"}, Retention: 14 * day})
		s.Create("a.fifo", workqueuetest.QueueOptions{Visibility: time.Minute, MaxReceives: 3, DeadLetter: "dead.fifo", MaxBytes: 2048})
		get := func(queue string, names ...types.QueueAttributeName) (map[string]string, error) {
			out, err := s.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: url(queue), AttributeNames: names})
			if err != nil {
				return nil, err
			}
			return out.Attributes, nil
		}
		want := map[string]string{
			"QueueArn": "arn:aws:sqs:eu-central-1:123456789012:a.fifo", "ApproximateNumberOfMessages": "0", "ApproximateNumberOfMessagesNotVisible": "0",
			"ApproximateNumberOfMessagesDelayed": "0", "CreatedTimestamp": "946684800", "LastModifiedTimestamp": "946684800", "VisibilityTimeout": "60",
			"MessageRetentionPeriod": "345600", "MaximumMessageSize": "2048", "DelaySeconds": "0", "ReceiveMessageWaitTimeSeconds": "0", "FifoQueue": "true",
			"ContentBasedDeduplication": "false", "RedrivePolicy": `{"deadLetterTargetArn":"arn:aws:sqs:eu-central-1:123456789012:dead.fifo","maxReceiveCount":3}`,
		}
		if got, err := get("a.fifo", "All"); err != nil || cmp.Diff(want, got) != "" {
			t.Errorf("%v (-want +got):\n%s", err, cmp.Diff(want, got))
		}
		want = map[string]string{"RedriveAllowPolicy": `{"redrivePermission":"byQueue","sourceQueueArns":["arn:aws:sqs:eu-central-1:123456789012:a.fifo"]}`}
		if got, err := get("dead.fifo", "RedriveAllowPolicy", "RedrivePolicy"); err != nil || cmp.Diff(want, got) != "" {
			t.Errorf("%v (-want +got):\n%s", err, cmp.Diff(want, got))
		}
		if got, err := get("a.fifo"); err != nil || len(got) != 0 {
			t.Errorf("nothing was asked for: %v, %v", got, err)
		}
		if _, err := get("a.fifo", "Age"); code(err) != "InvalidAttributeName" {
			t.Errorf("an unknown name: %v", err)
		}
		if _, err := get("none", "All"); code(err) != prefix+"NonExistentQueue" {
			t.Errorf("no queue: %v", err)
		}
	})
}
