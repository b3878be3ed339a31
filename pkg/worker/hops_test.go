package worker_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

// mostHops is the largest count of hops of a message in any queue.
func (p *pipeline) mostHops() (hops int) {
	for _, queue := range []string{tasks, backlog, dead} {
		for _, m := range p.sqs.Messages(queue) {
			n, err := strconv.Atoi(m.Attribute(workqueue.AttrHops))
			if err != nil && m.Attribute(workqueue.AttrHops) != "" {
				p.t.Error(err)
			}
			hops = max(hops, n)
		}
	}
	return hops
}

// Whatever keeps a message from being worked on, for however long: it is
// received and copied a bounded number of times, and then it is in the
// dead-letter queue, once.
func TestNothingGoesRoundForEver(t *testing.T) {
	const (
		receives = 10 // of one message until SQS moves it
		most     = (workqueue.MaxHops + 1) * receives
	)
	tests := map[string]struct {
		trouble func(p *pipeline)
		submit  func(s *submitted)
		body    string // instead of a task
		code    string // of the dead letter; empty if SQS itself moved the message
		copies  int
		status  task.Status // of the task, in the end
	}{
		"its handler always fails": {
			trouble: func(p *pipeline) {
				p.handle(func(context.Context, in) (any, error) { return nil, errFlaky })
			},
			code: "flaky", copies: workqueue.MaxHops, status: task.DeadLettered,
		},
		"its handler always fails, in the backlog": {
			trouble: func(p *pipeline) {
				p.handle(func(context.Context, in) (any, error) { return nil, errFlaky })
			},
			submit: func(s *submitted) { s.queue = backlog },
			code:   "flaky", copies: workqueue.MaxHops, status: task.DeadLettered,
		},
		"a version that nobody knows": {
			trouble: func(p *pipeline) { p.unwanted() },
			body:    `{"v":2}`, code: "hops_exhausted", copies: workqueue.MaxHops,
		},
		"somebody holds its task": {
			trouble: func(p *pipeline) {
				p.unwanted()
				for _, m := range p.sqs.Messages(tasks) {
					p.table.Claim(p.ctx(), tasktable.NewOwner(), time.Now().AddDate(100, 0, 0), []string{m.Attribute(workqueue.AttrTaskID)})
				}
			},
			copies: workqueue.MaxHops, status: task.Running,
		},
		"the table never answers": {
			trouble: func(p *pipeline) {
				p.unwanted()
				p.chaos.inject(func(_ context.Context, op string) fault {
					if op == "UpdateItem" || op == "BatchExecuteStatement" {
						return before
					}
					return none
				})
			},
			copies: workqueue.MaxHops, status: task.Queued,
		},
		"it ages, and nothing can be sent": {
			trouble: func(p *pipeline) {
				p.handle(func(context.Context, in) (any, error) { return nil, errFlaky })
				p.opts.BacklogAfter = time.Nanosecond
				p.chaos.inject(func(_ context.Context, op string) fault {
					if op == "SendMessage" || op == "SendMessageBatch" {
						return before
					}
					return none
				})
			},
			status: task.Queued, // its row says that there are attempts left: SQS moved the message
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(p *pipeline) {
				p.opts.MaxReceiveCount, p.opts.MaxAttempts, p.opts.BacklogFailures = receives, 1_000_000, 1_000_000
				p.opts.BacklogAfter = 1_000_000 * time.Hour
				p.opts.Backoff = &workqueue.Backoff{}
				p.remake(receives)
				id := ""
				if tt.body == "" {
					id = p.submit(func(s *submitted) {
						s.draft.Deadline = time.Now().AddDate(200, 0, 0)
						if tt.submit != nil {
							tt.submit(s)
						}
					})
				} else {
					p.post(tt.body, nil)
				}
				tt.trouble(p)
				p.chaos.reset()
				delivered, hops := 0, 0
				for p.wait() {
					if delivered += p.invoke(tasks) + p.invoke(backlog); delivered > most {
						t.Fatalf("it is still going round after %d receives", delivered)
					}
					hops = max(hops, p.mostHops())
				}
				p.holds(map[string]int{dead: 1})
				if hops != tt.copies {
					t.Errorf("%d hops, want %d", hops, tt.copies)
				}
				letter := p.only(dead)
				if code := letter.Attribute(workqueue.AttrErrorCode); code != tt.code {
					t.Errorf("the dead letter's code is %q, want %q", code, tt.code)
				}
				if id != "" && p.row(id).Status != tt.status {
					t.Errorf("the task is %+v, want it %s", p.row(id), tt.status)
				}
			})
		})
	}
}

// A task that goes to the backlog queue makes one hop, whichever way leads
// there, and however long it stays; one of bulk priority makes none.
func TestOneHopToTheBacklog(t *testing.T) {
	tests := map[string]struct {
		submit func(p *pipeline, s *submitted)
		fails  int           // times
		wait   time.Duration // asked for by each failure
		hops   int
		expire bool // before it succeeds
	}{
		"a delay that ends when it is old": {
			submit: func(_ *pipeline, s *submitted) { s.draft.Delay = 10 * time.Minute }, hops: 1,
		},
		"a backoff that ends when it is old": {fails: 1, wait: 10 * time.Minute, hops: 1},
		"aged, and its deadline passes in the backlog": {
			submit: func(_ *pipeline, s *submitted) {
				s.msg.CreatedAt, s.draft.Deadline = time.Now().Add(-time.Hour), time.Now().Add(10*time.Minute)
			},
			fails: 1, wait: time.Hour, hops: 1, expire: true,
		},
		"fresh":  {},
		"bulk":   {submit: func(_ *pipeline, s *submitted) { s.queue, s.msg.Priority = backlog, task.Bulk }},
		"aged":   {submit: func(_ *pipeline, s *submitted) { s.msg.CreatedAt = time.Now().Add(-time.Hour) }, hops: 1},
		"failed": {fails: 4, hops: 1},
		"aged, and it fails": {
			submit: func(_ *pipeline, s *submitted) { s.msg.CreatedAt = time.Now().Add(-time.Hour) }, fails: 4, hops: 1,
		},
		"bulk, aged, and it fails": {
			submit: func(_ *pipeline, s *submitted) { s.queue, s.msg.CreatedAt = backlog, time.Now().Add(-time.Hour) }, fails: 4,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(p *pipeline) {
				hops, failed := 0, 0
				p.handle(func(context.Context, in) (any, error) {
					hops = max(hops, p.mostHops())
					if failed++; failed <= tt.fails && tt.wait > 0 {
						return nil, task.RetryAfter(tt.wait, errFlaky)
					} else if failed <= tt.fails {
						return nil, errFlaky
					}
					return nil, nil
				})
				id := p.submit(until(24*time.Hour), func(s *submitted) {
					if tt.submit != nil {
						tt.submit(p, s)
					}
				})
				for p.wait() {
					hops = max(hops, p.mostHops())
					p.invoke(tasks)
					hops = max(hops, p.mostHops())
					p.invoke(backlog)
				}
				if tt.expire {
					p.has(id, task.Expired, tt.fails)
				} else {
					p.has(id, task.Succeeded, tt.fails+1)
				}
				p.holds(nil)
				if hops != tt.hops {
					t.Errorf("%d hops, want %d", hops, tt.hops)
				}
			})
		})
	}
}

// A message that is both aged and worn, and one that comes back later than a
// copy can be delayed, are copied once for each reason, no more.
func TestAgedAndWorn(t *testing.T) {
	bubble(t, func(p *pipeline) {
		p.handle(func(context.Context, in) (any, error) { return nil, nil })
		id := p.submit(until(24*time.Hour), func(s *submitted) { s.msg.CreatedAt = time.Now().Add(-time.Hour) })
		p.deliver(p.wear(50))
		if got := p.only(backlog).Attribute(workqueue.AttrHops); got != "1" {
			t.Errorf("%s hops", got)
		}
		p.drain()
		p.has(id, task.Succeeded, 1)
	})
	t.Run("and due in an hour", func(t *testing.T) {
		bubble(t, func(p *pipeline) {
			p.opts.BacklogAfter = 24 * time.Hour
			fails := 0
			p.handle(func(context.Context, in) (any, error) {
				if fails++; fails == 1 {
					return nil, task.RetryAfter(time.Hour, errFlaky)
				}
				return nil, nil
			})
			id := p.submit(until(24 * time.Hour))
			start := time.Now()
			p.deliver(p.wear(50))
			copied := p.only(tasks)
			if copied.Attribute(workqueue.AttrHops) != "1" || copied.VisibleAt.Sub(start) > workqueue.MaxDelay+time.Second {
				t.Errorf("%+v", copied)
			}
			p.drain()
			p.has(id, task.Succeeded, 2)
			if took := time.Since(start); took < time.Hour || took > 70*time.Minute || fails != 2 {
				t.Errorf("it ran %d times, the last one after %v", fails, took)
			}
		})
	})
}

// remake makes the source queues anew, with a redrive policy of their own.
func (p *pipeline) remake(receives int) {
	source := source
	source.MaxReceives = receives
	p.sqs.Create(tasks, source)
	p.sqs.Create(backlog, source)
}
