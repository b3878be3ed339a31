package tasktabletest_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/tasktable/tasktabletest"
	"github.com/spillway-go/spillway/pkg/worker"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

// scene is a small situation before a batch is delivered.
type scene struct {
	opts  worldOptions
	build func(w *world)
}

// each submits n tasks with a script.
func each(n int, script ...deed) func(*world) {
	return func(w *world) {
		for range n {
			w.accept(submission{script: script})
		}
	}
}

// vanished lets the worker of every task die while their lease holds, and the
// messages come back.
func (w *world) vanished() {
	p := healthy("vanished worker")
	w.work(p, tasks)
	if p.alive() {
		w.t.Fatal("the worker did not vanish")
	}
}

func onlyAttempt(o worldOptions) worldOptions {
	o.worker.MaxAttempts = 1
	return o
}

var scenes = map[string]scene{
	"results":                     {build: each(3, succeed)},
	"large results":               {build: each(2, large)},
	"inputs apart":                {build: func(w *world) { w.accept(submission{script: []deed{succeed}, bulk: 2500}) }},
	"retries":                     {build: each(3, fail, succeed)},
	"asked retries":               {build: each(2, ask, succeed)},
	"permanent":                   {build: each(2, permanent)},
	"deferred":                    {build: each(2, deferral)},
	"checkpoints":                 {build: each(2, checkpoint)},
	"yields":                      {build: each(2, yield)},
	"last attempts":               {opts: onlyAttempt(worldOptions{}), build: each(3, fail)},
	"time-out":                    {build: each(2, deaf, succeed)},
	"progress after the time-out": {build: each(1, ghost, succeed)},
	"vanished": {build: func(w *world) {
		each(2, crash, succeed)(w)
		w.vanished()
		time.Sleep(visibility)
		each(1, succeed)(w)
	}},
	"vanished in the last attempt": {opts: onlyAttempt(worldOptions{}), build: func(w *world) {
		each(1, crash)(w)
		w.vanished()
		time.Sleep(visibility)
		w.vanished()
		time.Sleep(visibility)
	}},
	"vanished, then yields": {build: func(w *world) {
		each(1, crash, yield)(w)
		w.vanished()
		time.Sleep(visibility)
	}},
	"leased": {build: func(w *world) { // by a worker that is no more, and duplicated
		each(1, crash, succeed)(w)
		m := w.messages(tasks)[0]
		w.vanished()
		w.send(tasks, m)
	}},
	"cancel requested": {build: func(w *world) {
		each(1, crash, succeed)(w)
		w.vanished()
		w.cancel(healthy("canceler"), w.known()[0])
		time.Sleep(visibility)
	}},
	"canceled while it runs": {build: func(w *world) {
		each(2, checkpoint)(w)
		each(1, deafYield)(w)
		w.accept(submission{script: []deed{slowFail}})
		go func() {
			time.Sleep(1500 * time.Millisecond)
			for _, id := range w.known() {
				w.cancel(healthy("canceler"), id)
			}
		}()
	}},
	"expired": {build: func(w *world) {
		w.accept(submission{script: []deed{succeed}, deadline: time.Minute})
		w.accept(submission{script: []deed{succeed}})
		time.Sleep(2 * time.Minute)
	}},
	"aged": {opts: worldOptions{worker: worker.Options{BacklogAfter: time.Minute}}, build: func(w *world) {
		each(2, succeed)(w)
		time.Sleep(2 * time.Minute)
	}},
	"sidelined":     {opts: worldOptions{worker: worker.Options{BacklogFailures: 1}}, build: each(2, fail, succeed)},
	"worn":          {opts: worldOptions{maxReceives: 2}, build: each(2, fail, succeed)},
	"out of hops":   {opts: worldOptions{maxReceives: 2}, build: lastHop(fail)},
	"stuck, leased": {opts: worldOptions{maxReceives: 4}, build: func(w *world) { lastHop(crash, succeed)(w); w.vanished(); time.Sleep(visibility) }},
	"duplicates": {build: func(w *world) {
		each(2, succeed)(w)
		for _, m := range w.messages(tasks) {
			w.send(tasks, m)
		}
	}},
	"redriven": {opts: onlyAttempt(worldOptions{}), build: func(w *world) {
		each(1, fail, succeed)(w)
		w.work(healthy("worker"), tasks)
		w.redrive(healthy("operator"), bySQS, true)
	}},
	"replayed": {opts: onlyAttempt(worldOptions{}), build: func(w *world) {
		each(1, fail, succeed)(w)
		w.work(healthy("worker"), tasks)
		w.redrive(healthy("operator"), byRow, false)
	}},
	"replayed for a plan": {opts: onlyAttempt(worldOptions{}), build: func(w *world) {
		each(2, fail, succeed)(w)
		w.work(healthy("worker"), tasks)
		w.redrive(healthy("operator"), byPlan, true)
		w.redrive(healthy("operator"), byPlan, false)
	}},
	"a newer run of a queued task": {build: func(w *world) {
		each(1, succeed)(w)
		w.nextRun(w.known()[0])
	}},
	"a newer run of a vanished task": {build: func(w *world) {
		each(1, crash, succeed)(w)
		w.vanished()
		time.Sleep(visibility)
		w.nextRun(w.known()[0])
	}},
	"foreign": {build: func(w *world) {
		each(1, succeed)(w)
		m := w.messages(tasks)[0]
		m.TaskID = tasktable.NewID()
		w.send(tasks, m)
	}},
}

// lastHop submits a task whose message has used up its hops.
func lastHop(script ...deed) func(*world) {
	return func(w *world) {
		each(1, script...)(w)
		m := w.messages(tasks)[0]
		w.sqs.Delete(tasks, w.sqs.Receive(tasks, 1)[0].ReceiptHandle)
		m.Hops = workqueue.MaxHops
		w.send(tasks, m)
	}
}

// nextRun sends a message of a newer run, as an operator's replay does whose
// own write is refused.
func (w *world) nextRun(id string) {
	w.tell(tasktabletest.Fact{What: tasktabletest.ReplayAsked, ID: id, Run: 2})
	w.send(tasks, w.messageOf(id, 2))
}

// play builds a scene, lets p work on a batch of it, and healthy workers finish
// it. It reports whether p got as far as its nth call.
func (s scene) play(t *testing.T, p *process, n int) bool {
	t.Helper()
	s.ends(t, p)
	return p.calls() > n
}

// ends is play, and how each task ended.
func (s scene) ends(t *testing.T, p *process) (all []string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, s.opts)
		defer w.rest()
		s.build(w)
		w.check()
		w.work(p, tasks)
		w.drain()
		for _, id := range w.known() {
			r := w.db.Row(id)
			all = append(all, fmt.Sprintf("%s in run %d after %d attempts under fence %d", r.Status, r.Run, r.Attempts, r.Fence))
		}
	})
	return all
}

// A worker is killed at every point between two of its calls, before and after
// the effect of each.
func TestKilledAnywhere(t *testing.T) {
	t.Parallel()
	everyScene(t, func(t *testing.T, s scene) (played int) {
		t.Helper()
		for _, after := range []bool{false, true} {
			for n := 0; s.play(t, dying("worker", n, after), n); n++ {
				played++
			}
		}
		return played
	})
}

// Everything that can happen to a call happens to every call.
func TestMishapAnywhere(t *testing.T) {
	t.Parallel()
	everyScene(t, func(t *testing.T, s scene) (played int) {
		t.Helper()
		for _, m := range mishaps {
			for n := 0; s.play(t, &process{name: "worker", kill: -1, mishaps: map[int]mishap{n: m}}, n); n++ {
				played++
			}
		}
		return played
	})
}

// Any two calls fail.
func TestTwoFailuresAnywhere(t *testing.T) {
	t.Parallel()
	everyScene(t, func(t *testing.T, s scene) (played int) {
		t.Helper()
		for second := 1; ; second++ {
			got := false
			for first := range second {
				p := &process{name: "worker", kill: -1, mishaps: map[int]mishap{first: failed, second: failed}}
				got = s.play(t, p, second) || got
				played++
			}
			if !got {
				return played
			}
		}
	})
}

// A call whose answer is lost and that the SDK sends again is as good as one:
// every task ends as it would have, under the same fence.
func TestSentAgain(t *testing.T) {
	t.Parallel()
	everyScene(t, func(t *testing.T, s scene) (played int) {
		t.Helper()
		want := s.ends(t, healthy("worker"))
		for n := 0; ; n++ {
			p := &process{name: "worker", kill: -1, mishaps: map[int]mishap{n: again}}
			if got := s.ends(t, p); !slices.Equal(got, want) {
				t.Errorf("call %d sent again: %q, want %q", n, got, want)
			}
			if p.calls() <= n {
				return played
			}
			played++
		}
	})
}

func everyScene(t *testing.T, play func(*testing.T, scene) int) {
	t.Helper()
	for name, s := range scenes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			played := play(t, s)
			t.Logf("%d times", played)
			if played == 0 {
				t.Errorf("the scene makes no calls")
			}
		})
	}
}

// A worker that stands still past its lease is overtaken, and whatever it comes
// back with changes nothing: with one task, which it settles by itself, and
// with two, which it settles in a batch.
func TestOvertaken(t *testing.T) {
	t.Parallel()
	for _, late := range []deed{deaf, deafFail, deafDefer, ghost} {
		for n := 1; n <= 2; n++ {
			t.Run(fmt.Sprintf("%s, %d at once", late, n), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, worldOptions{concurrency: n, worker: worker.Options{Lease: 10 * time.Second}})
					defer w.rest()
					each(n, late, deaf)(w)
					w.deliver(w.workers[0], tasks, 10, healthy("slow worker"), true) // no time-out ends it
					time.Sleep(visibility)
					w.check()
					w.deliver(w.workers[1], tasks, 10, healthy("worker"), true)
					w.drain()
					for _, id := range w.known() {
						if n == 1 { // two deaf handlers at once may run into the time-out, and run again
							w.has(id, task.Succeeded, 1)
						}
					}
				})
			})
		}
	}
}

// Reading a large input takes so long that the lease, or the deadline, is over:
// the handler does not begin any more.
func TestSlowInput(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		lease, deadline time.Duration
		status          task.Status
	}{
		"lease over":      {10 * time.Second, time.Hour, task.Succeeded},
		"deadline passed": {time.Hour, 20 * time.Second, task.Expired},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, worldOptions{worker: worker.Options{Lease: tt.lease}})
				defer w.rest()
				id := w.accept(submission{script: []deed{succeed}, bulk: 2500, deadline: tt.deadline})
				p := &process{name: "worker", kill: -1, mishaps: map[int]mishap{1: slow}} // after the claim
				w.deliver(w.workers[0], tasks, 1, p, true)
				time.Sleep(meanwhile)
				w.check()
				if n := w.history.Began(id, 1); n != 0 {
					t.Errorf("%d handlers began", n)
				}
				w.drain()
				if r := w.db.Row(id); r.Status != tt.status {
					t.Errorf("it is %s, want it %s", r.Status, tt.status)
				}
			})
		})
	}
}

// What somebody else decides about a task, from what it has read, reaches the
// table only when a worker has had the task meanwhile.
func TestOtherwiseDecided(t *testing.T) {
	t.Parallel()
	others := map[string]func(w *world, p *process, id string){
		"cancel": func(w *world, p *process, id string) { w.cancel(p, id) },
		"read":   func(w *world, p *process, id string) { _, _ = w.table.Get(p.context(w.ctx()), id) },
		"list": func(w *world, p *process, _ string) {
			_, _ = w.table.List(p.context(w.ctx()), tasktable.Query{Tenant: "tenant", Limit: 10})
		},
		"replay": func(w *world, p *process, id string) {
			w.replay(p, byRow, id, 2)
			w.send(tasks, w.messageOf(id, 2))
		},
		"replay for a plan": func(w *world, p *process, id string) {
			w.replay(p, byPlan, id, 2)
			w.send(tasks, w.messageOf(id, 2))
		},
	}
	for name, other := range others {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			everyScene(t, func(t *testing.T, s scene) (played int) {
				t.Helper()
				for n, more := 0, true; more; n++ {
					synctest.Test(t, func(t *testing.T) {
						w := newWorld(t, s.opts)
						defer w.rest()
						s.build(w)
						p := &process{name: name, kill: -1, mishaps: map[int]mishap{n: slow}}
						go func() {
							for _, id := range w.known() {
								other(w, p, id)
							}
						}()
						time.Sleep(time.Second)
						w.deliver(w.workers[1], tasks, 10, healthy("worker"), true)
						w.drain()
						if more = p.calls() > n; more {
							played++
						}
					})
				}
				return played
			})
		})
	}
}

// Two workers are killed in turn, at any two points.
func TestKilledTwice(t *testing.T) {
	t.Parallel()
	for name, script := range map[string][]deed{"results": {succeed}, "failures": {fail}, "a crash": {crash, succeed}, "checkpoints": {checkpoint}, "yields": {yield}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for first := range 8 {
				for second := range 8 {
					synctest.Test(t, func(t *testing.T) {
						w := newWorld(t, worldOptions{worker: worker.Options{MaxAttempts: 2}})
						defer w.rest()
						each(2, script...)(w)
						w.work(dying("first worker", first/2, first%2 == 1), tasks)
						time.Sleep(visibility)
						w.work(dying("second worker", second/2, second%2 == 1), tasks)
						w.drain()
					})
				}
			}
		})
	}
}

// replayLetters replays all dead letters for a plan, as the protocol says: row,
// message, and only then the letter goes.
func (w *world) replayLetters(p *process, plan string) {
	letters := w.sqs.Receive(dead, 10)
	requests := make([]tasktable.ReplayRequest, len(letters))
	for i := range letters {
		m := w.message(&letters[i])
		requests[i] = tasktable.ReplayRequest{ID: m.TaskID, Run: m.Run}
	}
	ctx := p.context(w.ctx())
	var copies []workqueue.Outgoing
	var receipts []string
	for i, r := range w.plan(p, plan, requests) {
		if !r.Done {
			continue
		}
		out, err := workqueue.Encode(w.message(&letters[i]))
		if err != nil {
			w.t.Fatal(err)
		}
		copies, receipts = append(copies, out), append(receipts, letters[i].ReceiptHandle)
	}
	if len(copies) == 0 {
		return
	}
	for i, err := range w.queue(tasks).SendBatch(ctx, copies) {
		if err == nil && p.alive() {
			w.sqs.Delete(dead, receipts[i])
		}
	}
}

// An operator is killed anywhere in a plan, and another one resumes it: every
// task runs once more, and once only.
func TestPlanKilledAnywhere(t *testing.T) {
	t.Parallel()
	play := func(p *process, n int) (killed bool) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, onlyAttempt(worldOptions{}))
			defer w.rest()
			each(4, fail, succeed)(w)
			w.work(healthy("worker"), tasks)
			w.replayLetters(p, "plan")
			killed = p.calls() > n
			w.check()
			w.work(healthy("worker between"), tasks)
			time.Sleep(visibility) // the letters come back
			w.replayLetters(healthy("operator again"), "plan")
			w.drain()
			for _, id := range w.known() {
				w.has(id, task.Succeeded, 1)
				if r := w.db.Row(id); r.Run != 2 || r.Replays != 1 || r.PlanID != "plan" || w.history.Began(id, 2) != 1 {
					t.Errorf("%s: task %s is in run %d after %d replays, which began %d times", p, id, r.Run, r.Replays, w.history.Began(id, 2))
				}
			}
			if left := w.messages(dead); len(left) > 0 {
				t.Errorf("%s: %d dead letters are left", p, len(left))
			}
		})
		return killed
	}
	for _, after := range []bool{false, true} {
		for n := 0; play(dying("operator", n, after), n); n++ {
		}
	}
	for _, m := range mishaps {
		for n := 0; play(&process{name: "operator", kill: -1, mishaps: map[int]mishap{n: m}}, n); n++ {
		}
	}
}

// A task that always crashes its worker runs once more than the maximum: the
// first crash is not known to be its own, and counts nothing.
func TestAlwaysCrashing(t *testing.T) {
	t.Parallel()
	for most := 1; most <= 4; most++ {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, worldOptions{worker: worker.Options{MaxAttempts: most, BacklogAfter: 24 * time.Hour}})
			defer w.rest()
			each(4, succeed)(w)
			id := w.accept(submission{script: []deed{crash}, deadline: 24 * time.Hour})
			w.drain()
			w.has(id, task.DeadLettered, most)
			if n := w.history.Began(id, 1); n != most+1 {
				t.Errorf("with at most %d attempts it ran %d times", most, n)
			}
			for _, healthy := range w.known()[:4] {
				w.has(healthy, task.Succeeded, 1)
			}
		})
	}
}
