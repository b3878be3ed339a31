package worker_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/workqueue"
	"github.com/spillway-go/spillway/pkg/workqueue/workqueuetest"
)

// report is the failure record on a task's row.
func (p *pipeline) report(id string) workqueue.FailureRecord {
	p.t.Helper()
	f, err := workqueue.ParseFailure(string(p.db.Row(id).Report))
	if err != nil {
		p.t.Fatalf("%v\n%s", err, p.log.String())
	}
	return f
}

// attempts of a history, as "1:code 2:code".
func attempts(h []task.Attempt) string {
	parts := make([]string, len(h))
	for i, a := range h {
		parts[i] = fmt.Sprintf("%d:%s", a.Attempt, a.Code)
	}
	return strings.Join(parts, " ")
}

// failures are the tasks that are listed in a state, by fingerprint.
func (p *pipeline) failures(status task.Status) map[string][]string {
	p.t.Helper()
	page, err := p.table.Failures(p.ctx(), tasktable.FailureQuery{Status: status})
	if err != nil {
		p.t.Fatal(err)
	}
	found := map[string][]string{}
	for _, e := range page.Entries {
		found[e.Fingerprint] = append(found[e.Fingerprint], e.ID)
	}
	return found
}

// A dead letter and its row say the same about why the task failed, and the
// index lists it.
func TestLetterAndRowSayTheSame(t *testing.T) {
	bubble(t, func(p *pipeline) {
		p.opts.MaxAttempts = 3
		p.handle(func(ctx context.Context, _ in) (any, error) {
			n := task.Current(ctx).Attempt
			return nil, task.Code(fmt.Sprintf("no_%d", n), fmt.Errorf("shop.example/%d did not answer in %d ms", n, n*100))
		})
		id := p.submit()
		p.batch(1)
		if r := p.db.Row(id); attempts(r.History) != "1:no_1" || r.Report != nil || r.Fingerprint != "" {
			t.Errorf("after one attempt: %+v", r)
		}
		p.drain()
		p.has(id, task.DeadLettered, 3)
		row, letter := p.report(id), p.letter()
		if diff := cmp.Diff(letter, row); diff != "" {
			t.Errorf("row and letter differ (-letter +row):\n%s", diff)
		}
		r := p.db.Row(id)
		want := task.Fingerprint("t", task.Failure{Code: "no_3", Message: "shop.example/1 did not answer in 7 ms"})
		if letter.Fingerprint != want || r.Fingerprint != want || attempts(letter.History) != "1:no_1 2:no_2 3:no_3" {
			t.Errorf("fingerprints %s, %s; history %s", letter.Fingerprint, r.Fingerprint, attempts(letter.History))
		}
		if diff := cmp.Diff(letter.History, r.History); diff != "" {
			t.Errorf("histories differ (-letter +row):\n%s", diff)
		}
		if letter.FailedAt.UnixMilli() != r.FinishedAt || !letter.History[2].At.Equal(letter.FailedAt.Time) || letter.Queue != tasks || letter.MessageID == "" {
			t.Errorf("the letter says %+v, the row ended at %d", letter, r.FinishedAt)
		}
		if got := p.failures(task.DeadLettered); len(got) != 1 || len(got[want]) != 1 || got[want][0] != id {
			t.Errorf("listed are %v", got)
		}

		p.replay()
		p.batch(1)
		if r := p.db.Row(id); attempts(r.History) != "1:no_1" || r.Report != nil || len(p.failures(task.DeadLettered)) != 0 {
			t.Errorf("in the run of its replay: %+v", r)
		}
	})
}

// What the invocation is known by is in the record: the queues carry it on.
func TestRecordNamesTheInvocation(t *testing.T) {
	bubble(t, func(p *pipeline) {
		p.handle(func(context.Context, in) (any, error) { return nil, task.Permanent(errFlaky) })
		id := p.submit()
		ctx := lambdacontext.NewContext(p.ctx(), &lambdacontext.LambdaContext{AwsRequestID: "request-1"})
		ctx = context.WithValue(ctx, "x-amzn-trace-id", "Root=1-697df800-b;Parent=2") //nolint:staticcheck // the runtime's own key
		if _, err := p.sqs.Deliver(ctx, tasks, 1, p.handler); err != nil {
			t.Fatal(err)
		}
		p.has(id, task.Failed, 1)
		f := p.report(id)
		if f.RequestID != "request-1" || f.TraceID != "1-697df800-b" || f.Code != "flaky" || f.Retryable || attempts(f.History) != "1:flaky" {
			t.Errorf("the record is %+v", f)
		}
		if got := p.failures(task.Failed); len(got[f.Fingerprint]) != 1 {
			t.Errorf("listed are %v", got)
		}
		p.holds(nil)
	})
}

// Records of what fails for reasons of its own.
func TestRecordOfEachFailure(t *testing.T) {
	tests := map[string]struct {
		handle  func(context.Context, in) (any, error)
		status  task.Status
		code    string
		history string
	}{
		"result too large": {
			func(context.Context, in) (any, error) { return strings.Repeat("x", 500_000), nil },
			task.Failed, "result_too_large", "1:result_too_large",
		},
		"panic": {func(context.Context, in) (any, error) { panic("at the disco") }, task.DeadLettered, "panic", "1:panic 2:panic"},
		"no code": {
			func(context.Context, in) (any, error) { return nil, errors.New("no code") },
			task.DeadLettered, "handler_error", "1:handler_error 2:handler_error",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(p *pipeline) {
				p.opts.MaxAttempts = 2
				p.handle(tt.handle)
				id := p.submit()
				p.drain()
				f := p.report(id)
				if p.row(id).Status != tt.status || f.Code != tt.code || attempts(f.History) != tt.history || f.Attempts != p.row(id).Attempts {
					t.Errorf("%s: %+v", p.row(id).Status, f)
				}
				if p.db.Row(id).Fingerprint != f.Fingerprint || f.Fingerprint == "" {
					t.Errorf("listed as %q, the record says %q", p.db.Row(id).Fingerprint, f.Fingerprint)
				}
			})
		})
	}
}

// A worker that vanished told nothing about its attempt: the history has a gap,
// and what buries the task says why.
func TestRecordOfALostWorker(t *testing.T) {
	bubble(t, func(p *pipeline) {
		p.opts.MaxAttempts = 2
		p.handle(func(context.Context, in) (any, error) { return nil, errFlaky })
		id := p.submit()
		p.batch(1)
		for range 2 { // claimed, and the second one counted, by workers that vanish
			time.Sleep(time.Hour / 4)
			r := p.table.Claim(p.ctx(), tasktable.NewOwner(), time.Now().Add(time.Second), []string{id})[0].Row
			time.Sleep(2 * time.Second)
			if r.Vanished() {
				if err := p.table.Charge(p.ctx(), r); err != nil {
					t.Fatal(err)
				}
			}
		}
		p.drain()
		p.has(id, task.DeadLettered, 2)
		f := p.letter()
		if f.Code != task.CodeWorkerLost || attempts(f.History) != "1:flaky" || f.Attempts != 2 {
			t.Errorf("the record is %+v", f)
		}
		if diff := cmp.Diff(f, p.report(id)); diff != "" {
			t.Errorf("row and letter differ (-letter +row):\n%s", diff)
		}
	})
}

// The letter of the last attempt cannot be sent: the next worker sends it, with
// the attempt in its history, and only then the task is listed.
func TestRecordOfALateLetter(t *testing.T) {
	bubble(t, func(p *pipeline) {
		p.opts.MaxAttempts = 2
		p.handle(func(context.Context, in) (any, error) { return nil, errFlaky })
		id := p.submit()
		down := true
		p.sqs.Inject(func(c workqueuetest.Call) workqueuetest.Fault {
			if down && c.Queue == dead {
				return workqueuetest.Fault{Err: errors.New("down")}
			}
			return workqueuetest.Fault{}
		})
		p.batch(1)
		p.wait()
		p.batch(1)
		if r := p.db.Row(id); r.Status != task.Queued || attempts(r.History) != "1:flaky 2:flaky" || r.Report != nil || len(p.failures(task.DeadLettered)) > 0 {
			t.Errorf("without its letter: %+v", r)
		}
		down = false
		p.drain()
		p.has(id, task.DeadLettered, 2)
		if f := p.letter(); attempts(f.History) != "1:flaky 2:flaky" || f.Code != "flaky" || cmp.Diff(f, p.report(id)) != "" {
			t.Errorf("letter %+v, row %+v", f, p.report(id))
		}
	})
}

// A message of nobody's task has a record all the same.
func TestRecordOfAForeignMessage(t *testing.T) {
	bubble(t, func(p *pipeline) {
		p.handle(func(context.Context, in) (any, error) { return nil, nil })
		p.send(tasks, p.message(tasktable.NewID()))
		p.batch(1)
		f := p.letter()
		want := task.Fingerprint("t", task.Failure{Code: workqueue.CodeForeign, Message: f.Message})
		if f.Code != workqueue.CodeForeign || f.Fingerprint != want || f.History != nil {
			t.Errorf("the record is %+v", f)
		}
	})
}
