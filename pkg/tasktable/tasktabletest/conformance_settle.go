package tasktabletest

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
)

// loses expects the error of a claim that is no longer ours.
func (f *fixture) loses(what string, err error) {
	f.t.Helper()
	if !errors.Is(err, tasktable.ErrLost) {
		f.t.Errorf("%s = %v, want ErrLost", what, err)
	}
}

const fifteenDays = 15 * 24 * time.Hour

var settleTests = map[string]func(*fixture){
	"settle/each way": func(f *fixture) {
		soon := time.Now().Add(time.Hour).Truncate(time.Millisecond)
		for name, tt := range map[string]struct {
			how         func(*tasktable.Row) tasktable.Settlement
			want        task.Status
			attempts    int
			claimableAt int64
			kept        time.Duration // 0: not finished
			result      string
			failure     bool
		}{
			"succeed": {
				func(r *tasktable.Row) tasktable.Settlement { return tasktable.Succeed(r, []byte(`{"a":"it's"}`)) },
				task.Succeeded, 1, tasktable.Never, 7 * 24 * time.Hour, `{"a":"it's"}`, false,
			},
			"fail": {
				func(r *tasktable.Row) tasktable.Settlement { return tasktable.Fail(r, failure()) },
				task.Failed, 1, tasktable.Never, fifteenDays, "", true,
			},
			"dead letter": {
				func(r *tasktable.Row) tasktable.Settlement { return tasktable.DeadLetter(r, failure()) },
				task.DeadLettered, 1, tasktable.Never, fifteenDays, "", true,
			},
			"worker lost": {
				func(r *tasktable.Row) tasktable.Settlement { return tasktable.DeadLetter(r, failure()).Uncounted() },
				task.DeadLettered, 0, tasktable.Never, fifteenDays, "", true,
			},
			"retry": {
				func(r *tasktable.Row) tasktable.Settlement { return tasktable.Retry(r, failure(), soon) },
				task.Queued, 1, soon.UnixMilli(), 0, "", true,
			},
			"release":          {tasktable.Release, task.Queued, 0, 0, 0, "", false},
			"yield":            {tasktable.Yield, task.Queued, 0, 0, 0, "", false},
			"defer":            {tasktable.Defer, task.Running, 1, tasktable.Never, 0, "", false},
			"expired":          {tasktable.Expired, task.Expired, 0, tasktable.Never, 7 * 24 * time.Hour, "", false},
			"cancel":           {tasktable.Cancel, task.Canceled, 1, tasktable.Never, 7 * 24 * time.Hour, "", false},
			"cancel not begun": {cancelNotBegun, task.Canceled, 0, tasktable.Never, 7 * 24 * time.Hour, "", false},
		} {
			claimed := f.begun()
			before := time.Now()
			if s := f.settle(tt.how(claimed)); s.Status != tt.want {
				f.t.Errorf("%s: Settled.Status is %s", name, s.Status)
			}
			r := f.has(claimed.ID, tt.want)
			if r.Attempts != tt.attempts || r.ClaimableAt != tt.claimableAt || r.Settled != claimed.Fence || r.Fence != claimed.Fence {
				f.t.Errorf("%s: the row is %+v", name, r)
			}
			if string(r.Result) != tt.result || (r.Error != nil) != tt.failure || r.Error != nil && *r.Error != failure() {
				f.t.Errorf("%s: result %s, error %+v", name, r.Result, r.Error)
			}
			if tt.kept == 0 {
				// A deferred task is kept as long as it may need after any end.
				deferred := name == "defer" && r.ExpiresAt >= before.Add(15*24*time.Hour).Unix()
				if r.FinishedAt != 0 || r.ExpiresAt != claimed.ExpiresAt && !deferred {
					f.t.Errorf("%s: finished_at %d, expires_at %d", name, r.FinishedAt, r.ExpiresAt)
				}
				continue
			}
			if r.FinishedAt < before.UnixMilli() || r.ExpiresAt < before.Add(tt.kept).Unix() || r.ExpiresAt > time.Now().Add(tt.kept).Unix() {
				f.t.Errorf("%s: finished_at %d, expires_at %d", name, r.FinishedAt, r.ExpiresAt)
			}
		}
	},
	"settle/mixed batch": func(f *fixture) {
		stale := f.lapsed()
		other := f.claim(stale.ID)
		a, b, c, d, e := f.begun(), f.begun(), f.begun(), f.begun(), f.begun()
		if _, err := f.Cancel(f.ctx(), f.tenant, d.ID); err != nil {
			f.t.Fatal(err)
		}
		got := f.Settle(f.ctx(), []tasktable.Settlement{
			tasktable.Succeed(a, []byte(`1`)), tasktable.Retry(b, failure(), time.Now()), tasktable.Succeed(stale, []byte(`2`)),
			tasktable.Fail(c, failure()), tasktable.Fail(d, failure()), tasktable.Succeed(e, text(390_001)),
		})
		for i, want := range []task.Status{task.Succeeded, task.Queued, "", task.Failed, task.Canceled, ""} {
			if got[i].Status != want {
				f.t.Errorf("settlement %d is %+v, want %q", i, got[i], want)
			}
		}
		if !got[2].Lost || got[2].Now == nil || got[2].Now.Owner != other.Owner {
			f.t.Errorf("the lost one is %+v, want the row of the other owner", got[2])
		}
		if !got[5].IsTooLarge() || !errors.Is(got[5].Err, tasktable.ErrTooLarge) {
			f.t.Errorf("the large one is %+v, want it too large", got[5])
		}
		f.has(e.ID, task.Running)
		f.settle(tasktable.Fail(e, failure()))
	},
	"settle/lost after a takeover": func(f *fixture) {
		for name, how := range settlements {
			stale := f.lapsed()
			other := f.claim(stale.ID)
			got := f.Settle(f.ctx(), []tasktable.Settlement{how(stale)})[0]
			if !got.Lost || got.Err != nil || got.Status != "" || got.Now == nil || got.Now.Fence != other.Fence {
				f.t.Errorf("%s by the old owner = %+v, want it lost", name, got)
			}
			r := f.has(stale.ID, task.Running)
			if r.Owner != other.Owner || r.Attempts != 0 || r.Settled != 0 || r.ClaimableAt != other.ClaimableAt {
				f.t.Errorf("%s by the old owner left %+v", name, r)
			}
			f.settle(tasktable.Succeed(other, nil))
		}
	},
	"settle/lapsed but not taken over": func(f *fixture) {
		r := f.lapsed()
		f.settle(tasktable.Succeed(r, []byte(`1`)))
		f.has(r.ID, task.Succeeded)
		r = f.lapsed()
		if got := f.Settle(f.ctx(), []tasktable.Settlement{tasktable.Defer(r)})[0]; !got.Lost {
			f.t.Errorf("a deferral without the lease = %+v, want it lost", got)
		}
	},
	"settle/of no row": func(f *fixture) {
		r := f.begun()
		absent := *r
		absent.ID = tasktable.NewID()
		got := f.Settle(f.ctx(), []tasktable.Settlement{tasktable.Succeed(&absent, nil), tasktable.Succeed(r, nil)})
		if !got[0].Lost || got[0].Now != nil || got[1].Status != task.Succeeded {
			f.t.Errorf("Settle = %+v", got)
		}
		if c := f.try(absent.ID, longLease); c.Outcome != tasktable.Absent {
			f.t.Errorf("settling created a row: %+v", c)
		}
	},
	"settle/again": func(f *fixture) {
		for first, how := range settlements {
			r := f.begun()
			f.settle(how(r))
			before := f.row(r.ID)
			for second, again := range settlements {
				s := again(r)
				got := f.Settle(f.ctx(), []tasktable.Settlement{s})[0]
				stands := s.To() == before.Status || before.Status == task.Canceled && givesWay[second]
				if got.Err != nil || got.Lost == stands || stands && got.Status != before.Status {
					f.t.Errorf("%s after %s by the same claim = %+v", second, first, got)
				}
			}
			if after := f.row(r.ID); !equal(before, after) {
				f.t.Errorf("%s did not stand:\n%+v\n%+v", first, before, after)
			}
		}
	},
	"settle/first result stands": func(f *fixture) {
		for _, size := range []int{100, 100_000} {
			r := f.begun()
			want := text(size)
			f.settle(tasktable.Succeed(r, want))
			f.settle(tasktable.Succeed(r, text(size+1)))
			if got := f.row(r.ID).Result; !bytes.Equal(got, want) {
				f.t.Errorf("the result has %d bytes, want %d", len(got), size)
			}
		}
	},
	"settle/results": func(f *fixture) {
		for _, size := range []int{2, 1000, 4096, 50_000, 262_144, 390_000} {
			want := text(size)
			r := f.begun()
			f.settle(tasktable.Succeed(r, want))
			for _, get := range []func() (*tasktable.Row, error){
				func() (*tasktable.Row, error) { return f.Get(f.ctx(), r.ID) },
				func() (*tasktable.Row, error) { return f.GetConsistent(f.ctx(), r.ID) },
			} {
				f.eventually("the result", func() bool {
					got, err := get()
					if err != nil {
						f.t.Fatal(err)
					}
					return got.Status == task.Succeeded && bytes.Equal(got.Result, want) && bytes.Equal(got.Task().Result, want)
				})
			}
		}
	},
	"settle/a late result does not replace a newer one": func(f *fixture) {
		for _, lateFirst := range []bool{true, false} {
			stale := f.lapsed()
			other := f.claim(stale.ID)
			steps := []func(){
				func() {
					if got := f.Settle(f.ctx(), []tasktable.Settlement{tasktable.Succeed(stale, text(60_000))})[0]; !got.Lost {
						f.t.Errorf("the late result = %+v, want it lost", got)
					}
				},
				func() { f.settle(tasktable.Succeed(other, text(50_000))) },
			}
			if !lateFirst {
				slices.Reverse(steps)
			}
			for _, step := range steps {
				step()
			}
			if r := f.row(stale.ID); len(r.Result) != 50_000 {
				f.t.Errorf("late first: %t; the result has %d bytes, want the newer one", lateFirst, len(r.Result))
			}
		}
	},
	"settle/yields until it succeeds": func(f *fixture) {
		id := f.lapsed().ID
		for slice := range 7 {
			r := f.claim(id)
			if r.Attempts != 0 || r.Counted() != 1 || r.Vanished() != (slice == 0) {
				f.t.Fatalf("slice %d begins with %+v", slice, r)
			}
			if slice%3 == 0 { // its charge is taken back
				if err := f.Charge(f.ctx(), r); err != nil {
					f.t.Fatal(err)
				}
			}
			s := tasktable.Yield(r)
			if f.settle(s); len(s.History()) > 0 || s.Wait() > 0 {
				f.t.Errorf("a yield tells of attempts: %v, or waits for %v", s.History(), s.Wait())
			}
		}
		f.settle(tasktable.Succeed(f.claim(id), json.RawMessage(`true`)))
		if shown := f.row(id).Task(); shown.Attempts != 1 || shown.Error != nil || string(shown.Result) != "true" {
			f.t.Errorf("in the end a caller sees %+v", shown)
		}
	},
	"settle/retry until it succeeds": func(f *fixture) {
		id := f.create().ID
		for attempt := 1; attempt <= 3; attempt++ {
			r := f.claim(id)
			if r.Attempts != attempt-1 || r.Counted() != attempt || r.Vanished() {
				f.t.Fatalf("attempt %d begins with %+v", attempt, r)
			}
			f.settle(tasktable.Retry(r, failure(), time.Now().Add(-time.Millisecond)))
			if shown := f.has(id, task.Queued).Task(); shown.Error == nil || shown.Attempts != attempt {
				f.t.Errorf("between attempts a caller sees %+v", shown)
			}
		}
		r := f.claim(id)
		f.settle(tasktable.Succeed(r, json.RawMessage(`true`)))
		if shown := f.row(id).Task(); shown.Attempts != 4 || shown.Error != nil || string(shown.Result) != "true" || shown.FinishedAt == nil {
			f.t.Errorf("in the end a caller sees %+v", shown)
		}
	},
}

// givesWay are the settlements that become a cancel when one was requested.
var givesWay = map[string]bool{"fail": true, "retry": true, "dead letter": true, "worker lost": true, "yield": true}

func cancelNotBegun(r *tasktable.Row) tasktable.Settlement { return tasktable.Cancel(r).Uncounted() }

// settlements are all ways in which a claim can end.
var settlements = map[string]func(*tasktable.Row) tasktable.Settlement{
	"succeed": func(r *tasktable.Row) tasktable.Settlement { return tasktable.Succeed(r, []byte(`{"ok":true}`)) },
	"fail":    func(r *tasktable.Row) tasktable.Settlement { return tasktable.Fail(r, failure()) },
	"dead letter": func(r *tasktable.Row) tasktable.Settlement {
		return tasktable.DeadLetter(r, failure())
	},
	"worker lost": func(r *tasktable.Row) tasktable.Settlement { return tasktable.DeadLetter(r, failure()).Uncounted() },
	"retry": func(r *tasktable.Row) tasktable.Settlement {
		return tasktable.Retry(r, failure(), time.Now().Add(time.Hour))
	},
	"release": tasktable.Release,
	"yield":   tasktable.Yield,
	"defer":   tasktable.Defer,
	"expired": tasktable.Expired,
	"cancel":  tasktable.Cancel,
}
