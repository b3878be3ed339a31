package infra_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Who asks cannot keep out who hands in: submitting has a limit of its own, beside the one of every other route.
func TestThrottles(t *testing.T) {
	tmpl, _ := load(t)
	want := []any{
		map[string]any{"ResourcePath": "/*", "HttpMethod": "*", "ThrottlingRateLimit": "StatusRateLimit", "ThrottlingBurstLimit": "StatusBurstLimit"},
		// Slashes inside a path are ~1:
		// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-properties-apigateway-stage-methodsetting.html
		map[string]any{"ResourcePath": "/~1tasks", "HttpMethod": "POST", "ThrottlingRateLimit": "SubmitRateLimit", "ThrottlingBurstLimit": "SubmitBurstLimit"},
	}
	if diff := cmp.Diff(any(want), at(t, tmpl.Resources["Api"].Properties, "MethodSettings")); diff != "" {
		t.Errorf("method settings (-want +got):\n%s", diff)
	}
}

// The usage plan is there exactly when callers need a key of it.
func TestUsagePlan(t *testing.T) {
	tmpl, _ := load(t)
	plans := tmpl.ofType("AWS::ApiGateway::UsagePlan")
	if len(plans) != 1 || plans["UsagePlan"].Condition != "HasApiKeys" {
		t.Fatalf("usage plans: %+v", plans)
	}
	if got := tmpl.Conditions["HasApiKeys"]; !cmp.Equal(got, any([]any{"ApiKeys", "required"})) {
		t.Errorf("the plan is there if %v are equal", got)
	}
	want := map[string]any{"RateLimit": "CallerRateLimit", "BurstLimit": "CallerBurstLimit"}
	if diff := cmp.Diff(any(want), at(t, plans["UsagePlan"].Properties, "Throttle")); diff != "" {
		t.Errorf("throttle (-want +got):\n%s", diff)
	}
	// SAM resolves the parameter before it asks whether the value is there; "false" would be.
	if got := at(t, tmpl.Resources["Api"].Properties, "Auth", "ApiKeyRequired"); got != "ApiKeys" || tmpl.Parameters["ApiKeys"].Default != "" {
		t.Errorf("a key is required if %v, whose default is %q", got, tmpl.Parameters["ApiKeys"].Default)
	}
}

// Only status has a concurrency of its own, where most calls wait. A consumer of a queue must not: its pollers go on
// receiving while it is throttled, and each receive counts towards the dead-letter queue.
func TestReservedConcurrency(t *testing.T) {
	tmpl, _ := load(t)
	if at(t, tmpl.Globals, "Function").(map[string]any)["ReservedConcurrentExecutions"] != nil {
		t.Error("Globals reserve it for every function")
	}
	for name, function := range tmpl.functions() {
		var want any
		if name == "StatusFunction" {
			want = []any{"StatusReserved", "StatusConcurrency", "AWS::NoValue"}
		}
		if diff := cmp.Diff(want, function.Properties["ReservedConcurrentExecutions"]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
