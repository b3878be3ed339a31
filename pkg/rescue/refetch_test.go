package rescue_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"

	"github.com/spillway-go/spillway/pkg/event"
	"github.com/spillway-go/spillway/pkg/rescue"
)

// fetch reads a range and returns the sequence numbers that it got.
func fetch(ctx context.Context, s *shard, r rescue.Range) (got []string, f rescue.Fetched, err error) {
	f, err = rescue.NewRefetcher(s).Fetch(ctx, r, func(records []event.StreamRecord) error {
		for _, rec := range records {
			got = append(got, rec.SequenceNumber)
		}
		return nil
	})
	return got, f, err
}

func TestFetch(t *testing.T) {
	t.Parallel()
	expire := func(times int) func(string, int) error {
		return func(operation string, n int) error {
			if operation == "Read" && n%2 == 0 && n <= 2*times {
				return rescue.ErrIterator
			}
			return nil
		}
	}
	tests := []struct {
		name        string
		change      func(*shard)
		first, last int
		want        string
		missing     rescue.Missing
		err         error
	}{
		{name: "in the middle", first: 3, last: 6, want: "[3 4 5 6]"},
		{name: "one record", first: 5, last: 5, want: "[5]"},
		{name: "all", first: 1, last: 10, want: "[1 2 3 4 5 6 7 8 9 10]"},
		{name: "the newest, in an open shard", first: 10, last: 10, want: "[10]"},
		{name: "a closed shard", change: func(s *shard) { s.closed = true }, first: 9, last: 10, want: "[9 10]"},
		{name: "a closed shard that ends early", change: func(s *shard) { s.closed = true }, first: 9, last: 12, want: "[9 10]", missing: rescue.NotYet},
		{name: "empty pages", change: func(s *shard) { s.empty = 9 }, first: 2, last: 7, want: "[2 3 4 5 6 7]"},
		{name: "only empty pages", change: func(s *shard) { s.empty = 100 }, first: 2, last: 7, want: "[]", missing: rescue.NotYet},
		{name: "an end that is not there yet", first: 9, last: 12, want: "[9 10]", missing: rescue.NotYet},
		{name: "iterators expire", change: func(s *shard) { s.fail = expire(3) }, first: 1, last: 10, want: "[1 2 3 4 5 6 7 8 9 10]"},
		{name: "iterators expire for ever", change: func(s *shard) { s.fail = expire(100); s.page = 1 }, first: 1, last: 10, want: "[1 2 3 4 5 6 7 8]", err: rescue.ErrIterator},
		{name: "all dropped", change: func(s *shard) { s.trimmed = 8 }, first: 2, last: 6, want: "[]", missing: rescue.Trimmed},
		{name: "all that there was dropped", change: func(s *shard) { s.trimmed = 10 }, first: 2, last: 6, want: "[]", missing: rescue.Trimmed},
		{name: "the beginning dropped", change: func(s *shard) { s.trimmed = 4 }, first: 2, last: 6, want: "[5 6]", missing: rescue.Trimmed},
		{
			name: "dropped between the calls", first: 2, last: 6, want: "[4 5 6]", missing: rescue.Trimmed,
			change: func(s *shard) {
				s.fail = func(operation string, n int) error {
					if operation == "Read" && n == 1 {
						s.trimmed = 3
					}
					return nil
				}
			},
		},
		{
			name: "dropped while it is read", first: 2, last: 9, want: "[2 3 7 8 9]", missing: rescue.Trimmed,
			change: func(s *shard) {
				s.fail = func(operation string, n int) error {
					if operation == "Read" && n == 2 {
						s.trimmed = 6
					}
					return nil
				}
			},
		},
		{name: "the stream is gone", change: func(s *shard) { s.fail = func(string, int) error { return rescue.ErrGone } }, first: 2, last: 6, want: "[]", missing: rescue.Gone},
		{
			name: "the stream does not answer", first: 2, last: 6, want: "[2 3]", err: errService,
			change: func(s *shard) {
				s.fail = func(operation string, n int) error {
					if operation == "Read" && n == 2 {
						return errService
					}
					return nil
				}
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newShard(10)
				if tt.change != nil {
					tt.change(s)
				}
				got, f, err := fetch(t.Context(), s, rangeOf(tt.first, tt.last))
				if fmt.Sprint(got) != tt.want || f.Missing != tt.missing || f.Records != len(got) || !errors.Is(err, tt.err) {
					t.Errorf("got %v, %+v, %v", got, f, err)
				}
			})
		})
	}
}

func TestFetchEnds(t *testing.T) {
	t.Parallel()
	r := rangeOf(1, 4)
	r.Source = "aws:kinesis"
	if _, err := rescue.NewRefetcher(newShard(1)).Fetch(t.Context(), r, nil); !errors.Is(err, rescue.ErrUnsupported) {
		t.Error(err)
	}
	if _, err := rescue.NewRefetcher(newShard(9)).Fetch(t.Context(), rangeOf(1, 4), func([]event.StreamRecord) error { return errService }); !errors.Is(err, errService) {
		t.Error(err)
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := newShard(2)
		s.fail = func(string, int) error { cancel(); return nil }
		if _, _, err := fetch(ctx, s, rangeOf(1, 4)); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

// Whatever the pages, the trimming and the iterators: what is read is in the
// range, in order and once, and if it is not all of it, that is said.
func TestFetchIsHonest(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := newShard(rapid.IntRange(1, 30).Draw(t, "records"))
		s.page = rapid.IntRange(1, 7).Draw(t, "page")
		first := rapid.IntRange(1, len(s.records)).Draw(t, "first")
		last := rapid.IntRange(first, len(s.records)).Draw(t, "last")
		expires := rapid.IntRange(0, 4).Draw(t, "expires at")
		trims := rapid.IntRange(0, 6).Draw(t, "trims at")
		trimmed := rapid.IntRange(0, len(s.records)).Draw(t, "trimmed")
		s.fail = func(operation string, n int) error {
			if operation == "Read" && n == trims {
				s.trimmed = trimmed
			}
			if operation == "Read" && n == expires {
				return rescue.ErrIterator
			}
			return nil
		}
		if trims == 0 {
			s.trimmed = trimmed
		}
		// In an open shard without records it takes the empty pages, and a while.
		s.closed = trimmed == len(s.records) || rapid.Bool().Draw(t, "closed")
		var want []string
		for n := first; n <= last; n++ {
			want = append(want, fmt.Sprint(n))
		}
		got, f, err := fetch(context.Background(), s, rangeOf(first, last))
		if err != nil {
			t.Fatal(err)
		}
		next := 0
		for _, n := range got {
			i := slices.Index(want, n)
			if i < next {
				t.Fatalf("got %v of %v", got, want)
			}
			next = i + 1
		}
		// It may say so although it is all there: nobody knows what was before the
		// oldest record that is left.
		complete := slices.Equal(got, want)
		if !complete && f.Missing == "" || complete && f.Missing != "" && trimmed == 0 {
			t.Fatalf("got %v of %v, and %q missing", got, want, f.Missing)
		}
	})
}
