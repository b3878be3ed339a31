package tasktabletest

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
)

// equal compares rows, or their absence, field by field.
func equal(a, b *tasktable.Row) bool { return reflect.DeepEqual(a, b) }

// listing reads all pages of a query, as ids.
func (f *fixture) listing(q tasktable.Query) (ids []string, pages int) {
	f.t.Helper()
	for {
		page, err := f.List(f.ctx(), q)
		if err != nil {
			f.t.Fatalf("List: %v", err)
		}
		pages++
		if limit := min(max(q.Limit, 1), 100); len(page.Rows) > limit {
			f.t.Fatalf("a page of %d, want at most %d", len(page.Rows), limit)
		}
		for _, r := range page.Rows {
			ids = append(ids, r.ID)
		}
		if page.Next == "" {
			return ids, pages
		}
		if q.Before != "" && page.Next >= q.Before {
			f.t.Fatalf("the listing goes from %q to %q", q.Before, page.Next)
		}
		q.Before = page.Next
	}
}

// lists waits until the index shows these tasks, newest first, for a query.
func (f *fixture) lists(q tasktable.Query, want []string) {
	f.t.Helper()
	slices.SortFunc(want, func(a, b string) int { return strings.Compare(b, a) })
	var got []string
	f.eventually("the listing", func() bool {
		got, _ = f.listing(q)
		return len(got) >= len(want)
	})
	if !slices.Equal(got, want) {
		f.t.Errorf("List(%+v) =\n%v, want\n%v", q, got, want)
	}
}

// many creates n tasks and returns their ids.
func (f *fixture) many(n int, change ...func(*tasktable.Draft)) []string {
	f.t.Helper()
	ids := make([]string, n)
	var g errgroup.Group
	g.SetLimit(8)
	for i := range ids {
		d := f.draft()
		for _, c := range change {
			c(&d)
		}
		ids[i] = d.ID
		g.Go(func() error {
			_, err := f.Create(f.ctx(), d)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		f.t.Fatalf("Create: %v", err)
	}
	return ids
}

var readTests = map[string]func(*fixture){
	"get": func(f *fixture) {
		made := f.create()
		for name, id := range map[string]string{
			"absent": tasktable.NewID(), "not a task id": "task-1", "empty": "", "an item that is no task": made.ID + "#input",
		} {
			if r, err := f.Get(f.ctx(), id); r != nil || !errors.Is(err, tasktable.ErrNotFound) {
				f.t.Errorf("Get, %s = %+v, %v; want ErrNotFound", name, r, err)
			}
			if r, err := f.GetConsistent(f.ctx(), id); r != nil || !errors.Is(err, tasktable.ErrNotFound) {
				f.t.Errorf("GetConsistent, %s = %+v, %v; want ErrNotFound", name, r, err)
			}
		}
		for range 20 { // a task just created is never missing
			id := f.create().ID
			if r, err := f.Get(f.ctx(), id); err != nil || r.Status != task.Queued || r.Tenant != f.tenant {
				f.t.Fatalf("Get = %+v, %v", r, err)
			}
		}
	},
	"get/retention over": func(f *fixture) {
		f = f.with(tasktable.Options{Retention: time.Second})
		done := f.begun()
		f.settle(tasktable.Succeed(done, nil))
		failed := f.begun()
		f.settle(tasktable.Fail(failed, failure()))
		f.eventually("the retention to end", func() bool {
			_, err := f.Get(f.ctx(), done.ID)
			return errors.Is(err, tasktable.ErrNotFound)
		})
		if c := f.try(done.ID, longLease); c.Outcome != tasktable.Absent {
			f.t.Errorf("Claim = %+v, want Absent", c)
		}
		if _, err := f.Cancel(f.ctx(), f.tenant, done.ID); !errors.Is(err, tasktable.ErrNotFound) {
			f.t.Errorf("Cancel = %v, want ErrNotFound", err)
		}
		f.lists(tasktable.Query{Tenant: f.tenant, Limit: 10}, []string{failed.ID}) // kept 15 days all the same
		if kept := time.Until(time.Unix(f.has(failed.ID, task.Failed).ExpiresAt, 0)); kept < fifteenDays-time.Minute {
			f.t.Errorf("a failed task is kept for %s", kept)
		}
	},
	"list": func(f *fixture) {
		ids := f.many(23)
		if got, err := f.List(f.ctx(), tasktable.Query{Tenant: f.tenant + "-nobody", Limit: 10}); err != nil || len(got.Rows) != 0 || got.Next != "" {
			f.t.Errorf("List of nobody's = %+v, %v", got, err)
		}
		for _, limit := range []int{0, 1, 7, 22, 23, 24, 100, 1000} {
			f.lists(tasktable.Query{Tenant: f.tenant, Limit: limit}, slices.Clone(ids))
		}
		// As many as there are: the last page says that it is.
		if _, pages := f.listing(tasktable.Query{Tenant: f.tenant, Limit: 23}); pages != 1 {
			f.t.Errorf("%d pages of 23 for 23 tasks", pages)
		}
		if _, pages := f.listing(tasktable.Query{Tenant: f.tenant, Type: "test.task", Limit: 23}); pages != 1 {
			f.t.Errorf("%d filtered pages of 23 for 23 tasks", pages)
		}
		slices.Sort(ids)
		f.lists(tasktable.Query{Tenant: f.tenant, Limit: 5, Before: ids[9]}, ids[:9])
	},
	"list/tenants apart": func(f *fixture) {
		for _, tenant := range []string{f.tenant, f.tenant + "#0", f.tenant + "-b"} {
			g := *f
			g.tenant = tenant
			g.lists(tasktable.Query{Tenant: tenant, Limit: 10}, g.many(3))
		}
	},
	"list/filters": func(f *fixture) {
		kinds := map[string][]string{"test.a": f.many(12, typed("test.a")), "test.b": f.many(5, typed("test.b"))}
		canceled := []string{kinds["test.a"][1], kinds["test.a"][7], kinds["test.b"][0]}
		for _, id := range canceled {
			if _, err := f.Cancel(f.ctx(), f.tenant, id); err != nil {
				f.t.Fatal(err)
			}
		}
		f.lists(tasktable.Query{Tenant: f.tenant, Limit: 100}, slices.Concat(kinds["test.a"], kinds["test.b"]))
		for kind, ids := range kinds {
			for _, limit := range []int{1, 4, 12} {
				f.lists(tasktable.Query{Tenant: f.tenant, Type: kind, Limit: limit}, slices.Clone(ids))
			}
		}
		f.lists(tasktable.Query{Tenant: f.tenant, Status: task.Canceled, Limit: 2}, slices.Clone(canceled))
		f.lists(tasktable.Query{Tenant: f.tenant, Type: "test.a", Status: task.Canceled, Limit: 2}, slices.Clone(canceled[:2]))
		f.lists(tasktable.Query{Tenant: f.tenant, Type: "test.c", Limit: 2}, nil)
	},
	"list/a filtered page is bounded": func(f *fixture) {
		oldest := f.many(1, typed("test.rare"))
		f.many(520)
		f.eventually("the index", func() bool {
			ids, _ := f.listing(tasktable.Query{Tenant: f.tenant, Limit: 100})
			return len(ids) == 521
		})
		q := tasktable.Query{Tenant: f.tenant, Type: "test.rare", Limit: 1}
		page, err := f.List(f.ctx(), q)
		if err != nil || len(page.Rows) != 0 || page.Next == "" {
			f.t.Errorf("List = %d rows, next %q, %v; want an empty page that goes on", len(page.Rows), page.Next, err)
		}
		f.lists(q, oldest)
	},
}
