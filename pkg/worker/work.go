package worker

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/spillway-go/spillway/pkg/batch"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

// work runs the handlers of the claimed tasks and settles them. Tasks whose
// last worker vanished come last, each alone: should one of them take this
// worker down too, nothing else is lost with it.
func (s *shift) work(ctx context.Context) {
	for n, group := range s.groups() {
		if n > 0 && !s.fits(ctx) {
			for _, j := range group {
				s.ledger.add(ctx, verdict{job: j, kind: notBegun})
			}
			continue
		}
		s.run(ctx, group)
	}
	s.ledger.close(ctx)
	for _, j := range s.alone {
		s.workAlone(ctx, j)
	}
}

// groups splits the ready tasks by what may run at once: one by one, unless a
// type asks for more.
func (s *shift) groups() [][]*job {
	var order []string
	byKey := map[string][]*job{}
	for _, j := range s.ready {
		key := ""
		if s.w.mux.Concurrency(j.row.Type) > 1 {
			key = j.row.Type
		}
		if byKey[key] == nil {
			order = append(order, key)
		}
		byKey[key] = append(byKey[key], j)
	}
	groups := make([][]*job, len(order))
	for i, key := range order {
		groups[i] = byKey[key]
	}
	return groups
}

func (s *shift) run(ctx context.Context, jobs []*job) {
	opts := &batch.Options{
		Concurrency: s.w.mux.Concurrency(jobs[0].row.Type), Margin: s.margin, Guard: &s.w.guard, Logger: s.w.opts.Logger,
	}
	for i, err := range batch.Each(ctx, len(jobs), opts, func(limited context.Context, i int) error { return s.attempt(ctx, limited, jobs[i]) }) {
		v := verdict{job: jobs[i], err: err}
		if errors.Is(err, batch.ErrNotBegun) {
			v.kind = notBegun
		}
		// Only what attempt itself could not say: not begun, or abandoned.
		s.ledger.add(ctx, v)
	}
}

// attempt runs one handler and tells the ledger at once. limited is the
// handler's context, which ends before ctx does.
func (s *shift) attempt(ctx, limited context.Context, j *job) error {
	if j.row.Deadline <= time.Now().UnixMilli() {
		s.ledger.add(ctx, verdict{job: j, kind: notBegunOverdue})
		return nil
	}
	defer func() {
		if p := recover(); p != nil {
			s.ledger.add(ctx, verdict{job: j, err: &task.PanicError{Value: p}})
			panic(p) // for the log of package batch
		}
	}()
	input, err := s.input(limited, j)
	if err != nil {
		v := verdict{job: j, err: err, kind: notBegun}
		if errors.Is(err, tasktable.ErrNotFound) {
			v.err, v.kind = task.Permanent(task.Code("input_lost", errors.New("the input is not kept any more"))), ended
		}
		s.ledger.add(ctx, v)
		return err
	}
	s.ledger.begin()
	limited, cancel := context.WithDeadline(limited, time.UnixMilli(j.row.Deadline))
	defer cancel()
	r := j.row
	result, err := s.w.mux.Run(task.NewContext(limited, &task.Execution{
		ID: r.ID, Type: r.Type, Tenant: r.Tenant, Run: r.Run, Attempt: r.Counted(), MaxAttempts: s.w.opts.MaxAttempts,
		CreatedAt: r.CreatedAt(), Deadline: time.UnixMilli(r.Deadline), State: r.State, Reporter: reporter{s, j},
	}), r.Type, input)
	s.ledger.add(ctx, verdict{job: j, result: result, err: err})
	return err
}

// input is the task's input: the message carries it, unless it is large.
func (s *shift) input(ctx context.Context, j *job) (json.RawMessage, error) {
	if j.msg.Input != nil {
		return j.msg.Input, nil
	}
	return s.w.table.Input(ctx, j.row)
}

// workAlone runs a task whose last worker vanished, after counting the attempt.
func (s *shift) workAlone(ctx context.Context, j *job) {
	if !s.fits(ctx) {
		// Not settled: the row must go on saying that a worker vanished.
		j.backAt(s.leaseEnd.UnixMilli())
		return
	}
	if err := s.w.table.Charge(ctx, j.row); err != nil {
		if errors.Is(err, tasktable.ErrLost) {
			j.back(0)
			return
		}
		s.unanswered(ctx, j, err)
		return
	}
	s.run(ctx, []*job{j})
	s.ledger.close(ctx)
}

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

func (r reporter) Checkpoint(ctx context.Context, state json.RawMessage) error {
	row, err := r.renew(ctx, tasktable.Renewal{State: state})
	if err != nil {
		return err
	}
	if row.CancelRequested {
		r.s.ledger.sawCancel(r.j)
		return task.ErrCanceled
	}
	return nil
}

// renew moves the end of the lease and lets the message stay hidden as long.
func (r reporter) renew(ctx context.Context, with tasktable.Renewal) (*tasktable.Row, error) {
	end := r.s.lease()
	row, err := r.s.w.table.Renew(ctx, r.j.row, end, with)
	if errors.Is(err, tasktable.ErrLost) {
		return nil, task.ErrLeaseLost
	}
	if err != nil {
		return nil, err
	}
	// If this fails, the message may be received early and is handed back then.
	_ = r.s.source.ChangeVisibility(ctx, []workqueue.Visibility{{Receipt: r.j.rec.ReceiptHandle, After: time.Until(end) + leaseSlack}})
	return row, nil
}
