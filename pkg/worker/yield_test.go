package worker_test

import (
	"context"
	"testing"
	"time"

	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

// slices registers a handler that yields n times, each time with a newer
// checkpoint, and takes d for each slice. It counts those that have begun.
func (p *pipeline) slices(n int, d time.Duration) *int {
	begun := 0
	p.handle(func(ctx context.Context, _ in) (any, error) {
		begun++
		if e := task.Current(ctx); e.Attempt != 1 {
			p.t.Errorf("slice %d is attempt %d, want 1", begun, e.Attempt)
		}
		var done int
		if _, err := task.Restore(ctx, &done); err != nil {
			return nil, err
		}
		if done != begun-1 {
			p.t.Errorf("slice %d begins after %d", begun, done)
		}
		time.Sleep(d)
		if done == n {
			return done, nil
		}
		if err := task.CheckpointAt(ctx, done+1, task.Advance{Done: int64(done) + 1}); err != nil {
			return nil, err
		}
		return nil, task.ErrYield
	})
	return &begun
}

// A yield counts no attempt, and its task goes on at once by a new message. It
// costs what a retry does: a settlement, and one call of the queue.
func TestYield(t *testing.T) {
	bubble(t, func(p *pipeline) {
		p.slices(1, time.Second)
		id := p.submit(func(s *submitted) { s.msg.Hops = workqueue.MaxHops })
		first := p.wear(50) // it could not be handed back any more
		p.chaos.reset()
		p.deliver(first)
		p.calls(map[string]int{"UpdateItem": 3, "ChangeMessageVisibility": 1, "SendMessage": 1})
		p.has(id, task.Queued, 0)
		if s := p.row(id); s.ClaimableAt != 0 || s.Settled != s.Fence || s.Code != "" || s.State != "1" {
			t.Errorf("%+v", s)
		}
		m := p.only(tasks)
		if m.ID == first[0].MessageId || m.Receives != 0 || m.Attribute(workqueue.AttrHops) != "0" || m.Body != first[0].Body {
			t.Errorf("the new message is %+v", m)
		}
		if wait := time.Until(m.VisibleAt); wait > 0 {
			t.Errorf("it waits for %v", wait)
		}
		p.batch(1)
		p.has(id, task.Succeeded, 1)
		p.holds(nil)
	})
}

// However many slices a task has, they use up neither attempts nor hops.
func TestManyYields(t *testing.T) {
	bubble(t, func(p *pipeline) {
		p.opts.MaxAttempts, p.opts.MaxReceiveCount = 1, 4
		p.remake(4)
		begun := p.slices(1500, 0)
		id := p.submit()
		p.drain()
		p.has(id, task.Succeeded, 1)
		p.holds(nil)
		if *begun != 1501 {
			t.Errorf("%d slices, want 1501", *begun)
		}
	})
}

// Long slices go on in the backlog queue once the message is old, and end at
// the task's deadline.
func TestYieldsUntilTheDeadline(t *testing.T) {
	bubble(t, func(p *pipeline) {
		begun := p.slices(1_000_000, time.Minute)
		id := p.submit()
		for range 8 {
			p.invoke(tasks)
		}
		p.holds(map[string]int{backlog: 1})
		p.drain()
		p.has(id, task.Expired, 1) // the deadline ended the last slice
		p.holds(nil)
		if *begun != 60 {
			t.Errorf("%d slices of a minute in an hour", *begun)
		}
	})
}

// Without a newer checkpoint it is a failure: it could yield for ever.
func TestYieldWithoutProgress(t *testing.T) {
	for name, handle := range map[string]func(context.Context) error{
		"no checkpoint":       func(context.Context) error { return nil },
		"the same checkpoint": func(ctx context.Context) error { return task.Checkpoint(ctx, 7) },
		"there and back": func(ctx context.Context) error {
			if err := task.Checkpoint(ctx, 8); err != nil {
				return err
			}
			return task.Checkpoint(ctx, 7)
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(p *pipeline) {
				begun := 0
				p.handle(func(ctx context.Context, _ in) (any, error) {
					if begun++; begun == 1 {
						if err := task.Checkpoint(ctx, 7); err != nil {
							return nil, err
						}
					} else if err := handle(ctx); err != nil {
						return nil, err
					}
					return nil, task.ErrYield
				})
				id := p.submit()
				p.batch(1)
				p.has(id, task.Queued, 0)
				p.batch(1)
				p.has(id, task.Queued, 1)
				if code := p.row(id).Code; code != task.CodeNoProgress {
					t.Errorf("its error code is %q", code)
				}
				if wait := time.Until(p.only(tasks).VisibleAt); wait <= 0 || wait > 2*time.Second {
					t.Errorf("it comes back in %v", wait)
				}
				p.drain()
				p.has(id, task.DeadLettered, 5)
				if f := p.letter(); f.Code != task.CodeNoProgress || begun != 6 {
					t.Errorf("after %d begins: %+v", begun, f)
				}
			})
		})
	}
}

// A cancel that the last checkpoint did not see takes effect at the yield.
func TestYieldOfACanceledTask(t *testing.T) {
	bubble(t, func(p *pipeline) {
		id := ""
		p.handle(func(ctx context.Context, _ in) (any, error) {
			if err := task.Checkpoint(ctx, 1); err != nil {
				return nil, err
			}
			if _, err := p.table.Cancel(ctx, "tenant", id); err != nil {
				t.Error(err)
			}
			return nil, task.ErrYield
		})
		id = p.submit()
		p.batch(1)
		p.has(id, task.Canceled, 0)
		p.holds(nil)
	})
}

// Where the new message cannot be sent, the old one comes back.
func TestYieldCannotBeSent(t *testing.T) {
	bubble(t, func(p *pipeline) {
		p.slices(2, 0)
		id := p.submit()
		p.chaos.nth("SendMessage", 1, before)
		p.batch(1)
		p.has(id, task.Queued, 0)
		if m := p.only(tasks); m.Receives != 1 || time.Until(m.VisibleAt) > 10*time.Second {
			t.Errorf("%+v", m)
		}
		p.drain()
		p.has(id, task.Succeeded, 1)
		p.holds(nil)
	})
}

// The yield of a task whose last worker vanished takes the charge and the mark
// back: this worker is alive.
func TestYieldAfterAVanishedWorker(t *testing.T) {
	bubble(t, func(p *pipeline) {
		p.slices(1, 0)
		id := p.submit()
		p.table.Claim(p.ctx(), tasktable.NewOwner(), time.Now().Add(time.Second), []string{id})
		time.Sleep(2 * time.Second)
		p.batch(1)
		p.has(id, task.Queued, 0)
		if s := p.row(id); s.Settled != s.Fence {
			t.Errorf("%+v", s)
		}
		p.drain()
		p.has(id, task.Succeeded, 1)
	})
}

// A handler sees the end of its time before the function's time-out.
func TestTimeLeft(t *testing.T) {
	bubble(t, func(p *pipeline) {
		p.handle(func(ctx context.Context, _ in) (any, error) {
			if left := task.TimeLeft(ctx); left != timeout-5*time.Second {
				t.Errorf("%v left", left)
			}
			return nil, nil
		})
		id := p.submit()
		p.batch(1)
		p.has(id, task.Succeeded, 1)
	})
}
