package redrive_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"

	"github.com/spillway-go/spillway/pkg/archive"
	"github.com/spillway-go/spillway/pkg/intake"
	"github.com/spillway-go/spillway/pkg/redrive"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/workqueue/workqueuetest"
)

// broken is a quarantine that keeps nothing.
type broken struct{ redrive.Quarantine }

func (broken) PutAll(_ context.Context, items []archive.Item) []error {
	errs := make([]error, len(items))
	for i := range errs {
		errs[i] = errors.New("the bucket is gone")
	}
	return errs
}

func TestRetry(t *testing.T) {
	bubble(t, func(r *rig) {
		r.fails(task.Permanent(errors.New("bad receiver")))
		failed := r.bury(1)[0]
		large := r.bury(1, func(q *intake.Request) {
			q.Input = json.RawMessage(`{"n":1` + strings.Repeat(" ", 0) + `}`)
			q.Priority = task.Bulk
		})[0]
		r.fails(errors.New("later"))
		letter := r.bury(1)[0]
		r.succeed()
		for _, id := range []string{failed, large, letter} {
			row, job, err := r.redrive().Retry(r.ctx(), id, "ada", "req-7")
			if err != nil || row.Status != task.Queued || row.Run != 2 || job == "" {
				t.Fatalf("%+v, %s, %v", row, job, err)
			}
			h, err := r.redrive().Job(r.ctx(), job, 0, 10)
			if err != nil || h.Status != redrive.Done || h.Replayed != 1 || h.Request.By != "ada" || len(h.Messages) != 1 || h.Messages[0].TaskID != id {
				t.Errorf("%+v, %v", h, err)
			}
		}
		if r.depth(backlog) != 1 || r.depth(tasks) != 2 {
			t.Errorf("tasks %d, backlog %d", r.depth(tasks), r.depth(backlog))
		}
		r.work()
		for _, id := range []string{failed, large, letter} {
			r.is(id, task.Succeeded, 2)
		}
		// The letter that is left says so, and goes with the next replay.
		report := r.replay(redrive.Request{})
		if report.Dropped != 1 || report.Reasons["succeeded"] != 1 {
			t.Errorf("%+v", report)
		}
		r.holds(0, 0)
		if _, _, err := r.redrive().Retry(r.ctx(), letter, "", ""); !errors.Is(err, redrive.ErrNotRetryable) || !strings.Contains(err.Error(), "succeeded") {
			t.Errorf("%v", err)
		}
		if _, _, err := r.redrive().Retry(r.ctx(), "no-such-task", "", ""); !errors.Is(err, redrive.ErrNotFound) {
			t.Errorf("%v", err)
		}
		short := r.submit(1, func(q *intake.Request) { ttl := time.Minute; q.TTL = &ttl })
		r.fails(errors.New("no"))
		r.work()
		time.Sleep(time.Hour)
		if _, _, err := r.redrive().Retry(r.ctx(), short[0], "", ""); !errors.Is(err, redrive.ErrDeadline) {
			t.Errorf("%v", err)
		}
		r.is(short[0], task.DeadLettered, 1)
	})
}

// The message could not be sent: the task is queued, and repeating the retry
// sends it.
func TestRetryUnsent(t *testing.T) {
	bubble(t, func(r *rig) {
		id := r.bury(1)[0]
		broken := true
		r.sqs.Inject(func(c workqueuetest.Call) workqueuetest.Fault {
			if broken && c.Operation == "SendMessage" {
				return workqueuetest.Fault{Err: errors.New("no route")}
			}
			return workqueuetest.Fault{}
		})
		if _, _, err := r.redrive().Retry(r.ctx(), id, "", ""); err == nil || !strings.Contains(err.Error(), "repeat") {
			t.Errorf("%v", err)
		}
		r.is(id, task.Queued, 2)
		broken = false
		if row, _, err := r.redrive().Retry(r.ctx(), id, "", ""); err != nil || row.Run != 2 {
			t.Errorf("%+v, %v", row, err)
		}
		r.succeed()
		r.work()
		r.is(id, task.Succeeded, 2)
		if n := r.times(id, 2); n != 1 {
			t.Errorf("it ran %d times", n)
		}
	})
}

func TestRetryByFilter(t *testing.T) {
	bubble(t, func(r *rig) {
		dead := r.bury(7)
		mails := r.bury(3, func(q *intake.Request) { q.Type = "mail.send" })
		r.fails(task.Permanent(task.Code("no_account", errors.New("there is no such account"))))
		failed := r.bury(5)
		p := r.plan(redrive.Request{Kind: redrive.KindRetry, Filter: redrive.Filter{Status: task.Failed}})
		if p.Matched != 5 || p.Replay != 5 || len(p.Groups) != 1 || p.Groups[0].Code != "no_account" {
			t.Errorf("%+v", p)
		}
		for _, id := range failed {
			r.is(id, task.Failed, 1)
		}
		r.succeed()
		report, err := r.redrive().Execute(r.ctx(), p.ID, redrive.KindRetry, "", redrive.Settings{})
		if err != nil || report.Replayed != 5 || !report.Finished {
			t.Fatalf("%+v, %v", report, err)
		}
		report = r.replay(redrive.Request{Kind: redrive.KindRetry, Filter: redrive.Filter{Type: "report.build", ErrorContains: "500"}, Max: 4})
		if report.Replayed != 4 {
			t.Errorf("%+v", report)
		}
		report = r.replay(redrive.Request{Kind: redrive.KindRetry, Filter: redrive.Filter{Type: "report.build"}, Rate: 1})
		if report.Replayed != 3 {
			t.Errorf("%+v", report)
		}
		report = r.replay(redrive.Request{Kind: redrive.KindRetry, Filter: redrive.Filter{IDs: []string{mails[0], "nonsense"}}})
		if report.Replayed != 1 {
			t.Errorf("%+v", report)
		}
		r.work()
		for _, id := range append(append(failed, dead...), mails[0]) {
			r.is(id, task.Succeeded, 2)
		}
		r.is(mails[1], task.DeadLettered, 1)
	})
}

// A retry that is killed anywhere is resumed, and each task runs once more.
func TestRetryKilledAnywhere(t *testing.T) {
	for n := 0; ; n++ {
		killed := true
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			synctestRun(t, func(r *rig) {
				ids := r.bury(13)
				p := r.plan(redrive.Request{Kind: redrive.KindRetry})
				r.succeed()
				r.life.kill(n, n%2 == 1)
				_, _ = r.redrive().Execute(r.ctx(), p.ID, redrive.KindRetry, "", redrive.Settings{})
				killed = r.life.again()
				time.Sleep(invocation + 5*time.Second)
				report, err := r.redrive().Execute(r.ctx(), p.ID, redrive.KindRetry, "", redrive.Settings{})
				if err != nil || !report.Finished || report.Replayed != 13 {
					t.Fatalf("%+v, %v", report, err)
				}
				r.work()
				for _, id := range ids {
					r.is(id, task.Succeeded, 2)
					if n := r.times(id, 2); n != 1 {
						t.Errorf("task %s ran %d times", id, n)
					}
				}
			})
		})
		if !killed || t.Failed() {
			return
		}
	}
}

// mover is SQS's own move task.
type mover struct {
	in  *sqs.StartMessageMoveTaskInput
	err error
}

func (m *mover) StartMessageMoveTask(_ context.Context, in *sqs.StartMessageMoveTaskInput, _ ...func(*sqs.Options)) (*sqs.StartMessageMoveTaskOutput, error) {
	m.in = in
	return &sqs.StartMessageMoveTaskOutput{TaskHandle: aws.String("handle-1")}, m.err
}

func TestNative(t *testing.T) {
	bubble(t, func(r *rig) {
		m := &mover{}
		r.move = m
		handle, job, err := r.redrive().Move(r.ctx(), redrive.Request{Queue: "tasks", Rate: 50, By: "ada"})
		if err != nil || handle != "handle-1" || aws.ToInt32(m.in.MaxNumberOfMessagesPerSecond) != 50 ||
			aws.ToString(m.in.SourceArn) != "arn:aws:sqs:eu-central-1:123456789012:dead-letter" || aws.ToString(m.in.DestinationArn) != "arn:aws:sqs:eu-central-1:123456789012:tasks" {
			t.Errorf("%s, %+v, %v", handle, m.in, err)
		}
		if h, err := r.redrive().Job(r.ctx(), job, 0, 0); err != nil || h.Request.Kind != redrive.KindNative || h.Request.By != "ada" || !strings.Contains(h.Note, "handle-1") {
			t.Errorf("%+v, %v", h, err)
		}
		for name, q := range map[string]redrive.Request{
			"filter":   {Filter: redrive.Filter{Type: "a"}},
			"canary":   {Canary: 1},
			"max":      {Max: 1},
			"rate":     {Rate: 501},
			"fraction": {Rate: 0.5},
		} {
			q.Queue = "tasks"
			if _, _, err := r.redrive().Move(r.ctx(), q); !errors.Is(err, redrive.ErrInvalid) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, _, err := r.redrive().Move(r.ctx(), redrive.Request{Queue: "stream"}); !errors.Is(err, redrive.ErrUnsupported) {
			t.Errorf("%v", err)
		}
		for _, code := range []string{"InvalidAction", "AWS.SimpleQueueService.NotImplemented", "UnknownOperationException"} {
			m.err = &smithy.GenericAPIError{Code: code}
			if _, _, err := r.redrive().Move(r.ctx(), redrive.Request{Queue: "tasks"}); !errors.Is(err, redrive.ErrUnsupported) || !strings.Contains(err.Error(), "leave native out") {
				t.Errorf("%s: %v", code, err)
			}
		}
		m.err = &smithy.GenericAPIError{Code: "AWS.SimpleQueueService.UnsupportedOperation", Message: "There is already a task running."}
		if _, _, err := r.redrive().Move(r.ctx(), redrive.Request{Queue: "tasks"}); !errors.Is(err, redrive.ErrBusy) {
			t.Errorf("%v", err)
		}
	})
}

// What SQS moves itself, or a console does, runs once more as well: the message
// carries the next run.
func TestMovedByHand(t *testing.T) {
	bubble(t, func(r *rig) {
		ids := r.bury(3)
		r.succeed()
		for _, rec := range r.sqs.Receive(dead, 10) {
			for _, m := range r.sqs.Messages(dead) {
				if m.ID == rec.MessageId {
					if err := r.queues[tasks].Send(t.Context(), outgoing(m)); err != nil {
						t.Fatal(err)
					}
				}
			}
			r.sqs.Delete(dead, rec.ReceiptHandle)
		}
		r.work()
		for _, id := range ids {
			r.is(id, task.Succeeded, 2)
		}
		o, err := r.redrive().Overview(r.ctx(), "tasks")
		if err != nil || o.Indexed != 0 || len(o.Groups) != 0 {
			t.Errorf("%+v, %v", o, err)
		}
	})
}
