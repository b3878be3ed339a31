package batch

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spillway-go/spillway/pkg/event"
	"github.com/spillway-go/spillway/pkg/task"
)

// SQS turns a handler for one message into a Lambda handler for batches from a
// queue, with ReportBatchItemFailures set on the event source mapping. The
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
// A FIFO queue is known by its name. Its messages are worked on in order within
// a message group, and at once across groups, as far as [Options.Concurrency]
// allows. After a message that failed, the rest of its group is handed back
// without having begun, and comes back together with it. One that was rejected
// is out of the way: its group goes on.
//
// The handler returns no error for the failure of messages; its errors are
// [event.ErrMalformed] and [ErrNoID].
func SQS(fn func(ctx context.Context, msg *event.SQSMessage) error, opts *Options) Handler {
	if fn == nil {
		panic("batch: nil handler")
	}
	o := opts.withDefaults()
	return func(ctx context.Context, payload []byte) ([]byte, error) {
		messages, err := event.SQS(payload)
		if err != nil {
			return nil, err
		}
		b := sqsBatch{crew: crew{opts: &o, window: newWindow(ctx, o.Margin)}, fn: fn, messages: messages}
		return b.run(ctx)
	}
}

// sqsBatch is one batch on its way through [SQS].
type sqsBatch struct {
	crew     crew
	fn       func(context.Context, *event.SQSMessage) error
	messages []event.SQSMessage
	fifo     bool
	// Where each message's outcome is, and whose call each outcome comes from;
	// both nil unless a message is in the batch twice.
	callOf []int
	calls  []int
	errs   []error // one for each call
}

func (b *sqsBatch) run(ctx context.Context) ([]byte, error) {
	b.distinct()
	n := len(b.messages)
	if b.calls != nil {
		n = len(b.calls)
	}
	b.crew.work = b
	if b.fifo = n > 0 && strings.HasSuffix(b.messages[0].QueueARN, ".fifo"); b.fifo {
		b.crew.lanes = newLanes(n, func(k int) string { return b.message(k).GroupID })
	}
	b.errs = b.crew.run(ctx, n)
	b.report(ctx)
	b.hide(ctx)
	return Response(b.messages, func(i int) bool { return b.outcome(i) != nil })
}

// do works on one message.
func (b *sqsBatch) do(ctx, recordCtx context.Context, k int) error {
	msg := b.message(k)
	return b.reject(ctx, msg, b.fn(recordCtx, msg))
}

// message is the one that call k is for.
func (b *sqsBatch) message(k int) *event.SQSMessage {
	if b.calls != nil {
		k = b.calls[k]
	}
	return &b.messages[k]
}

// outcome is what became of message i.
func (b *sqsBatch) outcome(i int) error {
	if b.callOf != nil {
		i = b.callOf[i]
	}
	return b.errs[i]
}

func (b *sqsBatch) name(k int) slog.Attr { return slog.String("message_id", b.message(k).MessageID) }

// few is up to how many messages are compared with each other; for more a map
// is quicker.
const few = 32

// distinct plans one call for each message id. A message without an id stands
// for itself.
func (b *sqsBatch) distinct() {
	if len(b.messages) <= few && !b.repeats() {
		return
	}
	b.calls = make([]int, 0, len(b.messages))
	b.callOf = make([]int, len(b.messages))
	seen := make(map[string]int, len(b.messages))
	for i := range b.messages {
		id := b.messages[i].MessageID
		k, twice := seen[id]
		if !twice || id == "" {
			k = len(b.calls)
			seen[id] = k
			b.calls = append(b.calls, i)
		}
		b.callOf[i] = k
	}
}

// repeats reports whether some id is in the batch twice.
func (b *sqsBatch) repeats() bool {
	for i := range b.messages {
		for j := range i {
			if b.messages[i].MessageID == b.messages[j].MessageID {
				return true
			}
		}
	}
	return false
}

// reject sends a message whose error is permanent to the dead-letter queue and
// returns what is left of the error. ctx is the batch's: a rejection may use
// the margin that a handler may not.
func (b *sqsBatch) reject(ctx context.Context, msg *event.SQSMessage, err error) error {
	if err == nil || b.crew.opts.Reject == nil || !task.IsPermanent(err) || b.crew.over() {
		return err // once the batch is over, the message has been named as failed
	}
	if rejectErr := b.crew.opts.Reject.Reject(ctx, msg, err); rejectErr != nil {
		return errors.Join(err, rejectErr)
	}
	b.crew.opts.Logger.WarnContext(ctx, "message rejected", slog.String("message_id", msg.MessageID), logged(err))
	return nil
}

// report logs what failed.
func (b *sqsBatch) report(ctx context.Context) {
	notBegun := 0
	for k, err := range b.errs {
		switch {
		case err == nil:
		case unbegun(err):
			notBegun++
		default:
			msg := b.message(k)
			b.crew.opts.Logger.WarnContext(ctx, "message failed",
				slog.String("message_id", msg.MessageID), slog.Int("receives", max(msg.ReceiveCount, 1)),
				slog.String("code", task.FailureOf(err).Code), logged(err))
		}
	}
	if notBegun > 0 {
		b.crew.opts.Logger.InfoContext(ctx, "messages handed back, not begun",
			slog.Int("messages", notBegun), slog.Duration("longest_record", b.crew.opts.Guard.Longest()))
	}
}

// hide sets when the failed messages come back. A change that fails is logged
// only: that message comes back when the visibility timeout ends.
func (b *sqsBatch) hide(ctx context.Context) {
	if b.crew.opts.Visibility == nil {
		return
	}
	defer func() { // it is a courtesy: the messages come back without it
		if v := recover(); v != nil {
			b.crew.opts.Logger.ErrorContext(ctx, "changing visibilities panicked", logged(&task.PanicError{Value: v}), slog.String("stack", string(debug.Stack())))
		}
	}()
	var changes []Visibility
	var ids []string
	groups := map[string]time.Duration{} // when a FIFO group comes back
	for i := range b.messages {
		err := b.outcome(i)
		if err == nil {
			continue
		}
		msg := &b.messages[i]
		after := b.delay(msg, err)
		if b.fifo { // the rest of a group can't come back before what it follows
			after = max(after, groups[msg.GroupID])
			groups[msg.GroupID] = after
		}
		if msg.ReceiptHandle != "" {
			changes = append(changes, Visibility{Receipt: msg.ReceiptHandle, After: after})
			ids = append(ids, msg.MessageID)
		}
	}
	if len(changes) == 0 {
		return
	}
	if b.crew.window.limited {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, b.crew.window.last)
		defer cancel()
	}
	for k, err := range b.crew.opts.Visibility.ChangeVisibility(ctx, changes) {
		if err != nil && k < len(ids) {
			b.crew.opts.Logger.WarnContext(ctx, "visibility not changed, the message comes back later",
				slog.String("message_id", ids[k]), slog.Any("error", err))
		}
	}
}

// delay returns how long a failed message stays hidden.
func (b *sqsBatch) delay(msg *event.SQSMessage, err error) time.Duration {
	if unbegun(err) {
		return 0
	}
	if d, ok := task.RetryDelay(err); ok {
		return d
	}
	return max(b.crew.opts.Backoff(max(msg.ReceiveCount, 1)), 0)
}
