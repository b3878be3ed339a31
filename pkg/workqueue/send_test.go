package workqueue_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/spillway-go/spillway/pkg/workqueue"
)

func messages(bodies ...string) []workqueue.Outgoing {
	msgs := make([]workqueue.Outgoing, len(bodies))
	for i, b := range bodies {
		msgs[i].Body = b
	}
	return msgs
}

func numbered(n int) []workqueue.Outgoing {
	msgs := make([]workqueue.Outgoing, n)
	for i := range msgs {
		msgs[i].Body = strconv.Itoa(i)
	}
	return msgs
}

func TestSendPassesEverythingOn(t *testing.T) {
	t.Parallel()
	fake := &fakeSQS{}
	q := workqueue.New(fake, queueURL, nil)
	msg := workqueue.Outgoing{
		Body: "b", Delay: 1500 * time.Millisecond, Group: "a b", Trace: "Root=1-5759e988-bd862e3fe1be46a994272793",
		Attributes: map[string]types.MessageAttributeValue{"a": str("x"), "b": {DataType: aws.String("Binary"), BinaryValue: []byte{0}}},
	}
	if err := q.Send(t.Context(), msg); err != nil {
		t.Fatal(err)
	}
	msg.Delay = time.Hour
	for _, err := range q.SendBatch(t.Context(), []workqueue.Outgoing{msg, {Body: "c", Delay: -1}}) {
		if err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]int{0, 2}, fake.calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	for i, wantDelay := range []int32{2, 900} {
		e := fake.sent[i]
		if e.DelaySeconds != wantDelay || !strings.HasPrefix(*e.MessageGroupId, "sha256-") || len(e.MessageAttributes) != 2 ||
			*e.MessageSystemAttributes["AWSTraceHeader"].StringValue != msg.Trace {
			t.Errorf("message %d: %+v", i, e)
		}
	}
	if e := fake.sent[2]; e.DelaySeconds != 0 || e.MessageGroupId != nil || e.MessageSystemAttributes != nil {
		t.Errorf("plain message: %+v", e)
	}
}

func TestSendBatchSplitsByEntries(t *testing.T) {
	t.Parallel()
	fake := &fakeSQS{}
	errs := workqueue.New(fake, queueURL, nil).SendBatch(t.Context(), numbered(21))
	if err := errors.Join(errs...); err != nil || len(errs) != 21 {
		t.Fatal(len(errs), err)
	}
	if diff := cmp.Diff([]int{10, 10, 0}, fake.calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	if got := workqueue.New(fake, queueURL, nil).SendBatch(t.Context(), nil); len(got) != 0 || len(fake.calls) != 3 {
		t.Errorf("an empty batch: %v, calls %v", got, fake.calls)
	}
}

// Whatever the sizes: every message is sent once, in order, no call exceeds a
// limit, and no two neighbouring calls would have fitted into one.
func TestSendBatchSplitsBySize(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(20, 200).Draw(t, "limit")
		fake := &fakeSQS{}
		var msgs []workqueue.Outgoing
		var want []string
		for i, size := range rapid.SliceOfN(rapid.IntRange(1, limit+10), 0, 60).Draw(t, "sizes") {
			out := workqueue.Outgoing{Body: strings.Repeat("x", size)}
			if attr := rapid.IntRange(0, 12).Draw(t, "attribute"); attr > 0 {
				out.Attributes = map[string]types.MessageAttributeValue{"n" + strconv.Itoa(i): str(strings.Repeat("y", attr))}
			}
			msgs = append(msgs, out)
		}
		errs := workqueue.New(fake, queueURL, &workqueue.Options{MaxBytes: limit}).SendBatch(context.Background(), msgs)
		var sizes []int
		for i := range msgs {
			if size := msgs[i].Size(); size > limit {
				if e, ok := errors.AsType[*workqueue.TooLargeError](errs[i]); !ok || e.Size != size || e.Limit != limit {
					t.Fatalf("%d bytes: %v", size, errs[i])
				}
				continue
			}
			if errs[i] != nil {
				t.Fatal(errs[i])
			}
			want = append(want, msgs[i].Body)
			sizes = append(sizes, msgs[i].Size())
		}
		if diff := cmp.Diff(want, fake.bodies()); diff != "" {
			t.Fatalf("sent (-want +got):\n%s", diff)
		}
		last := limit
		for _, n := range fake.calls {
			n = max(n, 1)
			sum := 0
			for _, s := range sizes[:n] {
				sum += s
			}
			if n > workqueue.MaxEntries || sum > limit {
				t.Fatalf("a call of %d entries, %d bytes", n, sum)
			}
			if last+sizes[0] <= limit && last > 0 {
				t.Fatalf("a call was closed at %d bytes before a message of %d", last, sizes[0])
			}
			if last = sum; n == workqueue.MaxEntries {
				last = limit // closed for that reason
			}
			sizes = sizes[n:]
		}
		if len(sizes) > 0 {
			t.Fatalf("%d messages without a call", len(sizes))
		}
	})
}

func TestSendAtTheLimit(t *testing.T) {
	t.Parallel()
	fake := &fakeSQS{}
	q := workqueue.New(fake, queueURL, nil)
	attrs := map[string]types.MessageAttributeValue{"a": str("b")} // 8 bytes
	fits := workqueue.Outgoing{Body: strings.Repeat("x", workqueue.MaxBytes-8), Attributes: attrs}
	if err := q.Send(t.Context(), fits); err != nil {
		t.Error(err)
	}
	over := workqueue.Outgoing{Body: fits.Body + "x", Attributes: attrs}
	if _, ok := errors.AsType[*workqueue.TooLargeError](q.Send(t.Context(), over)); !ok || len(fake.calls) != 1 {
		t.Errorf("one byte more was sent in %d calls", len(fake.calls))
	}
}

func TestSendBatchKeepsBadMessagesFromTheirNeighbours(t *testing.T) {
	t.Parallel()
	attr := func(name string, v types.MessageAttributeValue) workqueue.Outgoing {
		return workqueue.Outgoing{Body: "b", Attributes: map[string]types.MessageAttributeValue{name: v}}
	}
	eleven := workqueue.Outgoing{Body: "b", Attributes: map[string]types.MessageAttributeValue{}}
	for i := range 11 {
		eleven.Attributes["a"+strconv.Itoa(i)] = str("x")
	}
	bad := []workqueue.Outgoing{
		{},
		{Body: "\x00"},
		{Body: "\x1f"},
		{Body: "\xff"},
		{Body: "a\uFFFE"},
		{Body: "a\uFFFF"},
		{Body: "\xed\xa0\x80"}, // half of a surrogate pair
		eleven,
		attr("", str("x")),
		attr("a b", str("x")),
		attr(".a", str("x")),
		attr("a.", str("x")),
		attr("a..b", str("x")),
		attr("AWS.x", str("x")),
		attr("amazon.x", str("x")),
		attr(strings.Repeat("a", 257), str("x")),
		attr("a", str("")),
		attr("a", str("\x0b")),
		attr("a", types.MessageAttributeValue{}),
		attr("a", types.MessageAttributeValue{DataType: aws.String("Binary")}),
		attr("a", types.MessageAttributeValue{DataType: aws.String("Number"), StringValue: aws.String("many")}),
		attr("a", types.MessageAttributeValue{DataType: aws.String("Number.int"), StringValue: aws.String("0x1")}),
		attr("a", types.MessageAttributeValue{DataType: aws.String("StringList"), StringListValues: []string{"x"}}),
		attr("a", types.MessageAttributeValue{DataType: aws.String("String." + strings.Repeat("x", 256)), StringValue: aws.String("x")}),
	}
	good := []workqueue.Outgoing{
		{Body: "\t\n\r ~\u007f\u0080\ud7ff\ue000\ufffd\U00010000\U0010ffff"},
		attr("a.b-c_D9", str("x")),
		attr("awsome", types.MessageAttributeValue{DataType: aws.String("Number.int"), StringValue: aws.String("1")}),
		attr("a", types.MessageAttributeValue{DataType: aws.String("Number"), StringValue: aws.String("-.5E+3")}),
	}
	fake := &fakeSQS{}
	errs := workqueue.New(fake, queueURL, nil).SendBatch(t.Context(), slices.Concat(bad, good))
	for i, err := range errs {
		if _, invalid := errors.AsType[*workqueue.InvalidError](err); invalid != (i < len(bad)) {
			t.Errorf("message %d: %v", i, err)
		}
	}
	if diff := cmp.Diff([]int{4}, fake.calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

// Every entry of a batch fails on its own, in each of the ways there are.
func TestSendBatchOutcomes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tries := map[string]int{}
		fake := &fakeSQS{
			entry: func(body string) *types.BatchResultErrorEntry {
				tries[body]++
				switch {
				case body == "fault":
					return refused("InvalidMessageContents", true)
				case body == "down":
					return refused("InternalError", false)
				case body == "throttled" && tries[body] < 3:
					return refused("RequestThrottled", true)
				case body == "flaky" && tries[body] < 4:
					return refused("InternalError", false)
				}
				return nil
			},
			absent: func(body string) bool { return body == "absent" },
		}
		q := workqueue.New(fake, queueURL, &workqueue.Options{Rand: rand.NewPCG(1, 2)})
		start := time.Now()
		errs := q.SendBatch(t.Context(), messages("ok", "fault", "down", "absent", "flaky", "throttled", "ok2"))
		if took := time.Since(start); took <= 0 || took > 700*time.Millisecond {
			t.Errorf("pauses of %v", took)
		}
		entryError := func(i int, code string, fault bool) {
			t.Helper()
			e, ok := errors.AsType[*workqueue.EntryError](errs[i])
			if !ok || e.Code != code || e.SenderFault != fault || e.Message != "because" {
				t.Errorf("outcome %d: %v", i, errs[i])
			}
		}
		entryError(1, "InvalidMessageContents", true)
		entryError(2, "InternalError", false)
		if !errors.Is(errs[3], workqueue.ErrNoOutcome) {
			t.Errorf("absent: %v", errs[3])
		}
		for _, i := range []int{0, 4, 5, 6} {
			if errs[i] != nil {
				t.Errorf("outcome %d: %v", i, errs[i])
			}
		}
		if diff := cmp.Diff(map[string]int{"ok": 1, "ok2": 1, "fault": 1, "down": 4, "flaky": 4, "throttled": 3}, tries); diff != "" {
			t.Errorf("tries (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"ok", "ok2", "throttled", "flaky"}, fake.bodies()); diff != "" {
			t.Errorf("sent (-want +got):\n%s", diff)
		}
	})
}

// The last of several entries that is tried again goes alone, by the other call.
func TestSendBatchRetriesALoneEntry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fake := &fakeSQS{entry: func(body string) *types.BatchResultErrorEntry {
			if body == "1" {
				return refused("InternalError", false)
			}
			return nil
		}}
		errs := workqueue.New(fake, queueURL, nil).SendBatch(t.Context(), numbered(2))
		if err := errors.Join(errs...); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff([]int{2, 0}, fake.calls); diff != "" {
			t.Errorf("calls (-want +got):\n%s", diff)
		}
	})
}

func TestSendBatchWholeCallFails(t *testing.T) {
	t.Parallel()
	down := errors.New("connection reset")
	fake := &fakeSQS{whole: func(call int) error {
		if call == 2 {
			return down
		}
		return nil
	}}
	errs := workqueue.New(fake, queueURL, nil).SendBatch(t.Context(), numbered(25))
	for i, err := range errs {
		if errors.Is(err, down) != (i >= 10 && i < 20) {
			t.Errorf("outcome %d: %v", i, err)
		}
	}
	if diff := cmp.Diff([]int{10, 10, 5}, fake.calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestSendBatchEntryInBothLists(t *testing.T) {
	t.Parallel()
	fake := &fakeSQS{both: true, entry: func(string) *types.BatchResultErrorEntry { return refused("Odd", true) }}
	for i, err := range workqueue.New(fake, queueURL, nil).SendBatch(t.Context(), numbered(2)) {
		if err == nil {
			t.Errorf("outcome %d is a success", i)
		}
	}
}

func TestSendBatchStopsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fake := &fakeSQS{entry: func(string) *types.BatchResultErrorEntry { return refused("InternalError", false) }}
		q := workqueue.New(fake, queueURL, &workqueue.Options{Attempts: 1000, Backoff: workqueue.Backoff{Base: time.Hour, Max: time.Hour}})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for i, err := range q.SendBatch(ctx, numbered(3)) {
			_, refused := errors.AsType[*workqueue.EntryError](err)
			if !refused || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("outcome %d: %v", i, err)
			}
		}
		if len(fake.calls) != 1 {
			t.Errorf("%d calls", len(fake.calls))
		}
		if err := q.Send(ctx, workqueue.Outgoing{Body: "x"}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("after the end: %v", err)
		}
	})
}

// SQS drops what has the deduplication id of another message, so each has its
// own, the same however often it has to be sent.
func TestSendToAFIFOQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tried := map[string][]string{}
		fake := &fakeSQS{}
		q := workqueue.New(spy{fake, tried}, queueURL+".fifo", nil)
		fake.entry = func(body string) *types.BatchResultErrorEntry {
			if body == "b" {
				return refused("InternalError", false)
			}
			return nil
		}
		for i, err := range q.SendBatch(t.Context(), []workqueue.Outgoing{
			{Body: "a", Group: "tenant"}, {Body: "b", Group: "tenant"}, {Body: "c"}, {Body: "d", Delay: time.Second},
		}) {
			if _, invalid := errors.AsType[*workqueue.InvalidError](err); invalid != (i == 3) {
				t.Errorf("message %d: %v", i, err)
			}
		}
		groups, ids := map[string]string{}, map[string]string{}
		for _, m := range fake.sent {
			groups[*m.MessageBody] = aws.ToString(m.MessageGroupId)
			ids[aws.ToString(m.MessageDeduplicationId)] = *m.MessageBody
		}
		if len(ids) != 3 || ids[""] != "" || groups["a"] != "tenant" || groups["b"] != "tenant" || groups["c"] == "" || groups["c"] == "tenant" {
			t.Errorf("groups %v, ids %v", groups, ids)
		}
		if same := slices.Compact(slices.Clone(tried["b"])); len(tried["b"]) != 2 || len(same) != 1 {
			t.Errorf("the ids of one message: %v", tried["b"])
		}
	})
}

// spy notes the deduplication ids of every attempt.
type spy struct {
	*fakeSQS
	tried map[string][]string // by body
}

func (s spy) SendMessage(ctx context.Context, in *sqs.SendMessageInput, opts ...func(*sqs.Options)) (*sqs.SendMessageOutput, error) {
	s.tried[*in.MessageBody] = append(s.tried[*in.MessageBody], aws.ToString(in.MessageDeduplicationId))
	return s.fakeSQS.SendMessage(ctx, in, opts...)
}

func (s spy) SendMessageBatch(ctx context.Context, in *sqs.SendMessageBatchInput, opts ...func(*sqs.Options)) (*sqs.SendMessageBatchOutput, error) {
	for _, e := range in.Entries {
		s.tried[*e.MessageBody] = append(s.tried[*e.MessageBody], aws.ToString(e.MessageDeduplicationId))
	}
	return s.fakeSQS.SendMessageBatch(ctx, in, opts...)
}
