package saga

import (
	"context"
	"encoding/json"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Handler is a Lambda handler of a step, made by [Action] or [Compensation].
// Safe for concurrent use.
type Handler = func(ctx context.Context, payload json.RawMessage) (json.RawMessage, error)

// MaxResult bounds an action's result, in bytes of JSON. Results of earlier
// steps come with every call, and a state machine's payloads are bounded.
const MaxResult = 4096

// Call is what a step is called with.
type Call[In any] struct {
	TaskID string
	Run    int
	// Key is the same for every attempt of every step of one saga, and another
	// one after a replay: task id and run. With Step it is the idempotency key
	// for what an action does outside of DynamoDB.
	Key   string
	Step  string // the name of the step's state
	Input In     // the task's input
	// Results are those of the steps before, by their Result names.
	Results map[string]json.RawMessage
}

// Effect is what an action does: writes of DynamoDB, made in one transaction with
// the record that it was done, and a result.
type Effect[Out any] struct {
	Result Out
	Writes []Write // at most 99, of any tables in the account and region
}

// Write is one write of a transaction.
type Write struct {
	Item types.TransactWriteItem
	// Refused says what it means when the write's condition fails, usually a
	// [Business] error; it may read to find out. Nil makes it an error that is
	// tried again.
	Refused func(context.Context) error
}

// Undo is what a compensation is called with.
type Undo[In, Out any] struct {
	Call[In]
	Action string // the step that is to be undone
	// Result is what the action answered. Nil means that nobody knows whether it
	// was done: only actions with [Outside] leave that open.
	Result *Out
}

// payload is a call as the state machine makes it.
type payload struct {
	TaskID  string                     `json:"task_id"`
	Run     int                        `json:"run"`
	Key     string                     `json:"key"`
	Step    string                     `json:"step"`
	Action  string                     `json:"action,omitempty"` // of a compensation
	Input   json.RawMessage            `json:"input"`
	Results map[string]json.RawMessage `json:"results,omitempty"`
}
