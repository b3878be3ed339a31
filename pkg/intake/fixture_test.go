package intake_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/spillway-go/spillway/pkg/intake"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/tasktable/tasktabletest"
	"github.com/spillway-go/spillway/pkg/webhook"
	"github.com/spillway-go/spillway/pkg/workqueue"
	"github.com/spillway-go/spillway/pkg/workqueue/workqueuetest"
)

var errDown = errors.New("the service is down")

// fixture is an intake over a table and queues in memory.
type fixture struct {
	*intake.Intake
	t              *testing.T
	journal        *journal
	db             *tasktabletest.DynamoDB
	table          *tasktable.Table
	sqs            *workqueuetest.SQS
	tasks, backlog queue
}

// These tests stay below the submit function: they need options that its
// environment does not set, types of their own, and requests that no decoder has
// checked. The queues are real ones on an SQS in memory.
func newFixture(t *testing.T, opts *intake.Options) *fixture {
	t.Helper()
	f := &fixture{t: t, journal: &journal{}, db: tasktabletest.NewDynamoDB(), sqs: workqueuetest.New(workqueuetest.Options{Numbered: true})}
	f.table = tasktable.New(f.db, "tasks", nil)
	f.tasks, f.backlog = f.queue("tasks"), f.queue("backlog")
	mux := task.NewMux()
	task.Handle(mux, "report.build", func(context.Context, any) (int, error) { return 0, nil })
	task.Handle(mux, "report.send", func(context.Context, letter) (int, error) { return 0, nil })
	task.Handle(mux, webhook.Type, webhook.New(nil, nil).Deliver) // only to check inputs
	f.Intake = intake.New(f.table, intake.Queues{"tasks": f.tasks, "backlog": f.backlog}, mux, opts)
	f.db.Inject(func(c tasktabletest.Call) tasktabletest.Fault {
		switch {
		case c.Operation != "PutItem":
		case strings.HasPrefix(c.IDs[0], "key#"):
			f.journal.add("remember")
		default:
			f.journal.add("create")
		}
		return tasktabletest.Fault{}
	})
	f.sqs.Inject(func(c workqueuetest.Call) workqueuetest.Fault {
		f.journal.add("send to " + c.Queue)
		return workqueuetest.Fault{}
	})
	return f
}

type letter struct {
	To    string `json:"to"`
	Pages int    `json:"pages"`
}

// journal is what was asked of table and queues, in order.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) add(line string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, line)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Join(j.lines, ", ")
}

// queue is a queue and what was sent to it.
type queue struct {
	*workqueue.Queue
	sqs *workqueuetest.SQS
}

func (f *fixture) queue(name string) queue {
	return queue{workqueue.New(f.sqs, f.sqs.Create(name, workqueuetest.QueueOptions{}), nil), f.sqs}
}

// sent are the messages in the order in which they were sent.
func (q queue) sent() (all []workqueue.Outgoing) {
	messages := q.sqs.Messages(q.Name())
	slices.SortFunc(messages, func(a, b workqueuetest.Message) int { return strings.Compare(a.ID, b.ID) }) // they are numbered
	for _, m := range messages {
		all = append(all, workqueue.Outgoing{Body: m.Body, Attributes: m.Attributes, Delay: m.VisibleAt.Sub(m.SentAt)})
	}
	return all
}

func (q queue) messages(t *testing.T) (all []workqueue.Message) {
	t.Helper()
	for _, out := range q.sent() {
		m, err := workqueue.Decode(out.Body, out.Attributes)
		if err != nil {
			t.Fatalf("what was sent is not a message: %v", err)
		}
		all = append(all, m)
	}
	return all
}

// failSend lets the first message fail, before or after SQS has taken it.
func (f *fixture) failSend(taken bool) {
	f.sqs.Inject(func(workqueuetest.Call) workqueuetest.Fault {
		if f.sqs.Calls()["SendMessage"] > 1 {
			return workqueuetest.Fault{}
		}
		return workqueuetest.Fault{Err: errDown, AfterEffect: taken}
	})
}

// request is a good request with a key, unless that is empty.
func request(key string, changes ...func(*intake.Request)) intake.Request {
	r := intake.Request{Tenant: "acme", Type: "report.build", Input: json.RawMessage(`{"year":2026}`)}
	if key != "" {
		r.IdempotencyKey = &key
	}
	for _, change := range changes {
		change(&r)
	}
	return r
}

func (f *fixture) submit(r intake.Request) (*tasktable.Row, bool) {
	f.t.Helper()
	row, created, err := f.Submit(f.t.Context(), r)
	if err != nil {
		f.t.Fatalf("Submit: %v", err)
	}
	return row, created
}

// refuses expects a refusal with this code, and nothing stored or sent.
func (f *fixture) refuses(r intake.Request, code string) string {
	f.t.Helper()
	writes, sends := f.rows(), len(f.tasks.messages(f.t))+len(f.backlog.messages(f.t))
	row, created, err := f.Submit(f.t.Context(), r)
	refused, ok := errors.AsType[*intake.RefusedError](err)
	if !ok || refused.Code != code || row != nil || created {
		f.t.Fatalf("Submit = %v, %t, %v, want it refused as %s", row, created, err, code)
	}
	if got := f.rows(); got != writes {
		f.t.Errorf("%s: the tenant has %d tasks, before %d", refused, got, writes)
	}
	if got := len(f.tasks.messages(f.t)) + len(f.backlog.messages(f.t)); got != sends {
		f.t.Errorf("%s: %d messages, before %d", refused, got, sends)
	}
	return refused.Detail
}

// rows counts the tenant's tasks.
func (f *fixture) rows() int {
	f.t.Helper()
	page, err := f.table.List(f.t.Context(), tasktable.Query{Tenant: "acme", Limit: 100})
	if err != nil {
		f.t.Fatal(err)
	}
	return len(page.Rows)
}

// text is a JSON string of n bytes.
func text(n int) json.RawMessage {
	return json.RawMessage(fmt.Sprintf(`"%s"`, strings.Repeat("x", n-2)))
}
