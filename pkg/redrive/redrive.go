package redrive

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spillway-go/spillway/internal/job"
	"github.com/spillway-go/spillway/internal/route"
	"github.com/spillway-go/spillway/pkg/task"
)

// Origins are queues by what they are for: "tasks", "backlog", or any name for a
// queue that stands alone.
type Origins = route.Set[Queue]

// Source is a dead-letter queue and what belongs to it.
type Source struct {
	// Letters is the dead-letter queue itself.
	Letters Inbox
	// Origins are the queues that messages may go back to. A message goes to the
	// one it came from, by name, and to no other. A retry by the task's row goes
	// to the queue "tasks", or to the queue "backlog" for a bulk task.
	Origins Origins
	// Tasks guards the messages that are tasks: each runs at most once for each
	// replay. nil makes every message one that is sent at least once.
	Tasks Tasks
	// Move lets SQS move messages itself, to MoveTo. nil means that it cannot.
	Move   MoveAPI
	MoveTo string // ARN
}

// Options tunes a [Redrive]. The zero value is ready to use.
type Options struct {
	// MaxReplays is how often a message, or a task, is replayed in all.
	// Defaults to 20.
	MaxReplays int
	// PlanFor is how long a plan can be executed after it was made.
	// Defaults to 1 hour.
	PlanFor time.Duration
	// CanaryFor is how long a canary may take to succeed. Defaults to 15 minutes.
	CanaryFor time.Duration
	// QuarantineFor is how long purged messages can be restored. Defaults to 14
	// days, as long as SQS keeps a message.
	QuarantineFor time.Duration
	// AuditRetention is how long jobs and their ledgers are kept.
	// Defaults to 90 days.
	AuditRetention time.Duration
	// Hide is how long received messages stay hidden when the context has no
	// deadline. With one they stay hidden until just after it.
	// Defaults to 5 minutes.
	Hide time.Duration
	// Lease is how long a job waits for the process that runs it before another
	// one may go on with it. Defaults to 20 seconds.
	Lease time.Duration
	// Concurrency is how many steps, of up to ten messages each, are under way at
	// once. Messages of a FIFO queue go one step after the other. Defaults to 4.
	Concurrency int
	// Continue has a later invocation go on with a job by [Redrive.Resume].
	// Without it, whoever asked has to. hop counts the continuations.
	Continue func(ctx context.Context, jobID string, hop int) error
	// Follow has a later invocation follow the tasks of a job that has ended, by
	// [Redrive.Follow]. Without it they are followed by whoever looks at the job.
	Follow func(ctx context.Context, jobID string, hop int) error
	// FollowFor is how long the tasks of a job are followed after its end.
	// Defaults to 30 minutes.
	FollowFor time.Duration
	// MaxHops bounds the continuations of a job. Defaults to 500.
	MaxHops int
	// Quarantine is where purged messages go. nil refuses purges.
	Quarantine Quarantine
	// Logger defaults to [slog.Default].
	Logger *slog.Logger
}

func (o *Options) withDefaults() Options {
	var d Options
	if o != nil {
		d = *o
	}
	d.MaxReplays = cmp.Or(max(d.MaxReplays, 0), 20)
	d.PlanFor = cmp.Or(max(d.PlanFor, 0), time.Hour)
	d.CanaryFor = cmp.Or(max(d.CanaryFor, 0), 15*time.Minute)
	d.FollowFor = cmp.Or(max(d.FollowFor, 0), 30*time.Minute)
	d.QuarantineFor = cmp.Or(max(d.QuarantineFor, 0), 14*24*time.Hour)
	d.AuditRetention = cmp.Or(max(d.AuditRetention, 0), 90*24*time.Hour)
	d.Hide = cmp.Or(max(d.Hide, 0), 5*time.Minute)
	d.Lease = cmp.Or(max(d.Lease, 0), 20*time.Second)
	d.Concurrency = cmp.Or(max(d.Concurrency, 0), 4)
	d.MaxHops = cmp.Or(max(d.MaxHops, 0), 500)
	d.Logger = cmp.Or(d.Logger, slog.Default())
	return d
}

// Redrive looks through dead-letter queues and brings back what is in them. It
// is safe for concurrent use.
type Redrive struct {
	jobs    *engine
	sources map[string]Source
	opts    Options
}

// New returns a [Redrive] over sources, by the names that operators know them
// by. table is a DynamoDB table with the string keys pk (hash) and sk (range)
// and the TTL attribute expires_at; it holds jobs and their ledgers. nil opts
// are defaults.
func New(client ControlAPI, table string, sources map[string]Source, opts *Options) *Redrive {
	o := opts.withDefaults()
	jobs := job.New[Request, *progress, Entry](client, table, job.Spec[Request, *progress]{New: func() *progress { return &progress{} }, Lock: lockOf},
		job.Options{Lease: o.Lease, AuditRetention: o.AuditRetention, Continue: o.Continue, MaxHops: o.MaxHops, Logger: o.Logger})
	return &Redrive{jobs: jobs, sources: maps.Clone(sources), opts: o}
}

// source finds a queue by its name.
func (r *Redrive) source(name string) (Source, error) {
	s, ok := r.sources[name]
	if !ok {
		return Source{}, fmt.Errorf("%w %q: known are %s", ErrUnknownQueue, task.CleanText(name, 64), strings.Join(slices.Sorted(maps.Keys(r.sources)), ", "))
	}
	return s, nil
}
