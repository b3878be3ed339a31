// Package route decides which queue a task waits in.
//
// Intake asks it where to send an accepted task, the worker whether a message
// has to move, and redrive where to send a retry. [Choose] is a pure function
// over a [Set] of queues: callers keep no rule of their own, so a queue more
// in the set changes this package alone.
package route

import (
	"time"

	"github.com/spillway-go/spillway/pkg/task"
)

// Task is what a decision depends on. A caller leaves out what it does not
// decide by: the zero value of Age and of Failures never moves a task.
type Task struct {
	Priority task.Priority
	Tenant   string
	Age      time.Duration // of the message, since [workqueue.Message.WaitingSince]
	Failures int           // failed attempts of this run
	In       Role          // the queue that holds the message; empty before it is sent
}

// Rules bound how long a task stays in a queue with fresh work. A bound that is
// not positive is none.
type Rules struct {
	BacklogAfter    time.Duration // a message older than this moves to the backlog
	BacklogFailures int           // a task with this many failed attempts moves to the backlog
}

// Choose returns the role of the queue that a task waits in. For a set with at
// least one queue it always is a role of the set; for an empty one it is "".
//
//   - A task that is in no queue yet waits in the backlog if its priority is
//     bulk, and in the default queue otherwise: [Tasks], or the first
//     of [Set.Roles] in a set without it.
//   - A message in the backlog stays there, and so does one in a queue that is
//     not in the set.
//   - A message in another queue moves to the backlog if it is too old or its
//     task has failed too often, and stays otherwise. Its priority does not
//     matter any more.
//
// Without a backlog in the set, every task starts in the default queue and
// stays where it is.
func Choose[Q Queue](s Set[Q], r Rules, t Task) Role {
	_, backlog := s[Backlog]
	_, inside := s[t.In]
	switch {
	case t.In == "" && (!backlog || t.Priority != task.Bulk):
		return s.first()
	case t.In == "", backlog && r.outlived(t), !inside && backlog:
		return Backlog
	case !inside:
		return s.first()
	default:
		return t.In
	}
}

// outlived reports whether a task has had its time among fresh work.
func (r Rules) outlived(t Task) bool {
	return r.BacklogAfter > 0 && t.Age > r.BacklogAfter || r.BacklogFailures > 0 && t.Failures >= r.BacklogFailures
}
