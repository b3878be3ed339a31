package chaos_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/spillway-go/spillway/pkg/chaos"
	"github.com/spillway-go/spillway/pkg/task"
)

// mux is a mux with two types, in an environment whose handlers can be made to
// fail.
func (r *rig) mux() *task.Mux {
	m := task.NewMux()
	m.Use(chaos.New(r.db, table, &r.opts).At("handler"))
	for _, name := range []string{"flight.book", "car.book"} {
		task.Handle(m, name, func(ctx context.Context, _ struct{}) (string, error) {
			_, err := r.handler(ctx, nil)
			return "booked", err
		})
	}
	return m
}

// run runs a handler of the mux, and catches its panic as a worker does.
func (r *rig) run(m *task.Mux, name string) (result string, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &task.PanicError{Value: p}
		}
	}()
	ctx, cancel := context.WithTimeout(r.Context(), 10*time.Second)
	defer cancel()
	out, err := m.Run(task.NewContext(ctx, &task.Execution{ID: "1", Type: name, Run: 1, Attempt: 1}), name, json.RawMessage(`{}`))
	return string(out), err
}

// Each fault as the worker sees it that runs a mux.
func TestFaultsOfMux(t *testing.T) {
	for _, tt := range []struct {
		fault   chaos.Fault
		latency time.Duration
		code    string // of the failure; empty for none
		ran     int32
		took    time.Duration
	}{
		{fault: chaos.BusinessError, code: task.CodeHandlerError},
		{fault: chaos.PlainError, code: task.CodeHandlerError},
		{fault: chaos.Panic, code: task.CodePanic},
		{fault: chaos.Timeout, code: task.CodeHandlerError, took: 15 * time.Second},
		{fault: chaos.Throttle, code: task.CodeHandlerError},
		{fault: chaos.Latency, latency: 3 * time.Second, ran: 1, took: 3 * time.Second},
		{fault: chaos.Latency, latency: 11 * time.Second, code: task.CodeTimeout, took: 10 * time.Second},
		{fault: chaos.ErrorAfterEffect, code: task.CodeHandlerError, ran: 1},
	} {
		t.Run(string(tt.fault), func(t *testing.T) {
			bubble(t, func(r *rig) {
				m := r.mux()
				r.set(chaos.Setting{Target: "handler", Fault: tt.fault, Times: 2, Latency: tt.latency})
				for _, name := range m.Types() { // both are hit
					r.ran.Store(0)
					began := time.Now()
					result, err := r.run(m, name)
					if took := time.Since(began); took != tt.took || r.ran.Load() != tt.ran {
						r.Errorf("%s took %s, ran %d times; want %s, %d", name, took, r.ran.Load(), tt.took, tt.ran)
					}
					if tt.code == "" && (err != nil || result != `"booked"`) {
						r.Errorf("%s: %s, %v", name, result, err)
					}
					if tt.code == "" {
						continue
					}
					if f := task.FailureOf(err); err == nil || f.Code != tt.code || !f.Retryable {
						r.Errorf("%s: %v is %+v, want %s", name, err, f, tt.code)
					}
				}
				if result, err := r.run(m, "car.book"); err != nil || result != `"booked"` {
					r.Errorf("afterwards: %s, %v", result, err)
				}
			})
		})
	}
}

// What fails by itself, or cannot be decoded, has no effect to hide.
func TestMuxFailsByItself(t *testing.T) {
	bubble(t, func(r *rig) {
		r.fails = task.Permanent(errors.New("no seat is left"))
		r.set(chaos.Setting{Target: "handler", Fault: chaos.ErrorAfterEffect, Times: 1})
		if _, err := r.run(r.mux(), "flight.book"); !errors.Is(err, r.fails) || !task.IsPermanent(err) {
			r.Errorf("%v", err)
		}
	})
}
