package tasktabletest

import (
	"errors"
	"sync"
	"time"

	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
)

// each replays for a plan in the ways there are: one task alone, and among others.
func (f *fixture) each(check func(replay func(...tasktable.ReplayRequest) []tasktable.Replayed)) {
	check(func(requests ...tasktable.ReplayRequest) []tasktable.Replayed { return f.ReplayAll(f.ctx(), requests) })
	check(func(requests ...tasktable.ReplayRequest) []tasktable.Replayed {
		out := make([]tasktable.Replayed, len(requests))
		for i, r := range requests {
			out[i] = f.ReplayFor(f.ctx(), r)
		}
		return out
	})
}

// planTests are about replays that belong to a plan.
var planTests = map[string]func(*fixture){
	"plan": func(f *fixture) {
		f.each(func(replay func(...tasktable.ReplayRequest) []tasktable.Replayed) {
			var old []*tasktable.Row
			var requests []tasktable.ReplayRequest
			for range 9 { // with more of them than one call takes
				old = append(old, f.failed(task.DeadLettered, "a"), f.failed(task.Failed, "a"), f.lapsed())
			}
			for _, r := range old {
				requests = append(requests, tasktable.ReplayRequest{ID: r.ID, Run: 2, PlanID: "plan-1"})
			}
			for round := range 3 { // as after lost answers
				for i, got := range replay(requests...) {
					r := got.Row
					if !got.Done || got.Err != nil || r == nil {
						f.t.Fatalf("replay %d, round %d = %+v", i, round, got)
					}
					if r.Status != task.Queued || r.Run != 2 || r.Replays != 1 || r.Attempts != 0 || r.Fence != old[i].Fence+1 || r.Settled != r.Fence ||
						r.ClaimableAt != 0 || r.PlanID != "plan-1" || r.Error != nil || r.FinishedAt != 0 || r.History != nil || r.Report != nil || r.Fingerprint != "" {
						f.t.Errorf("replay %d of a task that was %s, round %d: %+v", i, old[i].Status, round, r)
					}
					if r.ExpiresAt < time.UnixMilli(r.Deadline).Add(7*24*time.Hour).Unix() {
						f.t.Errorf("replayed, it is kept until %d, and due at %d", r.ExpiresAt, r.Deadline)
					}
				}
			}
			next := f.claim(old[0].ID)
			if next.Vanished() || next.Run != 2 || next.PlanID != "plan-1" {
				f.t.Errorf("claimed after a replay: %+v", next)
			}
			if s := f.Settle(f.ctx(), []tasktable.Settlement{tasktable.Succeed(old[2], nil)})[0]; !s.Lost {
				f.t.Errorf("the worker before the replay settled: %+v", s)
			}
		})
	},
	"plan/of a plan before": func(f *fixture) {
		f.each(func(replay func(...tasktable.ReplayRequest) []tasktable.Replayed) {
			a, b := f.failed(task.DeadLettered, "a"), f.failed(task.DeadLettered, "a")
			for n, run := range []int{2, 3, 7, 9} { // not always the next one
				for i, got := range replay(tasktable.ReplayRequest{ID: a.ID, Run: run, PlanID: "p"}, tasktable.ReplayRequest{ID: b.ID, Run: run, PlanID: "p"}) {
					if !got.Done || got.Row.Run != run || got.Row.Replays != n+1 {
						f.t.Errorf("replay %d of task %d = %+v, %+v", n+1, i, got, got.Row)
					}
				}
				for _, r := range []*tasktable.Row{a, b} {
					f.settle(tasktable.DeadLetter(f.claim(r.ID), failure()))
				}
			}
		})
	},
	"plan/known again whatever came of it": func(f *fixture) {
		f.each(func(replay func(...tasktable.ReplayRequest) []tasktable.Replayed) {
			a, b := f.failed(task.DeadLettered, "a"), f.failed(task.DeadLettered, "a")
			ours := []tasktable.ReplayRequest{{ID: a.ID, Run: 2, PlanID: "ours"}, {ID: b.ID, Run: 2, PlanID: "ours"}}
			others := []tasktable.ReplayRequest{{ID: a.ID, Run: 2, PlanID: "others"}, {ID: b.ID, Run: 2, PlanID: "others"}}
			expect := func(status task.Status) {
				f.t.Helper()
				for i, got := range replay(ours...) {
					if !got.Done || got.Err != nil || got.Row.Status != status || got.Row.Replays != 1 {
						f.t.Errorf("replay %d, when it is %s = %+v, %+v", i, status, got, got.Row)
					}
				}
				for i, got := range replay(others...) {
					if got.Done || got.Err != nil || got.Row == nil || got.Row.PlanID != "ours" {
						f.t.Errorf("replay %d of another plan, when it is %s = %+v", i, status, got)
					}
				}
			}
			replay(ours...)
			expect(task.Queued)
			rows := []*tasktable.Row{f.claim(a.ID), f.claim(b.ID)}
			expect(task.Running)
			for _, r := range rows {
				f.settle(tasktable.DeadLetter(r, failure()))
			}
			expect(task.DeadLettered)
			// A run that is nobody's, by SQS's own redrive.
			if ok, err := f.Replay(f.ctx(), a.ID, 3); !ok || err != nil {
				f.t.Fatal(ok, err)
			}
			if got := replay(ours...)[0]; got.Done || got.Row == nil || got.Row.Run != 3 || got.Row.PlanID != "" {
				f.t.Errorf("a newer run is taken for the plan's: %+v, %+v", got, got.Row)
			}
		})
	},
	"plan/rerun": func(f *fixture) {
		r := f.failed(task.DeadLettered, "a")
		f.ReplayFor(f.ctx(), tasktable.ReplayRequest{ID: r.ID, Run: 2, PlanID: "p"})
		r = f.claim(r.ID)
		if err := f.Rerun(f.ctx(), r, 3); err != nil || r.PlanID != "" || f.row(r.ID).PlanID != "" {
			f.t.Errorf("Rerun = %v; the new run is still plan %q's", err, f.row(r.ID).PlanID)
		}
	},
	"plan/refused": func(f *fixture) {
		ended := func(how string) string {
			r := f.begun()
			f.settle(settlements[how](r))
			return r.ID
		}
		canceled := f.failed(task.DeadLettered, "a")
		if _, err := f.Cancel(f.ctx(), f.tenant, canceled.ID); err != nil {
			f.t.Fatal(err)
		}
		f.each(func(replay func(...tasktable.ReplayRequest) []tasktable.Replayed) {
			for name, tt := range map[string]tasktable.ReplayRequest{
				"succeeded":                  {ID: ended("succeed"), Run: 2},
				"canceled":                   {ID: ended("cancel"), Run: 2},
				"a dead letter canceled":     {ID: canceled.ID, Run: 2},
				"expired":                    {ID: ended("expired"), Run: 2},
				"deferred":                   {ID: ended("defer"), Run: 2},
				"held":                       {ID: f.begun().ID, Run: 2},
				"queued":                     {ID: f.create().ID, Run: 2},
				"absent":                     {ID: tasktable.NewID(), Run: 2},
				"no id":                      {ID: "no id", Run: 2},
				"empty id":                   {Run: 2},
				"dead letter, run 1":         {ID: ended("dead letter"), Run: 1},
				"failed, run 1":              {ID: ended("fail"), Run: 1},
				"lapsed lease, run 1":        {ID: f.lapsed().ID, Run: 1},
				"dead letter, deadline over": {ID: f.failed(task.DeadLettered, "a", dueIn(0)).ID, Run: 2},
				"failed, deadline over":      {ID: f.failed(task.Failed, "a", dueIn(0)).ID, Run: 2},
			} {
				tt.PlanID = "p"
				before, err := f.GetConsistent(f.ctx(), tt.ID)
				if before != nil && err != nil {
					f.t.Fatal(err)
				}
				good := f.failed(task.DeadLettered, "a")
				got := replay(tt, tasktable.ReplayRequest{ID: good.ID, Run: 2, PlanID: "p"})
				if got[0].Done || got[0].Err != nil || !equal(got[0].Row, before) {
					f.t.Errorf("%s: %+v; want it refused, with the row\n%+v", name, got[0], before)
				}
				if !got[1].Done {
					f.t.Errorf("beside one that is %s: %+v", name, got[1])
				}
				if after, _ := f.GetConsistent(f.ctx(), tt.ID); !equal(before, after) {
					f.t.Errorf("%s: a refused replay changed\n%+v\n%+v", name, before, after)
				}
			}
			for _, got := range replay(tasktable.ReplayRequest{ID: ended("fail"), Run: 2}) {
				if got.Done || !errors.Is(got.Err, tasktable.ErrNoPlan) {
					f.t.Errorf("without a plan: %+v", got)
				}
			}
		})
		if got := f.ReplayAll(f.ctx(), nil); len(got) != 0 {
			f.t.Errorf("ReplayAll of nothing = %+v", got)
		}
	},
	"plan/names a task twice": func(f *fixture) {
		f.each(func(replay func(...tasktable.ReplayRequest) []tasktable.Replayed) {
			a, b := f.failed(task.DeadLettered, "a"), f.failed(task.DeadLettered, "a")
			for i, got := range replay(
				tasktable.ReplayRequest{ID: a.ID, Run: 2, PlanID: "p"}, tasktable.ReplayRequest{ID: b.ID, Run: 2, PlanID: "p"},
				tasktable.ReplayRequest{ID: a.ID, Run: 2, PlanID: "p"}, tasktable.ReplayRequest{ID: b.ID, Run: 3, PlanID: "p"},
			) {
				if got.Err != nil || got.Row == nil || got.Done != (i < 3) || got.Row.Run != 2 || got.Row.Replays != 1 {
					f.t.Errorf("replay %d = %+v, %+v", i, got, got.Row)
				}
			}
		})
	},
	"plan/one of many": func(f *fixture) {
		a, b := f.failed(task.DeadLettered, "a"), f.failed(task.DeadLettered, "a")
		var wg sync.WaitGroup
		for _, plan := range []string{"1", "2", "3", "1", "2", "3"} {
			wg.Go(func() {
				for _, got := range f.ReplayAll(f.ctx(), []tasktable.ReplayRequest{{ID: a.ID, Run: 2, PlanID: plan}, {ID: b.ID, Run: 2, PlanID: plan}}) {
					if got.Err != nil || got.Row == nil || got.Done != (got.Row.PlanID == plan) {
						f.t.Errorf("plan %s: %+v", plan, got)
					}
				}
			})
		}
		wg.Wait()
		for _, r := range []*tasktable.Row{a, b} {
			if now := f.has(r.ID, task.Queued); now.Replays != 1 || now.Run != 2 || now.Fence != r.Fence+1 {
				f.t.Errorf("replayed by several plans at once: %+v", now)
			}
		}
	},
}
