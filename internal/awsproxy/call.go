package awsproxy

import (
	"fmt"
	"strings"
	"time"
)

// conditionFailed is how DynamoDB names a condition that did not hold: as the
// type of a 400 answer, and without the suffix as the code of one statement.
const (
	conditionFailed      = "ConditionalCheckFailedException"
	conditionFailedShort = "ConditionalCheckFailed"
)

// Call is one request that came through the proxy, with what became of it.
type Call struct {
	// Seq numbers the calls in the order in which they were read, from 1.
	Seq int64
	// Start is when the request had been read.
	Start time.Time
	// Duration is from Start until the answer was ready. Time at a gate counts.
	Duration time.Duration

	// Service is the signing name: dynamodb, sqs, secretsmanager, states, s3.
	// It is empty for requests that are not AWS calls.
	Service string
	// Operation is the API's name of the call, such as UpdateItem. REST calls
	// have their HTTP method here, except lambda's Invoke.
	Operation string
	// Caller is the access key id that signed the request.
	Caller    string
	UserAgent string
	Method    string
	Path      string

	// Statements counts the statements, requests, keys or entries of a batch
	// operation, and is 1 for any other call.
	Statements int
	// Reads and Writes count the items a DynamoDB call asks to read and write.
	// A query or scan is one read, a failed condition still a write.
	Reads, Writes int
	// Request and Response are the bodies. In the log they are only kept with
	// [Options.KeepBodies]; filters of faults and gates always see Request.
	Request, Response []byte

	// Status is what the client saw, 0 when its connection was cut.
	Status int
	// ErrorCode is the error's name without namespace, empty on success.
	ErrorCode string
	// Failures lists what failed inside a batch, by position.
	Failures []Failure
	// Units, ReadUnits and WriteUnits sum the ConsumedCapacity of the answer.
	// Endpoints differ in which of them they fill.
	Units, ReadUnits, WriteUnits float64

	// Forwarded tells whether the target saw the call.
	Forwarded bool
	// Injected tells whether a fault changed the call or its answer, and
	// InjectedAt when it did.
	Injected   bool
	InjectedAt When

	protocol protocol
	ids      []string // of the entries of an SQS batch
}

// Failure is one statement or entry of a batch that failed.
type Failure struct {
	// Index is the position in the request.
	Index int
	Code  string
}

// ConditionsFailed counts the conditions that did not hold: the call's own, or
// those of its statements.
func (c *Call) ConditionsFailed() int {
	if c.ErrorCode == conditionFailed {
		return 1
	}
	n := 0
	for _, f := range c.Failures {
		if f.Code == conditionFailedShort {
			n++
		}
	}
	return n
}

// Failed tells whether the call as a whole failed for a reason other than its
// condition.
func (c *Call) Failed() bool {
	return (c.Status == 0 || c.Status >= 400) && c.ErrorCode != conditionFailed
}

// String is one line for test logs.
func (c *Call) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "#%d %s.%s", c.Seq, c.Service, c.Operation)
	if c.Statements != 1 {
		fmt.Fprintf(&b, "[%d]", c.Statements)
	}
	fmt.Fprintf(&b, " by %s: ", c.Caller)
	switch {
	case c.Status == 0:
		b.WriteString("connection cut")
	case c.ErrorCode != "":
		fmt.Fprintf(&b, "%d %s", c.Status, c.ErrorCode)
	default:
		fmt.Fprintf(&b, "%d", c.Status)
	}
	for _, f := range c.Failures {
		fmt.Fprintf(&b, ", [%d] %s", f.Index, f.Code)
	}
	if c.Injected {
		fmt.Fprintf(&b, ", injected %s", c.InjectedAt)
	}
	return b.String()
}
