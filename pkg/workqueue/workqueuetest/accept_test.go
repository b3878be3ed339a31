package workqueuetest_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"pgregory.net/rapid"

	"github.com/spillway-go/spillway/pkg/workqueue"
	"github.com/spillway-go/spillway/pkg/workqueue/workqueuetest"
)

// TestQueueSendsWhatSQSTakes: of any messages, a workqueue.Queue sends those
// that SQS takes, and refuses those that SQS refuses before it sends anything.
func TestQueueSendsWhatSQSTakes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := workqueuetest.New()
		name := rapid.SampledFrom([]string{"a", "a.fifo"}).Draw(rt, "queue")
		q := open(s, name, workqueuetest.QueueOptions{})
		value := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "1", "-0.5e7", "\x00", "\uFFFE", "\xFF", "0x1", "1_000", "Inf", " 1"}))
		kind := rapid.SampledFrom([]string{"", "String", "Number", "Binary", "String.x", "Number.int", "Binary.é", "Text", "String.\x01"})
		name1 := rapid.OneOf(rapid.String(), rapid.StringMatching(`[A-Za-z0-9._-]{0,12}`), rapid.SampledFrom([]string{"AWS.x", "a..b", ".a", "a.", "Amazon.y", strings.Repeat("n", 257)}))
		attribute := rapid.Custom(func(rt *rapid.T) types.MessageAttributeValue {
			v := typed(kind.Draw(rt, "type"), value.Draw(rt, "value"))
			if strings.HasPrefix(*v.DataType, "Binary") {
				v.BinaryValue, v.StringValue = []byte(*v.StringValue), nil
			}
			return v
		})
		out := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) workqueue.Outgoing {
			return workqueue.Outgoing{
				Body:       value.Draw(rt, "body") + strings.Repeat("x", rapid.SampledFrom([]int{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 << 19, 1<<20 - 3, 1 << 20}).Draw(rt, "padding")),
				Attributes: rapid.MapOfN(name1, attribute, 0, 11).Draw(rt, "attributes"),
				Group:      value.Draw(rt, "group"), Trace: value.Draw(rt, "trace"),
			}
		}), 1, 12).Draw(rt, "messages")
		sent := 0
		for i, err := range q.SendBatch(t.Context(), out) {
			_, isInvalid := errors.AsType[*workqueue.InvalidError](err)
			_, isLarge := errors.AsType[*workqueue.TooLargeError](err)
			switch {
			case err == nil:
				sent++
			case !isInvalid && !isLarge:
				rt.Fatalf("message %d: SQS refused it: %v", i, err)
			default:
				in := legal(name, "another")
				in.MessageBody, in.MessageAttributes = &out[i].Body, out[i].Attributes
				if _, taken := s.SendMessage(t.Context(), in); taken == nil {
					rt.Fatalf("message %d: SQS takes it: %v", i, err)
				}
			}
		}
		if n := len(s.Messages(name)); n != sent {
			rt.Fatalf("%d messages, %d sent", n, sent)
		}
	})
}

// TestTenThousand: a queue with 10,000 messages is worked through in a time
// that does not grow with their square.
func TestTenThousand(t *testing.T) {
	for _, name := range []string{"a", "a.fifo"} {
		synctest.Test(t, func(t *testing.T) {
			s := workqueuetest.New(workqueuetest.AsOnAWS(1))
			q := open(s, name, workqueuetest.QueueOptions{})
			seen := map[string]bool{}
			for range 1000 {
				send(t, q, "0", "1", "2", "3", "4", "5", "6", "7", "8", "9")
			}
			for range 3000 {
				records := s.Receive(name, 10)
				for _, rec := range records {
					seen[rec.MessageId] = true
				}
				s.Acknowledge(name, records, []byte(`{"batchItemFailures":[]}`))
			}
			if len(seen) != 10_000 {
				t.Errorf("%s: %d messages", name, len(seen))
			}
		})
	}
}
