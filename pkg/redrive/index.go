package redrive

import (
	"context"
	"slices"

	"github.com/spillway-go/spillway/internal/job"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

// survey is what a dead-letter queue holds.
type survey struct {
	counts   workqueue.Counts
	indexed  int                      // letters that the index knows
	listed   []tasktable.FailureEntry // those of them that there are
	complete bool
}

// survey finds out what a dead-letter queue holds. Letters of tasks are found
// in the index of the task table, without receiving anything. Only if the queue
// does not hold as many, because SQS moved messages itself, they are none of
// ours, or somebody has taken some out, is it looked through: then what is in
// the queue counts, and each is called for what the index does not know, until
// it returns false. So it is for ids that the index does not know: they may be
// those of messages.
func (r *Redrive) survey(ctx context.Context, src *Source, ids []string, each func(*Letter) bool) (*survey, error) {
	counts, err := src.Letters.Counts(ctx)
	if err != nil {
		return nil, err
	}
	known, complete := newIndex(), true
	if src.Tasks != nil {
		if complete, err = known.read(ctx, src.Tasks); err != nil {
			return nil, err
		}
	}
	s := &survey{counts: counts, indexed: len(known.entries), listed: known.entries, complete: complete}
	if complete && counts.All() == s.indexed && !slices.ContainsFunc(ids, func(id string) bool { return !known.has(id) }) {
		return s, nil
	}
	var seen []tasktable.FailureEntry
	complete, _, err = r.peek(ctx, src.Letters, func(l *Letter) bool {
		if e, ok := known.of(l); ok {
			if len(seen) < maxIndexed {
				seen = append(seen, e)
			}
			return true
		}
		return each(l)
	})
	if err != nil {
		return nil, err
	}
	if complete { // else the index is the better guess
		s.listed = seen
	}
	s.complete = s.complete && complete
	return s, nil
}

// index is what the task table's index of failures knows of a dead-letter
// queue.
type index struct {
	entries []tasktable.FailureEntry
	at      map[string]int // by task id
}

func newIndex() *index { return &index{at: map[string]int{}} }

// maxIndexed bounds the entries of the index that are read.
const maxIndexed = 200_000

// read reads the index of dead-lettered tasks. complete is false when there is
// no time, or no room, for all of it.
func (x *index) read(ctx context.Context, tasks Tasks) (complete bool, err error) {
	q := tasktable.FailureQuery{Status: task.DeadLettered}
	for len(x.entries) < maxIndexed {
		page, err := tasks.Failures(ctx, q)
		if err != nil {
			return false, err
		}
		for _, e := range page.Entries {
			if !x.has(e.ID) {
				x.at[e.ID] = len(x.entries)
				x.entries = append(x.entries, e)
			}
		}
		if q.Cursor = page.Cursor; q.Cursor == "" {
			return true, nil
		}
		if !job.InTime(ctx, 0) {
			return false, ctx.Err()
		}
	}
	return false, nil
}

func (x *index) has(taskID string) bool {
	_, ok := x.at[taskID]
	return ok
}

// of returns the entry that a letter is the letter of: its task's, and of the
// run that failed.
func (x *index) of(l *Letter) (tasktable.FailureEntry, bool) {
	i, ok := x.at[l.TaskID()]
	if !ok || l.MovedBy != ByWorker || l.Task.Run != x.entries[i].Run+1 {
		return tasktable.FailureEntry{}, false
	}
	return x.entries[i], true
}
