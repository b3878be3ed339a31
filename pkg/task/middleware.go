package task

import (
	"context"
	"encoding/json"
	"slices"
)

// Handler runs one attempt at a task: input and result are JSON. [Current]
// returns the execution that ctx belongs to, with the task's type, id, run,
// attempt, tenant and deadline. A saga step has the same form.
type Handler = func(ctx context.Context, input json.RawMessage) (json.RawMessage, error)

// Middleware wraps a handler: it may act before and after the attempt, change
// what goes in and comes out, or not call next at all. The returned Handler must
// be safe for concurrent use.
//
// It sees every error of an attempt, a failure to decode the input included. A
// panic of the handler passes through it to the worker, which records the
// failure; middleware that recovers has to panic again with the same value.
type Middleware = func(next Handler) Handler

// Use adds middleware to every type of the mux, those that are registered later
// included. The first one added is the outermost. Each is called once for each
// type, at the first [Mux.Run]; Use panics after that.
//
// A task whose type has no handler passes no middleware. Without middleware, Run
// calls the handler directly.
func (m *Mux) Use(middleware ...Middleware) {
	if m.runs != nil {
		panic("task: Use after the first Run")
	}
	m.middleware = append(m.middleware, middleware...)
}

// wrap makes what Run calls, in a map of its own: others read the handlers
// meanwhile.
func (m *Mux) wrap() {
	m.runs = make(map[string]Handler, len(m.handlers))
	for name, h := range m.handlers {
		m.runs[name] = m.inside(h.run)
	}
}

// inside puts a handler inside of the middleware.
func (m *Mux) inside(h Handler) Handler {
	for _, outer := range slices.Backward(m.middleware) {
		h = outer(h)
	}
	return h
}

// named returns a context whose execution has a type: middleware finds it there
// even when a handler is run outside of a worker.
func named(ctx context.Context, name string) context.Context {
	now := Current(ctx)
	if now.Type != "" {
		return ctx
	}
	e := *now
	e.Type = name
	return NewContext(ctx, &e)
}
