package worker_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable/tasktabletest"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

// submitAll submits n tasks with the numbers 1 to n.
func (p *pipeline) submitAll(n int, change ...func(*submitted)) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = p.submit(append([]func(*submitted){number(i + 1)}, change...)...)
	}
	return ids
}

func TestThreeOfTenFail(t *testing.T) {
	bubble(t, func(p *pipeline) {
		p.handle(func(ctx context.Context, i in) (any, error) {
			if i.N%3 == 0 && task.Current(ctx).Attempt == 1 {
				return nil, errFlaky
			}
			return i.N, nil
		})
		ids := p.submitAll(10)
		p.chaos.reset()
		p.batch(10)
		p.holds(map[string]int{tasks: 3})
		p.calls(map[string]int{"BatchExecuteStatement": 2, "ChangeMessageVisibilityBatch": 1})
		p.drain()
		for i, id := range ids {
			attempts := 1
			if (i+1)%3 == 0 {
				attempts = 2
			}
			p.has(id, task.Succeeded, attempts)
		}
	})
}

// What the pipeline costs, in calls.
func TestCalls(t *testing.T) {
	ok := func(context.Context, in) (any, error) { return nil, nil }
	t.Run("full batch", func(t *testing.T) {
		bubble(t, func(p *pipeline) {
			p.handle(ok)
			p.submitAll(10)
			p.chaos.reset()
			p.batch(10)
			p.calls(map[string]int{"BatchExecuteStatement": 2})
		})
	})
	t.Run("lone message", func(t *testing.T) {
		bubble(t, func(p *pipeline) {
			p.handle(ok)
			p.submit()
			p.chaos.reset()
			p.batch(1)
			p.calls(map[string]int{"UpdateItem": 2})
		})
	})
	t.Run("duplicate in a batch", func(t *testing.T) {
		bubble(t, func(p *pipeline) {
			p.handle(ok)
			finished := p.submit()
			p.drain()
			p.submitAll(9)
			p.send(tasks, p.message(finished))
			p.chaos.reset()
			before := p.row(finished)
			p.batch(10)
			p.holds(nil)
			p.calls(map[string]int{"BatchExecuteStatement": 2})
			if p.row(finished) != before {
				t.Errorf("the duplicate left %+v", p.row(finished))
			}
		})
	})
	t.Run("endpoint without items", func(t *testing.T) {
		bubble(t, func(p *pipeline) {
			p.handle(ok)
			ids := p.submitAll(3)
			p.db.Inject(func(tasktabletest.Call) tasktabletest.Fault { return tasktabletest.Fault{NoItems: true} })
			p.batch(3)
			p.holds(nil)
			for _, id := range ids {
				p.has(id, task.Succeeded, 1)
			}
		})
	})
}

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

func TestConcurrency(t *testing.T) {
	bubble(t, func(p *pipeline) {
		var running, most atomic.Int32
		p.handle(func(context.Context, in) (any, error) {
			if n := running.Add(1); n > most.Load() {
				most.Store(n)
			}
			time.Sleep(time.Second)
			running.Add(-1)
			return nil, nil
		}, task.Concurrency(4))
		task.Handle(p.mux, "single", func(context.Context, in) (any, error) {
			if running.Load() > 0 {
				t.Error("it runs beside others")
			}
			return nil, nil
		})
		ids := append(p.submitAll(8), p.submit(ofType("single")))
		p.batch(9)
		for _, id := range ids {
			p.has(id, task.Succeeded, 1)
		}
		if most.Load() != 4 {
			t.Errorf("%d ran at once, want 4", most.Load())
		}
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

// Statements and entries fail one by one, and each message follows its own.
func TestPartialFailures(t *testing.T) {
	t.Run("of the claim", func(t *testing.T) {
		bubble(t, func(p *pipeline) {
			p.handle(func(context.Context, in) (any, error) { return nil, nil })
			ids := p.submitAll(3)
			p.db.Inject(func(c tasktabletest.Call) tasktabletest.Fault {
				return tasktabletest.Fault{Statements: map[string]types.BatchStatementErrorCodeEnum{ids[1]: types.BatchStatementErrorCodeEnumValidationError}}
			})
			p.batch(3)
			p.has(ids[0], task.Succeeded, 1)
			p.has(ids[1], task.Queued, 0)
			p.has(ids[2], task.Succeeded, 1)
			p.holds(map[string]int{tasks: 1})
			if left := time.Until(p.only(tasks).VisibleAt); left > 10*time.Second || left < 9*time.Second {
				t.Errorf("it comes back in %v", left)
			}
			p.db.Inject(nil)
			p.drain()
			p.has(ids[1], task.Succeeded, 1)
		})
	})
	t.Run("of the settlement", func(t *testing.T) {
		bubble(t, func(p *pipeline) {
			ran := 0
			p.handle(func(context.Context, in) (any, error) { ran++; return nil, nil })
			ids := p.submitAll(3)
			p.db.Inject(func(c tasktabletest.Call) tasktabletest.Fault {
				if c.Operation != "BatchExecuteStatement" || c.N == 1 {
					return tasktabletest.Fault{}
				}
				return tasktabletest.Fault{Statements: map[string]types.BatchStatementErrorCodeEnum{ids[1]: types.BatchStatementErrorCodeEnumValidationError}}
			})
			p.batch(3)
			p.has(ids[0], task.Succeeded, 1)
			p.has(ids[1], task.Running, 0)
			p.has(ids[2], task.Succeeded, 1)
			if at := p.only(tasks).VisibleAt.UnixMilli(); at < p.row(ids[1]).ClaimableAt {
				t.Error("the message is back before the lease ends")
			}
			p.db.Inject(nil)
			p.drain()
			p.has(ids[1], task.Succeeded, 1)
			if ran != 4 {
				t.Errorf("%d handlers ran", ran)
			}
		})
	})
	t.Run("throttled, and tried again", func(t *testing.T) {
		bubble(t, func(p *pipeline) {
			p.handle(func(context.Context, in) (any, error) { return nil, nil })
			ids := p.submitAll(4)
			p.db.Inject(func(c tasktabletest.Call) tasktabletest.Fault {
				if c.N > 1 {
					return tasktabletest.Fault{}
				}
				return tasktabletest.Fault{Statements: map[string]types.BatchStatementErrorCodeEnum{
					ids[1]: types.BatchStatementErrorCodeEnumThrottlingError, ids[2]: types.BatchStatementErrorCodeEnumThrottlingError,
				}}
			})
			p.batch(4)
			p.holds(nil)
		})
	})
	t.Run("of the visibility", func(t *testing.T) {
		bubble(t, func(p *pipeline) {
			p.handle(func(ctx context.Context, _ in) (any, error) {
				if task.Current(ctx).Attempt == 1 {
					return nil, errFlaky
				}
				return nil, nil
			})
			ids := p.submitAll(3)
			p.chaos.nth("ChangeMessageVisibilityBatch", 1, before)
			p.batch(3)
			p.holds(map[string]int{tasks: 3})
			if !strings.Contains(p.log.String(), "visibility not changed") {
				t.Error("the log does not tell")
			}
			p.drain() // they come back when the queue's time-out ends
			for _, id := range ids {
				p.has(id, task.Succeeded, 2)
			}
		})
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

// A large input is read from the table; the message says where it is.
func TestInputElsewhere(t *testing.T) {
	large := func(s *submitted) {
		s.draft.Input = []byte(`{"n":1` + strings.Repeat(" ", 200_000) + `}`)
		s.msg.Input, s.msg.InputRef = nil, s.draft.ID+"#input"
	}
	t.Run("read", func(t *testing.T) {
		bubble(t, func(p *pipeline) {
			p.handle(func(_ context.Context, i in) (any, error) { return i.N, nil })
			id := p.submit(large)
			p.drain()
			p.has(id, task.Succeeded, 1)
		})
	})
	t.Run("table does not answer", func(t *testing.T) {
		bubble(t, func(p *pipeline) {
			p.handle(func(_ context.Context, i in) (any, error) { return i.N, nil })
			id := p.submit(large)
			p.chaos.nth("GetItem", 1, before)
			p.batch(1)
			p.has(id, task.Queued, 0) // not begun, no attempt
			if left := time.Until(p.only(tasks).VisibleAt); left < 9*time.Second {
				t.Errorf("it comes back in %v, and hammers a table that does not answer", left)
			}
			p.drain()
			p.has(id, task.Succeeded, 1)
		})
	})
	t.Run("gone", func(t *testing.T) {
		bubble(t, func(p *pipeline) {
			p.unwanted()
			id := p.submit(large)
			p.db.Delete(id + "#input")
			p.drain()
			p.has(id, task.Failed, 0)
			if got := p.row(id).Code; got != "input_lost" {
				t.Errorf("code %s", got)
			}
		})
	})
	t.Run("read for too long", func(t *testing.T) {
		bubble(t, func(p *pipeline) {
			p.unwanted()
			id := p.submit(large)
			p.db.Inject(func(c tasktabletest.Call) tasktabletest.Fault {
				if c.Operation == "GetItem" {
					time.Sleep(3 * time.Minute) // longer than the handler's time, whatever its context says
					return tasktabletest.Fault{Err: errors.New("late")}
				}
				return tasktabletest.Fault{}
			})
			p.batch(1)
			p.has(id, task.Queued, 0)
			p.db.Inject(nil)
			time.Sleep(5 * time.Minute)
			p.has(id, task.Queued, 0)
		})
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
