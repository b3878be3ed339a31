package rescue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/spillway-go/spillway/pkg/archive"
	"github.com/spillway-go/spillway/pkg/task"
)

// Replayer hands archived records to their consumers again.
type Replayer struct {
	kept      *archive.Archive
	positions *Positions
	consumers Consumers
	jobs      *engine
	opts      Options
}

// NewReplayer returns a replayer of what an archive has. Its jobs are in a table
// like that of the positions, with the TTL attribute expires_at. Nil opts are
// defaults.
func NewReplayer(jobs JobAPI, table string, kept *archive.Archive, positions *Positions, consumers Consumers, opts *Options) *Replayer {
	o := opts.withDefaults()
	return &Replayer{kept: kept, positions: positions, consumers: consumers, jobs: newEngine(jobs, table, &o), opts: o}
}

const (
	defaultMax = 100
	maxMax     = 1000
	// maxHanded bounds the records of one call to a consumer, and maxHandedBytes
	// their size: Lambda takes 6 MB.
	maxHanded      = 50
	maxHandedBytes = 4 << 20
)

// Replay hands records to their consumers again, those of one stream in the
// order of the stream.
//
//   - A record is refused for good when a later one of its key, or the record
//     itself, has been worked on meanwhile, see [Positions].
//   - One that fails again stays in the archive, with the new reason, and the
//     later ones of its key that were selected wait: to work on those first
//     would make it stale. Select them by id to do it nevertheless.
//   - One whose data S3 does not give fails as well, and the others go on.
//   - One whose outcome cannot be written down is replayed all the same. Its
//     position then tells the next replay, if its consumer has one: delivery is
//     at least once.
//
// Each replay that is no dry run is a job: one runs at a time, and the error is
// [ErrBusy] while another does. It can be stopped and resumed, and its ledger
// says what was done.
//
// When ctx has a deadline the replay ends before that, with Done false; resume it
// to go on. The error says why it ended early; what had been done is in the
// Replay all the same.
func (r *Replayer) Replay(ctx context.Context, q ReplayRequest) (Replay, error) {
	run := &replay{Replayer: r, request: q, blocked: map[string]bool{}, noted: map[string]RecordOutcome{}}
	run.out.Records = []RecordOutcome{}
	if q.DryRun {
		records, more, err := run.selected(ctx, 0)
		if err == nil {
			err = run.do(ctx, records)
		}
		run.out.Matched, run.out.Done = len(records), err == nil && !more
		if errors.Is(err, errOutOfTime) {
			err = nil
		}
		return run.out, err
	}
	return run.out, run.drive(ctx)
}

// replay is one replay on its way.
type replay struct {
	*Replayer
	request ReplayRequest
	job     *jobRun // nil in a dry run
	more    bool    // records wait that the request has no room for
	out     Replay
	noted   map[string]RecordOutcome // by record
	blocked map[string]bool          // keys with a record that failed
	longest time.Duration            // that a call to a consumer has taken
}

// candidate is a record that may be handed over.
type candidate struct {
	Record
	data json.RawMessage
}

// do decides about records, one after the other, and hands over what it may.
func (r *replay) do(ctx context.Context, records []Record) error {
	var hand []*candidate // for one consumer, in order
	size := 0
	for len(records) > 0 {
		if err := r.inTime(ctx); err != nil {
			return err
		}
		next := records[0]
		full := len(hand) == maxHanded || size+next.Size > maxHandedBytes
		if len(hand) > 0 && (full || hand[0].Consumer != next.Consumer || hand[0].StreamARN != next.StreamARN) {
			if err := r.handOver(ctx, hand); err != nil {
				return err
			}
			hand, size = nil, 0
			continue
		}
		records = records[1:]
		ready, err := r.consider(ctx, next)
		if err != nil {
			return err
		}
		if ready != nil {
			hand = append(hand, ready)
			size += next.Size
		}
	}
	return r.handOver(ctx, hand)
}

// selected finds the records to replay, in the order of their streams, and
// whether there are more of them than the request's maximum. A record that was
// asked for and is not in the archive has no state. Of the records that wait,
// settled have been replayed by an earlier run.
func (r *replay) selected(ctx context.Context, settled int) (records []Record, more bool, err error) {
	limit := r.request.Max
	if limit <= 0 {
		limit = defaultMax
	}
	limit = min(limit, maxMax)
	if len(r.request.IDs) == 0 {
		limit = max(limit-settled, 0)
		waiting, _, err := r.find(ctx, limit+1, 0)
		return waiting[:min(len(waiting), limit)], len(waiting) > limit, err
	}
	ids := slices.Compact(slices.Sorted(slices.Values(r.request.IDs)))
	for _, id := range ids[:min(len(ids), limit)] {
		it, err := r.kept.Get(ctx, groupRecords, id)
		switch {
		case errors.Is(err, archive.ErrNotFound):
			records = append(records, Record{ID: id})
		case err != nil:
			return nil, false, err
		default:
			records = append(records, recordOf(it))
		}
	}
	return records, len(ids) > limit, nil
}

// inTime returns errOutOfTime if there is no time for another call to a
// consumer, or if the job has to end.
func (r *replay) inTime(ctx context.Context) error {
	deadline, limited := ctx.Deadline()
	if ctx.Err() != nil || limited && time.Until(deadline) <= 2*r.longest+spare {
		return errOutOfTime
	}
	if r.job == nil {
		return nil
	}
	if more, err := r.job.GoesOn(ctx); err != nil || more {
		return err
	}
	return errOutOfTime
}

// spare is left for what follows a call to a consumer.
const spare = 2 * time.Second

// consider returns a record that is to be handed over. If it is not to be, it
// notes why, and returns nil.
func (r *replay) consider(ctx context.Context, rec Record) (*candidate, error) {
	switch {
	case rec.State == "":
		r.note(rec.ID, OutcomeFailed, ReasonNotFound)
		return nil, nil
	case rec.State != Archived:
		r.note(rec.ID, OutcomeRefused, ReasonNotArchived)
		return nil, nil
	case rec.Key != "" && r.blocked[rec.blockKey()]:
		r.note(rec.ID, OutcomeWaits, ReasonWaits)
		return nil, nil
	case r.consumers(rec.Consumer) == nil:
		r.note(rec.ID, OutcomeFailed, ReasonNoConsumer)
		return nil, nil
	}
	order, err := r.positions.compare(ctx, &rec)
	if err != nil {
		return nil, err
	}
	switch order {
	case ahead:
	case done:
		return nil, r.refuse(ctx, rec.ID, ReasonDone)
	default:
		return nil, r.refuse(ctx, rec.ID, ReasonStale)
	}
	if r.request.DryRun {
		r.note(rec.ID, OutcomeReplay, "")
		return nil, nil
	}
	it, err := r.kept.Get(ctx, groupRecords, rec.ID)
	switch {
	case errors.Is(err, archive.ErrNoData): // the others have theirs
		r.opts.Logger.ErrorContext(ctx, "the data of an archived record cannot be read", slog.String("record", rec.ID), slog.Any("error", err))
		r.blocked[rec.blockKey()] = !errors.Is(err, archive.ErrNotFound) // what is gone holds up nothing
		r.failed(ctx, &rec, ReasonNoData)
		return nil, nil
	case errors.Is(err, archive.ErrNotFound):
		r.note(rec.ID, OutcomeFailed, ReasonNotFound)
		return nil, nil
	case err != nil:
		return nil, err
	}
	return &candidate{rec, it.Data}, nil
}

// handOver gives records to their consumer until each has an outcome.
func (r *replay) handOver(ctx context.Context, hand []*candidate) error {
	for len(hand) > 0 {
		if err := r.inTime(ctx); err != nil {
			return err
		}
		data := make([]json.RawMessage, len(hand))
		for i, c := range hand {
			data[i] = c.data
		}
		begun := time.Now()
		failed, err := r.consumers(hand[0].Consumer).Consume(ctx, data)
		r.longest = max(r.longest, time.Since(begun))
		first := slices.IndexFunc(hand, func(c *candidate) bool { return slices.Contains(failed, c.SequenceNumber) })
		switch {
		case err != nil && !broke(err):
			return err
		case err != nil && len(hand) > 1: // one of them is to blame; find it as Lambda does
			half := len(hand) / 2
			if err := r.handOver(ctx, hand[:half]); err != nil {
				return err
			}
			hand = r.unblocked(hand[half:])
			continue
		case err != nil:
			first = 0
		case len(failed) > 0 && first < 0:
			return fmt.Errorf("consumer %s names the record %.100s, which it was not given", hand[0].Consumer, failed[0])
		case first < 0:
			first = len(hand)
		}
		for _, c := range hand[:first] {
			r.replayed(ctx, c)
		}
		if first < len(hand) {
			reason := "the consumer reported it as failed"
			if err != nil {
				reason = publicText(err)
			}
			r.blocked[hand[first].blockKey()] = true
			r.failed(ctx, &hand[first].Record, reason)
			first++
		}
		hand = r.unblocked(hand[first:])
	}
	return nil
}

// errOutOfTime ends a replay that has no time for another call.
var errOutOfTime = errors.New("out of time")

// unblocked notes those records that have to wait behind one of their key, and
// returns the others.
func (r *replay) unblocked(hand []*candidate) []*candidate {
	var rest []*candidate
	for _, c := range hand {
		if c.Key != "" && r.blocked[c.blockKey()] {
			r.note(c.ID, OutcomeWaits, ReasonWaits)
			continue
		}
		rest = append(rest, c)
	}
	return rest
}

// blockKey is what records of the same key share.
func (r *Record) blockKey() string { return r.StreamARN + "\n" + r.Consumer + "\n" + r.Key }

func (r *replay) note(id string, outcome Outcome, reason string) {
	r.noted[id] = RecordOutcome{id, outcome, reason}
	r.out.Records = append(r.out.Records, r.noted[id])
	switch outcome {
	case OutcomeReplayed:
		r.out.Replayed++
	case OutcomeFailed:
		r.out.Failed++
	case OutcomeRefused:
		r.out.Refused++
	case OutcomeWaits, OutcomeReplay:
	}
}

func (r *replay) replayed(ctx context.Context, c *candidate) {
	reason := ""
	if err := r.mark(ctx, c.ID, Replayed, ""); err != nil {
		reason = "not written down"
	}
	r.note(c.ID, OutcomeReplayed, reason)
}

func (r *replay) failed(ctx context.Context, rec *Record, reason string) {
	_ = r.mark(ctx, rec.ID, Archived, reason) // logged; the record stays as it was
	r.note(rec.ID, OutcomeFailed, reason)
}

func (r *replay) refuse(ctx context.Context, id, reason string) error {
	if !r.request.DryRun {
		if err := r.mark(ctx, id, Refused, reason); err != nil {
			return err
		}
	}
	r.note(id, OutcomeRefused, reason)
	return nil
}

// mark writes down what has become of a record.
func (r *replay) mark(ctx context.Context, id string, state State, reason string) error {
	ctx, cancel := lastly(ctx)
	defer cancel()
	meta := map[string]string{"state": string(state), "reason": reason, "replayed_at": formatTime(task.At(time.Now()))}
	if state == Refused {
		delete(meta, "replayed_at")
	}
	err := r.kept.SetMeta(ctx, groupRecords, id, meta)
	if err != nil {
		r.opts.Logger.ErrorContext(ctx, "the outcome of a replay is not written down", slog.String("record", id),
			slog.String("state", string(state)), slog.Any("error", err))
	}
	return err
}
