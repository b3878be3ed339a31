package workqueuetest_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/pkg/workqueue/workqueuetest"
)

// TestReceiveRefused is about the parameters of a receive.
func TestReceiveRefused(t *testing.T) {
	s := workqueuetest.New()
	s.Create("a", workqueuetest.QueueOptions{})
	for name, tt := range map[string]struct {
		in   sqs.ReceiveMessageInput
		code string
	}{
		"ten":              {sqs.ReceiveMessageInput{MaxNumberOfMessages: 10, VisibilityTimeout: 43_200}, ""},
		"eleven":           {sqs.ReceiveMessageInput{MaxNumberOfMessages: 11}, badValue},
		"a wait of 21 s":   {sqs.ReceiveMessageInput{WaitTimeSeconds: 21}, badValue},
		"a negative wait":  {sqs.ReceiveMessageInput{WaitTimeSeconds: -1}, badValue},
		"hidden for 43201": {sqs.ReceiveMessageInput{VisibilityTimeout: 43_201}, badValue},
	} {
		in := tt.in
		in.QueueUrl = url("a")
		if _, err := s.ReceiveMessage(t.Context(), &in); code(err) != tt.code {
			t.Errorf("%s: %v, want %q", name, err, tt.code)
		}
	}
}

// TestAttributesAskedFor: a receive brings what it asked for and nothing else.
func TestAttributesAskedFor(t *testing.T) {
	s := workqueuetest.New()
	q := open(s, "a", workqueuetest.QueueOptions{})
	out := text("x")
	out.Group, out.Trace = "g", "Root=1"
	out.Attributes = map[string]types.MessageAttributeValue{"task": str("1"), "task.type": str("2"), "Task": str("3")}
	names := func(in sqs.ReceiveMessageInput) (got []string) {
		in.QueueUrl = url("a")
		s.Create("a", workqueuetest.QueueOptions{})
		if err := q.Send(t.Context(), out); err != nil {
			t.Fatal(err)
		}
		answer, err := s.ReceiveMessage(t.Context(), &in)
		if err != nil || len(answer.Messages) != 1 || *answer.Messages[0].MD5OfBody != "9dd4e461268c8034f5c8564e155c67a6" {
			t.Fatalf("%+v, %v", answer, err)
		}
		return slices.Sorted(func(yield func(string) bool) {
			for name := range maps.Keys(answer.Messages[0].MessageAttributes) {
				yield(name)
			}
			for name := range maps.Keys(answer.Messages[0].Attributes) {
				yield("system " + name)
			}
		})
	}
	for name, tt := range map[string]struct {
		in   sqs.ReceiveMessageInput
		want []string
	}{
		"none":   {sqs.ReceiveMessageInput{}, nil},
		"a name": {sqs.ReceiveMessageInput{MessageAttributeNames: []string{"task", "other"}}, []string{"task"}},
		"prefix": {sqs.ReceiveMessageInput{MessageAttributeNames: []string{"task.*"}}, []string{"task", "task.type"}},
		"all":    {sqs.ReceiveMessageInput{MessageAttributeNames: []string{"All"}}, []string{"Task", "task", "task.type"}},
		"system": {sqs.ReceiveMessageInput{MessageSystemAttributeNames: []types.MessageSystemAttributeName{"MessageGroupId", "AWSTraceHeader"}}, []string{"system AWSTraceHeader", "system MessageGroupId"}},
		"all system": {sqs.ReceiveMessageInput{MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"}}, []string{
			"system AWSTraceHeader", "system ApproximateFirstReceiveTimestamp", "system ApproximateReceiveCount", "system MessageGroupId", "system SenderId", "system SentTimestamp",
		}},
	} {
		if diff := cmp.Diff(tt.want, names(tt.in)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
