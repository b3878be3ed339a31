package redrive

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spillway-go/spillway/internal/job"
	"github.com/spillway-go/spillway/internal/route"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

// retryable are the states that a retry changes.
var retryable = []task.Status{task.Failed, task.DeadLettered}

// inlineInput is up to which size the message carries the input; a larger one
// is read from the table by the worker (as package intake has it).
const inlineInput = 192 << 10

// retrySource is the queue whose tasks can be retried: the one with a table.
func (r *Redrive) retrySource() (Source, error) {
	for _, s := range r.sources {
		if s.Tasks != nil && len(s.Origins) > 0 {
			return s, nil
		}
	}
	return Source{}, fmt.Errorf("%w: there is no task table", ErrUnsupported)
}

// Retry runs one failed or dead-lettered task again, from its stored input,
// with all its attempts. It returns the task and the id of the job that the
// audit trail has it under. The dead letter of the task, if there is one, stays
// where it is; a later replay finds that it is superseded, and drops it.
func (r *Redrive) Retry(ctx context.Context, id, by, requestID string) (*tasktable.Row, string, error) {
	src, err := r.retrySource()
	if err != nil {
		return nil, "", err
	}
	row, err := r.row(ctx, src.Tasks, id)
	if err != nil {
		return nil, "", err
	}
	if reason := r.refuseRow(row, time.Now()); reason != "" {
		return row, "", refusalOf(row, reason, r.opts.MaxReplays)
	}
	req := Request{Kind: KindRetry, Filter: Filter{IDs: []string{id}}, Max: 1, By: by, RequestID: requestID}
	if err := checkRequest(&req); err != nil {
		return nil, "", err
	}
	x, err := r.begun(ctx, req)
	if err != nil {
		return nil, "", err
	}
	j := x.job
	entries, err := x.Step(ctx, []Entry{intentOfRow(row)}, func(ctx context.Context) ([]Entry, error) {
		return x.retryStep(ctx, &src, []*tasktable.Row{row})
	})
	if err != nil {
		return nil, j.ID, x.Fail(ctx, err)
	}
	if err := x.Leave(ctx, Done); err != nil {
		return nil, j.ID, err
	}
	r.followed(ctx, j)
	if e := entries[0]; e.Outcome == Failed {
		return nil, j.ID, fmt.Errorf("task %s is queued again, but its message could not be sent (%s): repeat the retry", id, e.Reason)
	} else if e.Outcome != Replayed {
		return row, j.ID, refusalOf(row, e.Reason, r.opts.MaxReplays)
	}
	row, err = r.row(ctx, src.Tasks, id)
	return row, j.ID, err
}

// row reads one task.
func (r *Redrive) row(ctx context.Context, tasks Tasks, id string) (*tasktable.Row, error) {
	rows, err := tasks.Rows(ctx, []string{id})
	if err != nil {
		return nil, err
	}
	if rows[id] == nil {
		return nil, fmt.Errorf("%w: there is no task %s, or it is not kept any more", ErrNotFound, task.CleanText(id, 64))
	}
	return rows[id], nil
}

// refuseRow says why a task is not retried; empty if it can be. A task that is
// queued since a retry whose message may not have been sent can be.
func (r *Redrive) refuseRow(row *tasktable.Row, now time.Time) string {
	switch {
	case row.Status == task.Queued && row.PlanID != "" && row.Settled == row.Fence && row.Attempts == 0:
		return ""
	case !slices.Contains(retryable, row.Status):
		return ReasonState
	case row.Deadline <= now.UnixMilli():
		return ReasonDeadline
	case row.Replays >= r.opts.MaxReplays:
		return ReasonExhausted
	}
	return ""
}

// refusalOf is a refusal in words.
func refusalOf(row *tasktable.Row, reason string, maxReplays int) error {
	switch reason {
	case ReasonDeadline:
		return fmt.Errorf("%w: task %s had to be done by %s; submit it anew", ErrDeadline, row.ID, task.AtMilli(row.Deadline))
	case ReasonExhausted:
		return fmt.Errorf("%w: it has been replayed %d times, and %d are allowed", ErrNotRetryable, row.Replays, maxReplays)
	case ReasonInput:
		return fmt.Errorf("%w: its input is not kept any more", ErrNotRetryable)
	default:
		return fmt.Errorf("%w: it is %s; only failed and dead-lettered tasks can be", ErrNotRetryable, row.Status)
	}
}

func intentOfRow(row *tasktable.Row) Entry {
	return Entry{TaskID: row.ID, Run: row.Run + 1, Fingerprint: row.Fingerprint}
}

// retryStep queues tasks again and sends their messages.
func (x *run) retryStep(ctx context.Context, src *Source, rows []*tasktable.Row) ([]Entry, error) {
	now := time.Now()
	entries := make([]Entry, len(rows))
	var requests []tasktable.ReplayRequest
	var asked []int
	for i, row := range rows {
		entries[i] = intentOfRow(row)
		if reason := x.refuseRow(row, now); reason != "" {
			entries[i].Outcome, entries[i].Reason = Skipped, reason
			continue
		}
		if row.Status == task.Queued { // since an earlier retry
			entries[i].Run = row.Run
			continue
		}
		requests = append(requests, tasktable.ReplayRequest{
			ID: row.ID, Run: row.Run + 1, PlanID: x.job.ID, After: row.Run, MaxReplays: x.opts.MaxReplays,
		})
		asked = append(asked, i)
	}
	if len(requests) > 0 {
		for n, a := range src.Tasks.ReplayAll(ctx, requests) {
			e := &entries[asked[n]]
			switch {
			case a.Err != nil:
				e.Outcome, e.Reason = Failed, "table_unavailable"
			case a.Done && a.Row != nil && a.Row.Status != task.Queued:
				e.Outcome = Replayed // an earlier try has sent it
			case !a.Done:
				e.Outcome, e.Reason = Skipped, ReasonState
			}
		}
	}
	x.sendRows(ctx, src, rows, entries, now)
	return entries, nil
}

// sendRows sends messages for the tasks that are queued again.
func (x *run) sendRows(ctx context.Context, src *Source, rows []*tasktable.Row, entries []Entry, now time.Time) {
	messages := map[string][]workqueue.Outgoing{}
	indices := map[string][]int{}
	for i, row := range rows {
		if entries[i].Outcome != Intended {
			continue
		}
		q := src.homeOf(row)
		out, err := message(ctx, src.Tasks, row, entries[i].Run, q.Name(), now)
		if err != nil {
			entries[i].Outcome, entries[i].Reason = Failed, reasonOf(err)
			if errors.Is(err, tasktable.ErrNotFound) {
				entries[i].Reason = ReasonInput
			}
			continue
		}
		messages[q.Name()], indices[q.Name()] = append(messages[q.Name()], out), append(indices[q.Name()], i)
	}
	for _, role := range src.Origins.Roles() {
		q := src.Origins[role]
		if len(messages[q.Name()]) == 0 {
			continue
		}
		for n, err := range q.SendBatch(ctx, messages[q.Name()]) {
			e := &entries[indices[q.Name()][n]]
			e.To, e.Outcome = q.Name(), Replayed
			if err != nil {
				e.Outcome, e.Reason = Failed, reasonOf(err)
			}
		}
	}
}

// homeOf is the queue that a task waits in when it is queued again.
func (s *Source) homeOf(row *tasktable.Row) Queue {
	return s.Origins[route.Choose(s.Origins, route.Rules{}, route.Task{Priority: row.Priority, Tenant: row.Tenant})]
}

// message is a task's message, made anew from its row.
func message(ctx context.Context, tasks Tasks, row *tasktable.Row, run int, origin string, now time.Time) (workqueue.Outgoing, error) {
	m := workqueue.Message{
		TaskID: row.ID, Run: run, Type: row.Type, Tenant: row.Tenant, CreatedAt: row.CreatedAt(), ReplayedAt: now,
		Deadline: time.UnixMilli(row.Deadline), Priority: row.Priority, Replays: row.Replays + 1, Origin: origin,
	}
	input, err := tasks.Input(ctx, row)
	if err != nil {
		return workqueue.Outgoing{}, err
	}
	if m.Input = input; row.InputRef != "" && len(input) > inlineInput {
		m.Input, m.InputRef = nil, row.InputRef
	}
	return workqueue.Encode(m)
}

// retryTasks is the work of a retry by filter: failed tasks are found in the
// index of the task table.
func retryTasks(ctx context.Context, x *run) (through bool, err error) {
	src, err := x.retrySource()
	if err != nil {
		return false, err
	}
	return x.withCanary(ctx, src.Tasks, x.limit(), func(limit int) (bool, error) {
		w := &taskWork{run: x, src: &src, found: newFailures(src.Tasks, &x.job.Request.Filter, x.job.Created)}
		if x.plan != nil {
			w.keys = x.plan.keys
		}
		return job.Sweep(ctx, x.engineRun, w, job.Bounds{Limit: limit, Concurrency: x.opts.Concurrency, Step: stepSize})
	})
}

// taskWork is one sweep of a retry: over the tasks of its plan, or over what its
// filter finds.
type taskWork struct {
	*run
	src   *Source
	keys  []string // of the plan, still to come
	found *failures
}

func (w *taskWork) Next(ctx context.Context) (rows []*tasktable.Row, end bool, err error) {
	if w.plan == nil {
		return w.found.next(ctx)
	}
	keys := w.keys[:min(100, len(w.keys))]
	w.keys = w.keys[len(keys):]
	ids, runs := make([]string, len(keys)), make([]int, len(keys))
	for i, key := range keys {
		ids[i], runs[i], _ = taskOf(key)
	}
	stored, err := w.src.Tasks.Rows(ctx, ids)
	if err != nil {
		return nil, false, err
	}
	for i, id := range ids {
		row := stored[id]
		switch {
		case row == nil: // not kept any more
			row = &tasktable.Row{ID: id, Status: task.Expired}
		case slices.Contains(retryable, row.Status) && row.Run+1 != runs[i]:
			// It has failed again since the plan, perhaps in another way.
			row = &tasktable.Row{ID: id, Status: task.Queued, Run: row.Run}
		}
		rows = append(rows, row)
	}
	return rows, len(w.keys) == 0, nil
}

func (w *taskWork) Wants(*tasktable.Row) bool { return true }

func (w *taskWork) Intent(row *tasktable.Row) Entry { return intentOfRow(row) }

func (w *taskWork) Do(ctx context.Context, rows []*tasktable.Row) ([]Entry, error) {
	return w.retryStep(ctx, w.src, rows)
}

// Leave has nothing to do: a row is changed by what was done.
func (w *taskWork) Leave(context.Context, []*tasktable.Row, []*tasktable.Row) error { return nil }

// draftRetry looks for failed tasks.
func (r *Redrive) draftRetry(ctx context.Context, d *draft) error {
	src, err := r.retrySource()
	if err != nil {
		return err
	}
	found := newFailures(src.Tasks, &d.Request.Filter, d.now)
	for end := false; !end; {
		var rows []*tasktable.Row
		if rows, end, err = found.next(ctx); err != nil {
			return err
		}
		for _, row := range rows {
			if d.full() {
				d.Complete = true
				return nil
			}
			p := PlannedMessage{TaskID: row.ID, Type: row.Type, Run: row.Run + 1, Action: "replay", To: src.homeOf(row).Name()}
			act := send
			if reason := r.refuseRow(row, d.now); reason != "" {
				p = PlannedMessage{TaskID: row.ID, Type: row.Type, Action: "skip", Reason: reason}
				act = skip
			}
			d.groups.row(row)
			d.add(taskKey(row.ID, row.Run+1), p, act)
		}
		if !end && !job.InTime(ctx, 0) {
			return nil
		}
	}
	d.Complete = true
	return nil
}
