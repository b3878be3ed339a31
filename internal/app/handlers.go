package app

import (
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/webhook"
)

// Handlers is every task type of this deployment. submit checks inputs against
// it, worker runs it. A type of your own is one line here.
func Handlers(deliver *webhook.Deliverer) *task.Mux {
	mux := task.NewMux()
	// Two at a time, so that one slow receiver does not stop a whole batch.
	task.Handle(mux, webhook.Type, deliver.Deliver, task.Concurrency(2))
	return mux
}
