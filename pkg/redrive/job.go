package redrive

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
)

// progress is the part of a job's state that changes and that no condition
// looks at.
type progress struct {
	Rate       float64   `json:"rate,omitempty"`
	Max        int       `json:"max,omitempty"`
	Planned    int       `json:"planned,omitempty"` // messages that the plan holds
	CanarySize int       `json:"canary_size,omitempty"`
	CanaryAt   int64     `json:"canary_at,omitempty"` // when the canary was out, ms
	CanaryDone bool      `json:"canary_done,omitempty"`
	Canary     *Canary   `json:"canary,omitempty"`
	Counts     Counts    `json:"counts"`
	Hops       int       `json:"hops,omitempty"`
	Cursor     string    `json:"cursor,omitempty"` // of a retry's or a restore's source
	PlanUntil  int64     `json:"plan_until,omitempty"`
	StartedAt  int64     `json:"started_at,omitempty"`
	UpdatedAt  int64     `json:"updated_at,omitempty"`
	FinishedAt int64     `json:"finished_at,omitempty"`
	PacedAt    int64     `json:"paced_at,omitempty"` // where the schedule of a rate is, ms
	IdleAt     int64     `json:"idle_at,omitempty"`  // since when there was nothing to do but wait, ms
	Note       string    `json:"note,omitempty"`
	Outcomes   *Outcomes `json:"outcomes,omitempty"`
}

// job is a job as stored: what was asked, which never changes, and its state.
type job struct {
	id      string
	request Request
	created time.Time

	status Status
	holder string
	until  time.Time // of the holder's lease
	stop   bool
	tidy   bool // left by a run that did not die
	progress
}

const (
	jobsPartition = "jobs" // what was asked, one item for each job
	stateSort     = "state"
	eventPrefix   = "event#"
	planPrefix    = "plan#"
	ledgerPrefix  = "ledger#"
)

func jobPartition(id string) string { return "job#" + id }

// create writes what was asked, then the state: a job without a state has not
// begun. what says so in the audit trail.
func (r *Redrive) create(ctx context.Context, id string, req Request, p progress, what string) (*job, error) {
	now := time.Now()
	p.UpdatedAt = now.UnixMilli()
	expires := now.Add(r.opts.AuditRetention)
	if err := r.control.append(ctx, jobsPartition, id, req, expires, nil); err != nil {
		return nil, err
	}
	if err := r.control.append(ctx, jobPartition(id), stateSort, p, expires, item{attrStatus: str(string(Planned))}); err != nil {
		return nil, err
	}
	j := &job{id: id, request: req, created: task.AtMilli(now.UnixMilli()).Time, status: Planned, progress: p}
	return j, r.event(ctx, j, what, req.By, req.RequestID)
}

// find reads a job.
func (r *Redrive) find(ctx context.Context, id string) (*job, error) {
	it, err := r.control.get(ctx, jobsPartition, id)
	if err != nil {
		return nil, err
	}
	if it == nil {
		return nil, fmt.Errorf("%w: there is no job or plan %s", ErrNotFound, task.CleanText(id, 64))
	}
	j, err := readJob(it)
	if err != nil {
		return nil, err
	}
	return j, r.refresh(ctx, j)
}

// readJob reads what was asked.
func readJob(it item) (*job, error) {
	j := &job{id: text(it, attrSort)}
	j.created = (&tasktable.Row{ID: j.id}).CreatedAt()
	return j, decode(it, &j.request)
}

// refresh reads a job's state.
func (r *Redrive) refresh(ctx context.Context, j *job) error {
	it, err := r.control.get(ctx, jobPartition(j.id), stateSort)
	if err != nil {
		return err
	}
	if it == nil {
		return fmt.Errorf("%w: the creation of job %s was cut short, and nothing was done: ask for it again", ErrNotFound, j.id)
	}
	return j.read(it)
}

func (j *job) read(it item) error {
	j.status, j.holder, j.until, j.stop = Status(text(it, attrStatus)), text(it, attrHolder), time.UnixMilli(number(it, attrUntil)), it[attrStop] != nil
	j.tidy = j.tidy || it[attrTidy] != nil
	j.progress = progress{}
	return decode(it, &j.progress)
}

// seen is the status as others see it.
func (j *job) seen(now time.Time) Status {
	switch {
	case j.status != Running:
		return j.status
	case j.stop:
		return Stopping
	case j.until.Before(now):
		return Stalled
	default:
		return Running
	}
}

func (j *job) report() *Report {
	at := func(ms int64) time.Time {
		if ms == 0 {
			return time.Time{}
		}
		return time.UnixMilli(ms).UTC()
	}
	return &Report{
		JobID: j.id, Request: j.request, Status: j.seen(time.Now()), Planned: j.Planned, Counts: j.Counts.clone(),
		Finished: j.status == Done || j.status == CanaryFailed, Canary: j.Canary, Note: j.Note, Hops: j.Hops,
		CreatedAt: j.created, StartedAt: at(j.StartedAt), UpdatedAt: at(j.UpdatedAt), FinishedAt: at(j.FinishedAt),
		PlanUntil: at(j.PlanUntil), Outcomes: j.Outcomes,
	}
}

// event appends to the audit trail of a job.
func (r *Redrive) event(ctx context.Context, j *job, what, by, requestID string) error {
	now := time.Now()
	e := Event{At: task.At(now), What: what, By: by, RequestID: requestID}
	return r.control.append(ctx, jobPartition(j.id), eventPrefix+tasktable.NewID(), e, now.Add(r.opts.AuditRetention), nil)
}

// Event is a line of a job's audit trail.
type Event struct {
	At        task.Time `json:"at"`
	What      string    `json:"what"`
	By        string    `json:"by,omitempty"`
	RequestID string    `json:"request_id,omitempty"`
}

// take makes this process the one that runs a job: first of its queue, then of
// the job. [ErrBusy] when somebody else does. That somebody has asked it to stop
// is forgotten if it is asked for anew, and not in a hop.
func (r *Redrive) take(ctx context.Context, j *job, anew bool) error {
	now := time.Now()
	until := r.leaseEnd(ctx, now)
	if lock := j.lock(); lock != "" {
		it, err := r.control.change(ctx, "lock", lock, "SET job_id = :job, lease_until = :until, expires_at = :expires",
			"attribute_not_exists(pk) OR lease_until < :now OR job_id = :job",
			item{":job": str(j.id), ":until": num(until.UnixMilli()), ":now": num(now.UnixMilli()), ":expires": num(until.Add(time.Hour).Unix())})
		if errors.Is(err, errLost) {
			return fmt.Errorf("%w on the queue %q: %s; wait for it, or stop it", ErrBusy, lock, text(it, attrJob))
		}
		if err != nil {
			return err
		}
	}
	update := "SET job_status = :running, holder = :me, lease_until = :until REMOVE tidy"
	if anew {
		update += ", stop_asked"
	}
	it, err := r.control.change(ctx, jobPartition(j.id), stateSort, update,
		"attribute_exists(pk) AND (job_status = :planned OR job_status = :stopped OR (job_status = :running AND (lease_until < :now OR attribute_not_exists(holder))))",
		item{
			":running": str(string(Running)), ":planned": str(string(Planned)), ":stopped": str(string(Stopped)),
			":me": str(nonce()), ":until": num(until.UnixMilli()), ":now": num(now.UnixMilli()),
		})
	if err == nil {
		return j.read(it)
	}
	if errors.Is(err, errLost) {
		err = fmt.Errorf("%w: %s is in other hands, or has ended", ErrBusy, j.id)
		if current := Status(text(it, attrStatus)); current == Running {
			return err // and its queue with it
		}
	}
	return errors.Join(err, r.unlock(ctx, j, time.Time{}))
}

// unlock lets go of a job's queue at an instant; at once if that is zero.
func (r *Redrive) unlock(ctx context.Context, j *job, at time.Time) error {
	lock := j.lock()
	if lock == "" {
		return nil
	}
	until := int64(0)
	if !at.IsZero() {
		until = at.UnixMilli()
	}
	_, err := r.control.change(ctx, "lock", lock, "SET lease_until = :until", "job_id = :job", item{":job": str(j.id), ":until": num(until)})
	if errors.Is(err, errLost) {
		return nil
	}
	return err
}

// lock is what the job has to have for itself: its queue, or else all retries
// by filter. One task alone needs no more than its row.
func (j *job) lock() string {
	switch {
	case j.request.Kind != KindRetry:
		return j.request.Queue
	case j.alone():
		return ""
	default:
		return "task.retry"
	}
}

func (j *job) alone() bool {
	return j.request.Kind == KindRetry && j.request.Max == 1 && len(j.request.Filter.IDs) == 1
}

// leaseEnd is when a lease taken now ends: long enough for a step, and not
// after the invocation.
func (r *Redrive) leaseEnd(ctx context.Context, now time.Time) time.Time {
	until := now.Add(r.opts.Lease)
	if end, ok := ctx.Deadline(); ok && end.Add(time.Second).Before(until) {
		until = end.Add(time.Second)
	}
	return until
}

// keep renews the lease of a job, and of its queue, and writes how far it is.
// It returns errLost when somebody else has taken it.
func (r *Redrive) keep(ctx context.Context, j *job) error {
	now := time.Now()
	until := r.leaseEnd(ctx, now)
	j.UpdatedAt = now.UnixMilli()
	if lock := j.lock(); lock != "" {
		_, err := r.control.change(ctx, "lock", lock, "SET lease_until = :until", "job_id = :job", item{":job": str(j.id), ":until": num(until.UnixMilli())})
		if err != nil {
			return err
		}
	}
	it, err := r.control.change(ctx, jobPartition(j.id), stateSort, "SET detail = :detail, lease_until = :until", "holder = :me AND job_status = :running",
		item{":detail": j.detail(), ":until": num(until.UnixMilli()), ":me": str(j.holder), ":running": str(string(Running))})
	if err != nil {
		return err
	}
	j.stop = it[attrStop] != nil
	return nil
}

func (j *job) detail() types.AttributeValue {
	encoded, err := json.Marshal(j.progress)
	if err != nil {
		panic(err) // numbers and text only
	}
	return str(string(encoded))
}

// leave gives a job up in the given state. While it is running, it goes on
// elsewhere: it counts as such, and its queue stays its own, for as long as a
// hop may take.
func (r *Redrive) leave(ctx context.Context, j *job, status Status) error {
	now := time.Now()
	j.UpdatedAt = now.UnixMilli()
	if status == Done || status == CanaryFailed {
		j.FinishedAt = now.UnixMilli()
	}
	until := int64(0)
	if status == Running {
		until = now.Add(r.opts.Lease).UnixMilli()
	}
	_, err := r.control.change(ctx, jobPartition(j.id), stateSort,
		"SET job_status = :status, detail = :detail, lease_until = :until, tidy = :tidy REMOVE holder, stop_asked", "holder = :me AND job_status = :running",
		item{":status": str(string(status)), ":detail": j.detail(), ":until": num(until), ":me": str(j.holder), ":running": str(string(Running)), ":tidy": num(1)})
	if err != nil {
		return err
	}
	j.status, j.until, j.holder = status, time.UnixMilli(until), ""
	if until > 0 {
		return r.unlock(ctx, j, j.until)
	}
	return r.unlock(ctx, j, time.Time{})
}

// Stop asks a job to stop after its current step. It can be resumed. A job that
// nobody runs stops at once; one that has ended stays as it is.
func (r *Redrive) Stop(ctx context.Context, id, by, requestID string) (*Report, error) {
	j, err := r.find(ctx, id)
	if err != nil {
		return nil, err
	}
	if j.status != Running && j.status != Planned {
		return j.report(), nil
	}
	now := time.Now()
	values := item{":stop": num(1), ":now": num(now.UnixMilli()), ":running": str(string(Running)), ":planned": str(string(Planned)), ":stopped": str(string(Stopped))}
	it, err := r.control.change(ctx, jobPartition(id), stateSort, "SET job_status = :stopped REMOVE holder, stop_asked",
		"job_status = :planned OR (job_status = :running AND lease_until < :now)", pick(values, ":stopped", ":planned", ":running", ":now"))
	if errors.Is(err, errLost) {
		it, err = r.control.change(ctx, jobPartition(id), stateSort, "SET stop_asked = :stop", "job_status = :running", pick(values, ":stop", ":running"))
	}
	if err != nil && !errors.Is(err, errLost) {
		return nil, err
	}
	if err := j.read(it); err != nil {
		return nil, err
	}
	return j.report(), r.event(ctx, j, "stop asked", cleanBy(by), requestID)
}

func pick(values item, names ...string) item {
	picked := make(item, len(names))
	for _, name := range names {
		picked[name] = values[name]
	}
	return picked
}

// nonce names one run of a job.
func nonce() string { return rand.Text()[:13] }
