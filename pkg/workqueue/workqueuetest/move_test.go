package workqueuetest_test

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/pkg/redrive"
	"github.com/spillway-go/spillway/pkg/workqueue/workqueuetest"
)

var _ redrive.MoveAPI = (*workqueuetest.SQS)(nil)

func arn(queue string) *string { return aws.String("arn:aws:sqs:eu-central-1:123456789012:" + queue) }

// letters returns an SQS whose queue "dead" has n messages that the redrive
// policy of "a" moved.
func letters(t *testing.T, n int) *workqueuetest.SQS {
	t.Helper()
	s := workqueuetest.New()
	s.Create("dead", workqueuetest.QueueOptions{Retention: 14 * day})
	s.Create("other", workqueuetest.QueueOptions{})
	s.Create("other.fifo", workqueuetest.QueueOptions{})
	q := open(s, "a", workqueuetest.QueueOptions{MaxReceives: 1, DeadLetter: "dead"})
	for i := range n {
		send(t, q, strconv.Itoa(i))
	}
	for range 2 {
		s.Receive("a", n)
		time.Sleep(time.Minute)
	}
	if got := len(s.Messages("dead")); got != n {
		t.Fatalf("%d dead letters, want %d", got, n)
	}
	return s
}

func start(t *testing.T, s *workqueuetest.SQS, source, to *string, rate *int32) (handle, refusal string) {
	t.Helper()
	out, err := s.StartMessageMoveTask(t.Context(), &sqs.StartMessageMoveTaskInput{SourceArn: source, DestinationArn: to, MaxNumberOfMessagesPerSecond: rate})
	if err != nil {
		return "", code(err)
	}
	return *out.TaskHandle, ""
}

func tasks(t *testing.T, s *workqueuetest.SQS, limit *int32) []types.ListMessageMoveTasksResultEntry {
	t.Helper()
	out, err := s.ListMessageMoveTasks(t.Context(), &sqs.ListMessageMoveTasksInput{SourceArn: arn("dead"), MaxResults: limit})
	if err != nil {
		t.Fatal(err)
	}
	return out.Results
}

// TestMoveRefused is about move tasks that SQS does not start.
func TestMoveRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := letters(t, 1)
		for name, tt := range map[string]struct {
			source, to *string
			rate       *int32
			code       string
		}{
			"no source":              {arn("none"), nil, nil, "ResourceNotFoundException"},
			"no destination":         {arn("dead"), arn("none"), nil, "ResourceNotFoundException"},
			"no dead-letter queue":   {arn("a"), arn("other"), nil, badValue},
			"to itself":              {arn("dead"), arn("dead"), nil, badValue},
			"to a queue of FIFO":     {arn("dead"), arn("other.fifo"), nil, badValue},
			"501 messages a second":  {arn("dead"), nil, aws.Int32(501), badValue},
			"no messages per second": {arn("dead"), nil, aws.Int32(0), badValue},
		} {
			if _, got := start(t, s, tt.source, tt.to, tt.rate); got != tt.code {
				t.Errorf("%s: %q, want %q", name, got, tt.code)
			}
		}
		handle, refusal := start(t, s, arn("dead"), nil, aws.Int32(500))
		if refusal != "" {
			t.Fatal(refusal)
		}
		if _, got := start(t, s, arn("dead"), nil, nil); got != badValue {
			t.Errorf("a second task at a time: %q", got)
		}
		time.Sleep(time.Second)
		if _, got := start(t, s, arn("dead"), nil, nil); got != "" {
			t.Errorf("a second task after the first: %q", got)
		}
		for name, tt := range map[string]struct{ handle, code string }{
			"done":      {handle, prefix + "UnsupportedOperation"},
			"malformed": {"?", badValue},
			"unknown":   {"eyJ0YXNrSWQiOiJ4In0=", "ResourceNotFoundException"},
		} {
			if _, err := s.CancelMessageMoveTask(t.Context(), &sqs.CancelMessageMoveTaskInput{TaskHandle: &tt.handle}); code(err) != tt.code {
				t.Errorf("cancel, %s: %v, want %q", name, err, tt.code)
			}
		}
		if _, err := s.ListMessageMoveTasks(t.Context(), &sqs.ListMessageMoveTasksInput{SourceArn: arn("none")}); code(err) != "ResourceNotFoundException" {
			t.Errorf("list: %v", err)
		}
		if _, err := s.ListMessageMoveTasks(t.Context(), &sqs.ListMessageMoveTasksInput{SourceArn: arn("dead"), MaxResults: aws.Int32(11)}); code(err) != badValue {
			t.Errorf("list of eleven: %v", err)
		}
	})
}

// TestMove: a task moves its messages at its rate, as new ones.
func TestMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := letters(t, 25)
		id := s.Messages("dead")[0].ID
		handle, refusal := start(t, s, arn("dead"), nil, aws.Int32(10))
		if refusal != "" {
			t.Fatal(refusal)
		}
		began := time.Now().UnixMilli()
		want := types.ListMessageMoveTasksResultEntry{
			SourceArn: arn("dead"), ApproximateNumberOfMessagesToMove: aws.Int64(25), MaxNumberOfMessagesPerSecond: aws.Int32(10),
			StartedTimestamp: began, Status: aws.String("RUNNING"), TaskHandle: &handle,
		}
		for i, moved := range []int{0, 10, 20, 25} {
			want.ApproximateNumberOfMessagesMoved = int64(moved)
			if moved == 25 {
				want.Status, want.TaskHandle = aws.String("COMPLETED"), nil
			}
			if n, left := len(s.Messages("a")), len(s.Messages("dead")); n != moved || left != 25-moved {
				t.Errorf("after %d s: %d moved, %d left, want %d", i, n, left, moved)
			}
			got := tasks(t, s, nil)
			if diff := cmp.Diff([]types.ListMessageMoveTasksResultEntry{want}, got, cmp.AllowUnexported(want), ignoreSerde); diff != "" {
				t.Errorf("after %d s (-want +got):\n%s", i, diff)
			}
			time.Sleep(time.Second)
		}
		for _, m := range s.Messages("a") {
			if m.ID == id || m.Receives != 0 || m.MovedFrom != "" || m.SentAt.UnixMilli() < began {
				t.Errorf("%+v", m)
			}
		}
	})
}

var ignoreSerde = cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".noSmithyDocumentSerde" }, cmp.Ignore())

// TestMoveCancelled: what a task moved before the cancel stays moved, and a long
// poll sees what a task moves.
func TestMoveCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := letters(t, 5)
		handle, _ := start(t, s, arn("dead"), arn("other"), aws.Int32(1))
		out, err := s.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: url("other"), WaitTimeSeconds: 20})
		if err != nil || len(out.Messages) != 1 {
			t.Errorf("%+v, %v", out, err)
		}
		time.Sleep(time.Second)
		cancelled, err := s.CancelMessageMoveTask(t.Context(), &sqs.CancelMessageMoveTaskInput{TaskHandle: &handle})
		if err != nil || cancelled.ApproximateNumberOfMessagesMoved != 2 {
			t.Errorf("%+v, %v", cancelled, err)
		}
		time.Sleep(time.Minute)
		start(t, s, arn("dead"), arn("a"), nil)
		time.Sleep(time.Second)
		got := tasks(t, s, aws.Int32(10))
		if len(got) != 2 || *got[0].Status != "COMPLETED" || *got[0].DestinationArn != *arn("a") || *got[1].Status != "CANCELLED" {
			t.Errorf("%+v", got)
		}
		if a, b := len(s.Messages("other")), len(s.Messages("a")); a != 2 || b != 3 {
			t.Errorf("%d and %d moved", a, b)
		}
	})
}

// TestMoveOfForeignLetters: a message that was sent to the dead-letter queue has
// no source to go back to.
func TestMoveOfForeignLetters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := letters(t, 0)
		if _, err := s.SendMessage(t.Context(), legal("dead", "")); err != nil {
			t.Fatal(err)
		}
		start(t, s, arn("dead"), nil, nil)
		time.Sleep(time.Second)
		got := tasks(t, s, nil)
		if len(got) != 1 || *got[0].Status != "FAILED" || *got[0].FailureReason != "CouldNotDetermineMessageSource" || len(s.Messages("dead")) != 1 {
			t.Errorf("%+v", got)
		}
		start(t, s, arn("dead"), arn("a"), nil)
		time.Sleep(time.Second)
		if got := tasks(t, s, nil); *got[0].Status != "COMPLETED" || len(s.Messages("a")) != 1 {
			t.Errorf("%+v", got)
		}
	})
}
