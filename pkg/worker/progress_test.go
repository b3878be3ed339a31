package worker_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/worker"
)

// One call renews the row, the lease and the message's visibility.
func TestProgressRenews(t *testing.T) {
	bubble(t, func(p *pipeline) {
		p.opts.Lease = time.Minute
		id := ""
		p.handle(func(ctx context.Context, _ in) (any, error) {
			for i := range 30 { // 15 minutes: longer than the lease and the visibility timeout
				time.Sleep(30 * time.Second)
				p.chaos.reset()
				if err := task.Progress(ctx, int64(i), 30, "on it"); err != nil {
					t.Error(err)
				}
				p.calls(map[string]int{"UpdateItem": 1, "ChangeMessageVisibility": 1})
				lease := time.Until(time.UnixMilli(p.row(id).ClaimableAt))
				hidden := time.Until(p.only(tasks).VisibleAt)
				if lease != time.Minute || hidden < lease || hidden > lease+2*time.Second {
					t.Errorf("leased for %v, hidden for %v", lease, hidden)
				}
			}
			return nil, nil
		})
		id = p.submit(until(24 * time.Hour))
		p.resume(p.sqs.Receive(tasks, 10))
		p.has(id, task.Succeeded, 1)
		p.holds(nil)
	})
}

// In Lambda the lease ends just after the function's time-out anyway, when the
// function has certainly ended; progress brings the message back just then.
func TestLeaseInLambda(t *testing.T) {
	bubble(t, func(p *pipeline) {
		id := ""
		p.handle(func(ctx context.Context, _ in) (any, error) {
			time.Sleep(time.Minute)
			if err := task.Checkpoint(ctx, 1); err != nil {
				t.Error(err)
			}
			if lease := time.Until(time.UnixMilli(p.row(id).ClaimableAt)); lease < timeout-time.Minute || lease > timeout-time.Minute+2*time.Second {
				t.Errorf("leased for %v", lease)
			}
			if hidden := time.Until(p.only(tasks).VisibleAt); hidden < timeout-time.Minute+time.Second || hidden > timeout-time.Minute+4*time.Second {
				t.Errorf("hidden for %v", hidden)
			}
			return nil, nil
		})
		id = p.submit()
		p.batch(1)
		p.has(id, task.Succeeded, 1)
	})
}

func TestCheckpointReachesTheNextAttempt(t *testing.T) {
	bubble(t, func(p *pipeline) {
		type page struct{ N int }
		var found []int
		p.handle(func(ctx context.Context, _ in) (any, error) {
			var from page
			if _, err := task.Restore(ctx, &from); err != nil {
				return nil, err
			}
			found = append(found, from.N)
			if err := task.Checkpoint(ctx, page{from.N + 1}); err != nil {
				return nil, err
			}
			if from.N < 2 {
				return nil, errFlaky
			}
			return from.N, nil
		})
		id := p.submit()
		p.drain()
		p.has(id, task.Succeeded, 3)
		if len(found) != 3 || found[0] != 0 || found[1] != 1 || found[2] != 2 {
			t.Errorf("the attempts found %v", found)
		}
	})
}

func TestProgressFails(t *testing.T) {
	t.Run("table", func(t *testing.T) {
		bubble(t, func(p *pipeline) {
			p.handle(func(ctx context.Context, _ in) (any, error) {
				p.chaos.nth("UpdateItem", 1, before)
				err := task.Progress(ctx, 1, 2, "")
				// The task's error goes to its caller, so the table's own words stay out of it.
				if f := task.FailureOf(err); errors.Is(err, errChaos) || f.Code != "lease_renewal_failed" || !f.Retryable {
					t.Errorf("the handler is told %v: %+v", err, f)
				}
				return nil, nil
			})
			id := p.submit()
			p.drain()
			p.has(id, task.Succeeded, 1)
		})
	})
	t.Run("queue", func(t *testing.T) {
		bubble(t, func(p *pipeline) {
			p.handle(func(ctx context.Context, _ in) (any, error) {
				p.chaos.nth("ChangeMessageVisibility", 1, before)
				return nil, task.Progress(ctx, 1, 2, "") // the row is what counts
			})
			id := p.submit()
			p.drain()
			p.has(id, task.Succeeded, 1)
		})
	})
}

// A handler that asks is told that another worker owns its task.
func TestLeaseLost(t *testing.T) {
	bubble(t, func(p *pipeline) {
		p.opts.Lease, p.opts.BacklogAfter = time.Minute, time.Hour
		attempt := 0
		p.handle(func(ctx context.Context, _ in) (any, error) {
			if attempt++; attempt > 1 {
				return "newer", nil
			}
			time.Sleep(visibility) // the process stands still
			second := worker.New(p.mux, p.table, p.queues, p.dead, &p.opts)
			if n, err := p.sqs.Deliver(context.WithoutCancel(ctx), tasks, 10, second.Invoke); n != 1 || err != nil {
				t.Error(n, err)
			}
			err := task.Progress(ctx, 1, 2, "")
			if !errors.Is(err, task.ErrLeaseLost) || !errors.Is(task.Checkpoint(ctx, 1), task.ErrLeaseLost) {
				t.Errorf("told %v", err)
			}
			return nil, err
		})
		id := p.submit()
		if back := p.resume(p.sqs.Receive(tasks, 10)); len(back) != 1 {
			t.Errorf("%v; whose task it is says the row, at the next receive", back)
		}
		if s := p.row(id); s.Status != task.Succeeded || s.Result != `"newer"` {
			t.Errorf("%+v", s)
		}
		p.drain()
		p.holds(nil)
	})
}

// Every refusal of a settlement leaves the message where it belongs.
func TestSettlementLost(t *testing.T) {
	tests := map[string]struct {
		meanwhile func(p *pipeline, id string)
		left      int // messages
	}{
		"taken over": {func(p *pipeline, id string) { p.overtake(p.ctx(), id) }, 1},
		"taken over and finished": {func(p *pipeline, id string) {
			c := p.claimNow(id)
			p.table.Settle(p.ctx(), []tasktable.Settlement{tasktable.Succeed(c, []byte(`1`))})
		}, 0},
		"taken over and deferred": {func(p *pipeline, id string) {
			c := p.claimNow(id)
			p.table.Settle(p.ctx(), []tasktable.Settlement{tasktable.Defer(c)})
		}, 0},
		"row gone": {func(p *pipeline, id string) { p.db.Delete(id) }, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(p *pipeline) {
				p.opts.Lease = time.Minute
				id := ""
				p.handle(func(context.Context, in) (any, error) {
					time.Sleep(2 * time.Minute)
					tt.meanwhile(p, id)
					return "late", nil
				})
				id = p.submit()
				p.resume(p.sqs.Receive(tasks, 10))
				p.holds(map[string]int{tasks: tt.left})
				if got := p.row(id).Result; got == `"late"` {
					t.Error("the late result was recorded")
				}
			})
		})
	}
}

// claimNow claims a task whose lease is over for some other worker.
func (p *pipeline) claimNow(id string) *tasktable.Row {
	p.t.Helper()
	c := p.table.Claim(p.ctx(), tasktable.NewOwner(), time.Now().Add(time.Minute), []string{id})[0]
	if c.Outcome != tasktable.Claimed {
		p.t.Fatalf("%+v", c)
	}
	return c.Row
}

// A deferral needs its lease: what it started may have been started again.
func TestDeferralOnALapsedLease(t *testing.T) {
	bubble(t, func(p *pipeline) {
		p.opts.Lease, p.opts.BacklogAfter = time.Minute, time.Hour
		attempt := 0
		p.handle(func(context.Context, in) (any, error) {
			if attempt++; attempt == 1 {
				time.Sleep(2 * time.Minute)
			}
			return nil, task.ErrDeferred
		})
		id := p.submit()
		p.resume(p.sqs.Receive(tasks, 10))
		p.has(id, task.Running, 0)
		p.holds(map[string]int{tasks: 1})
		p.drain()
		p.has(id, task.Running, 1)
		if s := p.row(id); s.ClaimableAt != never {
			t.Errorf("%+v", s)
		}
	})
}
