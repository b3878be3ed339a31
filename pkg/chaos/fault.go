package chaos

import "slices"

// Target is what is made to fail, by name: a handler, or a kind of call.
type Target string

// Step is the target for a step of a saga: the name of its state, such as
// BookFlight.
func Step(state string) Target { return Target("saga." + state) }

// Fault is a way to fail, as it is stored.
type Fault string

// The faults.
const (
	// BusinessError is a refusal whose type is [Options.BusinessCode]; the
	// handler is not called.
	BusinessError Fault = "business_error"
	// PlainError is an [*InjectedError]; the handler is not called.
	PlainError Fault = "error"
	// Panic ends the process; the handler is not called.
	Panic Fault = "panic"
	// Timeout does nothing until the time of the call is over, and so has Lambda
	// end the process; the handler is not called.
	Timeout Fault = "timeout"
	// Throttle is an error of the name that Lambda gives to throttling; the
	// handler is not called.
	Throttle Fault = "throttle"
	// Latency waits for [Setting.Latency] before the handler is called.
	Latency Fault = "latency"
	// ErrorAfterEffect calls the handler, and then is an [*InjectedError] all the
	// same: the answer of a call that took effect is lost.
	ErrorAfterEffect Fault = "error_after_effect"
)

var faults = []Fault{BusinessError, PlainError, Panic, Timeout, Throttle, Latency, ErrorAfterEffect}

// Faults returns all there are.
func Faults() []Fault { return slices.Clone(faults) }

// InjectedError is a failure that was asked for. Lambda takes an error's type
// from the name of its Go type, so that is what a state machine sees of it.
type InjectedError struct {
	Target Target
	Fault  Fault
}

func (e *InjectedError) Error() string {
	return "fault injected at " + string(e.Target) + ": " + string(e.Fault)
}
