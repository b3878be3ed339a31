package intake_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/pkg/intake"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/tasktable/tasktabletest"
	"github.com/spillway-go/spillway/pkg/webhook"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

func bulk(r *intake.Request) { r.Priority = task.Bulk }

func input(raw json.RawMessage) func(*intake.Request) {
	return func(r *intake.Request) { r.Input = raw }
}

// The row comes before the message, the key before the row.
func TestOrderOfEffects(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		r    intake.Request
		want string
	}{
		{"without key", request(""), "create, send to tasks"},
		{"with key", request("k"), "remember, create, send to tasks"},
		{"bulk", request("k", bulk), "remember, create, send to backlog"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, nil)
			if _, created := f.submit(tt.r); !created {
				t.Error("not created")
			}
			if got := f.journal.String(); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

// A small task costs one write, two with a key, and no read.
func TestCost(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		r    intake.Request
		want map[string]int
	}{
		"without key": {request(""), map[string]int{"PutItem": 1}},
		"with key":    {request("k"), map[string]int{"PutItem": 2}},
		"large input": {request("", input(text(2000))), map[string]int{"PutItem": 2}},
	} {
		f := newFixture(t, nil)
		f.submit(tt.r)
		if diff := cmp.Diff(f.db.Calls(), tt.want); diff != "" {
			t.Errorf("%s (-got +want):\n%s", name, diff)
		}
	}
}

func TestMessage(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	row, _ := f.submit(request("", bulk, input(json.RawMessage("{\n\t\"year\" : 2026 }")), func(r *intake.Request) { r.Delay = 3 * time.Second }))
	want := []workqueue.Message{{
		Version: 1, TaskID: row.ID, Run: 1, Type: "report.build", Tenant: "acme", CreatedAt: row.CreatedAt(), Deadline: time.UnixMilli(row.Deadline).UTC(),
		Input: json.RawMessage(`{"year":2026}`), Priority: task.Bulk, Origin: "backlog",
	}}
	if diff := cmp.Diff(f.backlog.messages(t), want); diff != "" {
		t.Errorf("backlog (-got +want):\n%s", diff)
	}
	if len(f.tasks.messages(t)) != 0 {
		t.Error("a bulk task went to the tasks queue")
	}
	if d := f.backlog.sent()[0].Delay; d != 3*time.Second {
		t.Errorf("delay %s", d)
	}
	stored, err := f.table.GetConsistent(t.Context(), row.ID)
	if err != nil || string(stored.Input) != `{"year":2026}` || stored.Priority != task.Bulk {
		t.Errorf("row %+v, %v", stored, err)
	}
}

func TestLargeInputTravelsByReference(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name      string
		inline    int
		size      int
		byMessage bool
	}{
		{"as large as the message carries", 3000, 3000, true},
		{"one byte more", 3000, 3001, false},
		{"the default's last", 0, 192 << 10, true},
		{"beyond the default", 0, 192<<10 + 1, false},
		{"the largest", 0, intake.MaxInput, false},
		// The row holds it, so there is nothing to refer to.
		{"beyond the message, but small", 10, 200, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, &intake.Options{InlineInput: tt.inline})
			in := text(tt.size)
			row, _ := f.submit(request("", input(in)))
			m := f.tasks.messages(t)[0]
			if got := m.Input != nil; got != tt.byMessage || (m.InputRef != "") == tt.byMessage {
				t.Fatalf("input of %d bytes, reference %q", len(m.Input), m.InputRef)
			}
			if size := f.tasks.sent()[0].Size(); !tt.byMessage && size > 1000 {
				t.Errorf("the message has %d bytes", size)
			}
			stored, err := f.table.GetConsistent(t.Context(), row.ID)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := f.table.Input(t.Context(), stored); err != nil || string(got) != string(in) {
				t.Errorf("the table has an input of %d bytes, %v", len(got), err)
			}
		})
	}
}

// Whatever fails, before or after it took effect: repeating with the key ends
// in one row and at least one message.
func TestCrashes(t *testing.T) {
	t.Parallel()
	put := func(n int, after bool) func(*fixture) {
		return func(f *fixture) {
			f.db.Inject(func(c tasktabletest.Call) tasktabletest.Fault {
				if c.Operation == "PutItem" && c.N == n {
					return tasktabletest.Fault{Err: errDown, AfterEffect: after}
				}
				return tasktabletest.Fault{}
			})
		}
	}
	send := func(taken bool) func(*fixture) { return func(f *fixture) { f.failSend(taken) } }
	tests := []struct {
		name     string
		inject   func(*fixture)
		created  bool // by the second request
		messages int
	}{
		{"the key is not stored", put(1, false), true, 1},
		{"the key's answer is lost", put(1, true), true, 1},
		{"the row is not stored", put(2, false), true, 1},
		{"the row's answer is lost", put(2, true), false, 1},
		{"the message is not sent", send(false), false, 1},
		{"the message's answer is lost", send(true), false, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, nil)
			tt.inject(f)
			if row, created, err := f.Submit(t.Context(), request("k")); !errors.Is(err, errDown) || row != nil || created {
				t.Fatalf("Submit = %v, %t, %v", row, created, err)
			}
			row, created := f.submit(request("k"))
			if created != tt.created {
				t.Errorf("created %t", created)
			}
			again, created := f.submit(request("k"))
			if again.ID != row.ID || created {
				t.Errorf("the third request made %s, created %t", again.ID, created)
			}
			if n := f.rows(); n != 1 {
				t.Errorf("%d rows", n)
			}
			// The third request cannot know of the second's message either.
			if got := f.tasks.messages(t); len(got) != tt.messages+1 || got[0].TaskID != row.ID {
				t.Errorf("%d messages, want %d", len(got), tt.messages+1)
			}
		})
	}
}

// A client of the table that tries again after a lost answer meets its own row.
func TestCreateIsRetriedBelow(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	f.db.Inject(func(c tasktabletest.Call) tasktabletest.Fault {
		if c.Operation != "PutItem" || c.N > 1 {
			return tasktabletest.Fault{}
		}
		_, err := f.table.Create(t.Context(), tasktable.Draft{
			ID: c.IDs[0], Tenant: "acme", Type: "report.build", Priority: task.Normal, Input: json.RawMessage(`{}`), Deadline: time.Now().Add(time.Hour),
		})
		if err != nil {
			t.Error(err)
		}
		return tasktabletest.Fault{}
	})
	if _, created := f.submit(request("")); !created {
		t.Error("a task without a key is always a new one")
	}
	if n := len(f.tasks.messages(t)); n != 1 {
		t.Errorf("%d messages", n)
	}
}

// A task that a worker has met needs no second message.
func TestRepeatOfABegunTask(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	first, _ := f.submit(request("k"))
	c := f.table.Claim(t.Context(), tasktable.NewOwner(), time.Now().Add(time.Minute), []string{first.ID})[0]
	for range 2 {
		if row, created := f.submit(request("k")); row.ID != first.ID || created {
			t.Errorf("row %s, created %t", row.ID, created)
		}
		f.table.Settle(t.Context(), []tasktable.Settlement{tasktable.Retry(c.Row, task.Failure{Code: "x"}, time.Now())})
	}
	if n := len(f.tasks.messages(t)); n != 1 {
		t.Errorf("%d messages, want 1", n)
	}
}

// A repetition that comes after the deadline still answers with its task; only
// what is new is too late.
func TestKeyAfterTheDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, nil)
		deadline := time.Now().Add(time.Minute)
		withDeadline := func(key string, d time.Time) intake.Request {
			r := request(key)
			r.Deadline = &d
			return r
		}
		first, _ := f.submit(withDeadline("k", deadline))
		time.Sleep(2 * time.Minute)
		if row, created := f.submit(withDeadline("k", deadline)); row.ID != first.ID || created || row.Status != task.Expired {
			t.Errorf("row %+v, created %t, want the first, expired", row, created)
		}
		for name, r := range map[string]intake.Request{
			"new key":         withDeadline("other", deadline),
			"another request": withDeadline("k", deadline.Add(time.Second)),
		} {
			_, _, err := f.Submit(t.Context(), r)
			if refused, ok := errors.AsType[*intake.RefusedError](err); !ok || refused.Code != intake.CodeInvalid {
				t.Errorf("%s: %v, want invalid_request", name, err)
			}
		}
		if n := f.rows(); n != 1 {
			t.Errorf("%d rows, want 1", n)
		}
	})
}

func TestKeyOfAForgottenTask(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	row, _ := f.submit(request("k"))
	if _, err := f.table.Cancel(t.Context(), "acme", row.ID); err != nil {
		t.Fatal(err)
	}
	if got, created := f.submit(request("k")); got.Status != task.Canceled || created {
		t.Errorf("row %+v, created %t", got, created)
	}
	// A row past its retention reads as absent while TTL has not removed it.
	short := tasktable.New(f.db, "tasks", &tasktable.Options{Retention: time.Nanosecond})
	in := intake.New(short, intake.Queues{"tasks": f.tasks, "backlog": f.backlog}, anyType{}, nil)
	key := "gone"
	r := intake.Request{Tenant: "acme", Type: "t", Input: json.RawMessage(`1`), IdempotencyKey: &key}
	old, _, err := in.Submit(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := short.Cancel(t.Context(), "acme", old.ID); err != nil {
		t.Fatal(err)
	}
	_, _, err = in.Submit(t.Context(), r)
	if refused, ok := errors.AsType[*intake.RefusedError](err); !ok || refused.Code != intake.CodeKeyReused {
		t.Errorf("error %v", err)
	}
}

// anyType accepts everything.
type anyType struct{}

func (anyType) Check(string, json.RawMessage) error { return nil }

func TestConcurrentDuplicates(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	var wg sync.WaitGroup
	var mu sync.Mutex
	ids, created := map[string]int{}, 0
	for range 20 {
		wg.Go(func() {
			row, c, err := f.Submit(t.Context(), request("k"))
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			ids[row.ID]++
			if c {
				created++
			}
		})
	}
	wg.Wait()
	if len(ids) != 1 || created != 1 || f.rows() != 1 {
		t.Errorf("ids %v, created %d, rows %d; want one of each", ids, created, f.rows())
	}
	if n := len(f.tasks.messages(t)); n < 1 || n > 20 {
		t.Errorf("%d messages", n)
	}
}

func TestKeyReused(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	f.submit(request("k"))
	for name, change := range map[string]func(*intake.Request){
		"input":    input(json.RawMessage(`{"year":2027}`)),
		"type":     func(r *intake.Request) { r.Type, r.Input = "report.send", json.RawMessage(`{"to":"x"}`) },
		"priority": bulk,
		"ttl":      func(r *intake.Request) { d := time.Hour; r.TTL = &d },
		"deadline": func(r *intake.Request) { d := time.Now().Add(time.Hour); r.Deadline = &d },
		"delay":    func(r *intake.Request) { r.Delay = time.Second },
		"callback": callback("https://example.com/done"),
	} {
		t.Run(name, func(t *testing.T) { f.refuses(request("k", change), intake.CodeKeyReused) })
	}
	if row, created := f.submit(request("k", func(r *intake.Request) { r.Tenant = "umbrella" })); !created || row.Tenant != "umbrella" {
		t.Error("another tenant's key is another key")
	}
}

// The same instant is the same deadline, however it is written.
func TestDeadlineInAnotherZone(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	at := time.Now().Add(time.Hour)
	first, _ := f.submit(request("k", func(r *intake.Request) { r.Deadline = &at }))
	elsewhere := at.In(time.FixedZone("", 3600))
	again, created := f.submit(request("k", func(r *intake.Request) { r.Deadline = &elsewhere }))
	if again.ID != first.ID || created {
		t.Error("taken for another request")
	}
}

func TestErrorText(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	detail := f.refuses(request("", func(r *intake.Request) { r.Type = "report.shred" }), intake.CodeUnknownType)
	if !strings.Contains(detail, "report.build, report.send") {
		t.Errorf("detail %q does not say what is known", detail)
	}
	if got := (&intake.RefusedError{Code: "a", Detail: "b"}).Error(); got != "a: b" {
		t.Errorf("Error() = %q", got)
	}
}

// A key that was used by a version without callbacks, or by a request without
// one, stands for the same content as ever.
func TestKeyOfAnOlderVersion(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	f.submit(request("k"))
	sum := sha256.Sum256([]byte("k"))
	stored := f.db.Item("key#acme#" + hex.EncodeToString(sum[:16]))["payload_hash"]
	want := sha256.Sum256([]byte(`["report.build","normal",null,null,0,{"year":2026}]` + "\n"))
	if got, ok := stored.(*types.AttributeValueMemberS); !ok || got.Value != hex.EncodeToString(want[:]) {
		t.Errorf("the content is remembered as %v, want %x", stored, want)
	}
}

func TestCallback(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	const url = "https://example.com/done?token=a%2Fb"
	row, _ := f.submit(request("k", callback(url)))
	stored, err := f.table.GetConsistent(t.Context(), row.ID)
	if err != nil || stored.CallbackURL != url || row.CallbackURL != url {
		t.Errorf("stored %+v, %v; returned %+v", stored, err, row)
	}
	if again, created := f.submit(request("k", callback(url))); again.ID != row.ID || created {
		t.Error("the same request is another task")
	}
	f.refuses(request("k", callback(url+"c")), intake.CodeKeyReused)
}

// The address that a callback is checked by is that of webhook.deliver tasks.
func TestCallbackNeedsItsType(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	mux := task.NewMux()
	task.Handle(mux, "report.build", func(context.Context, any) (int, error) { return 0, nil })
	f.Intake = intake.New(f.table, intake.Queues{"tasks": f.tasks, "backlog": f.backlog}, mux, nil)
	detail := f.refuses(request("", callback("https://example.com/done")), intake.CodeInvalid)
	if !strings.Contains(detail, webhook.Type) {
		t.Errorf("detail %q does not name the type %s", detail, webhook.Type)
	}
	f.submit(request(""))
}

const someID = "01KWEG73E0EDR6JV3CEXGQJRB2"

func withID(id string) func(*intake.Request) { return func(r *intake.Request) { r.ID = id } }

// The same id is the same task, and what was not sent is sent by the repetition.
func TestRepeatByID(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	row, created := f.submit(request("", withID(someID)))
	if row.ID != someID || !created {
		t.Fatalf("row %s, created %t", row.ID, created)
	}
	again, created := f.submit(request("", withID(someID), input(json.RawMessage(`{"year":1}`))))
	if again.ID != someID || created || string(again.Input) != `{"year":2026}` {
		t.Errorf("row %+v, created %t, want the first", again, created)
	}
	if n := len(f.tasks.messages(t)); n != 2 {
		t.Errorf("%d messages, want a second one: nobody has begun the task", n)
	}
	f.table.Claim(t.Context(), tasktable.NewOwner(), time.Now().Add(time.Minute), []string{someID})
	if _, created := f.submit(request("", withID(someID))); created || len(f.tasks.messages(t)) != 2 {
		t.Errorf("created %t, %d messages after it has begun, want 2", created, len(f.tasks.messages(t)))
	}
	if n := f.rows(); n != 1 {
		t.Errorf("%d rows, want 1", n)
	}
	if got := f.db.Calls()["PutItem"]; got != 3 {
		t.Errorf("%d writes for 3 requests: no key is needed", got)
	}
}

// What a repetition sends is what is stored, not what it says itself.
func TestRepeatByIDSendsWhatIsStored(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	f.submit(request("", withID(someID)))
	f.submit(request("", withID(someID), input(json.RawMessage(`{"year":1}`))))
	for _, m := range f.tasks.messages(t) {
		if string(m.Input) != `{"year":2026}` {
			t.Errorf("a message with the input %s, stored is another", m.Input)
		}
	}
}

func TestIDOfSomebodyElse(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	f.submit(request("", withID(someID)))
	for name, change := range map[string]func(*intake.Request){
		"tenant": func(r *intake.Request) { r.Tenant = "umbrella" },
		"type":   func(r *intake.Request) { r.Type, r.Input = "report.send", json.RawMessage(`{"to":"x"}`) },
	} {
		row, _, err := f.Submit(t.Context(), request("", withID(someID), change))
		if err == nil || row != nil {
			t.Errorf("%s: %+v, want an error", name, row)
		}
	}
	if n := len(f.tasks.messages(t)); n != 1 {
		t.Errorf("%d messages, want 1", n)
	}
}

// Whatever fails, before or after it took effect: repeating with the id ends in
// one row and at least one message.
func TestCrashesByID(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		put, send, after bool
		messages         int
	}{
		"the row is not stored":         {put: true, messages: 1},
		"the row's answer is lost":      {put: true, after: true, messages: 1},
		"the message is not sent":       {send: true, messages: 1},
		"the message's answer is lost":  {send: true, after: true, messages: 2},
		"nothing but a needless repeat": {messages: 2},
	} {
		f := newFixture(t, nil)
		f.db.Inject(func(c tasktabletest.Call) tasktabletest.Fault {
			if tt.put && c.Operation == "PutItem" && c.N == 1 {
				return tasktabletest.Fault{Err: errDown, AfterEffect: tt.after}
			}
			return tasktabletest.Fault{}
		})
		if tt.send {
			f.failSend(tt.after)
		}
		if _, _, err := f.Submit(t.Context(), request("", withID(someID))); (tt.put || tt.send) != errors.Is(err, errDown) {
			t.Fatalf("%s: %v", name, err)
		}
		f.submit(request("", withID(someID)))
		if got := f.tasks.messages(t); f.rows() != 1 || len(got) != tt.messages || got[0].TaskID != someID {
			t.Errorf("%s: %d rows, messages %+v, want 1 and %d", name, f.rows(), got, tt.messages)
		}
	}
}

func TestIDAfterTheDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, nil)
		late := func(r *intake.Request) { at := time.Now().Add(-time.Second); r.Deadline = &at }
		f.refuses(request("", withID(someID), late), intake.CodeInvalid)
		f.submit(request("", withID(someID), ttl(time.Minute)))
		time.Sleep(2 * time.Minute)
		if row, created := f.submit(request("", withID(someID), late)); row.ID != someID || created || row.Status != task.Expired {
			t.Errorf("row %+v, created %t, want the first, expired", row, created)
		}
		f.refuses(request("", withID(someID), late, func(r *intake.Request) { r.Tenant = "umbrella" }), intake.CodeInvalid)
	})
}

func TestIDOfAForgottenTask(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	short := tasktable.New(f.db, "tasks", &tasktable.Options{Retention: time.Nanosecond})
	f.Intake = intake.New(short, intake.Queues{"tasks": f.tasks, "backlog": f.backlog}, anyType{}, nil)
	f.submit(request("", withID(someID)))
	if _, err := short.Cancel(t.Context(), "acme", someID); err != nil {
		t.Fatal(err)
	}
	if detail := f.refuses(request("", withID(someID)), intake.CodeKeyReused); !strings.Contains(detail, "this id") {
		t.Errorf("detail %q speaks of something else than the id", detail)
	}
}
