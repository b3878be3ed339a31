package awsproxy_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	ddbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/internal/awsproxy"
)

// Each fault is seen by the real clients as what it stands for, is retried,
// and takes effect or not as asked.
func TestFaultsOfWholeCalls(t *testing.T) {
	calls := []struct {
		service, operation, effect string
		do                         func(*fixture, context.Context) error
		serverError                string
	}{
		{"dynamodb", "UpdateItem", "UpdateItem", func(f *fixture, ctx context.Context) error { return f.update(ctx, "") }, "InternalServerError"},
		{"dynamodb", "BatchExecuteStatement", "statement", func(f *fixture, ctx context.Context) error {
			_, err := f.execute(ctx, "UPDATE 1")
			return err
		}, "InternalServerError"},
		{"sqs", "SendMessage", "message", (*fixture).send, "InternalFailure"},
	}
	for _, call := range calls {
		for _, when := range []awsproxy.When{awsproxy.Before, awsproxy.After} {
			for name, injected := range map[string]awsproxy.Error{
				"server error": awsproxy.ServerError, "throttling": awsproxy.Throttling, "reset": awsproxy.Reset,
				"named": {Status: http.StatusServiceUnavailable, Code: "ServiceUnavailable", Message: "come back <later>"},
			} {
				t.Run(fmt.Sprintf("%s %s %s", call.operation, when, name), func(t *testing.T) {
					effects := 0
					if when == awsproxy.After {
						effects = 1
					}
					fault := awsproxy.Fault{Service: call.service, Operation: call.operation, When: when, Error: injected}

					// one try: the client sees the error
					f := start(t, 1, nil)
					in := f.Inject(fault)
					err := call.do(f, within(t))
					if err == nil {
						t.Fatal("call succeeded")
					}
					var api smithy.APIError
					want := map[string]string{
						"server error": call.serverError, "throttling": "ThrottlingException", "named": "ServiceUnavailable",
					}[name]
					switch {
					case want == "" && errors.As(err, &api):
						t.Errorf("got %v", err)
					case want != "" && (!errors.As(err, &api) || api.ErrorCode() != want):
						t.Errorf("got %v, want %s", err, want)
					case name == "named" && api.ErrorMessage() != "come back <later>":
						t.Errorf("got message %q", api.ErrorMessage())
					}
					if got := f.back.count(call.effect); got != effects {
						t.Errorf("effects: got %d, want %d", got, effects)
					}
					c := f.Calls()[0]
					if !c.Injected || c.InjectedAt != when || c.Forwarded != (when == awsproxy.After) || c.Status != injected.Status || c.ErrorCode != want || !c.Failed() {
						t.Errorf("logged %v", &c)
					}
					if in.Fired() != 1 || in.Seen() != 1 {
						t.Errorf("fired %d of %d", in.Fired(), in.Seen())
					}

					// with retries: the client recovers
					f = start(t, 3, nil)
					fault.Times = 2
					f.Inject(fault)
					if err := call.do(f, within(t)); err != nil {
						t.Fatal(err)
					}
					if got, want := f.back.count(call.effect), 2*effects+1; got != want {
						t.Errorf("effects with retries: got %d, want %d", got, want)
					}
					if got := f.Count(call.service, call.operation); got != 3 {
						t.Errorf("got %d calls", got)
					}
				})
			}
		}
	}
}

func TestServerErrorIsTyped(t *testing.T) {
	f := start(t, 1, nil)
	f.Inject(awsproxy.Fault{})
	var typed *ddbtypes.InternalServerError
	if err := f.update(t.Context(), ""); !errors.As(err, &typed) {
		t.Errorf("got %T %v", err, err)
	}
}

// A failed condition passes through with its item.
func TestFailedConditionIsNoFault(t *testing.T) {
	f := start(t, 1, nil)
	err := f.update(t.Context(), "false")
	var typed *ddbtypes.ConditionalCheckFailedException
	if !errors.As(err, &typed) || typed.Item == nil {
		t.Fatalf("got %v", err)
	}
	got := f.Snapshot()
	want := awsproxy.Counts{
		{Service: "dynamodb", Operation: "UpdateItem"}: {Calls: 1, Forwarded: 1, Statements: 1, Writes: 1, ConditionsFailed: 1},
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Error(diff)
	}
}

// Errors of the other protocols.
func TestErrorShapes(t *testing.T) {
	scope := func(service string) string {
		return "AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/" + service + "/aws4_request, SignedHeaders=host, Signature=00"
	}
	tests := []struct {
		name, auth, contentType, path, body string
		operation                           string
		want                                string
	}{
		{"query", scope("cloudformation"), "application/x-www-form-urlencoded; charset=utf-8", "/", "Action=DescribeStacks&Version=1", "DescribeStacks", "<ErrorResponse><Error><Type>Receiver</Type><Code>InternalFailure</Code>"},
		{"query in the URL", scope("sts"), "", "/?Action=GetCallerIdentity", "", "GetCallerIdentity", "<ErrorResponse><Error><Type>Receiver</Type><Code>InternalFailure</Code>"},
		{"s3", scope("s3"), "", "/bucket/key", "x", "POST", "<Error><Code>InternalError</Code>"},
		{"lambda", scope("lambda"), "", "/2015-03-31/functions/submit/invocations", "{}", "Invoke", `{"message":"injected`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := start(t, 1, nil)
			f.Inject(awsproxy.Fault{Operation: tt.operation})
			req := httptest.NewRequest(http.MethodPost, f.url+tt.path, strings.NewReader(tt.body))
			req.RequestURI = ""
			req.Header.Set("Authorization", tt.auth)
			req.Header.Set("Content-Type", tt.contentType)
			resp, body := do(t, req)
			if resp.StatusCode != http.StatusInternalServerError || !strings.HasPrefix(body, tt.want) {
				t.Errorf("got %d %s", resp.StatusCode, body)
			}
			if c := f.Calls()[0]; c.Forwarded || !c.Injected || c.Operation != tt.operation {
				t.Errorf("logged %v", &c)
			}
		})
	}
}

// The same seed makes the same choices, whatever else happens in between.
func TestSeedRepeatsChoices(t *testing.T) {
	run := func(seed uint64, noise bool) []bool {
		f := start(t, 1, &awsproxy.Options{Seed: seed})
		f.Inject(awsproxy.Fault{Operation: "UpdateItem", Rate: 0.3})
		f.Inject(awsproxy.Fault{Operation: "SendMessage", Rate: 0.5})
		var hits []bool
		for range 60 {
			hits = append(hits, f.update(t.Context(), "") != nil)
			if noise {
				_ = f.send(t.Context())
			}
		}
		return hits
	}
	first, second, other := run(7, false), run(7, true), run(8, false)
	if diff := cmp.Diff(first, second); diff != "" {
		t.Error(diff)
	}
	if slices.Equal(first, other) {
		t.Error("another seed makes the same choices")
	}
	n := 0
	for _, hit := range first {
		if hit {
			n++
		}
	}
	if n < 6 || n > 33 {
		t.Errorf("%d of 60 hit at a rate of 0.3", n)
	}
}

func TestMatchAndRemove(t *testing.T) {
	f := start(t, 1, nil)
	in := f.Inject(awsproxy.Fault{Match: func(c *awsproxy.Call) bool { return strings.Contains(string(c.Request), "漢") }})
	if err := f.update(t.Context(), ""); err != nil {
		t.Error(err)
	}
	if err := f.send(t.Context()); err == nil {
		t.Error("call succeeded")
	}
	in.Remove()
	if err := f.send(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestInjectRefusesNonsense(t *testing.T) {
	for name, fault := range map[string]awsproxy.Fault{
		"rate": {Rate: 1.5}, "negative rate": {Rate: -1}, "part of a connection": {When: awsproxy.PartialAfter, Error: awsproxy.Reset},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			awsproxy.New(nil, nil).Inject(fault)
		})
	}
}
