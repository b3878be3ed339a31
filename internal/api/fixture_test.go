package api

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/spillway-go/spillway/pkg/intake"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/tasktable/tasktabletest"
	"github.com/spillway-go/spillway/pkg/webhook"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

const tableName = "spillway-TasksTable-1ABCDEF"

// fixture is the API over a table and queues in memory.
type fixture struct {
	t              *testing.T
	db             *tasktabletest.DynamoDB
	table          *tasktable.Table
	tasks, backlog *fakeQueue
	functions      map[string]lambda.Handler
}

// order is the input of the task type that tests use.
type order struct {
	Item  string `json:"item"`
	Count int    `json:"count"`
}

func (o *order) Validate() error {
	if o.Item == "" {
		return errors.New("item: is missing")
	}
	return nil
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	return newFixtureWith(t, "", &intake.Options{MaxInput: 1000})
}

func newFixtureWith(t *testing.T, endpoint string, opts *intake.Options) *fixture {
	t.Helper()
	f := &fixture{t: t, db: tasktabletest.NewDynamoDB(), tasks: &fakeQueue{name: "tasks"}, backlog: &fakeQueue{name: "backlog"}}
	f.table = tasktable.New(f.db, tableName, nil)
	mux := task.NewMux()
	task.Handle(mux, "shop.order", func(context.Context, order) (string, error) { return "", nil })
	task.Handle(mux, "shop.note", func(context.Context, any) (string, error) { return "", nil })
	task.Handle(mux, webhook.Type, webhook.New(nil, nil).Deliver) // only to check inputs
	in := intake.New(f.table, intake.Queues{"tasks": f.tasks, "backlog": f.backlog}, mux, opts)
	f.functions = map[string]lambda.Handler{
		http.MethodPost:   lambda.NewHandler((&Submit{Intake: in, Endpoint: endpoint}).Handle),
		http.MethodGet:    lambda.NewHandler((&Status{Table: f.table}).Handle),
		http.MethodDelete: lambda.NewHandler((&Cancel{Table: f.table}).Handle),
	}
	return f
}

// fakeQueue keeps what is sent.
type fakeQueue struct {
	name string

	mu   sync.Mutex
	sent []workqueue.Outgoing
	fail error
}

func (q *fakeQueue) Name() string { return q.name }

func (q *fakeQueue) Send(_ context.Context, m workqueue.Outgoing) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.fail != nil {
		return q.fail
	}
	q.sent = append(q.sent, m)
	return nil
}

func (q *fakeQueue) failWith(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.fail = err
}

// messages are what was sent, decoded.
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

// sample reads a sample event as it is.
func sample(tb testing.TB, name string) []byte {
	tb.Helper()
	text, err := os.ReadFile("../../events/" + name + ".json")
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

// event is a sample event with changes.
func event(t *testing.T, name string, changes ...func(*request)) *request {
	t.Helper()
	r := new(request)
	if err := json.Unmarshal(sample(t, name), r); err != nil {
		t.Fatal(err)
	}
	for _, change := range changes {
		change(r)
	}
	return r
}

// with sets a header, under the one name.
func with(name string, values ...string) func(*request) {
	return func(r *request) {
		without(name)(r)
		if len(values) > 0 {
			r.Headers[name] = values[len(values)-1]
			r.MultiValueHeaders[name] = values
		}
	}
}

func without(name string) func(*request) {
	return func(r *request) {
		for k := range r.Headers {
			if strings.EqualFold(k, name) {
				delete(r.Headers, k)
				delete(r.MultiValueHeaders, k)
			}
		}
	}
}

func withKey(key string) func(*request) { return with("Idempotency-Key", key) }

func withBody(body string) func(*request) { return func(r *request) { r.Body = body } }

func inBase64(r *request) {
	r.Body, r.IsBase64Encoded = base64.StdEncoding.EncodeToString([]byte(r.Body)), true
}

func withQuery(pairs ...string) func(*request) {
	return func(r *request) {
		r.QueryStringParameters, r.MultiValueQueryStringParameters = map[string]string{}, map[string][]string{}
		for i := 0; i < len(pairs); i += 2 {
			r.QueryStringParameters[pairs[i]] = pairs[i+1]
			r.MultiValueQueryStringParameters[pairs[i]] = []string{pairs[i+1]}
		}
	}
}

func withID(id string) func(*request) {
	return func(r *request) {
		r.PathParameters = map[string]string{"id": id}
		r.Path, r.RequestContext.Path = "/tasks/"+id, "/v1/tasks/"+id
	}
}

func from(caller string) func(*request) {
	return func(r *request) { r.RequestContext.Identity.Caller = caller }
}

// reply is an answer of the API that the document allows.
type reply struct {
	t *testing.T
	response
}

// do calls the function for an event and holds the answer against the
// document.
func (f *fixture) do(r *request) reply {
	f.t.Helper()
	return f.doWithin(f.t.Context(), r)
}

func (f *fixture) doWithin(ctx context.Context, r *request) reply {
	f.t.Helper()
	payload, err := json.Marshal(r)
	if err != nil {
		f.t.Fatal(err)
	}
	return f.invoke(ctx, r.HTTPMethod, r.Resource, payload)
}

func (f *fixture) invoke(ctx context.Context, method, resource string, payload []byte) reply {
	f.t.Helper()
	out, err := f.functions[method].Invoke(ctx, payload)
	if err != nil {
		f.t.Fatalf("the function fails: %v", err)
	}
	got := reply{t: f.t}
	if err := json.Unmarshal(out, &got.response); err != nil {
		f.t.Fatal(err)
	}
	if err := document().undocumented(method, resource, got.response); err != nil {
		f.t.Errorf("%d %s: not as documented: %v", got.StatusCode, got.Body, err)
	}
	return got
}

// task expects a status and a task.
func (r reply) task(status int) task.Task {
	r.t.Helper()
	if r.StatusCode != status {
		r.t.Fatalf("answer %d %s, want %d", r.StatusCode, r.Body, status)
	}
	var got task.Task
	if err := task.Decode([]byte(r.Body), &got); err != nil {
		r.t.Fatal(err)
	}
	return got
}

// problem expects an error with this code.
func (r reply) problem(status int, code string) problem {
	r.t.Helper()
	var got problem
	if err := json.Unmarshal([]byte(r.Body), &got); err != nil {
		r.t.Fatal(err)
	}
	if r.StatusCode != status || got.Code != code {
		r.t.Fatalf("answer %d %s, want %d %s", r.StatusCode, r.Body, status, code)
	}
	return got
}

// submit hands in a small task.
func (f *fixture) submit(changes ...func(*request)) task.Task {
	f.t.Helper()
	body := withBody(`{"type":"shop.order","input":{"item":"tea","count":2}}`)
	return f.do(event(f.t, "submit", append([]func(*request){without("Idempotency-Key"), body}, changes...)...)).task(http.StatusAccepted)
}

// claim begins work on a task, as the worker does.
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

// become brings a submitted task into a state.
func (f *fixture) become(id string, to task.Status) {
	f.t.Helper()
	failure := task.Failure{Code: "http_500", Message: "shop answered 500", Retryable: true}
	switch to {
	case task.Running:
		f.claim(id)
	case task.Succeeded:
		f.settle(tasktable.Succeed(f.claim(id), json.RawMessage(`{"cups":2}`)))
	case task.Failed:
		f.settle(tasktable.Fail(f.claim(id), failure))
	case task.DeadLettered:
		f.settle(tasktable.DeadLetter(f.claim(id), failure))
	case task.Canceled:
		f.settle(tasktable.Cancel(f.claim(id)))
	case task.Expired:
		f.settle(tasktable.Expired(f.claim(id)))
	default:
	}
}

// untouched expects that nothing was written and nothing sent.
func (f *fixture) untouched() {
	f.t.Helper()
	if calls := f.db.Calls(); len(calls) > 0 {
		f.t.Errorf("the table was called: %v", calls)
	}
	if n := len(f.tasks.messages(f.t)) + len(f.backlog.messages(f.t)); n > 0 {
		f.t.Errorf("%d messages were sent", n)
	}
}
