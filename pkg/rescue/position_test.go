package rescue_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/spillway-go/spillway/pkg/archive/archivetest"
	"github.com/spillway-go/spillway/pkg/event"
	"github.com/spillway-go/spillway/pkg/rescue"
)

// A position never goes back, whatever the number of digits, and each key of
// each stream has one of its own.
func TestPositions(t *testing.T) {
	t.Parallel()
	f := newFixture()
	for _, n := range []int{9, 10, 8, 10} {
		rec := recordOf("a", n)
		if err := f.positions.Advance(t.Context(), &rec); err != nil {
			t.Fatal(err)
		}
	}
	rec := recordOf("b", 3)
	other := recordOf("a", 3)
	other.StreamARN += "1"
	none := recordOf("a", 99)
	none.Key = ""
	for _, rec := range []event.StreamRecord{rec, other, none} {
		if err := f.positions.Advance(t.Context(), &rec); err != nil {
			t.Fatal(err)
		}
	}
	if keys := f.table.Keys(); len(keys) != 3 || !strings.HasPrefix(keys[0].PK, "position#orders#") {
		t.Fatal(keys)
	}
	for _, n := range []int{8, 10, 11} {
		f.isolate(t, "a", n)
	}
	f.isolate(t, "b", 9)
	got, err := f.replayer(&consumer{}).Replay(t.Context(), rescue.ReplayRequest{DryRun: true})
	if o := f.outcomes(t, got); err != nil || o["8"] != "refused stale" || o["10"] != "refused already_done" || o["11"] != "replay" || o["9"] != "replay" {
		t.Error(o, err)
	}
}

func TestTrack(t *testing.T) {
	t.Parallel()
	f := newFixture()
	fails := true
	tracked := rescue.Track(func(context.Context, *event.Change) error {
		if fails {
			return errService
		}
		return nil
	}, f.positions)
	changes, err := event.DynamoDB(eventOf(changeOf("a", 1)))
	if err != nil {
		t.Fatal(err)
	}
	if err := tracked(t.Context(), &changes[0]); !errors.Is(err, errService) || len(f.table.Keys()) > 0 {
		t.Error(err, f.table.Keys())
	}
	fails = false
	if err := tracked(t.Context(), &changes[0]); err != nil || len(f.table.Keys()) != 1 {
		t.Error(err, f.table.Keys())
	}
	f.table.Inject(func(archivetest.Call) archivetest.Fault { return archivetest.Fault{Err: errService} })
	if err := tracked(t.Context(), &changes[0]); !errors.Is(err, errService) {
		t.Error(err)
	}
}
