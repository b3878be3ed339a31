package redrive

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/spillway-go/spillway/internal/id"
	"github.com/spillway-go/spillway/internal/job"
)

// The engine's types, for the jobs of this package.
type (
	engine    = job.Engine[Request, *progress, Entry]
	engineRun = job.Run[Request, *progress, Entry]
	storedJob = job.Job[Request, *progress]
)

// Status is how far a job is.
type Status = job.Status

// The states of a job.
const (
	// Planned waits to be executed by its plan's id, until the plan expires.
	Planned = job.Planned
	Running = job.Running
	// Stopping was asked to stop and will at its next step.
	Stopping = job.Stopping
	// Stopped can be resumed by its plan's id.
	Stopped = job.Stopped
	// Stalled was running, and its process is gone; it can be resumed.
	Stalled = job.Stalled
	// CanaryFailed has replayed its canary and nothing else, because not all of
	// it succeeded. It has ended.
	CanaryFailed Status = "canary_failed"
	Done                = job.Done
)

// Event is a line of a job's audit trail.
type Event = job.Event

// progress is the state of a job. Times are in milliseconds since 1970.
type progress struct {
	job.Progress
	Max        int       `json:"max,omitempty"`
	Planned    int       `json:"planned,omitempty"` // messages that the plan holds
	PlanUntil  int64     `json:"plan_until,omitempty"`
	CanarySize int       `json:"canary_size,omitempty"`
	CanaryAt   int64     `json:"canary_at,omitempty"` // when the canary was out
	CanaryDone bool      `json:"canary_done,omitempty"`
	Canary     *Canary   `json:"canary,omitempty"`
	IdleAt     int64     `json:"idle_at,omitempty"` // since when there was nothing to do but wait
	Outcomes   *Outcomes `json:"outcomes,omitempty"`
}

// lockOf is what a job has for itself: its queue, or else all retries by filter.
// One task alone needs no more than its row.
func lockOf(req Request) string {
	switch {
	case req.Kind != KindRetry:
		return req.Queue
	case req.Max == 1 && len(req.Filter.IDs) == 1:
		return ""
	default:
		return "task.retry"
	}
}

// run is one process's work on a job.
type run struct {
	*Redrive
	*engineRun
	job   *storedJob
	plan  *plan // nil for a job without one
	tasks *byTask
}

// create stores a job; what is the first line of its audit trail.
func (r *Redrive) create(ctx context.Context, jobID string, req Request, p progress, what string) (*storedJob, error) {
	return r.jobs.Create(ctx, jobID, req, &p, Event{What: what, By: req.By, RequestID: req.RequestID})
}

// begun begins a job that is over soon.
func (r *Redrive) begun(ctx context.Context, req Request) (*run, error) {
	j, err := r.create(ctx, id.New(), req, progress{Progress: job.Progress{StartedAt: time.Now().UnixMilli()}, Max: req.Max}, "begun")
	if err != nil {
		return nil, err
	}
	return r.begin(ctx, j, true)
}

// begin takes a job and reads what has been done.
func (r *Redrive) begin(ctx context.Context, j *storedJob, anew bool) (*run, error) {
	begun, err := r.jobs.Begin(ctx, j, anew)
	if err != nil {
		return nil, err
	}
	x := &run{Redrive: r, engineRun: begun, job: j, tasks: &byTask{}}
	x.tasks.put(begun.Entries())
	if j.Request.Planned {
		keys, err := r.jobs.Plan(ctx, j.ID)
		if err != nil {
			return nil, errors.Join(err, x.Leave(ctx, Stopped))
		}
		x.plan = newPlan(keys)
	}
	return x, nil
}

// drive runs a job as far as the time goes.
func (x *run) drive(ctx context.Context) (*Report, error) {
	j, err := x.Drive(ctx, func(ctx context.Context) (bool, error) { return works[x.job.Request.Kind](ctx, x) })
	if j == nil {
		return nil, err
	}
	x.followed(ctx, j)
	return reportOf(j), err
}

// byTask are entries of a ledger by task: of two about the same, the last.
type byTask struct {
	mu      sync.Mutex
	entries map[string]Entry
}

func (b *byTask) put(entries []Entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.entries == nil {
		b.entries = map[string]Entry{}
	}
	for _, e := range entries {
		if e.TaskID != "" {
			b.entries[e.TaskID] = e
		}
	}
}

func (b *byTask) of(taskID string) (Entry, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e, known := b.entries[taskID]
	return e, known
}

// Stop asks a job to stop after its current step. It can be resumed. A job that
// no process runs stops at once; one that has ended stays as it is.
func (r *Redrive) Stop(ctx context.Context, id, by, requestID string) (*Report, error) {
	j, err := r.jobs.Stop(ctx, id, job.CleanBy(by), requestID)
	if j == nil {
		return nil, err
	}
	return reportOf(j), err
}
