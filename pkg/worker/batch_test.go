package worker_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable/tasktabletest"
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
