package tasktabletest_test

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"pgregory.net/rapid"

	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/tasktable/tasktabletest"
)

// modelRow is the protocol in plain Go: what a row has to be after each write.
type modelRow struct {
	status                 task.Status
	run, attempts, replays int
	fence, settled         int64
	claimableAt, deadline  int64
	cancel                 bool
	plan                   string // that the run belongs to
	history                string // of the run: the numbers of the attempts that failed
	listed                 bool   // in the index of failures
}

func (m *modelRow) held(fence int64) bool {
	return m.fence == fence && m.settled < fence && m.status == task.Running
}

func (m *modelRow) leased(now int64) bool { return m.status == task.Running && m.claimableAt >= now }

// end is a write that raises the fence and settles it.
func (m *modelRow) end(status task.Status) {
	m.fence++
	m.status, m.settled, m.claimableAt, m.listed = status, m.fence, tasktable.Never, false
}

// begin is what every way to another run has in common.
func (m *modelRow) begin(run int, plan string) {
	m.run, m.attempts, m.plan, m.history = run, 0, plan, ""
	m.replays++
}

func (m *modelRow) claim(now, leaseEnd int64) tasktable.Outcome {
	switch {
	case m.claimableAt < now:
		m.status, m.claimableAt = task.Running, leaseEnd
		m.fence++
		return tasktable.Claimed
	case m.status.Finished():
		return tasktable.Finished
	default:
		return tasktable.Held
	}
}

func (m *modelRow) expire(now int64) tasktable.Outcome {
	if m.claimableAt < now && m.deadline <= now {
		m.end(task.Expired)
	}
	if m.status.Finished() {
		return tasktable.Finished
	}
	return tasktable.Held
}

// look is what every reader does.
func (m *modelRow) look(now int64) {
	if m.deadline <= now && (m.status == task.Queued || m.status == task.Running && !m.leased(now)) {
		m.end(task.Expired)
	}
}

func (m *modelRow) askForCancel(now int64) error {
	m.look(now)
	switch {
	case m.status == task.Canceled:
	case !m.status.CanBecome(task.Canceled):
		return tasktable.ErrFinished
	case m.leased(now):
		m.cancel = true
	default:
		m.end(task.Canceled)
	}
	return nil
}

// replay replays for a plan, or for none.
func (m *modelRow) replay(now int64, run int, plan string) bool {
	may := m.status == task.DeadLettered || m.status == task.Failed || m.status == task.Running && m.claimableAt < now
	if m.run < run && may && (plan == "" || m.deadline > now) {
		m.end(task.Queued)
		m.begin(run, plan)
		m.claimableAt = 0
	}
	if plan == "" {
		return m.run == run && m.status == task.Queued
	}
	return m.run == run && m.plan == plan
}

// way is a way to settle, and what it writes.
type way struct {
	make     func(r *tasktable.Row, at time.Time) tasktable.Settlement
	to       task.Status
	counts   bool
	givesWay bool // to a cancel that was requested
	needs    bool // the lease to be in force
	remember bool // a vanished worker
}

var ways = map[string]way{
	"succeed": {make: func(r *tasktable.Row, _ time.Time) tasktable.Settlement { return tasktable.Succeed(r, []byte(`1`)) }, to: task.Succeeded, counts: true},
	"fail": {make: func(r *tasktable.Row, _ time.Time) tasktable.Settlement {
		return tasktable.Fail(r, task.Failure{Code: "f"}).Explained("fingerprint", []byte(`{}`))
	}, to: task.Failed, counts: true, givesWay: true},
	"dead letter": {make: func(r *tasktable.Row, _ time.Time) tasktable.Settlement {
		return tasktable.DeadLetter(r, task.Failure{Code: "d"}).Explained("fingerprint", []byte(`{}`))
	}, to: task.DeadLettered, counts: true, givesWay: true},
	"worker lost": {make: func(r *tasktable.Row, _ time.Time) tasktable.Settlement {
		return tasktable.DeadLetter(r, task.Failure{Code: "d"}).Uncounted()
	}, to: task.DeadLettered, givesWay: true},
	"retry": {make: func(r *tasktable.Row, at time.Time) tasktable.Settlement {
		return tasktable.Retry(r, task.Failure{Code: "r"}, at)
	}, to: task.Queued, counts: true, givesWay: true},
	"release": {make: func(r *tasktable.Row, _ time.Time) tasktable.Settlement { return tasktable.Release(r) }, to: task.Queued, remember: true},
	"yield":   {make: func(r *tasktable.Row, _ time.Time) tasktable.Settlement { return tasktable.Yield(r) }, to: task.Queued, givesWay: true},
	"defer":   {make: func(r *tasktable.Row, _ time.Time) tasktable.Settlement { return tasktable.Defer(r) }, to: task.Running, counts: true, needs: true},
	"expired": {make: func(r *tasktable.Row, _ time.Time) tasktable.Settlement { return tasktable.Expired(r) }, to: task.Expired},
	"cancel":  {make: func(r *tasktable.Row, _ time.Time) tasktable.Settlement { return tasktable.Cancel(r) }, to: task.Canceled, counts: true},
}

// settle returns the state that the settlement is answered with, or false if
// it is lost.
func (m *modelRow) settle(name string, r *tasktable.Row, now, at int64) (task.Status, bool) {
	w := ways[name]
	settled := r.Fence
	if w.remember && r.Fence > r.Settled+1 {
		settled = r.Settled
	}
	if !m.held(r.Fence) {
		stands := m.fence == r.Fence && m.settled == settled && (m.status == w.to || w.givesWay && m.status == task.Canceled)
		return m.status, stands
	}
	if w.needs && m.claimableAt <= now {
		return "", false
	}
	to := w.to
	if w.givesWay && m.cancel {
		to, settled = task.Canceled, r.Fence
	}
	m.attempts = r.Attempts
	switch {
	case w.counts && !r.Charged:
		m.attempts++
	case !w.counts && r.Charged:
		m.attempts--
	}
	m.listed = to == task.Failed || to == task.DeadLettered && w.counts // the others are not explained
	if to == w.to && w.givesWay && w.counts {
		told := append(strings.Fields(m.history), strconv.Itoa(m.attempts))
		m.history = strings.Join(told[max(0, len(told)-10):], " ")
	}
	m.status, m.settled, m.claimableAt = to, settled, tasktable.Never
	switch {
	case to == task.Queued && name == "retry":
		m.claimableAt = at
	case to == task.Queued:
		m.claimableAt = 0
	}
	return to, true
}

// machine drives a table and its model by the same random steps.
type machine struct {
	db     *tasktabletest.DynamoDB
	table  *tasktable.Table
	model  map[string]*modelRow
	ids    []string
	claims map[string][]*tasktable.Row // every claim ever made, the stale ones too
	before map[string]modelRow
}

// The table alone, and exactly: after each call the row has to be what the
// model says, and the answer too, also for calls that no worker makes, such as
// a second settlement of one claim. What the engine makes of the table is
// TestEngine's.
func TestProtocol(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		rapid.SyncTest(rt, func(rt *rapid.T) {
			db := tasktabletest.NewDynamoDB()
			m := &machine{
				db: db, table: tasktable.New(db, "tasks", nil), model: map[string]*modelRow{},
				claims: map[string][]*tasktable.Row{}, before: map[string]modelRow{},
			}
			m.create(rt)
			rt.Repeat(map[string]func(*rapid.T){
				"":       m.check,
				"create": m.create, "claim": m.claim, "claim again": m.claim, "settle": m.settle, "settle again": m.settle,
				"expire": m.expire, "cancel": m.cancel, "replay": m.replay, "replay for a plan": m.replayAll, "unlist": m.unlist, "renew": m.renew, "charge": m.charge,
				"rerun": m.rerun, "look": m.look, "time passes": m.wait,
			})
		})
	})
}

func now() int64 { return time.Now().UnixMilli() }

var moments = []time.Duration{time.Millisecond, time.Second, time.Minute, 10 * time.Minute, time.Hour}

func (m *machine) id(t *rapid.T) string { return rapid.SampledFrom(m.ids).Draw(t, "id") }

// some draws up to 3 different tasks: one goes alone, more in a batch.
func (m *machine) some(t *rapid.T) []string {
	n := rapid.IntRange(1, min(3, len(m.ids))).Draw(t, "n")
	return slices.Clone(rapid.Permutation(m.ids).Draw(t, "ids")[:n])
}

// claimed draws one of the claims ever made of a task, most often the latest.
func (m *machine) claimed(t *rapid.T, id string) *tasktable.Row {
	all := m.claims[id]
	if len(all) == 0 {
		t.Skip("never claimed")
	}
	if rapid.IntRange(0, 3).Draw(t, "latest") > 0 {
		return all[len(all)-1]
	}
	return rapid.SampledFrom(all).Draw(t, "claim")
}

// maybeLose makes the next call's answer be lost after its effect, sometimes;
// the caller then repeats the call, as the SDK does.
func (m *machine) maybeLose(t *rapid.T) bool {
	if rapid.IntRange(0, 3).Draw(t, "lose the answer") > 0 {
		return false
	}
	var done bool
	m.db.Inject(func(tasktabletest.Call) tasktabletest.Fault {
		if done {
			return tasktabletest.Fault{}
		}
		done = true
		return tasktabletest.Fault{Err: errors.New("lost"), AfterEffect: true}
	})
	return true
}

func (m *machine) create(t *rapid.T) {
	if len(m.ids) == 3 {
		t.Skip("enough tasks")
	}
	delay := rapid.SampledFrom([]time.Duration{0, 0, time.Second, time.Hour}).Draw(t, "delay")
	due := rapid.SampledFrom(moments).Draw(t, "due in")
	id := tasktable.NewID()
	if _, err := m.table.Create(t.Context(), tasktable.Draft{
		ID: id, Tenant: "t", Type: "x", Input: []byte(`1`), Delay: delay, Deadline: time.Now().Add(due),
	}); err != nil {
		t.Fatal(err)
	}
	m.ids = append(m.ids, id)
	m.model[id] = &modelRow{status: task.Queued, run: 1, deadline: time.Now().Add(due).UnixMilli()}
	if delay > 0 {
		m.model[id].claimableAt = time.Now().Add(delay).UnixMilli()
	}
}

func (m *machine) claim(t *rapid.T) {
	ids, owner := m.some(t), tasktable.NewOwner()
	end := time.Now().Add(rapid.SampledFrom(moments).Draw(t, "lease"))
	if m.maybeLose(t) {
		m.table.Claim(t.Context(), owner, end, ids)
	}
	for i, c := range m.table.Claim(t.Context(), owner, end, ids) {
		if want := m.model[ids[i]].claim(now(), end.UnixMilli()); c.Outcome != want {
			t.Fatalf("Claim(%s) = %+v, want outcome %d", ids[i], c, want)
		}
		if c.Outcome == tasktable.Claimed {
			m.claims[ids[i]] = append(m.claims[ids[i]], c.Row)
		}
	}
}

func (m *machine) settle(t *rapid.T) {
	var settlements []tasktable.Settlement
	var names []string
	at := time.Now().Add(rapid.SampledFrom(moments).Draw(t, "retry in"))
	for _, id := range m.some(t) {
		if len(m.claims[id]) == 0 {
			continue
		}
		name := rapid.SampledFrom(slices.Sorted(maps.Keys(ways))).Draw(t, "way")
		names = append(names, name)
		settlements = append(settlements, ways[name].make(m.claimed(t, id), at))
	}
	if m.maybeLose(t) {
		m.table.Settle(t.Context(), settlements)
	}
	for i, got := range m.table.Settle(t.Context(), settlements) {
		r := settlements[i].Row()
		want, ok := m.model[r.ID].settle(names[i], r, now(), at.UnixMilli())
		if got.Err != nil || got.Lost == ok || ok && got.Status != want {
			t.Fatalf("Settle(%s, %s, fence %d) = %+v, want %s, %t", r.ID, names[i], r.Fence, got, want, ok)
		}
	}
	m.db.Inject(nil)
}

func (m *machine) expire(t *rapid.T) {
	ids := m.some(t)
	for i, c := range m.table.Expire(t.Context(), ids) {
		if want := m.model[ids[i]].expire(now()); c.Outcome != want {
			t.Fatalf("Expire(%s) = %+v, want outcome %d", ids[i], c, want)
		}
	}
}

func (m *machine) cancel(t *rapid.T) {
	id := m.id(t)
	want := m.model[id].askForCancel(now())
	if _, err := m.table.Cancel(t.Context(), "t", id); !errors.Is(err, want) {
		t.Fatalf("Cancel(%s) = %v, want %v", id, err, want)
	}
}

func (m *machine) replay(t *rapid.T) {
	id := m.id(t)
	run := m.model[id].run + rapid.IntRange(-1, 2).Draw(t, "runs on")
	want := m.model[id].replay(now(), run, "")
	if m.maybeLose(t) {
		_, _ = m.table.Replay(t.Context(), id, run)
	}
	if got, err := m.table.Replay(t.Context(), id, run); got != want || err != nil {
		t.Fatalf("Replay(%s, %d) = %t, %v; want %t", id, run, got, err, want)
	}
}

// replayAll replays one task or some for a plan.
func (m *machine) replayAll(t *rapid.T) {
	plan := rapid.SampledFrom([]string{"p", "q"}).Draw(t, "plan")
	var requests []tasktable.ReplayRequest
	want := map[string]bool{}
	for _, id := range m.some(t) {
		run := m.model[id].run + rapid.IntRange(-1, 3).Draw(t, "runs on")
		requests = append(requests, tasktable.ReplayRequest{ID: id, Run: run, PlanID: plan})
		want[id] = m.model[id].replay(now(), run, plan)
	}
	if m.maybeLose(t) {
		m.table.ReplayAll(t.Context(), requests)
	}
	for i, got := range m.table.ReplayAll(t.Context(), requests) {
		id := requests[i].ID
		if got.Done != want[id] || got.Err != nil || got.Row == nil || got.Row.Status != m.model[id].status || got.Row.Run != m.model[id].run {
			t.Fatalf("replay of %+v = %+v, %+v; want %t", requests[i], got, got.Row, want[id])
		}
	}
}

// unlist takes tasks out of the index, and sometimes puts them back.
func (m *machine) unlist(t *rapid.T) {
	ids := m.some(t)
	var before, all []tasktable.FailureEntry
	for _, id := range ids {
		row := m.model[id]
		if row == nil {
			continue
		}
		all = append(all, tasktable.FailureEntry{ID: id, Run: row.run})
		if row.status == task.DeadLettered && row.listed {
			before = append(before, tasktable.FailureEntry{ID: id, Run: row.run, Fingerprint: "fingerprint", At: time.Now()})
			row.listed = false
		}
	}
	errs := m.table.Unlist(t.Context(), all)
	if rapid.Bool().Draw(t, "and relist") {
		errs = append(errs, m.table.Relist(t.Context(), before)...)
		for _, e := range before {
			m.model[e.ID].listed = true
		}
	}
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// fenced does what takes a claim that holds, and reports whether it did.
func (m *machine) fenced(t *rapid.T, do func(r *tasktable.Row, row *modelRow) error) {
	r := m.claimed(t, m.id(t))
	row := m.model[r.ID]
	held := row.held(r.Fence)
	if !held {
		row = &modelRow{} // whatever is done to it is not to be seen
	}
	err := do(r, row)
	if held && err != nil || !held && !errors.Is(err, tasktable.ErrLost) {
		t.Fatalf("with fence %d of %s: %v, held: %t", r.Fence, r.ID, err, held)
	}
}

func (m *machine) renew(t *rapid.T) {
	end := time.Now().Add(rapid.SampledFrom(moments).Draw(t, "lease"))
	m.fenced(t, func(r *tasktable.Row, row *modelRow) error {
		row.claimableAt = end.UnixMilli()
		now, err := m.table.Renew(t.Context(), r, end, tasktable.Renewal{})
		if err == nil && now.CancelRequested != row.cancel {
			t.Fatalf("Renew tells of a cancel: %t, want %t", now.CancelRequested, row.cancel)
		}
		return err
	})
}

func (m *machine) charge(t *rapid.T) {
	m.fenced(t, func(r *tasktable.Row, row *modelRow) error {
		row.attempts = r.Counted()
		return m.table.Charge(t.Context(), r)
	})
}

func (m *machine) rerun(t *rapid.T) {
	m.fenced(t, func(r *tasktable.Row, row *modelRow) error {
		row.replays = r.Replays
		row.begin(r.Run+1, "")
		return m.table.Rerun(t.Context(), r, r.Run+1)
	})
}

func (m *machine) look(t *rapid.T) {
	id := m.id(t)
	m.model[id].look(now())
	if r, err := m.table.Get(t.Context(), id); err != nil || r.Status != m.model[id].status {
		t.Fatalf("Get(%s) = %+v, %v; want it %s", id, r, err, m.model[id].status)
	}
}

func (m *machine) wait(t *rapid.T) {
	time.Sleep(rapid.SampledFrom(moments).Draw(t, "time"))
}

// check compares every row with its model, and with what it was before: a
// fence never falls, a state changes only as the diagram allows, and a final
// row never.
func (m *machine) check(t *rapid.T) {
	m.db.Inject(nil)
	for _, id := range m.ids {
		it, want := m.db.Item(id), m.model[id]
		got := modelRow{
			status: task.Status(text(it, "status")), run: int(number(it, "run")), attempts: int(number(it, "attempts")),
			replays: int(number(it, "replays")), fence: number(it, "fence"), settled: number(it, "settled"),
			claimableAt: number(it, "claimable_at"), deadline: number(it, "deadline"), cancel: it["cancel_requested"] != nil,
			plan: text(it, "plan_id"), history: history(t, text(it, "history")), listed: it["failure_key"] != nil,
		}
		if shard := text(it, "failure_shard"); got.listed && !strings.HasPrefix(shard, string(got.status)+"#") || !got.listed && shard != "" {
			t.Fatalf("%s is %s, and listed in %q", id, got.status, shard)
		}
		if got != *want {
			t.Fatalf("%s is\n%+v, want\n%+v", id, got, *want)
		}
		before, ok := m.before[id]
		m.before[id] = got
		if !ok {
			continue
		}
		if got.fence < before.fence || got.settled < before.settled || got.settled > got.fence || got.run < before.run {
			t.Fatalf("%s went from\n%+v to\n%+v", id, before, got)
		}
		if got.status != before.status && !before.status.CanBecome(got.status) {
			t.Fatalf("%s went from %s to %s", id, before.status, got.status)
		}
		if before.status.Final() && got != before {
			t.Fatalf("%s was %s and changed from\n%+v to\n%+v", id, before.status, before, got)
		}
	}
}

// history is what a row tells of attempts, as their numbers.
func history(t *rapid.T, stored string) string {
	var attempts []task.Attempt
	if stored != "" {
		if err := json.Unmarshal([]byte(stored), &attempts); err != nil {
			t.Fatalf("history %q: %v", stored, err)
		}
	}
	numbers := make([]string, len(attempts))
	for i, a := range attempts {
		numbers[i] = strconv.Itoa(a.Attempt)
	}
	return strings.Join(numbers, " ")
}

func text(it map[string]types.AttributeValue, name string) string {
	if v, ok := it[name].(*types.AttributeValueMemberS); ok {
		return v.Value
	}
	return ""
}

func number(it map[string]types.AttributeValue, name string) int64 {
	if v, ok := it[name].(*types.AttributeValueMemberN); ok {
		n, err := strconv.ParseInt(v.Value, 10, 64)
		if err == nil {
			return n
		}
	}
	return 0
}
