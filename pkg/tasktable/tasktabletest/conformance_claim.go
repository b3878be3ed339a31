package tasktabletest

import (
	"sync"
	"time"

	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
)

var claimTests = map[string]func(*fixture){
	"claim": func(f *fixture) {
		id := f.create().ID
		owner, end := tasktable.NewOwner(), time.Now().Add(longLease)
		before := time.Now().UnixMilli()
		c := f.Claim(f.ctx(), owner, end, []string{id})[0]
		if c.Outcome != tasktable.Claimed || c.Err != nil {
			f.t.Fatalf("Claim = %+v", c)
		}
		r := c.Row
		if r.ID != id || r.Status != task.Running || r.Owner != owner || r.Fence != 1 || r.Settled != 0 || r.ClaimableAt != end.UnixMilli() {
			f.t.Errorf("the claimed row is %+v", r)
		}
		if r.Attempts != 0 || r.Counted() != 1 || r.Vanished() || r.StartedAt < before || string(r.Input) != `{"n":1}` || r.Tenant != f.tenant {
			f.t.Errorf("the claimed row is %+v", r)
		}
	},
	"claim/batch sizes": func(f *fixture) {
		for _, n := range []int{0, 1, 2, 25, 26, 51} {
			ids := make([]string, n)
			for i := range ids {
				ids[i] = f.create().ID
			}
			claims := f.Claim(f.ctx(), tasktable.NewOwner(), time.Now().Add(longLease), ids)
			if len(claims) != n {
				f.t.Fatalf("%d answers to %d wishes", len(claims), n)
			}
			settlements := make([]tasktable.Settlement, n)
			for i, c := range claims {
				if c.Outcome != tasktable.Claimed || c.Row.ID != ids[i] {
					f.t.Fatalf("claim %d of %d = %+v, want %s claimed", i, n, c, ids[i])
				}
				settlements[i] = tasktable.Succeed(c.Row, []byte(`{}`))
			}
			for i, s := range f.Settle(f.ctx(), settlements) {
				if s.Err != nil || s.Lost || s.Status != task.Succeeded {
					f.t.Fatalf("settlement %d of %d = %+v", i, n, s)
				}
			}
		}
	},
	"claim/each is answered for itself": func(f *fixture) {
		leased, done := f.begun(), f.begun()
		f.settle(tasktable.Succeed(done, nil))
		gone := f.with(tasktable.Options{Retention: time.Second}).create(dueIn(-time.Hour))
		if c := f.Expire(f.ctx(), []string{gone.ID})[0]; c.Outcome != tasktable.Absent {
			f.t.Errorf("Expire of a task whose retention is over = %+v, want Absent", c)
		}
		fresh, later := f.create(), f.create(delayed(time.Hour))
		want := []struct {
			name    string
			id      string
			outcome tasktable.Outcome
		}{
			{"absent", tasktable.NewID(), tasktable.Absent},
			{"leased by another", leased.ID, tasktable.Held},
			{"fresh", fresh.ID, tasktable.Claimed},
			{"queued for later", later.ID, tasktable.Held},
			{"finished", done.ID, tasktable.Finished},
			{"retention over", gone.ID, tasktable.Absent},
			{"another fresh", f.create().ID, tasktable.Claimed},
		}
		ids := make([]string, len(want))
		for i := range want {
			ids[i] = want[i].id
		}
		for i, c := range f.Claim(f.ctx(), tasktable.NewOwner(), time.Now().Add(longLease), ids) {
			if c.Outcome != want[i].outcome || c.Err != nil || (c.Row == nil) != (c.Outcome == tasktable.Absent) {
				f.t.Errorf("%s: %+v, want outcome %d", want[i].name, c, want[i].outcome)
			}
			if c.Row != nil && c.Row.ID != want[i].id {
				f.t.Errorf("%s: answered with the row of %s", want[i].name, c.Row.ID)
			}
		}
		// And alone.
		if c := f.try(leased.ID, longLease); c.Outcome != tasktable.Held || c.Row.ClaimableAt != leased.ClaimableAt {
			f.t.Errorf("leased, alone: %+v, want it held until %d", c, leased.ClaimableAt)
		}
		if c := f.try(later.ID, longLease); c.Outcome != tasktable.Held || c.Row.ClaimableAt != later.ClaimableAt {
			f.t.Errorf("later, alone: %+v, want it held until %d", c, later.ClaimableAt)
		}
		if c := f.try(done.ID, longLease); c.Outcome != tasktable.Finished || c.Row.Status != task.Succeeded {
			f.t.Errorf("finished, alone: %+v", c)
		}
		if c := f.try(tasktable.NewID(), longLease); c.Outcome != tasktable.Absent {
			f.t.Errorf("absent, alone: %+v", c)
		}
	},
	"claim/none is created": func(f *fixture) {
		ids := []string{tasktable.NewID(), tasktable.NewID()}
		for range 2 {
			for _, c := range f.Claim(f.ctx(), tasktable.NewOwner(), time.Now().Add(longLease), ids) {
				if c.Outcome != tasktable.Absent {
					f.t.Errorf("Claim = %+v, want Absent", c)
				}
			}
		}
	},
	"claim/delayed": func(f *fixture) {
		id := f.create(delayed(150 * time.Millisecond)).ID
		f.eventually("the delay to end", func() bool { return f.try(id, longLease).Outcome == tasktable.Claimed })
	},
	"claim/lost answer": func(f *fixture) {
		ids := []string{f.create().ID, f.create().ID}
		owner, end := tasktable.NewOwner(), time.Now().Add(longLease)
		first := f.Claim(f.ctx(), owner, end, ids)
		for name, again := range map[string][]tasktable.Claim{
			"batch": f.Claim(f.ctx(), owner, end, ids),
			"alone": f.Claim(f.ctx(), owner, end, ids[:1]),
		} {
			for i, c := range again {
				if c.Outcome != tasktable.Claimed || c.Row.Fence != first[i].Row.Fence {
					f.t.Errorf("%s: claimed again by the same owner: %+v, want fence %d", name, c, first[i].Row.Fence)
				}
			}
		}
		f.settle(tasktable.Succeed(first[0].Row, nil))
		if c := f.Claim(f.ctx(), owner, end, ids[:1])[0]; c.Outcome != tasktable.Finished {
			f.t.Errorf("after it has finished: %+v, want Finished", c)
		}
	},
	"claim/one winner": func(f *fixture) {
		contested := []string{f.create().ID, f.create().ID}
		var mu sync.Mutex
		var wg sync.WaitGroup
		won := map[string]int{}
		for n := range 20 {
			wg.Go(func() {
				ids := contested // half of them claim in a batch, half alone
				if n%2 == 0 {
					ids = contested[:1]
				}
				for _, c := range f.Claim(f.ctx(), tasktable.NewOwner(), time.Now().Add(longLease), ids) {
					switch {
					case c.Outcome == tasktable.Claimed:
						mu.Lock()
						won[c.Row.ID]++
						mu.Unlock()
					case c.Outcome != tasktable.Held:
						f.t.Errorf("Claim = %+v, want it claimed or held", c)
					}
				}
			})
		}
		wg.Wait()
		for _, id := range contested {
			if won[id] != 1 {
				f.t.Errorf("%d of 20 workers claimed %s", won[id], id)
			}
			if r := f.row(id); r.Fence != 1 {
				f.t.Errorf("fence is %d after one claim", r.Fence)
			}
		}
	},
}

// vanishTests are about claims that nobody settled.
var vanishTests = map[string]func(*fixture){
	"vanished": func(f *fixture) {
		r := f.claim(f.lapsed().ID)
		if !r.Vanished() || r.Attempts != 0 || r.Fence != 2 {
			f.t.Fatalf("taken over: %+v, want it to tell of a vanished worker", r)
		}
		if err := f.Charge(f.ctx(), r); err != nil {
			f.t.Fatal(err)
		}
		if !r.Charged || r.Counted() != 1 {
			f.t.Errorf("charged: %+v", r)
		}
		if now := f.has(r.ID, task.Running); now.Attempts != 1 || now.Fence != r.Fence || !now.Vanished() {
			f.t.Errorf("the charge is not on the row: %+v", now)
		}
		f.settle(tasktable.Retry(r, failure(), time.Now().Add(-time.Second)))
		next := f.claim(r.ID)
		if next.Attempts != 1 || next.Vanished() {
			f.t.Errorf("a charged attempt counts once: %+v", next)
		}
	},
	"vanished/again and again": func(f *fixture) {
		id := f.lapsed().ID
		for attempt := 1; attempt <= 3; attempt++ {
			r := f.claimFor(id, shortLease)
			if !r.Vanished() || r.Attempts != attempt-1 {
				f.t.Fatalf("attempt %d begins with %+v", attempt, r)
			}
			if err := f.Charge(f.ctx(), r); err != nil {
				f.t.Fatal(err)
			}
			f.past(r.ClaimableAt)
		}
		r := f.claim(id)
		f.settle(tasktable.DeadLetter(r, task.Failure{Code: task.CodeWorkerLost, Message: "gone"}).Uncounted())
		if now := f.has(id, task.DeadLettered); now.Attempts != 3 || now.Error.Code != task.CodeWorkerLost {
			f.t.Errorf("given up: %+v, want 3 attempts", now)
		}
	},
	"vanished/charge needs the claim": func(f *fixture) {
		stale := f.lapsed()
		f.claim(stale.ID)
		f.loses("Charge", f.Charge(f.ctx(), stale))
		if stale.Charged || f.row(stale.ID).Attempts != 0 {
			f.t.Error("a charge without the claim was counted")
		}
	},
	"release counts no attempt": func(f *fixture) {
		id := f.create().ID
		for n := range 3 {
			r := f.claim(id)
			if r.Vanished() || r.Attempts != 0 || r.Fence != int64(n+1) {
				f.t.Fatalf("claim %d: %+v", n+1, r)
			}
			f.settle(tasktable.Release(r))
			f.has(id, task.Queued)
		}
	},
	"release takes a charge back": func(f *fixture) {
		r := f.claim(f.lapsed().ID)
		if err := f.Charge(f.ctx(), r); err != nil {
			f.t.Fatal(err)
		}
		f.settle(tasktable.Release(r))
		if next := f.claim(r.ID); next.Attempts != 0 || !next.Vanished() {
			f.t.Errorf("released: %+v, want no attempt counted and the vanished worker remembered", next)
		}
	},
}
