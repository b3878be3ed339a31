package redrive_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/spillway-go/spillway/pkg/intake"
	"github.com/spillway-go/spillway/pkg/redrive"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

// A job replays each task once. What fails again while it runs comes back as a
// letter of the next run, and is left alone.
func TestOncePerJob(t *testing.T) {
	for _, planned := range []bool{false, true} {
		t.Run(fmt.Sprint("planned ", planned), func(t *testing.T) {
			bubble(t, func(r *rig) {
				ids := r.bury(12)
				done := make(chan *redrive.Report)
				go func() {
					q := redrive.Request{Kind: redrive.KindReplay, Queue: "tasks", Rate: 1}
					if !planned {
						done <- r.replay(q)
						return
					}
					report, err := r.execute(r.plan(q).ID)
					if err != nil {
						t.Error(err)
					}
					done <- report
				}()
				for range 12 { // each fails again at once
					time.Sleep(time.Second)
					r.work()
				}
				report := <-done
				if report.Replayed != 12 || report.Failed != 0 {
					t.Errorf("%+v", report)
				}
				r.work()
				for _, id := range ids {
					r.is(id, task.DeadLettered, 2)
					if n := r.times(id, 2) + r.times(id, 3); n != 1 {
						t.Errorf("task %s ran %d times again", id, n)
					}
				}
				r.holds(0, 12)
				time.Sleep(invocation)
				r.visible()
			})
		})
	}
}

// Whoever can send to the dead-letter queue can write a letter. What does not
// agree with its task does nothing to it.
func TestForgedLetters(t *testing.T) {
	bubble(t, func(r *rig) {
		id := r.bury(1)[0]
		forge := func(change func(*workqueue.Message), attributes ...string) {
			t.Helper()
			m := workqueue.Message{
				TaskID: id, Run: 2, Type: "report.build", Tenant: "acme", CreatedAt: time.Now(), Deadline: time.Now().Add(time.Hour),
				Input: []byte(`{"n":666}`), Origin: tasks,
			}
			change(&m)
			out, err := workqueue.Encode(m)
			if err != nil {
				t.Fatal(err)
			}
			out.Attributes["failure"] = text(`{"code":"http_500","message":"` + strings.Repeat(`\u001b[2J`, 500) + `"}`)
			for i := 0; i < len(attributes); i += 2 {
				out.Attributes[attributes[i]] = text(attributes[i+1])
			}
			if err := r.queues[dead].Send(t.Context(), out); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Millisecond)
		}
		forge(func(m *workqueue.Message) { m.Tenant = "evil" })
		forge(func(m *workqueue.Message) { m.Type = "mail.send" })
		forge(func(m *workqueue.Message) { m.Run = 7 })
		forge(func(m *workqueue.Message) { m.Run = 2147483646 })
		forge(func(m *workqueue.Message) { m.Run, m.Origin = 99, "somebody-elses" })
		list, err := r.redrive().List(r.ctx(), "tasks", redrive.Filter{}, 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range list.Letters {
			if len(l.Failure.Message) > 1000 || strings.ContainsRune(l.Failure.Message, '\u001b') {
				t.Errorf("a message of %d bytes", len(l.Failure.Message))
			}
		}
		report := r.replay(redrive.Request{Kind: redrive.KindReplay, Queue: "tasks", Filter: redrive.Filter{Tenant: "evil"}})
		if report.Replayed != 0 || report.Reasons[redrive.ReasonMismatch] != 1 {
			t.Errorf("%+v", report)
		}
		r.is(id, task.DeadLettered, 1)
		r.succeed()
		for range 3 { // the genuine one gets its turn, whoever stands in its way
			r.replay(redrive.Request{})
		}
		r.work()
		r.is(id, task.Succeeded, 2)
		if n := r.times(id, 2); n != 1 {
			t.Errorf("it ran %d times", n)
		}
	})
}

// Where the index and the queue differ, what is in the queue counts: rows outlive
// their letters, and SQS moves messages that have no entry.
func TestStaleIndex(t *testing.T) {
	bubble(t, func(r *rig) {
		gone := r.bury(3)
		for _, rec := range r.sqs.Receive(dead, 10) {
			r.sqs.Delete(dead, rec.ReceiptHandle) // by hand
		}
		r.foreign("one", map[string]attribute{"origin": text(tasks)})
		r.foreign("two", map[string]attribute{"origin": text(tasks)})
		o, err := r.redrive().Overview(r.ctx(), "tasks")
		if err != nil || len(o.Groups) != 1 || o.Groups[0].Count != 2 || o.Groups[0].Code != redrive.CodeUnexplained || !o.Complete {
			t.Errorf("%+v, %v", o, err)
		}
		p := r.plan(redrive.Request{})
		if p.Matched != 2 || p.Replay != 2 || !p.Complete {
			t.Errorf("%+v", p)
		}
		if report, err := r.execute(p.ID); err != nil || report.Replayed != 2 || report.AtLeastOnce != 2 {
			t.Errorf("%+v, %v", report, err)
		}
		// They can be retried without their letters.
		r.succeed()
		if report := r.replay(redrive.Request{Kind: redrive.KindRetry}); report.Replayed != 3 {
			t.Errorf("%+v", report)
		}
		r.work()
		for _, id := range gone {
			r.is(id, task.Succeeded, 2)
		}
	})
}

// A task that has failed in another way since the plan was made is not what was
// planned.
func TestPlanOfAnotherFailure(t *testing.T) {
	for _, kind := range []redrive.Kind{redrive.KindReplay, redrive.KindRetry} {
		t.Run(string(kind), func(t *testing.T) {
			bubble(t, func(r *rig) {
				id := r.bury(1)[0]
				queue := map[redrive.Kind]string{redrive.KindReplay: "tasks"}[kind]
				p := r.plan(redrive.Request{Kind: kind, Queue: queue, Filter: redrive.Filter{ErrorContains: "http_500"}})
				if p.Replay != 1 {
					t.Fatalf("%+v", p)
				}
				if _, _, err := r.redrive().Retry(r.ctx(), id, "", ""); err != nil {
					t.Fatal(err)
				}
				r.fails(task.Code("other", errors.New("in another way")))
				r.work()
				report, err := r.redrive().Execute(r.ctx(), p.ID, kind, queue, redrive.Settings{})
				if err != nil || report.Replayed != 0 || !report.Finished {
					t.Errorf("%+v, %v", report, err)
				}
				r.is(id, task.DeadLettered, 2)
			})
		})
	}
}

// One message that was replayed too often keeps its neighbours neither back nor
// sends them twice.
func TestExhaustedAmongOthers(t *testing.T) {
	bubble(t, func(r *rig) {
		r.opts.MaxReplays = 2
		worn := r.bury(1)[0]
		for range 2 {
			r.replay(redrive.Request{})
			r.work()
		}
		ids := r.bury(9)
		r.succeed()
		report := r.replay(redrive.Request{})
		if report.Replayed != 9 || report.Reasons[redrive.ReasonExhausted] != 1 {
			t.Errorf("%+v", report)
		}
		r.work()
		for _, id := range ids {
			r.is(id, task.Succeeded, 2)
			if n := r.times(id, 2); n != 1 {
				t.Errorf("task %s ran %d times", id, n)
			}
		}
		r.is(worn, task.DeadLettered, 3)
		r.holds(0, 1)
	})
}

// The row counts as well: a letter that was moved back by hand has no attribute
// that does.
func TestReplaysOfARow(t *testing.T) {
	bubble(t, func(r *rig) {
		id := r.bury(1)[0]
		for range 3 {
			m := r.sqs.Messages(dead)[0]
			m.Attributes = map[string]attribute{"origin": m.Attributes["origin"], "failure": m.Attributes["failure"], "replays": {DataType: aws.String("Number"), StringValue: aws.String("0")}}
			if err := r.queues[tasks].Send(t.Context(), outgoing(m)); err != nil {
				t.Fatal(err)
			}
			for _, rec := range r.sqs.Receive(dead, 10) {
				r.sqs.Delete(dead, rec.ReceiptHandle)
			}
			r.work()
		}
		r.opts.MaxReplays = 2
		if report := r.replay(redrive.Request{}); report.Replayed != 0 || report.Reasons[redrive.ReasonExhausted] != 1 {
			t.Errorf("%+v", report)
		}
		r.is(id, task.DeadLettered, 4)
		r.visible()
	})
}

// Purging the letter of an old run leaves the task's own letter listed.
func TestPurgeOfAnOldLetter(t *testing.T) {
	bubble(t, func(r *rig) {
		id := r.bury(1)[0]
		old := r.sqs.Messages(dead)[0].ID
		if _, _, err := r.redrive().Retry(r.ctx(), id, "", ""); err != nil {
			t.Fatal(err)
		}
		r.work()
		if report, err := r.redrive().Purge(r.ctx(), redrive.Request{Queue: "tasks", Filter: redrive.Filter{IDs: []string{old}}}); err != nil || report.Quarantined != 1 {
			t.Fatalf("%+v, %v", report, err)
		}
		if o, err := r.redrive().Overview(r.ctx(), "tasks"); err != nil || o.Indexed != 1 || len(o.Groups) != 1 || o.Groups[0].Count != 1 {
			t.Errorf("%+v, %v", o, err)
		}
	})
}

// Bounds of what is asked for.
func TestBounds(t *testing.T) {
	bubble(t, func(r *rig) {
		long := strings.Repeat("x", 300)
		for name, q := range map[string]redrive.Request{
			"a rate that is no rate": {Rate: 1e-11},
			"a long type":            {Filter: redrive.Filter{Type: long}},
			"a long tenant":          {Filter: redrive.Filter{Tenant: long}},
			"a long error":           {Filter: redrive.Filter{ErrorContains: long}},
			"a long id":              {Filter: redrive.Filter{IDs: []string{long}}},
			"many ids":               {Filter: redrive.Filter{IDs: make([]string, 1001)}},
		} {
			q.Kind, q.Queue = redrive.KindReplay, "tasks"
			if _, err := r.redrive().Plan(r.ctx(), q); !errors.Is(err, redrive.ErrInvalid) {
				t.Errorf("%s: %v", name, err)
			}
		}
		// A plan that was stopped expires as well.
		r.bury(1)
		p := r.plan(redrive.Request{})
		if _, err := r.redrive().Stop(r.ctx(), p.ID, "", ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Hour)
		if _, err := r.execute(p.ID); !errors.Is(err, redrive.ErrPlanExpired) {
			t.Errorf("%v", err)
		}
		// And the queue is free.
		ttl := 24 * time.Hour
		r.bury(1, func(q *intake.Request) { q.TTL = &ttl })
		if report := r.replay(redrive.Request{}); report.Replayed != 2 {
			t.Errorf("%+v", report)
		}
	})
}
