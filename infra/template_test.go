// Package infra_test holds what the template promises and no emulator enforces.
package infra_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"go.yaml.in/yaml/v3"

	"github.com/spillway-go/spillway/internal/trip"
)

// template is template.yaml with intrinsic functions as plain values: !Ref X is "X".
type template struct {
	Parameters map[string]parameter                 `yaml:"Parameters"`
	Conditions map[string]any                       `yaml:"Conditions"`
	Globals    map[string]any                       `yaml:"Globals"`
	Mappings   map[string]map[string]map[string]int `yaml:"Mappings"`
	Resources  map[string]resource                  `yaml:"Resources"`
	Outputs    map[string]struct {
		Value any `yaml:"Value"`
	} `yaml:"Outputs"`
}

type resource struct {
	Type           string         `yaml:"Type"`
	Condition      string         `yaml:"Condition"`
	DeletionPolicy string         `yaml:"DeletionPolicy"`
	Properties     map[string]any `yaml:"Properties"`
}

// events of a function, by name; a function may have none.
func (r resource) events() map[string]any {
	events, _ := r.Properties["Events"].(map[string]any)
	return events
}

// ofType returns the resources of a type.
func (t template) ofType(name string) map[string]resource {
	found := map[string]resource{}
	for id, r := range t.Resources {
		if r.Type == name {
			found[id] = r
		}
	}
	return found
}

// functions are all of them.
func (t template) functions() map[string]resource { return t.ofType("AWS::Serverless::Function") }

type parameter struct {
	Default       string   `yaml:"Default"`
	AllowedValues []string `yaml:"AllowedValues"`
	MaxValue      string   `yaml:"MaxValue"`
}

func load(t *testing.T) (template, string) {
	t.Helper()
	text := read(t, "template.yaml")
	var parsed template
	if err := yaml.Unmarshal([]byte(text), &parsed); err != nil {
		t.Fatal(err)
	}
	return parsed, text
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
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

// Lambda retries a batch for up to six times the function's time-out, and no message may reappear meanwhile.
func TestSizesFitTogether(t *testing.T) {
	tmpl, _ := load(t)
	want := map[string][3]int{"standard": {120, 750, 10}, "local": {10, 60, 5}, "test": {3, 18, 5}}
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
		if size["StreamFailuresVisibility"] < 6*size["StreamTimeout"] {
			t.Errorf("%s: visibility %d of stream failures is below 6 times the time-out %d", name, size["StreamFailuresVisibility"], size["StreamTimeout"])
		}
		if size["BacklogConcurrency"] >= size["TasksConcurrency"] {
			t.Errorf("%s: the backlog may use as many workers as fresh tasks", name)
		}
	}
}

var stage = regexp.MustCompile(`(?m)^\[(\w+)\.deploy\.parameters\]\n(?:[^\[\n].*\n)*?parameter_overrides = ["'](.*)["']$`)

// SAM keeps the previous value of a parameter that is not named, so the stages on AWS name what only local ones may set.
func TestStagesOnAwsResetLocalSettings(t *testing.T) {
	stages := 0
	for _, m := range stage.FindAllStringSubmatch(read(t, "samconfig.toml"), -1) {
		if m[1] != "staging" && m[1] != "production" {
			continue
		}
		stages++
		for _, want := range []string{`EndpointUrl=""`, "Size=standard", "AllowPrivateWebhookTargets=false", "ChaosEnabled=false"} {
			if !slices.Contains(strings.Fields(m[2]), want) {
				t.Errorf("%s does not set %s", m[1], want)
			}
		}
	}
	if stages != 2 {
		t.Errorf("%d stages on AWS, want 2", stages)
	}
}

// A webhook delivery that takes all its time must leave the worker some to write down how it ended, in every stage.
func TestWebhookTimeoutFits(t *testing.T) {
	tmpl, _ := load(t)
	want := map[string]string{"": "10s", "local": "3s", "localstack": "3s", "staging": "10s", "production": "10s"}
	got := map[string]string{}
	for _, m := range append(stage.FindAllStringSubmatch(read(t, "samconfig.toml"), -1), []string{"", "", ""}) {
		set := map[string]string{"Size": tmpl.Parameters["Size"].Default, "WebhookTimeout": tmpl.Parameters["WebhookTimeout"].Default}
		for _, override := range strings.Fields(m[2]) {
			name, value, _ := strings.Cut(override, "=")
			set[name] = value
		}
		got[m[1]] = set["WebhookTimeout"]
		timeout, err := time.ParseDuration(set["WebhookTimeout"])
		if err != nil {
			t.Fatal(err)
		}
		if worker := time.Duration(tmpl.Mappings["Size"][set["Size"]]["WorkerTimeout"]) * time.Second; timeout >= worker {
			t.Errorf("stage %q: a webhook may take %s, and the worker %s", m[1], timeout, worker)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("WebhookTimeout of the stages (-want +got):\n%s", diff)
	}
}

// The tasks are encrypted, can be restored, expire, and outlive a stack that is deleted by mistake. The index of all
// tasks holds keys only, since more would cost a write whenever a task changes; the one of failures is for few.
func TestTasksTable(t *testing.T) {
	tmpl, _ := load(t)
	want := map[string]any{
		"BillingMode":               "PAY_PER_REQUEST",
		"DeletionProtectionEnabled": []any{"Protected", true, false},
		"AttributeDefinitions": []any{
			map[string]any{"AttributeName": "id", "AttributeType": "S"},
			map[string]any{"AttributeName": "tenant_shard", "AttributeType": "S"},
			map[string]any{"AttributeName": "failure_shard", "AttributeType": "S"},
			map[string]any{"AttributeName": "failure_key", "AttributeType": "S"},
		},
		"KeySchema": []any{map[string]any{"AttributeName": "id", "KeyType": "HASH"}},
		"GlobalSecondaryIndexes": []any{
			map[string]any{
				"IndexName": "by_tenant",
				"KeySchema": []any{
					map[string]any{"AttributeName": "tenant_shard", "KeyType": "HASH"},
					map[string]any{"AttributeName": "id", "KeyType": "RANGE"},
				},
				"Projection": map[string]any{"ProjectionType": "KEYS_ONLY"},
			},
			map[string]any{
				"IndexName": "by_failure",
				"KeySchema": []any{
					map[string]any{"AttributeName": "failure_shard", "KeyType": "HASH"},
					map[string]any{"AttributeName": "failure_key", "KeyType": "RANGE"},
				},
				"Projection": map[string]any{"ProjectionType": "INCLUDE", "NonKeyAttributes": []any{"type", "tenant_shard", "run"}},
			},
		},
		"StreamSpecification":              map[string]any{"StreamViewType": "NEW_AND_OLD_IMAGES"},
		"TimeToLiveSpecification":          map[string]any{"AttributeName": "expires_at", "Enabled": true},
		"PointInTimeRecoverySpecification": map[string]any{"PointInTimeRecoveryEnabled": true},
		"SSESpecification":                 tableEncryption,
	}
	if diff := cmp.Diff(want, tmpl.Resources["TasksTable"].Properties); diff != "" {
		t.Errorf("the tasks table (-want +got):\n%s", diff)
	}
	if got := tmpl.Conditions["Protected"]; !cmp.Equal(got, any([]any{"Size", "standard"})) {
		t.Errorf("the table is protected if %v are equal, want Size and standard", got)
	}
}

// Every route asks for a signature, and API Gateway calls the functions as itself.
func TestEveryRouteIsSigned(t *testing.T) {
	tmpl, _ := load(t)
	want := map[string]any{"DefaultAuthorizer": "AWS_IAM", "InvokeRole": "NONE", "ApiKeyRequired": "ApiKeys"} // beside the signature
	if diff := cmp.Diff(any(want), at(t, tmpl.Resources["Api"].Properties, "Auth")); diff != "" {
		t.Errorf("authorization of the API (-want +got):\n%s", diff)
	}
	if tmpl.Globals["Api"] != nil {
		t.Error("the API has settings in Globals, where this test does not look")
	}
	routes := 0
	for name, function := range tmpl.functions() {
		if function.Properties["FunctionUrlConfig"] != nil {
			t.Errorf("%s can be called past the API", name)
		}
		for event, source := range function.events() {
			switch kind := at(t, source, "Type"); kind {
			case "SQS":
			case "EventBridgeRule":
				if name != "RecoverFunction" {
					t.Errorf("%s listens to EventBridge", name)
				}
			case "DynamoDB":
				if name != "NotifyFunction" {
					t.Errorf("%s reads a stream", name)
				}
			case "Api":
				routes++
				properties := at(t, source, "Properties").(map[string]any)
				if properties["Auth"] != nil {
					t.Errorf("%s of %s has an authorization of its own: %v", event, name, properties["Auth"])
				}
				if properties["RestApiId"] != "Api" { // SAM would make an API without authorization
					t.Errorf("%s of %s is a route of API %v", event, name, properties["RestApiId"])
				}
			default:
				t.Errorf("%s of %s is a %v, of which this test knows nothing", event, name, kind)
			}
		}
	}
	if routes != 4 {
		t.Errorf("got %d routes, want 4", routes)
	}
}

// Only the worker sends to queues that invoke it, and only the operator's function calls itself; both bound how often.
// For all others Lambda's protection against loops stays on.
func TestRecursiveLoop(t *testing.T) {
	tmpl, _ := load(t)
	if at(t, tmpl.Globals, "Function").(map[string]any)["RecursiveLoop"] != nil {
		t.Error("Globals set it for every function")
	}
	for name, function := range tmpl.functions() {
		var want any
		if name == "WorkerFunction" || name == "AdminFunction" {
			want = "Allow"
		}
		if got := function.Properties["RecursiveLoop"]; got != want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
}

func TestQueues(t *testing.T) {
	tmpl, _ := load(t)
	days := map[string]int{"TasksQueue": 7, "BacklogQueue": 7, "DeadLetterQueue": 14, "StreamFailuresQueue": 14, "SagaFailuresQueue": 14}
	for name, queue := range tmpl.ofType("AWS::SQS::Queue") {
		if got := at(t, queue.Properties, "MessageRetentionPeriod"); got != days[name]*24*60*60 {
			t.Errorf("%s keeps messages for %v s, want %d days", name, got, days[name])
		}
		tlsOnly := "QueuesTlsOnly"
		if name == "SagaFailuresQueue" {
			tlsOnly = "SagaFailuresPolicy"
		}
		if !slices.Contains(at(t, tmpl.Resources[tlsOnly].Properties, "Queues").([]any), any(name)) {
			t.Errorf("%s may be used without TLS", name)
		}
		delete(days, name)
	}
	if len(days) > 0 {
		t.Errorf("no queues %v", days)
	}
}

// Every SQS mapping reports single failures and has a cap of its own; no function that is fed by one reserves
// concurrency, because a throttled poller uses up receives. The mapping of the stream is in TestStreamMapping.
func TestEventSourceMappings(t *testing.T) {
	tmpl, _ := load(t)
	mappings := 0
	for name, function := range tmpl.functions() {
		for event, source := range function.events() {
			if at(t, source, "Type") != "SQS" {
				continue
			}
			mappings++
			at(t, source, "Properties", "ScalingConfig", "MaximumConcurrency")
			if got := at(t, source, "Properties", "FunctionResponseTypes"); !cmp.Equal(got, []any{"ReportBatchItemFailures"}) {
				t.Errorf("%s of %s answers %v", event, name, got)
			}
			if function.Properties["ReservedConcurrentExecutions"] != nil {
				t.Errorf("%s reserves concurrency", name)
			}
		}
	}
	if mappings != 3 {
		t.Errorf("got %d mappings, want 3", mappings)
	}
}

// Each function has its own role and log group, and its role may write to that log group only.
func TestFunctionsAreApart(t *testing.T) {
	tmpl, _ := load(t)
	for name, function := range tmpl.functions() {
		short := strings.TrimSuffix(name, "Function")
		if step, ok := tripStep(name); ok {
			testTripStep(t, tmpl, function, step)
			continue
		}
		if got, want := at(t, function.Properties, "Role"), short+"Role.Arn"; got != want {
			t.Errorf("%s: got role %v, want %s", name, got, want)
		}
		if got, want := at(t, function.Properties, "LoggingConfig", "LogGroup"), short+"Logs"; got != want {
			t.Errorf("%s: got log group %v, want %s", name, got, want)
		}
		logs := tmpl.Resources[short+"Logs"]
		want := map[string]any{"LogGroupName": "/spillway/${AWS::StackName}/" + strings.ToLower(short), "RetentionInDays": "LogRetentionDays", "KmsKeyId": ifOwnKey}
		if diff := cmp.Diff(want, logs.Properties); diff != "" || logs.Type != "AWS::Logs::LogGroup" {
			t.Errorf("log group of %s, a %s (-want +got):\n%s", name, logs.Type, diff)
		}
		if got, want := logsOf(t, tmpl, short+"Role"), []any{short + "Logs.Arn"}; !cmp.Equal(got, want) {
			t.Errorf("%s may write to log groups %v, want %v", name, got, want)
		}
		if got, want := at(t, function.Properties, "CodeUri"), "functions/"+strings.ToLower(short)+"/"; got != want {
			t.Errorf("%s: got code %v, want %s", name, got, want)
		}
	}
}

// tripStep is the step of the trip that a function is, such as BookHotel.
func tripStep(function string) (step string, ok bool) {
	step = strings.TrimSuffix(function, "Function")
	return step, slices.Contains(trip.States(), step)
}

// The steps of the trip share a log group, and a role with those that do the same: book, or cancel.
func testTripStep(t *testing.T, tmpl template, function resource, step string) {
	t.Helper()
	role := "TripBookRole"
	if strings.HasPrefix(step, "Cancel") {
		role = "TripCancelRole"
	}
	want := map[string]any{
		"Role": role + ".Arn", "CodeUri": "functions/trip/" + strings.ToLower(step) + "/", "LoggingConfig": map[string]any{"LogGroup": "TripLogs"},
		"Timeout": []any{"Size", "Size", "TripTimeout"},
		"Environment": map[string]any{"Variables": map[string]any{
			"RESERVATIONS_TABLE": "ReservationsTable", "CONTROL_TABLE": "ControlTable", "CHAOS_ENABLED": "ChaosEnabled",
		}},
	}
	if diff := cmp.Diff(want, function.Properties); diff != "" {
		t.Errorf("%s (-want +got):\n%s", step, diff)
	}
	if got, want := logsOf(t, tmpl, role), []any{"TripLogs.Arn"}; !cmp.Equal(got, want) {
		t.Errorf("%s may write to log groups %v, want %v", role, got, want)
	}
	for name, size := range tmpl.Mappings["Size"] {
		// The machine waits longer for a step than the step may take.
		if size["TripTimeout"] >= 20 {
			t.Errorf("%s: a step may take %d s, and the machine waits for 20", name, size["TripTimeout"])
		}
	}
}

// What the saga may do: call its steps, write its task, and park what it cannot undo. Steps book and cancel in one
// table, and look for faults in one partition of another.
func TestTripRoles(t *testing.T) {
	tmpl, _ := load(t)
	want := map[string][]string{
		"TripSagaRole": {
			"dynamodb:GetItem on TasksTable.Arn", "dynamodb:UpdateItem on TasksTable.Arn",
			"lambda:InvokeFunction on BookCarFunction.Arn", "lambda:InvokeFunction on BookFlightFunction.Arn", "lambda:InvokeFunction on BookHotelFunction.Arn",
			"lambda:InvokeFunction on CancelCarFunction.Arn", "lambda:InvokeFunction on CancelFlightFunction.Arn", "lambda:InvokeFunction on CancelHotelFunction.Arn",
			"sqs:SendMessage on SagaFailuresQueue.Arn",
		},
		"TripBookRole": {
			"dynamodb:GetItem on ReservationsTable.Arn", "dynamodb:PutItem on ReservationsTable.Arn",
			"dynamodb:Query on ControlTable.Arn", "dynamodb:UpdateItem on ControlTable.Arn", "dynamodb:UpdateItem on ReservationsTable.Arn",
		},
		"TripCancelRole": {
			"dynamodb:DeleteItem on ReservationsTable.Arn", "dynamodb:GetItem on ReservationsTable.Arn",
			"dynamodb:Query on ControlTable.Arn", "dynamodb:UpdateItem on ControlTable.Arn", "dynamodb:UpdateItem on ReservationsTable.Arn",
		},
		"RecoverRole": {
			"dynamodb:GetItem on TasksTable.Arn", "dynamodb:UpdateItem on TasksTable.Arn", "sqs:SendMessage on SagaFailuresQueue.Arn", "states:DescribeExecution on " + tripExecutions,
			"states:StartExecution on TripSaga",
		},
	}
	for role, want := range want {
		if diff := cmp.Diff(want, allowed(t, tmpl, role)); diff != "" {
			t.Errorf("what %s may do (-want +got):\n%s", role, diff)
		}
	}
}

// logsOf returns what a role's statements about logs are on.
func logsOf(t *testing.T, tmpl template, role string) []any {
	t.Helper()
	if got := tmpl.Resources[role].Type; got != "AWS::IAM::Role" {
		t.Fatalf("%s is a %q", role, got)
	}
	var resources []any
	for _, policy := range at(t, tmpl.Resources[role].Properties, "Policies").([]any) {
		for _, statement := range at(t, policy, "PolicyDocument", "Statement").([]any) {
			fields, ok := statement.(map[string]any)
			if !ok { // !If
				continue
			}
			if strings.Contains(fmt.Sprint(fields["Action"]), "logs:") {
				resources = append(resources, fields["Resource"])
			}
		}
	}
	return resources
}

// A wildcard needs its reason beside it.
func TestWildcardsHaveReasons(t *testing.T) {
	_, text := load(t)
	for number, line := range strings.Split(text, "\n") {
		if regexp.MustCompile(`Resource: "?\*`).MatchString(line) && !strings.Contains(line, " # ") {
			t.Errorf("line %d: %s", number+1, strings.TrimSpace(line))
		}
		if regexp.MustCompile(`Action: .*(\*|:\*)`).MatchString(line) && !regexp.MustCompile(`Action: (sqs|s3):\*$`).MatchString(line) { // of the Deny
			t.Errorf("line %d: %s", number+1, strings.TrimSpace(line))
		}
	}
}
