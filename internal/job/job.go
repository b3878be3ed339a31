package job

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/spillway-go/spillway/internal/id"
	"github.com/spillway-go/spillway/pkg/task"
)

// Status is how far a job is. A kind of work may add states in which its jobs
// have ended.
type Status string

// The states of a job.
const (
	// Planned waits to be executed.
	Planned Status = "planned"
	Running Status = "running"
	// Stopping was asked to stop and will at its next step.
	Stopping Status = "stopping"
	// Stopped can be resumed.
	Stopped Status = "stopped"
	// Stalled was running when its process died. It can be resumed.
	Stalled Status = "stalled"
	Done    Status = "done"
)

// Ended reports whether a job in this state is never resumed.
func (s Status) Ended() bool {
	switch s {
	case "", Planned, Running, Stopping, Stopped, Stalled:
		return false
	default:
		return true
	}
}

// Progress is the engine's part of a job's state. Times are in milliseconds
// since 1970; 0 means not yet.
type Progress struct {
	Rate       float64 `json:"rate,omitempty"` // items a second, at most; 0 means no bound
	Counts     Counts  `json:"counts"`
	Hops       int     `json:"hops,omitempty"` // invocations since the job was started or resumed
	StartedAt  int64   `json:"started_at,omitempty"`
	UpdatedAt  int64   `json:"updated_at,omitempty"`
	FinishedAt int64   `json:"finished_at,omitempty"`
	PacedAt    int64   `json:"paced_at,omitempty"` // how far the schedule of the rate is
	Note       string  `json:"note,omitempty"`
}

func (p *Progress) progress() *Progress { return p }

// State is how far a job is: a pointer to a struct that embeds [Progress] and
// may add fields. It is stored as JSON, and no condition reads it.
type State interface{ progress() *Progress }

// Job is a job as stored: what was asked, which never changes, and its state.
type Job[R any, S State] struct {
	ID      string
	Request R
	Raw     json.RawMessage // the request as stored, with fields that R does not have
	Created time.Time
	Status  Status // as stored; see [Job.Seen]
	State   S

	holder string    // the run that holds the job
	until  time.Time // end of the holder's lease
	stop   bool      // a stop was asked for
	tidy   bool      // the last run finished its work before it left the job
	fresh  bool      // created by this process
}

// Spec is what an [Engine] has to know of its jobs.
type Spec[R any, S State] struct {
	// New returns an empty state.
	New func() S
	// Lock names what a job needs for itself: of the jobs with the same lock, one
	// runs at a time. An empty name means that any number may run.
	Lock func(R) string
}

// Options tunes an [Engine]. The zero value is ready to use.
type Options struct {
	// Lease is how long a job waits for the process that runs it before another
	// one may take it. It must be longer than a step takes. A lease never outlives
	// its invocation by more than a second. Defaults to 20 seconds.
	Lease time.Duration
	// AuditRetention is how long jobs and their ledgers are kept. Defaults to 90
	// days.
	AuditRetention time.Duration
	// Continue lets a later invocation go on with a job; hop counts them. Without
	// it a job whose time is over is left as [Stopped].
	Continue func(ctx context.Context, jobID string, hop int) error
	// MaxHops bounds the invocations of a job. Defaults to 500.
	MaxHops int
	// Logger defaults to [slog.Default].
	Logger *slog.Logger
}

// Engine runs jobs with requests R, states S and ledger entries E. It is safe
// for concurrent use.
type Engine[R any, S State, E Entry] struct {
	control control
	spec    Spec[R, S]
	opts    Options
}

// New returns an [Engine]. table is a DynamoDB table with the string keys pk
// (hash) and sk (range) and the TTL attribute expires_at. Several engines can
// share it.
func New[R any, S State, E Entry](client API, table string, spec Spec[R, S], opts Options) *Engine[R, S, E] {
	opts.Lease = cmp.Or(max(opts.Lease, 0), 20*time.Second)
	opts.AuditRetention = cmp.Or(max(opts.AuditRetention, 0), 90*24*time.Hour)
	opts.MaxHops = cmp.Or(max(opts.MaxHops, 0), 500)
	opts.Logger = cmp.Or(opts.Logger, slog.Default())
	return &Engine[R, S, E]{control: control{api: client, table: table}, spec: spec, opts: opts}
}

const (
	jobsPartition = "jobs" // what was asked, one item for each job
	lockPartition = "lock"
	stateSort     = "state"
	eventPrefix   = "event#"
	planPrefix    = "plan#"
	ledgerPrefix  = "ledger#"
)

func jobPartition(id string) string { return "job#" + id }

func (e *Engine[R, S, E]) expires() time.Time { return time.Now().Add(e.opts.AuditRetention) }

// Create stores a job in the state [Planned]: what was asked first, then the
// state, so that a job without a state was never begun. first is the first line
// of its audit trail.
func (e *Engine[R, S, E]) Create(ctx context.Context, jobID string, req R, s S, first Event) (*Job[R, S], error) {
	now := time.Now()
	s.progress().UpdatedAt = now.UnixMilli()
	expires := now.Add(e.opts.AuditRetention)
	if err := e.control.append(ctx, jobsPartition, jobID, req, expires, nil); err != nil {
		return nil, err
	}
	if err := e.control.append(ctx, jobPartition(jobID), stateSort, s, expires, item{attrStatus: str(string(Planned))}); err != nil {
		return nil, err
	}
	j := &Job[R, S]{ID: jobID, Request: req, Created: now.UTC().Truncate(time.Millisecond), Status: Planned, State: s, fresh: true}
	return j, e.Audit(ctx, jobID, first)
}

// Find reads a job.
func (e *Engine[R, S, E]) Find(ctx context.Context, jobID string) (*Job[R, S], error) {
	it, err := e.control.get(ctx, jobsPartition, jobID)
	if err != nil {
		return nil, err
	}
	if it == nil {
		return nil, fmt.Errorf("%w: there is no job or plan %s", ErrNotFound, task.CleanText(jobID, 64))
	}
	return e.read(ctx, it)
}

// List returns the newest jobs, at most limit: those of all engines that share
// the table.
func (e *Engine[R, S, E]) List(ctx context.Context, limit int) ([]*Job[R, S], error) {
	var jobs []*Job[R, S]
	err := e.control.walk(ctx, jobsPartition, "", true, limit, func(it item) (bool, error) {
		j, err := e.read(ctx, it)
		if errors.Is(err, ErrNotFound) {
			return true, nil // its creation was cut short
		}
		if err != nil {
			return false, err
		}
		jobs = append(jobs, j)
		return len(jobs) < limit, nil
	})
	return jobs, err
}

// read reads a job by the item that says what was asked.
func (e *Engine[R, S, E]) read(ctx context.Context, it item) (*Job[R, S], error) {
	j := &Job[R, S]{ID: text(it, attrSort), Raw: json.RawMessage(text(it, attrDetail))}
	j.Created = id.Time(j.ID)
	if err := decode(it, &j.Request); err != nil {
		return nil, err
	}
	state, err := e.control.get(ctx, jobPartition(j.ID), stateSort)
	if err != nil {
		return nil, err
	}
	if state == nil {
		return nil, fmt.Errorf("%w: the creation of job %s was cut short, and nothing was done: ask for it again", ErrNotFound, j.ID)
	}
	return j, e.readState(j, state)
}

func (e *Engine[R, S, E]) readState(j *Job[R, S], it item) error {
	j.Status, j.holder, j.until, j.stop = Status(text(it, attrStatus)), text(it, attrHolder), time.UnixMilli(number(it, attrUntil)), it[attrStop] != nil
	j.tidy = j.tidy || it[attrTidy] != nil
	j.State = e.spec.New()
	return decode(it, j.State)
}

// Seen is the status as others see it: it tells [Stopping] and [Stalled] from
// [Running].
func (j *Job[R, S]) Seen(now time.Time) Status {
	switch {
	case j.Status != Running:
		return j.Status
	case j.until.Before(now):
		return Stalled
	case j.stop:
		return Stopping
	default:
		return Running
	}
}

func (j *Job[R, S]) detail() types.AttributeValue {
	encoded, err := json.Marshal(j.State)
	if err != nil {
		panic(err) // numbers and text only
	}
	return str(string(encoded))
}

// Update writes the state of a job that has ended, unless its status is another
// one by now.
func (e *Engine[R, S, E]) Update(ctx context.Context, j *Job[R, S]) error {
	_, err := e.control.change(ctx, jobPartition(j.ID), stateSort, "SET detail = :detail", "job_status = :status",
		item{":detail": j.detail(), ":status": str(string(j.Status))})
	if errors.Is(err, errLost) {
		return nil
	}
	return err
}

// Stop asks a job to stop after its current step. It can be resumed. A job that
// no process runs stops at once; one that has ended stays as it is.
func (e *Engine[R, S, E]) Stop(ctx context.Context, jobID, by, requestID string) (*Job[R, S], error) {
	j, err := e.Find(ctx, jobID)
	if err != nil || j.Status != Running && j.Status != Planned {
		return j, err
	}
	it, err := e.control.change(ctx, jobPartition(jobID), stateSort, "SET job_status = :stopped REMOVE holder, stop_asked",
		"job_status = :planned OR (job_status = :running AND lease_until < :now)",
		item{":stopped": str(string(Stopped)), ":planned": str(string(Planned)), ":running": str(string(Running)), ":now": num(time.Now().UnixMilli())})
	if errors.Is(err, errLost) {
		it, err = e.control.change(ctx, jobPartition(jobID), stateSort, "SET stop_asked = :stop", "job_status = :running",
			item{":stop": num(1), ":running": str(string(Running))})
	}
	if err != nil && !errors.Is(err, errLost) {
		return nil, err
	}
	if err := e.readState(j, it); err != nil {
		return nil, err
	}
	return j, e.Audit(ctx, jobID, Event{What: "stop asked", By: by, RequestID: requestID})
}

// StopAsked reports whether the job was asked to stop while it ran.
func (j *Job[R, S]) StopAsked() bool { return j.stop }
