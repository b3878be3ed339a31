package task

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// ErrUnknownType is wrapped by the error for a type that has no handler.
var ErrUnknownType = errors.New("unknown task type")

// Validator is implemented by inputs that check themselves. It is asked when
// a task is accepted and again before its handler runs, and must not block.
type Validator interface{ Validate() error }

// MaxType is the length of the longest task type, in bytes.
const MaxType = 64

// LegalType reports whether name has the form of a task type: words of
// lower-case letters, digits and underscores that begin with a letter, joined
// by dots, at most [MaxType] bytes in all.
func LegalType(name string) bool {
	if name == "" || len(name) > MaxType {
		return false
	}
	start := true // of a word
	for i := range len(name) {
		c := name[i]
		switch {
		case c >= 'a' && c <= 'z':
			start = false
		case !start && (c == '_' || c >= '0' && c <= '9'):
		case !start && c == '.':
			start = true
		default:
			return false
		}
	}
	return !start
}

// handler is a typed function with its types erased.
type handler struct {
	check       func(json.RawMessage) error
	run         Handler
	concurrency int
}

// Mux maps task types to their handlers. Register everything before the first
// use; after that it is safe for concurrent use.
type Mux struct {
	handlers   map[string]handler
	middleware []Middleware
	first      sync.Once
	runs       map[string]Handler // what Run calls, made at the first one
}

// NewMux returns an empty [Mux].
func NewMux() *Mux { return &Mux{handlers: map[string]handler{}} }

// HandleOption tunes one type's handler.
type HandleOption func(*handler)

// Concurrency lets n tasks of this type run at once within one batch.
// Defaults to 1: one environment works on one thing at a time, so latency does
// not degrade with load.
func Concurrency(n int) HandleOption {
	return func(h *handler) { h.concurrency = max(n, 1) }
}

// Handle registers fn for tasks of type name (lower-case words joined by dots,
// at most 64 bytes). The input is decoded strictly: an unknown field, trailing
// data or a wrong type is a permanent error with the code invalid_input, and
// fn is not called. It panics on a malformed or repeated name, which is a
// mistake in the program.
func Handle[In, Out any](m *Mux, name string, fn func(context.Context, In) (Out, error), opts ...HandleOption) {
	if !LegalType(name) {
		panic(fmt.Sprintf("task: %q is not a task type: lower-case words joined by dots, at most %d bytes", name, MaxType))
	}
	if _, ok := m.handlers[name]; ok {
		panic(fmt.Sprintf("task: type %q has a handler already", name))
	}
	h := handler{
		concurrency: 1,
		check: func(raw json.RawMessage) error {
			_, err := decodeInput[In](raw)
			return err
		},
		run: func(ctx context.Context, raw json.RawMessage) (json.RawMessage, error) {
			in, err := decodeInput[In](raw)
			if err != nil {
				return nil, Permanent(Code(CodeInvalidInput, err))
			}
			out, err := fn(ctx, in)
			if err != nil {
				return nil, err
			}
			result, err := json.Marshal(out)
			if err != nil {
				return nil, Permanent(fmt.Errorf("encode the result: %w", err))
			}
			return result, nil
		},
	}
	for _, opt := range opts {
		opt(&h)
	}
	m.handlers[name] = h
	if m.runs != nil {
		m.runs[name] = m.inside(h.run)
	}
}

// Types returns the registered types, sorted.
func (m *Mux) Types() []string {
	names := make([]string, 0, len(m.handlers))
	for name := range m.handlers {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Concurrency returns how many tasks of type name may run at once in a batch.
func (m *Mux) Concurrency(name string) int { return max(m.handlers[name].concurrency, 1) }

// Check reports whether a task of type name with this input would be accepted
// by its handler. The error wraps [ErrUnknownType], or says what is wrong with
// the input.
func (m *Mux) Check(name string, input json.RawMessage) error {
	h, err := m.lookup(name)
	if err != nil {
		return err
	}
	return h.check(input)
}

// Run calls the handler for type name, inside of the middleware that [Mux.Use]
// added. A panic becomes a [*PanicError] only in
// the worker, which has the log; here it passes through.
func (m *Mux) Run(ctx context.Context, name string, input json.RawMessage) (json.RawMessage, error) {
	h, err := m.lookup(name)
	if err != nil {
		// Retryable: while a deployment rolls, a newer function may know it.
		return nil, Code(CodeUnknownType, err)
	}
	m.first.Do(m.wrap)
	if len(m.middleware) == 0 {
		return h.run(ctx, input)
	}
	return m.runs[name](named(ctx, name), input)
}

func (m *Mux) lookup(name string) (handler, error) {
	h, ok := m.handlers[name]
	if !ok {
		return handler{}, fmt.Errorf("%w %q: known are %s", ErrUnknownType, CleanText(name, MaxType), strings.Join(m.Types(), ", "))
	}
	return h, nil
}

func decodeInput[In any](raw json.RawMessage) (In, error) {
	var in In
	if string(bytes.TrimSpace(raw)) == "null" {
		return in, errors.New("the input is null")
	}
	if err := Decode(raw, &in); err != nil {
		return in, err
	}
	v, ok := any(&in).(Validator)
	if !ok {
		v, ok = any(in).(Validator) // In is a pointer, or an interface
	}
	if ok {
		return in, v.Validate()
	}
	return in, nil
}
