package rescue_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/spillway-go/spillway/pkg/archive/archivetest"
	"github.com/spillway-go/spillway/pkg/rescue"
)

// outcomes shows a replay's outcomes by sequence number.
func (f *fixture) outcomes(t *testing.T, r rescue.Replay) map[string]string {
	t.Helper()
	all, err := f.replayer(nil).List(t.Context(), 1000)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, o := range r.Records {
		i := slices.IndexFunc(all, func(rec rescue.Record) bool { return rec.ID == o.ID })
		name := o.ID
		if i >= 0 {
			name = all[i].SequenceNumber
		}
		got[name] = strings.TrimSpace(string(o.Outcome) + " " + o.Reason)
	}
	return got
}

func TestReplay(t *testing.T) {
	t.Parallel()
	f := newFixture()
	for n := 1; n <= 6; n++ {
		f.isolate(t, fmt.Sprint("k", n), n)
	}
	later, same := recordOf("k2", 9), recordOf("k3", 3)
	for _, rec := range []*struct{ err error }{{f.positions.Advance(t.Context(), &later)}, {f.positions.Advance(t.Context(), &same)}} {
		if rec.err != nil {
			t.Fatal(rec.err)
		}
	}
	c := &consumer{fails: map[string]bool{"5": true}}

	dry, err := f.replayer(c).Replay(t.Context(), rescue.ReplayRequest{DryRun: true})
	if err != nil || len(c.calls) > 0 || !dry.Done || dry.Matched != 6 || dry.Refused != 2 || dry.Replayed != 0 || dry.Failed != 0 {
		t.Fatalf("%+v, %v", dry, err)
	}
	want := map[string]string{"1": "replay", "2": "refused stale", "3": "refused already_done", "4": "replay", "5": "replay", "6": "replay"}
	if diff := cmp.Diff(f.outcomes(t, dry), want); diff != "" {
		t.Errorf("dry run (-got +want):\n%s", diff)
	}
	for n, r := range f.list(t) {
		if r.State != rescue.Archived || r.Reason != "" || !r.ReplayedAt.IsZero() {
			t.Errorf("a dry run has changed %s: %+v", n, r)
		}
	}

	got, err := f.replayer(c).Replay(t.Context(), rescue.ReplayRequest{})
	if err != nil || !got.Done || got.Matched != 6 || got.Replayed != 3 || got.Refused != 2 || got.Failed != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	want = map[string]string{
		"1": "replayed", "2": "refused stale", "3": "refused already_done", "4": "replayed", "5": "failed the consumer reported it as failed", "6": "replayed",
	}
	if diff := cmp.Diff(f.outcomes(t, got), want); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
	if diff := cmp.Diff(c.calls, [][]string{{"1", "4", "5", "6"}, {"6"}}); diff != "" {
		t.Errorf("calls (-got +want):\n%s", diff)
	}
	states := map[string]string{}
	for n, r := range f.list(t) {
		states[n] = strings.TrimSpace(string(r.State) + " " + r.Reason)
		if r.State == rescue.Replayed && r.ReplayedAt.IsZero() {
			t.Errorf("%+v", r)
		}
	}
	want = map[string]string{"1": "replayed", "2": "refused stale", "3": "refused already_done", "4": "replayed", "5": "archived the consumer reported it as failed", "6": "replayed"}
	if diff := cmp.Diff(states, want); diff != "" {
		t.Errorf("states (-got +want):\n%s", diff)
	}

	c.fails = nil // mended
	again, err := f.replayer(c).Replay(t.Context(), rescue.ReplayRequest{})
	if err != nil || again.Matched != 1 || again.Replayed != 1 || strings.Join(c.worked, " ") != "1 4 6 5" {
		t.Errorf("%+v, %v, worked on %v", again, err, c.worked)
	}
	if r := f.list(t)["5"]; r.State != rescue.Replayed || r.Reason != "" {
		t.Errorf("%+v", r)
	}
}

// A record of a key that fails holds back the later ones of its key, and no
// others.
func TestReplayKeepsTheOrderOfAKey(t *testing.T) {
	t.Parallel()
	f := newFixture()
	for n, key := range []string{"a", "b", "a", "b", "a"} {
		f.isolate(t, key, n+1)
	}
	c := &consumer{fails: map[string]bool{"1": true}}
	got, err := f.replayer(c).Replay(t.Context(), rescue.ReplayRequest{})
	if err != nil || got.Replayed != 2 || got.Failed != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	waits := "waits " + rescue.ReasonWaits
	want := map[string]string{"1": "failed the consumer reported it as failed", "2": "replayed", "3": waits, "4": "replayed", "5": waits}
	if diff := cmp.Diff(f.outcomes(t, got), want); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
	// By id it is done nevertheless.
	if got, err = f.replayer(c).Replay(t.Context(), rescue.ReplayRequest{IDs: []string{f.list(t)["3"].ID}}); err != nil || got.Replayed != 1 {
		t.Errorf("%+v, %v", got, err)
	}
}

// A record that crashes its consumer is found among the others.
func TestReplayFindsWhatCrashes(t *testing.T) {
	t.Parallel()
	f := newFixture()
	for n := 1; n <= 16; n++ {
		f.isolate(t, fmt.Sprint("k", n), n)
	}
	c := &consumer{crash: map[string]bool{"7": true, "12": true}}
	got, err := f.replayer(c).Replay(t.Context(), rescue.ReplayRequest{})
	if err != nil || got.Replayed != 14 || got.Failed != 2 {
		t.Fatalf("%+v, %v", got, err)
	}
	if r := f.list(t)["7"]; r.State != rescue.Archived || r.Reason != "function orders: Unhandled: exit status 3" {
		t.Errorf("%+v", r)
	}
}

func TestReplayBounds(t *testing.T) {
	t.Parallel()
	f := newFixture()
	for n := 1; n <= 130; n++ {
		f.isolate(t, fmt.Sprint("k", n), n)
	}
	c := &consumer{}
	for i, want := range []rescue.Replay{
		{Matched: 100, Replayed: 100}, {Matched: 5, Replayed: 5}, {Matched: 25, Replayed: 25, Done: true}, {Done: true},
	} {
		got, err := f.replayer(c).Replay(t.Context(), rescue.ReplayRequest{Max: []int{0, 5, 30, 1}[i]})
		got.Records, got.JobID, got.Status = nil, "", ""
		if diff := cmp.Diff(got, want); err != nil || diff != "" {
			t.Errorf("%d: %v\n%s", i, err, diff)
		}
	}
	if len(c.worked) != 130 || len(c.calls[0]) != 50 {
		t.Errorf("worked on %d, first %d at once", len(c.worked), len(c.calls[0]))
	}
	ids := []string{"nothing", f.list(t)["3"].ID}
	got, err := f.replayer(c).Replay(t.Context(), rescue.ReplayRequest{IDs: ids})
	want := map[string]string{"nothing": "failed not_found", "3": "refused not_waiting"}
	if diff := cmp.Diff(f.outcomes(t, got), want); err != nil || diff != "" || got.Matched != 2 || !got.Done {
		t.Errorf("%+v, %v\n%s", got, err, diff)
	}
	if got, err = f.replayer(c).Replay(t.Context(), rescue.ReplayRequest{IDs: slices.Concat(ids, ids), Max: 1}); err != nil || got.Done || got.Matched != 1 {
		t.Errorf("%+v, %v", got, err)
	}
}

// Large records go in calls of their own.
func TestReplayLarge(t *testing.T) {
	t.Parallel()
	f := newFixture()
	for n := 1; n <= 6; n++ {
		rec := recordOf(fmt.Sprint("k", n), n)
		rec.JSON = strings.Replace(rec.JSON, fmt.Sprintf(`"n":{"N":"%d"}`, n), `"n":{"S":"`+strings.Repeat("x", 1<<20)+`"}`, 1)
		if err := rescue.NewIsolator(f.kept, quiet).Isolate(t.Context(), &rec, errService); err != nil {
			t.Fatal(err)
		}
	}
	c := &consumer{}
	got, err := f.replayer(c).Replay(t.Context(), rescue.ReplayRequest{})
	if err != nil || got.Replayed != 6 || len(c.calls) != 2 {
		t.Errorf("%+v, %v, %v", got, err, c.calls)
	}
}

// A record whose data S3 does not give fails, and the others go on. It holds up
// its key unless its data has gone for good.
func TestReplayWithoutData(t *testing.T) {
	t.Parallel()
	for name, denied := range map[string]bool{"gone": false, "denied": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture()
			f.isolate(t, "x", 1)
			rec := recordOf("a", 2)
			rec.JSON = strings.Replace(rec.JSON, `"n":{"N":"2"}`, `"n":{"S":"`+strings.Repeat("x", 500_000)+`"}`, 1)
			if err := rescue.NewIsolator(f.kept, quiet).Isolate(t.Context(), &rec, errService); err != nil {
				t.Fatal(err)
			}
			f.isolate(t, "b", 3)
			f.isolate(t, "a", 4)
			f.bucket.Inject(func(archivetest.Call) archivetest.Fault {
				if denied {
					return archivetest.Fault{Err: &smithy.GenericAPIError{Code: "AccessDenied", Message: "arn:aws:iam::123456789012:role/admin may not"}}
				}
				return archivetest.Fault{Stale: true}
			})
			want := map[string]string{"1": "replayed", "2": "failed data_missing", "3": "replayed", "4": "replayed"}
			if denied {
				want["4"] = "waits " + rescue.ReasonWaits
			}
			got, err := f.replayer(&consumer{}).Replay(t.Context(), rescue.ReplayRequest{})
			if diff := cmp.Diff(f.outcomes(t, got), want); err != nil || diff != "" || !got.Done || got.Failed != 1 {
				t.Errorf("%+v, %v\n%s", got, err, diff)
			}
			if r := f.list(t)["2"]; r.State != rescue.Archived || r.Reason != rescue.ReasonNoData {
				t.Errorf("%+v", r)
			}
		})
	}
	t.Run("S3 does not answer", func(t *testing.T) {
		t.Parallel()
		f := newFixture()
		rec := recordOf("a", 1)
		rec.JSON = strings.Replace(rec.JSON, `"n":{"N":"1"}`, `"n":{"S":"`+strings.Repeat("x", 500_000)+`"}`, 1)
		if err := rescue.NewIsolator(f.kept, quiet).Isolate(t.Context(), &rec, errService); err != nil {
			t.Fatal(err)
		}
		f.bucket.Inject(func(archivetest.Call) archivetest.Fault { return archivetest.Fault{Err: errService} })
		if got, err := f.replayer(&consumer{}).Replay(t.Context(), rescue.ReplayRequest{}); !errors.Is(err, errService) || got.Done || got.Failed > 0 {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

func TestReplayConsumers(t *testing.T) {
	t.Parallel()
	f := newFixture()
	f.deliver(t, newShard(10), 1, documentOf(3, 4))
	f.isolate(t, "x", 8) // of nobody knows whom
	orders := &consumer{}
	byName := func(name string) rescue.Consumer {
		if name == "orders" {
			return orders
		}
		return nil
	}
	got, err := rescue.NewReplayer(f.jobs, "control", f.kept, f.positions, byName, quiet).Replay(t.Context(), rescue.ReplayRequest{})
	want := map[string]string{"3": "replayed", "4": "replayed", "8": "failed unknown_consumer"}
	if diff := cmp.Diff(f.outcomes(t, got), want); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

func TestReplayFails(t *testing.T) {
	t.Parallel()
	newOne := func() (*fixture, *consumer) {
		f := newFixture()
		f.isolate(t, "a", 1)
		f.isolate(t, "b", 2)
		return f, &consumer{}
	}
	t.Run("the consumer cannot be called", func(t *testing.T) {
		t.Parallel()
		f, c := newOne()
		c.err = errService
		got, err := f.replayer(c).Replay(t.Context(), rescue.ReplayRequest{})
		if !errors.Is(err, errService) || got.Done || got.Failed > 0 || len(c.calls) != 1 || f.list(t)["1"].State != rescue.Archived {
			t.Errorf("%+v, %v", got, err)
		}
	})
	t.Run("it names what it was not given", func(t *testing.T) {
		t.Parallel()
		f, _ := newOne()
		got, err := f.replayer(strange{}).Replay(t.Context(), rescue.ReplayRequest{})
		if err == nil || !strings.Contains(err.Error(), "99") || got.Replayed > 0 {
			t.Errorf("%+v, %v", got, err)
		}
	})
	for _, operation := range []string{"Query", "GetItem"} {
		t.Run(operation, func(t *testing.T) {
			t.Parallel()
			f, c := newOne()
			f.table.Inject(func(call archivetest.Call) archivetest.Fault {
				if call.Operation == operation {
					return archivetest.Fault{Err: errService}
				}
				return archivetest.Fault{}
			})
			if got, err := f.replayer(c).Replay(t.Context(), rescue.ReplayRequest{}); !errors.Is(err, errService) || got.Done || len(c.calls) > 0 {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
	t.Run("the outcome cannot be written down", func(t *testing.T) {
		t.Parallel()
		f, c := newOne()
		f.table.Inject(func(call archivetest.Call) archivetest.Fault {
			if call.Operation == "UpdateItem" {
				return archivetest.Fault{Err: errService}
			}
			return archivetest.Fault{}
		})
		got, err := f.replayer(c).Replay(t.Context(), rescue.ReplayRequest{})
		if err != nil || got.Replayed != 2 || got.Records[0].Reason == "" {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

// strange names a record that nobody has given it.
type strange struct{}

func (strange) Consume(context.Context, []json.RawMessage) ([]string, error) {
	return []string{"99"}, nil
}

// slow takes its time.
type slow struct{ consumer }

func (s *slow) Consume(ctx context.Context, records []json.RawMessage) ([]string, error) {
	time.Sleep(10 * time.Second)
	return s.consumer.Consume(ctx, records)
}

func TestReplayStopsInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		for n := 1; n <= 200; n++ {
			f.isolate(t, fmt.Sprint("k", n), n)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 35*time.Second)
		defer cancel()
		c := &slow{}
		got, err := f.replayer(c).Replay(ctx, rescue.ReplayRequest{Max: 1000})
		if err != nil || got.Done || got.Replayed != 100 || got.Matched != 200 || ctx.Err() != nil {
			t.Errorf("%d of %d replayed, %v, %v", got.Replayed, got.Matched, got.Done, err)
		}
	})
}

// However records, positions and failures lie: what is replayed is never behind
// what its key has seen, and no key is worked on out of order.
func TestReplayNeverGoesBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		f := newFixture()
		ctx := context.Background()
		keys := map[string]string{} // by sequence number
		seen := map[string]int{}    // by key: what was worked on in the stream
		isolator := rescue.NewIsolator(f.kept, quiet)
		c := &consumer{fails: map[string]bool{}, crash: map[string]bool{}}
		for n := 1; n <= 12; n++ {
			key := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(rt, "key")
			rec := recordOf(key, n)
			keys[fmt.Sprint(n)] = key
			var err error
			switch rapid.IntRange(0, 3).Draw(rt, "what") {
			case 0:
				err = f.positions.Advance(ctx, &rec)
				seen[key] = n
			case 1:
				c.fails[fmt.Sprint(n)] = true
				err = isolator.Isolate(ctx, &rec, errService)
			case 2:
				c.crash[fmt.Sprint(n)] = true
				err = isolator.Isolate(ctx, &rec, errService)
			default:
				err = isolator.Isolate(ctx, &rec, errService)
			}
			if err != nil {
				rt.Fatal(err)
			}
		}
		got, err := f.replayer(c).Replay(ctx, rescue.ReplayRequest{})
		if err != nil || !got.Done {
			rt.Fatal(got, err)
		}
		failed := map[string]bool{}
		for _, o := range got.Records {
			rec := recordOfID(rt, f, o.ID)
			key := keys[rec.SequenceNumber]
			n := 0
			if _, err := fmt.Sscan(rec.SequenceNumber, &n); err != nil {
				rt.Fatal(err)
			}
			switch o.Outcome {
			case rescue.OutcomeReplayed:
				if n < seen[key] || failed[key] {
					rt.Fatalf("%d of %s was replayed behind %d, or an earlier one that failed", n, key, seen[key])
				}
				seen[key] = n
			case rescue.OutcomeFailed:
				failed[key] = true
			case rescue.OutcomeRefused:
				if n > seen[key] {
					rt.Fatalf("%d of %s was refused, behind %d", n, key, seen[key])
				}
			case rescue.OutcomeWaits:
				if !failed[key] {
					rt.Fatalf("%d of %s waits for nothing", n, key)
				}
			case rescue.OutcomeReplay:
				rt.Fatal("a dry run's outcome")
			}
		}
	})
}

func recordOfID(t *rapid.T, f *fixture, id string) rescue.Record {
	all, err := f.replayer(nil).List(context.Background(), 1000)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(r rescue.Record) bool { return r.ID == id })
	if i < 0 {
		t.Fatalf("no record %s", id)
	}
	return all[i]
}

func TestList(t *testing.T) {
	t.Parallel()
	f := newFixture()
	for n := 1; n <= 5; n++ {
		f.isolate(t, fmt.Sprint("k", n), n)
	}
	if _, err := f.replayer(&consumer{}).Replay(t.Context(), rescue.ReplayRequest{Max: 2}); err != nil {
		t.Fatal(err)
	}
	for limit, want := range map[int]string{1: "3", 4: "3 4 5 1", 10: "3 4 5 1 2"} { // those that wait come first
		all, err := f.replayer(nil).List(t.Context(), limit)
		var got []string
		for _, r := range all {
			got = append(got, r.SequenceNumber)
		}
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%d: %v, %v", limit, got, err)
		}
	}
	f.table.Inject(func(archivetest.Call) archivetest.Fault { return archivetest.Fault{Err: errService} })
	if _, err := f.replayer(nil).List(t.Context(), 1); !errors.Is(err, errService) {
		t.Error(err)
	}
	if _, err := f.replayer(nil).Ranges(t.Context(), 1); !errors.Is(err, errService) {
		t.Error(err)
	}
}
