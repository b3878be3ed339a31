package worker_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/worker"
)

var errFlaky = task.Code("flaky", errors.New("not today"))

// Each handler's outcome, after one batch and in the end.
func TestOutcome(t *testing.T) {
	tests := map[string]struct {
		handle func(context.Context, in) (any, error)
		submit []func(*submitted)

		status   task.Status // after one batch
		attempts int
		code     string
		waits    time.Duration // at most, of the message; negative: it is gone

		finally  task.Status // "" if it stays like that
		counted  int
		begun    int
		inLetter string // code in the dead letter
	}{
		"result": {
			handle: func(context.Context, in) (any, error) { return map[string]int{"ok": 1}, nil },
			status: task.Succeeded, attempts: 1, waits: -1, begun: 1,
		},
		"result and error": {
			handle: func(context.Context, in) (any, error) { return "both", errFlaky },
			status: task.Queued, attempts: 1, code: "flaky", waits: 2 * time.Second,
			finally: task.DeadLettered, counted: 5, begun: 5, inLetter: "flaky",
		},
		"retry after": {
			handle: func(ctx context.Context, _ in) (any, error) {
				if task.Current(ctx).Attempt == 1 {
					return nil, task.RetryAfter(30*time.Minute, nil)
				}
				return nil, nil
			},
			status: task.Queued, attempts: 1, code: task.CodeHandlerError, waits: 30 * time.Minute,
			finally: task.Succeeded, counted: 2, begun: 2,
		},
		"retry after the deadline": {
			handle: func(context.Context, in) (any, error) { return nil, task.RetryAfter(2*time.Hour, nil) },
			status: task.Queued, attempts: 1, code: task.CodeHandlerError, waits: 2 * time.Hour,
			finally: task.Expired, counted: 1, begun: 1,
		},
		"permanent": {
			handle: func(context.Context, in) (any, error) { return nil, task.Permanent(errFlaky) },
			status: task.Failed, attempts: 1, code: "flaky", waits: -1, begun: 1,
		},
		"deferred": {
			handle: func(context.Context, in) (any, error) { return nil, fmt.Errorf("saga: %w", task.ErrDeferred) },
			status: task.Running, attempts: 1, waits: -1, begun: 1,
		},
		"lease lost, says the handler": {
			handle: func(ctx context.Context, _ in) (any, error) {
				if task.Current(ctx).Attempt == 1 && task.Current(ctx).State == nil {
					_ = task.Checkpoint(ctx, 1)
					return nil, task.ErrLeaseLost
				}
				return nil, nil
			},
			status: task.Running, attempts: 0, waits: 10 * time.Second,
			finally: task.Succeeded, counted: 1, begun: 2,
		},
		"panic": {
			handle: func(context.Context, in) (any, error) { panic("at the disco") },
			status: task.Queued, attempts: 1, code: task.CodePanic, waits: 2 * time.Second,
			finally: task.DeadLettered, counted: 5, begun: 5, inLetter: task.CodePanic,
		},
		"exit of the goroutine": {
			handle: func(context.Context, in) (any, error) { runtime.Goexit(); return nil, nil },
			status: task.Queued, attempts: 1, code: task.CodeHandlerError, waits: 2 * time.Second,
			finally: task.DeadLettered, counted: 5, begun: 5, inLetter: task.CodeHandlerError,
		},
		"invalid input": {
			handle: func(context.Context, in) (any, error) { return nil, nil },
			submit: []func(*submitted){func(s *submitted) { s.msg.Input = []byte(`{"typo":1}`) }},
			status: task.Failed, attempts: 1, code: task.CodeInvalidInput, waits: -1,
		},
		"unknown type": {
			submit: []func(*submitted){ofType("elsewhere")},
			status: task.Queued, attempts: 1, code: task.CodeUnknownType, waits: 2 * time.Second,
			finally: task.DeadLettered, counted: 5, inLetter: task.CodeUnknownType,
		},
		"time-out, heard": {
			handle: func(ctx context.Context, _ in) (any, error) { <-ctx.Done(); return nil, ctx.Err() },
			status: task.Queued, attempts: 1, code: task.CodeTimeout, waits: 2 * time.Second,
			finally: task.DeadLettered, counted: 5, begun: 5, inLetter: task.CodeTimeout,
		},
		"deadline passes meanwhile": {
			handle: func(ctx context.Context, _ in) (any, error) { <-ctx.Done(); return nil, ctx.Err() },
			submit: []func(*submitted){until(10 * time.Second)},
			status: task.Queued, attempts: 1, code: task.CodeTimeout, waits: 2 * time.Second,
			finally: task.Expired, counted: 1, begun: 1,
		},
		"result too large": {
			handle: func(context.Context, in) (any, error) { return strings.Repeat("x", 500_000), nil },
			status: task.Failed, attempts: 1, code: "result_too_large", waits: -1, begun: 1,
		},
		"result that is not JSON": {
			handle: func(context.Context, in) (any, error) { return func() {}, nil },
			status: task.Failed, attempts: 1, code: task.CodeHandlerError, waits: -1, begun: 1,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(p *pipeline) {
				begun := 0
				if tt.handle != nil {
					p.handle(func(ctx context.Context, i in) (any, error) { begun++; return tt.handle(ctx, i) })
				}
				id := p.submit(tt.submit...)
				p.batch(1)
				p.has(id, tt.status, tt.attempts)
				if got := p.row(id).Code; got != tt.code {
					t.Errorf("error code %q, want %q", got, tt.code)
				}
				switch messages := p.sqs.Messages(tasks); {
				case tt.waits < 0 && len(messages) > 0:
					t.Errorf("the message is still there, until %v", time.Until(messages[0].VisibleAt))
				case tt.waits >= 0 && len(messages) == 0:
					t.Error("the message is gone")
				case tt.waits >= 0 && time.Until(messages[0].VisibleAt) > tt.waits:
					t.Errorf("the message waits %v, want at most %v", time.Until(messages[0].VisibleAt), tt.waits)
				case tt.status == task.Queued && messages[0].VisibleAt.UnixMilli() < p.row(id).ClaimableAt:
					t.Error("the message is back before the row may be claimed")
				}
				p.drain()
				if tt.finally == "" {
					tt.finally, tt.counted = tt.status, tt.attempts
				}
				p.has(id, tt.finally, tt.counted)
				if begun != tt.begun {
					t.Errorf("the handler began %d times, want %d", begun, tt.begun)
				}
				for _, quoted := range []string{"disco", "typo"} { // what a panic says, and an input that does not fit
					if strings.Contains(p.log.String(), quoted) {
						t.Errorf("%q is in the log:\n%s", quoted, p.log.String())
					}
				}
				if tt.inLetter == "" {
					p.holds(nil)
					return
				}
				if f := p.letter(); f.Code != tt.inLetter || f.Attempts != tt.counted || !f.Retryable {
					t.Errorf("the dead letter says %+v", f)
				}
				if want := tt.counted; strings.Count(p.log.String(), "attempt failed") != want {
					t.Errorf("want %d failed attempts in the log, the last one too:\n%s", want, p.log.String())
				}
			})
		})
	}
}

func TestDeferredStaysForOthers(t *testing.T) {
	bubble(t, func(p *pipeline) {
		p.handle(func(context.Context, in) (any, error) { return nil, task.ErrDeferred })
		id := p.submit()
		p.batch(1)
		if s := p.row(id); s.ClaimableAt != never || s.Settled != s.Fence {
			t.Errorf("deferred: %+v", s)
		}
		p.send(tasks, p.message(id)) // a duplicate has nothing to do, also past the deadline
		p.batch(1)
		p.holds(nil)
		time.Sleep(2 * time.Hour)
		p.send(tasks, p.message(id, func(m *message) { m.Deadline = time.Now().Add(-time.Hour) }))
		p.batch(1)
		p.holds(nil)
		p.has(id, task.Running, 1)
	})
}

func TestCanceled(t *testing.T) {
	tests := map[string]struct {
		handle func(ctx context.Context, cancel func()) (any, error)
		status task.Status
		counts int
	}{
		"seen by a checkpoint": {func(ctx context.Context, cancel func()) (any, error) {
			cancel()
			return nil, task.Checkpoint(ctx, 1)
		}, task.Canceled, 1},
		"seen, and another error returned": {func(ctx context.Context, cancel func()) (any, error) {
			cancel()
			return nil, fmt.Errorf("stopped: %s", task.Checkpoint(ctx, 1).Error())
		}, task.Canceled, 1},
		"not seen, failure": {func(_ context.Context, cancel func()) (any, error) {
			cancel()
			return nil, errFlaky
		}, task.Canceled, 1},
		"not seen, permanent failure": {func(_ context.Context, cancel func()) (any, error) {
			cancel()
			return nil, task.Permanent(errFlaky)
		}, task.Canceled, 1},
		"success wins": {func(_ context.Context, cancel func()) (any, error) {
			cancel()
			return 1, nil
		}, task.Succeeded, 1},
		"not requested at all": {func(ctx context.Context, _ func()) (any, error) {
			if task.Current(ctx).Attempt == 2 {
				return 1, nil
			}
			return nil, task.ErrCanceled
		}, task.Succeeded, 2},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(p *pipeline) {
				var id string
				p.handle(func(ctx context.Context, _ in) (any, error) {
					return tt.handle(ctx, func() {
						if _, err := p.table.Cancel(ctx, "tenant", id); err != nil {
							t.Error(err)
						}
					})
				})
				id = p.submit()
				p.drain()
				p.has(id, tt.status, tt.counts)
				p.holds(nil)
			})
		})
	}
}

// A cancel that the handler has seen leaves no dead letter, on the last
// attempt either.
func TestCanceledInTheLastAttempt(t *testing.T) {
	bubble(t, func(p *pipeline) {
		p.opts.MaxAttempts = 1
		var id string
		p.handle(func(ctx context.Context, _ in) (any, error) {
			if _, err := p.table.Cancel(ctx, "tenant", id); err != nil {
				t.Error(err)
			}
			return nil, task.Checkpoint(ctx, 1)
		})
		id = p.submit()
		p.drain()
		p.has(id, task.Canceled, 1)
		p.holds(nil)
	})
}

func TestCanceledBeforeItBegan(t *testing.T) {
	bubble(t, func(p *pipeline) {
		p.handle(func(context.Context, in) (any, error) { t.Error("begun"); return nil, nil })
		queued, running := p.submit(), p.submit()
		// Another worker has the second one, and vanishes.
		p.table.Claim(p.ctx(), tasktable.NewOwner(), time.Now().Add(time.Minute), []string{running})
		for _, id := range []string{queued, running} {
			if _, err := p.table.Cancel(p.ctx(), "tenant", id); err != nil {
				t.Fatal(err)
			}
		}
		p.drain()
		p.has(queued, task.Canceled, 0)
		p.has(running, task.Canceled, 0)
		p.holds(nil)
	})
}

// A handler that ignores its context is given up. What it does when it comes
// back changes nothing.
func TestAbandoned(t *testing.T) {
	bubble(t, func(p *pipeline) {
		wake := make(chan struct{})
		var calls atomic.Int32
		var late []error
		p.handle(func(ctx context.Context, _ in) (any, error) {
			if calls.Add(1) > 1 {
				return "second", nil
			}
			<-wake
			ctx = context.WithoutCancel(ctx)
			late = append(late, task.Progress(ctx, 1, 2, ""), task.Checkpoint(ctx, 1))
			return "late", nil
		})
		id := p.submit()
		start := time.Now()
		p.batch(1)
		if took := time.Since(start); took > timeout-2*time.Second || took < timeout-5*time.Second {
			t.Errorf("answered after %v, want it between the margin and the time-out", took)
		}
		p.has(id, task.Queued, 1)
		if got := p.row(id).Code; got != task.CodeTimeout {
			t.Errorf("code %s", got)
		}
		p.drain()
		p.has(id, task.Succeeded, 2)
		before := p.row(id)
		close(wake)
		synctest.Wait()
		if after := p.row(id); after != before || after.Result != `"second"` {
			t.Errorf("the late handler left %+v after %+v", after, before)
		}
		for _, err := range late {
			if !errors.Is(err, task.ErrLeaseLost) {
				t.Errorf("it was told %v", err)
			}
		}
	})
}

// A worker that stood still past its lease and the visibility timeout has been
// overtaken.
func TestLateResultIsRefused(t *testing.T) {
	bubble(t, func(p *pipeline) {
		p.opts.Lease, p.opts.BacklogAfter = time.Minute, time.Hour
		attempt := 0
		p.handle(func(ctx context.Context, _ in) (any, error) {
			if attempt++; attempt == 1 {
				// This process stands still, and its lease ends.
				time.Sleep(visibility)
				if n, err := p.sqs.Deliver(context.WithoutCancel(ctx), tasks, 10, worker.New(p.mux, p.table, p.queues, p.dead, &p.opts).Invoke); n != 1 || err != nil {
					t.Errorf("the second worker got %d messages: %v", n, err)
				}
				return "late", nil
			}
			return "newer", nil
		})
		id := p.submit()
		p.resume(p.sqs.Receive(tasks, 1))
		if s := p.row(id); s.Status != task.Succeeded || s.Result != `"newer"` || s.Attempts != 1 {
			t.Errorf("%+v", s)
		}
		p.holds(nil)
		if !strings.Contains(p.log.String(), "lease lost") {
			t.Errorf("the log does not tell:\n%s", p.log.String())
		}
	})
}
