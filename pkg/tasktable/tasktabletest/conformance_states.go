package tasktabletest

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
)

// situations brings a new task into every situation that a row can be in, and
// returns it as the worker that last held it, if any, knows it.
var situations = map[string]func(f *fixture) *tasktable.Row{
	"queued":   func(f *fixture) *tasktable.Row { return f.create() },
	"delayed":  func(f *fixture) *tasktable.Row { return f.create(delayed(time.Hour)) },
	"running":  func(f *fixture) *tasktable.Row { return f.begun() },
	"lapsed":   func(f *fixture) *tasktable.Row { return f.lapsed() },
	"retrying": after("retry"),
	"released": after("release"),
	"released after a worker vanished": func(f *fixture) *tasktable.Row {
		r := f.claim(f.lapsed().ID)
		f.settle(tasktable.Release(r))
		return r
	},
	"deferred":      after("defer"),
	"succeeded":     after("succeed"),
	"failed":        after("fail"),
	"dead lettered": after("dead letter"),
	"canceled":      after("cancel"),
	"expired":       after("expired"),
}

func after(how string) func(*fixture) *tasktable.Row {
	return func(f *fixture) *tasktable.Row {
		r := f.begun()
		f.settle(settlements[how](r))
		return r
	}
}

const inABatch = ", in a batch"

// deeds are all that can be done to a task. What they answer is tested
// elsewhere; here it matters what they leave.
var deeds = func() map[string]func(*fixture, *tasktable.Row) {
	all := map[string]func(*fixture, *tasktable.Row){
		"claim":  func(f *fixture, r *tasktable.Row) { f.try(r.ID, longLease) },
		"expire": func(f *fixture, r *tasktable.Row) { f.Expire(f.ctx(), []string{r.ID}) },
		"ask for a cancel": func(f *fixture, r *tasktable.Row) {
			_, _ = f.Cancel(f.ctx(), f.tenant, r.ID)
		},
		"replay":            func(f *fixture, r *tasktable.Row) { _, _ = f.Replay(f.ctx(), r.ID, r.Run+1) },
		"replay of its run": func(f *fixture, r *tasktable.Row) { _, _ = f.Replay(f.ctx(), r.ID, r.Run) },
		"renew": func(f *fixture, r *tasktable.Row) {
			_, _ = f.Renew(f.ctx(), r, time.Now().Add(longLease), tasktable.Renewal{State: []byte(`1`)})
		},
		"charge": func(f *fixture, r *tasktable.Row) { _ = f.Charge(f.ctx(), r) },
		"rerun":  func(f *fixture, r *tasktable.Row) { _ = f.Rerun(f.ctx(), r, r.Run+1) },
		"create": func(f *fixture, r *tasktable.Row) {
			d := f.draft()
			d.ID = r.ID
			_, _ = f.Create(f.ctx(), d)
		},
	}
	for name, how := range settlements {
		all[name] = func(f *fixture, r *tasktable.Row) { f.Settle(f.ctx(), []tasktable.Settlement{how(r)}) }
	}
	// What goes alone is one kind of request, what goes with others another.
	with := func(f *fixture, r *tasktable.Row) []string { return []string{f.create().ID, r.ID} }
	all["claim"+inABatch] = func(f *fixture, r *tasktable.Row) {
		f.Claim(f.ctx(), tasktable.NewOwner(), time.Now().Add(longLease), with(f, r))
	}
	all["expire"+inABatch] = func(f *fixture, r *tasktable.Row) { f.Expire(f.ctx(), with(f, r)) }
	for name, how := range settlements {
		all[name+inABatch] = func(f *fixture, r *tasktable.Row) {
			f.Settle(f.ctx(), []tasktable.Settlement{tasktable.Release(f.begun()), how(r)})
		}
	}
	return all
}()

// changes is the state diagram: what each deed makes of each situation. What
// is missing leaves the row as it is, in every field.
var changes = map[string]map[string]task.Status{
	"queued":   {"claim": task.Running, "ask for a cancel": task.Canceled},
	"delayed":  {"ask for a cancel": task.Canceled},
	"retrying": {"ask for a cancel": task.Canceled},
	"released": {"claim": task.Running, "ask for a cancel": task.Canceled},

	"released after a worker vanished": {"claim": task.Running, "ask for a cancel": task.Canceled},
	"running": with(ofTheHolder, map[string]task.Status{
		"ask for a cancel": task.Running, "defer": task.Running,
	}),
	"lapsed": with(ofTheHolder, map[string]task.Status{
		"ask for a cancel": task.Canceled, "claim": task.Running, "replay": task.Queued,
	}),
	"deferred":      {"ask for a cancel": task.Running},
	"failed":        {"replay": task.Queued},
	"dead lettered": {"replay": task.Queued, "ask for a cancel": task.Canceled},
	"succeeded":     {}, "canceled": {}, "expired": {},
}

// ofTheHolder is what a worker may do while nobody took its task over.
var ofTheHolder = map[string]task.Status{
	"renew": task.Running, "charge": task.Running, "rerun": task.Running, "succeed": task.Succeeded, "fail": task.Failed,
	"dead letter": task.DeadLettered, "worker lost": task.DeadLettered, "retry": task.Queued, "release": task.Queued, "yield": task.Queued,
	"expired": task.Expired, "cancel": task.Canceled,
}

func with(a, b map[string]task.Status) map[string]task.Status {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// stateTests do everything to a task in every situation.
var stateTests = func() map[string]func(*fixture) {
	tests := map[string]func(*fixture){}
	for situation, bring := range situations {
		tests["states/"+situation] = func(f *fixture) {
			for _, deed := range slices.Sorted(maps.Keys(deeds)) {
				r := bring(f)
				before := f.row(r.ID)
				deeds[deed](f, r)
				now := f.row(r.ID)
				want, changed := changes[situation][strings.TrimSuffix(deed, inABatch)]
				switch {
				case !changed && !equal(before, now):
					f.t.Errorf("%s of a %s task left\n%+v, want\n%+v", deed, situation, now, before)
				case changed && now.Status != want:
					f.t.Errorf("%s of a %s task made it %s, want %s", deed, situation, now.Status, want)
				case changed && equal(before, now):
					f.t.Errorf("%s of a %s task changed nothing", deed, situation)
				}
				if now.Status != before.Status && !before.Status.CanBecome(now.Status) {
					f.t.Errorf("%s took a task from %s to %s, which is not legal", deed, before.Status, now.Status)
				}
				if now.Fence < before.Fence || now.Settled < before.Settled || now.Settled > now.Fence || now.Run < before.Run {
					f.t.Errorf("%s of a %s task left %+v after %+v", deed, situation, now, before)
				}
			}
		}
	}
	return tests
}()
