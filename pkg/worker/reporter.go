package worker

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

// reporter is how a handler's progress and checkpoints reach the table and the
// queue.
type reporter struct {
	s *shift
	j *job
}

func (r reporter) Progress(ctx context.Context, a task.Advance) error {
	_, err := r.renew(ctx, tasktable.Renewal{Progress: &a})
	return err
}

func (r reporter) Checkpoint(ctx context.Context, state json.RawMessage, a *task.Advance) error {
	row, err := r.renew(ctx, tasktable.Renewal{State: state, Progress: a})
	if err != nil {
		return err
	}
	r.s.ledger.sawCheckpoint(r.j, state)
	if row.CancelRequested {
		r.s.ledger.sawCancel(r.j)
		return task.ErrCanceled
	}
	return nil
}

// errRenewal is what a handler gets when the table did not take its progress.
var errRenewal = task.Code("lease_renewal_failed", errors.New("the lease could not be renewed"))

// renew moves the end of the lease and lets the message stay hidden as long.
func (r reporter) renew(ctx context.Context, with tasktable.Renewal) (*tasktable.Row, error) {
	end := r.s.lease()
	row, err := r.s.w.table.Renew(ctx, r.j.row, end, with)
	if errors.Is(err, tasktable.ErrLost) {
		return nil, task.ErrLeaseLost
	}
	if err != nil {
		// What the table says names it; the task's error is for its caller.
		r.s.log.ErrorContext(ctx, "lease not renewed", slog.String("task_id", r.j.row.ID), slog.Any("error", err))
		return nil, errRenewal
	}
	// If this fails, the message may be received early and is handed back then.
	_ = r.s.source.ChangeVisibility(ctx, []workqueue.Visibility{{Receipt: r.j.rec.ReceiptHandle, After: time.Until(end) + leaseSlack}})
	return row, nil
}
