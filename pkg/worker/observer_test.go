package worker_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/worker"
	"github.com/spillway-go/spillway/pkg/workqueue/workqueuetest"
)

// watch collects what an observer is told, as lines. It checks of every event
// that its subject is a task of these tests, if it has one.
type watch struct {
	t        *testing.T
	mu       sync.Mutex
	lines    []string
	subjects []worker.Subject
	took     []time.Duration // of attempts
	waits    []time.Duration // from the event
}

func (w *watch) add(s worker.Subject, format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines = append(w.lines, strings.TrimRight(fmt.Sprintf(format, args...), " "))
	if s != (worker.Subject{}) {
		w.subjects = append(w.subjects, s)
	}
}

func (w *watch) observer() worker.Observer {
	return worker.Observer{
		BatchBegun: func(_ context.Context, e worker.BatchBegun) {
			w.add(worker.Subject{}, "batch of %d from %s", e.Records, e.Queue)
		},
		BatchDone: func(_ context.Context, e worker.BatchDone) {
			w.add(worker.Subject{}, "done: %d begun, %d back, %d rejected", e.Begun, e.Back, e.Rejected)
		},
		AttemptBegun: func(_ context.Context, e worker.AttemptBegun) { w.add(e.Subject, "attempt %d", e.Attempt) },
		AttemptEnded: func(_ context.Context, e worker.AttemptEnded) {
			w.add(e.Subject, "ended %s %s", e.Class, e.Code)
			w.mu.Lock()
			defer w.mu.Unlock()
			w.took = append(w.took, e.Took)
		},
		Settled: func(_ context.Context, e worker.Settled) {
			w.add(e.Subject, "settled %s, %d attempts %s", e.Outcome, e.Attempts, e.Code)
		},
		Moved: func(_ context.Context, e worker.Moved) {
			w.add(e.Subject, "moved from %s to %s: %s %s", e.From, e.To, e.Why, e.Code)
		},
		Waited: func(_ context.Context, e worker.Waited) {
			w.add(e.Subject, "waits: %s", e.Why)
			w.mu.Lock()
			defer w.mu.Unlock()
			w.waits = append(w.waits, time.Until(e.Until))
		},
	}
}

// observe runs a test of one or more batches, and compares what was told.
func observe(t *testing.T, want []string, test func(p *pipeline, w *watch)) {
	t.Helper()
	bubble(t, func(p *pipeline) {
		w := &watch{t: p.t}
		p.opts.Observer = w.observer()
		test(p, w)
		time.Sleep(2 * time.Hour) // a handler that was given up returns, which is no news
		w.mu.Lock()
		defer w.mu.Unlock()
		if diff := cmp.Diff(w.lines, want); diff != "" {
			p.t.Errorf("(-got +want):\n%s\n%s", diff, p.log.String())
		}
	})
}

// Every path of a task and its message, as one batch tells of it.
func TestObserver(t *testing.T) {
	result := func(v any, err error) func(*pipeline) {
		return func(p *pipeline) { p.handle(func(context.Context, in) (any, error) { return v, err }) }
	}
	for name, tt := range map[string]struct {
		prepare func(p *pipeline) // and handle
		submit  []func(*submitted)
		after   time.Duration // the batch comes
		want    []string      // between the batch's begin and end
		done    string        // what the batch's end says
	}{
		"success": {prepare: result(1, nil), want: []string{"attempt 1", "ended success", "settled succeeded, 1 attempts"}, done: "1 begun, 0 back, 0 rejected"},
		"retry": {
			prepare: result(nil, errFlaky),
			want:    []string{"attempt 1", "ended error flaky", "settled retry, 1 attempts", "waits: retry"}, done: "1 begun, 1 back, 0 rejected",
		},
		"retry after": {
			prepare: result(nil, task.RetryAfter(time.Minute, nil)),
			want:    []string{"attempt 1", "ended error handler_error", "settled retry, 1 attempts", "waits: retry_after"}, done: "1 begun, 1 back, 0 rejected",
		},
		"permanent": {
			prepare: result(nil, task.Permanent(errFlaky)),
			want:    []string{"attempt 1", "ended permanent flaky", "settled failed, 1 attempts flaky"}, done: "1 begun, 0 back, 0 rejected",
		},
		"input of another form": {
			prepare: result(1, nil), submit: []func(*submitted){func(s *submitted) { s.msg.Input = []byte(`{"m":1}`) }},
			want: []string{"attempt 1", "ended permanent invalid_input", "settled failed, 1 attempts invalid_input"}, done: "1 begun, 0 back, 0 rejected",
		},
		"unknown type": {
			prepare: result(1, nil), submit: []func(*submitted){ofType("u")},
			want: []string{"attempt 1", "ended error unknown_task_type", "settled retry, 1 attempts", "waits: retry"}, done: "1 begun, 1 back, 0 rejected",
		},
		"panic": {
			prepare: func(p *pipeline) { p.handle(func(context.Context, in) (any, error) { panic("no") }) },
			want:    []string{"attempt 1", "ended panic panic", "settled retry, 1 attempts", "waits: retry"}, done: "1 begun, 1 back, 0 rejected",
		},
		"time-out": {
			prepare: func(p *pipeline) {
				p.handle(func(ctx context.Context, _ in) (any, error) { <-ctx.Done(); return nil, ctx.Err() })
			},
			want: []string{"attempt 1", "ended timeout timeout", "settled retry, 1 attempts", "waits: retry"}, done: "1 begun, 1 back, 0 rejected",
		},
		"abandoned": {
			prepare: func(p *pipeline) {
				p.handle(func(context.Context, in) (any, error) { time.Sleep(time.Hour); return nil, nil })
			},
			want: []string{"attempt 1", "ended timeout timeout", "settled retry, 1 attempts", "waits: retry"}, done: "1 begun, 1 back, 0 rejected",
		},
		"dead letter": {
			prepare: func(p *pipeline) { p.opts.MaxAttempts = 1; result(nil, errFlaky)(p) },
			want:    []string{"attempt 1", "ended error flaky", "moved from tasks to dead_letters: buried flaky", "settled dead_lettered, 1 attempts flaky"},
			done:    "1 begun, 0 back, 0 rejected",
		},
		"deferral": {prepare: result(nil, task.ErrDeferred), want: []string{"attempt 1", "ended deferred", "settled deferred, 1 attempts"}, done: "1 begun, 0 back, 0 rejected"},
		"yield": {
			prepare: func(p *pipeline) {
				p.handle(func(ctx context.Context, _ in) (any, error) {
					return nil, errors.Join(task.Checkpoint(ctx, 1), task.ErrYield)
				})
			},
			want: []string{"attempt 1", "ended yielded", "settled yielded, 1 attempts", "moved from tasks to tasks: yielded"}, done: "1 begun, 0 back, 0 rejected",
		},
		"yield without progress": {
			prepare: result(nil, task.ErrYield),
			want:    []string{"attempt 1", "ended error no_progress", "settled retry, 1 attempts", "waits: retry"}, done: "1 begun, 1 back, 0 rejected",
		},
		"canceled by a checkpoint": {
			prepare: func(p *pipeline) {
				p.handle(func(ctx context.Context, _ in) (any, error) {
					if _, err := p.table.Cancel(ctx, "tenant", task.Current(ctx).ID); err != nil {
						return nil, err
					}
					return nil, task.Checkpoint(ctx, 1)
				})
			},
			want: []string{"attempt 1", "ended canceled", "settled canceled, 1 attempts"}, done: "1 begun, 0 back, 0 rejected",
		},
		"lease lost, as the handler was told": {
			prepare: result(nil, task.ErrLeaseLost),
			want:    []string{"attempt 1", "ended lease_lost", "settled lease_lost, 1 attempts", "waits: lease_lost"}, done: "1 begun, 1 back, 0 rejected",
		},
		"aged": {
			prepare: result(1, nil), submit: []func(*submitted){until(24 * time.Hour)}, after: time.Hour,
			want: []string{"moved from tasks to backlog: aged"}, done: "0 begun, 0 back, 0 rejected",
		},
		"expired": {
			prepare: result(1, nil), submit: []func(*submitted){until(time.Minute)}, after: 2 * time.Minute,
			want: []string{"settled expired, 0 attempts"}, done: "0 begun, 0 back, 0 rejected",
		},
		"failed often": {
			prepare: func(p *pipeline) { p.opts.BacklogFailures = 1; result(nil, errFlaky)(p) },
			want:    []string{"attempt 1", "ended error flaky", "settled retry, 1 attempts", "waits: retry", "moved from tasks to backlog: failed_often"},
			done:    "1 begun, 0 back, 0 rejected",
		},
		"table away": {
			prepare: func(p *pipeline) {
				result(1, nil)(p)
				p.chaos.inject(func(_ context.Context, op string) fault {
					return map[string]fault{"UpdateItem": before, "BatchExecuteStatement": before}[op]
				})
			},
			want: []string{"waits: unavailable"}, done: "0 begun, 1 back, 0 rejected",
		},
		"settlement not answered": {
			prepare: func(p *pipeline) {
				p.handle(func(context.Context, in) (any, error) {
					p.chaos.inject(func(_ context.Context, op string) fault { return map[string]fault{"UpdateItem": before}[op] })
					return 1, nil
				})
			},
			want: []string{"attempt 1", "ended success", "waits: unavailable"}, done: "1 begun, 1 back, 0 rejected",
		},
	} {
		t.Run(name, func(t *testing.T) {
			observe(t, slices.Concat([]string{"batch of 1 from tasks"}, tt.want, []string{"done: " + tt.done}), func(p *pipeline, w *watch) {
				id := p.submit(tt.submit...)
				if tt.prepare != nil {
					tt.prepare(p)
				}
				message := p.only(tasks).ID
				time.Sleep(tt.after)
				p.batch(1)
				for _, s := range w.subjects {
					if s.TaskID != id || s.MessageID != message || s.Type == "" || s.Tenant != "tenant" || s.Run != 1 {
						p.t.Errorf("told of %+v", s)
					}
				}
			})
		})
	}
}

// What is no task of ours has no subject but its message.
func TestObserverOfForeignMessages(t *testing.T) {
	observe(t, []string{
		"batch of 2 from tasks", "moved from tasks to dead_letters: rejected foreign_message", "waits: newer_version", "done: 0 begun, 1 back, 1 rejected",
	}, func(p *pipeline, w *watch) {
		p.post("hello", nil)
		p.post(`{"v":2,"anything":true}`, nil)
		p.batch(2)
		for _, s := range w.subjects {
			if s.MessageID == "" || s != (worker.Subject{MessageID: s.MessageID}) {
				t.Errorf("told of %+v", s)
			}
		}
		if w.waits[0] < 19*time.Second || w.waits[0] > 20*time.Second {
			t.Errorf("waits for %s", w.waits[0])
		}
	})
}

func TestObserverOfHeldTask(t *testing.T) {
	observe(t, []string{
		"batch of 1 from tasks", "waits: held", "done: 0 begun, 1 back, 0 rejected", // of a fresh message
		"batch of 1 from tasks", "waits: held", "moved from tasks to tasks: worn", "done: 0 begun, 0 back, 0 rejected", // of a worn one
	}, func(p *pipeline, w *watch) {
		id := p.submit()
		p.table.Claim(p.ctx(), tasktable.NewOwner(), time.Now().Add(10*time.Minute), []string{id})
		p.batch(1)
		time.Sleep(time.Until(p.only(tasks).VisibleAt) + time.Second)
		p.opts.BacklogAfter = time.Hour
		p.worker = nil
		p.table.Claim(p.ctx(), tasktable.NewOwner(), time.Now().Add(10*time.Minute), []string{id})
		if _, err := p.handler(p.ctx(), workqueuetest.Event(p.wear(50))); err != nil {
			t.Fatal(err)
		}
		if w.waits[0] < 9*time.Minute || w.waits[0] > 10*time.Minute {
			t.Errorf("waits for %s", w.waits[0])
		}
	})
}

// A worker that was overtaken learns it from its settlement.
func TestObserverOfLostLease(t *testing.T) {
	observe(t, []string{
		"batch of 1 from tasks", "attempt 1", "ended success", "settled lease_lost, 1 attempts", "done: 1 begun, 0 back, 0 rejected",
	}, func(p *pipeline, w *watch) {
		p.opts.Lease, p.opts.BacklogAfter = time.Minute, time.Hour
		p.handle(func(ctx context.Context, _ in) (any, error) {
			time.Sleep(visibility)
			r := p.table.Claim(ctx, tasktable.NewOwner(), time.Now().Add(time.Minute), []string{task.Current(ctx).ID})[0].Row
			p.table.Settle(ctx, []tasktable.Settlement{tasktable.Succeed(r, []byte("1"))})
			return 2, nil
		})
		p.submit()
		p.resume(p.sqs.Receive(tasks, 1))
		if diff := cmp.Diff(w.took, []time.Duration{visibility}); diff != "" {
			t.Errorf("took (-got +want):\n%s", diff)
		}
	})
}

// What there is no time for is released.
func TestObserverOfReleasedTask(t *testing.T) {
	observe(t, []string{
		"batch of 2 from backlog", "attempt 1", "ended success", "settled succeeded, 1 attempts",
		"settled released, 0 attempts", "waits: released", "done: 1 begun, 1 back, 0 rejected",
	}, func(p *pipeline, _ *watch) {
		p.opts.SettleWithin = time.Hour
		p.handle(func(context.Context, in) (any, error) { time.Sleep(timeout - 20*time.Second); return nil, nil })
		for n := range 2 {
			p.submit(number(n+1), func(s *submitted) { s.queue = backlog })
		}
		if n := p.invoke(backlog); n != 2 {
			t.Fatalf("a batch of %d", n)
		}
	})
}

// An observer that panics changes nothing but the log, wherever it does.
func TestObserverPanics(t *testing.T) {
	fields := reflect.TypeFor[worker.Observer]()
	for n := range fields.NumField() {
		t.Run(fields.Field(n).Name, func(t *testing.T) {
			bubble(t, func(p *pipeline) {
				v := reflect.ValueOf(&p.opts.Observer).Elem().Field(n)
				v.Set(reflect.MakeFunc(v.Type(), func([]reflect.Value) []reflect.Value { panic("observer down") }))
				p.opts.MaxAttempts = 2
				p.handle(func(_ context.Context, i in) (any, error) {
					if i.N == 1 {
						return nil, errFlaky
					}
					return i.N, nil
				})
				bad, good := p.submit(), p.submit(number(2))
				p.drain()
				p.has(bad, task.DeadLettered, 2)
				p.has(good, task.Succeeded, 1)
				p.holds(map[string]int{dead: 1})
				if log := p.log.String(); !strings.Contains(log, "observer panicked") || strings.Contains(log, "observer down") {
					t.Errorf("the log:\n%s", log)
				}
			})
		})
	}
}

// Handlers that run at once tell at once.
func TestObserverAtOnce(t *testing.T) {
	bubble(t, func(p *pipeline) {
		w := &watch{t: t}
		p.opts.Observer = w.observer()
		p.handle(func(context.Context, in) (any, error) { time.Sleep(time.Second); return nil, nil }, task.Concurrency(10))
		p.submitAll(10)
		p.batch(10)
		count := map[string]int{}
		for _, line := range w.lines {
			count[line]++
		}
		want := map[string]int{
			"batch of 10 from tasks": 1, "attempt 1": 10, "ended success": 10, "settled succeeded, 1 attempts": 10, "done: 10 begun, 0 back, 0 rejected": 1,
		}
		if diff := cmp.Diff(count, want); diff != "" {
			t.Errorf("(-got +want):\n%s", diff)
		}
		for _, took := range w.took {
			if took != time.Second {
				t.Errorf("an attempt took %s", took)
			}
		}
	})
}
