package batch

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/spillway-go/spillway/pkg/task"
)

// SQS turns a handler for one message of a standard queue into a handler for
// batches, with ReportBatchItemFailures set on the event source mapping. The
// messages that fail are named in the response, only they come back.
//
// What the handler returns decides:
//
//	nil                       done, the message is deleted
//	error                     comes back after [Options.Backoff]
//	task.RetryAfter(d, err)   comes back after d
//	task.Permanent(err)       goes to the dead-letter queue at once
//
// The second and third need [Options.Visibility], the last [Options.Reject];
// their comments say what happens without. Two deliveries of one message in the
// same batch share one call and its outcome. See [Each] for concurrency, panics
// and time-outs.
//
// The batch handler is safe for concurrent use. It returns no error for the
// failure of records; the only one is [ErrNoMessageID].
func SQS(
	fn func(ctx context.Context, rec *events.SQSMessage) error, opts *Options,
) func(context.Context, events.SQSEvent) (events.SQSEventResponse, error) {
	o := opts.withDefaults()
	return func(ctx context.Context, ev events.SQSEvent) (events.SQSEventResponse, error) {
		b := sqsBatch{opts: &o, records: ev.Records, window: newWindow(ctx, o.Margin)}
		b.distinct()
		errs := each(ctx, len(b.calls), &o, b.window, func(recordCtx context.Context, k int) error {
			return b.process(ctx, recordCtx, &b.records[b.calls[k]], fn)
		}, func(k int) slog.Attr {
			return slog.String("message_id", b.records[b.calls[k]].MessageId)
		})
		b.report(ctx, errs)
		b.hide(ctx, errs)
		return Response(b.records, func(i int) bool { return errs[b.callOf[i]] != nil })
	}
}

// sqsBatch is one batch on its way through [SQS].
type sqsBatch struct {
	opts    *Options
	window  window
	records []events.SQSMessage
	calls   []int // index of the record that each call of the handler is for
	callOf  []int // index into calls for each record
}

// distinct plans one call for each message id. A record without an id stands
// for itself.
func (b *sqsBatch) distinct() {
	b.calls = make([]int, 0, len(b.records))
	b.callOf = make([]int, len(b.records))
	seen := make(map[string]int, len(b.records))
	for i := range b.records {
		id := b.records[i].MessageId
		k, dup := seen[id]
		if !dup || id == "" {
			k = len(b.calls)
			seen[id] = k
			b.calls = append(b.calls, i)
		}
		b.callOf[i] = k
	}
}

// process works on one record. The rejection has the batch's context: it may
// use the margin that a handler may not.
func (b *sqsBatch) process(
	batchCtx, ctx context.Context, rec *events.SQSMessage, fn func(context.Context, *events.SQSMessage) error,
) error {
	err := fn(ctx, rec)
	if err == nil || b.opts.Reject == nil || !task.IsPermanent(err) {
		return err
	}
	if rejectErr := b.opts.Reject.Reject(batchCtx, rec, err); rejectErr != nil {
		return errors.Join(err, rejectErr)
	}
	b.opts.Logger.WarnContext(ctx, "message rejected",
		slog.String("message_id", rec.MessageId), slog.Any("error", err))
	return nil
}

// report logs what failed.
func (b *sqsBatch) report(ctx context.Context, errs []error) {
	notBegun := 0
	for k, err := range errs {
		switch {
		case err == nil:
		case errors.Is(err, ErrNotBegun):
			notBegun++
		default:
			rec := &b.records[b.calls[k]]
			b.opts.Logger.WarnContext(ctx, "message failed",
				slog.String("message_id", rec.MessageId), slog.Int("receives", receives(rec)),
				slog.String("code", task.FailureOf(err).Code), slog.Any("error", err))
		}
	}
	if notBegun > 0 {
		b.opts.Logger.InfoContext(ctx, "messages handed back, too little time left",
			slog.Int("messages", notBegun), slog.Duration("expected", b.opts.Guard.Longest()))
	}
}

// hide sets when the failed messages come back. A change that fails is logged
// only: that message comes back when the visibility timeout ends.
func (b *sqsBatch) hide(ctx context.Context, errs []error) {
	if b.opts.Visibility == nil {
		return
	}
	var changes []Visibility
	var ids []string
	for i := range b.records {
		err := errs[b.callOf[i]]
		if err == nil || b.records[i].ReceiptHandle == "" {
			continue
		}
		rec := &b.records[i]
		changes = append(changes, Visibility{Receipt: rec.ReceiptHandle, After: b.delay(rec, err)})
		ids = append(ids, rec.MessageId)
	}
	if len(changes) == 0 {
		return
	}
	if b.window.limited {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, b.window.last)
		defer cancel()
	}
	for k, err := range b.opts.Visibility.ChangeVisibility(ctx, changes) {
		if err != nil && k < len(ids) {
			b.opts.Logger.WarnContext(ctx, "visibility not changed, the message comes back later",
				slog.String("message_id", ids[k]), slog.Any("error", err))
		}
	}
}

// delay returns how long a failed message stays hidden.
func (b *sqsBatch) delay(rec *events.SQSMessage, err error) time.Duration {
	if errors.Is(err, ErrNotBegun) {
		return 0
	}
	if d, ok := task.RetryDelay(err); ok {
		return d
	}
	return max(b.opts.Backoff(receives(rec)), 0)
}

// receives returns how often the message was received, this time included.
func receives(rec *events.SQSMessage) int {
	n, err := strconv.Atoi(rec.Attributes["ApproximateReceiveCount"])
	if err != nil {
		return 1
	}
	return max(n, 1)
}
