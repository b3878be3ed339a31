package redrive

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/spillway-go/spillway/internal/id"
	"github.com/spillway-go/spillway/internal/job"
)

// Settings change how a plan is executed. What is zero stays as it was planned.
type Settings struct {
	Rate   float64
	Max    int
	Canary int
	// By and RequestID say who executes the plan.
	By, RequestID string
}

// Execute does what a plan holds, or goes on with it where an earlier run was
// stopped or died. It returns when the job is done, or when the time of its
// context is nearly over; then the job goes on by [Options.Continue]. Executing
// a plan that is done reports what came of it.
func (r *Redrive) Execute(ctx context.Context, planID string, kind Kind, queue string, s Settings) (*Report, error) {
	j, err := r.jobs.Find(ctx, planID)
	if err != nil {
		return nil, err
	}
	req := Request{Kind: kind, Rate: s.Rate, Max: s.Max, Canary: s.Canary, By: s.By}
	if err := checkRequest(&req); err != nil {
		return nil, err
	}
	switch {
	case kind == KindPurge && r.opts.Quarantine == nil:
		return nil, fmt.Errorf("%w: there is no quarantine", ErrUnsupported)
	case j.Request.Kind != kind:
		return nil, fmt.Errorf("%w: %s is a %s, not a %s", ErrPlanUsed, planID, j.Request.Kind, kind)
	case queue != "" && j.Request.Queue != queue:
		return nil, fmt.Errorf("%w: it is for the queue %q, not for %q", ErrPlanUsed, j.Request.Queue, queue)
	case j.Status == Done:
		return reportOf(j), nil
	case works[kind] == nil:
		return nil, fmt.Errorf("%w: no job of the kind %q is executed by its plan", ErrUnsupported, kind)
	case j.Status == CanaryFailed:
		return nil, fmt.Errorf("%w: its canary failed; make a new plan", ErrPlanUsed)
	case j.State.StartedAt == 0 && j.State.PlanUntil > 0 && time.Now().UnixMilli() > j.State.PlanUntil: // stopped or not
		return nil, fmt.Errorf("%w: plans can be executed for %s; make a new one", ErrPlanExpired, r.opts.PlanFor)
	}
	x, err := r.begin(ctx, j, true)
	if err != nil {
		return nil, err
	}
	p, what := j.State, "executed"
	if p.Hops > 0 {
		what = "resumed"
	}
	p.Rate, p.Max, p.Hops = cmp.Or(s.Rate, p.Rate), cmp.Or(s.Max, p.Max), 0
	if s.Canary > 0 && p.CanaryAt == 0 {
		p.CanarySize = s.Canary
	}
	p.PacedAt, p.IdleAt = 0, 0
	if err := r.jobs.Audit(ctx, j.ID, Event{What: what, By: req.By, RequestID: s.RequestID}); err != nil {
		return nil, x.Fail(ctx, err)
	}
	return x.drive(ctx)
}

// Run does what a request asks for, without a plan made before. It returns as
// [Redrive.Execute] does; the report's JobID serves as a plan's id.
func (r *Redrive) Run(ctx context.Context, req Request) (*Report, error) {
	if err := r.check(&req); err != nil {
		return nil, err
	}
	j, err := r.create(ctx, id.New(), req, progress{Progress: job.Progress{Rate: req.Rate}, Max: req.Max, CanarySize: req.Canary}, "begun")
	if err != nil {
		return nil, err
	}
	x, err := r.begin(ctx, j, true)
	if err != nil {
		return nil, err
	}
	return x.drive(ctx)
}

// Resume goes on with a job that is running, after a hop. It is what
// [Options.Continue] arranges to be called. A job that was stopped meanwhile,
// or has ended, is only reported. So is one that this hop has left to the next,
// which is asked for again: Lambda repeats an invocation that died.
func (r *Redrive) Resume(ctx context.Context, jobID string, hop int) (*Report, error) {
	j, err := r.jobs.Find(ctx, jobID)
	if err != nil {
		return nil, err
	}
	if works[j.Request.Kind] == nil {
		return nil, fmt.Errorf("%w: no job of the kind %q goes on by itself", ErrNotFound, j.Request.Kind)
	}
	if j.Status != Running || j.State.Hops != hop {
		return reportOf(j), r.jobs.Continue(ctx, j, hop)
	}
	x, err := r.begin(ctx, j, false)
	if err != nil {
		return nil, err
	}
	return x.drive(ctx)
}

// check refuses a request that cannot be meant.
func (r *Redrive) check(req *Request) error {
	if err := checkRequest(req); err != nil {
		return err
	}
	if works[req.Kind] == nil {
		return invalid("there is no job of the kind %q to plan or to run", req.Kind)
	}
	if req.Kind == KindRetry {
		if _, err := r.retrySource(); err != nil {
			return err
		}
		return req.Filter.check(retryable...)
	}
	src, err := r.source(req.Queue)
	if err != nil {
		return err
	}
	if req.Kind == KindReplay && len(src.Origins) == 0 {
		return fmt.Errorf("%w: messages of the queue %q go back to no queue", ErrUnsupported, req.Queue)
	}
	if req.Canary > 0 && src.Tasks == nil {
		return fmt.Errorf("%w: a canary needs tasks, whose outcome can be told", ErrUnsupported)
	}
	return req.Filter.check()
}
