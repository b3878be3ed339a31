package redrive

import (
	"context"
	"errors"
	"testing"

	"github.com/spillway-go/spillway/pkg/workqueue"
)

// silent is a FIFO queue whose answers name no message.
type silent struct{ Queue }

func (silent) FIFO() bool { return true }

func (silent) SendBatch(context.Context, []workqueue.Outgoing) []error { return nil }

// A message that no answer confirms is not taken as sent.
func TestUnconfirmedIsNotSent(t *testing.T) {
	t.Parallel()
	for i, err := range sendInOrder(t.Context(), silent{}, make([]workqueue.Outgoing, 2)) {
		if !errors.Is(err, workqueue.ErrNoOutcome) {
			t.Errorf("message %d: %v", i, err)
		}
	}
}
