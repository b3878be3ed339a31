package workqueue_test

import (
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/pkg/event"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

func TestCopyIsVerbatim(t *testing.T) {
	t.Parallel()
	rec := record(encode(t, example()))
	rec.Body = `{"v":7, "task_id" : "t", "whatever":[1]}` // of a version yet to come
	rec.TraceHeader = "Root=1-5759e988-bd862e3fe1be46a994272793"
	with(rec, "bin", "Binary.gzip=\x00\xff")
	with(rec, "num", "Number.float=1e3")
	out, err := workqueue.Copy(rec)
	if err != nil {
		t.Fatal(err)
	}
	if out.Body != rec.Body || out.Group != "AIDAEXAMPLE" || out.Trace != rec.TraceHeader || out.Delay != 0 {
		t.Errorf("got %+v", out)
	}
	want := map[string]string{
		"task_id": "String=" + taskID, "type": "String=webhook.deliver", "tenant": "String=AIDAEXAMPLE",
		"priority": "String=bulk", "run": "Number=2", "replays": "Number=1", "hops": "Number=4", "origin": "String=tasks",
		"bin": "Binary.gzip=\x00\xff", "num": "Number.float=1e3",
	}
	if diff := cmp.Diff(want, plain(out.Attributes)); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
	if got := rec.Attribute("hops").String; got != "3" {
		t.Errorf("the record itself was changed: hops %s", got)
	}
}

// However often a message is passed on, it ends.
func TestCopyIsBounded(t *testing.T) {
	t.Parallel()
	for _, first := range []string{"0", "-5", "junk", "", "99999999999999999999"} {
		rec := record(encode(t, example()))
		with(rec, "hops", "Number="+first)
		copies := 0
		for {
			out, err := workqueue.Copy(rec)
			if err != nil {
				if !errors.Is(err, workqueue.ErrTooManyHops) {
					t.Fatal(err)
				}
				break
			}
			if copies++; copies > workqueue.MaxHops {
				t.Fatalf("from %q: more than %d copies", first, workqueue.MaxHops)
			}
			if m, err := workqueue.Decode(out.Body, out.Attributes); err != nil || m.Hops != copies {
				t.Fatalf("hops %d after %d copies: %v", m.Hops, copies, err)
			}
			rec = record(out)
		}
		if len(first) < 20 && copies != workqueue.MaxHops {
			t.Errorf("from %q: %d copies", first, copies)
		}
	}
}

func TestCopyRefusesWhatCannotBeSent(t *testing.T) {
	t.Parallel()
	tests := map[string]func(*event.SQSMessage){
		"no room for hops": func(rec *event.SQSMessage) {
			rec.Attributes = nil
			for i := range 10 {
				with(rec, "a"+strconv.Itoa(i), "String=x")
			}
		},
		"empty":     func(rec *event.SQSMessage) { rec.Body = "" },
		"too large": func(rec *event.SQSMessage) { rec.Body = strings.Repeat("x", workqueue.MaxBytes) },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rec := record(encode(t, example()))
			change(rec)
			if _, err := workqueue.Copy(rec); err == nil || errors.Is(err, workqueue.ErrTooManyHops) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// Sent onward it is the same message with all its hops, also where there is no
// room to count them.
func TestOnward(t *testing.T) {
	t.Parallel()
	rec := record(encode(t, example()))
	with(rec, "hops", "Number=20")
	with(rec, "bin", "Binary.gzip=\x00\xff")
	out := workqueue.Onward(rec)
	if out.Body != rec.Body || out.Group != rec.GroupID || out.Trace != rec.TraceHeader || out.Delay != 0 {
		t.Errorf("got %+v", out)
	}
	want := plain(encode(t, example()).Attributes)
	want["hops"], want["bin"] = "Number=0", "Binary.gzip=\x00\xff"
	if diff := cmp.Diff(want, plain(out.Attributes)); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
	if got := rec.Attribute("hops").String; got != "20" {
		t.Errorf("the record itself was changed: hops %s", got)
	}
	rec.Attributes = nil
	for i := range 10 {
		with(rec, "a"+strconv.Itoa(i), "String=x")
	}
	if out := workqueue.Onward(rec); len(out.Attributes) != 10 || out.Attributes["hops"].StringValue != nil {
		t.Errorf("without room: %v", plain(out.Attributes))
	}
}

func TestCopyOfABareRecord(t *testing.T) {
	t.Parallel()
	out, err := workqueue.Copy(&event.SQSMessage{Body: "x"})
	if err != nil || out.Group != "" || len(out.Attributes) != 1 {
		t.Errorf("got %+v, %v", out, err)
	}
	rec := record(encode(t, example()))
	rec.GroupID = ""
	if out, _ = workqueue.Copy(rec); out.Group != "AIDAEXAMPLE" {
		t.Errorf("without a group of its own: %q", out.Group)
	}
}

func TestQueueName(t *testing.T) {
	t.Parallel()
	q := workqueue.New(&fakeSQS{}, queueURL, nil)
	if q.URL() != queueURL || q.Name() != "tasks" {
		t.Errorf("got %q, %q", q.URL(), q.Name())
	}
}
