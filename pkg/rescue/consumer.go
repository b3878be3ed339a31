package rescue

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/spillway-go/spillway/pkg/task"
)

// Consumer works on records again.
type Consumer interface {
	// Consume hands over records, as Lambda delivers them and in their order. It
	// returns the sequence numbers that failed; what lies behind the first of them
	// may or may not have been worked on. An error means that nobody knows what
	// was.
	Consume(ctx context.Context, records []json.RawMessage) (failed []string, err error)
}

// Consumers finds the consumer of records that a function could not work on;
// nil if there is none.
type Consumers func(function string) Consumer

// Functions are Lambda functions as consumers. Each gets its own records, and
// the first also those of which nobody knows whose they were.
//
// A function is called with the event that its mapping would send, and a mark:
// {"Records":[…],"replay":true}. It should then not isolate what fails, for the
// record is in the archive already, but report it: a function that isolates it
// again has, as far as anybody can see, worked on it. It answers as to its
// mapping, with the records that failed.
//
// The client must wait for as long as the function may take.
func Functions(client LambdaAPI, names ...string) Consumers {
	return func(function string) Consumer {
		switch {
		case function == "" && len(names) > 0:
			return &lambdaFunction{client, names[0]}
		case slices.Contains(names, function):
			return &lambdaFunction{client, function}
		default:
			return nil
		}
	}
}

// FunctionError is what a function answered that did not work on its records.
type FunctionError struct {
	Function string
	Kind     string // such as Unhandled
	Message  string
}

// Error implements error.
func (e *FunctionError) Error() string {
	return fmt.Sprintf("function %s: %s: %s", e.Function, e.Kind, e.Message)
}

type lambdaFunction struct {
	client LambdaAPI
	name   string
}

// Consume implements [Consumer].
func (f *lambdaFunction) Consume(ctx context.Context, records []json.RawMessage) ([]string, error) {
	payload, err := json.Marshal(struct {
		Records []json.RawMessage `json:"Records"`
		Replay  bool              `json:"replay"`
	}{records, true})
	if err != nil {
		return nil, fmt.Errorf("an archived record is no JSON: %w", err)
	}
	out, err := f.client.Invoke(ctx, &lambda.InvokeInput{FunctionName: &f.name, Payload: payload})
	if err != nil {
		return nil, fmt.Errorf("invoke %s: %w", f.name, err)
	}
	if out.FunctionError != nil {
		return nil, &FunctionError{f.name, *out.FunctionError, errorMessage(out.Payload)}
	}
	return failures(f.name, out.Payload)
}

// failures reads a batch response: one that is empty or null is a success.
func failures(function string, payload []byte) ([]string, error) {
	if len(payload) == 0 {
		return nil, nil
	}
	var response *struct {
		Failures []struct {
			ID string `json:"itemIdentifier"`
		} `json:"batchItemFailures"`
	}
	if err := json.Unmarshal(payload, &response); err != nil {
		return nil, &FunctionError{function, "InvalidResponse", err.Error()}
	}
	if response == nil {
		return nil, nil
	}
	var ids []string
	for _, f := range response.Failures {
		if f.ID == "" {
			return nil, &FunctionError{function, "InvalidResponse", "it names a record without a sequence number"}
		}
		ids = append(ids, f.ID)
	}
	return ids, nil
}

// errorMessage finds the message in what a function answers that failed.
func errorMessage(payload []byte) string {
	var answer struct {
		Message string `json:"errorMessage"`
		Type    string `json:"errorType"`
	}
	if json.Unmarshal(payload, &answer) != nil || answer.Message == "" && answer.Type == "" {
		return task.CleanText(string(payload), maxMessage)
	}
	return task.CleanText(cmp.Or(answer.Message, answer.Type), maxMessage)
}

// broke reports whether a function took a batch and did not get through it, so
// that one of the records may be to blame.
func broke(err error) bool {
	_, ok := errors.AsType[*FunctionError](err)
	return ok
}
