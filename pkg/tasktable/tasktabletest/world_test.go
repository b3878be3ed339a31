package tasktabletest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"pgregory.net/rapid"

	"github.com/spillway-go/spillway/pkg/intake"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/tasktable/tasktabletest"
	"github.com/spillway-go/spillway/pkg/worker"
	"github.com/spillway-go/spillway/pkg/workqueue"
	"github.com/spillway-go/spillway/pkg/workqueue/workqueuetest"
)

const (
	tasks, backlog, dead = "tasks", "backlog", "dead-letter"

	timeout    = 30 * time.Second // of the worker function
	visibility = 40 * time.Second // longer than a lease, shorter than a deaf handler takes
)

// deed is what a handler does in one attempt.
type deed string

const (
	succeed    deed = "succeed"
	large      deed = "large result"
	fail       deed = "fail"
	permanent  deed = "permanent error"
	ask        deed = "retry after"
	deferral   deed = "defer"
	panics     deed = "panic"
	crash      deed = "crash" // takes its worker down
	hang       deed = "hang"  // until its context ends
	deaf       deed = "deaf"  // goes on long after its context has ended, and succeeds
	deafFail   deed = "deaf, fail"
	deafDefer  deed = "deaf, defer"
	ghost      deed = "ghost"  // deaf, and then reports progress
	slowly     deed = "slowly" // succeeds after some seconds
	slowFail   deed = "slowly fail"
	checkpoint deed = "checkpoint"
	yield      deed = "yield"      // goes on from its checkpoint, three times
	yieldIdle  deed = "yield idle" // without a newer checkpoint
	deafYield  deed = "deaf, yield"
)

var deeds = []deed{succeed, large, fail, permanent, ask, deferral, panics, crash, hang, deaf, deafFail, deafDefer, ghost, slowly, slowFail, checkpoint, yield, yield, yieldIdle, deafYield}

var errFlaky = task.Code("flaky", errors.New("not this time"))

// world is a pipeline with several workers, between a table and queues in
// memory, and the history of all that happens in it. It lives in a bubble.
//
// It stays below the functions, whose kills the history judges in
// internal/memstack. Handlers and calls that outlive their invocation need a
// process that Lambda would have killed, and one play on the whole stack costs
// several times the CPU of one here, of which these tests make thousands.
type world struct {
	t       tb
	db      *tasktabletest.DynamoDB
	sqs     *workqueuetest.SQS
	client  client
	table   *tasktable.Table
	mux     *task.Mux
	intake  *intake.Intake
	queues  worker.Queues
	dead    worker.Queue
	opts    worker.Options
	history *tasktabletest.History
	workers []*station

	mu      sync.Mutex // guards all below
	scripts map[string][]deed
	begun   map[string]int // handlers, by task
	ids     []string
	results int
}

// station is where one worker runs, one invocation at a time; when its process
// has died, another one takes its place.
type station struct {
	name    string
	worker  *worker.Worker
	process *process // of the invocation that runs; nil if none does
	done    chan struct{}
}

// worldOptions are what worlds differ in. The zero value is a plain one.
type worldOptions struct {
	workers     int // defaults to 2
	concurrency int
	worker      worker.Options
	maxReceives int // defaults to 100
}

func newWorld(t tb, o worldOptions) *world {
	t.Helper()
	w := &world{
		t: t, db: tasktabletest.NewDynamoDB(), sqs: workqueuetest.New(), mux: task.NewMux(), opts: o.worker,
		scripts: map[string][]deed{}, begun: map[string]int{},
	}
	w.client = client{w.db, w.sqs}
	w.table = tasktable.New(w.client, "tasks", nil)
	w.opts.Logger = slog.New(slog.DiscardHandler)
	if w.opts.MaxAttempts == 0 {
		w.opts.MaxAttempts = 3
	}
	if w.opts.Backoff == nil {
		w.opts.Backoff = &workqueue.Backoff{Base: time.Second, Max: 10 * time.Second}
	}
	if o.maxReceives == 0 {
		o.maxReceives = 100
	}
	w.opts.MaxReceiveCount = o.maxReceives
	w.history = tasktabletest.NewHistory(tasktabletest.HistoryOptions{MaxAttempts: w.opts.MaxAttempts, EveryWrite: true})
	w.db.Watch(func(r *tasktable.Row) { w.history.Add(tasktabletest.Fact{What: tasktabletest.Stored, Row: r}) })
	w.sqs.Inject(w.letterSent)
	open := func(name string, q workqueuetest.QueueOptions) *workqueue.Queue {
		return workqueue.New(w.client, w.sqs.Create(name, q), &workqueue.Options{Logger: w.opts.Logger})
	}
	source := workqueuetest.QueueOptions{Visibility: visibility, MaxReceives: o.maxReceives, DeadLetter: dead}
	tasksQueue, backlogQueue := open(tasks, source), open(backlog, source)
	w.queues = worker.Queues{"tasks": tasksQueue, "backlog": backlogQueue}
	w.dead = open(dead, workqueuetest.QueueOptions{})
	task.Handle(w.mux, "t", w.attempt, task.Concurrency(max(o.concurrency, 1)))
	w.intake = intake.New(creating{w.table, w}, intake.Queues{"tasks": tasksQueue, "backlog": backlogQueue}, w.mux,
		&intake.Options{InlineInput: 2000}) // larger ones are read from the table
	for range max(o.workers, 2) {
		w.workers = append(w.workers, &station{name: fmt.Sprintf("worker %d", len(w.workers)+1)})
		w.restart(w.workers[len(w.workers)-1])
	}
	return w
}

// ctx is the bubble's context.
func (w *world) ctx() context.Context { return w.t.Context() }

// tell adds a fact.
func (w *world) tell(f tasktabletest.Fact) { w.history.Add(f) }

// letterSent notes a dead letter when it is on its way: its worker is told
// that it has arrived only after that.
func (w *world) letterSent(c workqueuetest.Call) workqueuetest.Fault {
	if c.Queue == dead && strings.HasPrefix(c.Operation, "SendMessage") {
		for _, text := range c.Entries {
			if m, err := workqueue.Decode(text, nil); err == nil {
				w.tell(tasktabletest.Fact{What: tasktabletest.Letter, ID: m.TaskID, Run: m.Run})
			}
		}
	}
	return workqueuetest.Fault{}
}

// creating tells the history which rows may come to be.
type creating struct {
	*tasktable.Table
	w *world
}

func (c creating) Create(ctx context.Context, d tasktable.Draft) (*tasktable.Row, error) {
	c.w.tell(tasktabletest.Fact{What: tasktabletest.Submitting, ID: d.ID})
	c.w.mu.Lock()
	if _, known := c.w.scripts[d.ID]; !known {
		var in input
		if err := json.Unmarshal(d.Input, &in); err != nil {
			c.w.t.Errorf("the input of task %s: %v", d.ID, err)
		}
		c.w.scripts[d.ID] = in.Script
		c.w.ids = append(c.w.ids, d.ID)
	}
	c.w.mu.Unlock()
	return c.Table.Create(ctx, d)
}

// known are the ids of all rows, in the order of their creation.
func (w *world) known() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.ids)
}

// input of every task: what its handler does, attempt by attempt, and from the
// beginning when the script is over.
type input struct {
	Script []deed `json:"script"`
	Bulk   string `json:"bulk"`
}

// submission is a request to submit.
type submission struct {
	key      string
	script   []deed
	deadline time.Duration // from now; defaults to an hour
	delay    time.Duration
	backlog  bool
	bulk     int // size of the input in bytes
}

func (w *world) request(s submission) intake.Request {
	raw, err := json.Marshal(input{Script: s.script, Bulk: strings.Repeat("x", s.bulk)})
	if err != nil {
		w.t.Fatal(err)
	}
	if s.deadline == 0 {
		s.deadline = time.Hour
	}
	r := intake.Request{Tenant: "tenant", Type: "t", Input: raw, Delay: s.delay}
	deadline := time.Now().Add(s.deadline)
	r.Deadline = &deadline
	if s.key != "" {
		r.IdempotencyKey = &s.key
	}
	if s.backlog {
		r.Priority = task.Bulk
	}
	return r
}

// submit hands a request in, by a process, and returns the task's id; empty if
// it was not accepted.
func (w *world) submit(p *process, r intake.Request) string {
	row, _, err := w.intake.Submit(p.context(w.ctx()), r)
	if refused, ok := errors.AsType[*intake.RefusedError](err); ok && refused.Code != intake.CodeInvalid {
		w.t.Errorf("refused: %v", err)
	}
	if err != nil {
		return ""
	}
	f := tasktabletest.Fact{What: tasktabletest.Accepted, ID: row.ID}
	if r.IdempotencyKey != nil {
		f.Key = *r.IdempotencyKey
	}
	w.tell(f)
	return row.ID
}

// accept submits a task without mishaps.
func (w *world) accept(s submission) string {
	id := w.submit(healthy("submitter"), w.request(s))
	if id == "" {
		w.t.Fatal("a healthy submission was not accepted")
	}
	return id
}

// attempt is every handler.
func (w *world) attempt(ctx context.Context, in input) (any, error) {
	p, e := processOf(ctx), task.Current(ctx)
	if !p.alive() {
		return nil, errDead
	}
	w.tell(tasktabletest.Fact{What: tasktabletest.Began, ID: e.ID, By: p.name, Run: e.Run, Attempt: e.Attempt})
	w.mu.Lock()
	d := in.Script[w.begun[e.ID]%len(in.Script)]
	w.begun[e.ID]++
	w.mu.Unlock()
	return w.do(ctx, d, p, e)
}

func (w *world) do(ctx context.Context, d deed, p *process, e *task.Execution) (any, error) {
	switch d {
	case fail:
		return nil, errFlaky
	case permanent:
		return nil, task.Permanent(errFlaky)
	case ask:
		return nil, task.RetryAfter(20*time.Second, errFlaky)
	case deferral:
		return nil, task.ErrDeferred
	case panics:
		panic("scripted")
	case crash:
		p.die()
		return nil, errDead
	case hang:
		_ = sleep(ctx, 2*timeout) // without a deadline it ends all the same
		return nil, errFlaky
	case deaf:
		time.Sleep(2 * timeout)
	case deafFail:
		time.Sleep(2 * timeout)
		return nil, errFlaky
	case deafDefer:
		time.Sleep(2 * timeout)
		return nil, task.ErrDeferred
	case ghost:
		time.Sleep(2 * timeout)
		_ = task.Progress(context.WithoutCancel(ctx), 1, 2, "")
	case slowly:
		time.Sleep(5 * time.Second)
	case slowFail:
		time.Sleep(5 * time.Second)
		return nil, errFlaky
	case checkpoint:
		for i := range 2 {
			time.Sleep(time.Second)
			if err := task.Checkpoint(ctx, i); err != nil {
				return nil, err
			}
		}
	case yield:
		return w.slice(ctx, p, e, 0)
	case deafYield:
		return w.slice(ctx, p, e, 2*timeout)
	case yieldIdle:
		if e.State != nil {
			_ = task.Checkpoint(ctx, e.State)
		}
		return nil, task.ErrYield
	case large:
		return w.result(p, e, 5000), nil
	default:
	}
	return w.result(p, e, 10), nil
}

// slice is one slice of a task that takes three to do.
func (w *world) slice(ctx context.Context, p *process, e *task.Execution, after time.Duration) (any, error) {
	var done int
	if _, err := task.Restore(ctx, &done); err != nil {
		return nil, err
	}
	if done >= 3 {
		return w.result(p, e, 10), nil
	}
	if err := task.Checkpoint(ctx, done+1); err != nil {
		return nil, err
	}
	time.Sleep(after)
	w.tell(tasktabletest.Fact{What: tasktabletest.Yielded, ID: e.ID, By: p.name, Run: e.Run})
	return nil, task.ErrYield
}

// result makes a new result and tells that the handler returns it.
func (w *world) result(p *process, e *task.Execution, size int) string {
	w.mu.Lock()
	w.results++
	result := fmt.Sprintf("%*d", size, w.results)
	w.mu.Unlock()
	w.tell(tasktabletest.Fact{What: tasktabletest.Ended, ID: e.ID, By: p.name, Run: e.Run, Result: json.RawMessage(`"` + result + `"`)})
	return result
}

// restart puts a new process in the place of one that has ended.
func (w *world) restart(s *station) {
	s.worker = worker.New(w.mux, w.table, w.queues, w.dead, &w.opts)
	s.process, s.done = nil, nil
}

// deliver hands a batch to a station, whose process p works on it until it is
// done or dies. It returns how many messages there were, once nothing more
// happens without time passing or, if unlimited, when it is done.
func (w *world) deliver(s *station, queue string, limit int, p *process, unlimited bool) int {
	records := w.sqs.Receive(queue, limit)
	if len(records) == 0 {
		return 0
	}
	s.process, s.done = p, make(chan struct{})
	ctx, cancel := p.context(w.ctx()), context.CancelFunc(func() {})
	if !unlimited {
		ctx, cancel = context.WithTimeout(ctx, timeout)
	}
	done, engine := s.done, s.worker
	go func() {
		defer close(done)
		defer cancel()
		response, err := engine.Invoke(ctx, workqueuetest.Event(records))
		if !p.alive() {
			w.tell(tasktabletest.Fact{What: tasktabletest.WorkerLost, By: p.name})
			return
		}
		if err != nil {
			w.t.Errorf("%s: %v", p, err)
			return
		}
		w.sqs.Acknowledge(queue, records, response)
	}()
	return len(records)
}

// settle waits for a station's invocation and makes it ready for another.
func (w *world) settle(s *station) {
	if s.done != nil {
		<-s.done
	}
	w.tidy(s)
}

// tidy makes a station ready if its invocation is over, and reports whether
// it is.
func (w *world) tidy(s *station) bool {
	if s.process == nil {
		return true
	}
	select {
	case <-s.done:
	default:
		return false
	}
	if !s.process.alive() {
		w.restart(s)
	}
	s.process, s.done = nil, nil
	return true
}

// work delivers one batch of a queue to a worker and waits until it is done.
func (w *world) work(p *process, queue string) int {
	time.Sleep(time.Millisecond) // a receive takes time
	n := w.deliver(w.workers[0], queue, 10, p, false)
	w.settle(w.workers[0])
	w.check()
	return n
}

// manner is how an operator replays.
type manner string

const (
	bySQS  manner = "by SQS"  // the message alone: a redrive of SQS's own
	byRow  manner = "by row"  // the row's write, then the message
	byPlan manner = "by plan" // the same as part of a plan
)

// redrive moves a dead letter to the tasks queue, as an operator does. If kept,
// it dies before it deletes the letter.
func (w *world) redrive(p *process, how manner, kept bool) {
	records := w.sqs.Receive(dead, 1)
	if len(records) == 0 {
		return
	}
	m := w.message(&records[0])
	w.replay(p, how, m.TaskID, m.Run)
	w.send(tasks, m)
	if !kept {
		w.sqs.Delete(dead, records[0].ReceiptHandle)
	}
}

// replay makes the row's write of a replay, which may be refused.
func (w *world) replay(p *process, how manner, id string, run int) {
	switch how {
	case byRow:
		w.tell(tasktabletest.Fact{What: tasktabletest.ReplayAsked, ID: id, Run: run})
		_, _ = w.table.Replay(p.context(w.ctx()), id, run)
	case byPlan:
		w.plan(p, "plan", []tasktable.ReplayRequest{{ID: id, Run: run}})
	default:
	}
}

// plan replays tasks for a plan.
func (w *world) plan(p *process, plan string, requests []tasktable.ReplayRequest) []tasktable.Replayed {
	for i := range requests {
		requests[i].PlanID = plan
		w.tell(tasktabletest.Fact{What: tasktabletest.ReplayAsked, ID: requests[i].ID, Run: requests[i].Run, Plan: plan})
	}
	return w.table.ReplayAll(p.context(w.ctx()), requests)
}

// message reads a message as Lambda hands it over.
func (w *world) message(rec *events.SQSMessage) workqueue.Message {
	m, err := workqueue.Decode(rec.Body, nil)
	if err != nil {
		w.t.Fatalf("what is in the queue is no message: %v", err)
	}
	return m
}

// messageOf is the message of a task's run, made from its row.
func (w *world) messageOf(id string, run int) workqueue.Message {
	r := w.db.Row(id)
	m := workqueue.Message{
		TaskID: id, Run: run, Type: r.Type, Tenant: r.Tenant, CreatedAt: r.CreatedAt(), Deadline: time.UnixMilli(r.Deadline),
		Input: r.Input, InputRef: r.InputRef,
	}
	if run > 1 {
		m.ReplayedAt = time.Now()
	}
	return m
}

// send puts a message on a queue, whatever happens.
func (w *world) send(queue string, m workqueue.Message) {
	out, err := workqueue.Encode(m)
	if err == nil {
		err = w.queue(queue).SendBatch(healthy("operator").context(w.ctx()), []workqueue.Outgoing{out})[0]
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) queue(name string) worker.Queue {
	switch name {
	case tasks:
		return w.queues["tasks"]
	case backlog:
		return w.queues["backlog"]
	default:
		return w.dead
	}
}

// cancel asks for a task to be canceled.
func (w *world) cancel(p *process, id string) {
	w.tell(tasktabletest.Fact{What: tasktabletest.CancelAsked, ID: id})
	if _, err := w.table.Cancel(p.context(w.ctx()), "tenant", id); err == nil {
		w.tell(tasktabletest.Fact{What: tasktabletest.CancelTaken, ID: id})
	}
}

// messages are the messages of a queue, decoded.
func (w *world) messages(queue string) []workqueue.Message {
	all := w.sqs.Messages(queue)
	decoded := make([]workqueue.Message, len(all))
	for i, m := range all {
		var err error
		if decoded[i], err = workqueue.Decode(m.Body, m.Attributes); err != nil {
			w.t.Fatalf("what is in %s is no message: %v", queue, err)
		}
	}
	return decoded
}

// check waits until only time can move anything, and asks the history whether
// all promises are kept so far.
func (w *world) check() {
	synctest.Wait()
	counts := map[string]int{}
	for _, queue := range []string{tasks, backlog, dead} {
		for _, m := range w.messages(queue) {
			counts[m.TaskID]++
		}
	}
	w.history.Messages(counts)
	w.judge()
}

func (w *world) judge() {
	if err := w.history.Err(); err != nil {
		w.t.Fatal(err)
	}
}

// rounds bounds how many batches it takes until the queues are empty.
const rounds = 500

// rest lets every goroutine end, which a bubble asks for even when its test has
// failed.
func (w *world) rest() { time.Sleep(time.Hour) }

// drain lets healthy workers finish everything, and then checks that every
// task has come to its end.
func (w *world) drain() {
	for _, s := range w.workers {
		w.settle(s)
	}
	// Handlers that had been given up, callers to whom up to three calls were
	// slow, and what is late.
	time.Sleep(2*timeout + 4*meanwhile)
	w.check()
	for i := range rounds {
		n := 0
		for _, queue := range []string{tasks, backlog} {
			n += w.work(healthy(fmt.Sprintf("last worker, batch %d of %s", i+1, queue)), queue)
		}
		if n == 0 && !w.wait() {
			break
		}
	}
	w.rest() // handlers that the last workers gave up
	w.check()
	for _, queue := range []string{tasks, backlog} {
		if left := w.messages(queue); len(left) > 0 {
			w.t.Fatalf("after %d rounds there are still messages in %s: %+v\n%s", rounds, queue, left, w.history.Of(left[0].TaskID))
		}
	}
	letters := map[string][]int{}
	for _, m := range w.messages(dead) {
		letters[m.TaskID] = append(letters[m.TaskID], m.Run)
	}
	w.history.End(letters)
	w.judge()
	w.listed()
}

// listed checks that the index of failures has exactly the tasks that failed.
func (w *world) listed() {
	found := map[string]task.Status{}
	for _, status := range []task.Status{task.DeadLettered, task.Failed} {
		page, err := w.table.Failures(healthy("operator").context(w.ctx()), tasktable.FailureQuery{Status: status})
		if err != nil {
			w.t.Fatal(err)
		}
		for _, e := range page.Entries {
			found[e.ID] = status
			if r := w.db.Row(e.ID); r.Status != status || r.Run != e.Run || r.FinishedAt != e.At.UnixMilli() || r.Report == nil {
				w.t.Errorf("listed as %+v is %+v\n%s", e, r, w.history.Of(e.ID))
			}
		}
	}
	for _, id := range w.known() {
		if r := w.db.Row(id); r != nil && (r.Status == task.DeadLettered || r.Status == task.Failed) && found[id] != r.Status {
			w.t.Errorf("it is %s, and not listed\n%s", r.Status, w.history.Of(id))
		}
	}
}

// wait sleeps until a message is visible; false if there is none.
func (w *world) wait() bool {
	next := time.Time{}
	for _, queue := range []string{tasks, backlog} {
		for _, m := range w.sqs.Messages(queue) {
			if next.IsZero() || m.VisibleAt.Before(next) {
				next = m.VisibleAt
			}
		}
	}
	time.Sleep(time.Until(next))
	return !next.IsZero()
}

// has checks how a task ended.
func (w *world) has(id string, status task.Status, attempts int) {
	w.t.Helper()
	if r := w.db.Row(id); r == nil || r.Status != status || r.Attempts != attempts {
		w.t.Errorf("task %s is %+v, want it %s after %d attempts", id, r, status, attempts)
	}
}

// tb is a test or a check of a property.
type tb interface {
	Helper()
	Context() context.Context
	Errorf(format string, args ...any)
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

var (
	_ tb = (*testing.T)(nil)
	_ tb = (*rapid.T)(nil)
)
