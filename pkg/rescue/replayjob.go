package rescue

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/spillway-go/spillway/internal/id"
	"github.com/spillway-go/spillway/internal/job"
	"github.com/spillway-go/spillway/pkg/internal/sleep"
)

// Errors of a replay.
var (
	// ErrBusy: another replay is running.
	ErrBusy = job.ErrBusy
	// ErrNoReplay: there is no replay with the id that was to be resumed.
	ErrNoReplay = job.ErrNotFound
)

// Kind is what the audit trail calls a replay.
type Kind string

// KindReplay is the kind of all jobs of a [Replayer].
const KindReplay Kind = "stream_replay"

// replayLock keeps two replays from running at once. Its name is that of no
// queue.
const replayLock = "stream.replay"

// replayLease is as long as an invocation can be, and the engine ends a lease
// with its invocation. With a shorter one, a replay that still waits for a slow
// consumer could overlap the next, and hand an older record over after a newer.
const replayLease = 15 * time.Minute

// asked is a request as it is stored, in the form of the other jobs of the
// control table.
type asked struct {
	Kind   Kind `json:"kind"`
	Filter struct {
		IDs []string `json:"ids,omitempty"`
	} `json:"filter"`
	Max       int     `json:"max,omitempty"`
	Rate      float64 `json:"rate,omitempty"`
	By        string  `json:"by,omitempty"`
	RequestID string  `json:"request_id,omitempty"`
}

// entry is what the ledger says of a record.
type entry struct {
	ID      string      `json:"message_id"`
	Outcome job.Outcome `json:"outcome,omitempty"`
	Reason  string      `json:"reason,omitempty"`
}

// Key implements [job.Entry].
func (e entry) Key() string { return e.ID }

// Result implements [job.Entry].
func (e entry) Result() job.Result { return job.Result{Outcome: e.Outcome, Reason: e.Reason} }

// progress is the state of a replay.
type progress struct {
	job.Progress
	More bool `json:"more,omitempty"` // records wait that the request had no room for
}

type (
	engine = job.Engine[asked, *progress, entry]
	jobRun = job.Run[asked, *progress, entry]
)

func newEngine(client JobAPI, table string, opts *Options) *engine {
	return job.New[asked, *progress, entry](client, table, job.Spec[asked, *progress]{
		New: func() *progress { return &progress{} }, Lock: func(asked) string { return replayLock },
	}, job.Options{Lease: replayLease, Logger: opts.Logger})
}

// drive runs the replay as a job: a new one, or the one that is to be resumed.
func (r *replay) drive(ctx context.Context) (err error) {
	if r.request.JobID == "" {
		err = r.start(ctx)
	} else {
		err = r.resume(ctx)
	}
	if err != nil || r.job == nil {
		return err
	}
	j := r.job.Job
	_, err = r.job.Drive(ctx, func(ctx context.Context) (bool, error) {
		through, err := job.Sweep(ctx, r.job, r, job.Bounds{Limit: math.MaxInt, Concurrency: 1, Step: maxHanded})
		j.State.More = r.more
		r.out.Done = through && err == nil && !r.more
		return through, err
	})
	r.out.Status, r.out.StopAsked = j.Status, j.StopAsked()
	return err
}

// start begins a new job. One that is refused has no id.
func (r *replay) start(ctx context.Context) (err error) {
	q, jobID := &r.request, id.New()
	req := asked{Kind: KindReplay, Max: q.Max, Rate: q.Rate, By: job.CleanBy(q.By), RequestID: q.RequestID}
	req.Filter.IDs = q.IDs
	err = whileBusy(ctx, func() error {
		r.job, err = r.jobs.Start(ctx, jobID, req, &progress{Progress: job.Progress{Rate: q.Rate}}, job.Event{What: "begun", By: req.By, RequestID: q.RequestID})
		return err
	})
	if !errors.Is(err, ErrBusy) {
		r.out.JobID = jobID
	}
	return err
}

// busyFor is how long a new replay waits for one that is running, lookAgain how
// often it looks.
const (
	busyFor   = 8 * time.Second
	lookAgain = 250 * time.Millisecond
)

// whileBusy tries again for as long as another replay is running, for at most
// [busyFor] and half of the time that ctx leaves.
func whileBusy(ctx context.Context, try func() error) error {
	until := time.Now().Add(busyFor)
	if end, ok := ctx.Deadline(); ok {
		until = time.Now().Add(min(busyFor, time.Until(end)/2))
	}
	for {
		err := try()
		if !errors.Is(err, ErrBusy) || time.Now().Add(lookAgain).After(until) {
			return err
		}
		if sleep.For(ctx, lookAgain) != nil {
			return err
		}
	}
}

// resume takes the job that is to be resumed, unless it has ended.
func (r *replay) resume(ctx context.Context) error {
	q := &r.request
	j, err := r.jobs.Find(ctx, q.JobID)
	if err != nil {
		return err
	}
	if j.Request.Kind != KindReplay {
		return fmt.Errorf("%w: the job %s is no replay of a stream", ErrNoReplay, j.ID)
	}
	q.IDs, q.Max = j.Request.Filter.IDs, j.Request.Max
	r.out.JobID, r.out.Status = j.ID, j.Status
	if j.Status.Ended() {
		r.out.Done = !j.State.More
		return nil
	}
	if r.job, err = r.jobs.Begin(ctx, j, true); err != nil {
		return err
	}
	line := job.Event{What: "resumed", By: job.CleanBy(q.By), RequestID: q.RequestID}
	if err := r.jobs.Audit(ctx, j.ID, line); err != nil {
		return errors.Join(err, r.job.Leave(ctx, job.Stopped))
	}
	return nil
}

// Next implements [job.Work]. It returns all records at once: the request bounds
// them. What an earlier run of the job has settled counts against its maximum;
// where that run could not mark a record, it is marked now.
func (r *replay) Next(ctx context.Context) (records []Record, end bool, err error) {
	_, settled := r.job.Idle()
	selected, more, err := r.selected(ctx, settled)
	if err != nil {
		return nil, false, err
	}
	for _, rec := range selected {
		e, known := r.job.Known(rec.ID)
		switch {
		case !known || !e.Outcome.Settled():
			records = append(records, rec)
		case rec.State == Archived && e.Outcome == job.Replayed:
			_ = r.mark(ctx, rec.ID, Replayed, "") // logged; the ledger knows it
		case rec.State == Archived:
			_ = r.mark(ctx, rec.ID, Refused, e.Reason)
		}
	}
	r.more, r.out.Matched = more, len(records)
	return records, true, nil
}

// Wants implements [job.Work].
func (r *replay) Wants(Record) bool { return true }

// Intent implements [job.Work].
func (r *replay) Intent(rec Record) entry { return entry{ID: rec.ID} }

// Do implements [job.Work]. A record that there was no time for stays undecided.
func (r *replay) Do(ctx context.Context, records []Record) ([]entry, error) {
	err := r.do(ctx, records)
	if errors.Is(err, errOutOfTime) {
		err = nil
	}
	entries := make([]entry, len(records))
	for i, rec := range records {
		entries[i] = entryOf(rec.ID, r.noted[rec.ID])
	}
	return entries, err
}

// reasonConsumer stands in a ledger for the error of a consumer, of which there
// may be as many as records.
const reasonConsumer = "consumer_failed"

// entryOf is the entry of a record with an outcome; without one it is undecided.
func entryOf(recordID string, o RecordOutcome) entry {
	switch {
	case o.Outcome == OutcomeReplayed:
		return entry{recordID, job.Replayed, ""}
	case o.Outcome == OutcomeRefused && o.Reason != ReasonNotArchived:
		return entry{recordID, job.Dropped, o.Reason}
	case o.Outcome == OutcomeRefused, o.Outcome == OutcomeWaits:
		return entry{recordID, job.Skipped, o.Reason}
	case o.Outcome != OutcomeFailed:
		return entry{ID: recordID}
	case slices.Contains([]string{ReasonNotFound, ReasonNoConsumer, ReasonNoData}, o.Reason):
		return entry{recordID, job.Failed, o.Reason}
	default:
		return entry{recordID, job.Failed, reasonConsumer}
	}
}

// Leave implements [job.Work]. Records are marked as soon as they are decided.
func (r *replay) Leave(context.Context, []Record, []Record) error { return nil }
