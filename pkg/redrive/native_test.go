package redrive_test

import (
	"errors"
	"testing"
	"time"

	"github.com/spillway-go/spillway/pkg/redrive"
	"github.com/spillway-go/spillway/pkg/task"
)

// SQS moves dead letters back by itself, one task at a time, and each of their
// tasks runs once more.
func TestNativeMove(t *testing.T) {
	bubble(t, func(r *rig) {
		r.move = r.sqs
		ids := r.bury(3)
		r.succeed()
		if _, _, err := r.redrive().Move(r.ctx(), redrive.Request{Queue: "tasks", Rate: 1}); err != nil {
			t.Fatal(err)
		}
		if _, _, err := r.redrive().Move(r.ctx(), redrive.Request{Queue: "tasks"}); !errors.Is(err, redrive.ErrBusy) {
			t.Errorf("a second move while the first runs: %v", err)
		}
		time.Sleep(3 * time.Second)
		r.work()
		for _, id := range ids {
			r.is(id, task.Succeeded, 2)
		}
		r.holds(0, 0)
		if _, _, err := r.redrive().Move(r.ctx(), redrive.Request{Queue: "tasks"}); err != nil {
			t.Errorf("a move after the first: %v", err)
		}
	})
}
