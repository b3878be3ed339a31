//go:build integration

package replay

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/spillway-go/spillway/internal/awsproxy"
	"github.com/spillway-go/spillway/pkg/task"
)

// receiver counts the deliveries of each task, by the webhook's id: task and run.
type receiver struct {
	url string

	mu   sync.Mutex
	seen map[string]int
}

func listen(t *testing.T) *receiver {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &receiver{url: "http://" + l.Addr().String() + "/", seen: map[string]int{}}
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		_, _ = io.Copy(io.Discard, io.LimitReader(req.Body, 1<<20))
		r.mu.Lock()
		defer r.mu.Unlock()
		r.seen[req.Header.Get("Webhook-Id")]++
	})}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	return r
}

func (r *receiver) deliveries() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.seen)
}

func TestReplayOfThousands(t *testing.T) {
	letters, rate := size(t, "SPILLWAY_REPLAY_LETTERS", 2000), size(t, "SPILLWAY_REPLAY_RATE", 100)
	others := max(letters/50, 1)
	r := listen(t)
	workerRuns(t, false)

	begun := time.Now()
	why := task.Failure{Code: "http_503", Message: "the receiver answered 503 Service Unavailable", Retryable: true}
	ids := fill(t, letters, "webhook.deliver", func(i int) any {
		return map[string]any{"url": r.url, "event": "test", "payload": map[string]int{"n": i}}
	}, why)
	fill(t, others, "mail.send", func(i int) any { return map[string]int{"n": i} }, task.Failure{Code: "no_account", Message: "there is no such account"})
	t.Logf("%d dead letters and %d others made in %.0f s", letters, others, time.Since(begun).Seconds())

	// Group, list, plan: nothing is consumed.
	watch := watchMemory(t)
	before := stack.proxy.Snapshot()
	status := ask(t, map[string]any{"command": "dlq.status"})
	if status.Depth != letters+others || len(status.Groups) != 2 || status.Groups[0] != (group{"http_503", "webhook.deliver", letters}) || status.Groups[1].Count != others || !status.Complete {
		t.Errorf("status: %+v", status)
	}
	grouped := stack.proxy.Snapshot().Sub(before)
	if n := grouped.Calls("sqs", "ReceiveMessage"); n != 0 {
		t.Errorf("grouping received %d times", n)
	}
	if list := ask(t, map[string]any{"command": "dlq.list", "max": 1000}); len(list.Messages) != min(1000, letters+others) {
		t.Errorf("listed %d messages", len(list.Messages))
	}
	before = stack.proxy.Snapshot()
	planning := time.Now()
	plan := ask(t, map[string]any{"command": "dlq.replay", "queue": "tasks", "dry_run": true, "filter": map[string]any{"type": "webhook.deliver", "error_contains": "http_503"}})
	planned, planTook := stack.proxy.Snapshot().Sub(before), time.Since(planning)
	if plan.Matched != letters || plan.Replay != letters || !plan.Complete || plan.PlanID == "" {
		t.Fatalf("plan: %+v", plan)
	}
	if status = ask(t, map[string]any{"command": "dlq.status"}); status.Depth != letters+others || status.InFlight != 0 {
		t.Errorf("after the plan: %+v", status)
	}

	// Replay at the rate, killed twice in the middle.
	before = stack.proxy.Snapshot()
	var segments []segment
	for kill := range 3 {
		segments = append(segments, replayUntil(t, plan.PlanID, rate, letters, letters*(kill+1)/3, kill < 2))
	}
	used := stack.proxy.Snapshot().Sub(before)
	peak := watch()
	final := ask(t, map[string]any{"command": "dlq.jobs", "job_id": plan.PlanID}).Job
	if final == nil || final.Status != "done" || !final.Done || final.Replayed != letters || final.Failed != 0 || final.Skipped != 0 {
		t.Fatalf("the job: %+v", final)
	}

	perMessage := func(n int) float64 { return float64(n) / float64(letters) }
	sqsCalls, dynamoCalls := perMessage(used.Calls("sqs", "")), perMessage(used.Calls("dynamodb", ""))
	for i, s := range segments {
		t.Logf("segment %d: %d messages in %.1f s, %.1f a second where %d were asked for", i+1, s.messages, s.took.Seconds(), s.rate(), rate)
		if got := s.rate(); got < 0.95*float64(rate) || got > 1.05*float64(rate) {
			t.Errorf("segment %d: %.1f messages a second, want %d within 5 %%", i+1, got, rate)
		}
	}
	t.Logf("plan: %d messages in %.1f s, %.3f SQS and %.3f DynamoDB calls a message; groups: %d DynamoDB calls, no receive",
		letters, planTook.Seconds(), perMessage(planned.Calls("sqs", "")), perMessage(planned.Calls("dynamodb", "")), grouped.Calls("dynamodb", ""))
	t.Logf("replay, killed and resumed twice: %.3f SQS calls a message, %.3f DynamoDB calls, %d hops in the last part; at most %.1f MiB resident",
		sqsCalls, dynamoCalls, final.Hops, float64(peak)/(1<<20))
	if sqsCalls > 0.35 {
		t.Errorf("%.3f SQS calls a message, want at most 0.35: %s", sqsCalls, used)
	}
	if dynamoCalls > 0.5 {
		t.Errorf("%.3f DynamoDB calls a message, want at most 0.5: %s", dynamoCalls, used)
	}
	if peak > 128<<20 {
		t.Errorf("%d bytes resident, want at most 128 MiB", peak)
	}
	eventually(t, func() error { return holds("DeadLetterQueueUrl", others, 0) })

	// Every task runs exactly once more.
	workerRuns(t, true)
	eventually(t, func() error {
		if n := r.deliveries(); n < letters {
			return fmt.Errorf("%d of %d tasks delivered", n, letters)
		}
		return holds("TasksQueueUrl", 0, 0)
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range ids {
		if n := r.seen[id+"-2"]; n != 1 {
			t.Errorf("task %s ran %d times in its second run", id, n)
		}
	}
	if len(r.seen) != letters {
		t.Errorf("%d distinct deliveries, want %d", len(r.seen), letters)
	}
	eventually(t, func() error {
		followed := ask(t, map[string]any{"command": "dlq.jobs", "job_id": plan.PlanID}).Job
		if followed.Outcomes["succeeded"] != letters {
			return fmt.Errorf("outcomes %v", followed.Outcomes)
		}
		return nil
	})
}

// segment is a part of the replay between two kills.
type segment struct {
	messages int
	took     time.Duration
}

// rate is how many messages a second were sent, between the first and the last
// call of the segment.
func (s segment) rate() float64 { return float64(s.messages) / s.took.Seconds() }

// replayUntil executes the plan until so many messages are sent in all, and
// then kills every process of the admin function; or else until it is done.
func replayUntil(t *testing.T, planID string, rate, letters, until int, kill bool) segment {
	t.Helper()
	var mark int64
	if calls := stack.proxy.Calls(); len(calls) > 0 {
		mark = calls[len(calls)-1].Seq
	}
	eventually(t, func() error {
		a, err := call(t.Context(), map[string]any{"command": "dlq.jobs", "job_id": planID})
		if err == nil && a.Job.Status == "running" {
			err = fmt.Errorf("still %s", a.Job.Status)
		}
		return err
	})
	ended := make(chan error, 1)
	go func() {
		_, err := call(t.Context(), map[string]any{"command": "dlq.replay", "queue": "tasks", "plan_id": planID, "rate": rate})
		ended <- err
	}()
	eventually(t, func() error {
		n, err := depth("TasksQueueUrl")
		if err == nil && n < until {
			err = fmt.Errorf("%d of %d sent", n, until)
		}
		return err
	})
	if kill {
		for _, p := range admins(t) {
			_ = p.Kill()
		}
	} else {
		eventually(t, func() error {
			a, err := call(t.Context(), map[string]any{"command": "dlq.jobs", "job_id": planID})
			if err == nil && !a.Job.Done {
				err = fmt.Errorf("the job is %s: %d of %d", a.Job.Status, a.Job.Replayed, letters)
			}
			return err
		})
	}
	<-ended
	var sends []awsproxy.Call
	for _, c := range stack.proxy.Calls() {
		if c.Seq > mark && c.Service == "sqs" && strings.HasPrefix(c.Operation, "SendMessage") && c.Status == http.StatusOK {
			sends = append(sends, c)
		}
	}
	if len(sends) < 10 {
		t.Fatalf("%d sends in this segment", len(sends))
	}
	slices.SortFunc(sends, func(a, b awsproxy.Call) int { return a.Start.Compare(b.Start) })
	// At its end a segment may have to wait for what the process that was killed
	// had received: hidden until it is certain to have ended. That is no rate.
	for i := 1; i < len(sends); i++ {
		if sends[i].Start.Sub(sends[i-1].Start) > time.Second {
			sends = sends[:i]
			break
		}
	}
	if len(sends) < 10 {
		t.Fatalf("%d sends in a row in this segment", len(sends))
	}
	// The messages of the last call belong to the interval after it.
	s := segment{took: sends[len(sends)-1].Start.Sub(sends[0].Start)}
	for _, c := range sends[:len(sends)-1] {
		s.messages += max(c.Statements, 1)
	}
	return s
}

// watchMemory follows the largest process of the admin function until the
// returned function is called, which tells how large it was.
func watchMemory(t *testing.T) (peak func() int64) {
	t.Helper()
	stop, done := make(chan struct{}), make(chan int64)
	go func() {
		var most int64
		for {
			for _, p := range admins(t) {
				if n, err := p.Resident(); err == nil {
					most = max(most, n)
				}
			}
			select {
			case <-stop:
				done <- most
				return
			case <-time.After(250 * time.Millisecond):
			}
		}
	}()
	return func() int64 { close(stop); return <-done }
}

// counts of a queue: visible and in flight.
func counts(output string) (visible, inFlight int, err error) {
	url := stack.out[output]
	out, err := stack.queues.GetQueueAttributes(context.Background(), &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll}})
	if err != nil {
		return 0, 0, err
	}
	visible, _ = strconv.Atoi(out.Attributes[string(types.QueueAttributeNameApproximateNumberOfMessages)])
	inFlight, _ = strconv.Atoi(out.Attributes[string(types.QueueAttributeNameApproximateNumberOfMessagesNotVisible)])
	return visible, inFlight, nil
}

func depth(output string) (int, error) {
	visible, inFlight, err := counts(output)
	return visible + inFlight, err
}

func holds(output string, visible, inFlight int) error {
	v, f, err := counts(output)
	if err == nil && (v != visible || f != inFlight) {
		err = fmt.Errorf("%s has %d messages and %d in flight, want %d and %d", output, v, f, visible, inFlight)
	}
	return err
}
