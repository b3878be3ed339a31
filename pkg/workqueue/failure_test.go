package workqueue_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spillway-go/spillway/internal/allocs"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

// FuzzFailureRecord writes records of any content, and reads texts of any
// origin: what is written is one that SQS takes, and reads the same.
func FuzzFailureRecord(f *testing.F) {
	f.Add("timeout", "context deadline exceeded", "tasks", "3f1c", int64(1769860800000), 4096)
	f.Add("", "", "", "", int64(0), 0)
	f.Add("c\x00de", "a\uFFFEb\x00\xffc", strings.Repeat("q", 300), "\u2028", int64(-1), 300)
	f.Add("x", strings.Repeat("\x01", 5000), strings.Repeat(`"\`, 50), strings.Repeat("<&>", 200), int64(1)<<62, 5000)
	f.Add(strings.Repeat(`"`, 99), strings.Repeat("\x01", 1000), strings.Repeat(`"`, 300), strings.Repeat(`"`, 300), int64(0), 20)
	f.Add("x", strings.Repeat("ä€😀", 700), "", strings.Repeat("\uFFFF", 100), int64(1)<<60, 1)
	for _, text := range []string{
		`{"code":"timeout","message":"late","retryable":true,"attempts":5,"failed_at":"2026-01-31T12:00:00.000Z","queue":"tasks","more":[1]}`,
		`{"CODE":"\u0000","attempts":1e0,"failed_at":"9999-12-31T23:59:59-01:00"}`, `{"attempts":1.5}`, `{"failed_at":"soon"}`, `null`, `[]`, `{`,
		`{"message":"` + strings.Repeat(`\u0001`, 2000) + `"}`,
	} {
		f.Add("", text, "", "", int64(0), -1)
	}
	f.Fuzz(func(t *testing.T, code, message, queue, id string, ms int64, repeat int) {
		allocs.Within(t, 512<<10+64*len(message)+16*len(code+queue+id), func() {
			if read, err := workqueue.ParseFailure(message); err == nil {
				checkFailure(t, read)
			}
			checkFailure(t, workqueue.FailureRecord{
				Code: code, Message: strings.Repeat(message, min(max(repeat, 1), 1+8192/(len(message)+1))), Retryable: ms%2 == 0,
				Attempts: repeat, FailedAt: task.Time{Time: time.UnixMilli(ms)}, Queue: queue, MessageID: id, RequestID: id, Function: id,
				Version: id, TraceID: queue, Fingerprint: code,
				History: slices.Repeat([]task.Attempt{{Attempt: repeat, At: task.Time{Time: time.UnixMilli(ms)}, Code: code + id}}, min(max(repeat, 0), 20)),
			})
		})
	})
}

func checkFailure(t *testing.T, r workqueue.FailureRecord) {
	t.Helper()
	text := r.Encode()
	if len(text) > workqueue.MaxFailure || text == "" || !legal(text) {
		t.Fatalf("%d bytes: %q", len(text), text)
	}
	back, err := workqueue.ParseFailure(text)
	if err != nil {
		t.Fatal(err)
	}
	if len(back.History) > 10 || back.Code == "" || back.Attempts != r.Attempts || back.Retryable != r.Retryable {
		t.Fatalf("%+v became %+v", r, back)
	}
	if again := back.Encode(); again != text {
		t.Fatalf("not stable:\n%s\n%s", text, again)
	}
	// With whatever text, the dead letter is one that SQS takes.
	rec := record(workqueue.Outgoing{Body: "foreign"})
	rec.MessageID = r.MessageID
	out, dropped := workqueue.DeadLetter(rec, r, 0)
	if len(dropped) > 0 || len(out.Attributes) != 3 {
		t.Fatalf("%d attributes, dropped %v", len(out.Attributes), dropped)
	}
	for name, v := range out.Attributes {
		if *v.StringValue == "" || !legal(*v.StringValue) {
			t.Fatalf("%s = %q", name, *v.StringValue)
		}
	}
}
