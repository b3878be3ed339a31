package workqueue_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/spillway-go/spillway/pkg/event"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

var failed = workqueue.FailureRecord{
	Code: "timeout", Message: "no answer", Retryable: true, Attempts: 5, FailedAt: task.At(at("2026-01-31T12:05:00Z")),
	RequestID: "req", Function: "worker", Version: "7",
	History: []task.Attempt{{Attempt: 4, At: task.At(at("2026-01-31T12:04:00Z")), Code: "flaky"}, {Attempt: 5, At: task.At(at("2026-01-31T12:05:00Z")), Code: "timeout"}},
}

func TestDeadLetterOfATask(t *testing.T) {
	t.Parallel()
	m := example()
	rec := record(encode(t, m))
	rec.Body = strings.Replace(rec.Body, `"run":2`, `"later":{"run":2},"run" : 2`, 1) // a member of a newer minor release
	rec.TraceHeader = "Self=1-0;Root=1-697df800-a;Sampled=1"
	with(rec, "error_code", "String=old")
	out, dropped := workqueue.DeadLetter(rec, failed, 2)
	if dropped != nil {
		t.Errorf("dropped %v", dropped)
	}
	if want := strings.Replace(rec.Body, `"run" : 2`, `"run" : 3`, 1); out.Body != want {
		t.Errorf("body %s", out.Body)
	}
	want := map[string]string{
		"task_id": "String=" + taskID, "type": "String=webhook.deliver", "tenant": "String=AIDAEXAMPLE",
		"priority": "String=bulk", "run": "Number=3", "replays": "Number=1", "hops": "Number=0", "origin": "String=tasks",
		"error_code": "String=timeout",
		"failure": `String={"code":"timeout","message":"no answer","retryable":true,"attempts":5,"failed_at":"2026-01-31T12:05:00.000Z",` +
			`"queue":"tasks","message_id":"059f36b4-87a3-44ab-83d2-661975830a7d","request_id":"req","function":"worker",` +
			`"version":"7","trace_id":"1-697df800-a","fingerprint":"` + task.Fingerprint("webhook.deliver", task.Failure{Code: "timeout", Message: "no answer"}) + `",` +
			`"history":[{"attempt":4,"at":"2026-01-31T12:04:00.000Z","code":"flaky"},{"attempt":5,"at":"2026-01-31T12:05:00.000Z","code":"timeout"}]}`,
	}
	if diff := cmp.Diff(want, plain(out.Attributes)); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
	if out.Group != m.Tenant || out.Trace != rec.TraceHeader {
		t.Errorf("group %q, trace %q", out.Group, out.Trace)
	}
	next, err := workqueue.Decode(out.Body, out.Attributes)
	if err != nil {
		t.Fatal(err)
	}
	m.Run, m.Hops = 3, 0 // a new run has all its hops
	if diff := cmp.Diff(m, next); diff != "" {
		t.Errorf("replayed message (-want +got):\n%s", diff)
	}
}

// The row's run may be above the message's.
func TestDeadLetterTakesTheRowsRun(t *testing.T) {
	t.Parallel()
	m := example()
	m.Origin = ""
	out, _ := workqueue.DeadLetter(record(encode(t, m)), failed, 8)
	next, err := workqueue.Decode(out.Body, out.Attributes)
	if err != nil || next.Run != 9 || plain(out.Attributes)["run"] != "Number=9" || next.Origin != "tasks" {
		t.Errorf("got %+v, %v", next, err)
	}
}

func TestDeadLetterOfATaskWithForeignAttributes(t *testing.T) {
	t.Parallel()
	rec := record(encode(t, example()))
	with(rec, "x", "String=y")
	out, dropped := workqueue.DeadLetter(rec, failed, 2)
	if len(out.Attributes) != 10 || len(dropped) != 1 || *dropped["x"].StringValue != "y" {
		t.Errorf("kept %v, dropped %v", plain(out.Attributes), plain(dropped))
	}
}

func TestDeadLetterOfAForeignMessage(t *testing.T) {
	t.Parallel()
	attrs := func(pairs ...string) (all []event.Attribute) {
		for i := 0; i < len(pairs); i += 2 {
			all = append(all, attribute(pairs[i], pairs[i+1]))
		}
		return all
	}
	eleven := attrs("k", "String=11", "j", "Number=10", "i", "Binary=\x009")
	for i := range 8 {
		eleven = append(eleven, attribute("a"+strconv.Itoa(i), "Number="+strconv.Itoa(i)))
	}
	tests := map[string]struct {
		body          string
		attrs         []event.Attribute
		kept, dropped map[string]string
		wantBody      string
	}{
		"plain": {body: "hello", kept: map[string]string{"origin": "String=tasks"}},
		"own attributes of each type": {
			body: "hello", attrs: attrs("s", "String.x=a", "n", "Number=1e5", "b", "Binary=\x00\xff"),
			kept: map[string]string{"origin": "String=tasks", "s": "String.x=a", "n": "Number=1e5", "b": "Binary=\x00\xff"},
		},
		"eleven attributes": {
			body: "hello", attrs: eleven,
			kept: map[string]string{
				"origin": "String=tasks", "a0": "Number=0", "a1": "Number=1", "a2": "Number=2",
				"a3": "Number=3", "a4": "Number=4", "a5": "Number=5", "a6": "Number=6",
			},
			dropped: map[string]string{"a7": "Number=7", "i": "Binary=\x009", "j": "Number=10", "k": "String=11"},
		},
		"names of ours": {
			body: `{"v":2}`, attrs: attrs("origin", "String=backlog", "error_code", "String=theirs", "failure", "Binary=x", "hops", "Number=20"),
			kept:    map[string]string{"origin": "String=backlog", "hops": "Number=20"},
			dropped: map[string]string{"error_code": "String=theirs", "failure": "Binary=x"},
		},
		"an origin that is none": {
			body: "hello", attrs: attrs("origin", "Binary=x"),
			kept: map[string]string{"origin": "String=tasks"}, dropped: map[string]string{"origin": "Binary=x"},
		},
		"attributes that no queue takes": {
			body: "hello", attrs: attrs("a", "String=", "b c", "String=x", "d", "StringList=x", "e", "String=\x00", "f", "String=ok"),
			kept:    map[string]string{"origin": "String=tasks", "f": "String=ok"},
			dropped: map[string]string{"a": "String=", "b c": "String=x", "d": "StringList=x", "e": "String=\x00"},
		},
		"an empty body":        {body: "", wantBody: " ", kept: map[string]string{"origin": "String=tasks"}},
		"illegal characters":   {body: "a\x00b\uFFFE\xff", wantBody: "a\uFFFDb\uFFFD\uFFFD", kept: map[string]string{"origin": "String=tasks"}},
		"a body like a task's": {body: strings.Replace(valid, `"v":1`, `"v":0`, 1), kept: map[string]string{"origin": "String=tasks"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rec := &event.SQSMessage{MessageID: "m", Body: tt.body, Attributes: tt.attrs, QueueARN: queueARN}
			out, dropped := workqueue.DeadLetter(rec, failed, 1)
			if tt.wantBody == "" {
				tt.wantBody = tt.body
			}
			if diff := cmp.Diff(tt.wantBody, out.Body); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
			got := plain(out.Attributes)
			if got["error_code"] != "String=timeout" || !strings.HasPrefix(got["failure"], `String={"code":"timeout"`) {
				t.Errorf("failure %v", got)
			}
			delete(got, "error_code")
			delete(got, "failure")
			if diff := cmp.Diff(tt.kept, got); diff != "" {
				t.Errorf("kept (-want +got):\n%s", diff)
			}
			if tt.dropped == nil {
				tt.dropped = map[string]string{}
			}
			if diff := cmp.Diff(tt.dropped, plain(dropped)); diff != "" {
				t.Errorf("dropped (-want +got):\n%s", diff)
			}
			send(t, out)
		})
	}
}

// send asserts that a queue takes out.
func send(t interface{ Fatal(args ...any) }, out workqueue.Outgoing) {
	if err := workqueue.New(&fakeSQS{}, queueURL, nil).Send(context.Background(), out); err != nil {
		t.Fatal(err)
	}
}

// With whatever sizes and attributes SQS can have delivered, the dead letter
// is one that it takes, and nothing is lost.
func TestDeadLetterAlwaysFits(t *testing.T) {
	t.Parallel()
	body := strings.Repeat("x", workqueue.MaxBytes)
	rapid.Check(t, func(t *rapid.T) {
		rec := &event.SQSMessage{QueueARN: queueARN}
		used := 0
		names := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{
			"origin", "error_code", "failure", "run", "a", "b", "c", "d", "e", "f", "g", "h", "i",
		}), 0, 13, rapid.ID[string]).Draw(t, "names")
		for _, name := range names {
			a := event.Attribute{Name: name, Type: "Binary", Binary: bytes.Repeat([]byte{7}, rapid.IntRange(1, 3000).Draw(t, "size"))}
			if rapid.Bool().Draw(t, "string") {
				a = event.Attribute{Name: name, Type: "String", String: strings.Repeat("y", len(a.Binary))}
			}
			rec.Attributes = append(rec.Attributes, a)
			used += len(name) + len(a.Type) + len(a.Binary) + len(a.String)
		}
		rec.Body = body[:workqueue.MaxBytes-used-rapid.SampledFrom([]int{0, 1, 20, 100, 300, 1000, 5000, 900_000}).Draw(t, "room")]
		f := failed
		f.Message = strings.Repeat(`"`, rapid.IntRange(0, 6000).Draw(t, "message"))
		out, dropped := workqueue.DeadLetter(rec, f, 0)
		send(t, out)
		if out.Body != rec.Body {
			t.Fatal("the body was changed")
		}
		for _, a := range rec.Attributes {
			want := a.String + string(a.Binary)
			if !same(out.Attributes[a.Name], want) && !same(dropped[a.Name], want) {
				t.Fatalf("%s is lost: kept %v, dropped %v", a.Name, plain(out.Attributes), plain(dropped))
			}
		}
		for _, name := range []string{"error_code", "failure"} {
			if _, ok := out.Attributes[name]; !ok && workqueue.MaxBytes-len(rec.Body) > 500 {
				t.Fatalf("%s missing although there was room", name)
			}
		}
	})
}

func same(v types.MessageAttributeValue, want string) bool {
	return aws.ToString(v.StringValue)+string(v.BinaryValue) == want
}

func TestReject(t *testing.T) {
	t.Parallel()
	fake := &fakeSQS{}
	var log bytes.Buffer
	dead := workqueue.New(fake, queueURL, &workqueue.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	ctx := lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{AwsRequestID: "req-1"})
	ctx = context.WithValue(ctx, "x-amzn-trace-id", "Root=1-697df800-b;Parent=2;Sampled=0") //nolint:staticcheck // the runtime's own key

	if err := dead.Reject(ctx, record(encode(t, example())), task.Permanent(task.Code("gone", errors.New("no such\x00order")))); err != nil {
		t.Fatal(err)
	}
	bare := &event.SQSMessage{MessageID: "m2", Body: "hello", QueueARN: queueARN}
	with(bare, "error_code", "String=theirs")
	_, cause := workqueue.DecodeRecord(bare)
	if err := dead.Reject(ctx, bare, task.Permanent(cause)); err != nil {
		t.Fatal(err)
	}
	for i, want := range []workqueue.FailureRecord{
		{Code: "gone", Message: "no such\uFFFDorder", Attempts: 3, MessageID: "059f36b4-87a3-44ab-83d2-661975830a7d"},
		{Code: "foreign_message", Message: "not a task message: the body is not JSON", MessageID: "m2"},
	} {
		want.Queue, want.RequestID, want.TraceID = "tasks", "req-1", "1-697df800-b"
		want.Fingerprint = task.Fingerprint([]string{"webhook.deliver", ""}[i], task.Failure{Code: want.Code, Message: want.Message})
		got, err := workqueue.ParseFailure(*fake.sent[i].MessageAttributes["failure"].StringValue)
		if err != nil {
			t.Fatal(err)
		}
		if got.FailedAt.IsZero() {
			t.Error("no time")
		}
		got.FailedAt = task.Time{}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("record %d (-want +got):\n%s", i, diff)
		}
	}
	if m, err := workqueue.Decode(*fake.sent[0].MessageBody, nil); err != nil || m.Run != 3 {
		t.Errorf("run %d, %v", m.Run, err)
	}
	if !strings.Contains(log.String(), "error_code") || strings.Contains(log.String(), "theirs") {
		t.Errorf("log %q", log.String())
	}

	down := errors.New("down")
	fake.whole = func(int) error { return down }
	if err := dead.Reject(ctx, bare, task.Permanent(cause)); !errors.Is(err, down) {
		t.Errorf("got %v", err)
	}
}

// What is least missed gives way first: a very long message, then the oldest
// attempts, then the rest of the message.
func TestFailureRecordGivesWay(t *testing.T) {
	t.Parallel()
	f := workqueue.FailureRecord{Code: "c", Message: strings.Repeat("m", 3000), FailedAt: failed.FailedAt}
	for n := range 12 {
		f.History = append(f.History, task.Attempt{Attempt: n + 1, At: failed.FailedAt, Code: strings.Repeat("c", 64)})
	}
	encoded := func(f workqueue.FailureRecord) workqueue.FailureRecord {
		got, err := workqueue.ParseFailure(f.Encode())
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := encoded(f); len(got.History) != 10 || got.History[0].Attempt != 3 || len(got.Message) < 400 || len(got.Message) >= 3000 {
		t.Errorf("a long message left %d bytes of it and %d attempts", len(got.Message), len(got.History))
	}
	f.Message = strings.Repeat("\x01", 400) // six bytes each as JSON, but replaced
	for i := range f.History {
		f.History[i].Code = strings.Repeat(`"`, 64) // two
	}
	f.Function, f.Queue = strings.Repeat(`"`, 256), strings.Repeat(`"`, 80)
	f.RequestID, f.MessageID, f.TraceID, f.Version = strings.Repeat(`"`, 128), strings.Repeat(`"`, 128), strings.Repeat(`"`, 128), strings.Repeat(`"`, 128)
	got := encoded(f)
	if n := len(got.History); n == 0 || n == 10 || got.History[n-1].Attempt != 12 || len(got.Message) < 390 {
		t.Errorf("with %d bytes of the message there are %d attempts", len(got.Message), n)
	}
}

func TestFailureRecordStaysWithinItsBounds(t *testing.T) {
	t.Parallel()
	for _, fill := range []string{"x", `"`, "\x01", "\uFFFE", "ä", "😀", "<", "\u2028", "\xff"} {
		text := strings.Repeat(fill, 20_000)
		f := workqueue.FailureRecord{
			Code: text, Message: text, Queue: text, MessageID: text, RequestID: text, Function: text, Attempts: 1 << 62,
			Version: text, TraceID: text, Fingerprint: text,
		}
		for n := range 12 {
			f.History = append(f.History, task.Attempt{Attempt: n + 1, At: task.Time{Time: time.Unix(1<<60, 0)}, Code: text})
		}
		got := f.Encode()
		if len(got) > workqueue.MaxFailure || !legal(got) {
			t.Errorf("%q: %d bytes", fill, len(got))
		}
		back, err := workqueue.ParseFailure(got)
		if err != nil || back.Message == "" || back.Code == "" {
			t.Errorf("%q: %v\n%s", fill, err, got)
		}
	}
	if _, err := workqueue.ParseFailure("no"); err == nil {
		t.Error("parsed")
	}
	if f, err := workqueue.ParseFailure(`{"code":"x","unknown":1}`); err != nil || f.Code != "x" {
		t.Error(fmt.Sprint(f, err))
	}
}
