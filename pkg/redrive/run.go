package redrive

import (
	"context"
	"slices"
	"time"

	"github.com/spillway-go/spillway/internal/job"
)

// stepSize is how many messages SQS takes in one call.
const stepSize = 10

// works are the kinds of jobs that take many steps. Each returns true when the
// job is through, and false when it has to go on later.
var works = map[Kind]func(ctx context.Context, x *run) (through bool, err error){
	KindReplay:  replayLetters,
	KindRetry:   retryTasks,
	KindPurge:   quarantineLetters,
	KindRestore: restoreLetters,
}

// sweepLetters goes through a dead-letter queue, with up to limit letters that
// the job is about. do decides about its letters and returns an entry for each.
func (x *run) sweepLetters(ctx context.Context, letters Inbox, limit int, do func(ctx context.Context, letters []*Letter) ([]Entry, error)) (through bool, err error) {
	s := x.sweepOf(ctx, letters)
	s.patience = s.hide + hideSlack // what a run that died has received comes back
	if at := x.job.State.IdleAt; at > 0 {
		s.idle = time.UnixMilli(at)
	}
	defer s.close(ctx)
	bounds := job.Bounds{Limit: limit, Concurrency: x.opts.Concurrency, Step: stepSize}
	if letters.FIFO() {
		bounds.Concurrency = 1
	}
	w := &letterWork{run: x, sweep: s, do: do}
	through, err = job.Sweep(ctx, x.engineRun, w, bounds)
	if err != nil || !through || !w.ended || x.Room(limit) <= 0 {
		return through, err
	}
	return true, x.giveUp(ctx, s.unseen > 0)
}

// letterWork is one sweep of a job through a dead-letter queue.
type letterWork struct {
	*run
	sweep *sweep
	do    func(context.Context, []*Letter) ([]Entry, error)
	ended bool // the queue has been gone through
}

// Next receives letters, unless all that the plan holds is dealt with. After a
// run that died there may be letters to delete, which only the queue knows.
func (w *letterWork) Next(ctx context.Context) (letters []*Letter, end bool, err error) {
	if idle, known := w.Idle(); idle && w.Tidy && w.plan != nil && known >= len(w.plan.keys) && len(w.missing()) == 0 {
		return nil, true, nil
	}
	letters, w.ended, err = w.sweep.next(ctx)
	if !w.sweep.idle.IsZero() {
		w.job.State.IdleAt = w.sweep.idle.UnixMilli()
	}
	return letters, w.ended, err
}

// clockSkew is what the clocks of SQS and of this process may differ by. What
// comes within it is told apart by its run.
const clockSkew = time.Second

// Wants reports whether a letter is the job's business: there before the job,
// and in its plan, or else selected by its filter. What comes later may be what
// the job itself has replayed, and what failed again.
func (w *letterWork) Wants(l *Letter) bool {
	if _, known := w.Known(l.MessageID); known || l.SentAt.After(w.job.Created.Add(clockSkew)) {
		return false
	}
	if w.plan != nil && !w.plan.holds(l) || w.plan == nil && !w.job.Request.Filter.matches(l.subject(), w.job.Created) {
		return false
	}
	w.sweep.idle = time.Time{}
	return true
}

func (w *letterWork) Intent(l *Letter) Entry { return intentOf(l) }

func (w *letterWork) Do(ctx context.Context, letters []*Letter) ([]Entry, error) {
	entries, err := w.do(ctx, letters)
	w.tasks.put(entries)
	return entries, err
}

// Leave deletes settled letters, and keeps the rest hidden until the sweep is
// over.
func (w *letterWork) Leave(ctx context.Context, settled, rest []*Letter) error {
	for _, l := range rest {
		w.sweep.hold(l.ReceiptHandle)
	}
	all, err := w.sweep.discard(ctx, settled)
	if !all {
		w.Untidy()
	}
	return err
}

// missing returns what the plan holds and no sweep has found.
func (x *run) missing() []string {
	if x.plan == nil {
		return nil
	}
	var keys []string
	for _, key := range x.plan.keys {
		_, known := x.Known(key)
		if id, _, isTask := taskOf(key); isTask {
			_, known = x.tasks.of(id)
		}
		if !known {
			keys = append(keys, key)
		}
	}
	return keys
}

// giveUp writes down what the plan holds and the queue does not, or not in
// reach of this job.
func (x *run) giveUp(ctx context.Context, heldByOthers bool) error {
	reason := ReasonGone
	if heldByOthers {
		reason = ReasonInFlight
	}
	var entries []Entry
	for _, key := range x.missing() {
		e := Entry{Outcome: Skipped, Reason: reason}
		if id, run, isTask := taskOf(key); isTask {
			e.TaskID, e.Run = id, run
		} else {
			e.MessageID = key
		}
		entries = append(entries, e)
	}
	for part := range slices.Chunk(entries, 500) {
		if _, err := x.Step(ctx, part, func(context.Context) ([]Entry, error) { return part, nil }); err != nil {
			return err
		}
	}
	return nil
}
