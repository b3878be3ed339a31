package worker_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	dynamotypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable/tasktabletest"
	"github.com/spillway-go/spillway/pkg/worker"
	"github.com/spillway-go/spillway/pkg/workqueue"
	"github.com/spillway-go/spillway/pkg/workqueue/workqueuetest"
)

// scenarios is how many worlds TestRandom makes; firstSeed moves them.
const (
	scenarios = 100
	firstSeed = 1
)

// Small worlds in which everything fails: calls before and after their effect,
// single statements and entries, workers between any two calls, handlers in
// every way; with duplicates, cancels and redrives, and two workers at once.
// Whatever happens, the promises of the task protocol hold.
func TestRandom(t *testing.T) {
	n := scenarios
	if testing.Short() {
		n /= 8
	}
	const shards = 4
	for shard := range shards {
		t.Run(fmt.Sprintf("shard %d", shard), func(t *testing.T) {
			t.Parallel()
			for seed := firstSeed + shard; seed < firstSeed+n; seed += shards {
				synctest.Test(t, func(t *testing.T) { newWorld(t, uint64(seed)).play() })
				if t.Failed() {
					t.Fatalf("seed %d", seed)
				}
			}
		})
	}
}

// world is one scenario.
type world struct {
	*pipeline
	seed uint64

	mu      sync.Mutex // guards all below
	rnd     *rand.Rand
	faults  float64 // chance that a call fails; 0 in the end
	crashes float64 // chance that an invocation is killed
	slack   int     // faults and crashes so far
	ids     []string
	seen    map[string]state
	begun   map[string]int // handlers, by task and run
}

func newWorld(t *testing.T, seed uint64) *world {
	t.Helper()
	w := &world{pipeline: newPipeline(t), seed: seed, rnd: rand.New(rand.NewPCG(seed, 0)), seen: map[string]state{}, begun: map[string]int{}}
	w.opts.Logger = slog.New(slog.DiscardHandler)
	w.opts.MaxAttempts = 1 + w.rnd.IntN(3)
	w.opts.BacklogAfter = time.Duration(1+w.rnd.IntN(30)) * time.Minute
	w.opts.BacklogFailures = 1 + w.rnd.IntN(3)
	w.opts.Lease = time.Duration(1+w.rnd.IntN(600)) * time.Second
	w.opts.MaxReceiveCount = 4 + w.rnd.IntN(20)
	source := workqueuetest.QueueOptions{Visibility: visibility, MaxReceives: w.opts.MaxReceiveCount, DeadLetter: dead}
	w.sqs.Create(tasks, source)
	w.sqs.Create(backlog, source)
	if w.rnd.IntN(4) > 0 { // every fourth world is calm
		w.faults, w.crashes = w.rnd.Float64()*0.2, w.rnd.Float64()*0.4
	}
	w.handle(w.attempt, task.Concurrency(1+w.rnd.IntN(3)))
	w.worker = worker.New(w.mux, w.table, w.queues, &w.opts)
	return w
}

// draw returns a number below n.
func (w *world) draw(n int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rnd.IntN(n)
}

func (w *world) play() {
	for range 1 + w.draw(12) {
		w.accept()
	}
	w.chaos.inject(func(context.Context, string) fault { return w.fault() })
	w.chaos.watch(w.watch)
	w.db.Inject(w.statements)
	w.sqs.Inject(w.entries)
	var wg sync.WaitGroup
	for range 1 + w.draw(2) {
		wg.Go(func() {
			for range 30 {
				w.turn()
			}
		})
	}
	wg.Wait()
	w.mu.Lock()
	w.faults, w.crashes = 0, 0
	w.mu.Unlock()
	for range 2000 {
		if w.serve(tasks)+w.serve(backlog) > 0 {
			continue
		}
		if !w.wait() {
			break
		}
	}
	time.Sleep(time.Hour) // handlers that had been given up come back
	w.watch()
	w.end()
}

// accept submits a task, perhaps with two messages or a short deadline.
func (w *world) accept() {
	change := func(s *submitted) {
		s.draft.Deadline = time.Now().Add(24 * time.Hour)
		if w.draw(5) == 0 {
			s.draft.Deadline = time.Now().Add(time.Duration(w.draw(1800)) * time.Second)
		}
		if w.draw(6) == 0 {
			s.queue = backlog
		}
		if w.draw(6) == 0 {
			s.msg.Hops = w.draw(workqueue.MaxHops + 1)
		}
		if w.draw(6) == 0 {
			s.draft.Input = []byte(`{"n":1` + strings.Repeat(" ", 2000) + `}`)
			s.msg.Input, s.msg.InputRef = nil, s.draft.ID+"#input"
		}
	}
	id := w.submit(change)
	w.mu.Lock()
	w.ids = append(w.ids, id)
	w.mu.Unlock()
	if w.draw(4) == 0 {
		w.send(tasks, w.message(id))
	}
}

// turn is one thing that happens.
func (w *world) turn() {
	switch w.draw(12) {
	case 0:
		_, _ = w.table.Cancel(w.ctx(), "tenant", w.ids[w.draw(len(w.ids))])
	case 1:
		w.redrive()
	case 2:
		time.Sleep(time.Duration(w.draw(900)) * time.Second)
	case 3, 4:
		w.serve(backlog)
	default:
		if w.serve(tasks) == 0 {
			time.Sleep(time.Duration(w.draw(120)) * time.Second)
		}
	}
}

// redrive moves one dead letter to the tasks queue; sometimes with the write
// of a proper replay before.
func (w *world) redrive() {
	for _, rec := range w.sqs.Receive(dead, 1) {
		m, err := workqueue.DecodeRecord(&w.read(rec)[0])
		if err != nil {
			w.t.Errorf("seed %d: a dead letter is not readable: %v", w.seed, err)
			return
		}
		if w.draw(2) == 0 {
			_, _ = w.table.Replay(w.ctx(), m.TaskID, m.Run)
		}
		w.send(tasks, m)
		w.sqs.Delete(dead, rec.ReceiptHandle)
	}
}

// serve delivers a batch to a worker that may be killed meanwhile.
func (w *world) serve(queue string) int {
	time.Sleep(time.Duration(1+w.draw(500)) * time.Millisecond)
	records := w.sqs.Receive(queue, 1+w.draw(10))
	if len(records) == 0 {
		return 0
	}
	l := &life{left: -1}
	w.mu.Lock()
	if w.rnd.Float64() < w.crashes {
		l.left = w.rnd.IntN(8)
	}
	w.mu.Unlock()
	handle := w.handler
	if w.draw(5) == 0 {
		handle = w.worker.Invoke // without a deadline
	}
	resp, err := handle(withLife(w.ctx(), l), workqueuetest.Event(records))
	if err != nil {
		w.t.Error(err)
		return 0
	}
	l.mu.Lock()
	over := l.over
	l.over, l.left = true, 0 // what is left of it belongs to nobody
	l.mu.Unlock()
	if over {
		w.mu.Lock()
		w.slack += len(records)
		w.mu.Unlock()
		return len(records)
	}
	w.sqs.Acknowledge(queue, records, resp)
	w.acknowledged(records, resp)
	return len(records)
}

// acknowledged checks that no message was deleted whose task still needs it.
func (w *world) acknowledged(records []events.SQSMessage, response []byte) {
	back := w.back(response)
	for _, rec := range records {
		if slices.Contains(back, rec.MessageId) {
			continue
		}
		m, err := workqueue.Decode(rec.Body, nil)
		if err != nil {
			w.t.Error(err)
			continue
		}
		letters := w.represented(m.TaskID)
		if s := w.row(m.TaskID); letters == 0 && !s.done() {
			w.t.Errorf("seed %d: a message was acknowledged, and no other is left for the task %+v", w.seed, s)
		}
	}
}

// done reports whether a task needs no message any more.
func (s state) done() bool {
	return s.Status.Finished() || s.Status == task.Running && s.ClaimableAt == never
}

// represented is how many messages there are for a task, in any queue.
func (w *world) represented(id string) (n int) {
	for _, queue := range []string{tasks, backlog, dead} {
		for _, m := range w.sqs.Messages(queue) {
			if m.Attribute(workqueue.AttrTaskID) == id {
				n++
			}
		}
	}
	return n
}

// attempt is every handler.
func (w *world) attempt(ctx context.Context, _ in) (any, error) {
	if !alive(ctx) {
		return nil, errors.New("this process is gone")
	}
	e := task.Current(ctx)
	w.mu.Lock()
	w.begun[e.IdempotencyKey()]++
	w.mu.Unlock()
	if e.Attempt > e.MaxAttempts {
		w.t.Errorf("seed %d: attempt %d of %d", w.seed, e.Attempt, e.MaxAttempts)
	}
	switch w.draw(24) {
	case 0:
		return nil, task.Permanent(errFlaky)
	case 1:
		return nil, task.ErrDeferred
	case 2:
		panic("random")
	case 3:
		return nil, task.RetryAfter(time.Duration(w.draw(1000))*time.Second, errFlaky)
	case 4, 5, 6:
		return nil, errFlaky
	case 7:
		<-ctx.Done()
		return nil, ctx.Err()
	case 8: // deaf
		time.Sleep(time.Duration(w.draw(400)) * time.Second)
	case 9:
		time.Sleep(time.Duration(w.draw(60)) * time.Second)
	case 10, 11:
		for i := range 3 {
			time.Sleep(time.Second)
			if err := task.Checkpoint(ctx, i); err != nil {
				return nil, err
			}
		}
	case 12:
		_ = task.Progress(context.WithoutCancel(ctx), 1, 2, "")
	case 13:
		w.mu.Lock()
		kill := w.crashes > 0
		w.mu.Unlock()
		if l, ok := ctx.Value(lifeKey{}).(*life); ok && kill {
			l.end()
		}
	}
	return w.draw(1_000_000), nil
}

func (w *world) fault() fault {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.rnd.Float64() >= w.faults {
		return none
	}
	w.slack++
	return fault(1 + w.rnd.IntN(2))
}

// statements lets single statements fail.
func (w *world) statements(c tasktabletest.Call) tasktabletest.Fault {
	codes := []dynamotypes.BatchStatementErrorCodeEnum{
		dynamotypes.BatchStatementErrorCodeEnumThrottlingError, dynamotypes.BatchStatementErrorCodeEnumInternalServerError,
		dynamotypes.BatchStatementErrorCodeEnumAccessDenied,
	}
	f := tasktabletest.Fault{Statements: map[string]dynamotypes.BatchStatementErrorCodeEnum{}}
	for _, id := range c.IDs {
		if w.fault() != none {
			f.Statements[id] = codes[w.draw(len(codes))]
		}
	}
	return f
}

// entries lets single entries of the queues' batches fail.
func (w *world) entries(c workqueuetest.Call) workqueuetest.Fault {
	f := workqueuetest.Fault{Entries: map[int]sqstypes.BatchResultErrorEntry{}}
	for i := range c.Entries {
		if w.fault() != none {
			f.Entries[i] = sqstypes.BatchResultErrorEntry{Code: aws.String("InternalError"), SenderFault: w.draw(2) == 0}
		}
	}
	return f
}

// watch checks after every call what no call may do.
func (w *world) watch() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range w.ids {
		was, now := w.seen[id], w.row(id)
		w.seen[id] = now
		begun := w.begun[fmt.Sprintf("%s-%d", id, now.Run)]
		if now.Status == task.Running && now.Fence > now.Settled+1 {
			begun++ // counted beforehand
		}
		switch {
		case was.Status.Final() && now != was:
			w.t.Errorf("seed %d: a task that had ended changed from %+v to %+v", w.seed, was, now)
		case now.Attempts > w.opts.MaxAttempts || now.Attempts > begun+w.slack:
			w.t.Errorf("seed %d: %d attempts of %d are counted and %d began: %+v", w.seed, now.Attempts, w.opts.MaxAttempts, begun, now)
		case now.Fence < was.Fence || now.Run < was.Run || now.Settled > now.Fence:
			w.t.Errorf("seed %d: from %+v to %+v", w.seed, was, now)
		case was.Status != "" && was.Status != now.Status && !was.Status.CanBecome(now.Status) && now.Fence <= was.Fence+1:
			w.t.Errorf("seed %d: from %+v to %+v", w.seed, was, now)
		}
	}
}

// end checks that every accepted task has ended, or waits in the dead-letter
// queue.
func (w *world) end() {
	for _, id := range w.ids {
		s, letters := w.row(id), w.represented(id)
		if !s.done() && letters == 0 {
			w.t.Errorf("seed %d: lost: %+v", w.seed, s)
		}
		if s.Status == task.DeadLettered && letters == 0 {
			w.t.Errorf("seed %d: dead-lettered without a dead letter: %+v", w.seed, s)
		}
	}
	if n := len(w.sqs.Messages(tasks)) + len(w.sqs.Messages(backlog)); n > 0 {
		w.t.Errorf("seed %d: %d messages go round for ever", w.seed, n)
	}
}
