package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/aws"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/internal/adminapi"
	"github.com/spillway-go/spillway/internal/parked"
	"github.com/spillway-go/spillway/internal/trip"
	"github.com/spillway-go/spillway/pkg/archive"
	"github.com/spillway-go/spillway/pkg/archive/archivetest"
	"github.com/spillway-go/spillway/pkg/chaos"
	"github.com/spillway-go/spillway/pkg/redrive"
	"github.com/spillway-go/spillway/pkg/rescue"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/tasktable/tasktabletest"
	"github.com/spillway-go/spillway/pkg/worker"
	"github.com/spillway-go/spillway/pkg/workqueue"
	"github.com/spillway-go/spillway/pkg/workqueue/workqueuetest"
)

// What a stack calls its things. None of it is in an answer but the names of
// queues.
const (
	tasksTable   = "spillway-TasksTable-1ABCDEF"
	controlTable = "spillway-ControlTable-1ABCDEF"

	reservationsTable = "spillway-ReservationsTable-1ABCDEF"
	bucketName        = "spillway-archivebucket-1abcdef"
	functionName      = "spillway-AdminFunction-1ABCDEF"

	tasksQueue   = "spillway-tasks"
	backlogQueue = "spillway-backlog"
	deadQueue    = "spillway-dead-letter"
	streamQueue  = "spillway-stream-failures"
	sagaQueue    = "spillway-saga-failures"

	requestIDOfTest = "8476a536-e9f4-11e8-9739-2dfe598c3fcd"
	tenant          = "AROAEXAMPLE"
)

// fixture is the operator's function over tables, queues and a worker in
// memory.
type fixture struct {
	*testing.T
	db      *tasktabletest.DynamoDB
	table   *tasktable.Table
	queues  *workqueuetest.SQS
	control *archivetest.Table
	bucket  *archivetest.Bucket
	streams *fakeStreams
	chaos   *Chaos
	stock   *archivetest.Table // of reservations
	machine *fakeMachine
	steps   *fakeSteps
	calls   *fakeFunctions
	mover   *fakeMover
	kept    *archive.Archive
	sources map[string]redrive.Source
	opts    redrive.Options
	timeout time.Duration // of an invocation; 0 is none

	worker *worker.Worker
	broken map[string]error // what becomes of tasks, by the "n" of their input
	mu     sync.Mutex

	handler lambda.Handler // made at the first use
}

// bubble runs a test with fake time, beside others.
func bubble(t *testing.T, test func(f *fixture)) {
	t.Helper()
	t.Parallel()
	synctestRun(t, test)
}

// synctestRun runs a test with fake time.
func synctestRun(t *testing.T, test func(f *fixture)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(newFixture(t)) })
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{
		T: t, db: tasktabletest.NewDynamoDB(), queues: workqueuetest.New(workqueuetest.Options{InOrder: true, Numbered: true}), control: archivetest.NewTable(), bucket: archivetest.NewBucket(),
		streams: &fakeStreams{}, stock: archivetest.NewTable(), machine: newFakeMachine(t), steps: &fakeSteps{}, calls: &fakeFunctions{}, mover: &fakeMover{}, broken: map[string]error{}, timeout: 5 * time.Minute,
	}
	f.table = tasktable.New(f.db, tasksTable, nil)
	f.chaos = &Chaos{Faults: chaos.NewStore(f.control, controlTable), Targets: []chaos.Target{"saga.BookFlight", "saga.CancelHotel"}}
	f.kept = archive.New(f.control, controlTable, f.bucket, bucketName, nil)
	source := workqueuetest.QueueOptions{Visibility: 750 * time.Second, MaxReceives: 3, DeadLetter: deadQueue}
	open := func(name string, o workqueuetest.QueueOptions) *workqueue.Inbox {
		return workqueue.NewInbox(f.queues, f.queues.Create(name, o), nil)
	}
	tasks, backlog := open(tasksQueue, source), open(backlogQueue, source)
	dead, streams := open(deadQueue, workqueuetest.QueueOptions{}), open(streamQueue, workqueuetest.QueueOptions{})
	f.sources = map[string]redrive.Source{
		"tasks": {
			Letters: dead, Tasks: f.table, Move: f.mover, MoveTo: "arn:aws:sqs:eu-central-1:123456789012:" + tasksQueue,
			Origins: redrive.Origins{"tasks": tasks, "backlog": backlog},
		},
		"stream": {Letters: streams},
		"saga":   {Letters: open(sagaQueue, workqueuetest.QueueOptions{})},
	}
	f.opts = redrive.Options{Quarantine: f.kept, Continue: Continue(f.calls, functionName), Follow: Follow(f.calls, functionName)}
	mux := task.NewMux()
	task.Handle(mux, "shop.order", f.order)
	task.Handle(mux, "shop.note", f.order)
	f.worker = worker.New(mux, f.table, worker.Queues{"tasks": tasks, "backlog": backlog}, dead, &worker.Options{MaxAttempts: 1})
	return f
}

// order is the input of the tasks in these tests.
type order struct {
	N string `json:"n"`
}

// order is what the worker does with a task.
func (f *fixture) order(_ context.Context, o order) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return "done", f.broken[o.N]
}

// breaks says what becomes of the tasks with one of these inputs; nil repairs
// them.
func (f *fixture) breaks(err error, inputs ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, n := range inputs {
		f.broken[n] = err
	}
}

// submit accepts tasks, one for each input, and returns their ids.
func (f *fixture) submit(taskType string, inputs ...string) (ids []string) {
	f.Helper()
	for _, n := range inputs {
		now := time.Now()
		d := tasktable.Draft{
			ID: tasktable.NewID(), Tenant: tenant, Type: taskType, Priority: task.Normal, Deadline: now.Add(7 * 24 * time.Hour),
			Input: json.RawMessage(`{"n":"` + n + `"}`),
		}
		if _, err := f.table.Create(f.Context(), d); err != nil {
			f.Fatal(err)
		}
		out, err := workqueue.Encode(workqueue.Message{
			TaskID: d.ID, Run: 1, Type: d.Type, Tenant: d.Tenant, CreatedAt: now, Deadline: d.Deadline, Priority: d.Priority, Origin: tasksQueue, Input: d.Input,
		})
		if err == nil {
			err = f.queue(tasksQueue).Send(f.Context(), out)
		}
		if err != nil {
			f.Fatal(err)
		}
		ids = append(ids, d.ID)
		time.Sleep(time.Millisecond) // so that ids sort
	}
	return ids
}

func (f *fixture) queue(name string) *workqueue.Queue {
	return workqueue.New(f.queues, "https://sqs.eu-central-1.amazonaws.com/123456789012/"+name, nil)
}

// work has the worker do what is in the tasks queue.
func (f *fixture) work() {
	f.Helper()
	for {
		n, err := f.queues.Deliver(f.Context(), tasksQueue, 10, f.worker.Invoke)
		if err != nil {
			f.Fatal(err)
		}
		if n == 0 {
			return
		}
	}
}

// dead makes dead letters as the worker does, and returns their tasks' ids.
func (f *fixture) dead(taskType string, err error, inputs ...string) []string {
	f.Helper()
	f.breaks(err, inputs...)
	ids := f.submit(taskType, inputs...)
	f.work()
	for _, id := range ids {
		f.has(id, task.DeadLettered)
	}
	return ids
}

// has checks the state of a task.
func (f *fixture) has(id string, want task.Status) *tasktable.Row {
	f.Helper()
	row, err := f.table.GetConsistent(f.Context(), id)
	if err != nil {
		f.Fatal(err)
	}
	if row.Status != want {
		f.Errorf("task %s is %s, want %s", id, row.Status, want)
	}
	return row
}

// holds checks how many messages a queue has, and that all of them can be
// received.
func (f *fixture) holds(name string, want int) {
	f.Helper()
	messages := f.queues.Messages(name)
	if len(messages) != want {
		f.Errorf("%s has %d messages, want %d", name, len(messages), want)
	}
	for _, m := range messages {
		if m.VisibleAt.After(time.Now()) {
			f.Errorf("message %s of %s is hidden for %s", m.ID, name, time.Until(m.VisibleAt))
		}
	}
}

func (f *fixture) admin() *Admin {
	letters := redrive.New(f.control, controlTable, f.sources, &f.opts)
	return &Admin{Table: f.table, Redrive: letters, Parked: parked.New(f.control, controlTable, letters, f.opts.Logger), Streams: f.streams, Chaos: f.chaos, Stock: trip.NewStock(f.stock, reservationsTable), Sagas: f.sagas()}
}

// invoke calls the function as Lambda does.
func (f *fixture) invoke(payload string) (string, error) {
	f.Helper()
	if f.handler == nil {
		f.handler = lambda.NewHandler(f.admin().Handle)
	}
	ctx := lambdacontext.NewContext(f.Context(), &lambdacontext.LambdaContext{AwsRequestID: requestIDOfTest})
	if f.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, f.timeout)
		defer cancel()
	}
	out, err := f.handler.Invoke(ctx, []byte(payload))
	f.clean(string(out))
	if err != nil {
		f.clean(err.Error())
	}
	return string(out), err
}

// internals are in no answer, whatever the command: names of things, and how
// AWS talks.
var internals = []string{
	"arn:", tasksTable, controlTable, reservationsTable, bucketName, functionName, "123456789012", "amazonaws", "operation error", "api error", "StatusCode", "RequestID:",
	"secret detail",
}

func (f *fixture) clean(answer string) {
	f.Helper()
	for _, found := range internals {
		if strings.Contains(answer, found) {
			f.Errorf("%q is in an answer: %.2000s", found, answer)
		}
	}
}

// ask calls the function and returns its answer.
func (f *fixture) ask(payload string) answer {
	f.Helper()
	out, err := f.invoke(payload)
	if err != nil {
		f.Fatalf("%s: %v", payload, err)
	}
	var a answer
	if err := json.Unmarshal([]byte(out), &a); err != nil || !strings.HasPrefix(out, `{"ok":`) {
		f.Fatalf("%s: answer %s, %v", payload, out, err)
	}
	return a
}

// ok calls the function for an answer that is ok.
func (f *fixture) ok(payload string) answer {
	f.Helper()
	a := f.ask(payload)
	if a["ok"] != true {
		f.Fatalf("%s: refused: %v", payload, a)
	}
	return a
}

// refused calls the function for a refusal, and returns its message.
func (f *fixture) refused(payload string, code adminapi.Code) string {
	f.Helper()
	a := f.ask(payload)
	message, _ := a["message"].(string)
	if a["ok"] != false || a["code"] != string(code) || message == "" || len(a) != 3 || len(message) > 1000 {
		f.Errorf("%s: answer %v, want the code %s", payload, a, code)
	}
	return message
}

// answer is one of the function's.
type answer map[string]any

func (a answer) text(name string) string { s, _ := a[name].(string); return s }
func (a answer) number(name string) int  { n, _ := a[name].(float64); return int(n) }

// is checks a whole answer. What differs from run to run has a word instead: an
// id is as names has it, or "ID", a time "TIME", and a duration since something
// "AGE". Message ids are without their zeros: "M3".
func (f *fixture) is(got answer, names map[string]string, want string) {
	f.Helper()
	text, err := json.Marshal(got)
	if err != nil {
		f.Fatal(err)
	}
	normal := ulids.ReplaceAllStringFunc(string(text), func(id string) string {
		for name, named := range names {
			if named == id {
				return name
			}
		}
		return "ID"
	})
	for _, r := range []struct {
		pattern *regexp.Regexp
		with    string
	}{{messages, `"M$1"`}, {times, `"TIME"`}, {ages, `"$1":"AGE"`}} {
		normal = r.pattern.ReplaceAllString(normal, r.with)
	}
	var have, expected any
	if err := json.Unmarshal([]byte(normal), &have); err != nil {
		f.Fatal(err)
	}
	if err := json.Unmarshal([]byte(want), &expected); err != nil {
		f.Fatalf("what is wanted is no JSON: %v", err)
	}
	if diff := cmp.Diff(expected, have); diff != "" {
		f.Errorf("answer (-want +got):\n%s", diff)
	}
}

var (
	ulids    = regexp.MustCompile(`\b[0-7][0-9A-HJKMNP-TV-Z]{25}\b`)
	messages = regexp.MustCompile(`"00000000-0000-4000-8000-0+([1-9]\d*)"`)
	times    = regexp.MustCompile(`"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"`)
	ages     = regexp.MustCompile(`"(age|oldest_age)":"[0-9hms.µ]+"`)
)

// fakeStreams are records of streams that were set aside.
type fakeStreams struct {
	records []rescue.Record
	ranges  []rescue.FailedRange
	replay  rescue.Replay
	err     error
	asked   []rescue.ReplayRequest
	limits  []int
}

func (s *fakeStreams) List(_ context.Context, limit int) ([]rescue.Record, error) {
	s.limits = append(s.limits, limit)
	return slices.Clone(s.records[:min(limit, len(s.records))]), s.err
}

func (s *fakeStreams) Ranges(_ context.Context, limit int) ([]rescue.FailedRange, error) {
	s.limits = append(s.limits, limit)
	return slices.Clone(s.ranges[:min(limit, len(s.ranges))]), s.err
}

func (s *fakeStreams) Replay(_ context.Context, q rescue.ReplayRequest) (rescue.Replay, error) {
	s.asked = append(s.asked, q)
	return s.replay, s.err
}

// fakeFunctions is what is used of the Lambda client.
type fakeFunctions struct {
	mu     sync.Mutex
	called []*awslambda.InvokeInput
	err    error
}

func (c *fakeFunctions) Invoke(_ context.Context, in *awslambda.InvokeInput, _ ...func(*awslambda.Options)) (*awslambda.InvokeOutput, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.called = append(c.called, in)
	return &awslambda.InvokeOutput{StatusCode: 202}, c.err
}

// continuations are the payloads that the function has called itself with,
// since it was last asked.
func (c *fakeFunctions) continuations() (payloads []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, in := range c.called {
		payloads = append(payloads, string(in.Payload))
	}
	c.called = nil
	return payloads
}

// fakeMover is SQS's own way to move messages.
type fakeMover struct {
	asked []*sqs.StartMessageMoveTaskInput
	err   error
}

func (m *fakeMover) StartMessageMoveTask(_ context.Context, in *sqs.StartMessageMoveTaskInput, _ ...func(*sqs.Options)) (*sqs.StartMessageMoveTaskOutput, error) {
	m.asked = append(m.asked, in)
	return &sqs.StartMessageMoveTaskOutput{TaskHandle: aws.String("handle-1")}, m.err
}

// awsError is an error as an SDK client returns it: with all that is none of an
// operator's business.
func awsError(service, operation, code string) error {
	return &smithy.OperationError{ServiceID: service, OperationName: operation, Err: fmt.Errorf("https response error StatusCode: 400, RequestID: R1, %w", &smithy.GenericAPIError{
		Code: code, Message: "secret detail of arn:aws:dynamodb:eu-central-1:123456789012:table/" + tasksTable, Fault: smithy.FaultClient,
	})}
}

var errFlaky = errors.New("the shop answers 503 after 17 ms")
