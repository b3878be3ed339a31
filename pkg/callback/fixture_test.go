package callback_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	streams "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
	"go.uber.org/goleak"

	"github.com/spillway-go/spillway/pkg/callback"
	"github.com/spillway-go/spillway/pkg/event"
	"github.com/spillway-go/spillway/pkg/intake"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/tasktable/tasktabletest"
	"github.com/spillway-go/spillway/pkg/webhook"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const target = "https://example.com/done?token=s3cr3t&a=<b>"

var errDown = errors.New("the service is down")

// fixture is a notifier over a table in memory and its stream.
type fixture struct {
	*callback.Notifier
	t      testing.TB
	db     *tasktabletest.DynamoDB
	read   string // the last record of the stream that was taken
	table  *tasktable.Table
	in     *intake.Intake
	queue  *fakeQueue // both queues
	logged lines
}

func newFixture(tb testing.TB) *fixture {
	tb.Helper()
	f := &fixture{t: tb, db: tasktabletest.NewDynamoDB(), queue: &fakeQueue{}}
	f.table = tasktable.New(f.db, "tasks", nil)
	mux := task.NewMux()
	task.Handle(mux, "report.build", func(context.Context, any) (int, error) { return 0, nil })
	task.Handle(mux, webhook.Type, webhook.New(nil, nil).Deliver) // only to check inputs
	f.in = intake.New(f.table, intake.Queues{"tasks": f.queue, "backlog": f.queue}, mux, nil)
	f.Notifier = callback.New(f.table, f.in, &callback.Options{Logger: slog.New(slog.NewJSONHandler(&f.logged, nil))})
	return f
}

// imageOf writes an image of the stream as Lambda does.
func imageOf(it map[string]streams.AttributeValue) event.Image {
	if it == nil {
		return ""
	}
	plain := map[string]map[string]string{}
	for name, v := range it {
		switch v := v.(type) {
		case *streams.AttributeValueMemberS:
			plain[name] = map[string]string{"S": v.Value}
		case *streams.AttributeValueMemberN:
			plain[name] = map[string]string{"N": v.Value}
		default:
			panic("an attribute of another kind")
		}
	}
	text, err := json.Marshal(plain)
	if err != nil {
		panic(err)
	}
	return event.Image(text)
}

// fakeQueue keeps what is sent.
type fakeQueue struct {
	mu   sync.Mutex
	sent []workqueue.Outgoing
	fail func() (taken bool, err error) // taken when only the answer is lost
}

func (q *fakeQueue) Name() string { return "queue" }

func (q *fakeQueue) Send(_ context.Context, m workqueue.Outgoing) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.fail != nil {
		if taken, err := q.fail(); err != nil {
			if taken {
				q.sent = append(q.sent, m)
			}
			return err
		}
	}
	q.sent = append(q.sent, m)
	return nil
}

// lines are what was logged.
type lines struct {
	mu   sync.Mutex
	text []byte
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, b...)
	return len(b), nil
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text)
}

// create makes a task with a callback, unless changes say otherwise.
func (f *fixture) create(changes ...func(*tasktable.Draft)) string {
	f.t.Helper()
	d := tasktable.Draft{
		ID: tasktable.NewID(), Tenant: "acme", Type: "report.build", Priority: task.Normal, Input: json.RawMessage(`{"year":2026}`),
		Deadline: time.Now().Add(time.Hour), CallbackURL: target,
	}
	for _, change := range changes {
		change(&d)
	}
	if _, err := f.table.Create(f.t.Context(), d); err != nil {
		f.t.Fatal(err)
	}
	return d.ID
}

func (f *fixture) claim(id string) *tasktable.Row {
	f.t.Helper()
	c := f.table.Claim(f.t.Context(), tasktable.NewOwner(), time.Now().Add(time.Minute), []string{id})[0]
	if c.Outcome != tasktable.Claimed {
		f.t.Fatalf("claim: %+v", c)
	}
	return c.Row
}

func (f *fixture) settle(s tasktable.Settlement) {
	f.t.Helper()
	if got := f.table.Settle(f.t.Context(), []tasktable.Settlement{s})[0]; got.Err != nil || got.Lost {
		f.t.Fatalf("settle: %+v", got)
	}
}

var unlucky = task.Failure{Code: "http_500", Message: "shop answered 500 <again>", Retryable: true}

// end brings a new task into a state.
func (f *fixture) end(id string, to task.Status) {
	f.t.Helper()
	switch to {
	case task.Succeeded:
		f.settle(tasktable.Succeed(f.claim(id), json.RawMessage(`{"rows":17,"note":"<&>"}`)))
	case task.Failed:
		f.settle(tasktable.Fail(f.claim(id), unlucky))
	case task.DeadLettered:
		f.settle(tasktable.DeadLetter(f.claim(id), unlucky))
	case task.Expired:
		f.settle(tasktable.Expired(f.claim(id)))
	case task.Canceled:
		if _, err := f.table.Cancel(f.t.Context(), "acme", id); err != nil {
			f.t.Fatal(err)
		}
	default:
		f.t.Fatalf("%s is no end", to)
	}
}

// replay queues a task again.
func (f *fixture) replay(id string, run int) {
	f.t.Helper()
	if done, err := f.table.Replay(f.t.Context(), id, run); err != nil || !done {
		f.t.Fatalf("replay: %t, %v", done, err)
	}
}

// stream takes the changes that have not been taken.
func (f *fixture) stream() (all []*event.Change) {
	for _, r := range f.db.Records("", f.read, 1000) {
		f.read = *r.Dynamodb.SequenceNumber
		all = append(all, &event.Change{
			Kind: event.ChangeKind(r.EventName), Old: imageOf(r.Dynamodb.OldImage), New: imageOf(r.Dynamodb.NewImage),
			Keys: imageOf(r.Dynamodb.Keys), SequenceNumber: f.read,
		})
	}
	return all
}

// handle handles all changes since the last time.
func (f *fixture) handle() {
	f.t.Helper()
	for _, c := range f.stream() {
		if err := f.Handle(f.t.Context(), c); err != nil {
			f.t.Fatalf("%s: %v", c.New, err)
		}
	}
}

// delivery is a callback's task as the worker gets it.
type delivery struct {
	id    string
	input webhook.Input
	task  document
}

// document is a callback's payload.
type document struct {
	task.Task
	ResultOmitted bool `json:"result_omitted,omitempty"`
}

// deliveries are the callbacks' tasks in the order of their first message. All
// messages of a task have to say the same.
func (f *fixture) deliveries() []delivery {
	f.t.Helper()
	f.queue.mu.Lock()
	defer f.queue.mu.Unlock()
	var all []delivery
	seen := map[string]string{}
	for _, out := range f.queue.sent {
		m, err := workqueue.Decode(out.Body, out.Attributes)
		if err != nil {
			f.t.Fatal(err)
		}
		row, err := f.table.GetConsistent(context.Background(), m.TaskID)
		if err != nil {
			f.t.Fatal(err)
		}
		input := m.Input
		if m.InputRef != "" {
			if input, err = f.table.Input(context.Background(), row); err != nil {
				f.t.Fatal(err)
			}
		}
		if m.Type != webhook.Type || row.Type != m.Type || row.Tenant != m.Tenant || m.Run != 1 || row.CallbackURL != "" {
			f.t.Errorf("a message %+v of the row %+v", m, row)
		}
		if first, again := seen[m.TaskID]; again {
			if first != string(input) {
				f.t.Errorf("two messages of task %s differ", m.TaskID)
			}
			continue
		}
		seen[m.TaskID] = string(input)
		d := delivery{id: m.TaskID}
		if err := task.Decode(input, &d.input); err != nil {
			f.t.Fatal(err)
		}
		if err := task.Decode(d.input.Payload, &d.task); err != nil {
			f.t.Fatal(err)
		}
		all = append(all, d)
	}
	return all
}
