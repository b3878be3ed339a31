package job

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/spillway-go/spillway/internal/id"
	"github.com/spillway-go/spillway/pkg/task"
)

// Event is a line of a job's audit trail.
type Event struct {
	At        task.Time `json:"at"`
	What      string    `json:"what"`
	By        string    `json:"by,omitempty"`
	RequestID string    `json:"request_id,omitempty"`
}

// CleanBy is the name of an operator as it is stored: "unknown" if it is empty.
func CleanBy(by string) string { return cmp.Or(task.CleanText(by, 200), "unknown") }

// Audit appends a line to the audit trail of a job. It sets the time.
func (e *Engine[R, S, E]) Audit(ctx context.Context, jobID string, line Event) error {
	line.At = task.At(time.Now())
	return e.control.append(ctx, jobPartition(jobID), eventPrefix+id.New(), line, e.expires(), nil)
}

// Events reads the audit trail of a job.
func (e *Engine[R, S, E]) Events(ctx context.Context, jobID string) (events []Event, err error) {
	err = e.control.walk(ctx, jobPartition(jobID), eventPrefix, false, 0, func(it item) (bool, error) {
		var line Event
		err := decode(it, &line)
		events = append(events, line)
		return true, err
	})
	return events, err
}

// planPart is how many keys go into one item of the control table.
const planPart = 2000

// SavePlan stores, for a job that is created next, the keys of what it may deal
// with.
func (e *Engine[R, S, E]) SavePlan(ctx context.Context, jobID string, keys []string, until time.Time) error {
	for n := 0; n*planPart < len(keys); n++ {
		part := keys[n*planPart : min((n+1)*planPart, len(keys))]
		if err := e.control.append(ctx, jobPartition(jobID), fmt.Sprintf("%s%04d", planPrefix, n), part, until.Add(e.opts.AuditRetention), nil); err != nil {
			return err
		}
	}
	return nil
}

// Plan reads the keys that [Engine.SavePlan] stored.
func (e *Engine[R, S, E]) Plan(ctx context.Context, jobID string) (keys []string, err error) {
	err = e.control.walk(ctx, jobPartition(jobID), planPrefix, false, 0, func(it item) (bool, error) {
		var part []string
		err := decode(it, &part)
		keys = append(keys, part...)
		return true, err
	})
	return keys, err
}
