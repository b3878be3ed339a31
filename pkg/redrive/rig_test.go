package redrive_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/spillway-go/spillway/pkg/archive"
	"github.com/spillway-go/spillway/pkg/archive/archivetest"
	"github.com/spillway-go/spillway/pkg/intake"
	"github.com/spillway-go/spillway/pkg/redrive"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/tasktable/tasktabletest"
	"github.com/spillway-go/spillway/pkg/worker"
	"github.com/spillway-go/spillway/pkg/workqueue"
	"github.com/spillway-go/spillway/pkg/workqueue/workqueuetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	tasks, backlog, dead = "tasks", "backlog", "dead-letter"

	invocation = 20 * time.Second // of the admin function
)

// rig is a pipeline in memory, with a dead-letter queue and somebody who looks
// into it.
type rig struct {
	t       *testing.T
	db      *tasktabletest.DynamoDB
	table   *tasktable.Table
	sqs     *workqueuetest.SQS
	control *archivetest.Table
	kept    *archive.Archive
	opts    redrive.Options
	in      *intake.Intake
	worker  *worker.Worker
	mux     *task.Mux
	queues  map[string]*workqueue.Queue
	move    redrive.MoveAPI
	life    *life

	mu      sync.Mutex
	failing error          // what the handler returns; nil for success
	ran     map[string]int // attempts by task and run: "id-run"
}

// bubble runs a test with fake time.
func bubble(t *testing.T, test func(r *rig)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { test(newRig(t)) })
}

type input struct {
	N int `json:"n"`
}

func newRig(t *testing.T) *rig {
	t.Helper()
	return newRigOn(t, workqueuetest.Options{})
}

func newRigOn(t *testing.T, as workqueuetest.Options) *rig {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	r := &rig{
		t: t, db: tasktabletest.NewDynamoDB(), sqs: workqueuetest.New(as), control: archivetest.NewTable(), ran: map[string]int{},
		mux: task.NewMux(), failing: task.Code("http_500", errors.New("the receiver answered 500")), life: &life{}, queues: map[string]*workqueue.Queue{},
	}
	r.table = tasktable.New(r.db, tasks, nil)
	r.sqs.Create(dead, workqueuetest.QueueOptions{Visibility: 30 * time.Second})
	for _, name := range []string{tasks, backlog} {
		url := r.sqs.Create(name, workqueuetest.QueueOptions{Visibility: 30 * time.Second, MaxReceives: 3, DeadLetter: dead})
		r.queues[name] = workqueue.New(r.sqs, url, nil)
	}
	r.queues[dead] = workqueue.New(r.sqs, r.url(dead), nil)
	r.kept = archive.New(r.control, "control", archivetest.NewBucket(), "bucket", nil)
	for _, typ := range []string{"report.build", "mail.send"} {
		task.Handle(r.mux, typ, func(ctx context.Context, _ input) (string, error) {
			e := task.Current(ctx)
			r.mu.Lock()
			defer r.mu.Unlock()
			r.ran[e.IdempotencyKey()]++
			return "done", r.failing
		})
	}
	r.in = intake.New(r.table, intake.Queues{"tasks": r.queues[tasks], "backlog": r.queues[backlog]}, r.mux, nil)
	r.worker = worker.New(r.mux, r.table, worker.Queues{"tasks": r.queues[tasks], "backlog": r.queues[backlog]}, r.queues[dead],
		&worker.Options{MaxAttempts: 1, MaxReceiveCount: 1000, BacklogAfter: 24 * time.Hour, Logger: quiet})
	r.opts = redrive.Options{Quarantine: r.kept, Logger: quiet}
	r.db.Inject(func(c tasktabletest.Call) tasktabletest.Fault {
		err, after := r.life.call(c.Operation)
		return tasktabletest.Fault{Err: err, AfterEffect: after}
	})
	r.control.Inject(func(c archivetest.Call) archivetest.Fault {
		err, after := r.life.call("control " + c.Operation)
		return archivetest.Fault{Err: err, AfterEffect: after}
	})
	r.sqs.Inject(func(c workqueuetest.Call) workqueuetest.Fault {
		err, after := r.life.call(c.Operation)
		return workqueuetest.Fault{Err: err, AfterEffect: after}
	})
	return r
}

func (r *rig) url(queue string) string {
	return "https://sqs.eu-central-1.amazonaws.com/123456789012/" + queue
}

func (r *rig) inbox(queue string) *workqueue.Inbox {
	return workqueue.NewInbox(r.sqs, r.url(queue), nil)
}

// redrive is a fresh process that looks after the dead-letter queue.
func (r *rig) redrive() *redrive.Redrive {
	return redrive.New(r.control, "control", map[string]redrive.Source{
		"tasks": {
			Letters: r.inbox(dead), Origins: redrive.Origins{"tasks": r.queues[tasks], "backlog": r.queues[backlog]}, Tasks: r.table,
			Move: r.move, MoveTo: "arn:aws:sqs:eu-central-1:123456789012:tasks",
		},
		"stream": {Letters: r.inbox(dead)},
	}, &r.opts)
}

// ctx is an invocation's.
func (r *rig) ctx() context.Context {
	ctx, cancel := context.WithTimeout(r.t.Context(), invocation)
	r.t.Cleanup(cancel)
	return ctx
}

// submit hands tasks in, each a little later than the one before.
func (r *rig) submit(n int, change ...func(*intake.Request)) (ids []string) {
	r.t.Helper()
	for i := range n {
		q := intake.Request{Tenant: "acme", Type: "report.build", Input: json.RawMessage(`{"n":` + strconv.Itoa(i) + `}`)}
		for _, c := range change {
			c(&q)
		}
		row, _, err := r.in.Submit(r.t.Context(), q)
		if err != nil {
			r.t.Fatal(err)
		}
		ids = append(ids, row.ID)
		time.Sleep(time.Millisecond)
	}
	return ids
}

// bury submits tasks and lets them fail: each has a dead letter then.
func (r *rig) bury(n int, change ...func(*intake.Request)) []string {
	r.t.Helper()
	ids := r.submit(n, change...)
	r.work()
	return ids
}

// succeed lets handlers succeed from now on.
func (r *rig) succeed() { r.fails(nil) }

func (r *rig) fails(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failing = err
}

// work lets the worker take all that it can receive.
func (r *rig) work() {
	r.t.Helper()
	for _, queue := range []string{tasks, backlog} {
		for {
			time.Sleep(time.Millisecond)
			n, err := r.sqs.Deliver(r.ctx(), queue, 10, r.worker.Invoke)
			if err != nil {
				r.t.Fatal(err)
			}
			if n == 0 {
				break
			}
		}
	}
	time.Sleep(time.Millisecond)
}

func (r *rig) depth(queue string) int { return len(r.sqs.Messages(queue)) }

// holds checks how many messages each queue has.
func (r *rig) holds(tasksN, deadN int) {
	r.t.Helper()
	if got := [2]int{r.depth(tasks) + r.depth(backlog), r.depth(dead)}; got != [2]int{tasksN, deadN} {
		r.t.Errorf("messages to be worked on, and dead letters: %v, want [%d %d]", got, tasksN, deadN)
	}
}

// visible checks that every dead letter can be received.
func (r *rig) visible() {
	r.t.Helper()
	for _, m := range r.sqs.Messages(dead) {
		if m.VisibleAt.After(time.Now()) {
			r.t.Errorf("the letter %s is hidden for %s more", m.ID, time.Until(m.VisibleAt))
		}
	}
}

// times is how often a run of a task was tried.
func (r *rig) times(id string, run int) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ran[id+"-"+strconv.Itoa(run)]
}

// is checks a task's state and run.
func (r *rig) is(id string, status task.Status, run int) {
	r.t.Helper()
	row := r.db.Row(id)
	if row == nil || row.Status != status || row.Run != run {
		r.t.Errorf("task %s is %+v, want %s in run %d", id, row, status, run)
	}
}

// replay does all of a request at once.
func (r *rig) replay(q redrive.Request) *redrive.Report {
	r.t.Helper()
	if q.Kind == "" {
		q.Kind, q.Queue = redrive.KindReplay, "tasks"
	}
	report, err := r.redrive().Run(r.ctx(), q)
	if err != nil {
		r.t.Fatal(err)
	}
	return report
}

// plan makes a plan.
func (r *rig) plan(q redrive.Request) *redrive.Plan {
	r.t.Helper()
	if q.Kind == "" {
		q.Kind, q.Queue = redrive.KindReplay, "tasks"
	}
	p, err := r.redrive().Plan(r.ctx(), q)
	if err != nil {
		r.t.Fatal(err)
	}
	return p
}

// execute does a plan of a replay, or a part of it.
func (r *rig) execute(id string) (*redrive.Report, error) {
	return r.redrive().Execute(r.ctx(), id, redrive.KindReplay, "tasks", redrive.Settings{})
}

// life is a process that may be killed: once it has made so many calls, nothing
// that it does has an effect.
type life struct {
	mu    sync.Mutex
	armed bool
	left  int
	after bool // the last call takes effect, and its answer is lost
	over  bool
	calls []string
}

var errKilled = errors.New("killed")

func (l *life) call(operation string) (err error, after bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls = append(l.calls, operation)
	if !l.armed {
		return nil, false
	}
	if l.over {
		return errKilled, false
	}
	if l.left--; l.left < 0 {
		l.over = true
		return errKilled, l.after
	}
	return nil, false
}

// kill ends the process after so many calls more.
func (l *life) kill(calls int, after bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.armed, l.left, l.after, l.over = true, calls, after, false
}

// again lets a new process live. It reports whether the old one was killed.
func (l *life) again() (killed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	killed = l.over
	l.armed, l.over = false, false
	return killed
}
