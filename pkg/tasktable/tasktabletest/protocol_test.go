package tasktabletest_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/spillway-go/spillway/pkg/intake"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/tasktable/tasktabletest"
	"github.com/spillway-go/spillway/pkg/worker"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

// The whole engine as a state machine: several workers, submitters and
// operators at once, everything that can go wrong between them, and after
// every step the promises of the protocol. In the end nothing goes wrong any
// more, and everything has to come to its end.
//
// -rapid.checks=10000 looks longer, -rapid.seed=N repeats a failure.
func TestEngine(t *testing.T) {
	t.Parallel()
	for shard := range 4 {
		t.Run(fmt.Sprintf("shard %d", shard), func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(rt *rapid.T) { rapid.SyncTest(rt, playEngine) })
		})
	}
}

func playEngine(t *rapid.T) {
	e := newEngine(t)
	defer e.rest()
	e.submit(t)
	t.Repeat(map[string]func(*rapid.T){
		"":       func(*rapid.T) { e.check() },
		"submit": e.submit, "submit again": e.submitAgain,
		"deliver": e.deliver, "deliver to another": e.deliver, "deliver backlog": e.deliverBacklog,
		"time passes": e.wait, "a lease passes": e.waitLong, "a batch ends": e.finish,
		"kill": e.killNow, "duplicate": e.duplicate, "redrive": e.redrive, "retry": e.retry, "replay many": e.replayMany,
		"cancel": e.cancelOne, "cancel a running one": e.cancelRunning, "look": e.look,
	})
	e.drain()
}

// engine draws what happens to a world.
type engine struct {
	*world
	requests []intake.Request // that were not accepted, and have a key
	invoked  int
}

func newEngine(t *rapid.T) *engine {
	hops := rapid.SampledFrom([]int{100, 100, 20, 6}).Draw(t, "max receives")
	return &engine{world: newWorld(t, worldOptions{
		workers: 3, concurrency: rapid.IntRange(1, 3).Draw(t, "concurrency"), maxReceives: hops,
		worker: worker.Options{
			MaxAttempts:     rapid.IntRange(1, 3).Draw(t, "max attempts"),
			BacklogAfter:    rapid.SampledFrom([]time.Duration{0, time.Minute}).Draw(t, "backlog after"),
			BacklogFailures: rapid.IntRange(0, 2).Draw(t, "backlog failures"),
			Lease:           rapid.SampledFrom([]time.Duration{10 * time.Second, 5 * time.Minute}).Draw(t, "lease"),
		},
	})}
}

// process draws one to which, sometimes, something happens.
func (e *engine) process(t *rapid.T, name string) *process {
	e.invoked++
	p := healthy(fmt.Sprintf("%s, no. %d", name, e.invoked))
	switch rapid.SampledFrom([]string{"healthy", "mishap", "killed"}).Draw(t, "process") {
	case "mishap":
		p.mishaps = rapid.MapOfN(rapid.IntRange(0, 7), rapid.SampledFrom(mishaps), 1, 3).Draw(t, "mishaps")
	case "killed":
		p.kill, p.after = rapid.IntRange(0, 7).Draw(t, "killed at call"), rapid.Bool().Draw(t, "after its effect")
	}
	return p
}

func (e *engine) submit(t *rapid.T) {
	if len(e.known()) >= 6 {
		t.Skip("enough tasks")
	}
	s := submission{
		script:   rapid.SliceOfN(rapid.SampledFrom(deeds), 1, 4).Draw(t, "script"),
		deadline: rapid.SampledFrom([]time.Duration{24 * time.Hour, 24 * time.Hour, 40 * time.Second, 10 * time.Minute}).Draw(t, "deadline"),
		delay:    rapid.SampledFrom([]time.Duration{0, 0, 0, 10 * time.Second}).Draw(t, "delay"),
		backlog:  rapid.SampledFrom([]bool{false, false, false, true}).Draw(t, "bulk priority"),
		bulk:     rapid.SampledFrom([]int{0, 0, 0, 1200, 2500}).Draw(t, "input"),
	}
	if rapid.Bool().Draw(t, "with a key") {
		s.key = fmt.Sprintf("key-%d", e.invoked)
	}
	r, p := e.request(s), e.process(t, "submitter")
	e.background(func() {
		if e.world.submit(p, r) == "" && s.key != "" {
			e.mu.Lock()
			defer e.mu.Unlock()
			e.requests = append(e.requests, r)
		}
	})
}

// background lets a caller's calls take their time beside everything else. It
// returns once only time can move anything.
func (e *engine) background(do func()) {
	go do()
	synctest.Wait()
}

func (e *engine) submitAgain(t *rapid.T) {
	e.mu.Lock()
	requests := slices.Clone(e.requests)
	e.mu.Unlock()
	if len(requests) == 0 {
		t.Skip("none failed")
	}
	p, r := e.process(t, "submitter again"), requests[rapid.IntRange(0, len(requests)-1).Draw(t, "request")]
	e.background(func() { e.world.submit(p, r) })
}

// idle returns a station that can take a batch.
func (e *engine) idle(t *rapid.T) *station {
	for _, s := range e.workers {
		if e.tidy(s) {
			return s
		}
	}
	t.Skip("all workers are busy")
	return nil
}

func (e *engine) deliver(t *rapid.T)        { e.deliverFrom(t, tasks) }
func (e *engine) deliverBacklog(t *rapid.T) { e.deliverFrom(t, backlog) }

func (e *engine) deliverFrom(t *rapid.T, queue string) {
	s := e.idle(t)
	time.Sleep(time.Millisecond)
	limit := rapid.SampledFrom([]int{1, 2, 10}).Draw(t, "batch size")
	unlimited := rapid.SampledFrom([]bool{false, false, false, true}).Draw(t, "no time-out")
	if e.world.deliver(s, queue, limit, e.process(t, s.name), unlimited) == 0 {
		t.Skip("nothing to deliver")
	}
}

func (e *engine) wait(t *rapid.T) {
	time.Sleep(rapid.SampledFrom([]time.Duration{time.Millisecond, 3 * time.Second, 15 * time.Second}).Draw(t, "time"))
}

func (e *engine) waitLong(t *rapid.T) {
	time.Sleep(rapid.SampledFrom([]time.Duration{timeout + 2*time.Second, visibility, 10 * time.Minute}).Draw(t, "time"))
}

// busy returns a station at work.
func (e *engine) busy(t *rapid.T) *station {
	for _, s := range e.workers {
		if !e.tidy(s) {
			return s
		}
	}
	t.Skip("no worker is busy")
	return nil
}

func (e *engine) finish(t *rapid.T)  { e.settle(e.busy(t)) }
func (e *engine) killNow(t *rapid.T) { e.busy(t).process.die() }

// duplicate sends a message once more, as SQS may.
func (e *engine) duplicate(t *rapid.T) {
	m := e.oneOf(t, tasks, backlog)
	m.Hops = rapid.SampledFrom([]int{m.Hops, m.Hops, workqueue.MaxHops - 1, workqueue.MaxHops}).Draw(t, "hops")
	e.send(rapid.SampledFrom([]string{tasks, backlog}).Draw(t, "queue"), m)
}

func (e *engine) oneOf(t *rapid.T, queues ...string) workqueue.Message {
	var all []workqueue.Message
	for _, queue := range queues {
		all = append(all, e.messages(queue)...)
	}
	if len(all) == 0 {
		t.Skip("no message")
	}
	return rapid.SampledFrom(all).Draw(t, "message")
}

func (e *engine) redrive(t *rapid.T) {
	if len(e.messages(dead)) == 0 {
		t.Skip("no dead letter")
	}
	e.world.redrive(e.process(t, "operator"), e.manner(t), rapid.Bool().Draw(t, "letter kept"))
}

// retry replays a task that may have failed, without a letter.
func (e *engine) retry(t *rapid.T) {
	id := e.id(t)
	r := e.db.Row(id)
	if r == nil {
		t.Skip("no row")
	}
	run := r.Run + rapid.IntRange(0, 1).Draw(t, "runs on")
	e.tell(tasktabletest.Fact{What: tasktabletest.ReplayAsked, ID: id, Run: run})
	p, how := e.process(t, "operator"), e.manner(t)
	e.background(func() { e.replay(p, how, id, run) })
	// The message goes out even if the replay's own write did not.
	e.send(tasks, e.messageOf(id, run))
}

func (e *engine) manner(t *rapid.T) manner {
	return rapid.SampledFrom([]manner{bySQS, byRow, byPlan}).Draw(t, "manner")
}

// replayMany replays several tasks for one plan, and then resumes the plan.
func (e *engine) replayMany(t *rapid.T) {
	ids := e.known()
	if len(ids) < 2 {
		t.Skip("too few tasks")
	}
	plan := rapid.SampledFrom([]string{"plan", "plan", "another plan"}).Draw(t, "plan")
	var requests []tasktable.ReplayRequest
	for _, id := range ids {
		if r := e.db.Row(id); r != nil {
			requests = append(requests, tasktable.ReplayRequest{ID: id, Run: r.Run + rapid.IntRange(0, 1).Draw(t, "runs on")})
		}
	}
	if len(requests) == 0 {
		t.Skip("no rows")
	}
	p := e.process(t, "operator")
	e.background(func() {
		e.plan(p, plan, requests)
		e.plan(healthy("operator again"), plan, slices.Clone(requests))
	})
	for _, r := range requests {
		e.send(tasks, e.messageOf(r.ID, r.Run))
	}
}

func (e *engine) id(t *rapid.T) string {
	ids := e.known()
	if len(ids) == 0 {
		t.Skip("no task")
	}
	return rapid.SampledFrom(ids).Draw(t, "id")
}

func (e *engine) cancelOne(t *rapid.T) {
	id, p := e.id(t), e.process(t, "canceler")
	e.background(func() { e.cancel(p, id) })
}

// cancelRunning calls a task off while a worker has it.
func (e *engine) cancelRunning(t *rapid.T) {
	var running []string
	for _, id := range e.known() {
		if r := e.db.Row(id); r != nil && r.Status == task.Running {
			running = append(running, id)
		}
	}
	if len(running) == 0 {
		t.Skip("none is running")
	}
	e.cancel(healthy("canceler"), rapid.SampledFrom(running).Draw(t, "id"))
}

// look reads a task or a listing, which writes what has expired.
func (e *engine) look(t *rapid.T) {
	ctx := e.process(t, "reader").context(e.ctx())
	if rapid.Bool().Draw(t, "listing") {
		e.background(func() { _, _ = e.table.List(ctx, tasktable.Query{Tenant: "tenant", Limit: 10}) })
		return
	}
	id := e.id(t)
	e.background(func() { _, _ = e.table.Get(ctx, id) })
}
