package callback_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/oklog/ulid/v2"

	"github.com/spillway-go/spillway/pkg/callback"
	"github.com/spillway-go/spillway/pkg/event"
	"github.com/spillway-go/spillway/pkg/intake"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/tasktable/tasktabletest"
	"github.com/spillway-go/spillway/pkg/webhook"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

var ends = []task.Status{task.Succeeded, task.Failed, task.Canceled, task.Expired, task.DeadLettered}

// Every way to end is told once, as GET shows the task.
func TestEnds(t *testing.T) {
	t.Parallel()
	for _, status := range ends {
		t.Run(string(status), func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			id := f.create()
			f.end(id, status)
			row := f.db.Row(id)
			f.handle()
			all := f.deliveries()
			if len(all) != 1 {
				t.Fatalf("%d deliveries, want 1", len(all))
			}
			d := all[0]
			if diff := cmp.Diff(d.task, document{Task: row.Task()}); diff != "" {
				t.Errorf("payload (-got +want):\n%s", diff)
			}
			if d.input.URL != target || d.input.Event != "task."+string(status) || d.id != callback.TaskID(row) {
				t.Errorf("delivery %s of %s to %s", d.id, d.input.Event, d.input.URL)
			}
			at, err := ulid.ParseStrict(d.id)
			if err != nil || at.Time() != uint64(row.FinishedAt) {
				t.Errorf("the id %s carries %d (%v), the task ended at %d", d.id, at.Time(), err, row.FinishedAt)
			}
			made := f.db.Row(d.id)
			if made.Tenant != "acme" || made.Type != webhook.Type || made.Priority != task.Normal {
				t.Errorf("the callback's task is %+v", made)
			}
			if ahead := time.Until(time.UnixMilli(made.Deadline)); ahead < intake.MaxAhead-time.Minute || ahead > intake.MaxAhead {
				t.Errorf("its deadline is %s ahead, want %s", ahead, intake.MaxAhead)
			}
			if log := f.logged.String(); !strings.Contains(log, d.id) || strings.Contains(log, "s3cr3t") {
				t.Errorf("logged:\n%s", log)
			}
		})
	}
}

// A healthy task without a callback costs nothing, and the callbacks' own tasks
// have none.
func TestNothingToTell(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, status := range ends {
		f.end(f.create(func(d *tasktable.Draft) { d.CallbackURL = "" }), status)
	}
	f.settle(tasktable.Retry(f.claim(f.create()), unlucky, time.Now()))
	f.settle(tasktable.Defer(f.claim(f.create())))
	large := f.create(func(d *tasktable.Draft) { d.Input = text(2000) })
	if _, err := f.table.Remember(t.Context(), "acme", "k", tasktable.Key{TaskID: large}); err != nil {
		t.Fatal(err)
	}
	done := f.create()
	f.end(done, task.Succeeded)
	changes := f.stream()
	for i, c := range changes {
		removed := *c
		removed.Kind, removed.Old, removed.New = event.Remove, c.New, ""
		removed.Expired = true
		f.db.ResetCalls()
		if err := f.Handle(t.Context(), &removed); err != nil {
			t.Error(err)
		}
		if i == len(changes)-1 { // the end of the last one
			continue
		}
		if err := f.Handle(t.Context(), c); err != nil {
			t.Error(err)
		}
		if calls := f.db.Calls(); len(calls) > 0 {
			t.Errorf("%s costs %v", c.New, calls)
		}
	}
	if all := f.deliveries(); len(all) > 0 {
		t.Errorf("deliveries %+v", all)
	}
}

func TestCost(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for result, want := range map[string]map[string]int{
		`{"rows":17}`:         {"PutItem": 1},
		string(text(1500)):    {"PutItem": 2},               // the callback's input is an item of its own
		string(text(100_000)): {"GetItem": 1, "PutItem": 2}, // the result too
	} {
		f.stream()
		f.settle(tasktable.Succeed(f.claim(f.create()), json.RawMessage(result)))
		f.db.ResetCalls()
		f.handle()
		if diff := cmp.Diff(f.db.Calls(), want); diff != "" {
			t.Errorf("a result of %d bytes (-got +want):\n%s", len(result), diff)
		}
	}
}

// A task that is replayed ends again, in every run, and a dead-lettered one may
// be canceled after that.
func TestEveryRun(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.create()
	f.end(id, task.DeadLettered)
	f.replay(id, 2)
	f.end(id, task.Failed)
	f.replay(id, 3)
	f.end(id, task.DeadLettered)
	f.end(id, task.Canceled)
	changes := f.stream()
	for range 2 { // the stream may deliver all of it again
		for _, c := range changes {
			if err := f.Handle(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
	}
	var got []string
	for _, d := range f.deliveries() {
		got = append(got, d.input.Event)
	}
	if diff := cmp.Diff(got, []string{"task.dead_lettered", "task.failed", "task.dead_lettered", "task.canceled"}); diff != "" {
		t.Errorf("events (-got +want):\n%s", diff)
	}
}

// A callback tells of the end that it is about, whatever the task has become
// before the change is handled.
func TestTheImageCounts(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.create()
	f.end(id, task.DeadLettered)
	first := f.db.Row(id).Task()
	f.replay(id, 2)
	f.settle(tasktable.Succeed(f.claim(id), text(100_000)))
	f.handle()
	all := f.deliveries()
	if len(all) != 2 {
		t.Fatalf("%d deliveries, want 2", len(all))
	}
	if diff := cmp.Diff(all[0].task, document{Task: first}); diff != "" {
		t.Errorf("the first end (-got +want):\n%s", diff)
	}
	if got := all[1].task; got.Status != task.Succeeded || len(got.Result) != 100_000 || got.Error != nil {
		t.Errorf("the second end is %s with a result of %d bytes", got.Status, len(got.Result))
	}
}

// A stream without old images tells more than once, with no effect.
func TestStreamOfNewImages(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.create()
	f.end(id, task.DeadLettered)
	f.end(id, task.Canceled)
	for _, c := range f.stream() {
		c.Old = ""
		for range 3 {
			if err := f.Handle(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
	}
	if all := f.deliveries(); len(all) != 2 || all[0].task.Status != task.DeadLettered || all[1].task.Status != task.Canceled {
		t.Errorf("deliveries %+v, want one for each state", all)
	}
}

// What changes on a row after its end is no end.
func TestChangesAfterTheEnd(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.create()
	f.end(id, task.Failed)
	ended := f.stream()
	last := ended[len(ended)-1]
	later := &event.Change{Kind: event.Modify, Old: last.New, New: event.Image(strings.Replace(string(last.New), `"expires_at":{"N":"`, `"expires_at":{"N":"9`, 1))}
	if later.Old == later.New {
		t.Fatal("the change changes nothing")
	}
	if err := f.Handle(t.Context(), later); err != nil || len(f.deliveries()) > 0 {
		t.Errorf("%v, %d deliveries", err, len(f.deliveries()))
	}
}

func TestBulk(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.create(func(d *tasktable.Draft) { d.Priority = task.Bulk })
	f.end(id, task.Succeeded)
	f.handle()
	if got := f.db.Row(f.deliveries()[0].id).Priority; got != task.Bulk {
		t.Errorf("the callback of a bulk task is %s", got)
	}
}

// text is a JSON string of n bytes.
func text(n int) json.RawMessage {
	return json.RawMessage(`"` + strings.Repeat("x", n-2) + `"`)
}

// A result is told in full as long as the callback's input holds it.
func TestLargeResults(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		size    int
		omitted bool
	}{
		"in the row":              {1000, false},
		"in an item of its own":   {200_000, false},
		"larger than inputs are":  {intake.MaxInput, true},
		"the largest of a result": {380_000, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			id := f.create()
			f.settle(tasktable.Succeed(f.claim(id), text(tt.size)))
			f.handle()
			d := f.deliveries()[0]
			want := document{Task: f.db.Row(id).Task(), ResultOmitted: tt.omitted}
			if tt.omitted {
				want.Result = nil
			}
			if diff := cmp.Diff(d.task, want); diff != "" {
				t.Errorf("payload (-got +want):\n%.500s", diff)
			}
			if tt.omitted != strings.Contains(string(d.input.Payload), `"result_omitted":true`) {
				t.Errorf("the payload ends with %s", d.input.Payload[max(len(d.input.Payload)-100, 0):])
			}
		})
	}
}

// The limit is the one in force.
func TestSmallerLimit(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	mux := task.NewMux()
	task.Handle(mux, webhook.Type, webhook.New(nil, nil).Deliver)
	in := intake.New(f.table, intake.Queues{"tasks": f.queue, "backlog": f.queue}, mux, &intake.Options{MaxInput: 700})
	f.Notifier = callback.New(f.table, in, nil)
	f.settle(tasktable.Succeed(f.claim(f.create()), text(500)))
	f.handle()
	if d := f.deliveries()[0]; !d.task.ResultOmitted || d.task.Result != nil {
		t.Errorf("payload %s", d.input.Payload)
	}

	tiny := intake.New(f.table, intake.Queues{"tasks": f.queue, "backlog": f.queue}, mux, &intake.Options{MaxInput: 300})
	f.Notifier = callback.New(f.table, tiny, nil)
	f.end(f.create(), task.Failed)
	changes := f.stream()
	if err := f.Handle(t.Context(), changes[len(changes)-1]); !task.IsPermanent(err) || !strings.Contains(err.Error(), "at most 300") {
		t.Errorf("a callback that never fits: %v, want a permanent error", err)
	}
}

// A result that is gone when a change is replayed late is left out.
func TestResultIsNotKept(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.create()
	f.settle(tasktable.Succeed(f.claim(id), text(100_000)))
	f.db.Delete(f.db.Row(id).ResultRef)
	f.handle()
	if d := f.deliveries()[0]; !d.task.ResultOmitted || d.task.Result != nil || d.task.Status != task.Succeeded {
		t.Errorf("payload %.300s", d.input.Payload)
	}
}

// Whatever fails is tried again and ends in one delivery.
func TestCrashes(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		operation   string
		send, after bool
	}{
		"the result is not read":       {operation: "GetItem"},
		"the input is not stored":      {operation: "PutItem"},
		"the input's answer is lost":   {operation: "PutItem", after: true},
		"the message is not sent":      {send: true},
		"the message's answer is lost": {send: true, after: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			f.settle(tasktable.Succeed(f.claim(f.create()), text(100_000)))
			changes := f.stream()
			last := changes[len(changes)-1]
			f.db.ResetCalls()
			f.db.Inject(func(c tasktabletest.Call) tasktabletest.Fault {
				if c.Operation == tt.operation && c.N == 1 {
					return tasktabletest.Fault{Err: errDown, AfterEffect: tt.after}
				}
				return tasktabletest.Fault{}
			})
			failed := false
			f.queue.fail = func() (bool, error) {
				if tt.send && !failed {
					failed = true
					return tt.after, errDown
				}
				return false, nil
			}
			err := f.Handle(t.Context(), last)
			if !errors.Is(err, errDown) || task.IsPermanent(err) || strings.Contains(err.Error(), "s3cr3t") {
				t.Fatalf("Handle = %v, want an error that can be tried again", err)
			}
			if err := f.Handle(t.Context(), last); err != nil {
				t.Fatal(err)
			}
			if all := f.deliveries(); len(all) != 1 || len(all[0].task.Result) != 100_000 {
				t.Errorf("%d deliveries, want 1 with the result", len(all))
			}
		})
	}
}

// A change that is handled again long after its callback was delivered has no
// effect while the table keeps the callback, nor while its row waits for TTL.
func TestRepeatedLate(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.end(f.create(), task.Succeeded)
	changes := f.stream()
	last := changes[len(changes)-1]
	if err := f.Handle(t.Context(), last); err != nil {
		t.Fatal(err)
	}
	short := tasktable.New(f.db, "tasks", &tasktable.Options{Retention: time.Nanosecond})
	row := f.claim(f.deliveries()[0].id)
	if got := short.Settle(t.Context(), []tasktable.Settlement{tasktable.Succeed(row, json.RawMessage(`{}`))})[0]; got.Err != nil {
		t.Fatal(got.Err)
	}
	sent := len(f.queue.sent)
	if err := f.Handle(t.Context(), last); err != nil || len(f.queue.sent) != sent {
		t.Errorf("%v, %d messages, before %d", err, len(f.queue.sent), sent)
	}
}

// What no repetition mends is said to be so, so that it is isolated at once.
func TestPermanent(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.end(f.create(), task.Succeeded)
	changes := f.stream()
	good := string(changes[len(changes)-1].New)
	for name, image := range map[string]string{
		"not JSON":             good[1:],
		"a string as a number": strings.Replace(good, `"run":{"N":"1"}`, `"run":{"N":1}`, 1),
		"no attribute":         strings.Replace(good, `"run":{"N":"1"}`, `"run":1`, 1),
		"a URL that is none":   strings.Replace(good, "https://", "mailto://", 1),
		"no tenant":            strings.Replace(good, `"acme#`, `"#`, 1),
		"a result not JSON":    strings.Replace(good, `"result":{"S":"{`, `"result":{"S":"`, 1),
	} {
		if image == good {
			t.Fatalf("%s: nothing was changed", name)
		}
		err := f.Handle(t.Context(), &event.Change{Kind: event.Modify, New: event.Image(image)})
		if !task.IsPermanent(err) || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%s: %v, want a permanent error without the URL", name, err)
		}
	}
	bad := &event.Change{Kind: event.Modify, Old: "{", New: event.Image(good)}
	if err := f.Handle(t.Context(), bad); !task.IsPermanent(err) {
		t.Errorf("a malformed old image: %v", err)
	}
	if all := f.deliveries(); len(all) > 0 {
		t.Errorf("deliveries %+v", all)
	}
}

// An id that somebody else's task has is no reason to tell them.
func TestIDOfSomebodyElse(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.create()
	f.end(id, task.Succeeded)
	row := f.db.Row(id)
	f.create(func(d *tasktable.Draft) { d.ID, d.CallbackURL = callback.TaskID(row), "" })
	changes := f.stream()
	if err := f.Handle(t.Context(), changes[len(changes)-2]); err == nil {
		t.Error("taken for told")
	}
	if all := f.deliveries(); len(all) > 0 {
		t.Errorf("deliveries %+v", all)
	}
}

func TestTaskID(t *testing.T) {
	t.Parallel()
	row := tasktable.Row{ID: "01KWEG73E0EDR6JV3CEXGQJRB2", Run: 1, Status: task.Failed, FinishedAt: 1782898200391}
	seen := map[string]string{callback.TaskID(&row): "the first"}
	for name, change := range map[string]func(*tasktable.Row){
		"another task":  func(r *tasktable.Row) { r.ID = "01KWEG73E0EDR6JV3CEXGQJRB3" },
		"another run":   func(r *tasktable.Row) { r.Run = 2 },
		"another state": func(r *tasktable.Row) { r.Status = task.DeadLettered },
	} {
		other := row
		change(&other)
		if same := seen[callback.TaskID(&other)]; same != "" {
			t.Errorf("%s has the id of %s", name, same)
		}
		seen[callback.TaskID(&other)] = name
	}
	same := row
	same.Tenant, same.Attempts, same.ExpiresAt = "umbrella", 7, 1
	if callback.TaskID(&same) != callback.TaskID(&row) {
		t.Error("the id depends on more than the end")
	}
	for _, at := range []int64{-1, 0, math.MaxInt64} {
		if len(callback.TaskID(&tasktable.Row{FinishedAt: at})) != 26 {
			t.Errorf("no id for an end at %d", at)
		}
	}
}

// A delivery's message is one that the worker takes.
func TestMessage(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.end(f.create(), task.Succeeded)
	f.handle()
	m, err := workqueue.Decode(f.queue.sent[0].Body, f.queue.sent[0].Attributes)
	if err != nil || m.TaskID != f.deliveries()[0].id || m.Tenant != "acme" || m.Run != 1 {
		t.Errorf("message %+v, %v", m, err)
	}
}

func TestContextEnds(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.end(f.create(), task.Succeeded)
	changes := f.stream()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.Handle(ctx, changes[len(changes)-1]); !errors.Is(err, context.Canceled) || task.IsPermanent(err) {
		t.Errorf("Handle = %v", err)
	}
}
