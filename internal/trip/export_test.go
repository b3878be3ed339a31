package trip_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"pgregory.net/rapid"

	"github.com/spillway-go/spillway/internal/trip"
	"github.com/spillway-go/spillway/pkg/task"
)

// digestOf is the digest of reservations in one go, written down anew.
func digestOf(items []item) (count int64, digest string) {
	var b strings.Builder
	for _, it := range items {
		if !strings.HasPrefix(it["pk"].(*types.AttributeValueMemberS).Value, "reservation#") {
			continue
		}
		count++
		for _, name := range []string{"pk", "sk", "item", "quantity", "traveler", "confirmation"} {
			switch v := it[name].(type) {
			case *types.AttributeValueMemberS:
				fmt.Fprintf(&b, "%d:%s,", len(v.Value), v.Value)
			case *types.AttributeValueMemberN:
				fmt.Fprintf(&b, "%d:%s,", len(v.Value), v.Value)
			default:
				b.WriteString("-,")
			}
		}
	}
	return count, fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(b.String())))
}

func pages(n int) trip.ExportInput { return trip.ExportInput{PageSize: &n} }

// row is the task's row: the last checkpoint, and what becomes of the next.
type row struct {
	state    json.RawMessage
	progress task.Advance
	stored   int
	storing  func() // before the next
	err      error  // of the next checkpoint
	lost     bool   // its answer only: it is stored
}

func (r *row) Progress(context.Context, task.Advance) error {
	return errors.New("a checkpoint has the progress in its own write")
}

func (r *row) Checkpoint(_ context.Context, state json.RawMessage, a *task.Advance) error {
	if r.storing != nil {
		r.storing()
	}
	err := r.err
	if r.err = nil; err != nil && !r.lost {
		return err
	}
	r.state, r.progress = state, *a
	r.stored++
	return err
}

// attempt runs a handler once, from the last checkpoint.
func (r *row) attempt(ctx context.Context, e *trip.Export, in trip.ExportInput) (trip.ExportResult, error) {
	return e.Export(task.NewContext(ctx, &task.Execution{ID: "task", State: r.state, Reporter: r}), in)
}

func quiet() *trip.ExportOptions {
	return &trip.ExportOptions{Logger: slog.New(slog.DiscardHandler)}
}

func TestExport(t *testing.T) {
	t.Parallel()
	sparse := slices.Concat(many(7, stock), many(1, reserved), many(9, saga), many(3, func(n int) item { return reserved(n + 1) }), many(4, func(n int) item { return saga(n + 9) }))
	bare := reserved(3)
	delete(bare, "traveler")
	odd := reserved(4)
	odd["item"], odd["quantity"] = text("Hôtel 5:a,3:b,<&>\x00\"\u2028"), number(-12)
	for name, tt := range map[string]struct {
		items []item
		size  int
		pages int64
	}{
		"empty table":                 {nil, 100, 1},
		"one page":                    {many(3, reserved), 100, 1},
		"ends within a page":          {many(7, reserved), 3, 3},
		"ends with a page":            {many(6, reserved), 3, 3}, // the last one is empty
		"one by one":                  {many(3, reserved), 1, 4},
		"filter leaves empty pages":   {sparse, 2, 13},
		"no reservation":              {many(5, stock), 2, 3},
		"largest page":                {many(999, reserved), 1000, 1},
		"a field missing, one is odd": {[]item{reserved(1), bare, odd}, 2, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, r := &shelf{items: tt.items}, &row{}
			got, err := r.attempt(t.Context(), trip.NewExport(s, "reservations", nil), pages(tt.size))
			count, digest := digestOf(tt.items)
			if want := (trip.ExportResult{Count: count, Pages: tt.pages, Digest: digest}); got != want || err != nil {
				t.Errorf("Export = %+v, %v, want %+v", got, err, want)
			}
			if r.stored != int(tt.pages)-1 {
				t.Errorf("%d checkpoints for %d pages: one after each but the last", r.stored, tt.pages)
			}
			for _, in := range s.scans {
				if *in.TableName != "reservations" || !*in.ConsistentRead || *in.Limit != int32(tt.size) {
					t.Errorf("scanned %+v", in)
				}
			}
		})
	}
}

// What differs has another digest, where plain concatenation would not.
func TestExportIsUnambiguous(t *testing.T) {
	t.Parallel()
	change := func(name, value string) []item {
		it := reserved(1)
		it[name] = text(value)
		return []item{it}
	}
	shift := change("traveler", "AdaH")
	shift[0]["confirmation"] = text("-1-1")
	gone := reserved(1)
	delete(gone, "traveler")
	more := reserved(1)
	more["quantity"] = number(3)
	seen := map[string]string{}
	for name, items := range map[string][]item{
		"plain": many(2, reserved)[1:], "another traveler": change("traveler", "Bob"), "between two fields": shift,
		"no traveler": {gone}, "nameless traveler": change("traveler", ""), "quantity": {more}, "dash": change("traveler", "-,"),
		"twice": {reserved(1), reserved(1)}, "another": many(1, reserved), "none": nil,
	} {
		got, err := trip.NewExport(&shelf{items: items}, "r", nil).Export(t.Context(), pages(10))
		if err != nil {
			t.Fatal(err)
		}
		if other, ok := seen[got.Digest]; ok {
			t.Errorf("%q and %q have one digest", name, other)
		}
		seen[got.Digest] = name
	}
	// How a number is written, and what else an item has, is not in it.
	same := reserved(1)
	same["quantity"], same["created_at"] = &types.AttributeValueMemberN{Value: "+002"}, number(77)
	got, err := trip.NewExport(&shelf{items: []item{same}}, "r", nil).Export(t.Context(), trip.ExportInput{})
	if seen[got.Digest] != "plain" || err != nil {
		t.Errorf("Export = %+v, %v, want the digest of the plain one", got, err)
	}
}

func TestExportInput(t *testing.T) {
	t.Parallel()
	m := task.NewMux()
	task.Handle(m, trip.ExportType, trip.NewExport(&shelf{}, "r", nil).Export)
	for input, want := range map[string]string{
		`{}`: "", `{"page_size":1}`: "", `{"page_size":1000}`: "", `{"page_size":null}`: "",
		`{"page_size":0}`:    "page_size is 0: it must be between 1 and 1000",
		`{"page_size":-1}`:   "page_size is -1: it must be between 1 and 1000",
		`{"page_size":1001}`: "page_size is 1001: it must be between 1 and 1000",
		`{"page_size":"5"}`:  "cannot unmarshal", `{"pages":1}`: "unknown field",
	} {
		err := m.Check(trip.ExportType, json.RawMessage(input))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", input, err, want)
		}
	}
	s := &shelf{}
	if _, err := trip.NewExport(s, "r", nil).Export(t.Context(), trip.ExportInput{}); err != nil || *s.scans[0].Limit != 100 {
		t.Errorf("a page has %d items by default (%v)", *s.scans[0].Limit, err)
	}
}

// A checkpoint that no export has left is refused for good, not begun anew.
func TestExportMalformedCheckpoint(t *testing.T) {
	t.Parallel()
	r := &row{}
	e := trip.NewExport(&shelf{items: many(5, reserved)}, "r", quiet())
	if _, err := r.attempt(t.Context(), e, pages(2)); err != nil {
		t.Fatal(err)
	}
	good := string(r.state)
	for name, state := range map[string]string{
		"another type":    `[1]`,
		"empty":           `{}`,
		"no key":          strings.Replace(good, `"pk"`, `"PK_"`, 1),
		"no hash":         `{"count":2,"pages":1,"after":{"pk":"a","sk":"b"}}`,
		"hash cut short":  strings.Replace(good, `"hash":"`, `"hash":"AAAA`, 1),
		"negative count":  strings.Replace(good, `"count":`, `"count":-`, 1),
		"before any page": `{"count":0,"pages":0,"after":{"pk":"a","sk":"b"},"hash":""}`,
	} {
		s := &shelf{items: many(5, reserved)}
		_, err := (&row{state: json.RawMessage(state)}).attempt(t.Context(), trip.NewExport(s, "r", quiet()), pages(2))
		if !task.IsPermanent(err) || len(s.scans) > 0 {
			t.Errorf("%s: %v after %d scans, want a permanent error at once", name, err, len(s.scans))
		}
	}
}

// The checkpoint stays small whatever the keys are.
func TestExportCheckpoint(t *testing.T) {
	t.Parallel()
	long := reserved(1)
	long["pk"], long["sk"] = text("reservation#"+strings.Repeat("x", 2000)), text(strings.Repeat("y", 1024))
	r := &row{}
	if _, err := r.attempt(t.Context(), trip.NewExport(&shelf{items: []item{long}}, "r", nil), pages(1)); err != nil || len(r.state) > task.MaxState {
		t.Errorf("%d bytes, %v", len(r.state), err)
	}
	if r.progress != (task.Advance{Done: 1, Note: "after page 1"}) {
		t.Errorf("callers see %+v", r.progress)
	}
}

func TestExportFails(t *testing.T) {
	t.Parallel()
	wrong := func(name string, v types.AttributeValue) []item {
		it := reserved(1)
		it[name] = v
		return []item{it}
	}
	for name, tt := range map[string]struct {
		shelf     shelf
		err       error // of the checkpoint
		want      error
		code      string
		permanent bool
	}{
		"canceled":              {shelf{items: many(5, reserved)}, task.ErrCanceled, task.ErrCanceled, "", false},
		"lease lost":            {shelf{items: many(5, reserved)}, task.ErrLeaseLost, task.ErrLeaseLost, "", false},
		"table does not answer": {shelf{fails: 1, err: errThrottled}, nil, nil, "reservations_unread", false},
		"quantity of a text":    {shelf{items: wrong("quantity", text("2"))}, nil, nil, "malformed_reservation", true},
		"quantity of a half":    {shelf{items: wrong("quantity", &types.AttributeValueMemberN{Value: "0.5"})}, nil, nil, "malformed_reservation", true},
		"traveler of a number":  {shelf{items: wrong("traveler", number(1))}, nil, nil, "malformed_reservation", true},
		"item of a list":        {shelf{items: wrong("item", &types.AttributeValueMemberL{})}, nil, nil, "malformed_reservation", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &row{err: tt.err}
			_, err := r.attempt(t.Context(), trip.NewExport(&tt.shelf, "r", quiet()), pages(2))
			switch {
			case err == nil || tt.want != nil && !errors.Is(err, tt.want):
				t.Errorf("Export = %v, want %v", err, tt.want)
			case tt.code != "" && task.FailureOf(err).Code != tt.code, task.IsPermanent(err) != tt.permanent:
				t.Errorf("the task fails with %+v", task.FailureOf(err))
			case strings.Contains(err.Error(), "arn:aws"):
				t.Errorf("its caller is told %q", err)
			}
		})
	}
}

// What a checkpoint is told counts, even when the time is over meanwhile.
func TestExportToldTooLate(t *testing.T) {
	t.Parallel()
	for _, told := range []error{task.ErrCanceled, task.ErrLeaseLost} {
		ctx, cancel := context.WithCancel(t.Context())
		r := &row{}
		r.storing = func() {
			if r.stored == 1 {
				r.err = told
				cancel()
			}
		}
		if _, err := r.attempt(ctx, trip.NewExport(&shelf{items: many(9, reserved)}, "r", quiet()), pages(2)); !errors.Is(err, told) {
			t.Errorf("told that %v, it returns %v", told, err)
		}
	}
}

// An export yields while there is time for the worker to settle it, and never
// before it has a newer checkpoint.
func TestExportYields(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		left, takes, margin time.Duration
		scans               int // in one attempt
		want                error
	}{
		"default margin":              {left: 10 * time.Second, takes: time.Second, scans: 9, want: task.ErrYield},
		"margin of its own":           {left: 10 * time.Second, takes: time.Second, margin: 5 * time.Second, scans: 6, want: task.ErrYield},
		"at most half of it":          {left: 2 * time.Second, takes: 300 * time.Millisecond, scans: 4, want: task.ErrYield},
		"one slow page":               {left: 10 * time.Second, takes: 9 * time.Second, scans: 1, want: task.ErrYield},
		"a page slower than margin":   {left: 10 * time.Second, takes: 4 * time.Second, scans: 3, want: task.ErrYield},
		"no page fits: a failed task": {left: 10 * time.Second, takes: 11 * time.Second, scans: 1, want: context.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), tt.left)
				defer cancel()
				s, r := &shelf{items: many(100, reserved), takes: tt.takes}, &row{}
				_, err := r.attempt(ctx, trip.NewExport(s, "r", &trip.ExportOptions{Margin: tt.margin}), pages(1))
				if !errors.Is(err, tt.want) || len(s.scans) != tt.scans {
					t.Errorf("Export = %v after %d pages, want %v after %d", err, len(s.scans), tt.want, tt.scans)
				}
				if errors.Is(err, task.ErrYield) && r.stored == 0 {
					t.Error("it yields without a checkpoint")
				}
			})
		})
	}
}

// Whatever is in the table, whatever the page size, and however an export is
// interrupted: the digest is that of all reservations in one go, and no
// reservation is missing or counted twice.
func TestExportProperty(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		rapid.SyncTest(rt, func(rt *rapid.T) {
			s := &shelf{takes: time.Second}
			for i, kind := range rapid.SliceOfN(rapid.IntRange(0, 3), 0, 60).Draw(rt, "items") {
				s.items = append(s.items, []func(int) item{reserved, reserved, stock, saga}[kind](i))
			}
			size := rapid.IntRange(1, 12).Draw(rt, "page size")
			e := trip.NewExport(s, "r", quiet())
			r := &row{}
			for range 1000 {
				// At most one mishap an attempt; after the tenth page it is over anyway.
				s.fails, s.err, r.err = 0, errThrottled, nil
				switch rapid.IntRange(0, 4).Draw(rt, "mishap") {
				case 0:
					s.fails = 1
				case 1:
					r.err, r.lost = errors.New("the write did not get there"), false
				case 2:
					r.err, r.lost = errors.New("its answer did not get back"), true
				}
				left := time.Duration(rapid.IntRange(1, 20).Draw(rt, "half seconds")) * time.Second / 2
				ctx, cancel := context.WithTimeout(rt.Context(), left)
				before := r.stored
				got, err := r.attempt(ctx, e, pages(size))
				cancel()
				if errors.Is(err, task.ErrYield) && r.stored == before {
					rt.Fatal("it yields without a newer checkpoint")
				}
				if err != nil {
					continue
				}
				count, digest := digestOf(s.items)
				want := trip.ExportResult{Count: count, Pages: int64(len(s.items)/size + 1), Digest: digest}
				if got != want {
					rt.Fatalf("Export = %+v, want %+v", got, want)
				}
				return
			}
			rt.Fatal("it does not end")
		})
	})
}
