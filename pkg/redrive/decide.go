package redrive

import (
	"time"

	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
)

// Reasons why a message is not replayed. A task that has ended otherwise is
// dropped with its state as the reason: succeeded, canceled or expired.
const (
	ReasonExhausted  = "replays_exhausted" // it was replayed as often as is allowed
	ReasonOrigin     = "unknown_origin"    // nothing says which queue it came from, or that queue is none of ours
	ReasonRunning    = "running"           // a worker holds the task
	ReasonQueued     = "queued"            // the task waits for a worker, with a message of its own
	ReasonDeadline   = "deadline_passed"   // the task would expire
	ReasonAgain      = "failed_again"      // this very job replayed it, and it came back
	ReasonSuperseded = "superseded"        // a later run of the task has failed: its letter counts
	ReasonDuplicate  = "duplicate"         // another letter of the same task stands for it
	ReasonGone       = "gone"              // it is not in the queue any more
	ReasonInFlight   = "in_flight"         // somebody else has received it
	ReasonGroup      = "group_blocked"     // an earlier message of its FIFO group could not be sent
	ReasonState      = "not_retryable"     // the task has not failed
	ReasonInput      = "input_lost"        // the task's input is not kept any more
	ReasonMismatch   = "mismatch"          // the message does not agree with its task: another tenant, type or run
)

// action is what to do with a letter.
type action int

const (
	skip  action = iota // leave it; an action that was never decided does so too
	send                // back to where it came from
	drop                // delete it
	admit               // an earlier try has sent it: note that
)

// String is the action as plans show it.
func (a action) String() string {
	switch a {
	case send, admit:
		return "replay"
	case drop:
		return "drop"
	default:
		return "skip"
	}
}

// decision is what was decided about a letter.
type decision struct {
	action action
	run    int    // to send it for
	reason string // of a drop or a skip
	noRow  bool   // no row guards it
}

// settledRow decides about a letter by what the table made of its replay: done
// says that the task waits in the run asked for, and the plan is the job's own.
// Without done nothing was written, and the row says why.
func (r *Redrive) settledRow(l *Letter, row *tasktable.Row, done bool, plan string, now time.Time) decision {
	run := l.nextRun()
	switch {
	case row == nil:
		return decision{action: send, run: l.Task.Run, noRow: true}
	case row.Tenant != l.Task.Tenant, row.Type != l.Task.Type, run > row.Run+1:
		// Whoever wrote this was no worker of ours.
		return decision{action: skip, reason: ReasonMismatch}
	case done && row.Status == task.Queued:
		return decision{action: send, run: run}
	case done: // its message has been at work: an earlier try sent it
		return decision{action: admit, run: run}
	case row.Status == task.Succeeded, row.Status == task.Canceled, row.Status == task.Expired:
		return decision{action: drop, reason: string(row.Status)}
	case row.Run > run:
		return decision{action: drop, reason: ReasonSuperseded}
	case row.Status == task.Queued && row.Run == run, row.Status == task.Queued && l.MovedBy != ByWorker && row.Run == l.Task.Run:
		// Whoever queued it may not have got to its send; a second message is
		// harmless.
		return decision{action: send, run: row.Run}
	case row.Status == task.Queued:
		return decision{action: skip, reason: ReasonQueued}
	case row.Status == task.Running && row.ClaimableAt >= now.UnixMilli():
		return decision{action: skip, reason: ReasonRunning}
	case row.PlanID == plan && row.Run < run && l.MovedBy == ByWorker:
		return decision{action: skip, reason: ReasonAgain}
	case row.Run >= run:
		return decision{action: drop, reason: ReasonSuperseded}
	case row.Deadline <= now.UnixMilli():
		return decision{action: skip, reason: ReasonDeadline}
	case row.Replays >= r.opts.MaxReplays:
		return decision{action: skip, reason: ReasonExhausted}
	default: // it changed while we looked
		return decision{action: skip, reason: string(row.Status)}
	}
}

// refuse decides about a letter before the table is asked.
func (r *Redrive) refuse(src *Source, l *Letter) (decision, bool) {
	if _, known := src.Origins.Named(l.Origin()); !known {
		return decision{action: skip, reason: ReasonOrigin}, true
	}
	if l.Replays() >= r.opts.MaxReplays {
		return decision{action: skip, reason: ReasonExhausted}, true
	}
	return decision{}, false
}

// foresee is what a replay would do with a letter, by a row that was only read.
func (r *Redrive) foresee(src *Source, l *Letter, row *tasktable.Row, now time.Time) decision {
	if v, refused := r.refuse(src, l); refused {
		return v
	}
	if l.Task == nil || src.Tasks == nil || row == nil {
		v := decision{action: send, noRow: true}
		if l.Task != nil {
			v.run = l.Task.Run
		}
		return v
	}
	run := l.nextRun()
	failed := row.Status == task.Failed || row.Status == task.DeadLettered || row.Status == task.Running && row.ClaimableAt < now.UnixMilli()
	ours := row.Tenant == l.Task.Tenant && row.Type == l.Task.Type && run == row.Run+1
	if failed && ours && row.Deadline > now.UnixMilli() && row.Replays < r.opts.MaxReplays {
		return decision{action: send, run: run}
	}
	return r.settledRow(l, row, false, "", now)
}
