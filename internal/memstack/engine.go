package memstack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/aws/smithy-go"

	"github.com/spillway-go/spillway/internal/asl"
)

// run runs an execution of the deployed definition until it ends, or until the
// test ends it.
func (s *Stack) run(ctx context.Context, e *Execution) {
	var input any
	if err := json.Unmarshal([]byte(e.Input), &input); err != nil {
		s.failf("input of %s: %v", e.Name, err)
		return
	}
	output, failure := s.definition.Run(ctx, input, s.task)
	if ctx.Err() != nil {
		return
	}
	if failure != nil {
		s.Machine.end(e.Name, types.ExecutionStatusFailed, "", failure)
		return
	}
	text, err := json.Marshal(output)
	if err != nil {
		s.failf("output of %s: %v", e.Name, err)
	}
	s.Machine.end(e.Name, types.ExecutionStatusSucceeded, string(text), nil)
}

// integrations are the services that tasks call, with the prefix of their
// errors (https://docs.aws.amazon.com/step-functions/latest/dg/integrate-optimized.html).
var integrations = map[string]struct{ service, operation, prefix string }{
	"dynamodb:getItem":    {"dynamodb", "GetItem", "DynamoDB."},
	"dynamodb:updateItem": {"dynamodb", "UpdateItem", "DynamoDB."},
	"sqs:sendMessage":     {"sqs", "SendMessage", "Sqs."},
	"lambda:invoke":       {"lambda", "Invoke", "Lambda."},
}

// task does the work of a Task state. What is injected into calls is injected
// into these as well: their function is TripSaga.
func (s *Stack) task(ctx context.Context, resource string, arguments any) (any, *asl.Error) {
	_, name, _ := strings.Cut(resource, ":states:::")
	to, ok := integrations[name]
	if !ok {
		s.failf("the saga calls %s: %v", resource, errUnknown)
		return nil, &asl.Error{Name: "States.Runtime", Cause: resource}
	}
	body, err := json.Marshal(arguments)
	if err != nil {
		return nil, &asl.Error{Name: "States.Runtime", Cause: err.Error()}
	}
	c := Call{Function: "TripSaga", Service: to.service, Operation: to.operation, Body: body}
	fault := s.begin(&c)
	there, back := s.latencies()
	if err := s.travel(ctx, there); err != nil {
		return nil, &asl.Error{Name: "States.Timeout"}
	}
	lost := func() *asl.Error {
		code, message := "SdkClientException", "the connection broke"
		var api smithy.APIError
		if errors.As(fault.Err, &api) {
			code, message = api.ErrorCode(), api.ErrorMessage()
		}
		return &asl.Error{Name: to.prefix + code, Cause: message}
	}
	if fault.Err != nil && !fault.AfterEffect {
		return nil, lost()
	}
	result, failure := s.integrate(ctx, c, to.prefix)
	if err := s.travel(ctx, back); err != nil {
		return nil, &asl.Error{Name: "States.Timeout"}
	}
	if fault.Err != nil {
		return nil, lost()
	}
	return result, failure
}

// integrate makes the call.
func (s *Stack) integrate(ctx context.Context, c Call, prefix string) (any, *asl.Error) {
	if c.Service == "lambda" {
		return s.step(ctx, c.Body)
	}
	response, err := call(ctx, s.services[c.Service], c.Operation, c.Body)
	if err != nil {
		if ctx.Err() == nil {
			s.failf("%s: %v", c, err)
		}
		return nil, &asl.Error{Name: prefix + "SdkClientException", Cause: err.Error()}
	}
	text, err := readAll(response)
	if err != nil {
		return nil, &asl.Error{Name: prefix + "SdkClientException", Cause: err.Error()}
	}
	if response.StatusCode != http.StatusOK {
		var refused struct {
			Type    string `json:"__type"`
			Message string `json:"message"`
		}
		if err := json.Unmarshal(text, &refused); err != nil {
			s.failf("%s: %v", c, err)
		}
		_, code, _ := strings.Cut(refused.Type, "#")
		return nil, &asl.Error{Name: prefix + code, Cause: refused.Message}
	}
	var result any
	if err := json.Unmarshal(text, &result); err != nil {
		s.failf("%s: %v", c, err)
	}
	return result, nil
}

// step invokes a function and waits for it. A function error is the error of
// the task, with the payload as its cause
// (https://docs.aws.amazon.com/step-functions/latest/dg/connect-lambda.html).
func (s *Stack) step(ctx context.Context, arguments []byte) (any, *asl.Error) {
	var in struct {
		FunctionName string
		Payload      json.RawMessage
	}
	if err := json.Unmarshal(arguments, &in); err != nil {
		return nil, &asl.Error{Name: "States.Runtime", Cause: err.Error()}
	}
	f := s.byName(in.FunctionName)
	if f == nil {
		return nil, &asl.Error{Name: "Lambda.ResourceNotFoundException", Cause: in.FunctionName}
	}
	if f.enter() {
		return nil, &asl.Error{Name: "Lambda.TooManyRequestsException", Cause: "Rate Exceeded."}
	}
	answer := make(chan result, 1)
	s.spawn(func() { answer <- f.invoke(bytes.Clone(in.Payload)) })
	select {
	case <-ctx.Done():
		return nil, &asl.Error{Name: "States.Timeout"}
	case out := <-answer:
		if out.kind != "" {
			var p problem
			if err := json.Unmarshal(out.payload, &p); err != nil {
				s.failf("error of %s: %v", f.id, err)
			}
			return nil, &asl.Error{Name: p.Type, Cause: string(out.payload)}
		}
		var payload any
		if err := json.Unmarshal(out.payload, &payload); err != nil {
			s.failf("answer of %s: %v", f.id, err)
		}
		return map[string]any{"ExecutedVersion": "$LATEST", "Payload": payload, "StatusCode": float64(http.StatusOK)}, nil
	}
}
