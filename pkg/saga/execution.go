package saga

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
)

// executionInput is what an execution is started with.
type executionInput struct {
	TaskID  string          `json:"task_id"`
	Run     int             `json:"run"`
	Input   json.RawMessage `json:"input"`
	Recover bool            `json:"recover,omitempty"`
}

// key names a saga and its execution.
func (in executionInput) key() string { return in.TaskID + "-" + strconv.Itoa(in.Run) }

// parseInput reads what an execution was started with, and reports whether it
// was started for a task.
func parseInput(text string) (in executionInput, ok bool) {
	err := json.Unmarshal([]byte(text), &in)
	return in, err == nil && in.TaskID != "" && in.Run > 0
}

// ExecutionARN is the ARN of a Standard execution, which has that of its state
// machine with another kind and the name at its end
// (https://docs.aws.amazon.com/step-functions/latest/dg/concepts-view-execution-details.html).
func ExecutionARN(machineARN, name string) string {
	return strings.Replace(machineARN, ":stateMachine:", ":execution:", 1) + ":" + name
}

// recoverySuffix comes between a saga's name and the number of its recovery.
const recoverySuffix = "-recover-"

func recoveryOf(saga string, n int) string { return saga + recoverySuffix + strconv.Itoa(n) }

// cutRecovery splits the name of a recovery's execution; n is 0 for others.
func cutRecovery(execution string) (saga string, n int) {
	if i := strings.LastIndex(execution, recoverySuffix); i >= 0 {
		if n, err := strconv.ParseUint(execution[i+len(recoverySuffix):], 10, 31); err == nil && n > 0 {
			return execution[:i], int(n)
		}
	}
	return execution, 0
}

// recoveries is how many there have been when an execution ends.
func recoveries(execution string) int {
	_, n := cutRecovery(execution)
	return n
}

// KeyOf is the key of the saga that an execution is about: its name, or for a
// recovery the name of the execution that it cleans up after.
func KeyOf(execution string) string {
	saga, _ := cutRecovery(execution)
	return saga
}

// KeyOfCall is the key of the saga that a step is called for, by the payload of
// the call, and empty if that is none.
func KeyOfCall(call json.RawMessage) string {
	var p payload
	if json.Unmarshal(call, &p) != nil {
		return ""
	}
	return p.Key
}

// CompensationCall is the payload that the state machine calls a compensation
// with, made from what the saga's execution was started with: to run one again
// by hand. An execution that was not started for a task is an error.
func CompensationCall(input, step, action string) (json.RawMessage, error) {
	in, ok := parseInput(input)
	if !ok {
		return nil, errors.New("the execution was not started for a task")
	}
	return plainJSON(payload{TaskID: in.TaskID, Run: in.Run, Key: in.key(), Step: step, Action: action, Input: in.Input})
}
