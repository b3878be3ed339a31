package tasktabletest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
)

// fingerprint is one that no other test has.
func (f *fixture) fingerprint(kind string) string {
	return task.Fingerprint(f.tenant, task.Failure{Code: kind})
}

var failureStates = map[task.Status]func(*tasktable.Row, task.Failure) tasktable.Settlement{
	task.DeadLettered: tasktable.DeadLetter, task.Failed: tasktable.Fail,
}

const report = `{"code":"broken","message":"it's","attempts":1}`

// failed creates a task that has failed and says why.
func (f *fixture) failed(status task.Status, kind string, change ...func(*tasktable.Draft)) *tasktable.Row {
	f.t.Helper()
	r := f.begun(change...)
	f.settle(failureStates[status](r, failure()).Explained(f.fingerprint(kind), []byte(report)))
	return f.has(r.ID, status)
}

// failures reads all pages of a query.
func (f *fixture) failures(q tasktable.FailureQuery) (all []tasktable.FailureEntry) {
	f.t.Helper()
	seen := map[string]bool{}
	for {
		page, err := f.Failures(f.ctx(), q)
		if err != nil {
			f.t.Fatalf("Failures: %v", err)
		}
		if limit := max(q.Limit, 0); limit > 0 && len(page.Entries) > limit {
			f.t.Fatalf("a page of %d, want at most %d", len(page.Entries), limit)
		}
		all = append(all, page.Entries...)
		if page.Cursor == "" {
			return all
		}
		if seen[page.Cursor] {
			f.t.Fatalf("the pages go round: %q", page.Cursor)
		}
		seen[page.Cursor] = true
		q.Cursor = page.Cursor
	}
}

// fails waits until the index shows exactly these tasks for one kind of failure.
func (f *fixture) fails(status task.Status, kind string, rows ...*tasktable.Row) {
	f.t.Helper()
	var want []tasktable.FailureEntry
	for _, r := range rows {
		want = append(want, tasktable.FailureEntry{
			ID: r.ID, Type: r.Type, Tenant: f.tenant, Fingerprint: f.fingerprint(kind), Run: r.Run, At: time.UnixMilli(r.FinishedAt).UTC(),
		})
	}
	byID := func(a, b tasktable.FailureEntry) int { return strings.Compare(a.ID, b.ID) }
	slices.SortFunc(want, byID)
	var got []tasktable.FailureEntry
	f.eventually(fmt.Sprintf("the index to show %d tasks that are %s", len(rows), status), func() bool {
		got = f.failures(tasktable.FailureQuery{Status: status, Fingerprint: f.fingerprint(kind)})
		slices.SortFunc(got, byID)
		return slices.Equal(got, want)
	})
}

// unlisted checks that nothing of a failure's index is left on a task.
func (f *fixture) unlisted(id string) *tasktable.Row {
	f.t.Helper()
	r := f.row(id)
	if r.Fingerprint != "" {
		f.t.Errorf("it is %s and still listed as %s", r.Status, r.Fingerprint)
	}
	return r
}

// codes are the attempts of a history: "1:broken 2:…".
func codes(h []task.Attempt) string {
	parts := make([]string, len(h))
	for i, a := range h {
		parts[i] = fmt.Sprintf("%d:%s", a.Attempt, a.Code)
	}
	return strings.Join(parts, " ")
}

// failureTests are about what is kept of failures.
var failureTests = map[string]func(*fixture){
	"failure/history": func(f *fixture) {
		id, began := f.create().ID, task.At(time.Now())
		fail := func(how func(*tasktable.Row, task.Failure) tasktable.Settlement, code string) *tasktable.Row {
			s := how(f.claim(id), task.Failure{Code: code, Message: "m"})
			f.settle(s)
			r := f.row(id)
			if codes(r.History) != codes(s.History()) {
				f.t.Errorf("the row has the history %v, its settlement %v", r.History, s.History())
			}
			return r
		}
		retry := func(r *tasktable.Row, x task.Failure) tasktable.Settlement {
			return tasktable.Retry(r, x, time.Now().Add(-time.Millisecond))
		}
		uncounted := func(r *tasktable.Row, x task.Failure) tasktable.Settlement { return retry(r, x).Uncounted() }
		fail(retry, "a")
		fail(uncounted, "not begun")
		f.settle(tasktable.Release(f.claim(id)))
		if r := fail(retry, "b"); codes(r.History) != "1:a 2:b" || r.Attempts != 2 {
			f.t.Errorf("after 2 attempts: %+v", r.History)
		}
		for n := 3; n <= 11; n++ {
			fail(retry, "c")
		}
		r := fail(tasktable.DeadLetter, "d")
		if codes(r.History) != "3:c 4:c 5:c 6:c 7:c 8:c 9:c 10:c 11:c 12:d" {
			f.t.Errorf("the last 10 of 12 attempts: %s", codes(r.History))
		}
		for i, a := range r.History {
			if a.At.Before(began.Time) || a.At.After(time.Now()) || i > 0 && a.At.Before(r.History[i-1].At.Time) {
				f.t.Errorf("times of the attempts: %v", r.History)
			}
		}
		if last := r.History[9].At.UnixMilli(); last != r.FinishedAt {
			f.t.Errorf("it ended at %d, its last attempt at %d", r.FinishedAt, last)
		}
		if ok, err := f.Replay(f.ctx(), id, 2); !ok || err != nil || f.row(id).History != nil {
			f.t.Errorf("Replay = %t, %v; the new run begins with the history %v", ok, err, f.row(id).History)
		}
		fail(retry, "e")
		again := f.claim(id)
		if err := f.Rerun(f.ctx(), again, 3); err != nil || again.History != nil || f.row(id).History != nil {
			f.t.Errorf("Rerun = %v; the new run begins with the history %v", err, f.row(id).History)
		}
		f.settle(retry(again, task.Failure{Code: "f"}))
		if r := f.row(id); codes(r.History) != "1:f" {
			f.t.Errorf("in the new run: %s", codes(r.History))
		}
	},
	"failure/healthy tasks have none of it": func(f *fixture) {
		r := f.begun()
		f.settle(tasktable.Succeed(r, []byte(`1`)))
		if r = f.unlisted(r.ID); r.History != nil || r.Report != nil || r.PlanID != "" || r.CallbackURL != "" {
			f.t.Errorf("%+v", r)
		}
		r = f.begun()
		f.settle(tasktable.Retry(r, failure(), time.Now().Add(-time.Second)).Explained(f.fingerprint("a"), []byte(report)))
		if now := f.unlisted(r.ID); now.Report != nil {
			f.t.Errorf("a task that is tried again: %+v", now)
		}
		f.settle(tasktable.Succeed(f.claim(r.ID), nil))
		f.unlisted(r.ID)
		r = f.begun()
		f.settle(tasktable.DeadLetter(r, failure())) // says nothing
		f.unlisted(r.ID)
	},
	"failure/explained": func(f *fixture) {
		for status := range failureStates {
			r := f.failed(status, "a")
			if r.Fingerprint != f.fingerprint("a") || string(r.Report) != report || *r.Error != failure() || codes(r.History) != "1:broken" {
				f.t.Errorf("%s: %+v", status, r)
			}
			f.fails(status, "a", r)
		}
	},
	"failure/canceled instead": func(f *fixture) {
		r := f.begun()
		if _, err := f.Cancel(f.ctx(), f.tenant, r.ID); err != nil {
			f.t.Fatal(err)
		}
		f.settle(tasktable.DeadLetter(r, failure()).Explained(f.fingerprint("a"), []byte(report)))
		f.has(r.ID, task.Canceled)
		f.unlisted(r.ID)
	},
	"failure/pages": func(f *fixture) {
		kinds := map[string][]*tasktable.Row{}
		for i := range 9 {
			kind := []string{"a", "b", "b"}[i%3]
			kinds[kind] = append(kinds[kind], f.failed(task.DeadLettered, kind))
		}
		f.failed(task.Failed, "a")
		for kind, rows := range kinds {
			f.fails(task.DeadLettered, kind, rows...)
		}
		for _, limit := range []int{0, 1, 2, 4, 1000} { // what other tests do meanwhile is in there too
			times := map[string]int{}
			for _, e := range f.failures(tasktable.FailureQuery{Status: task.DeadLettered, Limit: limit}) {
				times[e.ID]++
			}
			for _, r := range slices.Concat(kinds["a"], kinds["b"]) {
				if times[r.ID] != 1 {
					f.t.Errorf("in pages of %d, task %s is there %d times", limit, r.ID, times[r.ID])
				}
			}
			entries := f.failures(tasktable.FailureQuery{Status: task.DeadLettered, Fingerprint: f.fingerprint("b"), Limit: limit})
			if len(entries) != 6 {
				f.t.Errorf("in pages of %d there are %d of one kind, want 6", limit, len(entries))
			}
		}
		if got := f.failures(tasktable.FailureQuery{Status: task.DeadLettered, Fingerprint: f.fingerprint("none")}); len(got) != 0 {
			f.t.Errorf("of a kind that nobody has: %+v", got)
		}
	},
	"failure/bad queries": func(f *fixture) {
		for name, q := range map[string]tasktable.FailureQuery{
			"no status": {}, "another status": {Status: task.Queued},
			"no cursor": {Status: task.Failed, Cursor: "x"}, "a shard too high": {Status: task.Failed, Cursor: "4//"},
			"a shard too low": {Status: task.Failed, Cursor: "-1//"}, "half a place": {Status: task.Failed, Cursor: "0/a#1/"},
			"no shard": {Status: task.Failed, Cursor: "a/a#1/" + tasktable.NewID()},
		} {
			page, err := f.Failures(f.ctx(), q)
			if err == nil || q.Cursor != "" && !errors.Is(err, tasktable.ErrCursor) {
				f.t.Errorf("%s: Failures = %+v, %v", name, page, err)
			}
		}
	},
	"failure/leaving": func(f *fixture) {
		for name, leave := range map[string]func(r *tasktable.Row) error{
			"replay": func(r *tasktable.Row) error { _, err := f.Replay(f.ctx(), r.ID, 2); return err },
			"replay of a plan": func(r *tasktable.Row) error {
				return f.ReplayFor(f.ctx(), tasktable.ReplayRequest{ID: r.ID, Run: 2, PlanID: "p"}).Err
			},
			"replay of a large plan": func(r *tasktable.Row) error {
				other := f.failed(task.DeadLettered, "other "+r.ID)
				return f.ReplayAll(f.ctx(), []tasktable.ReplayRequest{{ID: r.ID, Run: 2, PlanID: "p"}, {ID: other.ID, Run: 2, PlanID: "p"}})[0].Err
			},
			"cancel": func(r *tasktable.Row) error { _, err := f.Cancel(f.ctx(), f.tenant, r.ID); return err },
		} {
			r, stays := f.failed(task.DeadLettered, name), f.failed(task.DeadLettered, name)
			f.fails(task.DeadLettered, name, r, stays)
			if err := leave(r); err != nil {
				f.t.Fatalf("%s: %v", name, err)
			}
			if now := f.unlisted(r.ID); now.Status == task.Queued && (now.Report != nil || now.History != nil || now.Error != nil) {
				f.t.Errorf("%s left %+v", name, now)
			}
			f.fails(task.DeadLettered, name, stays)
		}
	},
	"failure/unlist another run": func(f *fixture) {
		r := f.failed(task.DeadLettered, "a")
		if err := errors.Join(f.Unlist(f.ctx(), inRun(r.Run+1, r.ID))...); err != nil {
			f.t.Fatal(err)
		}
		f.fails(task.DeadLettered, "a", r)
	},
	"failure/unlist": func(f *fixture) {
		rows := []*tasktable.Row{f.failed(task.DeadLettered, "a"), f.failed(task.DeadLettered, "a"), f.failed(task.DeadLettered, "a")}
		f.fails(task.DeadLettered, "a", rows...)
		entries := f.failures(tasktable.FailureQuery{Status: task.DeadLettered, Fingerprint: f.fingerprint("a")})
		queued, failed := f.create(), f.failed(task.Failed, "a")
		put := func(errs []error) {
			f.t.Helper()
			if err := errors.Join(errs...); err != nil {
				f.t.Fatal(err)
			}
		}
		for range 2 { // twice is as good as once
			put(f.Unlist(f.ctx(), inRun(1, rows[0].ID, rows[1].ID, rows[2].ID, rows[0].ID, queued.ID, failed.ID, tasktable.NewID(), "no id", "")))
		}
		put(f.Unlist(f.ctx(), inRun(1, tasktable.NewID())))
		put(f.Unlist(f.ctx(), nil))
		f.fails(task.DeadLettered, "a")
		f.fails(task.Failed, "a", failed)
		if r := f.unlisted(rows[0].ID); r.Status != task.DeadLettered || string(r.Report) != report {
			f.t.Errorf("put aside: %+v", r)
		}
		if ok, err := f.Replay(f.ctx(), rows[0].ID, 2); !ok || err != nil {
			f.t.Fatal(ok, err)
		}
		if ok, err := f.Replay(f.ctx(), rows[1].ID, 2); !ok || err != nil {
			f.t.Fatal(ok, err)
		}
		f.settle(tasktable.DeadLetter(f.claim(rows[1].ID), failure()).Explained(f.fingerprint("b"), []byte(report)))
		for range 2 {
			put(f.Relist(f.ctx(), slices.Concat(entries, entries, []tasktable.FailureEntry{{ID: tasktable.NewID(), Run: 1, Fingerprint: "x", At: time.Now()}, {}})))
		}
		put(f.Relist(f.ctx(), entries[:1]))
		put(f.Relist(f.ctx(), nil))
		f.fails(task.DeadLettered, "a", rows[2]) // the others have changed meanwhile
		f.fails(task.DeadLettered, "b", f.row(rows[1].ID))
		f.unlisted(rows[0].ID)
	},
	"rows": func(f *fixture) {
		ids := f.many(130)
		asked := slices.Concat(ids, ids[:3], []string{tasktable.NewID(), "no id", "", ids[0] + "#input"})
		var rows map[string]*tasktable.Row
		f.eventually("the rows", func() bool {
			var err error
			if rows, err = f.Rows(f.ctx(), asked); err != nil {
				f.t.Fatal(err)
			}
			return len(rows) >= len(ids)
		})
		for _, id := range ids {
			if r := rows[id]; r == nil || r.ID != id || r.Tenant != f.tenant || r.Status != task.Queued {
				f.t.Errorf("Rows[%s] = %+v", id, r)
			}
		}
		if len(rows) != len(ids) {
			f.t.Errorf("%d rows, want %d", len(rows), len(ids))
		}
		if rows, err := f.Rows(f.ctx(), nil); len(rows) != 0 || err != nil {
			f.t.Errorf("Rows of nothing = %v, %v", rows, err)
		}
		late := f.create(dueIn(-time.Second))
		f.eventually("the late row", func() bool {
			rows, err := f.Rows(f.ctx(), []string{late.ID})
			if err != nil {
				f.t.Fatal(err)
			}
			return rows[late.ID] != nil && rows[late.ID].Status == task.Expired
		})
	},
	"callback url": func(f *fixture) {
		const url = "https://hooks.example/done?a=1"
		r := f.create(func(d *tasktable.Draft) { d.CallbackURL = url })
		if r.CallbackURL != url || f.claim(r.ID).CallbackURL != url || f.row(r.ID).CallbackURL != url {
			f.t.Errorf("the callback's address is lost: %+v", f.row(r.ID))
		}
	},
}

// inRun are entries of tasks in a run.
func inRun(run int, ids ...string) []tasktable.FailureEntry {
	entries := make([]tasktable.FailureEntry, len(ids))
	for i, id := range ids {
		entries[i] = tasktable.FailureEntry{ID: id, Run: run}
	}
	return entries
}
