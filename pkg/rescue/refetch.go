package rescue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spillway-go/spillway/pkg/event"
	"github.com/spillway-go/spillway/pkg/internal/sleep"
)

// Refetcher reads ranges of streams again.
type Refetcher struct{ streams map[string]Stream }

// NewRefetcher returns a refetcher for these kinds of streams.
func NewRefetcher(streams ...Stream) *Refetcher {
	f := &Refetcher{streams: map[string]Stream{}}
	for _, s := range streams {
		f.streams[s.Source()] = s
	}
	return f
}

// ErrUnsupported says that a range is of a kind of stream that the refetcher
// was not made for.
var ErrUnsupported = errors.New("no such streams can be read here")

// Fetched is how far a range could be read.
type Fetched struct {
	Records int // that were read
	// Missing says what is not among them: nothing when it is empty, else one of
	// the constants below.
	Missing Missing
	pages   int // that were read and taken, whatever was in them
}

// Missing is why a part of a range, or all of it, could not be read.
type Missing string

// What can be missing.
const (
	// Trimmed: the stream has dropped the records.
	Trimmed Missing = "trimmed"
	// Gone: the stream or the shard does not exist any more.
	Gone Missing = "gone"
	// NotYet: the stream has nothing more to give for now. A stream of DynamoDB
	// does not say whether that is its end, so it may be worth another try.
	NotYet Missing = "not_found"
	// TooMany: [Handler] archives no more records for one range.
	TooMany Missing = "too_many"
	// OutOfTime: [Handler] has tried it several times, and did not get to its end.
	OutOfTime Missing = "out_of_time"
)

const (
	// maxPages bounds the calls for one range. A page has up to 1,000 records or
	// 1 MB, and a mapping's batch up to 10,000 records or 6 MB.
	maxPages = 200
	// maxEmpty is after how many empty pages in a row a stream has nothing more
	// to give.
	maxEmpty = 10
	// maxRenewals bounds how often an iterator that has expired is replaced.
	maxRenewals = 3
	// emptyPause is between empty pages: a shard takes five calls a second.
	emptyPause = 200 * time.Millisecond
)

// Fetch reads the records from the first to the last of a range, both included,
// and hands them page by page to each, whose error ends it. A shard may have
// been closed or split since: what was written to it stays in it. When the
// stream has dropped the beginning of the range, what is left of it is read.
// The error is ErrUnsupported, or one of the stream's that another try may get
// past; what each was given before is right in any case.
func (f *Refetcher) Fetch(ctx context.Context, r Range, each func([]event.StreamRecord) error) (Fetched, error) {
	stream := f.streams[r.Source]
	if stream == nil {
		return Fetched{}, fmt.Errorf("%s: %w", r.Source, ErrUnsupported)
	}
	reading := fetch{stream: stream, r: &r, each: each}
	if err := reading.run(ctx); err != nil {
		return reading.out, fmt.Errorf("read %s from %s to %s: %w", r.Stream(), r.First, r.Last, err)
	}
	return reading.out, nil
}

// fetch is one range that is being read.
type fetch struct {
	stream   Stream
	r        *Range
	each     func([]event.StreamRecord) error
	out      Fetched
	last     string // the sequence number that was read last; empty before
	oldest   bool   // the beginning was dropped: it began with what is left
	begun    bool   // the first record of the range was read
	gap      bool   // what follows last was dropped before it was read
	renewals int
}

// run reads until the range is over or nothing more can be read.
func (f *fetch) run(ctx context.Context) error {
	over, err := f.pages(ctx)
	switch {
	case errors.Is(err, ErrTrimmed):
		f.out.Missing = Trimmed
	case errors.Is(err, ErrGone):
		f.out.Missing = Gone
	case err != nil:
		return err
	case !over && f.oldest:
		f.out.Missing = Trimmed
	case !over:
		f.out.Missing = NotYet
	}
	return nil
}

// pages reads page by page, and reports whether the range is over.
func (f *fetch) pages(ctx context.Context) (over bool, err error) {
	iterator, err := f.begin(ctx)
	empty := 0
	for range maxPages {
		if err != nil || iterator == "" { // the shard is closed
			return false, err
		}
		page, err := f.stream.Read(ctx, f.r, iterator)
		if err != nil {
			if iterator, err = f.again(ctx, err); err != nil {
				return false, err
			}
			continue
		}
		if over, err := f.take(page.Records); over || err != nil {
			return over, err
		}
		f.out.pages++
		iterator = page.Next
		if len(page.Records) > 0 {
			empty = 0
			continue
		}
		if empty++; page.Newest || empty == maxEmpty {
			return false, nil
		}
		if err := sleep.For(ctx, emptyPause); err != nil {
			return false, err
		}
	}
	return false, nil
}

// again returns another iterator after a failure, if that can help, and else
// the failure.
func (f *fetch) again(ctx context.Context, err error) (string, error) {
	switch {
	case errors.Is(err, ErrIterator) && f.renewals < maxRenewals:
		f.renewals++
		return f.begin(ctx)
	case errors.Is(err, ErrTrimmed) && f.renewals < maxRenewals: // since the iterator was made
		f.renewals++
		return f.fromOldest(ctx)
	default:
		return "", err
	}
}

// begin returns an iterator over what has not been read yet.
func (f *fetch) begin(ctx context.Context) (string, error) {
	from, sequence := At, f.r.First
	switch {
	case f.last != "":
		from, sequence = After, f.last
	case f.oldest:
		return f.fromOldest(ctx)
	}
	iterator, err := f.stream.Iterator(ctx, f.r, from, sequence)
	if errors.Is(err, ErrTrimmed) {
		return f.fromOldest(ctx)
	}
	return iterator, err
}

// fromOldest returns an iterator over what the stream still has.
func (f *fetch) fromOldest(ctx context.Context) (string, error) {
	f.oldest, f.gap = true, f.last != ""
	return f.stream.Iterator(ctx, f.r, Oldest, "")
}

// take hands over those records that are in the range, and reports whether the
// range is over.
func (f *fetch) take(records []event.StreamRecord) (over bool, err error) {
	first, last := sortable(f.r.First), sortable(f.r.Last)
	inside := make([]event.StreamRecord, 0, len(records))
	for i := range records {
		at := sortable(records[i].SequenceNumber)
		f.begun = f.begun || at == first
		if at >= first && at <= last {
			inside = append(inside, records[i])
		}
		if over = at >= last; over {
			break
		}
	}
	if len(inside) > 0 {
		if err := f.each(inside); err != nil {
			return false, err
		}
		f.out.Records += len(inside)
		f.last = inside[len(inside)-1].SequenceNumber
	}
	// Both ends of a range are records that the function was given. If the first
	// is not there, it was dropped, and perhaps others with it.
	if over && (!f.begun || f.gap) {
		f.out.Missing = Trimmed
	}
	return over, nil
}
