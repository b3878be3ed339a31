package task

import "slices"

// Status is the state of a task as stored and as answered by the API.
type Status string

// The states of a task.
const (
	// Queued waits for a worker: never begun, yielded, between two attempts, or
	// replayed.
	Queued Status = "queued"
	// Running is leased by a worker, or deferred to somebody else.
	Running Status = "running"
	// Succeeded has a result. It never changes.
	Succeeded Status = "succeeded"
	// Failed ended with a permanent error and has no dead letter. Only an
	// operator's replay changes it.
	Failed Status = "failed"
	// Canceled was called off. It never changes.
	Canceled Status = "canceled"
	// Expired passed its deadline before it could finish. It never changes.
	Expired Status = "expired"
	// DeadLettered used up its attempts; its message waits in the dead-letter
	// queue, with the reason. A replay queues it again, a cancel ends it.
	DeadLettered Status = "dead_lettered"
)

// Statuses are all states, in the order in which a task can reach them.
var Statuses = []Status{Queued, Running, Succeeded, Failed, Canceled, Expired, DeadLettered}

// Known reports whether s is one of [Statuses].
func (s Status) Known() bool { return slices.Contains(Statuses, s) }

// Finished reports whether no worker will touch the task any more unless an
// operator replays it.
func (s Status) Finished() bool {
	switch s {
	case Succeeded, Failed, Canceled, Expired, DeadLettered:
		return true
	default:
		return false
	}
}

// Final reports whether nothing can change the state any more.
func (s Status) Final() bool {
	return s.Known() && !changes(func(t Transition) bool { return t.From == s })
}

// CanBecome reports whether a task in state s may change to state to, by
// whatever [Cause]. Running to running is a lapsed lease that another worker
// takes over, or a deferral.
func (s Status) CanBecome(to Status) bool {
	return changes(func(t Transition) bool { return t.From == s && t.To == to })
}
