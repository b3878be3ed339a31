package tasktabletest

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
)

// Run checks that a table follows the task protocol. newTable returns a table
// with the given options; it may be the same one underneath each time and hold
// other things: every test works for a tenant of its own. Tests run in
// parallel, and wait by looking, never for a fixed time.
func Run(t *testing.T, newTable func(t *testing.T, opts *tasktable.Options) Store) {
	t.Helper()
	for _, group := range []map[string]func(*fixture){
		createTests, claimTests, vanishTests, settleTests, leaseTests, cancelTests, replayTests, planTests, expireTests, readTests, stateTests, failureTests,
	} {
		for name, test := range group {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				test(&fixture{
					t: t, Store: newTable(t, nil), newTable: newTable,
					tenant: "conformance-" + tasktable.NewID(),
				})
			})
		}
	}
}

const (
	// longLease does not lapse while a test runs; shortLease is waited for.
	longLease  = time.Minute
	shortLease = 10 * time.Millisecond
	// patience bounds every wait. Indexes of real tables lag.
	patience = 20 * time.Second
)

// fixture is one test's table and tenant.
type fixture struct {
	Store
	t        *testing.T
	newTable func(*testing.T, *tasktable.Options) Store
	tenant   string
}

// with is the same tenant on a table with other options.
func (f *fixture) with(opts tasktable.Options) *fixture {
	f.t.Helper()
	return &fixture{Store: f.newTable(f.t, &opts), t: f.t, newTable: f.newTable, tenant: f.tenant}
}

func (f *fixture) ctx() context.Context { return f.t.Context() }

// draft is a small task that is due in an hour.
func (f *fixture) draft() tasktable.Draft {
	return tasktable.Draft{
		ID: tasktable.NewID(), Tenant: f.tenant, Type: "test.task", Priority: task.Normal,
		Input: json.RawMessage(`{"n":1}`), Deadline: time.Now().Add(time.Hour),
	}
}

// create creates a task, with changes to the draft.
func (f *fixture) create(change ...func(*tasktable.Draft)) *tasktable.Row {
	f.t.Helper()
	d := f.draft()
	for _, c := range change {
		c(&d)
	}
	r, err := f.Create(f.ctx(), d)
	if err != nil {
		f.t.Fatalf("Create: %v", err)
	}
	return r
}

func delayed(d time.Duration) func(*tasktable.Draft) {
	return func(n *tasktable.Draft) { n.Delay = d }
}

func dueIn(d time.Duration) func(*tasktable.Draft) {
	return func(n *tasktable.Draft) { n.Deadline = time.Now().Add(d) }
}

func typed(name string) func(*tasktable.Draft) {
	return func(n *tasktable.Draft) { n.Type = name }
}

// try claims one task for a new owner.
func (f *fixture) try(id string, lease time.Duration) tasktable.Claim {
	f.t.Helper()
	return f.Claim(f.ctx(), tasktable.NewOwner(), time.Now().Add(lease), []string{id})[0]
}

// claim is try where nothing else than a claim will do.
func (f *fixture) claim(id string) *tasktable.Row { f.t.Helper(); return f.claimFor(id, longLease) }

func (f *fixture) claimFor(id string, lease time.Duration) *tasktable.Row {
	f.t.Helper()
	c := f.try(id, lease)
	if c.Outcome != tasktable.Claimed || c.Row == nil {
		f.t.Fatalf("Claim(%s) = %+v, want it claimed", id, c)
	}
	return c.Row
}

// begun creates a task and claims it.
func (f *fixture) begun(change ...func(*tasktable.Draft)) *tasktable.Row {
	f.t.Helper()
	return f.claim(f.create(change...).ID)
}

// lapsed creates a task, claims it and lets the lease lapse.
func (f *fixture) lapsed(change ...func(*tasktable.Draft)) *tasktable.Row {
	f.t.Helper()
	r := f.claimFor(f.create(change...).ID, shortLease)
	f.past(r.ClaimableAt)
	return r
}

// settle settles one claim and expects it to be written.
func (f *fixture) settle(s tasktable.Settlement) tasktable.Settled {
	f.t.Helper()
	got := f.Settle(f.ctx(), []tasktable.Settlement{s})[0]
	if got.Err != nil || got.Lost {
		f.t.Fatalf("Settle as %s = %+v, want it written", s.To(), got)
	}
	return got
}

// row reads a task as it is now.
func (f *fixture) row(id string) *tasktable.Row {
	f.t.Helper()
	r, err := f.GetConsistent(f.ctx(), id)
	if err != nil {
		f.t.Fatalf("GetConsistent: %v", err)
	}
	return r
}

// has reads a task and expects a status.
func (f *fixture) has(id string, want task.Status) *tasktable.Row {
	f.t.Helper()
	r := f.row(id)
	if r.Status != want {
		f.t.Fatalf("status is %s, want %s", r.Status, want)
	}
	return r
}

// past waits until a time in milliseconds is over.
func (f *fixture) past(ms int64) {
	f.t.Helper()
	f.eventually("the clock to pass", func() bool { return time.Now().UnixMilli() > ms })
}

// eventually looks again and again until ok, up to a bound.
func (f *fixture) eventually(what string, ok func() bool) {
	f.t.Helper()
	bound := time.NewTimer(patience)
	defer bound.Stop()
	again := time.NewTicker(2 * time.Millisecond)
	defer again.Stop()
	for !ok() {
		select {
		case <-bound.C:
			f.t.Fatalf("waited %s for %s", patience, what)
		case <-f.ctx().Done():
			f.t.Fatalf("waiting for %s: %v", what, f.ctx().Err())
		case <-again.C:
		}
	}
}

// failure is an error to settle with.
func failure() task.Failure {
	return task.Failure{Code: "broken", Message: `it's "broken" — ☃`, Retryable: true}
}
