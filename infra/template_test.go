// Package infra_test holds what the template promises and no emulator enforces.
package infra_test

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

// template is template.yaml with intrinsic functions as plain values: !Ref X is "X".
type template struct {
	Mappings  map[string]map[string]map[string]int `yaml:"Mappings"`
	Resources map[string]struct {
		Type       string         `yaml:"Type"`
		Properties map[string]any `yaml:"Properties"`
	} `yaml:"Resources"`
}

func load(t *testing.T) (template, string) {
	t.Helper()
	text, err := os.ReadFile("../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var parsed template
	if err := yaml.Unmarshal(text, &parsed); err != nil {
		t.Fatal(err)
	}
	return parsed, string(text)
}

// at walks through maps.
func at(t *testing.T, value any, path ...string) any {
	t.Helper()
	for _, name := range path {
		fields, ok := value.(map[string]any)
		if !ok || fields[name] == nil {
			t.Fatalf("nothing at %s", strings.Join(path, "."))
		}
		value = fields[name]
	}
	return value
}

// Lambda retries a batch for up to six times the function's time-out, and no message may reappear meanwhile. The
// webhook time-out has to end before the worker's does; both defaults are in the contract.
func TestSizesFitTogether(t *testing.T) {
	tmpl, _ := load(t)
	want := map[string][3]int{"standard": {120, 750, 10}, "local": {10, 60, 5}}
	if len(tmpl.Mappings["Size"]) != len(want) {
		t.Errorf("sizes: got %d, want %d", len(tmpl.Mappings["Size"]), len(want))
	}
	for name, size := range tmpl.Mappings["Size"] {
		if got := [3]int{size["WorkerTimeout"], size["Visibility"], size["TasksConcurrency"]}; got != want[name] {
			t.Errorf("%s: got time-out, visibility, concurrency %v, want %v", name, got, want[name])
		}
		if size["Visibility"] < 6*size["WorkerTimeout"] {
			t.Errorf("%s: visibility %d is below 6 times the time-out %d", name, size["Visibility"], size["WorkerTimeout"])
		}
		if size["BacklogConcurrency"] >= size["TasksConcurrency"] {
			t.Errorf("%s: the backlog may use as many workers as fresh tasks", name)
		}
	}
}

func TestQueues(t *testing.T) {
	tmpl, _ := load(t)
	days := map[string]int{"TasksQueue": 7, "BacklogQueue": 7, "DeadLetterQueue": 14}
	for name, resource := range tmpl.Resources {
		if resource.Type != "AWS::SQS::Queue" {
			continue
		}
		if got := at(t, resource.Properties, "MessageRetentionPeriod"); got != days[name]*24*60*60 {
			t.Errorf("%s keeps messages for %v s, want %d days", name, got, days[name])
		}
		if at(t, resource.Properties, "SqsManagedSseEnabled") != true {
			t.Errorf("%s is not encrypted", name)
		}
		if !slices.Contains(at(t, tmpl.Resources["QueuesTlsOnly"].Properties, "Queues").([]any), any(name)) {
			t.Errorf("%s may be used without TLS", name)
		}
		delete(days, name)
	}
	if len(days) > 0 {
		t.Errorf("no queues %v", days)
	}
}

// Every SQS mapping reports single failures and has a cap of its own; no function that is fed by one reserves
// concurrency, because a throttled poller uses up receives.
func TestEventSourceMappings(t *testing.T) {
	tmpl, _ := load(t)
	mappings := 0
	for name, resource := range tmpl.Resources {
		if resource.Type != "AWS::Serverless::Function" {
			continue
		}
		for event, source := range at(t, resource.Properties, "Events").(map[string]any) {
			if at(t, source, "Type") != "SQS" {
				continue
			}
			mappings++
			at(t, source, "Properties", "ScalingConfig", "MaximumConcurrency")
			if got := at(t, source, "Properties", "FunctionResponseTypes"); !cmp.Equal(got, []any{"ReportBatchItemFailures"}) {
				t.Errorf("%s of %s answers %v", event, name, got)
			}
			if resource.Properties["ReservedConcurrentExecutions"] != nil {
				t.Errorf("%s reserves concurrency", name)
			}
		}
	}
	if mappings != 2 {
		t.Errorf("got %d mappings, want 2", mappings)
	}
}

// Each function has its own role and log group, and its role may write to that log group only.
func TestFunctionsAreApart(t *testing.T) {
	tmpl, _ := load(t)
	for name, resource := range tmpl.Resources {
		if resource.Type != "AWS::Serverless::Function" {
			continue
		}
		short := strings.TrimSuffix(name, "Function")
		if got, want := at(t, resource.Properties, "Role"), short+"Role.Arn"; got != want {
			t.Errorf("%s: got role %v, want %s", name, got, want)
		}
		if got, want := at(t, resource.Properties, "LoggingConfig", "LogGroup"), short+"Logs"; got != want {
			t.Errorf("%s: got log group %v, want %s", name, got, want)
		}
		at(t, tmpl.Resources[short+"Logs"].Properties, "RetentionInDays")
		if got, want := at(t, resource.Properties, "CodeUri"), "functions/"+strings.ToLower(short)+"/"; got != want {
			t.Errorf("%s: got code %v, want %s", name, got, want)
		}
	}
}

// A wildcard needs its reason beside it.
func TestWildcardsHaveReasons(t *testing.T) {
	_, text := load(t)
	for number, line := range strings.Split(text, "\n") {
		if regexp.MustCompile(`Resource: "?\*`).MatchString(line) && !strings.Contains(line, " # ") {
			t.Errorf("line %d: %s", number+1, strings.TrimSpace(line))
		}
		if regexp.MustCompile(`Action: .*(\*|:\*)`).MatchString(line) && !strings.Contains(line, "sqs:*") { // of the Deny
			t.Errorf("line %d: %s", number+1, strings.TrimSpace(line))
		}
	}
}

// API Gateway's own errors look like the functions' errors. Emulators do not use these templates.
func TestGatewayResponsesAreProblems(t *testing.T) {
	tmpl, _ := load(t)
	type problem struct {
		Type, Title, Code, Detail string
		Status                    int
	}
	codes := map[string]int{
		"invalid_request": 400, "forbidden": 403, "not_found": 404, "input_too_large": 413,
		"unsupported_media_type": 415, "too_many_requests": 429, "unavailable": 503, "timeout": 504,
	}
	seen := map[string]bool{}
	for name, response := range at(t, tmpl.Resources["Api"].Properties, "GatewayResponses").(map[string]any) {
		var got problem
		body := at(t, response, "ResponseTemplates", "application/json").(string)
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		seen[got.Code] = true
		if got.Status != codes[got.Code] || at(t, response, "StatusCode") != got.Status || got.Type != "about:blank" || got.Title == "" || got.Detail == "" {
			t.Errorf("%s: %+v with status %v", name, got, at(t, response, "StatusCode"))
		}
		headers := at(t, response, "ResponseParameters", "Headers").(map[string]any)
		if headers["Content-Type"] != "'application/problem+json'" {
			t.Errorf("%s: content type %v", name, headers["Content-Type"])
		}
		if got.Status == 429 && headers["Retry-After"] == nil {
			t.Errorf("%s: no Retry-After", name)
		}
		if strings.Contains(body, "$context") {
			t.Errorf("%s quotes API Gateway, whose messages contain ARNs", name)
		}
	}
	if len(seen) != len(codes) {
		t.Errorf("codes: got %v, want %v", seen, codes)
	}
}
