package adminapi

import "github.com/spillway-go/spillway/pkg/task"

// ChaosSetRequest sets the fault of a target, either for a share of calls or
// for the next ones.
type ChaosSetRequest struct {
	Target    string    `json:"target,omitempty"`
	Execution string    `json:"execution,omitempty"` // limits the fault to one execution of a saga, such as 01KWEG8Y106S6Y1T5Q9W3V7R2K-1
	Fault     FaultKind `json:"fault,omitempty"`
	Rate      float64   `json:"rate,omitempty"`    // up to 1
	Times     int       `json:"times,omitempty"`   // 1 to 1000
	Latency   string    `json:"latency,omitempty"` // a duration, of the fault latency
	For       string    `json:"for,omitempty"`     // a duration, 1s to 1h
	Change
}

// FaultKind is what a fault does.
type FaultKind string

// The kinds of faults.
const (
	FaultBusinessError    FaultKind = "business_error"
	FaultError            FaultKind = "error"
	FaultPanic            FaultKind = "panic"
	FaultTimeout          FaultKind = "timeout"
	FaultThrottle         FaultKind = "throttle"
	FaultLatency          FaultKind = "latency"
	FaultErrorAfterEffect FaultKind = "error_after_effect"
)

// FaultKinds are all of them.
var FaultKinds = []FaultKind{FaultBusinessError, FaultError, FaultPanic, FaultTimeout, FaultThrottle, FaultLatency, FaultErrorAfterEffect}

// Fault is a fault that is set.
type Fault struct {
	Target    string    `json:"target"`
	Execution string    `json:"execution,omitempty"` // absent if the fault is for all
	Fault     FaultKind `json:"fault"`
	Rate      float64   `json:"rate,omitempty"`
	TimesLeft *int      `json:"times_left,omitempty"` // absent with a rate
	Latency   string    `json:"latency,omitempty"`
	Until     task.Time `json:"until"`
	By        string    `json:"by,omitempty"`
}

// ChaosClearRequest ends the faults of a target, or those limited to an
// execution, or all faults without either. Both at once are refused.
type ChaosClearRequest struct {
	Target    string `json:"target,omitempty"`
	Execution string `json:"execution,omitempty"`
	Change
}

// ChaosClearAnswer lists the targets whose fault was ended.
type ChaosClearAnswer struct {
	Cleared []string `json:"cleared"`
}

// ChaosStatusAnswer lists the faults that are set.
type ChaosStatusAnswer struct {
	Enabled bool    `json:"enabled"` // true: a stack without fault injection refuses the command
	Faults  []Fault `json:"faults"`
}
