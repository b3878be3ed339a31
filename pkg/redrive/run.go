package redrive

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/spillway-go/spillway/pkg/internal/sleep"
)

// run is one process's work on a job: until the job is done, or the time of
// its invocation is over.
type run struct {
	*Redrive
	job  *job
	plan *plan // nil for a job without one

	tidy bool // whoever ran it before has deleted what it had dealt with

	mu      sync.Mutex
	rec     *record       // what is settled, and what this run has found out
	taken   int           // messages in a step under way
	longest time.Duration // step
	kept    time.Time     // when the lease was last renewed
	over    Status        // what to leave the job as; empty while it goes on
}

// begin takes a job and reads what has been done.
func (r *Redrive) begin(ctx context.Context, j *job, anew bool) (*run, error) {
	if err := r.take(ctx, j, anew); err != nil {
		return nil, err
	}
	rec, err := r.ledger(ctx, j)
	if err != nil {
		return nil, errors.Join(err, r.leave(ctx, j, Stopped))
	}
	x := &run{Redrive: r, job: j, rec: rec.settled(), kept: time.Now()}
	x.tidy = j.tidy || len(x.rec.entries) == 0
	if x.plan, err = r.plan(ctx, j); err != nil {
		return nil, errors.Join(err, r.leave(ctx, j, Stopped))
	}
	if j.StartedAt == 0 {
		j.StartedAt = time.Now().UnixMilli()
	}
	j.Note = ""
	if j.stop { // in the middle of the hop
		x.over = Stopped
	}
	return x, nil
}

// work does what a kind of job is about. It returns true when the job is
// through, and false when [run.goesOn] said no.
type work func(ctx context.Context, x *run) (through bool, err error)

// workOf is what the kinds of jobs that take time are about.
func workOf(kind Kind) work {
	switch kind {
	case KindRetry:
		return retryTasks
	case KindPurge:
		return quarantineLetters
	case KindRestore:
		return restoreLetters
	default:
		return replayLetters
	}
}

// drive runs a job as far as the time goes, and leaves it in order.
func (x *run) drive(ctx context.Context) (*Report, error) {
	j := x.job
	through, err := workOf(j.request.Kind)(ctx, x)
	if errors.Is(err, errLost) {
		return nil, fmt.Errorf("%w: %s went on elsewhere", ErrBusy, j.id)
	}
	ctx, cancel := closing(ctx)
	defer cancel()
	j.Counts = x.rec.counts
	status := x.over
	switch {
	case err != nil && !errors.Is(err, errNoTime) && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled):
		status = Stopped
		j.Note = noteStopped
		x.opts.Logger.ErrorContext(ctx, "job stopped", slog.String("job_id", j.id), slog.Any("error", err))
	case status != "":
		err = nil
	case through && err == nil:
		status = Done
	default:
		status, err = x.next(), nil
	}
	j.Hops++
	if leaveErr := x.leave(ctx, j, status); leaveErr != nil {
		return nil, errors.Join(err, leaveErr)
	}
	if status != Running {
		err = errors.Join(err, x.event(ctx, j, string(status), "", ""))
		x.followed(ctx, j)
		return j.report(), err
	}
	if contErr := x.opts.Continue(ctx, j.id, j.Hops); contErr != nil {
		// It is stalled until somebody resumes it.
		x.opts.Logger.ErrorContext(ctx, "job not continued", slog.String("job_id", j.id), slog.Any("error", contErr))
	}
	return j.report(), nil
}

// noteStopped is the note of a job that an error has stopped. What AWS said is
// in the log only.
const noteStopped = "stopped by a call to AWS that failed; the function's log says which"

// next is the state of a job whose time is over.
func (x *run) next() Status {
	switch {
	case x.opts.Continue == nil:
		return Stopped
	case x.job.Hops+1 >= x.opts.MaxHops:
		x.job.Note = "it took as many invocations as a job may; resume it if it should go on"
		return Stopped
	default:
		return Running
	}
}

// keepEvery is how often a running job writes how far it is. Its lease is much
// longer.
const keepEvery = 2 * time.Second

// goesOn reports whether the job may do another step: it has the time, and
// nobody has asked it to stop. Now and then it writes how far the job is.
func (x *run) goesOn(ctx context.Context) (bool, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.over != "" || !inTime(ctx, x.longest) {
		return false, nil
	}
	if time.Since(x.kept) < keepEvery {
		return true, nil
	}
	x.job.Counts = x.rec.counts
	if err := x.keep(ctx, x.job); err != nil {
		return false, err
	}
	x.kept = time.Now()
	if x.job.stop {
		x.over = Stopped
		return false, nil
	}
	return true, nil
}

// errNoTime says that a job has to stop here: its time is over, or somebody has
// asked it to.
var errNoTime = errors.New("no time left")

// await returns when a moment has come, or errNoTime if the job does not get
// that far.
func (x *run) await(ctx context.Context, at time.Time) error {
	for {
		left := time.Until(at)
		if left <= 0 {
			return ctx.Err()
		}
		if more, err := x.goesOn(ctx); err != nil || !more {
			return errors.Join(err, errNoTime)
		}
		if err := sleep.For(ctx, min(left, time.Second)); err != nil {
			return err
		}
	}
}

// room is how many more messages may be taken.
func (x *run) room(limit int) int {
	x.mu.Lock()
	defer x.mu.Unlock()
	c := &x.rec.counts
	return limit - c.Replayed - c.Quarantined - c.Restored - x.taken
}

func (x *run) take1() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.taken++
}

// record does one step: what is intended is written down first, then it is
// done, then what was done is written down. Only after that may anything be
// deleted.
func (x *run) record(ctx context.Context, intents []Entry, do func(ctx context.Context) ([]Entry, error)) (entries []Entry, err error) {
	begun := time.Now()
	defer func() {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.taken -= len(intents)
		x.longest = max(x.longest, time.Since(begun))
		for _, e := range entries {
			x.rec.put(e)
		}
	}()
	name, err := x.intend(ctx, x.job, intents)
	if err != nil {
		return nil, err
	}
	if entries, err = do(ctx); err != nil {
		return nil, err
	}
	if err := x.conclude(ctx, x.job, name, entries); err != nil {
		return nil, err
	}
	return entries, nil
}

// known returns what is known about a message.
func (x *run) known(key string) (Entry, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.rec.of(key)
}

// knownTask returns what is known about a task.
func (x *run) knownTask(id string) (Entry, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	i, known := x.rec.tasks[id]
	if !known {
		return Entry{}, false
	}
	return x.rec.entries[i], true
}

// missing returns what the plan holds and nobody has found.
func (x *run) missing() []string {
	if x.plan == nil {
		return nil
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	var keys []string
	for _, key := range x.plan.keys {
		if !x.rec.dealtWith(key) {
			keys = append(keys, key)
		}
	}
	return keys
}

// swept is whether all that the plan holds is dealt with. After a run that died
// there may be letters to delete, which only the queue knows.
func (x *run) swept() bool {
	x.mu.Lock()
	enough := x.tidy && x.plan != nil && x.taken == 0 && len(x.rec.entries) >= len(x.plan.keys)
	x.mu.Unlock()
	return enough && len(x.missing()) == 0
}

// sweepLetters goes through a dead-letter queue, in steps, with up to limit
// letters that the job is about. do decides about its letters and returns an
// entry for each. It returns true when there are no more, or limit is reached.
func (x *run) sweepLetters(ctx context.Context, letters Inbox, limit int, do func(ctx context.Context, letters []*Letter) ([]Entry, error)) (through bool, err error) {
	s := x.sweepOf(ctx, letters)
	s.patience = s.hide + hideSlack // what a run that died has received comes back
	if x.job.IdleAt > 0 {
		s.idle = time.UnixMilli(x.job.IdleAt)
	}
	defer s.close(ctx)
	concurrency := x.opts.Concurrency
	if letters.FIFO() {
		concurrency = 1
	}
	c := newCrew(x, concurrency, func(ctx context.Context, batch []*Letter) error {
		return x.step(ctx, s, batch, do)
	})
	defer func() {
		err = errors.Join(err, c.wait())
		x.job.PacedAt = c.pace.at()
		for _, l := range c.pending {
			s.hold(l.ReceiptHandle) // never begun
			x.mu.Lock()
			x.taken--
			x.mu.Unlock()
		}
	}()
	for {
		if more, err := x.goesOn(ctx); err != nil || !more {
			return false, err
		}
		if x.room(limit) <= 0 || x.swept() {
			// What is under way may turn out to be skipped, and make room.
			if err := errors.Join(c.flush(ctx), c.wait()); err != nil {
				return false, err
			}
			if x.room(limit) <= 0 || x.swept() {
				return true, nil
			}
		}
		found, end, err := s.next(ctx)
		if err != nil {
			return false, err
		}
		if err := x.spread(ctx, s, c, found, limit); err != nil {
			return false, err
		}
		if len(found) == 0 || c.pace.every > 0 && c.pace.size() < stepSize {
			if err := c.flush(ctx); err != nil {
				return false, err
			}
		}
		if end {
			if err := errors.Join(c.flush(ctx), c.wait()); err != nil {
				return false, err
			}
			return true, x.giveUp(ctx, s.unseen > 0)
		}
		if !s.idle.IsZero() {
			x.mu.Lock()
			x.job.IdleAt = s.idle.UnixMilli()
			x.mu.Unlock()
		}
	}
}

// spread hands letters to the steps, or to whoever else deals with them.
func (x *run) spread(ctx context.Context, s *sweep, c *crew[*Letter], found []*Letter, limit int) error {
	var finished []*Letter
	for i, l := range found {
		e, known := x.known(l.MessageID)
		switch {
		case known && e.Outcome.settled():
			// A run that died has dealt with it and could not delete it.
			finished = append(finished, l)
		case !known && x.wants(l) && x.room(limit) > 0:
			s.idle = time.Time{}
			x.take1()
			if err := c.add(ctx, l); err != nil {
				for _, l := range found[i+1:] {
					s.hold(l.ReceiptHandle)
				}
				return errors.Join(err, s.discard(ctx, finished))
			}
		default:
			s.hold(l.ReceiptHandle)
		}
	}
	return s.discard(ctx, finished)
}

// wants reports whether a letter is the job's business: there before the job,
// and in its plan, or else selected by its filter. What comes later may be what
// the job itself has replayed, and what failed again.
func (x *run) wants(l *Letter) bool {
	if l.SentAt.After(x.job.created.Add(clockSkew)) {
		return false
	}
	if x.plan != nil {
		return x.plan.holds(l)
	}
	return x.job.request.Filter.matches(l.subject(), x.job.created)
}

// clockSkew is what the clocks of SQS and of this process may differ by. What
// comes within it is told apart by its run.
const clockSkew = time.Second

// step does one step and deletes the letters that it has dealt with.
func (x *run) step(ctx context.Context, s *sweep, batch []*Letter, do func(context.Context, []*Letter) ([]Entry, error)) error {
	intents := make([]Entry, len(batch))
	for i, l := range batch {
		intents[i] = Entry{MessageID: l.MessageID, TaskID: l.TaskID(), Fingerprint: l.Failure.Fingerprint}
	}
	entries, err := x.record(ctx, intents, func(ctx context.Context) ([]Entry, error) { return do(ctx, batch) })
	var settled []*Letter
	for i, l := range batch {
		if err == nil && entries[i].Outcome.settled() {
			settled = append(settled, l)
		} else {
			s.hold(l.ReceiptHandle)
		}
	}
	return errors.Join(err, s.discard(ctx, settled))
}

// giveUp writes down what the plan holds and the queue does not, or not in
// reach of this job.
func (x *run) giveUp(ctx context.Context, heldByOthers bool) error {
	keys := x.missing()
	reason := ReasonGone
	if heldByOthers {
		reason = ReasonInFlight
	}
	for len(keys) > 0 {
		n := min(len(keys), 500)
		entries := make([]Entry, n)
		for i, key := range keys[:n] {
			entries[i] = Entry{Outcome: Skipped, Reason: reason}
			if id, run, isTask := taskOf(key); isTask {
				entries[i].TaskID, entries[i].Run = id, run
			} else {
				entries[i].MessageID = key
			}
		}
		x.mu.Lock()
		x.taken += n
		x.mu.Unlock()
		if _, err := x.record(ctx, entries, func(context.Context) ([]Entry, error) { return entries, nil }); err != nil {
			return err
		}
		keys = keys[n:]
	}
	return nil
}
