package rescue_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/spillway-go/spillway/pkg/archive/archivetest"
	"github.com/spillway-go/spillway/pkg/batch"
	"github.com/spillway-go/spillway/pkg/event"
	"github.com/spillway-go/spillway/pkg/rescue"
	"github.com/spillway-go/spillway/pkg/task"
)

func TestIsolate(t *testing.T) {
	t.Parallel()
	f := newFixture()
	poison := map[string]bool{"3": true}
	var worked []string
	handle := func(_ context.Context, c *event.Change) error {
		if poison[c.SequenceNumber] {
			return task.Permanent(task.Code("no_customer", errors.New("there is no such customer")))
		}
		worked = append(worked, c.SequenceNumber)
		return nil
	}
	handler := batch.DynamoDB(rescue.Track(handle, f.positions), &batch.Options{Isolate: rescue.NewIsolator(f.kept, nil), Logger: slog.New(slog.DiscardHandler)})
	six := eventOf(changeOf("a", 1), changeOf("b", 2), changeOf("c", 3), changeOf("c", 4), changeOf("d", 5), changeOf("e", 6))
	for range 2 { // delivered again, nothing is archived twice
		if answer, err := handler.Invoke(t.Context(), six); err != nil || string(answer) != `{"batchItemFailures":[]}` {
			t.Fatal(string(answer), err)
		}
	}
	if got := strings.Join(worked, " "); got != "1 2 4 5 6 1 2 4 5 6" {
		t.Errorf("worked on %s", got)
	}
	records, err := f.replayer(nil).List(t.Context(), 10)
	if err != nil || len(records) != 1 {
		t.Fatal(records, err)
	}
	want := rescue.Record{
		ID: records[0].ID, Source: "aws:dynamodb", Stream: "orders", StreamARN: streamARN, SequenceNumber: "3", EventID: "e3",
		Key: `{"id":{"S":"c"}}`, Error: rescue.Error{Code: "no_customer", Message: "there is no such customer"}, Attempts: 1,
		ArchivedBy: rescue.ByHandler, KeepUntil: task.At(time.Unix(1782898171, 0).Add(24 * time.Hour)), State: rescue.Archived, Size: len(changeOf("c", 3)),
	}
	if diff := cmp.Diff(records[0], want, cmpopts.IgnoreFields(rescue.Record{}, "ArchivedAt")); diff != "" || time.Since(records[0].ArchivedAt.Time) > time.Minute {
		t.Errorf("archived at %v (-got +want):\n%s", records[0].ArchivedAt, diff)
	}
	it, err := f.kept.Get(t.Context(), "stream", records[0].ID)
	if err != nil || string(it.Data) != changeOf("c", 3) || time.Until(it.ExpiresAt) < 29*24*time.Hour {
		t.Errorf("%s, %v, %v", it.Data, it.ExpiresAt, err)
	}
}

// A record that is too large for an item lies in the bucket.
func TestIsolateLarge(t *testing.T) {
	t.Parallel()
	f := newFixture()
	rec := recordOf("a", 1)
	rec.JSON = strings.Replace(rec.JSON, `"n":{"N":"1"}`, `"n":{"S":"`+strings.Repeat("x", 500_000)+`"}`, 1)
	if err := rescue.NewIsolator(f.kept, quiet).Isolate(t.Context(), &rec, errors.New(strings.Repeat("y", 5000))); err != nil {
		t.Fatal(err)
	}
	if len(f.bucket.Keys()) != 1 {
		t.Error(f.bucket.Keys())
	}
	if r := f.list(t)["1"]; r.Size != len(rec.JSON) || len(r.Error.Message) > 1000 {
		t.Errorf("%+v", r)
	}
}

// What AWS said is in the log, and its code in the archive.
func TestIsolateKeepsNoTextOfAWS(t *testing.T) {
	t.Parallel()
	f := newFixture()
	for i, cause := range []error{
		fmt.Errorf("callback of task a: %w", errDenied),
		task.Code("no_table", errDenied),
		&smithy.OperationError{ServiceID: "DynamoDB", OperationName: "PutItem", Err: errors.New("dial tcp 10.0.0.1:443")},
	} {
		rec := recordOf("k", i+1)
		if err := rescue.NewIsolator(f.kept, quiet).Isolate(t.Context(), &rec, task.Permanent(cause)); err != nil {
			t.Fatal(err)
		}
	}
	all := f.list(t)
	want := []rescue.Error{
		{Code: task.CodeHandlerError, Message: "AccessDeniedException"},
		{Code: "no_table", Message: "AccessDeniedException"},
		{Code: task.CodeHandlerError, Message: "DynamoDB PutItem failed"},
	}
	if diff := cmp.Diff([]rescue.Error{all["1"].Error, all["2"].Error, all["3"].Error}, want); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
}

// A stream does not go on without a record that nobody has.
func TestIsolateFails(t *testing.T) {
	t.Parallel()
	f := newFixture()
	f.table.Inject(func(archivetest.Call) archivetest.Fault { return archivetest.Fault{Err: errService} })
	handler := batch.DynamoDB(func(context.Context, *event.Change) error { return task.Permanent(errors.New("poison")) },
		&batch.Options{Isolate: rescue.NewIsolator(f.kept, nil), Logger: slog.New(slog.DiscardHandler)})
	answer, err := handler.Invoke(t.Context(), eventOf(changeOf("a", 1), changeOf("b", 2)))
	if err != nil || string(answer) != `{"batchItemFailures":[{"itemIdentifier":"1"}]}` {
		t.Error(string(answer), err)
	}
}

// The ids of a stream's records sort as its records do, and differ between
// streams.
func TestIDs(t *testing.T) {
	t.Parallel()
	f := newFixture()
	numbers := []int{1, 2, 9, 10, 11, 99, 100, 12345678}
	for _, n := range []int{7, 2, 5, 0, 3, 1, 6, 4} {
		f.isolate(t, fmt.Sprint("k", n), numbers[n])
	}
	other := recordOf("x", 50)
	other.StreamARN = strings.Replace(other.StreamARN, "orders", "others", 1)
	if err := rescue.NewIsolator(f.kept, quiet).Isolate(t.Context(), &other, errors.New("poison")); err != nil {
		t.Fatal(err)
	}
	all, err := f.replayer(nil).List(t.Context(), 100)
	if err != nil || len(all) != 9 {
		t.Fatal(all, err)
	}
	i := 0
	for _, r := range all {
		if r.Stream != "orders" {
			continue
		}
		if r.SequenceNumber != fmt.Sprint(numbers[i]) {
			t.Errorf("%d: %s", i, r.SequenceNumber)
		}
		i++
	}
}

// A record that does not say when it was written, as Kinesis records that do.
func TestKeepUntil(t *testing.T) {
	t.Parallel()
	f := newFixture()
	kinesisJSON := `{"kinesis":{"partitionKey":"k","sequenceNumber":"2","data":"dGVh","approximateArrivalTimestamp":1782898171.042},"eventSource":"aws:kinesis"}`
	for _, rec := range []event.StreamRecord{
		{Source: "aws:dynamodb", StreamARN: streamARN, SequenceNumber: "1", JSON: `{"eventSource":"aws:dynamodb"}`},
		{Source: "aws:kinesis", StreamARN: "arn:aws:kinesis:x:1:stream/s", SequenceNumber: "2", JSON: kinesisJSON},
		{Source: "aws:else", StreamARN: "arn", SequenceNumber: "3", JSON: `{}`},
		{Source: "aws:dynamodb", StreamARN: streamARN, SequenceNumber: "4", JSON: `}`},
	} {
		isolator := rescue.NewIsolator(f.kept, &rescue.Options{KinesisRetention: 7 * 24 * time.Hour})
		if err := isolator.Isolate(t.Context(), &rec, errors.New("poison")); err != nil {
			t.Fatal(err)
		}
	}
	all := f.list(t)
	if !all["1"].KeepUntil.IsZero() || !all["3"].KeepUntil.IsZero() || !all["4"].KeepUntil.IsZero() {
		t.Errorf("%+v", all)
	}
	if got := all["2"].KeepUntil; got.UnixMilli() != 1782898171042+7*24*3600*1000 {
		t.Error(got)
	}
}
