package redrive

import (
	"context"
	"time"

	"github.com/spillway-go/spillway/pkg/internal/sleep"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
)

// canaryPoll is how often the tasks of a canary are looked at.
const canaryPoll = 500 * time.Millisecond

// withCanary lets a job do its canary first, by calling sweep for so many
// messages, and the rest only when all tasks of the canary have succeeded.
func (x *run) withCanary(ctx context.Context, tasks Tasks, limit int, sweep func(limit int) (bool, error)) (through bool, err error) {
	j := x.job.State
	if j.CanarySize == 0 || j.CanaryDone {
		return sweep(limit)
	}
	if j.CanaryAt == 0 {
		if through, err := sweep(min(j.CanarySize, limit)); err != nil || !through {
			return false, err
		}
		j.CanaryAt, j.IdleAt = time.Now().UnixMilli(), 0
	}
	if decided, err := x.awaitCanary(ctx, tasks); err != nil || !decided {
		return false, err
	}
	if c := j.Canary; c.Failed > 0 || c.Pending > 0 || c.Succeeded == 0 {
		note := "the canary did not succeed, so the rest was not replayed"
		if c.Failed == 0 && c.Pending > 0 {
			note = "the canary had not ended in time, so the rest was not replayed"
		}
		x.End(CanaryFailed, note)
		return true, nil
	}
	j.CanaryDone = true
	return sweep(limit)
}

// awaitCanary waits until the tasks of the canary have ended, or have had their
// time. It returns false when the time of this invocation is over before.
func (x *run) awaitCanary(ctx context.Context, tasks Tasks) (decided bool, err error) {
	var ids []string
	runs := map[string]int{}
	for _, e := range x.Entries() {
		if e.Outcome == Replayed && !e.NoRow && e.TaskID != "" {
			ids = append(ids, e.TaskID)
			runs[e.TaskID] = e.Run
		}
	}
	for {
		c := &Canary{Size: len(ids)}
		rows, err := tasks.Rows(ctx, ids)
		if err != nil {
			return false, err
		}
		for _, id := range ids {
			switch row := rows[id]; {
			case row == nil || row.Run < runs[id]: // a read behind the write
				c.Pending++
			default:
				c.count(row)
			}
		}
		x.job.State.Canary = c
		if c.Pending == 0 || c.Failed > 0 || time.Since(time.UnixMilli(x.job.State.CanaryAt)) > x.opts.CanaryFor {
			return true, nil
		}
		if more, err := x.GoesOn(ctx); err != nil || !more {
			return false, err
		}
		if err := sleep.For(ctx, canaryPoll); err != nil {
			return false, err
		}
	}
}

func (c *Canary) count(row *tasktable.Row) {
	switch {
	case row.Status == task.Succeeded:
		c.Succeeded++
	case row.Status.Finished():
		c.Failed++
	default:
		c.Pending++
	}
}
