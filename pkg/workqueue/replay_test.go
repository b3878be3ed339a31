package workqueue_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/spillway-go/spillway/pkg/event"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/workqueue"
	"github.com/spillway-go/spillway/pkg/workqueue/workqueuetest"
)

var replayedAt = time.Date(2026, 3, 1, 8, 30, 0, 0, time.UTC)

// letter is a dead letter of a worker.
func letter(body string, attributes ...event.Attribute) *event.SQSMessage {
	failure := workqueue.FailureRecord{Code: "http_500", Message: "no"}.Encode()
	return &event.SQSMessage{MessageID: "m1", Body: body, Attributes: append([]event.Attribute{
		{Name: "error_code", Type: "String", String: "http_500"},
		{Name: "failure", Type: "String", String: failure},
		{Name: "hops", Type: "Number", String: "3"},
		{Name: "origin", Type: "String", String: "tasks"},
		{Name: "replays", Type: "Number", String: "1"},
		{Name: "run", Type: "Number", String: "2"},
	}, attributes...)}
}

const taskBody = `{"v":1,"task_id":"t1","run":2,"type":"report.build","tenant":"acme","created_at":"2026-01-31T12:00:00.000Z"%s,"deadline":"2026-02-07T12:00:00.000Z","new":[1, 2],"input":{"a":"run\":7"}}`

func TestReplay(t *testing.T) {
	t.Parallel()
	moment := task.At(replayedAt).String()
	for name, tt := range map[string]struct{ body, want string }{
		"first replay": {
			fmt.Sprintf(taskBody, ""),
			`{"v":1,"task_id":"t1","run":3,"replayed_at":"` + moment + `","type":"report.build","tenant":"acme","created_at":"2026-01-31T12:00:00.000Z","deadline":"2026-02-07T12:00:00.000Z","new":[1, 2],"input":{"a":"run\":7"}}`,
		},
		"another": {
			fmt.Sprintf(taskBody, `,"replayed_at":"2026-02-01T00:00:00.000Z"`),
			strings.Replace(fmt.Sprintf(taskBody, `,"replayed_at":"`+moment+`"`), `"run":2`, `"run":3`, 1),
		},
		"none yet": {
			fmt.Sprintf(taskBody, `,"replayed_at":null`),
			strings.Replace(fmt.Sprintf(taskBody, `,"replayed_at":"`+moment+`"`), `"run":2`, `"run":3`, 1),
		},
		"replayed_at before run": {
			`{"replayed_at" : null , ` + strings.TrimPrefix(fmt.Sprintf(taskBody, ""), "{"),
			`{"replayed_at" : "` + moment + `" , ` + strings.TrimPrefix(strings.Replace(fmt.Sprintf(taskBody, ""), `"run":2`, `"run":3`, 1), "{"),
		},
	} {
		out := workqueue.Replay(letter(tt.body), 3, replayedAt)
		if diff := cmp.Diff(tt.want, out.Body); diff != "" {
			t.Errorf("%s: body (-want +got):\n%s", name, diff)
		}
		m, err := workqueue.Decode(out.Body, out.Attributes)
		if err != nil || m.Run != 3 || !m.ReplayedAt.Equal(replayedAt) || m.Replays != 2 || m.Hops != 0 || m.Origin != "tasks" || !m.WaitingSince().Equal(replayedAt) {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
		if got := slices.Sorted(maps.Keys(out.Attributes)); !slices.Equal(got, []string{"hops", "origin", "replays", "run"}) {
			t.Errorf("%s: attributes %v", name, got)
		}
	}
}

// What is not ours stays as it is; all that is counted is the replay.
func TestReplayOfForeignMessages(t *testing.T) {
	t.Parallel()
	own := []event.Attribute{
		{Name: "a", Type: "String", String: "x"}, {Name: "b", Type: "Number.int", String: "7"}, {Name: "c", Type: "Binary.gzip", Binary: []byte{1, 0}},
	}
	rec := &event.SQSMessage{Body: "not JSON", Attributes: own, GroupID: "g", TraceHeader: "Root=1-2"}
	out := workqueue.Replay(rec, 1, replayedAt)
	if out.Body != "not JSON" || out.Group != "g" || out.Trace != "Root=1-2" || len(out.Attributes) != 4 || *out.Attributes["replays"].StringValue != "1" {
		t.Errorf("%+v", out)
	}
	if again := workqueue.AsReceived(rec); len(again.Attributes) != 3 || again.Body != rec.Body {
		t.Errorf("%+v", again)
	}
	// An attribute of theirs that is called like one of ours is theirs.
	theirs := &event.SQSMessage{Body: "x", Attributes: []event.Attribute{{Name: "failure", Type: "String", String: "of a heart"}, {Name: "error_code", Type: "String", String: "E1"}}}
	if out := workqueue.Replay(theirs, 1, replayedAt); len(out.Attributes) != 3 {
		t.Errorf("%+v", out.Attributes)
	}
	if _, ok := workqueue.Rejection(theirs); ok {
		t.Error("a failure that is no record")
	}
	// Without room there is no count.
	full := &event.SQSMessage{Body: "x"}
	for i := range 10 {
		full.Attributes = append(full.Attributes, event.Attribute{Name: fmt.Sprint("a", i), Type: "String", String: "x"})
	}
	if out := workqueue.Replay(full, 1, replayedAt); len(out.Attributes) != 10 {
		t.Errorf("%d attributes", len(out.Attributes))
	}
}

// A replay of any message of ours is that message in another run, and nothing
// else of it changes.
func TestReplayKeepsMessages(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := workqueue.Message{
			TaskID: "t1", Run: rapid.IntRange(1, 1000).Draw(t, "run"), Type: "report.build", Tenant: "acme",
			CreatedAt: time.UnixMilli(1).UTC(), Deadline: time.UnixMilli(2).UTC(), Replays: rapid.IntRange(0, 50).Draw(t, "replays"), Priority: task.Normal,
			Input: []byte(rapid.SampledFrom([]string{`{}`, `{"run":1}`, `"replayed_at"`, `[{"run":[1,2]}]`, `null`}).Draw(t, "input")), Origin: "tasks",
		}
		out, err := workqueue.Encode(m)
		if err != nil {
			t.Fatal(err)
		}
		rec := &event.SQSMessage{Body: out.Body}
		for name, v := range out.Attributes {
			rec.Attributes = append(rec.Attributes, event.Attribute{Name: name, Type: *v.DataType, String: *v.StringValue})
		}
		run := m.Run + 1
		again := workqueue.Replay(rec, run, replayedAt)
		got, err := workqueue.Decode(again.Body, again.Attributes)
		if err != nil {
			t.Fatal(err)
		}
		m.Version, m.Run, m.ReplayedAt, m.Replays = 1, run, replayedAt, m.Replays+1
		if diff := cmp.Diff(m, got); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
	})
}

func TestInbox(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queues := workqueuetest.New()
		q := workqueue.NewInbox(queues, queues.Create("dead", workqueuetest.QueueOptions{}), nil)
		if got, err := q.Receive(t.Context(), 10, time.Minute, time.Second); len(got) != 0 || err != nil {
			t.Errorf("%v, %v", got, err)
		}
		var all []workqueue.Outgoing
		for i := range 12 {
			all = append(all, workqueue.Outgoing{Body: fmt.Sprint("m", i), Group: "g", Trace: "Root=1-2"})
		}
		for _, err := range q.SendBatch(t.Context(), all) {
			if err != nil {
				t.Fatal(err)
			}
		}
		got, err := q.Receive(t.Context(), 100, time.Minute, 0)
		if err != nil || len(got) != 10 || got[0].ReceiveCount != 1 || got[0].SentAt.IsZero() || got[0].GroupID != "g" || got[0].TraceHeader != "Root=1-2" {
			t.Fatalf("%+v, %v", got, err)
		}
		if c, err := q.Counts(t.Context()); err != nil || c.Visible != 2 || c.InFlight != 10 || c.All() != 12 || !strings.HasSuffix(c.ARN, ":dead") {
			t.Errorf("%+v, %v", c, err)
		}
		receipts := make([]string, len(got))
		for i := range got {
			receipts[i] = got[i].ReceiptHandle
		}
		for _, err := range q.Delete(t.Context(), receipts) {
			if err != nil {
				t.Error(err)
			}
		}
		if c, err := q.Counts(t.Context()); err != nil || c.All() != 2 {
			t.Errorf("%+v, %v", c, err)
		}
		late := workqueue.NewInbox(queues, "https://sqs.eu-central-1.amazonaws.com/123456789012/none", nil)
		if _, err := late.Receive(t.Context(), 1, 0, 0); err == nil {
			t.Error("a queue that there is not")
		}
	})
}

// A FIFO queue drops what it was sent within five minutes under one id.
func TestDeduplicationID(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queues := workqueuetest.New()
		q := workqueue.New(queues, queues.Create("orders.fifo", workqueuetest.QueueOptions{}), nil)
		for _, id := range []string{"a", "a", "b", "", ""} {
			if err := q.Send(t.Context(), workqueue.Outgoing{Body: "x", Group: "g", DeduplicationID: id}); err != nil {
				t.Fatal(err)
			}
		}
		if n := len(queues.Messages("orders.fifo")); n != 4 || !q.FIFO() {
			t.Errorf("%d messages, want 4", n)
		}
	})
}

func ExampleReplay() {
	rec := &event.SQSMessage{
		Body: `{"v":1,"task_id":"t1","run":2,"type":"report.build","tenant":"acme","created_at":"2026-01-31T12:00:00.000Z","deadline":"2026-02-07T12:00:00.000Z","input":{}}`,
		Attributes: []event.Attribute{
			{Name: "failure", Type: "String", String: `{"code":"http_500","message":"no luck","attempts":5}`},
			{Name: "replays", Type: "Number", String: "1"},
		},
	}
	why, rejected := workqueue.Rejection(rec)
	fmt.Println(rejected, why.Code, why.Attempts, workqueue.Replays(rec))
	out := workqueue.Replay(rec, 2, time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC))
	fmt.Println(out.Body)
	fmt.Println(slices.Sorted(maps.Keys(out.Attributes)), len(workqueue.AsReceived(rec).Attributes))
	// Output:
	// true http_500 5 1
	// {"v":1,"task_id":"t1","run":2,"replayed_at":"2026-02-01T00:00:00.000Z","type":"report.build","tenant":"acme","created_at":"2026-01-31T12:00:00.000Z","deadline":"2026-02-07T12:00:00.000Z","input":{}}
	// [hops replays run] 2
}

func ExampleInbox() {
	ctx := context.Background()
	queues := workqueuetest.New()
	q := workqueue.NewInbox(queues, queues.Create("dead-letter", workqueuetest.QueueOptions{}), nil)
	if err := q.Send(ctx, workqueue.Outgoing{Body: "one"}); err != nil {
		fmt.Println(err)
		return
	}
	messages, err := q.Receive(ctx, 10, time.Minute, 0)
	counts, _ := q.Counts(ctx)
	fmt.Println(len(messages), messages[0].Body, err, counts.All(), counts.InFlight, q.FIFO())
	fmt.Println(q.Delete(ctx, []string{messages[0].ReceiptHandle}))
	// Output:
	// 1 one <nil> 1 1 false
	// [<nil>]
}
