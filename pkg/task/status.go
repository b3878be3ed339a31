package task

import "slices"

// Status is the state of a task as stored and as answered by the API.
type Status string

// The states of a task.
const (
	// Queued waits for a worker: never begun, between two attempts, or replayed.
	Queued Status = "queued"
	// Running is leased by a worker, or deferred to someone else.
	Running Status = "running"
	// Succeeded has a result. It never changes.
	Succeeded Status = "succeeded"
	// Failed ended with a permanent error. Only an operator's retry changes it.
	Failed Status = "failed"
	// Canceled was called off. It never changes.
	Canceled Status = "canceled"
	// Expired passed its deadline before it could finish. It never changes.
	Expired Status = "expired"
	// DeadLettered used up its attempts; its message waits in the dead-letter
	// queue. A replay queues it again, a cancel ends it.
	DeadLettered Status = "dead_lettered"
)

// Statuses are all states, in the order in which a task can reach them.
var Statuses = []Status{Queued, Running, Succeeded, Failed, Canceled, Expired, DeadLettered}

// transitions holds every legal change; what is missing is refused.
var transitions = map[Status][]Status{
	Queued:       {Running, Canceled, Expired},
	Running:      {Running, Queued, Succeeded, Failed, Canceled, Expired, DeadLettered},
	DeadLettered: {Queued, Canceled},
	Failed:       {Queued},
}

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
func (s Status) Final() bool { return s.Known() && len(transitions[s]) == 0 }

// CanBecome reports whether a task in state s may change to state to. Running
// to running is a lapsed lease that another worker takes over.
func (s Status) CanBecome(to Status) bool { return slices.Contains(transitions[s], to) }
