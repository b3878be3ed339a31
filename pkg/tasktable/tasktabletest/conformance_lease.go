package tasktabletest

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
)

var leaseTests = map[string]func(*fixture){
	"renew": func(f *fixture) {
		r := f.begun()
		end := time.Now().Add(2 * longLease).Truncate(time.Millisecond)
		note := task.Advance{Done: 2, Total: 7, Note: `it's "half" done`}
		got, err := f.Renew(f.ctx(), r, end, tasktable.Renewal{Progress: &note, State: []byte(`{"page":3}`)})
		if err != nil {
			f.t.Fatal(err)
		}
		for _, now := range []*tasktable.Row{got, f.row(r.ID)} {
			if now.ClaimableAt != end.UnixMilli() || now.Fence != r.Fence || now.Owner != r.Owner || now.CancelRequested {
				f.t.Errorf("renewed: %+v", now)
			}
			if now.Progress == nil || *now.Progress != note || string(now.State) != `{"page":3}` {
				f.t.Errorf("progress %+v, state %s", now.Progress, now.State)
			}
		}
		// What is left out stays.
		if got, err = f.Renew(f.ctx(), r, end, tasktable.Renewal{}); err != nil || got.Progress == nil || string(got.State) != `{"page":3}` {
			f.t.Errorf("Renew = %+v, %v; want progress and state kept", got, err)
		}
		f.settle(tasktable.Retry(r, failure(), time.Now().Add(-time.Second)))
		if next := f.claim(r.ID); string(next.State) != `{"page":3}` {
			f.t.Errorf("the next attempt restores %s", next.State)
		}
	},
	"renew/holds the lease": func(f *fixture) {
		r := f.claimFor(f.create().ID, shortLease)
		if _, err := f.Renew(f.ctx(), r, time.Now().Add(longLease), tasktable.Renewal{}); err != nil {
			f.t.Fatal(err)
		}
		f.past(r.ClaimableAt)
		if c := f.try(r.ID, longLease); c.Outcome != tasktable.Held {
			f.t.Errorf("a renewed lease was taken: %+v", c)
		}
		f.settle(tasktable.Succeed(r, nil))
	},
	"renew/keeps a charge": func(f *fixture) {
		r := f.claim(f.lapsed().ID)
		if err := f.Charge(f.ctx(), r); err != nil {
			f.t.Fatal(err)
		}
		renewed, err := f.Renew(f.ctx(), r, time.Now().Add(longLease), tasktable.Renewal{State: json.RawMessage(`1`)})
		if err != nil {
			f.t.Fatal(err)
		}
		f.settle(tasktable.Fail(renewed, failure()))
		if now := f.has(r.ID, task.Failed); now.Attempts != 1 {
			f.t.Errorf("%d attempts, want the charged one only", now.Attempts)
		}
	},
	"renew/after it lapsed": func(f *fixture) {
		r := f.lapsed()
		if _, err := f.Renew(f.ctx(), r, time.Now().Add(longLease), tasktable.Renewal{}); err != nil {
			f.t.Errorf("nobody took it over, still Renew = %v", err)
		}
		if c := f.try(r.ID, longLease); c.Outcome != tasktable.Held {
			f.t.Errorf("a renewed lease was taken: %+v", c)
		}
	},
	"renew/lost": func(f *fixture) {
		stale := f.lapsed()
		other := f.claim(stale.ID)
		row, err := f.Renew(f.ctx(), stale, time.Now().Add(longLease), tasktable.Renewal{State: []byte(`9`)})
		if f.loses("Renew", err); row != nil {
			f.t.Errorf("a lost lease comes with %+v", row)
		}
		if now := f.row(stale.ID); now.ClaimableAt != other.ClaimableAt || now.State != nil {
			f.t.Errorf("a lost lease was renewed: %+v", now)
		}
		for name, how := range settlements {
			r := f.begun()
			f.settle(how(r))
			_, err := f.Renew(f.ctx(), r, time.Now().Add(longLease), tasktable.Renewal{})
			f.loses("Renew after "+name, err)
			f.loses("Charge after "+name, f.Charge(f.ctx(), r))
			f.loses("Rerun after "+name, f.Rerun(f.ctx(), r, 2))
		}
	},
	"renew/sees a cancel": func(f *fixture) {
		r := f.begun()
		if _, err := f.Cancel(f.ctx(), f.tenant, r.ID); err != nil {
			f.t.Fatal(err)
		}
		got, err := f.Renew(f.ctx(), r, time.Now().Add(longLease), tasktable.Renewal{})
		if err != nil || !got.CancelRequested {
			f.t.Fatalf("Renew = %+v, %v; want it to tell of the cancel", got, err)
		}
		f.settle(tasktable.Cancel(r))
		f.has(r.ID, task.Canceled)
	},
}

var cancelTests = map[string]func(*fixture){
	"cancel/queued": func(f *fixture) {
		for _, id := range []string{f.create().ID, f.create(delayed(time.Hour)).ID} {
			r, err := f.Cancel(f.ctx(), f.tenant, id)
			if err != nil || r.Status != task.Canceled || r.Fence != 1 || r.Settled != 1 || r.ClaimableAt != tasktable.Never || r.FinishedAt == 0 {
				f.t.Errorf("Cancel = %+v, %v", r, err)
			}
			if c := f.try(id, longLease); c.Outcome != tasktable.Finished {
				f.t.Errorf("a canceled task was claimed: %+v", c)
			}
			if r, err = f.Cancel(f.ctx(), f.tenant, id); err != nil || r.Status != task.Canceled {
				f.t.Errorf("canceled twice: %+v, %v", r, err)
			}
		}
	},
	"cancel/running": func(f *fixture) {
		claimed := f.begun()
		for range 2 {
			r, err := f.Cancel(f.ctx(), f.tenant, claimed.ID)
			if err != nil || r.Status != task.Running || !r.CancelRequested || !r.Task().CancelRequested || r.Fence != claimed.Fence {
				f.t.Fatalf("Cancel = %+v, %v", r, err)
			}
		}
		f.settle(tasktable.Succeed(claimed, []byte(`1`)))
		if shown := f.has(claimed.ID, task.Succeeded).Task(); shown.CancelRequested || string(shown.Result) != "1" {
			f.t.Errorf("success counted before the cancel, still %+v", shown)
		}
	},
	"cancel/wins over a failure": func(f *fixture) {
		for name, how := range settlements {
			if !givesWay[name] {
				continue
			}
			r := f.begun()
			s := how(r)
			if _, err := f.Cancel(f.ctx(), f.tenant, r.ID); err != nil {
				f.t.Fatal(err)
			}
			if got := f.settle(s); got.Status != task.Canceled {
				f.t.Errorf("%s = %+v, want it canceled", name, got)
			}
			if got := f.settle(s); got.Status != task.Canceled {
				f.t.Errorf("%s sent again = %+v, want it canceled", name, got)
			}
			want := 1
			if name == "worker lost" || name == "yield" {
				want = 0
			}
			if now := f.has(r.ID, task.Canceled); now.Attempts != want || now.Error != nil {
				f.t.Errorf("%s: %+v, want %d attempts and no error", name, now, want)
			}
		}
	},
	"cancel/released": func(f *fixture) {
		r := f.begun()
		if _, err := f.Cancel(f.ctx(), f.tenant, r.ID); err != nil {
			f.t.Fatal(err)
		}
		f.settle(tasktable.Release(r))
		if next := f.try(r.ID, longLease); next.Outcome == tasktable.Claimed && !next.Row.CancelRequested {
			f.t.Errorf("the next claim does not see the cancel: %+v", next.Row)
		}
	},
	"cancel/lapsed": func(f *fixture) {
		r := f.lapsed()
		got, err := f.Cancel(f.ctx(), f.tenant, r.ID)
		if err != nil || got.Status != task.Canceled {
			f.t.Fatalf("Cancel = %+v, %v; nobody works on it", got, err)
		}
		if s := f.Settle(f.ctx(), []tasktable.Settlement{tasktable.Succeed(r, nil)})[0]; !s.Lost {
			f.t.Errorf("a late result after the cancel = %+v, want it lost", s)
		}
	},
	"cancel/requested, then lapsed": func(f *fixture) {
		r := f.claimFor(f.create().ID, 300*time.Millisecond)
		if got, err := f.Cancel(f.ctx(), f.tenant, r.ID); err != nil || got.Status == task.Running && !got.CancelRequested {
			f.t.Fatalf("Cancel = %+v, %v", got, err)
		}
		f.past(r.ClaimableAt)
		if got, err := f.Cancel(f.ctx(), f.tenant, r.ID); err != nil || got.Status != task.Canceled {
			f.t.Errorf("Cancel = %+v, %v; nobody works on it any more", got, err)
		}
	},
	"cancel/dead lettered": func(f *fixture) {
		r := f.begun()
		f.settle(tasktable.DeadLetter(r, failure()))
		if got, err := f.Cancel(f.ctx(), f.tenant, r.ID); err != nil || got.Status != task.Canceled {
			f.t.Errorf("Cancel = %+v, %v", got, err)
		}
		if ok, err := f.Replay(f.ctx(), r.ID, 2); ok || err != nil {
			f.t.Errorf("Replay of a canceled task = %t, %v", ok, err)
		}
	},
	"cancel/too late": func(f *fixture) {
		for _, how := range []string{"succeed", "fail", "expired"} {
			r := f.begun()
			f.settle(settlements[how](r))
			got, err := f.Cancel(f.ctx(), f.tenant, r.ID)
			if !errors.Is(err, tasktable.ErrFinished) || got == nil || got.Status != settlements[how](r).To() {
				f.t.Errorf("Cancel after %s = %+v, %v; want ErrFinished and the row", how, got, err)
			}
		}
		overdue := f.create(dueIn(-time.Second))
		if got, err := f.Cancel(f.ctx(), f.tenant, overdue.ID); !errors.Is(err, tasktable.ErrFinished) || got.Status != task.Expired {
			f.t.Errorf("Cancel after the deadline = %+v, %v; want ErrFinished", got, err)
		}
	},
	"cancel/whose": func(f *fixture) {
		id := f.create().ID
		for what, args := range map[string][2]string{
			"another tenant's": {f.tenant + "-b", id}, "nobody's": {f.tenant, tasktable.NewID()}, "without tenant": {"", id},
		} {
			if _, err := f.Cancel(f.ctx(), args[0], args[1]); !errors.Is(err, tasktable.ErrNotFound) {
				f.t.Errorf("Cancel of %s task = %v, want ErrNotFound", what, err)
			}
		}
		f.has(id, task.Queued)
	},
}
