package rescue_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/spillway-go/spillway/pkg/rescue"
)

// functions answers every call of a function alike.
type functions struct {
	payload string
	failed  *string
	err     error
	asked   *lambda.InvokeInput
}

func (f *functions) Invoke(_ context.Context, in *lambda.InvokeInput, _ ...func(*lambda.Options)) (*lambda.InvokeOutput, error) {
	f.asked = in
	return &lambda.InvokeOutput{Payload: []byte(f.payload), FunctionError: f.failed}, f.err
}

func TestFunctions(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		client functions
		failed []string
		says   string
	}{
		{"nothing failed", functions{payload: `{"batchItemFailures":[]}`}, nil, ""},
		{"null list", functions{payload: `{"batchItemFailures":null}`}, nil, ""},
		{"null", functions{payload: `null`}, nil, ""},
		{"nothing", functions{}, nil, ""},
		{"two failed", functions{payload: `{"batchItemFailures":[{"itemIdentifier":"1"},{"itemIdentifier":"2"}]}`}, []string{"1", "2"}, ""},
		{"no id", functions{payload: `{"batchItemFailures":[{"itemIdentifier":""}]}`}, nil, "without a sequence number"},
		{"no response", functions{payload: `"done"`}, nil, "InvalidResponse"},
		{"an error", functions{payload: `{"errorMessage":"no such customer","errorType":"errorString"}`, failed: aws.String("Unhandled")}, nil, "Unhandled: no such customer"},
		{"a crash", functions{payload: `{"errorType":"Runtime.ExitError"}`, failed: aws.String("Unhandled")}, nil, "Runtime.ExitError"},
		{"an odd error", functions{payload: `gone`, failed: aws.String("Unhandled")}, nil, "gone"},
		{"no answer", functions{err: errService}, nil, "does not answer"},
	}
	for _, tt := range tests {
		failed, err := rescue.Functions(&tt.client, "orders")("orders").Consume(t.Context(), []json.RawMessage{[]byte(`{"a":1}`), []byte(`{"b":2}`)})
		if !slices.Equal(failed, tt.failed) || (err != nil) != (tt.says != "") || err != nil && !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, %v", tt.name, failed, err)
		}
		if _, broke := errors.AsType[*rescue.FunctionError](err); broke != (tt.says != "" && tt.client.err == nil) {
			t.Errorf("%s: %v", tt.name, err)
		}
		if got := string(tt.client.asked.Payload); got != `{"Records":[{"a":1},{"b":2}],"replay":true}` || *tt.client.asked.FunctionName != "orders" {
			t.Errorf("asked %s with %s", *tt.client.asked.FunctionName, got)
		}
	}
	if _, err := rescue.Functions(&functions{}, "orders")("orders").Consume(t.Context(), []json.RawMessage{[]byte(`}`)}); err == nil {
		t.Error("a record that is no JSON is handed over")
	}
}

func TestFunctionsByName(t *testing.T) {
	t.Parallel()
	client := &functions{}
	consumers := rescue.Functions(client, "first", "second")
	for name, want := range map[string]string{"": "first", "first": "first", "second": "second", "third": ""} {
		c := consumers(name)
		if (c == nil) != (want == "") {
			t.Fatal(name, c)
		}
		if c == nil {
			continue
		}
		if _, err := c.Consume(t.Context(), nil); err != nil || *client.asked.FunctionName != want {
			t.Error(name, *client.asked.FunctionName, err)
		}
	}
	if rescue.Functions(client)("") != nil {
		t.Error("a consumer without a name")
	}
}
