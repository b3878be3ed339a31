package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/spillway-go/spillway/internal/adminapi"
	"github.com/spillway-go/spillway/pkg/archive/archivetest"
	"github.com/spillway-go/spillway/pkg/task"
)

// A job that is longer than an invocation goes on in the next one, which the
// function calls for itself without waiting for it.
func TestContinuations(t *testing.T) {
	bubble(t, func(f *fixture) {
		var inputs []string
		for i := range 20 {
			inputs = append(inputs, fmt.Sprint(i))
		}
		ids := f.dead("shop.order", errFlaky, inputs...)
		f.breaks(nil, inputs...)
		f.timeout = 8 * time.Second
		a := f.ok(`{"command":"dlq.replay","rate":1}`)
		id := a.text("job_id")
		if a.text("status") != "running" || a["done"] != false || a.number("replayed") == 0 || a.number("replayed") == 20 ||
			a.text("note") != "the job goes on in the background: dlq.jobs with its job_id shows how far it is" {
			f.Errorf("the first invocation answers %v", a)
		}
		called := f.calls.called[0]
		if *called.FunctionName != functionName || called.InvocationType != types.InvocationTypeEvent {
			f.Errorf("called %s as %s", *called.FunctionName, called.InvocationType)
		}
		hops := 0
		for {
			next := slices.Compact(f.calls.continuations())
			if len(next) == 1 && next[0] == followOf(id, 0) {
				break // it is done, and its tasks are to be followed
			}
			hops++
			if want := fmt.Sprintf(`{"command":"job.resume","job_id":%q,"hop":%d}`, id, hops); len(next) != 1 || next[0] != want {
				f.Fatalf("called itself with %v, want %s", next, want)
			}
			if out, err := f.invoke(next[0]); err != nil || out != `{"ok":true}` {
				f.Fatalf("continued: %s, %v", out, err)
			}
			// Lambda delivers an event more than once now and then. The second
			// delivery may ask for the next hop again, which is taken once.
			if out, err := f.invoke(next[0]); err != nil || out != `{"ok":true}` {
				f.Fatalf("continued again: %s, %v", out, err)
			}
			if len(f.calls.called) > 2 {
				f.Fatalf("continuations of one: %v", f.calls.continuations())
			}
			if hops > 20 {
				f.Fatal("it never ends")
			}
		}
		job := f.ok(`{"command":"dlq.jobs","job_id":"` + id + `"}`)["job"].(map[string]any)
		if hops < 2 || job["status"] != "done" || job["replayed"] != 20.0 || job["hops"] != float64(hops+1) {
			f.Errorf("after %d hops: %v", hops, job)
		}
		f.timeout = time.Minute
		f.work()
		for _, id := range ids {
			if row := f.has(id, task.Succeeded); row.Run != 2 {
				f.Errorf("task %s is in run %d", id, row.Run)
			}
		}
	})
}

// What the function cannot go on with is tried again by Lambda, which takes an
// error for that. It tells nothing to whoever else may call.
func TestContinuationFails(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.dead("shop.order", errFlaky, "1", "2", "3", "4", "5", "6", "7", "8", "9", "10")
		f.timeout = 5 * time.Second
		a := f.ok(`{"command":"dlq.replay","rate":1}`)
		next := f.calls.continuations()
		if a.text("status") != "running" || len(next) != 1 {
			f.Fatalf("answer %v, %v", a, next)
		}
		f.control.Inject(func(c archivetest.Call) archivetest.Fault {
			return archivetest.Fault{Err: awsError("DynamoDB", c.Operation, "ThrottlingException")}
		})
		want := "job " + a.text("job_id") + " could not be continued: the function's log says why"
		if _, err := f.invoke(next[0]); err == nil || err.Error() != want {
			f.Errorf("continued: %v, want %s", err, want)
		}
		f.control.Inject(nil)
		if out, err := f.invoke(next[0]); err != nil || out != `{"ok":true}` {
			f.Errorf("tried again: %s, %v", out, err)
		}
		if len(f.calls.continuations()) != 1 {
			f.Error("it does not go on")
		}
	})
}

// When the function cannot call itself the job is stalled, and says how to go
// on with it.
func TestContinuationIsLost(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.dead("shop.order", errFlaky, "1", "2", "3", "4", "5", "6", "7", "8")
		f.timeout = 5 * time.Second
		f.calls.err = awsError("Lambda", "Invoke", "TooManyRequestsException")
		a := f.ok(`{"command":"dlq.replay","rate":1}`)
		if a["done"] != false {
			f.Fatalf("answer %v", a)
		}
		f.calls.err = nil
		time.Sleep(time.Minute)
		job := f.ok(`{"command":"dlq.jobs","job_id":"` + a.text("job_id") + `"}`)["job"].(map[string]any)
		want := `{"command":"dlq.replay","queue":"tasks","plan_id":"` + a.text("job_id") + `"}`
		if job["status"] != "stalled" || job["resume"] != want {
			f.Errorf("the job is %v", job)
		}
		f.timeout = time.Minute
		if a := f.ok(want); a["done"] != true || a.number("replayed") != 8 {
			f.Errorf("resumed: %v", a)
		}
	})
}

// A continuation of what there is not, or of what somebody else has, is over.
func TestContinuationOfNothing(t *testing.T) {
	bubble(t, func(f *fixture) {
		plan := f.ok(`{"command":"dlq.replay","dry_run":true}`).text("plan_id")
		for _, payload := range []string{
			`{"command":"job.resume","job_id":"00VHNCZB0168CGXGT1HNR1ZXC2","hop":1}`,
			`{"command":"job.resume","job_id":"` + plan + `","hop":0}`,
			`{"command":"job.resume","job_id":"` + plan + `","hop":7}`,
		} {
			if out, err := f.invoke(payload); err != nil || out != `{"ok":true}` {
				f.Errorf("%s: %s, %v", payload, out, err)
			}
		}
		f.dead("shop.order", errFlaky, "1", "2", "3", "4", "5", "6")
		id, wait := f.slowly(`,"rate":1`)
		if out, err := f.invoke(`{"command":"job.resume","job_id":"` + id + `","hop":0}`); err != nil || out != `{"ok":true}` {
			f.Errorf("while it runs: %s, %v", out, err)
		}
		if a := wait(); a["done"] != true || a.number("replayed") != 6 {
			f.Errorf("the job answers %v", a)
		}
		for _, payload := range []string{
			`{"command":"job.resume"}`, `{"command":"job.resume","job_id":""}`, `{"command":"job.resume","job_id":5}`, `{"command":"job.resume","job_id":"x","hop":"1"}`,
			`{"command":"job.resume","job_id":"x","hop":1e99}`,
		} {
			if got := f.refused(payload, adminapi.CodeInvalid); !strings.Contains(got, "dlq.replay with its plan_id goes on with one") {
				f.Errorf("%s: %s", payload, got)
			}
		}
		f.refused(`{"command":"job.resume","job_id":"`+strings.Repeat("x", 2000)+`"}`, adminapi.CodeInvalid)
	})
}

func TestContinueWrapsErrors(t *testing.T) {
	cause := errors.New("boom")
	for name, of := range map[string]func(InvokeAPI, string) func(context.Context, string, int) error{"Continue": Continue, "Follow": Follow} {
		err := of(&fakeFunctions{err: cause}, "f")(t.Context(), "j", 1)
		if !errors.Is(err, cause) || !strings.Contains(err.Error(), "continue job j") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// followOf is how the function has itself follow the tasks of a job.
func followOf(jobID string, hop int) string {
	return fmt.Sprintf(`{"command":"job.follow","job_id":%q,"hop":%d}`, jobID, hop)
}

// The tasks of a job are followed when it has ended, by nobody who waits, until
// they have ended as well. What they came to is kept when they are gone.
func TestFollow(t *testing.T) {
	bubble(t, func(f *fixture) {
		ids := f.dead("shop.order", errFlaky, "1", "2", "3")
		f.breaks(nil, "1", "2")
		id := f.ok(`{"command":"dlq.replay"}`).text("job_id")
		called := f.calls.called[0]
		if *called.FunctionName != functionName || called.InvocationType != types.InvocationTypeEvent {
			f.Errorf("called %s as %s", *called.FunctionName, called.InvocationType)
		}
		f.timeout = 30 * time.Second
		for hop := range 3 { // no worker is there yet
			next := f.calls.continuations()
			if len(next) != 1 || next[0] != followOf(id, hop) {
				f.Fatalf("called itself with %v, want %s", next, followOf(id, hop))
			}
			begun := time.Now()
			if out, err := f.invoke(next[0]); err != nil || out != `{"ok":true}` {
				f.Fatalf("followed: %s, %v", out, err)
			}
			if took := time.Since(begun); took < 5*time.Second || took > 30*time.Second {
				f.Errorf("it took %s of its 30 seconds", took)
			}
		}
		next := f.calls.continuations()
		var done sync.WaitGroup
		done.Go(func() {
			if out, err := f.invoke(next[0]); err != nil || out != `{"ok":true}` {
				f.Errorf("followed: %s, %v", out, err)
			}
		})
		time.Sleep(time.Second)
		f.work()
		done.Wait()
		if next := f.calls.continuations(); len(next) > 0 {
			f.Errorf("all have ended, and it goes on: %v", next)
		}
		for _, id := range ids {
			f.db.Delete(id)
		}
		job := f.ok(`{"command":"dlq.jobs","job_id":"` + id + `"}`)["job"].(map[string]any)
		f.is(answer(job["outcomes"].(map[string]any)), nil, `{"succeeded": 2, "failed_same": 1, "failed_other": 0, "canceled": 0, "expired": 0, "pending": 0,
			"later": 0, "gone": 0}`)
		events := job["events"].([]any)
		if last := events[len(events)-1].(map[string]any); last["what"] != "all its tasks have ended" {
			f.Errorf("the audit trail ends with %v", last)
		}
		// Lambda delivers an event more than once now and then.
		if out, err := f.invoke(followOf(id, 0)); err != nil || out != `{"ok":true}` || len(f.calls.continuations()) > 0 {
			f.Errorf("followed again: %s, %v", out, err)
		}
		job = f.ok(`{"command":"dlq.jobs","job_id":"` + id + `"}`)["job"].(map[string]any)
		if n := len(job["events"].([]any)); n != len(events) {
			f.Errorf("%d events, and %d after following it once more", len(events), n)
		}
	})
}

// Tasks that nobody works on are not followed for ever.
func TestFollowEnds(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.dead("shop.order", errFlaky, "1")
		begun := time.Now()
		f.ok(`{"command":"dlq.replay"}`)
		hops := 0
		for next := f.calls.continuations(); len(next) > 0; next = f.calls.continuations() {
			if hops++; hops > 100 || len(next) > 1 {
				f.Fatalf("after %d hops it calls itself with %v", hops, next)
			}
			if out, err := f.invoke(next[0]); err != nil || out != `{"ok":true}` {
				f.Fatalf("%s: %s, %v", next[0], out, err)
			}
		}
		if took := time.Since(begun); hops < 2 || took < 30*time.Minute || took > 35*time.Minute {
			f.Errorf("%d hops, in %s", hops, took)
		}
	})
}

// Jobs that replay nothing, or have not ended, are not followed; the function
// may be unable to call itself, and then whoever looks at the job follows it.
func TestFollowNothing(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.foreign(deadQueue, "hello")
		f.ok(`{"command":"dlq.replay"}`)
		id := f.ok(`{"command":"dlq.purge","confirm":"tasks"}`).text("job_id")
		f.ok(`{"command":"dlq.restore","job_id":"` + id + `"}`)
		f.ok(`{"command":"dlq.replay","native":true}`)
		plan := f.ok(`{"command":"dlq.replay","dry_run":true}`).text("plan_id")
		for _, id := range []string{id, plan, "00VHNCZB0168CGXGT1HNR1ZXC2"} {
			begun := time.Now()
			if out, err := f.invoke(followOf(id, 0)); err != nil || out != `{"ok":true}` || time.Since(begun) > 0 {
				f.Errorf("%s: %s, %v, after %s", id, out, err, time.Since(begun))
			}
		}
		if next := f.calls.continuations(); len(next) > 0 {
			f.Errorf("called itself with %v", next)
		}
		f.dead("shop.order", errFlaky, "1")
		f.breaks(nil, "1")
		f.calls.err = awsError("Lambda", "Invoke", "TooManyRequestsException")
		a := f.ok(`{"command":"dlq.replay"}`)
		if a.text("status") != "done" || a.number("replayed") != 1 || a.text("note") != "" {
			f.Errorf("answer %v", a)
		}
		f.work()
		job := f.ok(`{"command":"dlq.jobs","job_id":"` + a.text("job_id") + `"}`)["job"].(map[string]any)
		if outcomes := job["outcomes"].(map[string]any); outcomes["succeeded"] != 1.0 {
			f.Errorf("the job is %v", job)
		}
	})
}

// What the function cannot follow is tried again by Lambda, and says nothing of
// AWS to whoever else may call.
func TestFollowFails(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.dead("shop.order", errFlaky, "1")
		f.breaks(nil, "1")
		id := f.ok(`{"command":"dlq.replay"}`).text("job_id")
		f.work()
		f.control.Inject(func(c archivetest.Call) archivetest.Fault {
			return archivetest.Fault{Err: awsError("DynamoDB", c.Operation, "ThrottlingException")}
		})
		want := "job " + id + " could not be continued: the function's log says why"
		if _, err := f.invoke(followOf(id, 0)); err == nil || err.Error() != want {
			f.Errorf("followed: %v, want %s", err, want)
		}
		f.control.Inject(nil)
		if out, err := f.invoke(followOf(id, 0)); err != nil || out != `{"ok":true}` {
			f.Errorf("tried again: %s, %v", out, err)
		}
		for _, payload := range []string{
			`{"command":"job.follow"}`, `{"command":"job.follow","job_id":""}`, `{"command":"job.follow","job_id":5}`, `{"command":"job.follow","job_id":"x","hop":"1"}`,
			`{"command":"job.follow","job_id":"` + strings.Repeat("x", 2000) + `"}`,
		} {
			if got := f.refused(payload, adminapi.CodeInvalid); !strings.HasPrefix(got, "job.follow is what the function calls itself with, for a job") {
				f.Errorf("%.100s: %s", payload, got)
			}
		}
	})
}
