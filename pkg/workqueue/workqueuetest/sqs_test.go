package workqueuetest_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/spillway-go/spillway/pkg/workqueue"
	"github.com/spillway-go/spillway/pkg/workqueue/workqueuetest"
)

func open(s *workqueuetest.SQS, name string, o workqueuetest.QueueOptions) *workqueue.Queue {
	return workqueue.New(s, s.Create(name, o), nil)
}

func text(body string) workqueue.Outgoing { return workqueue.Outgoing{Body: body} }

func send(t *testing.T, q *workqueue.Queue, bodies ...string) {
	t.Helper()
	var out []workqueue.Outgoing
	for _, b := range bodies {
		out = append(out, text(b))
	}
	for i, err := range q.SendBatch(t.Context(), out) {
		if err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
	}
}

func TestVisibility(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := workqueuetest.New(workqueuetest.Options{InOrder: true})
		q := open(s, "a", workqueuetest.QueueOptions{Visibility: time.Minute})
		send(t, q, "one", "two")
		if err := q.Send(t.Context(), workqueue.Outgoing{Body: "later", Delay: time.Hour / 4}); err != nil {
			t.Fatal(err)
		}
		first := s.Receive("a", 10)
		if len(first) != 2 || first[0].Body != "one" || first[0].Attributes["ApproximateReceiveCount"] != "1" || len(s.Receive("a", 10)) != 0 {
			t.Fatalf("received %+v", first)
		}
		if err := q.ChangeVisibility(t.Context(), []workqueue.Visibility{{Receipt: first[0].ReceiptHandle}})[0]; err != nil {
			t.Fatal(err)
		}
		second := s.Receive("a", 10)
		if len(second) != 1 || second[0].MessageId != first[0].MessageId || second[0].Attributes["ApproximateReceiveCount"] != "2" {
			t.Fatalf("received %+v", second)
		}
		// The older receipt has no power any more.
		s.Delete("a", first[0].ReceiptHandle)
		errs := q.ChangeVisibility(t.Context(), []workqueue.Visibility{{Receipt: first[0].ReceiptHandle}, {Receipt: second[0].ReceiptHandle}})
		if !errors.Is(errs[0], workqueue.ErrReceiptGone) || errs[1] != nil || len(s.Messages("a")) != 3 {
			t.Errorf("%v, %d messages", errs, len(s.Messages("a")))
		}
		s.Delete("a", second[0].ReceiptHandle)
		time.Sleep(time.Minute + time.Second)
		if err := q.ChangeVisibility(t.Context(), []workqueue.Visibility{{Receipt: first[1].ReceiptHandle}})[0]; !errors.Is(err, workqueue.ErrReceiptGone) {
			t.Errorf("visibility of a visible message: %v", err)
		}
		if again := s.Receive("a", 1); len(again) != 1 || again[0].Body != "two" {
			t.Errorf("received %+v", again)
		}
		time.Sleep(time.Hour)
		if last := s.Receive("a", 10); len(last) != 2 {
			t.Errorf("received %d messages", len(last))
		}
	})
}

func TestRedrivePolicy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := workqueuetest.New()
		s.Create("dead", workqueuetest.QueueOptions{})
		q := open(s, "a", workqueuetest.QueueOptions{MaxReceives: 2, DeadLetter: "dead"})
		out := text("x")
		out.Group, out.Trace = "g", "Root=1-5759e988-bd862e3fe1be46a994272793"
		out.Attributes = map[string]types.MessageAttributeValue{"k": {DataType: aws.String("String"), StringValue: aws.String("v")}}
		if err := q.Send(t.Context(), out); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if rec := s.Receive("a", 1); len(rec) != 1 || rec[0].Attributes["MessageGroupId"] != "g" || *rec[0].MessageAttributes["k"].StringValue != "v" {
				t.Fatalf("received %+v", rec)
			}
			time.Sleep(time.Minute)
		}
		if rec := s.Receive("a", 1); len(rec) != 0 {
			t.Errorf("received a third time: %+v", rec)
		}
		if m := s.Messages("dead"); len(m) != 1 || m[0].Attribute("k") != "v" || m[0].Trace == "" {
			t.Errorf("%+v", m)
		}
	})
}

func TestLimits(t *testing.T) {
	s := workqueuetest.New()
	q := open(s, "a", workqueuetest.QueueOptions{})
	attrs := map[string]types.MessageAttributeValue{}
	for _, c := range "abcdefghijk" {
		attrs[string(c)] = types.MessageAttributeValue{DataType: aws.String("String"), StringValue: aws.String("v")}
	}
	for name, out := range map[string]workqueue.Outgoing{"attributes": {Body: "x", Attributes: attrs}, "size": text(strings.Repeat("x", workqueue.MaxBytes+1))} {
		if err := q.Send(t.Context(), out); err == nil {
			t.Errorf("too many %s were accepted", name)
		}
	}
	if err := workqueue.New(s, "https://sqs.eu-central-1.amazonaws.com/123456789012/none", nil).Send(t.Context(), text("x")); err == nil {
		t.Error("sent to a queue that does not exist")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := q.Send(ctx, text("x")); !errors.Is(err, context.Canceled) {
		t.Errorf("after a cancel: %v", err)
	}
}

func TestFaults(t *testing.T) {
	broken := errors.New("broken")
	for after, want := range map[bool]int{false: 0, true: 2} {
		s := workqueuetest.New()
		q := open(s, "a", workqueuetest.QueueOptions{})
		s.Inject(func(c workqueuetest.Call) workqueuetest.Fault {
			if c.Queue != "a" || c.Operation != "SendMessageBatch" || len(c.Entries) != 2 {
				t.Errorf("%+v", c)
			}
			return workqueuetest.Fault{Err: broken, AfterEffect: after}
		})
		for _, err := range q.SendBatch(t.Context(), []workqueue.Outgoing{text("x"), text("y")}) {
			if !errors.Is(err, broken) {
				t.Error(err)
			}
		}
		if n := len(s.Messages("a")); n != want || s.Calls()["SendMessageBatch"] != 1 {
			t.Errorf("%d messages after %v", n, s.Calls())
		}
		s.ResetCalls()
		s.Inject(func(workqueuetest.Call) workqueuetest.Fault {
			return workqueuetest.Fault{Entries: map[int]types.BatchResultErrorEntry{1: {Code: aws.String("No"), SenderFault: true}}}
		})
		errs := q.SendBatch(t.Context(), []workqueue.Outgoing{text("x"), text("y")})
		if errs[0] != nil || errs[1] == nil || len(s.Messages("a")) != want+1 {
			t.Errorf("%v, %d messages", errs, len(s.Messages("a")))
		}
	}
}
