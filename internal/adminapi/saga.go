package adminapi

import "github.com/spillway-go/spillway/pkg/task"

// SagaListRequest asks for executions, newest first.
type SagaListRequest struct {
	Status SagaStatus `json:"status,omitempty"`
	Max    int        `json:"max,omitempty"` // 1 to 100
	Cursor string     `json:"cursor,omitempty"`
}

// SagaListAnswer is a page of executions, and what is parked.
type SagaListAnswer struct {
	Executions []SagaExecution `json:"executions"`
	Cursor     string          `json:"cursor,omitempty"` // of the next page
	Parked
}

// SagaExecution is an execution of a saga's state machine.
type SagaExecution struct {
	Execution string     `json:"execution"` // its name
	TaskID    string     `json:"task_id,omitempty"`
	Status    SagaStatus `json:"status"`
	StartedAt task.Time  `json:"started_at,omitzero"`
	StoppedAt task.Time  `json:"stopped_at,omitzero"`
}

// SagaStatus is the state of an execution, in the words of Step Functions.
type SagaStatus string

// The states of executions.
const (
	SagaRunning   SagaStatus = "running"
	SagaSucceeded SagaStatus = "succeeded"
	SagaFailed    SagaStatus = "failed"
	SagaTimedOut  SagaStatus = "timed_out"
	SagaAborted   SagaStatus = "aborted"
)

// SagaStatuses are all of them.
var SagaStatuses = []SagaStatus{SagaRunning, SagaSucceeded, SagaFailed, SagaTimedOut, SagaAborted}

// Parked is what waits in the saga failures queue for an operator.
type Parked struct {
	Parked []ParkedStep `json:"parked"`
	// Foreign counts messages in the queue that are no parked step, such as an
	// event that could not be processed. dlq.list shows them.
	Foreign int    `json:"foreign,omitempty"`
	Note    string `json:"note,omitempty"`
}

// ParkedStep is a compensation that failed for good.
type ParkedStep struct {
	Execution string      `json:"execution"`
	TaskID    string      `json:"task_id"`
	Step      string      `json:"step"`
	Error     ParkedError `json:"error"`
	Completed []string    `json:"completed"` // the steps that were done
	ParkedAt  task.Time   `json:"parked_at,omitzero"`
	MessageID string      `json:"message_id"`
}

// ParkedError is why a compensation failed.
type ParkedError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// SagaShowRequest names an execution.
type SagaShowRequest struct {
	Execution string `json:"execution,omitempty"`
}

// SagaShowAnswer is an execution with the path that it took.
type SagaShowAnswer struct {
	SagaExecution
	Error string     `json:"error,omitempty"`
	Cause string     `json:"cause,omitempty"`
	Path  []SagaStep `json:"path"`
	Cut   bool       `json:"cut,omitempty"` // the path is longer than what is shown
	Parked
}

// SagaStep is a state that an execution has entered.
type SagaStep struct {
	State     string      `json:"state"`
	Type      string      `json:"type"` // Task, Choice, …
	Outcome   StepOutcome `json:"outcome"`
	Undoes    string      `json:"undoes,omitempty"` // the step that a compensation is for
	Error     string      `json:"error,omitempty"`
	Cause     string      `json:"cause,omitempty"`
	Attempts  int         `json:"attempts,omitempty"`
	EnteredAt task.Time   `json:"entered_at,omitzero"`
	TookMS    int64       `json:"took_ms"`
}

// StepOutcome is what became of a step.
type StepOutcome string

// The outcomes of steps.
const (
	StepOK      StepOutcome = "ok"
	StepFailed  StepOutcome = "failed" // caught, or else the end of the execution
	StepEnded   StepOutcome = "ended"  // the execution, or its branch, ended in it
	StepRunning StepOutcome = "running"
)

// SagaStepRequest takes a parked step off the queue.
type SagaStepRequest struct {
	Execution string `json:"execution,omitempty"`
	Step      string `json:"step,omitempty"`
	Reason    string `json:"reason,omitempty"` // for the audit trail
	Change
}

// SagaHandled says that a parked step was taken off the queue.
type SagaHandled struct {
	Execution string         `json:"execution"`
	Step      string         `json:"step"`
	Outcome   HandledOutcome `json:"outcome"`
	JobID     string         `json:"job_id"`
}

// HandledOutcome is how a parked step was dealt with.
type HandledOutcome string

// The ways to deal with a parked step.
const (
	HandledResumed HandledOutcome = "resumed" // run again
	HandledSkipped HandledOutcome = "skipped" // left undone
	HandledDone    HandledOutcome = "done"    // done by hand
)
