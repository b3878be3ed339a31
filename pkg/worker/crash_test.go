package worker_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/workqueue"
	"github.com/spillway-go/spillway/pkg/workqueue/workqueuetest"
)

// crash delivers one batch to a worker that is killed once it has made so many
// calls: nothing that it does later has an effect, its answer is lost.
func (p *pipeline) crash(calls int) {
	p.t.Helper()
	time.Sleep(time.Millisecond)
	l := &life{left: calls}
	records := p.sqs.Receive(tasks, p.limit)
	resp, err := p.handler(withLife(p.ctx(), l), workqueuetest.Event(records))
	if err != nil {
		p.t.Fatal(err)
	}
	if !l.over {
		p.sqs.Acknowledge(tasks, records, resp)
	}
}

// vanished is a task whose worker has vanished: leased, never settled, and its
// lease is over.
func (p *pipeline) vanished(change ...func(*submitted)) string {
	p.t.Helper()
	id := p.submit(change...)
	p.abandon(id)
	return id
}

func (p *pipeline) abandon(ids ...string) {
	p.t.Helper()
	for _, c := range p.table.Claim(p.ctx(), tasktable.NewOwner(), time.Now().Add(time.Millisecond), ids) {
		if c.Outcome != tasktable.Claimed {
			p.t.Fatalf("%+v", c)
		}
	}
	time.Sleep(2 * time.Millisecond)
}

// A crashing task charges neither its neighbours nor the attempts that it did
// not have; it ends as worker_lost.
func TestCrashingTask(t *testing.T) {
	bubble(t, func(p *pipeline) {
		l := &life{left: -1}
		begun := map[int]int{}
		p.handle(func(ctx context.Context, i in) (any, error) {
			if !alive(ctx) {
				return nil, ctx.Err()
			}
			begun[i.N]++
			if i.N == 3 {
				l.end()
			}
			return nil, nil
		})
		ids := p.submitAll(5, until(24*time.Hour))
		p.opts.BacklogAfter = 24 * time.Hour
		for range 100 {
			l = &life{left: -1}
			time.Sleep(time.Millisecond)
			records := p.sqs.Receive(tasks, 10)
			resp, err := p.handler(withLife(p.ctx(), l), workqueuetest.Event(records))
			if err != nil {
				t.Fatal(err)
			}
			if !l.over {
				p.sqs.Acknowledge(tasks, records, resp)
			}
			if !p.wait() {
				break
			}
		}
		for i, id := range ids {
			if i == 2 {
				continue
			}
			p.has(id, task.Succeeded, 1)
		}
		p.has(ids[2], task.DeadLettered, 5)
		p.holds(map[string]int{dead: 1})
		if f := p.letter(); f.Code != task.CodeWorkerLost || f.Attempts != 5 {
			t.Errorf("%+v", f)
		}
		// The first crash is not known to be this task's.
		if begun[3] != 6 {
			t.Errorf("it began %d times, want 6: once beside others, five times alone", begun[3])
		}
	})
}

// The dead letter of a task whose worker vanished does not repeat an older error.
func TestWorkerLostAfterAFailure(t *testing.T) {
	bubble(t, func(p *pipeline) {
		p.opts.MaxAttempts = 2
		p.unwanted()
		id := p.submit()
		p.table.Settle(p.ctx(), []tasktable.Settlement{tasktable.Retry(p.claimNow(id), task.Failure{Code: "flaky"}, time.Now())})
		time.Sleep(time.Millisecond)
		p.abandon(id)
		r := p.claimNow(id)
		if err := p.table.Charge(p.ctx(), r); err != nil {
			t.Fatal(err)
		}
		p.drain()
		p.has(id, task.DeadLettered, 2)
		if f := p.letter(); f.Code != task.CodeWorkerLost || f.Attempts != 2 {
			t.Errorf("%+v", f)
		}
		if got := p.row(id).Code; got != task.CodeWorkerLost {
			t.Errorf("the row says %s", got)
		}
	})
}

// A task whose worker vanished is taken over when its lease ends, after the
// rest of the batch is settled, and with its attempt on the row beforehand.
func TestTakeover(t *testing.T) {
	bubble(t, func(p *pipeline) {
		var order []int
		var other string
		var lost [2]string
		p.handle(func(_ context.Context, i in) (any, error) {
			order = append(order, i.N)
			switch i.N {
			case 10, 11:
				p.has(other, task.Succeeded, 1)
				p.has(lost[i.N-10], task.Running, 1)
				if i.N == 11 {
					p.has(lost[0], task.Succeeded, 1)
				} else {
					p.has(lost[1], task.Running, 0)
				}
			}
			return nil, nil
		})
		lost[0], lost[1] = p.vanished(number(10)), p.vanished(number(11))
		other = p.submit(number(1))
		p.chaos.reset()
		p.batch(3)
		if !slices.Equal(order, []int{1, 10, 11}) {
			t.Errorf("order %v", order)
		}
		p.has(lost[0], task.Succeeded, 1)
		p.has(lost[1], task.Succeeded, 1)
		// One claim for all, a charge and a settlement for each lone one.
		p.calls(map[string]int{"BatchExecuteStatement": 1, "UpdateItem": 5})
	})
}

// While the lease holds, the message is handed back until it ends.
func TestHeldLease(t *testing.T) {
	bubble(t, func(p *pipeline) {
		p.handle(func(context.Context, in) (any, error) { return nil, nil })
		id := p.submit()
		p.table.Claim(p.ctx(), tasktable.NewOwner(), time.Now().Add(time.Minute), []string{id})
		p.batch(1)
		p.has(id, task.Running, 0)
		if left := time.Until(p.only(tasks).VisibleAt); left < 59*time.Second || left > 61*time.Second {
			t.Errorf("it comes back in %v", left)
		}
		p.drain()
		p.has(id, task.Succeeded, 1)
	})
}

// A dead letter is sent before its row says so. A crash in between makes
// another one, and none is lost.
func TestCrashAfterTheDeadLetter(t *testing.T) {
	bubble(t, func(p *pipeline) {
		p.opts.MaxAttempts = 1
		p.handle(func(context.Context, in) (any, error) { return nil, errFlaky })
		id := p.submit()
		p.crash(2) // claim, dead letter
		p.has(id, task.Running, 0)
		p.holds(map[string]int{tasks: 1, dead: 1})
		p.drain()
		p.has(id, task.DeadLettered, 1)
		p.holds(map[string]int{dead: 2})
		for _, m := range p.sqs.Messages(dead) {
			if m.Attribute(workqueue.AttrRun) != "2" {
				t.Errorf("a dead letter of run %s", m.Attribute(workqueue.AttrRun))
			}
		}
	})
}

func TestDeadLetterQueueDown(t *testing.T) {
	tests := map[string]struct {
		op string
		f  fault
	}{
		"not sent": {"SendMessage", before}, "answer lost": {"SendMessage", after},
		"row not settled": {"UpdateItem", before}, "row settled, answer lost": {"UpdateItem", after},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(p *pipeline) {
				p.opts.MaxAttempts = 1
				begun := 0
				p.handle(func(context.Context, in) (any, error) { begun++; return nil, errFlaky })
				id := p.submit()
				n := 1
				if tt.op == "UpdateItem" {
					n = 2
				}
				p.chaos.nth(tt.op, n, tt.f)
				p.batch(1)
				p.holds(map[string]int{tasks: 1, dead: len(p.sqs.Messages(dead))})
				if tt.op == "SendMessage" {
					// It stays queued with its attempts used up and is not run again.
					p.has(id, task.Queued, 1)
				}
				p.drain()
				p.has(id, task.DeadLettered, 1)
				if f, err := workqueue.ParseFailure(p.sqs.Messages(dead)[0].Attribute(workqueue.AttrFailure)); err != nil || f.Code != "flaky" || f.Attempts != 1 {
					t.Errorf("%+v, %v", f, err)
				}
				if tt.op == "SendMessage" && begun != 1 {
					t.Errorf("it began %d times", begun)
				}
			})
		})
	}
}

// The answer to a claim is lost: the lease has to end, and no attempt is lost.
func TestClaimAnswerLost(t *testing.T) {
	bubble(t, func(p *pipeline) {
		p.handle(func(context.Context, in) (any, error) { return nil, nil })
		ids := p.submitAll(3)
		p.chaos.nth("BatchExecuteStatement", 1, after)
		p.batch(3)
		p.holds(map[string]int{tasks: 3})
		p.drain()
		for _, id := range ids {
			p.has(id, task.Succeeded, 1)
		}
	})
}

// The charge of a lone task fails, before or after its effect: the task has
// not begun, and keeps its attempts.
func TestChargeFails(t *testing.T) {
	for name, f := range map[string]fault{"before": before, "after": after} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(p *pipeline) {
				p.handle(func(context.Context, in) (any, error) { return nil, nil })
				id := p.vanished()
				p.chaos.nth("UpdateItem", 2, f)
				p.batch(1)
				p.has(id, task.Queued, 0)
				if s := p.row(id); s.Fence <= s.Settled+0 {
					t.Errorf("the row has forgotten that a worker vanished: %+v", s)
				}
				p.drain()
				p.has(id, task.Succeeded, 1)
			})
		})
	}
}

// Somebody took the task over before its charge.
func TestChargeLost(t *testing.T) {
	bubble(t, func(p *pipeline) {
		begun := 0
		p.handle(func(context.Context, in) (any, error) { begun++; return nil, nil })
		id := p.vanished()
		n := 0
		p.chaos.inject(func(ctx context.Context, op string) fault {
			if n++; n == 2 {
				p.overtake(ctx, id)
			}
			return none
		})
		p.batch(1)
		if left := time.Until(p.only(tasks).VisibleAt); begun != 0 || left > 10*time.Second {
			t.Errorf("it ran %d times without a lease, and comes back in %v", begun, left)
		}
		p.chaos.inject(nil)
		p.drain()
		p.has(id, task.Succeeded, 1)
	})
}

// Tasks that have to run alone and do not fit are handed back at once, still
// marked, and uncounted.
func TestNoTimeForLoneTasks(t *testing.T) {
	bubble(t, func(p *pipeline) {
		p.handle(func(_ context.Context, i in) (any, error) {
			if i.N == 1 {
				time.Sleep(70 * time.Second)
			}
			return nil, nil
		})
		lone := []string{p.vanished(number(2)), p.vanished(number(3))}
		first := p.submit()
		p.batch(3)
		p.has(first, task.Succeeded, 1)
		for _, id := range lone {
			p.has(id, task.Queued, 0)
			if s := p.row(id); s.Settled != 0 || s.Fence != 2 {
				t.Errorf("%+v", s)
			}
		}
		if m := p.sqs.Messages(tasks); len(m) != 2 || m[1].VisibleAt.After(time.Now()) {
			t.Errorf("%+v", m)
		}
		p.drain()
		for _, id := range lone {
			p.has(id, task.Succeeded, 1)
		}
	})
}

// The deadline of a lone task passes between claim and begin: what was
// charged is taken back, since it did not begin.
func TestLoneTaskExpires(t *testing.T) {
	bubble(t, func(p *pipeline) {
		p.handle(func(_ context.Context, i in) (any, error) {
			if i.N == 2 {
				t.Error("begun after its deadline")
			}
			time.Sleep(20 * time.Second)
			return nil, nil
		})
		lone := p.vanished(number(2), until(10*time.Second))
		p.submit()
		p.batch(2)
		p.has(lone, task.Expired, 0)
		p.holds(nil)
	})
}

// A task whose worker vanished, whose message cannot go round any more and
// whose dead letter cannot be sent is handed back with its mark.
func TestMarkOutlivesTheLastHop(t *testing.T) {
	bubble(t, func(p *pipeline) {
		p.opts.MaxReceiveCount = 2 // worn at the first receive
		p.handle(func(context.Context, in) (any, error) { return nil, nil })
		id := p.vanished(func(s *submitted) { s.msg.Hops = workqueue.MaxHops })
		updates := 0
		p.chaos.inject(func(_ context.Context, op string) fault {
			if op == "UpdateItem" {
				updates++
			}
			if op == "SendMessage" || op == "UpdateItem" && updates == 2 { // the charge
				return before
			}
			return none
		})
		p.batch(1)
		if s := p.row(id); s.Status != task.Queued || s.Attempts != 0 || s.Fence != 2 || s.Settled != 0 {
			t.Errorf("%+v", s)
		}
		p.chaos.inject(nil)
		p.drain()
		p.has(id, task.Succeeded, 1)
	})
}
