//go:build integration

package security

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Actions of operations that are named otherwise than the operation, or more than
// one. Of needs, one action of each list has to be granted; helps may be.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazondynamodb.html
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsqs.html
var actionsOf = map[string]struct {
	needs [][]string
	helps []string
}{
	// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ql-iam.html
	"dynamodb.BatchExecuteStatement": {needs: [][]string{{"dynamodb:PartiQLSelect", "dynamodb:PartiQLInsert", "dynamodb:PartiQLUpdate", "dynamodb:PartiQLDelete"}}},
	// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis-iam.html
	"dynamodb.TransactWriteItems": {needs: [][]string{{"dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:ConditionCheckItem"}}},
	// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-api-permissions-reference.html
	"sqs.SendMessageBatch":             {needs: [][]string{{"sqs:SendMessage"}}},
	"sqs.DeleteMessageBatch":           {needs: [][]string{{"sqs:DeleteMessage"}}},
	"sqs.ChangeMessageVisibilityBatch": {needs: [][]string{{"sqs:ChangeMessageVisibility"}}},
	// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-configure-dead-letter-queue-redrive.html
	"sqs.StartMessageMoveTask": {needs: [][]string{
		{"sqs:StartMessageMoveTask"},
		{"sqs:ReceiveMessage"},
		{"sqs:DeleteMessage"},
		{"sqs:GetQueueAttributes"},
		{"sqs:SendMessage"},
	}},
	// Without s3:ListBucket an object that is gone is denied instead of missing:
	// https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
	"s3.GetObject":  {needs: [][]string{{"s3:GetObject"}}, helps: []string{"s3:ListBucket"}},
	"lambda.Invoke": {needs: [][]string{{"lambda:InvokeFunction"}}},
}

// prefixes of services whose IAM name is not the SDK's.
var prefixes = map[string]string{"sfn": "states", "dynamodbstreams": "dynamodb"}

// needsOf returns the actions that an operation needs and those that help it.
func needsOf(name string) (needs [][]string, helps []string) {
	if a, ok := actionsOf[name]; ok {
		return a.needs, a.helps
	}
	service, method, _ := strings.Cut(name, ".")
	if prefix := prefixes[service]; prefix != "" {
		service = prefix
	}
	return [][]string{{service + ":" + method}}, nil
}

// uncalled are operations that are linked and never called: for each function, or
// for all ("").
var uncalled = map[string]map[string]string{
	"": {
		"dynamodb.DescribeEndpoints": "endpoint discovery, which the SDK does only when it is switched on",
		"s3.CreateSession":           "sessions of directory buckets, and the archive is none",
	},
	"SubmitFunction": {"dynamodb.Scan": "the export's handler is there for its checks of inputs (handlers.Checks) and does not run"},
	"NotifyFunction": {"dynamodb.Scan": "as for submit"},
	"RescueFunction": {
		"sqs.SendMessage":      "package batch can send to a dead-letter queue (batch.Options.Reject), and rescue has none",
		"sqs.SendMessageBatch": "as above",
	},
}

// ofFaults is the operation that reads which faults to inject.
const ofFaults = "dynamodb.Query"

// withoutFaults reports whether a function can inject faults and was told not to.
func (s *stack) withoutFaults(function string) bool {
	enabled, _ := look(s.resources[function].properties, "Environment", "Variables", "CHAOS_ENABLED")
	return enabled == "false"
}

// grant is an action on a resource.
type grant struct{ action, resource string }

// grants are what a role may do, but with keys.
func (s *stack) grants(t *testing.T, role string) []grant {
	t.Helper()
	var all []grant
	for _, st := range s.ofRole(t, role) {
		for _, action := range st.actions {
			for _, r := range st.resources {
				if !strings.HasPrefix(action, "kms:") {
					all = append(all, grant{action, r})
				}
			}
		}
	}
	return all
}

// platform are the grants that Lambda uses on behalf of a function, by what the
// template asks of it.
func (s *stack) platform(t *testing.T, function string) map[grant]bool {
	t.Helper()
	all := map[grant]bool{}
	add := func(resource string, actions ...string) {
		for _, a := range actions {
			all[grant{a, resource}] = true
		}
	}
	p := s.resources[function].properties
	// https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs.html
	add(at(t, p, "LoggingConfig", "LogGroup").(string)+".Arn", "logs:CreateLogStream", "logs:PutLogEvents")
	// https://docs.aws.amazon.com/lambda/latest/dg/services-xray.html
	if mode, _ := look(p, "TracingConfig", "Mode"); mode == "Active" {
		add("*", "xray:PutTraceSegments", "xray:PutTelemetryRecords")
	}
	destination := func(of any) { // https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
		if arn, ok := look(of, "DestinationConfig", "OnFailure", "Destination"); ok {
			add(arn.(string), "sqs:SendMessage")
		}
	}
	for _, m := range s.mappings(t, function) {
		source := m["EventSourceArn"].(string)
		if strings.HasSuffix(source, ".StreamArn") { // https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html
			add(source, "dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator")
			add("*", "dynamodb:ListStreams")
		} else { // https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
			add(source, "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
		}
		destination(m)
	}
	for _, id := range s.ofType("AWS::Lambda::EventInvokeConfig") {
		if slices.Contains(s.namesIn(s.resources[id].properties["FunctionName"]), function) {
			destination(s.resources[id].properties)
		}
	}
	return all
}

// mappings are the event sources of a function.
func (s *stack) mappings(t *testing.T, function string) []map[string]any {
	t.Helper()
	var all []map[string]any
	for _, id := range s.ofType("AWS::Lambda::EventSourceMapping") {
		if slices.Contains(s.namesIn(at(t, s.resources[id].properties, "FunctionName")), function) {
			all = append(all, s.resources[id].properties)
		}
	}
	return all
}

// knows returns the resources that a function can name: those in its environment
// and those it hears of.
func (s *stack) knows(t *testing.T, function string) []string {
	t.Helper()
	known := s.namesIn(at(t, s.resources[function].properties, "Environment", "Variables"))
	known = append(known, function) // by AWS_LAMBDA_FUNCTION_NAME
	for _, id := range s.ofType("AWS::Events::Rule") {
		if rule := s.resources[id].properties; slices.Contains(s.namesIn(rule["Targets"]), function) {
			known = append(known, s.namesIn(rule["EventPattern"])...) // it is in the event
		}
	}
	for _, m := range s.mappings(t, function) {
		known = append(known, s.namesIn(m["EventSourceArn"])...)
		for _, id := range s.ofType("AWS::Lambda::EventSourceMapping") { // what Lambda gives up names its source
			other := s.resources[id].properties
			if arn, ok := look(other, "DestinationConfig", "OnFailure", "Destination"); ok && arn == m["EventSourceArn"] {
				known = append(known, s.namesIn(other["EventSourceArn"])...)
			}
		}
	}
	for _, id := range known {
		if s.resources[id].kind == "AWS::StepFunctions::StateMachine" { // its definition names its steps
			known = append(known, s.namesIn(s.resources[id].properties["DefinitionSubstitutions"])...)
		}
	}
	return known
}

// Each grant is used: by the code of a function that has the role, on something
// that the function can name, or by Lambda on the function's behalf. And whatever
// the code can call is granted.
func TestGrantedIsUsed(t *testing.T) {
	t.Parallel()
	forStages(t, func(in stage) {
		t, s := in.t, in.stack
		roles := map[string][]string{}
		for _, function := range s.ofType("AWS::Lambda::Function") {
			for _, role := range s.namesIn(s.resources[function].properties["Role"]) {
				roles[role] = append(roles[role], function)
			}
		}
		excused := map[string]bool{} // the exceptions that are needed
		for role, functions := range roles {
			granted := s.grants(t, role)
			platform := map[grant]bool{}
			uses := map[string]bool{} // actions of the code
			var known []string
			for _, function := range functions {
				maps.Copy(platform, s.platform(t, function))
				known = append(known, s.knows(t, function)...)
				for _, name := range operationsOf(t, function) {
					needs, helps := needsOf(name)
					missing := ""
					for _, oneOf := range needs {
						if !slices.ContainsFunc(granted, func(g grant) bool { return slices.Contains(oneOf, g.action) }) {
							missing = strings.Join(oneOf, " or ")
						}
					}
					if missing != "" || uncalled[function][name] != "" || uncalled[""][name] != "" {
						switch {
						case uncalled[function][name] != "":
							excused[function+" "+name] = true
						case uncalled[""][name] != "":
							excused[" "+name] = true
						case name == ofFaults && s.withoutFaults(function):
						default:
							t.Errorf("%s can call %s, and %s does not allow %s", function, name, role, missing)
						}
						continue
					}
					for _, a := range append(slices.Concat(needs...), helps...) {
						uses[a] = true
					}
				}
			}
			for _, g := range granted {
				if platform[g] {
					delete(platform, g)
					continue
				}
				names := s.names(g.resource)
				if !uses[g.action] {
					t.Errorf("%s allows %s on %s, and no code of %v uses it", role, g.action, g.resource, functions)
				} else if len(names) != 1 || !slices.Contains(known, names[0]) {
					t.Errorf("%s allows %s on %s, of which %v do not know", role, g.action, g.resource, functions)
				}
			}
			for g := range platform {
				t.Errorf("%s does not allow %s on %s, which Lambda does for %v", role, g.action, g.resource, functions)
			}
		}
		for function, operations := range uncalled {
			for name := range operations {
				if !excused[function+" "+name] {
					t.Errorf("an exception that nothing needs: %q %s", function, name)
				}
			}
		}
	})
}

// The machine's role allows what its definition does, and nothing else.
func TestMachineRole(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(root, "infra", "asl", "trip.asl.json"))
	if err != nil {
		t.Fatal(err)
	}
	var definition any
	if err := json.Unmarshal(text, &definition); err != nil {
		t.Fatal(err)
	}
	// The integration's resource, the argument that says on what, and the action.
	kinds := map[string][2]string{
		"dynamodb:getItem":    {"TableName", "dynamodb:GetItem"},
		"dynamodb:updateItem": {"TableName", "dynamodb:UpdateItem"},
		"sqs:sendMessage":     {"QueueUrl", "sqs:SendMessage"},
		"lambda:invoke":       {"FunctionName", "lambda:InvokeFunction"},
	}
	forStages(t, func(in stage) {
		t, s := in.t, in.stack
		machine := s.resources["TripSaga"].properties
		substitutions := at(t, machine, "DefinitionSubstitutions").(map[string]any)
		want := map[string]bool{}
		eachState(definition, func(state map[string]any) {
			if state["Type"] != "Task" {
				return
			}
			name := strings.TrimPrefix(state["Resource"].(string), "arn:${Partition}:states:::")
			kind, ok := kinds[name]
			if !ok {
				t.Fatalf("an integration of which this test knows nothing: %s", name)
			}
			on := regexp.MustCompile(`^\$\{(\w+)\}$`).FindStringSubmatch(at(t, state, "Arguments", kind[0]).(string))
			if on == nil {
				t.Fatalf("%s on %v", name, state["Arguments"])
			}
			for _, id := range s.namesIn(substitutions[on[1]]) {
				want[fmt.Sprint(kind[1], " on ", id)] = true
			}
		})
		if tracing, _ := look(machine, "TracingConfiguration", "Enabled"); tracing == true {
			// https://docs.aws.amazon.com/step-functions/latest/dg/concepts-xray-tracing.html
			for _, a := range []string{"PutTraceSegments", "PutTelemetryRecords", "GetSamplingRules", "GetSamplingTargets"} {
				want["xray:"+a+" on *"] = true
			}
		}
		got := map[string]bool{}
		for _, g := range s.grants(t, s.namesIn(machine["RoleArn"])[0]) {
			got[g.action+" on "+strings.TrimSuffix(g.resource, ".Arn")] = true
		}
		if diff := cmp.Diff(want, got); diff != "" || len(want) < 10 {
			t.Errorf("what the machine may do (-want +got):\n%s", diff)
		}
	})
}

// eachState visits the states of a definition, those inside of others too.
func eachState(value any, visit func(map[string]any)) {
	switch v := value.(type) {
	case []any:
		for _, e := range v {
			eachState(e, visit)
		}
	case map[string]any:
		if _, ok := v["Type"].(string); ok {
			visit(v)
		}
		for _, e := range v {
			eachState(e, visit)
		}
	}
}

// With an own key a role may use it through the services that ask KMS in the
// role's name, for what the role does there, and only so. Without one no role may
// use any key.
func TestOwnKeyOfRoles(t *testing.T) {
	t.Parallel()
	// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.usagenotes.html: table keys are decrypted
	// in the name of who reads or writes, and made in the name of who made the table.
	// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html: a sender makes a
	// data key and verifies it, a receiver decrypts it.
	// https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html
	// https://docs.aws.amazon.com/secretsmanager/latest/userguide/security-encryption.html
	// https://docs.aws.amazon.com/step-functions/latest/dg/encryption-at-rest.html
	decrypts := regexp.MustCompile(`^(dynamodb:(\w*Item\w*|Query|Scan|PartiQL\w+|GetRecords)|sqs:(Send|Receive)Message|s3:GetObject|` +
		`secretsmanager:GetSecretValue|states:(DescribeExecution|DescribeStateMachine|GetExecutionHistory))$`)
	generates := regexp.MustCompile(`^(sqs:SendMessage|s3:PutObject)$`)
	forStages(t, func(in stage) {
		t, s := in.t, in.stack
		own := s.resources["WebhookSecret"].properties["KmsKeyId"] != nil
		for _, role := range s.ofType("AWS::IAM::Role") {
			want := map[string]map[string]bool{} // services of an action
			if own {
				for _, g := range s.grants(t, role) {
					for action, through := range map[string]*regexp.Regexp{"kms:Decrypt": decrypts, "kms:GenerateDataKey": generates} {
						if !through.MatchString(g.action) {
							continue
						}
						if want[action] == nil {
							want[action] = map[string]bool{}
						}
						service, _, _ := strings.Cut(g.action, ":")
						want[action][service+".${AWS::Region}.${AWS::URLSuffix}"] = true
					}
				}
			}
			got := map[string]map[string]bool{}
			machines := 0
			for _, st := range s.ofRole(t, role) {
				if !strings.HasPrefix(st.actions[0], "kms:") {
					continue
				}
				if !cmp.Equal(st.resources, []string{ownKey}) {
					t.Errorf("%s: a key %v", role, st.resources)
				}
				if arn, ok := look(st.fields, "Condition", "ArnLike", "kms:EncryptionContext:aws:states:stateMachineArn"); ok {
					machines++
					if role != "TripSagaRole" || arn != "arn:${AWS::Partition}:states:${AWS::Region}:${AWS::AccountId}:stateMachine:*" ||
						!cmp.Equal(st.actions, []string{"kms:Decrypt", "kms:GenerateDataKey"}) {
						t.Errorf("%s: %v", role, st.fields)
					}
					continue
				}
				if len(st.actions) != 1 || len(st.fields["Condition"].(map[string]any)) != 1 {
					t.Errorf("%s: %v", role, st.fields)
				}
				services := map[string]bool{}
				for _, service := range texts(t, at(t, st.fields, "Condition", "StringEquals", "kms:ViaService")) {
					services[service] = true
				}
				got[st.actions[0]] = services
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s may use the key through (-want +got):\n%s", role, diff)
			}
			if (machines == 1) != (own && role == "TripSagaRole") {
				t.Errorf("%s has %d statements about machines", role, machines)
			}
		}
	})
}
