package rescue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"

	"golang.org/x/sync/errgroup"

	"github.com/spillway-go/spillway/pkg/archive"
	"github.com/spillway-go/spillway/pkg/batch"
	"github.com/spillway-go/spillway/pkg/event"
	"github.com/spillway-go/spillway/pkg/task"
)

// Handler returns the Lambda handler of the queue that mappings of streams send
// their failed ranges to. For each message it reads the range again, while the
// stream still has it, archives the records in it that [Options.Keep] keeps,
// then the range itself, and only then acknowledges the message. All of it may
// be repeated: what is in the archive stays there as it is.
//
// A range may hold records that are fine, since Lambda does not always find the
// one that is not: all are archived, and a replay decides. A text that is no
// failure document is archived as it is, [Malformed]; what the stream has
// dropped is noted as [Expired] or [Partial], for no retry brings it back.
// Whatever else fails is noted as [Pending], and goes back to the queue.
//
// A message is not trusted to say how large its range is: at most 10,000 records
// are archived for it, which is the largest batch of a mapping, and a range that
// has been begun several times without reaching its end is left [Partial].
func Handler(kept *archive.Archive, streams *Refetcher, opts *Options) batch.Handler {
	h := &handler{kept: kept, streams: streams, opts: opts.withDefaults()}
	return batch.SQS(h.message, &batch.Options{Visibility: h.opts.Visibility, Logger: h.opts.Logger})
}

type handler struct {
	kept    *archive.Archive
	streams *Refetcher
	opts    Options
}

const (
	// patience is how often a range is tried whose end the stream does not have:
	// it may only be slow to say so. It is also how often one may take longer
	// than there is time.
	patience = 3
	// maxArchived bounds the records that are archived for one message.
	maxArchived = 10_000
)

// errTooMany ends the reading of a range.
var errTooMany = errors.New("too many records")

func (h *handler) message(ctx context.Context, msg *event.SQSMessage) error {
	r, err := ParseFailureDocument([]byte(msg.Body))
	if err != nil {
		return h.malformed(ctx, msg, err)
	}
	archived := 0
	fetched, err := h.streams.Fetch(ctx, r, func(records []event.StreamRecord) error {
		records = h.wanted(records)
		room := min(len(records), maxArchived-archived)
		if err := h.archive(ctx, &r, records[:room]); err != nil {
			return err
		}
		archived += room
		if room < len(records) {
			return errTooMany
		}
		return nil
	})
	state := Rescued
	switch {
	case errors.Is(err, ErrUnsupported):
		state = Unsupported
	case errors.Is(err, errTooMany):
		state, fetched.Missing = Partial, TooMany
	case err != nil && msg.ReceiveCount > patience && fetched.pages > 0 && errors.Is(ctx.Err(), context.DeadlineExceeded):
		// It is not that nothing answers: this range has no end.
		state, fetched.Missing = Partial, OutOfTime
	case err != nil:
		return h.pending(ctx, &r, archived, msg.Body, err)
	case fetched.Missing == NotYet && msg.ReceiveCount < patience:
		return h.pending(ctx, &r, archived, msg.Body,
			fmt.Errorf("the stream %s has no more of the range up to %s, after %d records", r.Stream(), r.Last, fetched.Records))
	case fetched.Missing != "" && fetched.Records > 0:
		state = Partial
	case fetched.Missing != "":
		state = Expired
	}
	fetched.Records = archived
	write, cancel := lastly(ctx)
	defer cancel()
	// Overwrites: a later attempt knows more.
	if err := h.kept.PutAll(write, []archive.Item{h.opts.rangeItem(&r, archived, state, string(fetched.Missing), msg.Body)})[0]; err != nil {
		return h.pending(ctx, &r, archived, msg.Body, err)
	}
	h.report(ctx, &r, fetched, state)
	return nil
}

// wanted are those of some records that the consumer would have got.
func (h *handler) wanted(records []event.StreamRecord) []event.StreamRecord {
	if h.opts.Keep == nil {
		return records
	}
	wanted := make([]event.StreamRecord, 0, len(records))
	for i := range records {
		if h.opts.Keep(&records[i]) {
			wanted = append(wanted, records[i])
		}
	}
	return wanted
}

// pending notes a range that goes back to the queue, unless something is noted
// of it already, and returns the cause: nobody else tells of it until its
// records are gone. The note is not needed to go on.
func (h *handler) pending(ctx context.Context, r *Range, archived int, body string, cause error) error {
	ctx, cancel := lastly(ctx)
	defer cancel()
	_, _ = h.kept.Put(ctx, h.opts.rangeItem(r, archived, Pending, publicText(cause), body))
	return cause
}

// lastly is a context for what is written down in the end, whose time has not
// run out with that of the work. Call cancel.
func lastly(ctx context.Context) (_ context.Context, cancel context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), spare)
}

// report logs what has become of a range.
func (h *handler) report(ctx context.Context, r *Range, f Fetched, state RangeState) {
	attrs := []slog.Attr{
		slog.String("stream", r.Stream()), slog.String("shard_id", r.ShardID), slog.String("first", r.First), slog.String("last", r.Last),
		slog.String("condition", r.Condition), slog.String("consumer", r.Function), slog.Int("records", f.Records), slog.String("state", string(state)),
	}
	if left, ok := h.opts.timeLeft(r); ok {
		attrs = append(attrs, slog.Float64("seconds_left", left.Seconds()))
	}
	if state == Rescued {
		h.opts.Logger.LogAttrs(ctx, slog.LevelWarn, "range of a stream archived", attrs...)
		return
	}
	attrs = append(attrs, slog.String("missing", string(f.Missing)))
	h.opts.Logger.LogAttrs(ctx, slog.LevelError, "range of a stream not archived, or not all of it", attrs...)
}

// atOnce is how many records are archived at the same time.
const atOnce = 8

func (h *handler) archive(ctx context.Context, r *Range, records []event.StreamRecord) error {
	why := Record{
		Consumer: r.Function, ArchivedBy: ByRange, Attempts: r.Attempts,
		Error: Error{Code: cmp.Or(r.Condition, "unknown"), Message: r.reason()},
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i := range records {
		group.Go(func() error { return h.opts.archive(ctx, h.kept, &records[i], why) })
	}
	return group.Wait()
}

// reason is what a document says about why the range failed, for people.
func (r *Range) reason() string {
	what := "the function reported it as failed"
	if r.FunctionError != "" {
		what = "function error " + r.FunctionError
	}
	return task.CleanText(fmt.Sprintf("%s; %d attempts; range %s to %s", what, r.Attempts, r.First, r.Last), maxMessage)
}

// malformed archives a message that is no failure document.
func (h *handler) malformed(ctx context.Context, msg *event.SQSMessage, cause error) error {
	meta := map[string]string{"state": string(Malformed), "reason": task.CleanText(cause.Error(), maxMessage), "message_id": msg.MessageID}
	id := "malformed-" + digest(8, msg.MessageID, msg.Body)
	if err := h.kept.PutAll(ctx, []archive.Item{newItem(groupRanges, id, meta, msg.Body, h.opts.Retention)})[0]; err != nil {
		return err
	}
	// Without the cause, which may quote the message and is archived with it.
	h.opts.Logger.ErrorContext(ctx, "not a failure document, archived as it is", slog.String("message_id", msg.MessageID), slog.String("range", id))
	return nil
}
