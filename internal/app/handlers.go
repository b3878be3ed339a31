package app

import (
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/webhook"
)

// Handlers is every task type of this deployment. submit checks inputs against
// it, worker runs it. A type of your own is one line here.
func Handlers(deliver *webhook.Deliverer) *task.Mux {
	mux := task.NewMux()
	// Deliveries wait for somebody else's server most of the time.
	task.Handle(mux, webhook.Type, deliver.Deliver, task.Concurrency(4))
	return mux
}
