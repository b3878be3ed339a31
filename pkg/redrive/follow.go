package redrive

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/aws/smithy-go"

	"github.com/spillway-go/spillway/internal/job"
	"github.com/spillway-go/spillway/pkg/archive"
	"github.com/spillway-go/spillway/pkg/internal/sleep"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

// Outcomes are what became of the tasks that a job has replayed.
type Outcomes struct {
	Succeeded   int `json:"succeeded"`
	FailedSame  int `json:"failed_same"`  // with the same fingerprint as before
	FailedOther int `json:"failed_other"` // in another way
	Canceled    int `json:"canceled"`
	Expired     int `json:"expired"`
	Pending     int `json:"pending"` // queued or running
	Later       int `json:"later"`   // replayed again since, by another job
	Gone        int `json:"gone"`    // not kept any more, or without a row from the start
}

// Followed is an entry of a ledger, and what its task has come to.
type Followed struct {
	Entry
	Became string `json:"became,omitempty"`
}

// rank sorts what somebody may have to look at before what is as it should be.
func (f *Followed) rank() int {
	switch {
	case f.Outcome == Failed:
		return 0
	case f.Became == becameSame, f.Became == becameOther:
		return 1
	case f.Outcome == Skipped, f.Outcome == Dropped:
		return 2
	default:
		return 3
	}
}

const becameSame, becameOther = "failed_same", "failed_other"

// History is a job with its audit trail.
type History struct {
	Report
	Events []Event
	// Messages are the ledger's entries, as many as were asked for.
	Messages []Followed
}

// Jobs returns the newest jobs, at most limit.
func (r *Redrive) Jobs(ctx context.Context, limit int) ([]*Report, error) {
	jobs, err := r.jobs.List(ctx, limit)
	reports := make([]*Report, len(jobs))
	for i, j := range jobs {
		reports[i] = reportOf(j)
	}
	return reports, err
}

// Job returns a job with its audit trail and up to messages entries of its
// ledger, from the given one on: first those that were not sent, or failed
// again. Once a replay is not running any more, it follows its tasks: what
// each has come to by now. When all have ended, that is written down, and the
// audit trail keeps it when the tasks are gone.
func (r *Redrive) Job(ctx context.Context, id string, from, messages int) (*History, error) {
	j, err := r.jobs.Find(ctx, id)
	if err != nil {
		return nil, err
	}
	h := &History{Report: *reportOf(j)}
	follow := replays(j) && (h.Status == Done || h.Status == CanaryFailed || h.Status == Stopped)
	if messages > 0 || follow && h.Outcomes == nil {
		entries, err := r.jobs.Ledger(ctx, id)
		if err != nil {
			return nil, err
		}
		became := map[string]string{}
		if follow {
			if became, err = r.follow(ctx, j, entries, h); err != nil {
				return nil, err
			}
		}
		all := make([]Followed, len(entries))
		for i, e := range entries {
			all[i] = Followed{Entry: e, Became: became[e.Key()]}
		}
		slices.SortStableFunc(all, func(a, b Followed) int { return a.rank() - b.rank() })
		from = min(max(from, 0), len(all))
		h.Messages = all[from:min(from+max(messages, 0), len(all))]
	}
	h.Events, err = r.jobs.Events(ctx, id)
	return h, err
}

// followed has the tasks of a job followed that has ended.
func (r *Redrive) followed(ctx context.Context, j *storedJob) {
	if r.opts.Follow == nil || !j.Status.Ended() || !replays(j) {
		return
	}
	if err := r.opts.Follow(ctx, j.ID, 0); err != nil {
		// Then whoever looks at the job follows them.
		r.opts.Logger.WarnContext(ctx, "job not followed", slog.String("job_id", j.ID), slogError(err))
	}
}

// replays reports whether the job has replayed tasks whose end can be told.
func replays(j *storedJob) bool {
	counts := j.State.Counts
	return (j.Request.Kind == KindReplay || j.Request.Kind == KindRetry) && counts.Replayed > counts.AtLeastOnce
}

// followEvery is how often the tasks of a job are looked at: less and less
// often, from the first to the second.
const followEvery, followRarely = 2 * time.Second, 30 * time.Second

// Follow looks at the tasks of a job that has ended until all of them have
// ended as well, and writes down what they have come to, which the audit trail
// keeps when the tasks are gone. It returns before the end of its context, and
// then goes on by [Options.Follow], until [Options.FollowFor] is over. hop counts
// the continuations.
func (r *Redrive) Follow(ctx context.Context, jobID string, hop int) error {
	for wait := followEvery; ; wait = min(2*wait, followRarely) {
		h, err := r.Job(ctx, jobID, 0, 0)
		if err != nil {
			return err
		}
		switch {
		case h.Outcomes == nil || h.Outcomes.Pending == 0 || time.Since(h.FinishedAt) > r.opts.FollowFor:
			return nil
		case job.InTime(ctx, wait):
			if err := sleep.For(ctx, wait); err != nil {
				return err
			}
		case r.opts.Follow == nil || hop+1 >= r.opts.MaxHops:
			return nil
		default:
			return r.opts.Follow(ctx, jobID, hop+1)
		}
	}
}

// follow looks at the tasks that a job has replayed.
func (r *Redrive) follow(ctx context.Context, j *storedJob, entries []Entry, h *History) (map[string]string, error) {
	src, err := r.retrySource()
	if j.Request.Kind == KindReplay {
		src, err = r.source(j.Request.Queue)
	}
	if err != nil {
		return nil, err
	}
	o := &Outcomes{}
	became := make(map[string]string, len(entries))
	for chunk := range slices.Chunk(entries, 500) {
		var ids []string
		for _, e := range chunk {
			if e.Outcome == Replayed && e.TaskID != "" && !e.NoRow {
				ids = append(ids, e.TaskID)
			}
		}
		rows := map[string]*tasktable.Row{}
		if src.Tasks != nil && len(ids) > 0 {
			if rows, err = src.Tasks.Rows(ctx, ids); err != nil {
				return nil, err
			}
		}
		for _, e := range chunk {
			if e.Outcome == Replayed {
				became[e.Key()] = o.count(&e, rows[e.TaskID])
			}
		}
	}
	if h.Outcomes == nil {
		h.Outcomes = o
	}
	if o.Pending > 0 || j.State.Outcomes != nil || h.Status != Done && h.Status != CanaryFailed {
		return became, nil
	}
	j.State.Outcomes = o
	return became, errors.Join(r.jobs.Update(ctx, j), r.jobs.Audit(ctx, j.ID, Event{What: "all its tasks have ended"}))
}

func (o *Outcomes) count(e *Entry, row *tasktable.Row) string {
	switch {
	case row == nil || e.NoRow:
		o.Gone++
		return "gone"
	case row.Run < e.Run || !row.Status.Finished():
		if row.Run > e.Run {
			o.Later++
			return "later"
		}
		o.Pending++
		return string(row.Status)
	case row.Run > e.Run:
		o.Later++
		return "later"
	case row.Status == task.Succeeded:
		o.Succeeded++
	case row.Status == task.Canceled:
		o.Canceled++
	case row.Status == task.Expired:
		o.Expired++
	case row.Fingerprint != "" && row.Fingerprint == e.Fingerprint:
		o.FailedSame++
		return becameSame
	default:
		o.FailedOther++
		return becameOther
	}
	return string(row.Status)
}

// reasonOf is an error in a word, for the ledger: nothing of AWS's texts, which
// name accounts and queues.
func reasonOf(err error) string {
	var refused *workqueue.EntryError
	var api smithy.APIError
	switch {
	case errors.As(err, new(*workqueue.TooLargeError)), errors.Is(err, archive.ErrTooLarge):
		return "too_large"
	case errors.As(err, new(*workqueue.InvalidError)):
		return "invalid_message"
	case errors.Is(err, workqueue.ErrNoOutcome):
		return "not_confirmed"
	case errors.As(err, &refused):
		return "refused_" + lower(refused.Code)
	case errors.As(err, &api):
		return "refused_" + lower(api.ErrorCode())
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return "out_of_time"
	default:
		return "unavailable"
	}
}

// lower makes a code of AWS's one of ours.
func lower(code string) string {
	code = code[strings.LastIndexByte(code, '.')+1:]
	return strings.ToLower(task.CleanText(code, 40))
}

func slogTask(id string) slog.Attr  { return slog.String("task_id", id) }
func slogError(err error) slog.Attr { return slog.Any("error", err) }
