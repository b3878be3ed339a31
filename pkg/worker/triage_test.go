package worker_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/spillway-go/spillway/pkg/batch"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/worker"
	"github.com/spillway-go/spillway/pkg/workqueue"
	"github.com/spillway-go/spillway/pkg/workqueue/workqueuetest"
)

// unwanted fails the test when a handler runs.
func (p *pipeline) unwanted() {
	p.handle(func(context.Context, in) (any, error) { p.t.Error("a handler ran"); return nil, nil })
}

// post puts a message of any kind on the tasks queue.
func (p *pipeline) post(body string, attrs map[string]sqstypes.MessageAttributeValue) {
	p.t.Helper()
	if err := workqueue.New(p.sqs, p.url(tasks), nil).Send(p.ctx(), workqueue.Outgoing{Body: body, Attributes: attrs}); err != nil {
		p.t.Fatal(err)
	}
}

func attributes(n int) map[string]sqstypes.MessageAttributeValue {
	attrs := map[string]sqstypes.MessageAttributeValue{}
	for i := range n {
		attrs[fmt.Sprintf("own_%d", i)] = sqstypes.MessageAttributeValue{DataType: aws.String("String"), StringValue: aws.String("ünïque")}
	}
	return attrs
}

func TestForeignMessages(t *testing.T) {
	for name, body := range map[string]string{
		"not JSON":         "hello",
		"of somebody else": `{"detail-type":"Object Created"}`,
		"no input":         `{"v":1,"task_id":"x","run":1,"type":"t","tenant":"a","created_at":"2026-01-01T00:00:00Z","deadline":"2026-01-01T00:00:00Z"}`,
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(p *pipeline) {
				p.unwanted()
				p.post(body, attributes(2))
				p.batch(1)
				p.holds(map[string]int{dead: 1})
				letter := p.only(dead)
				if f := p.letter(); f.Code != workqueue.CodeForeign || !strings.HasPrefix(f.Message, "not a task message: ") || letter.Body != body || letter.Attribute("own_1") != "ünïque" {
					t.Errorf("%+v, body %q", f, letter.Body)
				}
				p.calls(map[string]int{"SendMessage": 1})
			})
		})
	}
}

// A task's message whose row is not there is as foreign as any.
func TestAbsentRow(t *testing.T) {
	bubble(t, func(p *pipeline) {
		p.unwanted()
		here, gone := tasktable.NewID(), tasktable.NewID()
		p.send(tasks, p.message(here))
		p.send(tasks, p.message(gone, func(m *message) { m.Deadline = time.Now().Add(-time.Second) }))
		p.batch(2)
		p.holds(map[string]int{dead: 2})
		for _, m := range p.sqs.Messages(dead) {
			if got := m.Attribute(workqueue.AttrErrorCode); got != workqueue.CodeForeign {
				t.Errorf("error code %q", got)
			}
			if got := m.Attribute(workqueue.AttrRun); got != "2" {
				t.Errorf("run %q, want one above the message's", got)
			}
		}
	})
}

// What a dead letter has no room for is archived before it is sent.
func TestArchive(t *testing.T) {
	tests := map[string]struct {
		attrs map[string]sqstypes.MessageAttributeValue
		items int
	}{
		"ten attributes of its own": {attributes(10), 1},
		"more than one item holds": {func() map[string]sqstypes.MessageAttributeValue {
			attrs := attributes(9)
			attrs["zz"] = sqstypes.MessageAttributeValue{DataType: aws.String("String"), StringValue: aws.String(strings.Repeat("ö", 300_000))}
			return attrs
		}(), 3},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(p *pipeline) {
				p.post("hello", tt.attrs)
				id := p.only(tasks).ID
				p.batch(1)
				p.holds(map[string]int{dead: 1})
				var archived strings.Builder
				for n := range tt.items {
					name := "archive#" + id
					if n > 0 {
						name = fmt.Sprintf("%s.%d", name, n)
					}
					data, ok := p.db.Item(name)["data"].(*types.AttributeValueMemberS)
					if !ok {
						t.Fatalf("%s is not in the archive", name)
					}
					archived.WriteString(data.Value)
				}
				if got := len(p.only(dead).Attributes); got != 10 {
					t.Errorf("the dead letter has %d attributes", got)
				}
				for name, v := range tt.attrs {
					if p.only(dead).Attribute(name) == "" && !strings.Contains(archived.String(), `"`+name+`":`) {
						t.Errorf("%s (%d bytes) is neither in the letter nor in the archive", name, len(*v.StringValue))
					}
				}
				p.calls(map[string]int{"SendMessage": 1, "PutItem": tt.items})
			})
		})
	}
}

func TestArchiveFails(t *testing.T) {
	bubble(t, func(p *pipeline) {
		p.post("hello", attributes(10))
		p.chaos.nth("PutItem", 1, before)
		p.batch(1)
		p.holds(map[string]int{tasks: 1})
		p.drain()
		p.holds(map[string]int{dead: 1})
	})
}

// SQS takes ten attributes; other services deliver in its name what has more.
func TestElevenAttributes(t *testing.T) {
	bubble(t, func(p *pipeline) {
		ran := 0
		p.handle(func(context.Context, in) (any, error) { ran++; return nil, nil })
		id := p.submit()
		rec := p.sqs.Receive(tasks, 1)
		foreign := rec[0]
		foreign.MessageId, foreign.Body, foreign.ReceiptHandle = "foreign", "hello", "gone"
		foreign.MessageAttributes = map[string]events.SQSMessageAttribute{}
		for i := range 11 {
			foreign.MessageAttributes[fmt.Sprintf("own_%d", i)] = events.SQSMessageAttribute{DataType: "String", StringValue: aws.String("x")}
		}
		for i := range 4 {
			rec[0].MessageAttributes[fmt.Sprintf("own_%d", i)] = events.SQSMessageAttribute{DataType: "String", StringValue: aws.String("x")}
		}
		time.Sleep(6 * time.Minute) // it cannot be moved to the backlog queue, and is worked on
		if back := p.resume(append(rec, foreign)); len(back) > 0 {
			t.Errorf("%v came back", back)
		}
		p.has(id, task.Succeeded, 1)
		p.holds(map[string]int{dead: 1})
		if p.db.Item("archive#foreign") == nil || ran != 1 {
			t.Errorf("ran %d times; archived %v", ran, p.db.Item("archive#foreign"))
		}
	})
}

func TestNewerVersion(t *testing.T) {
	bubble(t, func(p *pipeline) {
		p.unwanted()
		p.post(`{"v":2,"anything":true}`, nil)
		p.batch(1)
		if left := time.Until(p.only(tasks).VisibleAt); left < 15*time.Second || left > 20*time.Second {
			t.Errorf("it comes back in %v", left)
		}
		p.calls(map[string]int{"ChangeMessageVisibility": 1})
		p.opts.MaxReceiveCount, p.worker = 10, nil
		p.drain() // nobody deploys anything, and it ends in the dead-letter queue
		p.holds(map[string]int{dead: 1})
		if f, m := p.letter(), p.only(dead); f.Code != "hops_exhausted" || m.Body != `{"v":2,"anything":true}` {
			t.Errorf("%+v %q", f, m.Body)
		}
	})
}

func TestTwins(t *testing.T) {
	t.Run("of one run", func(t *testing.T) {
		bubble(t, func(p *pipeline) {
			ran := 0
			p.handle(func(context.Context, in) (any, error) { ran++; return nil, nil })
			id := p.submit()
			p.send(tasks, p.message(id))
			p.chaos.reset()
			p.batch(2)
			p.has(id, task.Succeeded, 1)
			p.holds(nil)
			p.calls(map[string]int{"UpdateItem": 2})
			if ran != 1 {
				t.Errorf("ran %d times", ran)
			}
		})
	})
	for name, order := range map[string][]int{"newer run first": {2, 1}, "newer run last": {1, 2}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(p *pipeline) {
				var runs []int
				p.handle(func(ctx context.Context, _ in) (any, error) {
					runs = append(runs, task.Current(ctx).Run)
					return nil, errFlaky
				})
				id := p.submit()
				p.sqs.Delete(tasks, p.sqs.Receive(tasks, 1)[0].ReceiptHandle)
				for _, run := range order {
					p.send(tasks, p.message(id, func(m *message) { m.Run = run }))
				}
				p.batch(2)
				if m := p.only(tasks); m.Attribute(workqueue.AttrRun) != "2" {
					t.Errorf("run %s came back", m.Attribute(workqueue.AttrRun))
				}
				if s := p.row(id); fmt.Sprint(runs) != "[2]" || s.Run != 2 || s.Attempts != 1 {
					t.Errorf("ran for %v, left %+v", runs, s)
				}
			})
		})
	}
	t.Run("the same message twice", func(t *testing.T) {
		bubble(t, func(p *pipeline) {
			p.handle(func(context.Context, in) (any, error) { return nil, errFlaky })
			id := p.submit()
			rec := p.sqs.Receive(tasks, 1)
			if back := p.resume(append(rec, rec[0])); len(back) != 1 {
				t.Errorf("%v came back", back)
			}
			p.has(id, task.Queued, 1)
			p.holds(map[string]int{tasks: 1})
		})
	})
}

func TestOverdue(t *testing.T) {
	t.Run("before it is received", func(t *testing.T) {
		bubble(t, func(p *pipeline) {
			p.unwanted()
			a, b := p.submit(until(time.Minute)), p.submit(until(time.Minute))
			time.Sleep(time.Minute)
			p.chaos.reset()
			p.batch(2)
			p.has(a, task.Expired, 0)
			p.has(b, task.Expired, 0)
			p.holds(nil)
			p.calls(map[string]int{"BatchExecuteStatement": 1})
		})
	})
	t.Run("while others are worked on", func(t *testing.T) {
		bubble(t, func(p *pipeline) {
			p.handle(func(_ context.Context, i in) (any, error) {
				if i.N != 1 {
					t.Error("begun after its deadline")
				}
				time.Sleep(10 * time.Second)
				return nil, nil
			})
			first, second := p.submit(), p.submit(number(2), until(5*time.Second))
			p.batch(2)
			p.has(first, task.Succeeded, 1)
			p.has(second, task.Expired, 0)
			p.holds(nil)
		})
	})
	t.Run("while somebody works on it", func(t *testing.T) {
		bubble(t, func(p *pipeline) {
			p.unwanted()
			id := p.submit(until(time.Minute))
			p.table.Claim(p.ctx(), tasktable.NewOwner(), time.Now().Add(2*time.Minute), []string{id})
			time.Sleep(time.Minute)
			p.batch(1)
			p.has(id, task.Running, 0)
			p.drain()
			p.has(id, task.Expired, 0)
			p.holds(nil)
		})
	})
	t.Run("says only the message", func(t *testing.T) {
		bubble(t, func(p *pipeline) {
			p.handle(func(context.Context, in) (any, error) { return nil, nil })
			id := p.submit(func(s *submitted) { s.msg.Deadline = time.Now().Add(-time.Second) })
			p.batch(1)
			p.has(id, task.Succeeded, 1)
		})
	})
	t.Run("says only the row, and its attempts are used up", func(t *testing.T) {
		bubble(t, func(p *pipeline) {
			p.opts.MaxAttempts = 1
			p.unwanted()
			id := p.submit(until(time.Minute), func(s *submitted) { s.msg.Deadline = time.Now().Add(time.Hour) })
			p.table.Settle(p.ctx(), []tasktable.Settlement{tasktable.Retry(p.claimNow(id), task.Failure{Code: "flaky"}, time.Now())})
			time.Sleep(time.Minute)
			p.batch(1)
			p.has(id, task.Expired, 1)
			p.holds(nil) // nobody can replay it
		})
	})
	t.Run("and the table does not answer", func(t *testing.T) {
		bubble(t, func(p *pipeline) {
			p.unwanted()
			id := p.submit(until(time.Minute))
			time.Sleep(time.Minute)
			p.chaos.nth("UpdateItem", 1, after)
			p.batch(1)
			p.holds(map[string]int{tasks: 1})
			p.drain()
			p.has(id, task.Expired, 0)
			p.holds(nil)
		})
	})
}

func TestAged(t *testing.T) {
	bubble(t, func(p *pipeline) {
		p.handle(func(context.Context, in) (any, error) { return nil, nil })
		worn := p.submit(func(s *submitted) { s.msg.Hops = workqueue.MaxHops })
		id := p.submit()
		time.Sleep(5*time.Minute + time.Second)
		replayed := p.submit(func(s *submitted) { s.msg.CreatedAt, s.msg.ReplayedAt = time.Now().Add(-time.Hour), time.Now() })
		p.batch(3)
		p.has(worn, task.Succeeded, 1)
		p.has(replayed, task.Succeeded, 1)
		p.has(id, task.Queued, 0)
		p.holds(map[string]int{backlog: 1})
		if got := p.only(backlog).Attribute(workqueue.AttrHops); got != "1" {
			t.Errorf("%s hops", got)
		}
		p.drain()
		p.has(id, task.Succeeded, 1)
	})
}

// The message that could not be moved comes back, and one that was moved
// although the answer was lost is there twice.
func TestAgedCannotBeMoved(t *testing.T) {
	for name, f := range map[string]fault{"not sent": before, "answer lost": after} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(p *pipeline) {
				p.handle(func(context.Context, in) (any, error) { return nil, nil })
				id := p.submit()
				time.Sleep(6 * time.Minute)
				p.chaos.nth("SendMessage", 1, f)
				p.batch(1)
				p.holds(map[string]int{tasks: 1, backlog: int(f) - 1})
				p.drain()
				p.has(id, task.Succeeded, 1)
				p.holds(nil)
			})
		})
	}
}

func TestNoMessageID(t *testing.T) {
	bubble(t, func(p *pipeline) {
		p.handle(func(context.Context, in) (any, error) { return nil, errFlaky })
		p.submit()
		rec := p.sqs.Receive(tasks, 1)
		rec[0].MessageId = ""
		_, err := p.handler(p.ctx(), workqueuetest.Event(rec))
		if err == nil || !strings.Contains(err.Error(), batch.ErrNoID.Error()) {
			t.Errorf("error %v", err)
		}
	})
}

func TestEmptyBatch(t *testing.T) {
	bubble(t, func(p *pipeline) {
		resp, err := p.handler(p.ctx(), []byte(`{"Records":[]}`))
		if err != nil || len(p.back(resp)) > 0 {
			t.Errorf("%s, %v", resp, err)
		}
	})
}

// A dead letter says where it comes from.
func TestLetterNamesItsOrigin(t *testing.T) {
	bubble(t, func(p *pipeline) {
		p.post("hello", nil)
		records := p.sqs.Receive(tasks, 1)
		ctx := lambdacontext.NewContext(p.ctx(), &lambdacontext.LambdaContext{AwsRequestID: "request"})
		w := worker.New(p.mux, p.table, p.queues, p.dead, nil) // the defaults will do
		if _, err := w.Invoke(ctx, workqueuetest.Event(records)); err != nil {
			t.Fatal(err)
		}
		if f := p.letter(); f.RequestID != "request" || f.Queue != tasks || f.MessageID != records[0].MessageId || f.Attempts != 1 {
			t.Errorf("%+v", f)
		}
	})
}

// The text of an error reaches attributes of the dead letter, where SQS takes
// neither control characters nor U+FFFE nor broken UTF-8.
func TestIllegalCharactersInAnError(t *testing.T) {
	bubble(t, func(p *pipeline) {
		p.opts.MaxAttempts = 1
		p.handle(func(context.Context, in) (any, error) {
			return nil, task.Code("c\x00de", errors.New("a\x00b\uFFFEc\xffd\x1b[31m"))
		})
		id := p.submit()
		p.drain()
		p.has(id, task.DeadLettered, 1)
		p.holds(map[string]int{dead: 1})
		if f := p.letter(); f.Code == "" || !strings.HasPrefix(f.Message, "a") || strings.ContainsAny(f.Code+f.Message, "\x00\uFFFE\x1b") {
			t.Errorf("%+v", f)
		}
		if r := p.row(id); strings.ContainsAny(r.Code, "\x00") {
			t.Errorf("the row's code is %q", r.Code)
		}
	})
}

// What the ledger has taken on is its own: a settlement that is under way while
// the rest of the batch is still being sorted decides alone about its message.
func TestSettlingBesideTriage(t *testing.T) {
	bubble(t, func(p *pipeline) {
		p.unwanted()
		p.opts.SettleWithin = time.Nanosecond
		overdue := p.submit(func(s *submitted) { s.draft.Deadline = time.Now().Add(time.Second) })
		held := p.submit()
		p.table.Claim(p.ctx(), tasktable.NewOwner(), time.Now().Add(time.Hour), []string{held})
		time.Sleep(2 * time.Second)
		p.batch(2)
		p.has(overdue, task.Expired, 0)
		p.holds(map[string]int{tasks: 1})
	})
}
