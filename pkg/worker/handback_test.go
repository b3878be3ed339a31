package worker_test

import (
	"context"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/workqueue"
	"github.com/spillway-go/spillway/pkg/workqueue/workqueuetest"
)

// wear receives what is on the tasks queue until it was received n times.
func (p *pipeline) wear(n int) []events.SQSMessage {
	p.t.Helper()
	for {
		records := p.sqs.Receive(tasks, 10)
		if len(records) == 0 {
			p.t.Fatal("nothing to receive")
		}
		if records[0].Attributes["ApproximateReceiveCount"] == strconv.Itoa(n) {
			return records
		}
		q := workqueue.New(p.sqs, p.url(tasks), nil)
		for _, rec := range records {
			if err := q.ChangeVisibility(p.ctx(), []workqueue.Visibility{{Receipt: rec.ReceiptHandle}})[0]; err != nil {
				p.t.Fatal(err)
			}
		}
	}
}

// deliver hands records to the worker and acknowledges what it does not report.
func (p *pipeline) deliver(records []events.SQSMessage) {
	p.t.Helper()
	resp, err := p.handler(p.ctx(), workqueuetest.Event(records))
	if err != nil {
		p.t.Fatal(err)
	}
	p.sqs.Acknowledge(tasks, records, resp)
}

// A message that was received half as often as the queue allows is replaced
// by a fresh copy: being handed back never makes a dead letter.
func TestWornMessageIsReplaced(t *testing.T) {
	bubble(t, func(p *pipeline) {
		p.handle(func(context.Context, in) (any, error) { return nil, nil })
		id := p.submit()
		p.table.Claim(p.ctx(), tasktable.NewOwner(), time.Now().Add(time.Minute), []string{id})
		p.chaos.reset()
		records := p.wear(50)
		resp, err := p.handler(p.ctx(), workqueuetest.Event(records))
		if err != nil || len(p.back(resp)) > 0 {
			t.Fatal(resp, err)
		}
		p.calls(map[string]int{"UpdateItem": 1, "SendMessage": 1})
		// Sent before it is acknowledged: for a moment there are two.
		p.holds(map[string]int{tasks: 2})
		p.sqs.Acknowledge(tasks, records, resp)
		m := p.only(tasks)
		if m.Attribute(workqueue.AttrHops) != "1" || m.Receives != 0 || m.ID == records[0].MessageId {
			t.Errorf("%+v", m)
		}
		if at := m.VisibleAt.UnixMilli(); at < p.row(id).ClaimableAt {
			t.Error("the copy is received before the lease ends")
		}
		p.drain()
		p.has(id, task.Succeeded, 1)
	})
}

func TestWornMessageCannotBeSent(t *testing.T) {
	bubble(t, func(p *pipeline) {
		p.handle(func(ctx context.Context, _ in) (any, error) {
			if task.Current(ctx).Attempt == 1 {
				return nil, task.RetryAfter(time.Minute, errFlaky)
			}
			return nil, nil
		})
		id := p.submit()
		p.chaos.nth("SendMessage", 1, before)
		p.deliver(p.wear(50))
		m := p.only(tasks)
		if left := time.Until(m.VisibleAt); m.Receives != 50 || left < 59*time.Second || left > time.Minute {
			t.Errorf("it comes back in %v: %+v", left, m)
		}
		p.drain()
		p.has(id, task.Succeeded, 2)
		p.holds(nil)
	})
}

// Without another hop the task is given up, with the reason, as any other:
// letter, row, acknowledgement.
func TestHopsExhausted(t *testing.T) {
	worn := func(s *submitted) { s.msg.Hops = workqueue.MaxHops }
	t.Run("a failure", func(t *testing.T) {
		bubble(t, func(p *pipeline) {
			p.handle(func(context.Context, in) (any, error) { return nil, errFlaky })
			id := p.submit(worn)
			p.deliver(p.wear(50))
			p.has(id, task.DeadLettered, 1)
			p.holds(map[string]int{dead: 1})
			if f := p.letter(); f.Code != "flaky" || f.Attempts != 1 {
				t.Errorf("%+v", f)
			}
		})
	})
	t.Run("the last chance is used", func(t *testing.T) {
		bubble(t, func(p *pipeline) {
			p.handle(func(context.Context, in) (any, error) { return nil, nil })
			id := p.submit(worn)
			p.deliver(p.wear(50))
			p.has(id, task.Succeeded, 1)
			p.holds(nil)
		})
	})
	t.Run("not begun", func(t *testing.T) {
		bubble(t, func(p *pipeline) {
			p.handle(func(context.Context, in) (any, error) { time.Sleep(70 * time.Second); return nil, nil })
			ids := []string{p.submit(worn), p.submit(worn)}
			p.chaos.reset()
			p.deliver(p.wear(50))
			p.has(ids[0], task.Succeeded, 1)
			p.has(ids[1], task.DeadLettered, 0)
			p.holds(map[string]int{dead: 1})
			if f := p.letter(); f.Code != "hops_exhausted" || f.Attempts != 0 {
				t.Errorf("%+v", f)
			}
			// Nothing is lost: a replay is worked on.
			p.replay()
			p.drain()
			p.has(ids[1], task.Succeeded, 1)
		})
	})
	t.Run("held by somebody", func(t *testing.T) {
		bubble(t, func(p *pipeline) {
			p.unwanted()
			id := p.submit(worn)
			p.table.Claim(p.ctx(), tasktable.NewOwner(), time.Now().Add(time.Hour), []string{id})
			p.deliver(p.wear(50))
			p.has(id, task.Running, 0)
			p.holds(map[string]int{tasks: 1}) // its task lives: it stays, for the other half of its receives
		})
	})
	t.Run("and the dead-letter queue is down", func(t *testing.T) {
		bubble(t, func(p *pipeline) {
			p.handle(func(context.Context, in) (any, error) { return nil, errFlaky })
			id := p.submit(worn)
			p.chaos.inject(func(_ context.Context, op string) fault {
				if op == "SendMessage" {
					return before
				}
				return none
			})
			p.deliver(p.wear(50))
			p.has(id, task.Queued, 1)
			p.holds(map[string]int{tasks: 1})
			p.chaos.inject(nil)
			p.drain()
			p.has(id, task.DeadLettered, 2)
			p.holds(map[string]int{dead: 1})
		})
	})
}

// A message without room to count hops cannot be copied; it is worked on until
// the last receive that is left to us.
func TestNoRoomForHops(t *testing.T) {
	bubble(t, func(p *pipeline) {
		p.handle(func(context.Context, in) (any, error) { return nil, errFlaky })
		id := p.submit()
		out, err := workqueue.Encode(p.message(id))
		if err != nil {
			t.Fatal(err)
		}
		p.sqs.Delete(tasks, p.sqs.Receive(tasks, 1)[0].ReceiptHandle)
		delete(out.Attributes, workqueue.AttrHops)
		for i := 0; len(out.Attributes) < 10; i++ {
			out.Attributes["own_"+strconv.Itoa(i)] = sqstypes.MessageAttributeValue{DataType: aws.String("String"), StringValue: aws.String("x")}
		}
		p.post(out.Body, out.Attributes)
		p.drain()
		p.has(id, task.DeadLettered, 5)
		if got := p.only(dead).Attribute(workqueue.AttrHops); got != "0" {
			t.Errorf("%s hops", got)
		}
	})
}

// An unanswering table does not use up a message's life, and neither hammers.
func TestOutage(t *testing.T) {
	bubble(t, func(p *pipeline) {
		p.handle(func(context.Context, in) (any, error) { return nil, nil })
		ids := p.submitAll(10, until(24*time.Hour))
		p.opts.BacklogAfter = 24 * time.Hour
		p.chaos.inject(func(_ context.Context, op string) fault {
			if slices.Contains([]string{"UpdateItem", "BatchExecuteStatement"}, op) {
				return before
			}
			return none
		})
		for start := time.Now(); time.Since(start) < time.Hour; {
			p.invoke(tasks)
			p.wait()
		}
		if calls := p.chaos.counts()["BatchExecuteStatement"]; calls < 200 || calls > 400 {
			t.Errorf("%d claims in an hour", calls)
		}
		p.holds(map[string]int{tasks: 10})
		p.chaos.inject(nil)
		p.drain()
		for _, id := range ids {
			p.has(id, task.Succeeded, 1)
		}
	})
}

// Entries of the queue's batches that fail concern their own message only.
func TestQueueEntriesFail(t *testing.T) {
	bubble(t, func(p *pipeline) {
		p.opts.MaxAttempts = 1
		p.handle(func(context.Context, in) (any, error) { return nil, errFlaky })
		ids := p.submitAll(3)
		p.sqs.Inject(func(c workqueuetest.Call) workqueuetest.Fault {
			if c.Queue != dead || c.Operation != "SendMessageBatch" {
				return workqueuetest.Fault{}
			}
			return workqueuetest.Fault{Entries: map[int]sqstypes.BatchResultErrorEntry{1: {Code: aws.String("Refused"), SenderFault: true}}}
		})
		p.batch(3)
		p.holds(map[string]int{tasks: 1, dead: 2})
		p.has(ids[0], task.DeadLettered, 1)
		p.has(ids[1], task.Queued, 1)
		p.has(ids[2], task.DeadLettered, 1)
		p.drain()
		p.has(ids[1], task.DeadLettered, 1)
	})
}

// The queue's name in the record decides which queue's rules hold.
func TestRecordOfAnotherQueue(t *testing.T) {
	bubble(t, func(p *pipeline) {
		p.handle(func(context.Context, in) (any, error) { return nil, nil })
		id := p.submit(func(s *submitted) { s.queue = backlog })
		time.Sleep(time.Hour - time.Minute)
		p.chaos.reset()
		p.drain()
		p.has(id, task.Succeeded, 1)
		p.calls(map[string]int{"UpdateItem": 2}) // it is not moved
	})
}

// Three failures on the tasks queue, and the task waits in the backlog queue.
func TestThreeFailuresMoveToTheBacklog(t *testing.T) {
	bubble(t, func(p *pipeline) {
		p.handle(func(ctx context.Context, _ in) (any, error) {
			if task.Current(ctx).Attempt < 5 {
				return nil, task.RetryAfter(20*time.Second, errFlaky)
			}
			return nil, nil
		})
		id := p.submit()
		for attempt := 1; attempt <= 3; attempt++ {
			p.holds(map[string]int{tasks: 1})
			p.wait()
			p.batch(1)
			p.has(id, task.Queued, attempt)
		}
		p.holds(map[string]int{backlog: 1})
		m := p.only(backlog)
		if m.Receives != 0 || m.Attribute(workqueue.AttrHops) != "1" {
			t.Errorf("%+v", m)
		}
		if at := m.VisibleAt.UnixMilli(); at < p.row(id).ClaimableAt || time.Until(m.VisibleAt) > 21*time.Second {
			t.Errorf("it is visible in %v", time.Until(m.VisibleAt))
		}
		p.wait()
		p.invoke(backlog)
		if m := p.only(backlog); m.Attribute(workqueue.AttrHops) != "1" {
			t.Errorf("it was moved from the backlog queue: %+v", m)
		}
		p.drain()
		p.has(id, task.Succeeded, 5)
		p.holds(nil)
	})
}

func TestBacklogQueueDown(t *testing.T) {
	bubble(t, func(p *pipeline) {
		p.opts.BacklogFailures = 1
		p.handle(func(ctx context.Context, _ in) (any, error) {
			if task.Current(ctx).Attempt < 2 {
				return nil, errFlaky
			}
			return nil, nil
		})
		id := p.submit()
		p.chaos.nth("SendMessage", 1, before)
		p.batch(1)
		p.holds(map[string]int{tasks: 1})
		p.drain()
		p.has(id, task.Succeeded, 2)
	})
}
