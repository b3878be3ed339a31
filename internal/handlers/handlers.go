// Package handlers is every task type of this deployment. It stands apart from
// package app, which all functions link: those that know no task types do not
// have to start what is behind them.
package handlers

import (
	"context"
	"encoding/json"

	"github.com/spillway-go/spillway/internal/trip"
	"github.com/spillway-go/spillway/pkg/saga"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/webhook"
)

// Types are what the handlers of this deployment need. Where inputs are only
// checked, the zero value will do.
type Types struct {
	Deliver *webhook.Deliverer
	Book    func(context.Context, trip.Input) (json.RawMessage, error)
	Export  *trip.Export
}

// Checks are types whose inputs are checked and whose handlers are never run.
func Checks() Types {
	return Types{Deliver: webhook.New(nil, nil), Book: saga.Start[trip.Input](nil, "", 0), Export: trip.NewExport(nil, "", nil)}
}

// Mux is every task type of this deployment. submit checks inputs against it,
// worker runs it. A type of your own is one line here.
func Mux(t Types) *task.Mux {
	mux := task.NewMux()
	// Two at a time, so that one slow receiver does not stop a whole batch.
	task.Handle(mux, webhook.Type, t.Deliver.Deliver, task.Concurrency(2))
	task.Handle(mux, trip.Type, t.Book, task.Concurrency(2))
	task.Handle(mux, trip.ExportType, t.Export.Export)
	return mux
}
