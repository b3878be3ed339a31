package worker_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/spillway-go/spillway/pkg/event"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

// replay moves all dead letters to the tasks queue, as SQS's own redrive does:
// without a write to the row.
func (p *pipeline) replay() {
	p.t.Helper()
	for _, rec := range p.read(p.sqs.Receive(dead, 10)...) {
		out, err := workqueue.Copy(&rec)
		if err != nil { // ten attributes: SQS itself moves them as they are
			rec.Attributes = slices.DeleteFunc(rec.Attributes, func(a event.Attribute) bool {
				return a.Name == workqueue.AttrFailure || a.Name == workqueue.AttrHops
			})
			if out, err = workqueue.Copy(&rec); err != nil {
				p.t.Fatal(err)
			}
		}
		if err := workqueue.New(p.sqs, p.url(tasks), nil).Send(p.ctx(), out); err != nil {
			p.t.Fatal(err)
		}
		p.sqs.Delete(dead, rec.ReceiptHandle)
	}
}

// A dead letter carries the next run. Coming back by whatever way, it is a
// replay, with all attempts.
func TestRedriveIsAReplay(t *testing.T) {
	bubble(t, func(p *pipeline) {
		p.opts.MaxAttempts = 2
		var keys []string
		p.handle(func(ctx context.Context, _ in) (any, error) {
			keys = append(keys, task.IdempotencyKey(ctx))
			if task.Current(ctx).Run < 3 || task.Current(ctx).Attempt < 2 {
				return nil, errFlaky
			}
			return "mended", nil
		})
		id := p.submit()
		for run := 1; run <= 2; run++ {
			p.drain()
			p.has(id, task.DeadLettered, 2)
			if got := p.row(id).Run; got != run {
				t.Errorf("run %d, want %d", got, run)
			}
			p.replay()
		}
		p.drain()
		p.has(id, task.Succeeded, 2)
		p.holds(nil)
		if len(keys) != 6 || keys[0] != id+"-1" || keys[1] != keys[0] || keys[5] != id+"-3" {
			t.Errorf("idempotency keys %v", keys)
		}
	})
}

// A dead-lettered task is replayed and worked on in one batch.
func TestReplayInOneBatch(t *testing.T) {
	bubble(t, func(p *pipeline) {
		p.opts.MaxAttempts = 1
		fail := true
		p.handle(func(context.Context, in) (any, error) {
			if fail {
				return nil, errFlaky
			}
			return nil, nil
		})
		id := p.submit()
		p.drain()
		p.replay()
		fail = false
		p.batch(1)
		p.has(id, task.Succeeded, 1)
	})
}

// A dead letter carries the run after the row's, whatever run its message had.
func TestDeadLetterOfAnOlderMessage(t *testing.T) {
	bubble(t, func(p *pipeline) {
		p.opts.MaxAttempts = 1
		p.handle(func(context.Context, in) (any, error) { return nil, errFlaky })
		id := p.submit()
		p.table.Settle(p.ctx(), []tasktable.Settlement{tasktable.DeadLetter(p.claimNow(id), task.Failure{Code: "old"})})
		if done, err := p.table.Replay(p.ctx(), id, 4); !done || err != nil {
			t.Fatal(done, err)
		}
		p.drain() // with the message of run 1
		if got := p.only(dead).Attribute(workqueue.AttrRun); got != "5" {
			t.Errorf("the dead letter is of run %s", got)
		}
	})
}

// What may be replayed, and what a message of a newer run does to it.
func TestMessageOfANewerRun(t *testing.T) {
	row := func(p *pipeline, id string) *tasktable.Row {
		return p.claimNow(id)
	}
	settle := func(how func(*tasktable.Row) tasktable.Settlement) func(*pipeline, string) {
		return func(p *pipeline, id string) { p.table.Settle(p.ctx(), []tasktable.Settlement{how(row(p, id))}) }
	}
	f := task.Failure{Code: "old", Message: "old", Retryable: true}
	tests := map[string]struct {
		before func(p *pipeline, id string)
		begins bool
		status task.Status
		run    int
	}{
		"queued":        {func(*pipeline, string) {}, true, task.Succeeded, 2},
		"dead lettered": {settle(func(r *tasktable.Row) tasktable.Settlement { return tasktable.DeadLetter(r, f) }), true, task.Succeeded, 2},
		"failed":        {settle(func(r *tasktable.Row) tasktable.Settlement { return tasktable.Fail(r, f) }), true, task.Succeeded, 2},
		"retrying": {settle(func(r *tasktable.Row) tasktable.Settlement {
			return tasktable.Retry(r, f, time.Now().Add(time.Minute))
		}), true, task.Succeeded, 2},
		"vanished":  {func(p *pipeline, id string) { p.abandon(id) }, true, task.Succeeded, 2},
		"leased":    {func(p *pipeline, id string) { row(p, id) }, true, task.Succeeded, 2},
		"succeeded": {settle(func(r *tasktable.Row) tasktable.Settlement { return tasktable.Succeed(r, nil) }), false, task.Succeeded, 1},
		"canceled": {func(p *pipeline, id string) {
			_, _ = p.table.Cancel(p.ctx(), "tenant", id)
		}, false, task.Canceled, 1},
		"expired":  {settle(tasktable.Expired), false, task.Expired, 1},
		"deferred": {settle(tasktable.Defer), false, task.Running, 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(p *pipeline) {
				begun := 0
				p.handle(func(ctx context.Context, _ in) (any, error) {
					begun++
					if e := task.Current(ctx); e.Run != 2 || e.Attempt != 1 {
						t.Errorf("run %d, attempt %d", e.Run, e.Attempt)
					}
					return nil, nil
				})
				id := p.submit()
				p.sqs.Delete(tasks, p.sqs.Receive(tasks, 1)[0].ReceiptHandle)
				tt.before(p, id)
				p.send(tasks, p.message(id, func(m *message) { m.Run = 2 }))
				p.drain()
				if s := p.row(id); s.Status != tt.status || s.Run != tt.run || (begun == 1) != tt.begins {
					t.Errorf("began %d times, left %+v", begun, s)
				}
				p.holds(nil)
			})
		})
	}
}

// A message of an older run, or one that repeats the row's, of a task that has
// ended is a duplicate.
func TestMessageOfAnOlderRun(t *testing.T) {
	bubble(t, func(p *pipeline) {
		p.opts.MaxAttempts = 1
		p.handle(func(ctx context.Context, _ in) (any, error) { return nil, errFlaky })
		id := p.submit()
		p.drain()
		p.replay()
		p.drain()
		before := p.row(id)
		for _, run := range []int{1, 2} {
			p.send(tasks, p.message(id, func(m *message) { m.Run = run }))
		}
		p.drain()
		if after := p.row(id); after != before || after.Run != 2 || after.Status != task.DeadLettered {
			t.Errorf("%+v after %+v", after, before)
		}
		p.holds(map[string]int{dead: 1})
	})
}

// The writes of a replay fail, before or after their effect.
func TestReplayFails(t *testing.T) {
	tests := map[string]struct {
		prepare func(p *pipeline, id string)
		call    int // of UpdateItem
	}{
		"of a finished task": {func(p *pipeline, id string) {
			p.table.Settle(p.ctx(), []tasktable.Settlement{tasktable.DeadLetter(p.claimNow(id), task.Failure{Code: "old"})})
		}, 2},
		"of a claimed task": {func(*pipeline, string) {}, 2},
	}
	for name, tt := range tests {
		for f, when := range map[fault]string{before: "before", after: "after"} {
			t.Run(name+"/"+when, func(t *testing.T) {
				bubble(t, func(p *pipeline) {
					begun := 0
					p.handle(func(context.Context, in) (any, error) { begun++; return nil, nil })
					id := p.submit()
					p.sqs.Delete(tasks, p.sqs.Receive(tasks, 1)[0].ReceiptHandle)
					tt.prepare(p, id)
					p.send(tasks, p.message(id, func(m *message) { m.Run = 2 }))
					p.chaos.nth("UpdateItem", tt.call, f)
					p.batch(1)
					p.holds(map[string]int{tasks: 1})
					if left := time.Until(p.only(tasks).VisibleAt); begun != 0 || left < 9*time.Second || left > 11*time.Second {
						t.Errorf("began %d times; it comes back in %v", begun, left)
					}
					p.drain()
					if s := p.row(id); s.Status != task.Succeeded || s.Run != 2 || s.Attempts != 1 {
						t.Errorf("%+v", s)
					}
				})
			})
		}
	}
}

// A replay that comes after its task's deadline is refused: the task stays
// dead-lettered, with its error, and so does the message.
func TestReplayPastTheDeadline(t *testing.T) {
	bubble(t, func(p *pipeline) {
		p.opts.MaxAttempts = 1
		p.handle(func(context.Context, in) (any, error) { return nil, errFlaky })
		id := p.submit()
		p.drain()
		p.has(id, task.DeadLettered, 1)
		time.Sleep(2 * time.Hour)
		p.replay()
		p.drain()
		p.has(id, task.DeadLettered, 1)
		p.holds(map[string]int{dead: 1})
		if f := p.letter(); f.Code != "deadline_passed" {
			t.Errorf("%+v", f)
		}
		if r := p.row(id); r.Code != "flaky" {
			t.Errorf("the row's error is %q now", r.Code)
		}
	})
}

// A cancel of a dead-lettered task stands, whoever redrives its letter.
func TestReplayOfACanceledTask(t *testing.T) {
	bubble(t, func(p *pipeline) {
		p.opts.MaxAttempts = 1
		p.handle(func(context.Context, in) (any, error) { return nil, errFlaky })
		id := p.submit()
		p.drain()
		if _, err := p.table.Cancel(p.ctx(), "tenant", id); err != nil {
			t.Fatal(err)
		}
		p.replay()
		p.drain()
		p.has(id, task.Canceled, 1)
		p.holds(nil)
	})
}
