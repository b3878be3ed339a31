package rescue_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/spillway-go/spillway/pkg/archive/archivetest"
	"github.com/spillway-go/spillway/pkg/event"
	"github.com/spillway-go/spillway/pkg/rescue"
	"github.com/spillway-go/spillway/pkg/task"
)

// deliver gives messages of the failures queue to the handler, received so many
// times, and returns the ids that come back.
func (f *fixture) deliver(t *testing.T, s rescue.Stream, receives int, bodies ...string) (back []string) {
	t.Helper()
	return f.deliverWith(t.Context(), t, quiet, s, receives, bodies...)
}

func (f *fixture) deliverWith(ctx context.Context, t *testing.T, opts *rescue.Options, s rescue.Stream, receives int, bodies ...string) (back []string) {
	t.Helper()
	var messages []map[string]any
	for i, body := range bodies {
		messages = append(messages, map[string]any{
			"messageId": fmt.Sprintf("m%d", i), "body": body, "receiptHandle": "r", "eventSource": "aws:sqs",
			"eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:stream-failures",
			"attributes":     map[string]string{"ApproximateReceiveCount": fmt.Sprint(receives)},
		})
	}
	payload, err := json.Marshal(map[string]any{"Records": messages})
	if err != nil {
		t.Fatal(err)
	}
	answer, err := rescue.Handler(f.kept, rescue.NewRefetcher(s), opts).Invoke(ctx, payload)
	if err != nil {
		t.Fatal(err)
	}
	var response struct {
		Failures []struct {
			ID string `json:"itemIdentifier"`
		} `json:"batchItemFailures"`
	}
	if err := json.Unmarshal(answer, &response); err != nil {
		t.Fatal(err)
	}
	for _, r := range response.Failures {
		back = append(back, r.ID)
	}
	return back
}

func (f *fixture) ranges(t *testing.T) []rescue.FailedRange {
	t.Helper()
	all, err := f.replayer(nil).Ranges(t.Context(), 100)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestHandler(t *testing.T) {
	t.Parallel()
	f := newFixture()
	s := newShard(10)
	for range 2 { // the queue delivers at least once
		if back := f.deliver(t, s, 1, documentOf(3, 6)); len(back) > 0 {
			t.Fatal(back)
		}
	}
	all := f.list(t)
	if len(all) != 4 {
		t.Fatal(all)
	}
	want := rescue.Record{
		ID: all["4"].ID, Source: "aws:dynamodb", Stream: "orders", StreamARN: streamARN, ShardID: "", SequenceNumber: "4", EventID: "e4", Key: `{"id":{"S":"k4"}}`,
		Consumer: "orders", Attempts: 3, ArchivedBy: rescue.ByRange, State: rescue.Archived, Size: len(changeOf("k4", 4)),
		Error:     rescue.Error{Code: "RetryAttemptsExhausted", Message: "function error Unhandled; 3 attempts; range 3 to 6"},
		KeepUntil: task.At(time.Unix(1782898171, 0).Add(24 * time.Hour)),
	}
	if diff := cmp.Diff(all["4"], want, cmpopts.IgnoreFields(rescue.Record{}, "ArchivedAt")); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
	it, err := f.kept.Get(t.Context(), "stream", all["4"].ID)
	if err != nil || string(it.Data) != changeOf("k4", 4) {
		t.Errorf("%s, %v", it.Data, err)
	}
	ranges := f.ranges(t)
	if len(ranges) != 1 {
		t.Fatal(ranges)
	}
	wantRange := rescue.FailedRange{
		ID: ranges[0].ID, Source: "aws:dynamodb", Stream: "orders", StreamARN: streamARN, ShardID: shardID, First: "3", Last: "6", Records: 4,
		Condition: "RetryAttemptsExhausted", State: rescue.Rescued, Consumer: "orders", KeepUntil: task.At(utc("2026-07-02T09:29:31Z")),
	}
	if diff := cmp.Diff(ranges[0], wantRange, cmpopts.IgnoreFields(rescue.FailedRange{}, "ArrivedAt")); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
}

// What a handler has archived, or a replay has worked on, stays as it is.
func TestHandlerLeavesWhatIsThere(t *testing.T) {
	t.Parallel()
	f := newFixture()
	doc := strings.Replace(documentOf(3, 4), ":function:orders", ":function:", 1) // so that both have the same consumer: none
	f.isolate(t, "k3", 3)
	if _, err := f.replayer(&consumer{}).Replay(t.Context(), rescue.ReplayRequest{}); err != nil {
		t.Fatal(err)
	}
	if back := f.deliver(t, newShard(10), 1, doc); len(back) > 0 {
		t.Fatal(back)
	}
	all := f.list(t)
	if all["3"].State != rescue.Replayed || all["3"].ArchivedBy != rescue.ByHandler || all["4"].State != rescue.Archived || all["4"].ArchivedBy != rescue.ByRange {
		t.Errorf("%+v", all)
	}
}

func TestHandlerOutcomes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		change   func(*shard)
		receives int
		body     string
		back     bool
		state    rescue.RangeState
		records  int
		reason   string
	}{
		{name: "whole", receives: 1, state: rescue.Rescued, records: 4},
		{name: "dropped", change: func(s *shard) { s.trimmed = 8 }, receives: 1, state: rescue.Expired, reason: "trimmed"},
		{name: "half of it dropped", change: func(s *shard) { s.trimmed = 4 }, receives: 1, state: rescue.Partial, records: 2, reason: "trimmed"},
		{name: "the stream is gone", change: func(s *shard) { s.fail = func(string, int) error { return rescue.ErrGone } }, receives: 1, state: rescue.Expired, reason: "gone"},
		{name: "not there yet", change: func(s *shard) { s.records = s.records[:5] }, receives: 1, back: true, records: 3, reason: "the stream orders has no more of the range up to 6, after 3 records"},
		{name: "never there", change: func(s *shard) { s.records = s.records[:5] }, receives: 3, state: rescue.Partial, records: 3, reason: "not_found"},
		{name: "the stream does not answer", change: func(s *shard) { s.fail = func(string, int) error { return errService } }, receives: 9, back: true, reason: "read orders from 3 to 6: " + errService.Error()},
		{
			name: "the stream may not be read", receives: 9, back: true, reason: "AccessDeniedException",
			change: func(s *shard) { s.fail = func(string, int) error { return errDenied } },
		},
		{
			name: "whatever there is", receives: 1, state: rescue.Partial, records: 10, reason: "trimmed",
			body: strings.NewReplacer(`"startSequenceNumber":"3"`, `"startSequenceNumber":"0"`, `"endSequenceNumber":"6"`,
				`"endSequenceNumber":"`+strings.Repeat("9", 99)+`"`).Replace(documentOf(3, 6)),
		},
		{
			name: "a stream that nobody reads", receives: 1, state: rescue.Unsupported,
			body: strings.NewReplacer("DDBStreamBatchInfo", "KinesisBatchInfo", streamARN, "arn:aws:kinesis:eu-central-1:1:stream/s").Replace(documentOf(3, 6)),
		},
		{name: "malformed", receives: 1, body: `{"hello":"world"}`, state: rescue.Malformed, reason: "malformed failure document: it has neither DDBStreamBatchInfo nor KinesisBatchInfo"},
		{name: "empty", receives: 1, body: ` `, state: rescue.Malformed, reason: "malformed failure document: EOF"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newFixture()
				s := newShard(10)
				if tt.change != nil {
					tt.change(s)
				}
				if tt.body == "" {
					tt.body = documentOf(3, 6)
				}
				back := f.deliver(t, s, tt.receives, tt.body)
				if (len(back) > 0) != tt.back {
					t.Fatalf("%v come back", back)
				}
				ranges := f.ranges(t)
				if tt.back {
					tt.state = rescue.Pending
				}
				if len(ranges) != 1 || ranges[0].State != tt.state || ranges[0].Records != tt.records || ranges[0].Reason != tt.reason || len(f.list(t)) != tt.records {
					t.Fatalf("%+v", ranges)
				}
				if it, err := f.kept.Get(t.Context(), "stream-range", ranges[0].ID); err != nil || string(it.Data) != tt.body {
					t.Errorf("the text is kept as %s, %v", it.Data, err)
				}
			})
		})
	}
}

// Nothing is acknowledged that the archive does not have.
func TestHandlerWithoutArchive(t *testing.T) {
	t.Parallel()
	for _, operation := range []string{"PutItem", "BatchWriteItem"} {
		for _, body := range []string{documentOf(3, 6), "malformed"} {
			f := newFixture()
			f.table.Inject(func(c archivetest.Call) archivetest.Fault {
				if c.Operation == operation {
					return archivetest.Fault{Err: errService}
				}
				return archivetest.Fault{}
			})
			if back := f.deliver(t, newShard(10), 5, body); len(back) != 1 && (operation == "BatchWriteItem" || body != "malformed") {
				t.Errorf("%s fails, and %s is acknowledged", operation, body)
			}
		}
	}
}

// One message that cannot be worked on does not stop the others, nor what was
// read of its own range.
func TestHandlerBatch(t *testing.T) {
	t.Parallel()
	f := newFixture()
	s := newShard(10)
	f.table.Inject(func(c archivetest.Call) archivetest.Fault {
		if c.Operation == "PutItem" && strings.HasSuffix(c.Keys[0].SK, "-7") {
			return archivetest.Fault{Err: errors.New("throttled")}
		}
		return archivetest.Fault{}
	})
	if back := f.deliver(t, s, 1, documentOf(1, 2), documentOf(5, 8), "?", documentOf(9, 9)); strings.Join(back, " ") != "m1" {
		t.Errorf("%v come back", back)
	}
	f.table.Inject(nil)
	if got := len(f.list(t)); got < 5 || len(f.ranges(t)) != 4 {
		t.Errorf("%d records, %+v", got, f.ranges(t))
	}
	if back := f.deliver(t, s, 2, documentOf(5, 8)); len(back) > 0 || len(f.list(t)) != 7 {
		t.Errorf("%v come back; %d records", back, len(f.list(t)))
	}
}

// What the consumer would not have got is not archived.
func TestHandlerKeeps(t *testing.T) {
	t.Parallel()
	opts := *quiet
	opts.Keep = func(rec *event.StreamRecord) bool { return rec.Key == `{"id":{"S":"k4"}}` || rec.SequenceNumber == "6" }
	tests := []struct {
		first, last, trimmed int
		state                rescue.RangeState
		records              int
	}{
		{first: 3, last: 7, state: rescue.Rescued, records: 2},
		{first: 1, last: 3, state: rescue.Rescued},
		{first: 3, last: 7, trimmed: 4, state: rescue.Partial, records: 1},
		{first: 6, last: 9, trimmed: 7, state: rescue.Partial},
	}
	for _, tt := range tests {
		f, s := newFixture(), newShard(10)
		s.trimmed = tt.trimmed
		if back := f.deliverWith(t.Context(), t, &opts, s, 1, documentOf(tt.first, tt.last)); len(back) > 0 {
			t.Fatal(back)
		}
		ranges := f.ranges(t)
		if len(ranges) != 1 || ranges[0].State != tt.state || ranges[0].Records != tt.records || len(f.list(t)) != tt.records {
			t.Errorf("%+v: %+v, %d records", tt, ranges, len(f.list(t)))
		}
	}
}

// A range that fails is listed from the first time on, until it is rescued. A
// message that is delivered once more takes nothing back.
func TestHandlerPending(t *testing.T) {
	t.Parallel()
	f, s := newFixture(), newShard(10)
	denied := func(operation string, _ int) error {
		if operation == "Read" {
			return errDenied
		}
		return nil
	}
	s.fail = denied
	want := rescue.FailedRange{
		Source: "aws:dynamodb", Stream: "orders", StreamARN: streamARN, ShardID: shardID, First: "3", Last: "6", Condition: "RetryAttemptsExhausted",
		State: rescue.Pending, Reason: "AccessDeniedException", Consumer: "orders", KeepUntil: task.At(utc("2026-07-02T09:29:31Z")),
	}
	check := func() {
		t.Helper()
		ranges := f.ranges(t)
		if len(ranges) != 1 {
			t.Fatal(ranges)
		}
		if diff := cmp.Diff(ranges[0], want, cmpopts.IgnoreFields(rescue.FailedRange{}, "ID", "ArrivedAt")); diff != "" {
			t.Errorf("(-got +want):\n%s", diff)
		}
	}
	for n := range 5 {
		if back := f.deliver(t, s, n+1, documentOf(3, 6)); len(back) != 1 {
			t.Fatal(back)
		}
		check()
	}
	s.fail = nil
	want.State, want.Reason, want.Records = rescue.Rescued, "", 4
	if back := f.deliver(t, s, 6, documentOf(3, 6)); len(back) > 0 {
		t.Fatal(back)
	}
	check()
	s.fail = denied
	if back := f.deliver(t, s, 1, documentOf(3, 6)); len(back) != 1 {
		t.Fatal(back)
	}
	check()
}

// What the archive does not take is listed as well, as far as it takes that.
func TestHandlerPendingArchive(t *testing.T) {
	t.Parallel()
	for operation, suffix := range map[string]string{"PutItem": "-5", "BatchWriteItem": ""} {
		f := newFixture()
		f.table.Inject(func(c archivetest.Call) archivetest.Fault {
			if c.Operation == operation && strings.HasSuffix(c.Keys[0].SK, suffix) {
				return archivetest.Fault{Err: errDenied}
			}
			return archivetest.Fault{}
		})
		if back := f.deliver(t, newShard(10), 1, documentOf(3, 6)); len(back) != 1 {
			t.Fatal(back)
		}
		if ranges := f.ranges(t); len(ranges) != 1 || ranges[0].State != rescue.Pending || ranges[0].Reason != "AccessDeniedException" {
			t.Errorf("%s: %+v", operation, ranges)
		}
	}
}

// A message may say what it likes: no range is archived without end, and none
// is begun for ever.
func TestHandlerBounds(t *testing.T) {
	t.Parallel()
	s := newShard(10_010)
	s.page = 1000
	for last, want := range map[int]rescue.RangeState{10_000: rescue.Rescued, 10_001: rescue.Partial} {
		t.Run(string(want), func(t *testing.T) {
			t.Parallel()
			f := newFixture()
			if back := f.deliver(t, &shard{records: s.records, page: s.page}, 1, documentOf(1, last)); len(back) > 0 {
				t.Fatal(back)
			}
			ranges := f.ranges(t)
			if len(ranges) != 1 || ranges[0].State != want || ranges[0].Records != 10_000 || (ranges[0].Reason == "too_many") != (want == rescue.Partial) {
				t.Errorf("%+v", ranges)
			}
			if n := f.table.Calls()["PutItem"]; n != 10_000 {
				t.Errorf("%d records are archived", n)
			}
		})
	}
}

func TestHandlerTime(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		pause    time.Duration // of each page
		receives int
		state    rescue.RangeState
		records  int
		reason   string
	}{
		{name: "the third time", pause: 3100 * time.Millisecond, receives: 3, state: rescue.Pending, records: 10},
		{name: "the fourth time", pause: 3100 * time.Millisecond, receives: 4, state: rescue.Partial, records: 10, reason: "out_of_time"},
		{name: "nothing answers", pause: 18100 * time.Millisecond, receives: 9, state: rescue.Pending},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f, s := newFixture(), newShard(30)
				s.fail = func(operation string, _ int) error {
					if operation == "Read" {
						time.Sleep(tt.pause)
					}
					return nil
				}
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				defer cancel()
				back := f.deliverWith(ctx, t, quiet, s, tt.receives, documentOf(1, 30))
				if (len(back) > 0) != (tt.state == rescue.Pending) {
					t.Errorf("%v come back", back)
				}
				ranges := f.ranges(t)
				if len(ranges) != 1 || ranges[0].State != tt.state || ranges[0].Records != tt.records || tt.reason != "" && ranges[0].Reason != tt.reason {
					t.Errorf("%+v", ranges)
				}
			})
		})
	}
}
