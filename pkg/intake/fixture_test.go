package intake_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/spillway-go/spillway/pkg/intake"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/tasktable/tasktabletest"
	"github.com/spillway-go/spillway/pkg/webhook"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

var errDown = errors.New("the service is down")

// fixture is an intake over a table and queues in memory, which share one
// journal of what took effect.
type fixture struct {
	*intake.Intake
	t              *testing.T
	journal        *journal
	db             *tasktabletest.DynamoDB
	table          *tasktable.Table
	tasks, backlog *fakeQueue
}

func newFixture(t *testing.T, opts *intake.Options) *fixture {
	t.Helper()
	j := &journal{}
	f := &fixture{t: t, journal: j, db: tasktabletest.NewDynamoDB(), tasks: &fakeQueue{name: "tasks", journal: j}, backlog: &fakeQueue{name: "backlog", journal: j}}
	f.table = tasktable.New(f.db, "tasks", nil)
	mux := task.NewMux()
	task.Handle(mux, "report.build", func(context.Context, any) (int, error) { return 0, nil })
	task.Handle(mux, "report.send", func(context.Context, letter) (int, error) { return 0, nil })
	task.Handle(mux, webhook.Type, webhook.New(nil, nil).Deliver) // only to check inputs
	f.Intake = intake.New(loggedTable{f.table, j}, intake.Queues{"tasks": f.tasks, "backlog": f.backlog}, mux, opts)
	return f
}

type letter struct {
	To    string `json:"to"`
	Pages int    `json:"pages"`
}

// journal is what happened, in order.
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

// loggedTable notes the order of calls.
type loggedTable struct {
	*tasktable.Table
	journal *journal
}

func (l loggedTable) Create(ctx context.Context, d tasktable.Draft) (*tasktable.Row, error) {
	l.journal.add("create")
	return l.Table.Create(ctx, d)
}

func (l loggedTable) Remember(ctx context.Context, tenant, key string, k tasktable.Key) (tasktable.Key, error) {
	l.journal.add("remember")
	return l.Table.Remember(ctx, tenant, key, k)
}

// fakeQueue keeps what is sent.
type fakeQueue struct {
	name    string
	journal *journal

	mu   sync.Mutex
	sent []workqueue.Outgoing
	n    int
	fail func(n int) (taken bool, err error) // for the nth send; taken when only the answer is lost
}

func (q *fakeQueue) Name() string { return q.name }

func (q *fakeQueue) Send(_ context.Context, m workqueue.Outgoing) error {
	q.journal.add("send to " + q.name)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.n++
	if q.fail != nil {
		if taken, err := q.fail(q.n); err != nil {
			if taken {
				q.sent = append(q.sent, m)
			}
			return err
		}
	}
	q.sent = append(q.sent, m)
	return nil
}

func (q *fakeQueue) messages(t *testing.T) []workqueue.Message {
	t.Helper()
	q.mu.Lock()
	defer q.mu.Unlock()
	var all []workqueue.Message
	for _, out := range q.sent {
		m, err := workqueue.Decode(out.Body, out.Attributes)
		if err != nil {
			t.Fatalf("what was sent is not a message: %v", err)
		}
		all = append(all, m)
	}
	return all
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
