package worker_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable/tasktabletest"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

// The batch stops in time and hands back what it has not begun.
func TestOutOfTime(t *testing.T) {
	bubble(t, func(p *pipeline) {
		var begun []int
		p.handle(func(_ context.Context, i in) (any, error) {
			begun = append(begun, i.N)
			time.Sleep(30 * time.Second)
			return nil, nil
		})
		ids := p.submitAll(10)
		start := time.Now()
		p.batch(10)
		if took := time.Since(start); took > timeout-time.Second {
			t.Errorf("answered after %v", took)
		}
		if !slices.Equal(begun, []int{1, 2, 3}) {
			t.Errorf("begun: %v", begun)
		}
		for i, id := range ids {
			if i < 3 {
				p.has(id, task.Succeeded, 1)
			} else {
				p.has(id, task.Queued, 0)
				if s := p.row(id); s.ClaimableAt > time.Now().UnixMilli() || s.Settled != s.Fence {
					t.Errorf("handed back as %+v", s)
				}
			}
		}
		if left := p.sqs.Messages(tasks); len(left) != 7 || left[6].VisibleAt.After(time.Now()) {
			t.Errorf("%d messages are left, not all visible", len(left))
		}
		p.drain()
		for _, id := range ids {
			p.has(id, task.Succeeded, 1)
		}
		p.holds(nil)
	})
}

// A handler that once took all the time there is does not keep later batches
// from beginning anything.
func TestSlowOnceIsNotSlowForEver(t *testing.T) {
	bubble(t, func(p *pipeline) {
		p.handle(func(ctx context.Context, i in) (any, error) {
			if i.N == 0 {
				<-ctx.Done()
			}
			return nil, nil
		})
		p.submit(number(0))
		p.batch(1)
		id := p.vanished()
		p.batch(1)
		p.has(id, task.Succeeded, 1)
	})
}

// Nothing waits longer than two seconds for its settlement.
func TestSettleWithin(t *testing.T) {
	bubble(t, func(p *pipeline) {
		var first string
		p.handle(func(_ context.Context, i in) (any, error) {
			if i.N == 2 {
				time.Sleep(1990 * time.Millisecond)
				p.has(first, task.Running, 0)
				time.Sleep(20 * time.Millisecond)
				p.has(first, task.Succeeded, 1)
				time.Sleep(20 * time.Second)
			}
			return nil, nil
		})
		ids := p.submitAll(3)
		first = ids[0]
		p.chaos.reset()
		p.batch(3)
		for _, id := range ids {
			p.has(id, task.Succeeded, 1)
		}
		p.calls(map[string]int{"BatchExecuteStatement": 2, "UpdateItem": 1})
	})
}

// A deferral is written at once, also when others wait for the batch: whoever
// completes the task may be quick.
func TestDeferralDoesNotWait(t *testing.T) {
	bubble(t, func(p *pipeline) {
		var ids []string
		p.handle(func(_ context.Context, i in) (any, error) {
			switch i.N {
			case 1:
				return nil, nil
			case 2:
				time.Sleep(time.Second)
				p.has(ids[0], task.Running, 0)
				return nil, task.ErrDeferred
			default:
				time.Sleep(time.Second + time.Millisecond)
				p.has(ids[0], task.Succeeded, 1)
				p.has(ids[1], task.Running, 1)
				return nil, nil
			}
		})
		ids = p.submitAll(3)
		p.batch(3)
		p.has(ids[2], task.Succeeded, 1)
	})
}

// A failed message comes back although the batch goes on.
func TestFailedMessageComesBackInTime(t *testing.T) {
	bubble(t, func(p *pipeline) {
		p.handle(func(_ context.Context, i in) (any, error) {
			if i.N == 1 {
				return nil, task.RetryAfter(5*time.Second, errFlaky)
			}
			time.Sleep(10 * time.Second)
			if m := p.sqs.Messages(tasks)[0]; m.VisibleAt.After(time.Now()) {
				t.Errorf("the first message is visible in %v", time.Until(m.VisibleAt))
			}
			return nil, nil
		})
		p.submitAll(2)
		p.batch(2)
	})
}

// A table that hangs does not keep the answer from getting out.
func TestTableHangs(t *testing.T) {
	for name, nth := range map[string]int{"claim": 1, "settlement": 2} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(p *pipeline) {
				p.handle(func(context.Context, in) (any, error) { return nil, nil })
				id := p.submit()
				n := 0
				p.chaos.inject(func(ctx context.Context, op string) fault {
					if n++; n == nth {
						<-ctx.Done()
					}
					return none
				})
				start := time.Now()
				p.batch(1)
				if took := time.Since(start); took >= timeout-time.Second {
					t.Errorf("answered after %v", took)
				}
				p.holds(map[string]int{tasks: 1})
				p.chaos.inject(nil)
				p.drain()
				p.has(id, task.Succeeded, 1)
			})
		})
	}
}

// Handlers see the function's deadline less the margin, and their task's.
func TestHandlerDeadline(t *testing.T) {
	tests := map[string]struct{ margin, ttl, want time.Duration }{
		"default margin":     {0, time.Hour, timeout - 5*time.Second},
		"margin":             {20 * time.Second, time.Hour, timeout - 20*time.Second},
		"margin without end": {time.Hour, time.Hour, timeout / 2},
		"task's":             {0, time.Minute, time.Minute},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(p *pipeline) {
				p.opts.Margin = tt.margin
				var left time.Duration
				p.handle(func(ctx context.Context, _ in) (any, error) {
					end, _ := ctx.Deadline()
					left = time.Until(end)
					return nil, nil
				})
				p.submit(until(tt.ttl))
				p.batch(1)
				if (left - tt.want).Abs() > 2*time.Millisecond {
					t.Errorf("the handler has %v, want %v", left, tt.want)
				}
			})
		})
	}
}

// A timer that fires while the batch ends must neither settle twice nor leave
// anything out.
func TestSettleTimerMeetsTheEnd(t *testing.T) {
	bubble(t, func(p *pipeline) {
		p.handle(func(context.Context, in) (any, error) { time.Sleep(time.Second); return nil, nil })
		ids := p.submitAll(10)
		p.db.Inject(func(c tasktabletest.Call) tasktabletest.Fault {
			time.Sleep(1500 * time.Millisecond) // settling takes longer than a handler
			return tasktabletest.Fault{}
		})
		p.batch(10)
		for _, id := range ids {
			p.has(id, task.Succeeded, 1)
		}
		p.holds(nil)
	})
}

// A type whose turn does not come is handed back as a group.
func TestNoTimeForASecondType(t *testing.T) {
	bubble(t, func(p *pipeline) {
		p.handle(func(ctx context.Context, _ in) (any, error) { time.Sleep(70 * time.Second); return nil, nil })
		task.Handle(p.mux, "wide", func(context.Context, in) (any, error) { return nil, nil }, task.Concurrency(2))
		first, second := p.submit(), p.submit(ofType("wide"))
		p.batch(2)
		p.has(first, task.Succeeded, 1)
		p.has(second, task.Queued, 0)
		p.drain()
		p.has(second, task.Succeeded, 1)
	})
}

// A process that is told to stop settles what it has done and hands back the rest.
func TestContextCanceled(t *testing.T) {
	bubble(t, func(p *pipeline) {
		ctx, stop := context.WithCancel(p.ctx())
		p.handle(func(ctx context.Context, i in) (any, error) {
			if i.N == 2 {
				stop()
			}
			if i.N == 3 {
				t.Error("begun after the end")
			}
			return nil, nil
		})
		ids := p.submitAll(3)
		if n, err := p.sqs.Deliver(ctx, tasks, 10, p.handler); n != 3 || err != nil {
			t.Fatal(n, err)
		}
		p.has(ids[0], task.Succeeded, 1)
		p.has(ids[1], task.Succeeded, 1)
		p.has(ids[2], task.Queued, 0)
		p.holds(map[string]int{tasks: 1})
	})
}

// Without a deadline nothing begins on a lease that is over.
func TestLeaseShorterThanTheBatch(t *testing.T) {
	bubble(t, func(p *pipeline) {
		p.opts.Lease = time.Minute
		var mu sync.Mutex
		begun := map[int]int{}
		p.handle(func(_ context.Context, i in) (any, error) {
			mu.Lock()
			begun[i.N]++
			mu.Unlock()
			time.Sleep(40 * time.Second)
			return nil, nil
		})
		ids := p.submitAll(4)
		p.resume(p.sqs.Receive(tasks, 10))
		for i, id := range ids {
			if i < 2 {
				p.has(id, task.Succeeded, 1)
			} else {
				p.has(id, task.Queued, 0)
			}
		}
		p.drain()
		for i, id := range ids {
			p.has(id, task.Succeeded, 1)
			if begun[i+1] != 1 {
				t.Errorf("task %d began %d times", i+1, begun[i+1])
			}
		}
	})
}

// Messages that somebody else holds do not wait for this batch's handlers.
func TestHeldMessagesComeBackInTime(t *testing.T) {
	bubble(t, func(p *pipeline) {
		var held string
		p.handle(func(_ context.Context, i in) (any, error) {
			if i.N == 2 {
				return nil, nil
			}
			time.Sleep(10 * time.Second)
			if m := p.sqs.Messages(tasks)[0]; m.VisibleAt.After(time.Now()) || m.Attribute(workqueue.AttrTaskID) != held {
				t.Errorf("the first message is visible in %v: %+v", time.Until(m.VisibleAt), m)
			}
			return nil, nil
		})
		p.submit()
		held = p.submit(number(2))
		p.table.Claim(p.ctx(), "somebody", time.Now().Add(5*time.Second), []string{held})
		p.batch(2)
		p.has(held, task.Running, 0)
		p.drain()
		p.has(held, task.Succeeded, 1)
	})
}
