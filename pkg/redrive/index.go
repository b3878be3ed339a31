package redrive

import (
	"context"

	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
)

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
		if !inTime(ctx, 0) {
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
