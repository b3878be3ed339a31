//go:build integration

package security

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func fmtJSON(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func asList(value any) []any {
	list, _ := value.([]any)
	return list
}

// Every method of the API asks for a signature, API Gateway calls the function as
// itself and not with the caller's credentials, and each route leads to the
// function that is meant.
func TestApi(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"post /tasks": "SubmitFunction", "get /tasks": "StatusFunction",
		"get /tasks/{id}": "StatusFunction", "delete /tasks/{id}": "CancelFunction",
	}
	forStages(t, func(in stage) {
		t, s := in.t, in.stack
		apis := s.ofType("AWS::ApiGateway::RestApi")
		if !cmp.Equal(apis, []string{"Api"}) {
			t.Fatalf("APIs %v, and the tests know one", apis)
		}
		body := at(t, s.resources["Api"].properties, "Body")
		schemes := at(t, body, "components", "securitySchemes").(map[string]any)
		iam := map[string]any{"x-amazon-apigateway-authtype": "awsSigv4", "type": "apiKey", "name": "Authorization", "in": "header"}
		if diff := cmp.Diff(any(iam), schemes["AWS_IAM"]); diff != "" {
			t.Errorf("AWS_IAM (-want +got):\n%s", diff)
		}
		security := []any{map[string]any{"AWS_IAM": []any{}}}
		if schemes["api_key"] != nil {
			// This is SAM's way to ask for a key beside the signature. OpenAPI would take a list for a choice; that API
			// Gateway asks for both is what TestUsagePlan sees on the local AWS.
			security = append(security, map[string]any{"api_key": []any{}})
		}
		got := map[string]string{}
		for path, methods := range at(t, body, "paths").(map[string]any) {
			for method, operation := range methods.(map[string]any) {
				if len(method) > len("options") || method == "x-amazon-apigateway-any-method" {
					t.Errorf("%s %s", method, path)
				}
				route := method + " " + path
				has := at(t, operation, "security")
				if !cmp.Equal(has, any(security)) {
					t.Errorf("%s asks for %v", route, has)
				}
				integration := at(t, operation, "x-amazon-apigateway-integration").(map[string]any)
				if integration["credentials"] != nil {
					t.Errorf("%s calls its function as %v", route, integration["credentials"])
				}
				if integration["type"] != "aws_proxy" {
					t.Errorf("%s is a %v", route, integration["type"])
				}
				got[route] = strings.Join(s.namesIn(integration["uri"]), ",")
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("routes (-want +got):\n%s", diff)
		}
		for _, kind := range []string{"AWS::ApiGateway::Method", "AWS::ApiGateway::Resource", "AWS::ApiGateway::Authorizer", "AWS::ApiGateway::RestApiPolicy"} {
			if ids := s.ofType(kind); len(ids) > 0 {
				t.Errorf("beside the API's body there are %v", ids)
			}
		}
	})
}

// Services may call functions only for one source each, by its ARN; the operator's
// function may be called by none. The source names the account: an API and a rule
// of this stack.
func TestPermissions(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"RecoverFunction for events.amazonaws.com":    "RecoverFunctionEnded.Arn",
		"SubmitFunction for apigateway.amazonaws.com": "arn:aws:execute-api:${AWS::Region}:${AWS::AccountId}:Api/*/POST/tasks",
		"StatusFunction for apigateway.amazonaws.com": "arn:aws:execute-api:${AWS::Region}:${AWS::AccountId}:Api/*/GET/tasks," +
			"arn:aws:execute-api:${AWS::Region}:${AWS::AccountId}:Api/*/GET/tasks/*",
		"CancelFunction for apigateway.amazonaws.com": "arn:aws:execute-api:${AWS::Region}:${AWS::AccountId}:Api/*/DELETE/tasks/*",
	}
	forStages(t, func(in stage) {
		t, s := in.t, in.stack
		got := map[string][]string{}
		for _, id := range s.ofType("AWS::Lambda::Permission") {
			p := s.resources[id].properties
			for name := range p {
				if !slices.Contains([]string{"Action", "FunctionName", "Principal", "SourceArn"}, name) {
					t.Errorf("%s has %s", id, name)
				}
			}
			if p["Action"] != "lambda:InvokeFunction" {
				t.Errorf("%s allows %v", id, p["Action"])
			}
			who := at(t, p, "FunctionName").(string) + " for " + at(t, p, "Principal").(string)
			got[who] = append(got[who], at(t, p, "SourceArn").(string))
		}
		joined := map[string]string{}
		for who, arns := range got {
			joined[who] = strings.Join(slices.Sorted(slices.Values(arns)), ",")
		}
		if diff := cmp.Diff(want, joined); diff != "" {
			t.Errorf("who may call what (-want +got):\n%s", diff)
		}
	})
}

// Nothing leads to the operator's function but IAM: beside its own parts only
// roles speak of it, and only its own may call it.
func TestAdminStandsAlone(t *testing.T) {
	t.Parallel()
	forStages(t, func(in stage) {
		t, s := in.t, in.stack
		var speak []string
		for id, r := range s.resources {
			if slices.Contains(s.namesIn(r.properties), "AdminFunction") {
				speak = append(speak, id)
			}
		}
		slices.Sort(speak)
		if want := []string{"AdminAsync", "AdminGoesOn"}; !cmp.Equal(speak, want) {
			t.Errorf("%v speak of AdminFunction, want %v", speak, want)
		}
		if roles := texts(t, s.resources["AdminGoesOn"].properties["Roles"]); !cmp.Equal(roles, []string{"AdminRole"}) {
			t.Errorf("%v may call AdminFunction", roles)
		}
	})
}

// A function's settings are read by whoever may look at it, so they name secrets
// and hold none.
func TestNoSecretsInSettings(t *testing.T) {
	t.Parallel()
	plain := regexp.MustCompile(`(?i)resolve:|whsec_|AKIA|BEGIN [A-Z ]*PRIVATE KEY|://[^/]*:[^/]*@`)
	telling := regexp.MustCompile(`(?i)secret|password|token|credential|api_?key|private`)
	about := map[string]string{ // settings whose names sound like a secret, and what they are
		"WEBHOOK_SECRET_ARN": "WebhookSecret.Id", "WEBHOOK_SECRET_TTL": "300s", "ALLOW_PRIVATE_WEBHOOK_TARGETS": "false",
	}
	forStages(t, func(in stage) {
		t, s := in.t, in.stack
		for _, id := range s.ofType("AWS::Lambda::Function") {
			for name, value := range at(t, s.resources[id].properties, "Environment", "Variables").(map[string]any) {
				text, _ := value.(string)
				if plain.MatchString(text) {
					t.Errorf("%s of %s holds a secret", name, id)
				}
				if telling.MatchString(name) && about[name] != text {
					t.Errorf("%s of %s is %s", name, id, text)
				}
			}
		}
		for id, r := range s.resources {
			if r.kind == "AWS::SecretsManager::Secret" {
				continue // written of the seed, by CloudFormation
			}
			if text := fmtJSON(t, r.properties); strings.Contains(text, "{{resolve:") {
				t.Errorf("%s takes a secret into its properties", id)
			}
		}
	})
}

// Every function writes to a log group of the stack, none to one that Lambda would
// make and keep for ever; every log group forgets.
func TestLogs(t *testing.T) {
	t.Parallel()
	forStages(t, func(in stage) {
		t, s := in.t, in.stack
		used := map[string]bool{}
		for _, id := range s.ofType("AWS::Lambda::Function") {
			group := at(t, s.resources[id].properties, "LoggingConfig", "LogGroup").(string)
			used[group] = true
			if s.resources[group].kind != "AWS::Logs::LogGroup" {
				t.Errorf("%s writes to %s", id, group)
			}
		}
		for _, id := range s.ofType("AWS::Logs::LogGroup") {
			if days, _ := s.resources[id].properties["RetentionInDays"].(float64); days != 30 {
				t.Errorf("%s keeps events for %v days, want 30", id, s.resources[id].properties["RetentionInDays"])
			}
			if !used[id] {
				t.Errorf("nothing writes to %s", id)
			}
		}
	})
}
