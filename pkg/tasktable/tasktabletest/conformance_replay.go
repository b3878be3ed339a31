package tasktabletest

import (
	"errors"
	"time"

	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
)

var replayTests = map[string]func(*fixture){
	"replay": func(f *fixture) {
		for _, from := range []string{"dead letter", "fail"} {
			old := f.begun()
			f.settle(settlements[from](old))
			if ok, err := f.Replay(f.ctx(), old.ID, 2); !ok || err != nil {
				f.t.Fatalf("Replay after %s = %t, %v", from, ok, err)
			}
			r := f.has(old.ID, task.Queued)
			if r.Run != 2 || r.Replays != 1 || r.Attempts != 0 || r.Fence != old.Fence+1 || r.Settled != r.Fence || r.Error != nil || r.FinishedAt != 0 {
				f.t.Errorf("replayed after %s: %+v", from, r)
			}
			if s := f.Settle(f.ctx(), []tasktable.Settlement{tasktable.Succeed(old, nil)})[0]; !s.Lost {
				f.t.Errorf("the worker before the replay settled: %+v", s)
			}
			next := f.claim(old.ID)
			if next.Vanished() {
				f.t.Errorf("a replay looks like a vanished worker: %+v", next)
			}
			f.settle(tasktable.DeadLetter(next, failure()))
			if ok, err := f.Replay(f.ctx(), old.ID, 5); !ok || err != nil {
				f.t.Fatalf("second Replay = %t, %v", ok, err)
			}
			if r = f.has(old.ID, task.Queued); r.Run != 5 || r.Replays != 2 {
				f.t.Errorf("replayed twice: %+v", r)
			}
		}
	},
	"replay/lost answer": func(f *fixture) {
		old := f.begun()
		f.settle(tasktable.DeadLetter(old, failure()))
		for range 2 {
			if ok, err := f.Replay(f.ctx(), old.ID, 2); !ok || err != nil {
				f.t.Fatalf("Replay = %t, %v; the task waits in that run", ok, err)
			}
		}
		if r := f.has(old.ID, task.Queued); r.Replays != 1 || r.Fence != old.Fence+1 {
			f.t.Errorf("one replay sent twice counts twice: %+v", r)
		}
	},
	"replay/of a lapsed lease": func(f *fixture) {
		old := f.lapsed()
		if ok, err := f.Replay(f.ctx(), old.ID, 2); !ok || err != nil {
			f.t.Fatalf("Replay = %t, %v", ok, err)
		}
		if s := f.Settle(f.ctx(), []tasktable.Settlement{tasktable.Succeed(old, nil)})[0]; !s.Lost {
			f.t.Errorf("the worker before the replay settled: %+v", s)
		}
		if r := f.claim(old.ID); r.Vanished() || r.Run != 2 || r.Attempts != 0 {
			f.t.Errorf("replayed: %+v", r)
		}
	},
	"replay/refused": func(f *fixture) {
		ended := func(how string) string {
			r := f.begun()
			f.settle(settlements[how](r))
			return r.ID
		}
		for name, tt := range map[string]struct {
			id  string
			run int
		}{
			"succeeded":           {ended("succeed"), 2},
			"canceled":            {ended("cancel"), 2},
			"expired":             {ended("expired"), 2},
			"deferred":            {ended("defer"), 2},
			"held":                {f.begun().ID, 2},
			"queued":              {f.create().ID, 2},
			"absent":              {tasktable.NewID(), 2},
			"dead letter, run 1":  {ended("dead letter"), 1},
			"failed, run 1":       {ended("fail"), 1},
			"lapsed lease, run 1": {f.lapsed().ID, 1},
		} {
			before, err := f.GetConsistent(f.ctx(), tt.id)
			if name == "absent" != errors.Is(err, tasktable.ErrNotFound) {
				f.t.Fatal(err)
			}
			if ok, err := f.Replay(f.ctx(), tt.id, tt.run); ok || err != nil {
				f.t.Errorf("%s: Replay = %t, %v; want it refused", name, ok, err)
			}
			after, _ := f.GetConsistent(f.ctx(), tt.id)
			if !equal(before, after) {
				f.t.Errorf("%s: a refused replay changed\n%+v\n%+v", name, before, after)
			}
		}
	},
	"replay/one of many": func(f *fixture) {
		old := f.begun()
		f.settle(tasktable.DeadLetter(old, failure()))
		results := make(chan bool, 8)
		for range cap(results) {
			go func() {
				ok, err := f.Replay(f.ctx(), old.ID, 2)
				if err != nil {
					f.t.Error(err)
				}
				results <- ok
			}()
		}
		for range cap(results) {
			<-results
		}
		if r := f.has(old.ID, task.Queued); r.Replays != 1 || r.Run != 2 {
			f.t.Errorf("one replay made at once by many: %+v", r)
		}
	},
	"rerun": func(f *fixture) {
		r := f.begun()
		f.settle(tasktable.Retry(r, failure(), time.Now().Add(-time.Second)))
		r = f.claim(r.ID)
		for range 2 { // the second as after a lost answer
			again := *r
			if err := f.Rerun(f.ctx(), &again, 3); err != nil {
				f.t.Fatal(err)
			}
			if again.Run != 3 || again.Attempts != 0 || again.Replays != 1 || again.Vanished() {
				f.t.Errorf("rerun: %+v", again)
			}
			now := f.has(r.ID, task.Running)
			if now.Run != 3 || now.Attempts != 0 || now.Replays != 1 || now.Fence != r.Fence || now.Vanished() {
				f.t.Errorf("rerun: %+v", now)
			}
		}
		if err := f.Rerun(f.ctx(), r, 3); err != nil {
			f.t.Fatal(err)
		}
		f.settle(tasktable.Succeed(r, nil))
		if now := f.has(r.ID, task.Succeeded); now.Attempts != 1 || now.Run != 3 {
			f.t.Errorf("settled in its new run: %+v", now)
		}
	},
	"rerun/vanished before": func(f *fixture) {
		r := f.claim(f.lapsed().ID)
		before := f.row(r.ID)
		if err := f.Rerun(f.ctx(), r, 2); err != nil {
			f.t.Fatal(err)
		}
		if now := f.row(r.ID); !r.Vanished() || !now.Vanished() || now.Settled != before.Settled {
			f.t.Errorf("the new run has forgotten that a worker vanished: %+v", r)
		}
	},
	"rerun/answer lost, then released": func(f *fixture) {
		r := f.claim(f.lapsed().ID)
		applied := *r
		if err := f.Rerun(f.ctx(), &applied, 2); err != nil {
			f.t.Fatal(err)
		}
		f.settle(tasktable.Release(r)) // r does not know of the new run
		if now := f.row(r.ID); now.Run != 2 || now.Attempts != 0 || now.Settled != applied.Settled {
			f.t.Errorf("released: %+v, before %+v", now, applied)
		}
	},
	"rerun/lost": func(f *fixture) {
		stale := f.lapsed()
		f.claim(stale.ID)
		f.loses("Rerun", f.Rerun(f.ctx(), stale, 2))
		if stale.Run != 1 || f.row(stale.ID).Run != 1 {
			f.t.Error("a rerun without the claim was written")
		}
	},
}

// expireTests are about deadlines.
var expireTests = map[string]func(*fixture){
	"expire/by a worker": func(f *fixture) {
		queued, notDue := f.create(dueIn(-time.Second)), f.create()
		leased, lapsed := f.begun(dueIn(0)), f.lapsed(dueIn(0))
		done := f.begun(dueIn(0))
		f.settle(tasktable.Succeed(done, nil))
		want := []struct {
			id      string
			outcome tasktable.Outcome
			status  task.Status
		}{
			{queued.ID, tasktable.Finished, task.Expired},
			{notDue.ID, tasktable.Held, task.Queued},
			{leased.ID, tasktable.Held, task.Running},
			{lapsed.ID, tasktable.Finished, task.Expired},
			{done.ID, tasktable.Finished, task.Succeeded},
			{tasktable.NewID(), tasktable.Absent, ""},
		}
		ids := make([]string, len(want))
		for i := range want {
			ids[i] = want[i].id
		}
		for range 2 { // expiring twice is the same
			for i, c := range f.Expire(f.ctx(), ids) {
				if c.Outcome != want[i].outcome || c.Row != nil && c.Row.Status != want[i].status || c.Err != nil {
					f.t.Errorf("Expire %d = %+v, want %d, %s", i, c, want[i].outcome, want[i].status)
				}
			}
		}
		alone := f.create(dueIn(-time.Second))
		for range 2 {
			if c := f.Expire(f.ctx(), []string{alone.ID})[0]; c.Outcome != tasktable.Finished || c.Row.Status != task.Expired {
				f.t.Errorf("Expire, alone = %+v", c)
			}
		}
		for _, r := range []*tasktable.Row{queued, lapsed, alone} {
			f.ended(r)
		}
		f.settle(tasktable.Expired(leased))
		f.has(leased.ID, task.Expired)
	},
	"expire/by a reader": func(f *fixture) {
		for name, read := range map[string]func(id string) (*tasktable.Row, error){
			"Get":           func(id string) (*tasktable.Row, error) { return f.Get(f.ctx(), id) },
			"GetConsistent": func(id string) (*tasktable.Row, error) { return f.GetConsistent(f.ctx(), id) },
			"List": func(id string) (*tasktable.Row, error) {
				for {
					page, err := f.List(f.ctx(), tasktable.Query{Tenant: f.tenant, Limit: 100})
					if err != nil {
						return nil, err
					}
					for _, r := range page.Rows {
						if r.ID == id {
							return r, nil
						}
					}
				}
			},
		} {
			for _, r := range []*tasktable.Row{
				f.create(dueIn(-time.Second)), f.create(dueIn(-time.Second), delayed(time.Hour)), f.lapsed(dueIn(0)),
			} {
				got, err := read(r.ID)
				if err != nil || got.Status != task.Expired {
					f.t.Fatalf("%s = %+v, %v; want it expired", name, got, err)
				}
				f.ended(r)
			}
			if held := f.begun(dueIn(0)); f.row(held.ID).Status != task.Running {
				f.t.Errorf("%s: a task that a worker holds past its deadline is not running", name)
			}
		}
	},
	"expire/a late result is lost": func(f *fixture) {
		for _, look := range []func(id string){
			func(id string) { f.Expire(f.ctx(), []string{id}) },
			func(id string) { f.row(id) },
		} {
			r := f.lapsed(dueIn(0))
			look(r.ID)
			for name, how := range settlements {
				if s := f.Settle(f.ctx(), []tasktable.Settlement{how(r)})[0]; !s.Lost || s.Now == nil || s.Now.Status != task.Expired {
					f.t.Errorf("%s after the expiry = %+v, want it lost", name, s)
				}
			}
			_, err := f.Renew(f.ctx(), r, time.Now().Add(longLease), tasktable.Renewal{})
			f.loses("Renew", err)
			f.has(r.ID, task.Expired)
		}
	},
	"expire/races with a claim": func(f *fixture) {
		for range 5 {
			r := f.create(dueIn(-time.Second))
			expired := make(chan tasktable.Claim, 1)
			go func() { expired <- f.Expire(f.ctx(), []string{r.ID})[0] }()
			claimed := f.try(r.ID, longLease)
			switch e := <-expired; {
			case e.Outcome == tasktable.Finished && claimed.Outcome == tasktable.Finished:
			case e.Outcome == tasktable.Held && claimed.Outcome == tasktable.Claimed:
			default:
				f.t.Errorf("expire = %+v, claim = %+v; want exactly one of them to be done", e, claimed)
			}
		}
	},
}

// ended checks what an expiry leaves, whoever wrote it.
func (f *fixture) ended(before *tasktable.Row) {
	f.t.Helper()
	r := f.has(before.ID, task.Expired)
	if r.FinishedAt != r.Deadline || r.ExpiresAt != before.ExpiresAt || r.ClaimableAt != tasktable.Never {
		f.t.Errorf("expired: %+v; want it to have ended at its deadline", r)
	}
	if r.Fence != before.Fence+1 || r.Settled != r.Fence || r.Attempts != before.Attempts {
		f.t.Errorf("expired: %+v; want the fence of %+v raised and settled", r, before)
	}
}
