//go:build integration

package integration

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"golang.org/x/sync/errgroup"

	"github.com/spillway-go/spillway/internal/awsproxy"
	"github.com/spillway-go/spillway/pkg/client"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

// Fresh tasks end while most of those that wait before them, and have waited
// for longer than BacklogAfter, have not even begun. Each of these is moved out
// of the way once, and is worked on in the end.
func TestFreshWorkOvertakesBacklog(t *testing.T) {
	const aged, fresh = 2000, 20
	slow := newPacedReceiver(t)
	sent := watchSends(t)
	resume := pauseWorker(t)
	old := outage(t, tenantOf(t, slow.receiver), slow.slowURL+"/ok", aged)
	var young []*client.Task
	for range fresh {
		young = append(young, submit(t, slow.URL+"/ok")) // which answers at once
	}
	resume()

	for _, y := range young {
		want(t, finish(t, y.ID), client.Succeeded, 1)
	}
	begun := slow.count()
	t.Logf("%d fresh tasks have ended when %d of %d old ones have begun", fresh, begun, aged)
	if begun > aged/2 {
		t.Errorf("%d of %d old tasks have begun before the fresh ones ended", begun, aged)
	}

	slow.hurry()
	all := map[string]client.Status{}
	for _, id := range old {
		all[id] = client.Succeeded
	}
	eventually(t, func() error { return slow.delivered(aged) })
	eventually(t, func() error { return ended(t, all) })
	eventually(t, quiet(stack.out["TasksQueueUrl"]))
	eventually(t, quiet(stack.out["BacklogQueueUrl"]))
	if n := slow.count(); n != aged {
		t.Errorf("%d deliveries for %d old tasks", n, aged)
	}
	for _, id := range old {
		if got, want := sent.of(id), []passage{{queueName(stack.out["BacklogQueueUrl"]), 1}}; !slices.Equal(got, want) {
			t.Fatalf("old task %s was passed on as %v, want %v", id, got, want)
		}
	}
	for _, y := range young {
		if got, want := sent.of(y.ID), []passage{{queueName(stack.out["TasksQueueUrl"]), 0}}; !slices.Equal(got, want) {
			t.Errorf("fresh task %s was sent as %v, want %v", y.ID, got, want)
		}
	}
}

// A bulk task takes no way round: it is sent to the backlog queue at once, and
// stays there through its retries.
func TestBulkStaysOnTheBacklogQueue(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	sent := watchSends(t)
	bulk := func(s *client.SubmitRequest) { s.Priority = client.Bulk }
	want(t, finish(t, submit(t, r.URL+"/ok", bulk).ID), client.Succeeded, 1)
	task := finish(t, submit(t, r.URL+"/flaky/3/503", bulk).ID)
	want(t, task, client.Succeeded, 4)
	if got, want := sent.of(task.ID), []passage{{queueName(stack.out["BacklogQueueUrl"]), 0}}; !slices.Equal(got, want) {
		t.Errorf("it was sent as %v, want %v", got, want)
	}
}

// A normal task that keeps failing is moved to the backlog queue once.
func TestFailingTaskIsMovedOnce(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	sent := watchSends(t)
	task := finish(t, submit(t, r.URL+"/flaky/3/503").ID)
	want(t, task, client.Succeeded, 4)
	tasks, backlog := queueName(stack.out["TasksQueueUrl"]), queueName(stack.out["BacklogQueueUrl"])
	if got, want := sent.of(task.ID), []passage{{tasks, 0}, {backlog, 1}}; !slices.Equal(got, want) {
		t.Errorf("it was sent as %v, want %v", got, want)
	}
}

// A delayed task begins after its delay and no sooner, of either priority, and
// its deadline counts from acceptance. A delay is not a hop.
func TestDelay(t *testing.T) {
	t.Parallel()
	const delay, ttl = 2 * time.Second, time.Minute
	r := newReceiver(t)
	sent := watchSends(t)
	for priority, output := range map[client.Priority]string{client.Normal: "TasksQueueUrl", client.Bulk: "BacklogQueueUrl"} {
		task := finish(t, submit(t, r.URL+"/ok", func(s *client.SubmitRequest) { s.Delay, s.TTL, s.Priority = delay, ttl, priority }).ID)
		want(t, task, client.Succeeded, 1)
		// The creation time in an id is cut to milliseconds.
		if waited := task.StartedAt.Sub(task.CreatedAt); waited < delay-time.Millisecond {
			t.Errorf("%s: it began %s after its creation, want %s at least", priority, waited, delay)
		}
		if left := task.Deadline.Sub(task.CreatedAt); left < ttl-clockSlack || left > ttl+clockSlack {
			t.Errorf("%s: its deadline is %s after its creation, want %s", priority, left, ttl)
		}
		if got, want := sent.of(task.ID), []passage{{queueName(stack.out[output]), 0}}; !slices.Equal(got, want) {
			t.Errorf("%s: it was sent as %v, want %v", priority, got, want)
		}
	}
}

// passage is one time that a message was sent: by submit, or as a copy.
type passage struct {
	queue string
	hops  int
}

// passages are what the functions send.
type passages struct {
	mu   sync.Mutex
	all  map[string][]passage // by task
	errs []error
}

// watchSends notes what the functions send from now to the end of the test.
func watchSends(t *testing.T) *passages {
	t.Helper()
	p := &passages{all: map[string][]passage{}}
	// A fault that is never injected sees every call.
	in := stack.proxy.Inject(awsproxy.Fault{Service: "sqs", Match: func(c *awsproxy.Call) bool {
		if c.Operation == "SendMessage" || c.Operation == "SendMessageBatch" {
			p.note(c.Request)
		}
		return false
	}})
	t.Cleanup(func() {
		in.Remove()
		for _, err := range p.errs {
			t.Errorf("a message sent: %v", err)
		}
	})
	return p
}

// outgoing is a message as SendMessage has it, and as an entry of
// SendMessageBatch.
type outgoing struct {
	MessageAttributes map[string]struct{ StringValue string }
}

func (p *passages) note(request []byte) {
	var call struct {
		outgoing
		QueueUrl string
		Entries  []outgoing
	}
	err := json.Unmarshal(request, &call)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.errs = append(p.errs, err)
		return
	}
	if call.Entries == nil {
		call.Entries = []outgoing{call.outgoing}
	}
	for _, m := range call.Entries {
		id := m.MessageAttributes["task_id"].StringValue
		hops, err := strconv.Atoi(m.MessageAttributes["hops"].StringValue)
		if err != nil && id != "" {
			p.errs = append(p.errs, fmt.Errorf("hops of task %s: %w", id, err))
		}
		p.all[id] = append(p.all[id], passage{queueName(call.QueueUrl), hops})
	}
}

// of returns how a task's message was sent, in order.
func (p *passages) of(id string) []passage {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.all[id])
}

// tenantOf returns the tenant that the API takes us for.
func tenantOf(t *testing.T, r *receiver) string {
	t.Helper()
	return finish(t, submit(t, r.URL+"/ok", func(s *client.SubmitRequest) { s.Priority = client.Bulk }).ID).Tenant
}

// outage leaves n tasks on the tasks queue as an outage of ten minutes would:
// accepted then, and not worked on since. It returns their ids.
func outage(t *testing.T, tenant, url string, n int) []string {
	t.Helper()
	input, err := json.Marshal(webhook(url))
	if err != nil {
		t.Fatal(err)
	}
	then, deadline := time.Now().Add(-10*time.Minute), time.Now().Add(time.Hour)
	table := tasktable.New(stack.tables, stack.out["TasksTableName"], nil)
	ids := make([]string, n)
	messages := make([]workqueue.Outgoing, n)
	g, ctx := errgroup.WithContext(t.Context())
	g.SetLimit(16)
	for i := range n {
		g.Go(func() (err error) {
			ids[i], messages[i], err = leave(ctx, table, tenant, input, then, deadline)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	for i, err := range workqueue.New(stack.queues, stack.out["TasksQueueUrl"], nil).SendBatch(t.Context(), messages) {
		if err != nil {
			t.Fatalf("send the message of task %s: %v", ids[i], err)
		}
	}
	return ids
}

// leave writes the row of a task that was accepted at a time in the past, and
// returns its message.
func leave(ctx context.Context, table *tasktable.Table, tenant string, input json.RawMessage, then, deadline time.Time) (string, workqueue.Outgoing, error) {
	id, err := ulid.New(ulid.Timestamp(then), rand.Reader)
	if err != nil {
		return "", workqueue.Outgoing{}, err
	}
	row, err := table.Create(ctx, tasktable.Draft{ID: id.String(), Tenant: tenant, Type: "webhook.deliver", Priority: task.Normal, Input: input, Deadline: deadline})
	if err != nil {
		return "", workqueue.Outgoing{}, err
	}
	m, err := workqueue.Encode(workqueue.Message{
		TaskID: row.ID, Run: row.Run, Type: row.Type, Tenant: row.Tenant, CreatedAt: row.CreatedAt(), Deadline: deadline,
		Input: input, Origin: queueName(stack.out["TasksQueueUrl"]),
	})
	return row.ID, m, err
}
