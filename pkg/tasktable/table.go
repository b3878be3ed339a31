package tasktable

import (
	"errors"
	"math"
	"time"
)

// Conditions of the protocol that callers meet.
var (
	// ErrNotFound: no such task, or its retention is over.
	ErrNotFound = errors.New("no such task")
	// ErrExists: a task with this id is in the table already.
	ErrExists = errors.New("the task exists already")
	// ErrFinished: the task has ended and cannot change this way any more.
	ErrFinished = errors.New("the task has finished")
	// ErrLost: somebody else has changed the task meanwhile.
	ErrLost = errors.New("the task has changed hands")
	// ErrTooLarge: a result or archive entry beyond what an item can hold.
	ErrTooLarge = errors.New("too large to store")
	// ErrNoPlan: a replay that is to be known again needs the id of its plan.
	ErrNoPlan = errors.New("the replay names no plan")
	// ErrCursor: a listing of failures has no page with this cursor.
	ErrCursor = errors.New("no page has this cursor")
)

const (
	// Never is the claimable_at of a task that nobody may claim.
	Never int64 = math.MaxInt64

	// minFailedRetention keeps a failed task longer than its dead letter,
	// which SQS keeps for 14 days.
	minFailedRetention = 15 * 24 * time.Hour

	// rowTarget is the size that a row should stay under while it is still
	// written: an update is billed by the whole item in steps of 1 KiB
	// (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html).
	rowTarget = 1024
	// rowReserve is what a claim and a settlement add to a fresh row.
	rowReserve = 160
	// rowLimit bounds a row together with its result: the result comes with
	// the last write, and an item of up to 4 KiB is read for half a unit.
	rowLimit = 4096
	// maxItem is what one item of its own may hold; DynamoDB's limit is 400 KB.
	maxItem = 390_000

	tenantIndex  = "by_tenant"
	failureIndex = "by_failure"
	// Shards spread one tenant's listing, and the failures of one state, over
	// this many index partitions, each good for 1,000 writes a second.
	shards = 4

	// maxHistory is how many failed attempts a row keeps.
	maxHistory = 10
)

// Options tunes a [Table]. The zero value is ready to use.
type Options struct {
	// Retention is how long a task is kept after its end. Failed and
	// dead-lettered ones are kept at least 15 days, longer than SQS keeps
	// their message. Defaults to 7 days.
	Retention time.Duration

	// KeyRetention is how long an idempotency key is remembered.
	// Defaults to 24 hours.
	KeyRetention time.Duration
}

func (o *Options) withDefaults() Options {
	var opts Options
	if o != nil {
		opts = *o
	}
	if opts.Retention <= 0 {
		opts.Retention = 7 * 24 * time.Hour
	}
	if opts.KeyRetention <= 0 {
		opts.KeyRetention = 24 * time.Hour
	}
	return opts
}

// Table is the task table. Its methods are safe for concurrent use.
type Table struct {
	client API
	name   string
	opts   Options
}

// New returns the task table called name. nil opts are defaults.
func New(client API, name string, opts *Options) *Table {
	return &Table{client: client, name: name, opts: opts.withDefaults()}
}
