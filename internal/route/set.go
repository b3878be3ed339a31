package route

import (
	"cmp"
	"maps"
	"slices"
)

// Role is what a queue is for. It is also the name that operators know the
// queue by; SQS knows it by another one ([Queue.Name]).
type Role string

const (
	// Tasks is the queue for fresh work, and the default.
	Tasks Role = "tasks"
	// Backlog is the queue for bulk and aged tasks, and for those that failed
	// often.
	Backlog Role = "backlog"
)

// Queue is what a [Set] needs of each queue.
type Queue interface {
	Name() string // in SQS
}

// Set is the queues that tasks wait in, by role. It must not change while it
// is in use.
type Set[Q Queue] map[Role]Q

// Roles returns the roles of the set: [Tasks] first, [Backlog] last, the others
// in alphabetical order between them.
func (s Set[Q]) Roles() []Role {
	rank := func(r Role) int {
		switch r {
		case Tasks:
			return 0
		case Backlog:
			return 2
		default:
			return 1
		}
	}
	return slices.SortedFunc(maps.Keys(s), func(a, b Role) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a, b))
	})
}

// first is the default queue; "" in an empty set.
func (s Set[Q]) first() Role {
	if _, ok := s[Tasks]; ok {
		return Tasks
	}
	for _, r := range s.Roles() {
		return r
	}
	return ""
}

// Source returns the role of the queue that a message was received from, by
// the queue's name in SQS. A queue that is not in the set counts as the
// backlog, whose messages never move; in a set without one, as the default.
func (s Set[Q]) Source(name string) Role {
	for _, r := range s.Roles() {
		if s[r].Name() == name {
			return r
		}
	}
	if _, ok := s[Backlog]; ok {
		return Backlog
	}
	return s.first()
}

// Named returns the queue that SQS knows by this name, and whether there is one.
func (s Set[Q]) Named(name string) (Q, bool) {
	for _, q := range s {
		if q.Name() == name {
			return q, true
		}
	}
	var none Q
	return none, false
}
