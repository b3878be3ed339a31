package worker

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/spillway-go/spillway/pkg/batch"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
)

// work runs the handlers of the claimed tasks and settles them. Tasks whose
// last worker vanished come last, each alone: should one of them take this
// worker down too, nothing else is lost with it.
func (s *shift) work(ctx context.Context) {
	for n, group := range s.groups() {
		if n > 0 && !s.fits(ctx) {
			s.release(ctx, group)
			continue
		}
		s.run(ctx, group)
	}
	s.ledger.close(ctx)
	for i, j := range s.alone {
		if !s.fits(ctx) {
			s.release(ctx, s.alone[i:])
			break
		}
		s.workAlone(ctx, j)
	}
	s.ledger.close(ctx)
}

// groups splits the ready tasks by what may run at once: one by one, unless a
// type asks for more.
func (s *shift) groups() [][]*job {
	var groups [][]*job
	index := map[string]int{}
	for _, j := range s.ready {
		key := ""
		if s.w.mux.Concurrency(j.row.Type) > 1 {
			key = j.row.Type
		}
		if _, ok := index[key]; !ok {
			index[key] = len(groups)
			groups = append(groups, nil)
		}
		groups[index[key]] = append(groups[index[key]], j)
	}
	return groups
}

// release hands tasks back that are not going to begin.
func (s *shift) release(ctx context.Context, jobs []*job) {
	for _, j := range jobs {
		s.ledger.add(ctx, verdict{job: j, step: release})
	}
}

// workAlone runs a task whose last worker vanished, after counting the attempt.
func (s *shift) workAlone(ctx context.Context, j *job) {
	defer s.ledger.close(ctx)
	err := s.w.table.Charge(ctx, j.row)
	switch {
	case errors.Is(err, tasktable.ErrLost):
		s.ledger.add(ctx, verdict{job: j, step: drop})
	case err != nil:
		// It may have been counted: the release takes it back.
		j.row.Attempts, j.row.Charged = j.row.Counted(), true
		s.ledger.add(ctx, verdict{job: j, step: release, err: err})
	default:
		s.run(ctx, []*job{j})
	}
}

// run runs the handlers of a group and returns when all have ended or were
// abandoned.
func (s *shift) run(ctx context.Context, jobs []*job) {
	opts := &batch.Options{
		Concurrency: s.w.mux.Concurrency(jobs[0].row.Type), Guard: &s.w.guard, Logger: s.log,
		Margin: s.margin - s.deadline.Sub(s.answerBy), // ctx ends at answerBy
	}
	errs := batch.Each(ctx, len(jobs), opts, func(handlerCtx context.Context, i int) error {
		return s.attempt(ctx, handlerCtx, jobs[i])
	})
	for i, err := range errs {
		// Only what attempt itself could not say: not begun, or abandoned.
		s.ledger.add(ctx, verdict{job: jobs[i], err: err})
	}
}

// attempt runs one handler and tells the ledger at once. handlerCtx ends
// before ctx does.
func (s *shift) attempt(ctx, handlerCtx context.Context, j *job) error {
	defer func() {
		if p := recover(); p != nil {
			s.ledger.add(ctx, verdict{job: j, err: &task.PanicError{Value: p}})
			panic(p) // for the log of package batch
		}
	}()
	r := j.row
	input, err := s.input(handlerCtx, j)
	if errors.Is(err, tasktable.ErrNotFound) {
		s.ledger.add(ctx, verdict{job: j, step: fail, err: errInputLost})
	}
	if err != nil {
		return err
	}
	// Last, since reading the input may take a while.
	switch now := time.Now().UnixMilli(); {
	case r.Deadline <= now:
		s.ledger.add(ctx, verdict{job: j, step: expireTask})
		return nil
	case r.ClaimableAt <= now: // only without a deadline: the batch took longer than the lease
		return batch.ErrNotBegun
	}
	if !s.ledger.begin(j) {
		return nil
	}
	s.tellAttempt(ctx, j)
	handlerCtx, cancel := context.WithDeadline(handlerCtx, time.UnixMilli(r.Deadline))
	defer cancel()
	result, err := s.w.mux.Run(task.NewContext(handlerCtx, &task.Execution{
		ID: r.ID, Type: r.Type, Tenant: r.Tenant, Run: r.Run, Attempt: r.Counted(), MaxAttempts: s.w.opts.MaxAttempts,
		CreatedAt: r.CreatedAt(), Deadline: time.UnixMilli(r.Deadline), State: r.State, Reporter: reporter{s, j},
	}), r.Type, input)
	s.ledger.add(ctx, verdict{job: j, result: result, err: err})
	return err
}

var errInputLost = task.Permanent(task.Code("input_lost", errors.New("the input is not kept any more")))

// input is the task's input: the message carries it, unless it is large.
func (s *shift) input(ctx context.Context, j *job) (json.RawMessage, error) {
	if j.msg.Input != nil {
		return j.msg.Input, nil
	}
	return s.w.table.Input(ctx, j.row)
}
