package redrive_test

import (
	"context"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/pkg/intake"
	"github.com/spillway-go/spillway/pkg/redrive"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/workqueue"
	"github.com/spillway-go/spillway/pkg/workqueue/workqueuetest"
)

// foreign puts something on the dead-letter queue that is no task.
func (r *rig) foreign(body string, attributes map[string]types.MessageAttributeValue) {
	r.t.Helper()
	if err := r.queues[dead].Send(r.t.Context(), workqueue.Outgoing{Body: body, Attributes: attributes}); err != nil {
		r.t.Fatal(err)
	}
	time.Sleep(time.Millisecond)
}

func text(s string) types.MessageAttributeValue {
	return types.MessageAttributeValue{DataType: aws.String("String"), StringValue: &s}
}

func TestReplay(t *testing.T) {
	bubble(t, func(r *rig) {
		ids := r.bury(25)
		r.holds(0, 25)
		r.succeed()
		report := r.replay(redrive.Request{By: "ada"})
		if report.Status != redrive.Done || !report.Finished || report.Matched != 25 || report.Replayed != 25 || report.Skipped+report.Failed != 0 {
			t.Errorf("%+v", report)
		}
		r.holds(25, 0)
		r.work()
		for _, id := range ids {
			r.is(id, task.Succeeded, 2)
			if n := r.times(id, 2); n != 1 {
				t.Errorf("task %s ran %d times again", id, n)
			}
		}
		r.holds(0, 0)
	})
}

func TestFilter(t *testing.T) {
	bubble(t, func(r *rig) {
		mail := func(q *intake.Request) { q.Type = "mail.send" }
		other := func(q *intake.Request) { q.Tenant = "globex" }
		r.bury(2, mail)
		r.bury(3, other)
		r.fails(task.Code("timeout", errors.New("too slow")))
		time.Sleep(time.Hour)
		slow := r.bury(4)
		for _, tt := range []struct {
			filter redrive.Filter
			want   int
		}{
			{redrive.Filter{}, 9},
			{redrive.Filter{Type: "mail.send"}, 2},
			{redrive.Filter{Type: "no.such"}, 0},
			{redrive.Filter{Tenant: "globex"}, 3},
			{redrive.Filter{ErrorContains: "TOO SLOW"}, 4},
			{redrive.Filter{ErrorContains: "http_500"}, 5},
			{redrive.Filter{OlderThan: time.Minute}, 5},
			{redrive.Filter{NewerThan: time.Minute}, 4},
			{redrive.Filter{Tenant: "acme", OlderThan: time.Minute}, 2},
			{redrive.Filter{IDs: slow[:2]}, 2},
			{redrive.Filter{IDs: []string{slow[0], "no-such"}}, 1},
		} {
			p := r.plan(redrive.Request{Filter: tt.filter})
			list, err := r.redrive().List(r.ctx(), "tasks", tt.filter, 0)
			if err != nil || p.Matched != tt.want || len(list.Letters) != tt.want || !p.Complete || !list.Complete {
				t.Errorf("%+v: planned %d, listed %d, want %d (%v)", tt.filter, p.Matched, len(list.Letters), tt.want, err)
			}
			r.visible()
		}
		r.succeed()
		if report := r.replay(redrive.Request{Kind: redrive.KindReplay, Queue: "tasks", Filter: redrive.Filter{Type: "mail.send"}}); report.Replayed != 2 || report.Matched != 2 {
			t.Errorf("%+v", report)
		}
		r.holds(2, 7)
		r.visible()
		if report := r.replay(redrive.Request{Kind: redrive.KindReplay, Queue: "tasks", Filter: redrive.Filter{Type: "no.such"}}); report.Matched != 0 || !report.Finished {
			t.Errorf("nothing matches: %+v", report)
		}
		if report := r.replay(redrive.Request{Kind: redrive.KindReplay, Queue: "tasks", Max: 3}); report.Replayed != 3 {
			t.Errorf("%+v", report)
		}
		r.holds(5, 4)
		r.visible()
	})
}

// Each letter goes back to the queue that its task was sent to first, and to no
// other: not to every queue that shares the dead-letter queue.
func TestOrigin(t *testing.T) {
	bubble(t, func(r *rig) {
		r.bury(3)
		r.bury(2, func(q *intake.Request) { q.Priority = task.Bulk })
		r.foreign("no idea where this is from", nil)
		r.foreign("not ours", map[string]types.MessageAttributeValue{"origin": text("somebody-elses")})
		report := r.replay(redrive.Request{})
		if report.Replayed != 5 || report.Reasons[redrive.ReasonOrigin] != 2 || report.Skipped != 2 {
			t.Errorf("%+v", report)
		}
		if got := [3]int{r.depth(tasks), r.depth(backlog), r.depth(dead)}; got != [3]int{3, 2, 2} {
			t.Errorf("tasks, backlog, dead letters: %v", got)
		}
		r.visible()
	})
}

// SQS itself moves what its consumer crashes on each time. It says so, and
// comes back with a run of its own.
func TestMovedBySQS(t *testing.T) {
	bubble(t, func(r *rig) {
		ids := r.submit(2)
		for range 3 { // the worker dies each time
			records := r.sqs.Receive(tasks, 10)
			if len(records) != 2 {
				t.Fatalf("%d records", len(records))
			}
			r.table.Claim(t.Context(), tasktableOwner(), time.Now().Add(time.Second), ids)
			time.Sleep(31 * time.Second)
		}
		r.sqs.Receive(tasks, 10)
		r.holds(0, 2)
		list, err := r.redrive().List(r.ctx(), "tasks", redrive.Filter{ErrorContains: "moved_by_sqs"}, 0)
		if err != nil || len(list.Letters) != 2 || list.Letters[0].MovedBy != redrive.BySQS || list.Letters[0].Origin() != tasks {
			t.Fatalf("%+v, %v", list, err)
		}
		o, err := r.redrive().Overview(r.ctx(), "tasks")
		if err != nil || len(o.Groups) != 1 || o.Groups[0].Count != 2 || o.Groups[0].Code != redrive.CodeMoved || o.Groups[0].MovedBy != redrive.BySQS || o.Indexed != 0 {
			t.Errorf("%+v, %v", o, err)
		}
		r.visible()
		r.succeed()
		if report := r.replay(redrive.Request{}); report.Replayed != 2 {
			t.Errorf("%+v", report)
		}
		r.work()
		for _, id := range ids {
			r.is(id, task.Succeeded, 2)
		}
		r.holds(0, 0)
	})
}

// What can no longer be replayed is taken off the queue and said; what is being
// worked on stays.
func TestNotReplayed(t *testing.T) {
	bubble(t, func(r *rig) {
		ids := r.bury(6)
		short := r.bury(1, func(q *intake.Request) { ttl := time.Hour; q.TTL = &ttl })[0]
		if _, err := r.table.Cancel(t.Context(), "acme", ids[0]); err != nil {
			t.Fatal(err)
		}
		r.succeed()
		// Somebody has retried two of them: one has succeeded, one is under way.
		for _, id := range ids[1:3] {
			if _, _, err := r.redrive().Retry(r.ctx(), id, "ada", ""); err != nil {
				t.Fatal(err)
			}
			if id == ids[1] {
				r.work()
			}
		}
		if c := r.table.Claim(t.Context(), tasktableOwner(), time.Now().Add(3*time.Hour), ids[2:3]); c[0].Row == nil {
			t.Fatalf("%+v", c)
		}
		time.Sleep(2 * time.Hour)
		report := r.replay(redrive.Request{})
		want := map[string]int{"canceled": 1, "succeeded": 1, redrive.ReasonRunning: 1, redrive.ReasonDeadline: 1}
		if report.Replayed != 3 || report.Dropped != 2 || report.Skipped != 4 || !maps.Equal(report.Reasons, want) {
			t.Errorf("%+v", report)
		}
		r.visible()
		if r.depth(dead) != 2 {
			t.Errorf("%d dead letters, want 2", r.depth(dead))
		}
		r.is(short, task.DeadLettered, 1)
		r.is(ids[0], task.Canceled, 1)
		r.is(ids[1], task.Succeeded, 2)
	})
}

// A task that fails again comes back as a letter of its next run. The job that
// replayed it leaves it alone, and says that it failed the same way; how often
// it can be replayed is bounded.
func TestFailsAgain(t *testing.T) {
	bubble(t, func(r *rig) {
		r.opts.MaxReplays = 3
		id := r.bury(1)[0]
		for run := 2; run <= 4; run++ {
			report := r.replay(redrive.Request{})
			if report.Replayed != 1 {
				t.Fatalf("run %d: %+v", run, report)
			}
			r.work()
			r.is(id, task.DeadLettered, run)
			h, err := r.redrive().Job(r.ctx(), report.JobID, 0, 10)
			if err != nil || h.Outcomes == nil || h.Outcomes.FailedSame != 1 || len(h.Messages) != 1 || h.Messages[0].Became != "failed_same" {
				t.Errorf("%+v, %v", h, err)
			}
		}
		report := r.replay(redrive.Request{})
		if report.Replayed != 0 || report.Reasons[redrive.ReasonExhausted] != 1 {
			t.Errorf("%+v", report)
		}
		r.holds(0, 1)
		r.visible()
		if _, _, err := r.redrive().Retry(r.ctx(), id, "", ""); !errors.Is(err, redrive.ErrNotRetryable) {
			t.Errorf("%v", err)
		}
	})
}

func TestOutcomes(t *testing.T) {
	bubble(t, func(r *rig) {
		ids := r.bury(3)
		report := r.replay(redrive.Request{By: "ada", RequestID: "req-1"})
		h, err := r.redrive().Job(r.ctx(), report.JobID, 0, 0)
		if err != nil || h.Outcomes == nil || h.Outcomes.Pending != 3 {
			t.Fatalf("%+v, %v", h, err)
		}
		r.fails(task.Code("other", errors.New("another way")))
		n, err := r.sqs.Deliver(r.ctx(), tasks, 1, r.worker.Invoke)
		if n != 1 || err != nil {
			t.Fatal(n, err)
		}
		r.fails(task.Permanent(task.Code("http_500", errors.New("the receiver answered 500"))))
		if n, err = r.sqs.Deliver(r.ctx(), tasks, 1, r.worker.Invoke); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		r.succeed()
		r.work()
		h, err = r.redrive().Job(r.ctx(), report.JobID, 0, 100)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&redrive.Outcomes{Succeeded: 1, FailedSame: 1, FailedOther: 1}, h.Outcomes); diff != "" {
			t.Errorf("outcomes (-want +got):\n%s", diff)
		}
		var trail []string
		for _, e := range h.Events {
			trail = append(trail, e.What+" by "+e.By)
		}
		if got := strings.Join(trail, ", "); got != "begun by ada, done by , all its tasks have ended by " {
			t.Errorf("events: %s", got)
		}
		if h.Request.RequestID != "req-1" || len(h.Messages) != 3 {
			t.Errorf("%+v", h)
		}
		// They are kept when the tasks are gone.
		for _, id := range ids {
			r.db.Delete(id)
		}
		h, err = r.redrive().Job(r.ctx(), report.JobID, 0, 0)
		if err != nil || h.Outcomes.Succeeded != 1 {
			t.Errorf("%+v, %v", h, err)
		}
		if jobs, err := r.redrive().Jobs(r.ctx(), 10); err != nil || len(jobs) != 1 || jobs[0].Replayed != 3 || jobs[0].Outcomes.FailedSame != 1 {
			t.Errorf("%+v, %v", jobs, err)
		}
	})
}

func TestCanary(t *testing.T) {
	bubble(t, func(r *rig) {
		r.bury(12)
		done := make(chan *redrive.Report)
		go func() { done <- r.replay(redrive.Request{Kind: redrive.KindReplay, Queue: "tasks", Canary: 3}) }()
		time.Sleep(5 * time.Second)
		r.holds(3, 9)
		r.work() // they fail again
		report := <-done
		if report.Status != redrive.CanaryFailed || report.Replayed != 3 || report.Canary == nil || report.Canary.Failed == 0 || report.Note == "" {
			t.Errorf("%+v", report)
		}
		time.Sleep(time.Minute)
		r.holds(0, 12)
		r.visible()
		if _, err := r.execute(report.JobID); !errors.Is(err, redrive.ErrPlanUsed) {
			t.Errorf("%v", err)
		}

		r.succeed()
		go func() { done <- r.replay(redrive.Request{Kind: redrive.KindReplay, Queue: "tasks", Canary: 3}) }()
		time.Sleep(5 * time.Second)
		r.holds(3, 9)
		r.work()
		report = <-done
		if report.Status != redrive.Done || report.Replayed != 12 || report.Canary.Succeeded != 3 {
			t.Errorf("%+v", report)
		}
		r.holds(9, 0)
	})
}

// A canary that nobody works on has its time; then the rest stays where it is.
func TestCanaryThatHangs(t *testing.T) {
	bubble(t, func(r *rig) {
		r.opts.CanaryFor = 5 * time.Second
		r.bury(4)
		report := r.replay(redrive.Request{Canary: 2, Kind: redrive.KindReplay, Queue: "tasks"})
		if report.Status != redrive.CanaryFailed || report.Canary.Pending != 2 || !strings.Contains(report.Note, "in time") {
			t.Errorf("%+v", report)
		}
		r.holds(2, 2)
		r.visible()
	})
}

// The rate holds over invocations.
func TestRate(t *testing.T) {
	bubble(t, func(r *rig) {
		r.opts.Continue = func(context.Context, string, int) error { return nil }
		r.bury(400)
		begun := time.Now()
		report := r.replay(redrive.Request{Kind: redrive.KindReplay, Queue: "tasks", Rate: 10})
		for hop := 1; !report.Finished; hop++ {
			if report.Status != redrive.Running || report.Hops != hop || hop > 5 {
				t.Fatalf("%+v", report)
			}
			var err error
			if report, err = r.redrive().Resume(r.ctx(), report.JobID, hop); err != nil {
				t.Fatal(err)
			}
		}
		took := time.Since(begun)
		if report.Replayed != 400 || took < 38*time.Second || took > 44*time.Second {
			t.Errorf("%d at 10 a second took %s", report.Replayed, took)
		}
		var first, last time.Time
		for _, m := range r.sqs.Messages(tasks) {
			if first.IsZero() || m.SentAt.Before(first) {
				first = m.SentAt
			}
			if m.SentAt.After(last) {
				last = m.SentAt
			}
		}
		if rate := 399 / last.Sub(first).Seconds(); rate < 9.5 || rate > 10.5 {
			t.Errorf("%.2f messages a second, want 10", rate)
		}
	})
}

func TestStopAndResume(t *testing.T) {
	bubble(t, func(r *rig) {
		r.bury(100)
		p := r.plan(redrive.Request{Rate: 10})
		done := make(chan *redrive.Report)
		go func() {
			report, err := r.execute(p.ID)
			if err != nil {
				t.Error(err)
			}
			done <- report
		}()
		time.Sleep(4 * time.Second)
		if _, err := r.execute(p.ID); !errors.Is(err, redrive.ErrBusy) {
			t.Errorf("the same plan: %v", err)
		}
		if _, err := r.redrive().Run(r.ctx(), redrive.Request{Kind: redrive.KindReplay, Queue: "tasks"}); !errors.Is(err, redrive.ErrBusy) || !strings.Contains(err.Error(), p.ID) {
			t.Errorf("another job: %v", err)
		}
		stopping, err := r.redrive().Stop(r.ctx(), p.ID, "ada", "")
		if err != nil || stopping.Status != redrive.Stopping {
			t.Errorf("%+v, %v", stopping, err)
		}
		report := <-done
		if report.Status != redrive.Stopped || report.Replayed < 30 || report.Replayed > 70 || report.Finished {
			t.Errorf("%+v", report)
		}
		r.visible()
		sent := report.Replayed
		r.holds(sent, 100-sent)
		if report, err = r.execute(p.ID); err != nil || !report.Finished || report.Replayed != 100 {
			t.Errorf("%+v, %v", report, err)
		}
		r.holds(100, 0)
	})
}

// At least once is what a message without a row gets, and the report says so.
func TestWithoutRow(t *testing.T) {
	bubble(t, func(r *rig) {
		ids := r.bury(2)
		r.db.Delete(ids[0])
		binary := types.MessageAttributeValue{DataType: aws.String("Binary.gzip"), BinaryValue: []byte{0, 1, 2}}
		number := types.MessageAttributeValue{DataType: aws.String("Number.int"), StringValue: aws.String("7")}
		r.foreign(`{"some":"body"}`, map[string]types.MessageAttributeValue{
			"origin": text(tasks), "bytes": binary, "count": number, "label": {DataType: aws.String("String.x"), StringValue: aws.String("y")},
		})
		report := r.replay(redrive.Request{})
		if report.Replayed != 3 || report.AtLeastOnce != 2 {
			t.Errorf("%+v", report)
		}
		// Attributes of every type survive.
		for _, m := range r.sqs.Messages(tasks) {
			if m.Body != `{"some":"body"}` {
				continue
			}
			want := map[string]types.MessageAttributeValue{
				"origin": text(tasks), "bytes": binary, "count": number, "label": {DataType: aws.String("String.x"), StringValue: aws.String("y")},
				"replays": {DataType: aws.String("Number"), StringValue: aws.String("1")},
			}
			if diff := cmp.Diff(want, m.Attributes, cmp.AllowUnexported(types.MessageAttributeValue{})); diff != "" {
				t.Errorf("attributes (-want +got):\n%s", diff)
			}
		}
	})
}

// One entry of a batch that SQS refuses stays in the dead-letter queue; the
// others are neither kept back nor sent twice.
func TestRefusedEntry(t *testing.T) {
	bubble(t, func(r *rig) {
		ids := r.bury(10)
		refuse := true
		r.sqs.Inject(func(c workqueuetest.Call) workqueuetest.Fault {
			if !refuse || c.Operation != "SendMessageBatch" || c.Queue != tasks {
				return workqueuetest.Fault{}
			}
			entries := map[int]types.BatchResultErrorEntry{}
			for i, body := range c.Entries {
				if strings.Contains(body, ids[4]) {
					entries[i] = types.BatchResultErrorEntry{Code: aws.String("AccessDenied"), Message: aws.String("arn:aws:sqs"), SenderFault: true}
				}
			}
			return workqueuetest.Fault{Entries: entries}
		})
		report := r.replay(redrive.Request{})
		if report.Replayed != 9 || report.Failed != 1 || report.Reasons["refused_accessdenied"] != 1 {
			t.Errorf("%+v", report)
		}
		r.holds(9, 1)
		r.visible()
		r.is(ids[4], task.Queued, 2) // queued, and its message is still in the dead-letter queue
		refuse = false
		r.succeed()
		if report = r.replay(redrive.Request{}); report.Replayed != 1 {
			t.Errorf("%+v", report)
		}
		r.work()
		for _, id := range ids {
			r.is(id, task.Succeeded, 2)
			if n := r.times(id, 2); n != 1 {
				t.Errorf("task %s ran %d times", id, n)
			}
		}
		r.holds(0, 0)
	})
}

// Two letters of one task, as a crash between the letter and its row leaves
// them, make one run.
func TestTwins(t *testing.T) {
	bubble(t, func(r *rig) {
		id := r.bury(1)[0]
		m := r.sqs.Messages(dead)[0]
		if err := r.queues[dead].Send(t.Context(), workqueue.Outgoing{Body: m.Body, Attributes: m.Attributes}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
		r.succeed()
		report := r.replay(redrive.Request{})
		if report.Replayed != 1 || report.Dropped != 1 || report.Reasons[redrive.ReasonDuplicate] != 1 {
			t.Errorf("%+v", report)
		}
		r.work()
		r.is(id, task.Succeeded, 2)
		if n := r.times(id, 2); n != 1 {
			t.Errorf("it ran %d times", n)
		}
		r.holds(0, 0)
	})
}

// Of two letters of one task the one of the newer run counts, whichever comes
// first: the other was superseded when somebody retried the task.
func TestNewestLetterCounts(t *testing.T) {
	bubble(t, func(r *rig) {
		id := r.bury(1)[0]
		if _, _, err := r.redrive().Retry(r.ctx(), id, "", ""); err != nil {
			t.Fatal(err)
		}
		r.work() // and it fails again
		r.holds(0, 2)
		p := r.plan(redrive.Request{})
		if p.Replay != 1 || p.Drop != 1 || p.Reasons[redrive.ReasonSuperseded] != 1 {
			t.Errorf("%+v", p)
		}
		r.succeed()
		report, err := r.execute(p.ID)
		if err != nil || report.Replayed != 1 || report.Dropped != 1 {
			t.Errorf("%+v, %v", report, err)
		}
		r.work()
		r.is(id, task.Succeeded, 3)
		r.holds(0, 0)
	})
}
