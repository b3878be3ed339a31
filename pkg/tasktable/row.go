package tasktable

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/spillway-go/spillway/internal/id"
	"github.com/spillway-go/spillway/pkg/task"
)

// Row is a task as stored. Times are milliseconds since the Unix epoch unless
// they are a [time.Time].
type Row struct {
	ID              string
	Tenant          string
	Type            string
	Status          task.Status
	Priority        task.Priority
	Run             int    // 1, raised by every replay
	Fence           int64  // raised by every claim and replay, and by cancel or expiry
	Settled         int64  // the fence that last settled
	Owner           string // nonce of the latest claim
	ClaimableAt     int64  // may be claimed when this is past
	Attempts        int    // counted by settlements
	Replays         int
	ExpiresAt       int64 // TTL, seconds since the Unix epoch
	Deadline        int64
	StartedAt       int64 // of the latest claim
	FinishedAt      int64
	Input           json.RawMessage // nil when InputRef says where it is
	InputRef        string
	Result          json.RawMessage
	ResultRef       string
	Error           *task.Failure
	Progress        *task.Advance
	State           json.RawMessage // last checkpoint
	CancelRequested bool
	CallbackURL     string         // where to tell the end of the task; empty without one
	History         []task.Attempt // the latest failed attempts of this run, at most 10
	PlanID          string         // of the replay that this run is; empty if it is none's
	Mark            string         // of whoever completes the deferred task, see [ExternalMark]

	// What a failed or dead-lettered task has beside its error, if it was
	// settled with [Settlement.Explained].
	Report      json.RawMessage // the failure record
	Fingerprint string          // as the index of failures has it

	// Charged is true when the current attempt has been counted before it
	// began (see [Table.Charge]). It is not stored.
	Charged bool

	size int // of the stored item in bytes, as DynamoDB counts
}

// CreatedAt is the creation time that the id carries.
func (r *Row) CreatedAt() time.Time { return id.Time(r.ID) }

// isID reports whether a task can have this id.
func isID(text string) bool { return !id.Time(text).IsZero() }

// Vanished reports whether the claim before the current one was never settled:
// its worker crashed or ran into its time-out.
func (r *Row) Vanished() bool { return r.Fence > r.Settled+1 }

// Counted is the number of attempts once the current one is counted.
func (r *Row) Counted() int {
	if r.Charged {
		return r.Attempts
	}
	return r.Attempts + 1
}

// uncounted is the number of attempts when the current one does not count.
func (r *Row) uncounted() int {
	if r.Charged {
		return r.Attempts - 1
	}
	return r.Attempts
}

// held reports whether the latest claim has not been settled.
func (r *Row) held() bool { return r.Status == task.Running && r.Settled < r.Fence }

// leased reports whether a worker holds the row, or somebody to whom it was
// deferred.
func (r *Row) leased(now int64) bool { return r.Status == task.Running && r.ClaimableAt >= now }

// overdue reports whether the row reads as expired: past its deadline, still
// kept, and no worker holds it.
func (r *Row) overdue(now int64) bool {
	if r.Deadline > now || r.gone(now) {
		return false
	}
	return r.Status == task.Queued || r.Status == task.Running && !r.leased(now)
}

// gone reports whether the retention is over.
func (r *Row) gone(now int64) bool { return r.ExpiresAt > 0 && r.ExpiresAt*1000 <= now }

// Task is the row as callers see it. Without a result that lies in an item of
// its own, unless [Table.Get] fetched it.
func (r *Row) Task() task.Task {
	t := task.Task{
		ID: r.ID, Type: r.Type, Status: r.Status, Tenant: r.Tenant, Priority: r.Priority,
		CreatedAt: task.At(r.CreatedAt()), Deadline: task.AtMilli(r.Deadline), Attempts: r.Attempts,
	}
	if r.StartedAt > 0 {
		at := task.AtMilli(r.StartedAt)
		t.StartedAt = &at
	}
	if r.FinishedAt > 0 {
		at := task.AtMilli(r.FinishedAt)
		t.FinishedAt = &at
	}
	switch r.Status {
	case task.Succeeded:
		t.Result, t.Progress = r.Result, r.Progress
	case task.Failed, task.DeadLettered:
		t.Error, t.Progress = r.Error, r.Progress
	case task.Queued, task.Running:
		// Between attempts the last error says why it is tried again.
		t.Error, t.Progress, t.CancelRequested = r.Error, r.Progress, r.CancelRequested
	default:
		t.Progress = r.Progress
	}
	return t
}

// tenantShard is the partition of the listing index that a task is in. It
// holds the tenant, which the row therefore does not repeat.
func tenantShard(tenant, id string) string {
	return tenant + "#" + shardOf(id)
}

// shardOf is the last part of the partition of an index that a task is in.
func shardOf(id string) string { return string(rune('0' + id[len(id)-1]%shards)) }

func tenantOf(tenantShard string) string {
	if i := strings.LastIndexByte(tenantShard, '#'); i >= 0 {
		return tenantShard[:i]
	}
	return tenantShard
}
