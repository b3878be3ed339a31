package worker_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"math"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/spillway-go/spillway/pkg/event"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/tasktable/tasktabletest"
	"github.com/spillway-go/spillway/pkg/worker"
	"github.com/spillway-go/spillway/pkg/workqueue"
	"github.com/spillway-go/spillway/pkg/workqueue/workqueuetest"
)

const (
	tasks, backlog, dead = "tasks", "backlog", "dead-letter"

	timeout    = 120 * time.Second // of the function
	visibility = 750 * time.Second
)

// pipeline is a worker between queues and a table in memory. Everything goes
// through chaos, which lets all pass unless a test says otherwise.
type pipeline struct {
	t     *testing.T
	db    *tasktabletest.DynamoDB
	table *tasktable.Table
	sqs   *workqueuetest.SQS
	chaos *chaos
	mux   *task.Mux
	opts  worker.Options
	log   logBuffer

	queues worker.Queues
	dead   worker.Queue
	worker *worker.Worker // made at the first use
	limit  int            // of a batch
}

// bubble runs a test with fake time.
func bubble(t *testing.T, test func(p *pipeline)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { test(newPipeline(t)) })
}

// source is the tasks and the backlog queue, which keep messages as long as the
// deployed ones.
var source = workqueuetest.QueueOptions{Visibility: visibility, MaxReceives: 100, DeadLetter: dead, Retention: 7 * 24 * time.Hour}

func newPipeline(t *testing.T) *pipeline {
	t.Helper()
	return newPipelineOn(t, workqueuetest.Options{InOrder: true}) // so that a test can tell which message comes first
}

func newPipelineOn(t *testing.T, as workqueuetest.Options) *pipeline {
	t.Helper()
	p := &pipeline{t: t, db: tasktabletest.NewDynamoDB(), sqs: workqueuetest.New(as), mux: task.NewMux(), limit: 10}
	p.chaos = &chaos{db: p.db, sqs: p.sqs}
	p.table = tasktable.New(p.chaos, "tasks", nil)
	p.opts.Backoff = &workqueue.Backoff{Base: 2 * time.Second, Max: time.Minute}
	p.opts.Logger = slog.New(slog.NewTextHandler(&p.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	open := func(name string, o workqueuetest.QueueOptions) *workqueue.Queue {
		return workqueue.New(p.chaos, p.sqs.Create(name, o), &workqueue.Options{Logger: p.opts.Logger})
	}
	p.queues = worker.Queues{"tasks": open(tasks, source), "backlog": open(backlog, source)}
	p.dead = open(dead, workqueuetest.QueueOptions{Retention: 14 * 24 * time.Hour})
	return p
}

// in is the input of the tasks in these tests.
type in struct {
	N int `json:"n"`
}

// handle registers a handler for the type "t".
func (p *pipeline) handle(fn func(context.Context, in) (any, error), opts ...task.HandleOption) {
	task.Handle(p.mux, "t", fn, opts...)
}

type submitted struct {
	draft tasktable.Draft
	msg   workqueue.Message
	queue string
}

// submit accepts a task as the submit function does and returns its id.
func (p *pipeline) submit(change ...func(*submitted)) string {
	p.t.Helper()
	now := time.Now()
	s := submitted{queue: tasks, draft: tasktable.Draft{
		ID: tasktable.NewID(), Tenant: "tenant", Type: "t", Input: json.RawMessage(`{"n":1}`), Deadline: now.Add(time.Hour),
	}}
	s.msg = workqueue.Message{Run: 1, CreatedAt: now, Input: s.draft.Input}
	for _, c := range change {
		c(&s)
	}
	s.msg.TaskID, s.msg.Type, s.msg.Tenant = s.draft.ID, s.draft.Type, s.draft.Tenant
	if s.msg.Deadline.IsZero() {
		s.msg.Deadline = s.draft.Deadline
	}
	if _, err := p.table.Create(p.ctx(), s.draft); err != nil {
		p.t.Fatal(err)
	}
	p.send(s.queue, s.msg)
	return s.draft.ID
}

func number(n int) func(*submitted) {
	return func(s *submitted) {
		s.draft.Input = json.RawMessage(`{"n":` + strconv.Itoa(n) + `}`)
		s.msg.Input = s.draft.Input
	}
}

func ofType(name string) func(*submitted) { return func(s *submitted) { s.draft.Type = name } }

func until(d time.Duration) func(*submitted) {
	return func(s *submitted) { s.draft.Deadline = time.Now().Add(d) }
}

// send puts a message on a queue.
func (p *pipeline) send(queue string, m workqueue.Message) {
	p.t.Helper()
	out, err := workqueue.Encode(m)
	if err == nil {
		err = workqueue.New(p.sqs, p.url(queue), nil).Send(p.ctx(), out)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *pipeline) url(queue string) string {
	return "https://sqs.eu-central-1.amazonaws.com/123456789012/" + queue
}

// message is the message that a task was submitted with.
func (p *pipeline) message(id string, change ...func(*workqueue.Message)) workqueue.Message {
	now := time.Now()
	m := workqueue.Message{
		TaskID: id, Run: 1, Type: "t", Tenant: "tenant", CreatedAt: now, Deadline: now.Add(time.Hour), Input: json.RawMessage(`{"n":1}`),
	}
	for _, c := range change {
		c(&m)
	}
	return m
}

// handler is the worker's, as Lambda calls it: with the function's time-out.
func (p *pipeline) handler(ctx context.Context, payload []byte) ([]byte, error) {
	if p.worker == nil {
		p.worker = worker.New(p.mux, p.table, p.queues, p.dead, &p.opts)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return p.worker.Invoke(ctx, payload)
}

// invoke delivers one batch of a queue and returns its size.
func (p *pipeline) invoke(queue string) int {
	p.t.Helper()
	time.Sleep(time.Millisecond) // a receive takes time
	n, err := p.sqs.Deliver(p.ctx(), queue, p.limit, p.handler)
	if err != nil {
		p.t.Fatal(err)
	}
	return n
}

// batch is invoke for exactly n messages of the tasks queue, in one batch.
func (p *pipeline) batch(n int) {
	p.t.Helper()
	if got := p.invoke(tasks); got != n {
		p.t.Fatalf("a batch of %d messages, want %d", got, n)
	}
}

// drain delivers batches until both queues are empty.
func (p *pipeline) drain() {
	p.t.Helper()
	for range 10_000 {
		if p.invoke(tasks)+p.invoke(backlog) > 0 {
			continue
		}
		if !p.wait() {
			return
		}
	}
	p.t.Fatalf("not quiet after 10000 batches:\n%s", p.log.String())
}

// wait sleeps until a message is visible; false if there is none.
func (p *pipeline) wait() bool {
	next := time.Time{}
	for _, name := range []string{tasks, backlog} {
		for _, m := range p.sqs.Messages(name) {
			if next.IsZero() || m.VisibleAt.Before(next) {
				next = m.VisibleAt
			}
		}
	}
	time.Sleep(time.Until(next))
	return !next.IsZero()
}

// state is what a row says.
type state struct {
	Status                      task.Status
	Attempts, Run               int
	Fence, Settled, ClaimableAt int64
	Code                        string // of the error
	Result, State               string
}

// row reads a row without touching it; the zero state if there is none.
func (p *pipeline) row(id string) state {
	it := p.db.Item(id)
	text := func(name string) string {
		if v, ok := it[name].(*types.AttributeValueMemberS); ok {
			return v.Value
		}
		return ""
	}
	num := func(name string) int64 {
		if v, ok := it[name].(*types.AttributeValueMemberN); ok {
			n, err := strconv.ParseInt(v.Value, 10, 64)
			if err != nil {
				p.t.Error(err)
			}
			return n
		}
		return 0
	}
	var f task.Failure
	if e := text("error"); e != "" {
		if err := json.Unmarshal([]byte(e), &f); err != nil {
			p.t.Error(err)
		}
	}
	return state{
		Status: task.Status(text("status")), Attempts: int(num("attempts")), Run: int(num("run")), Fence: num("fence"), Settled: num("settled"),
		ClaimableAt: num("claimable_at"), Code: f.Code, Result: text("result"), State: text("state"),
	}
}

// has checks a task's status and attempts.
func (p *pipeline) has(id string, status task.Status, attempts int) {
	p.t.Helper()
	if s := p.row(id); s.Status != status || s.Attempts != attempts {
		p.t.Errorf("the task is %s after %d attempts, want %s after %d (%+v)\n%s", s.Status, s.Attempts, status, attempts, s, p.log.String())
	}
}

// holds checks how many messages the queues hold.
func (p *pipeline) holds(want map[string]int) {
	p.t.Helper()
	for _, name := range []string{tasks, backlog, dead} {
		if got := len(p.sqs.Messages(name)); got != want[name] {
			p.t.Errorf("%d messages in %s, want %d\n%s", got, name, want[name], p.log.String())
		}
	}
}

// only returns the one message of a queue.
func (p *pipeline) only(queue string) workqueuetest.Message {
	p.t.Helper()
	messages := p.sqs.Messages(queue)
	if len(messages) != 1 {
		p.t.Fatalf("%d messages in %s, want 1\n%s", len(messages), queue, p.log.String())
	}
	return messages[0]
}

// letter is the failure record of the one dead letter.
func (p *pipeline) letter() workqueue.FailureRecord {
	p.t.Helper()
	f, err := workqueue.ParseFailure(p.only(dead).Attribute(workqueue.AttrFailure))
	if err != nil {
		p.t.Fatal(err)
	}
	return f
}

// calls checks how often the worker called table and queues since the last
// reset; what is missing in want was not called.
func (p *pipeline) calls(want map[string]int) {
	p.t.Helper()
	got := p.chaos.counts()
	for op, n := range want {
		if got[op] != n {
			p.t.Errorf("%d calls of %s, want %d", got[op], op, n)
		}
		delete(got, op)
	}
	for op, n := range got {
		p.t.Errorf("%d calls of %s, want none", n, op)
	}
}

const never = math.MaxInt64

type message = workqueue.Message

// resume hands records to the worker without a deadline, as of a process that
// stood still, and acknowledges what it does not report.
func (p *pipeline) resume(records []events.SQSMessage) (back []string) {
	p.t.Helper()
	resp, err := worker.New(p.mux, p.table, p.queues, p.dead, &p.opts).Invoke(p.ctx(), workqueuetest.Event(records))
	if err != nil {
		p.t.Fatal(err)
	}
	p.sqs.Acknowledge(tasks, records, resp)
	return p.back(resp)
}

// read returns records as a function sees them.
func (p *pipeline) read(records ...events.SQSMessage) []event.SQSMessage {
	p.t.Helper()
	messages, err := event.SQS(workqueuetest.Event(records))
	if err != nil {
		p.t.Fatal(err)
	}
	return messages
}

// back returns the ids of the messages that a response hands back.
func (p *pipeline) back(response []byte) (ids []string) {
	p.t.Helper()
	var resp events.SQSEventResponse
	if err := json.Unmarshal(response, &resp); err != nil || resp.BatchItemFailures == nil {
		p.t.Fatalf("the response %s: %v; want a list, never null", response, err)
	}
	for _, f := range resp.BatchItemFailures {
		ids = append(ids, f.ItemIdentifier)
	}
	return ids
}

// ctx is the bubble's context; that of the test around it must not be used.
func (p *pipeline) ctx() context.Context { return p.t.Context() }

// overtake takes a task over although its lease holds, as a worker would whose
// clock is far ahead.
func (p *pipeline) overtake(ctx context.Context, id string) {
	_, err := p.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		Key:                      map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: id}},
		UpdateExpression:         aws.String("SET fence = fence + :one, #owner = :another"),
		ExpressionAttributeNames: map[string]string{"#owner": "owner"},
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":one": &types.AttributeValueMemberN{Value: "1"}, ":another": &types.AttributeValueMemberS{Value: "another"},
		},
	})
	if err != nil {
		p.t.Error(err)
	}
}
