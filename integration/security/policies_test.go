//go:build integration

package security

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// statement is one of a policy's.
type statement struct {
	where     string // the resource and the policy that it is in
	fields    map[string]any
	effect    string
	actions   []string
	resources []string
}

// parse reads the statements of a policy document.
func parse(t *testing.T, where string, document any) []statement {
	t.Helper()
	if version := at(t, document, "Version"); version != "2012-10-17" {
		t.Errorf("%s: version %v", where, version)
	}
	list, ok := at(t, document, "Statement").([]any)
	if !ok || len(list) == 0 {
		t.Fatalf("%s: no list of statements", where)
	}
	var all []statement
	for _, s := range list {
		fields := s.(map[string]any)
		all = append(all, statement{
			where: where, fields: fields, effect: at(t, s, "Effect").(string),
			actions: texts(t, fields["Action"]), resources: texts(t, fields["Resource"]),
		})
	}
	return all
}

// ofRole returns what a role may do, wherever it says so.
func (s *stack) ofRole(t *testing.T, role string) []statement {
	t.Helper()
	var all []statement
	policies, _ := s.resources[role].properties["Policies"].([]any)
	for _, p := range policies {
		all = append(all, parse(t, role, at(t, p, "PolicyDocument"))...)
	}
	for _, id := range s.ofType("AWS::IAM::Policy") {
		if slices.Contains(texts(t, s.resources[id].properties["Roles"]), role) {
			all = append(all, parse(t, id, at(t, s.resources[id].properties, "PolicyDocument"))...)
		}
	}
	return all
}

// ofResources returns the policies of queues and buckets.
func (s *stack) ofResources(t *testing.T) []statement {
	t.Helper()
	var all []statement
	for _, kind := range []string{"AWS::SQS::QueuePolicy", "AWS::S3::BucketPolicy"} {
		for _, id := range s.ofType(kind) {
			all = append(all, parse(t, id, at(t, s.resources[id].properties, "PolicyDocument"))...)
		}
	}
	return all
}

// Nothing that gives access is there but what the tests of this package look at.
func TestNoOtherPolicies(t *testing.T) {
	t.Parallel()
	forStages(t, func(in stage) {
		t, s := in.t, in.stack
		for id, r := range s.resources {
			switch r.kind {
			case "AWS::IAM::ManagedPolicy", "AWS::IAM::RolePolicy", "AWS::IAM::User", "AWS::IAM::UserPolicy", "AWS::IAM::Group", "AWS::IAM::GroupPolicy",
				"AWS::IAM::UserToGroupAddition", "AWS::IAM::AccessKey", "AWS::IAM::InstanceProfile", "AWS::Lambda::Url", "AWS::Lambda::LayerVersionPermission", "AWS::Lambda::LayerVersion",
				"AWS::SecretsManager::ResourcePolicy", "AWS::SQS::QueueInlinePolicy", "AWS::S3::AccessPoint", "AWS::Logs::ResourcePolicy", "AWS::KMS::Key",
				"AWS::Events::EventBusPolicy", "AWS::CloudFormation::Stack", "AWS::CloudFormation::CustomResource", "AWS::ApiGatewayV2::Api", "AWS::SNS::TopicPolicy":
				t.Errorf("%s is a %s, of which these tests know nothing", id, r.kind)
			}
			for _, property := range []string{"ManagedPolicyArns", "ResourcePolicy", "PublicAccess"} {
				if r.properties[property] != nil {
					t.Errorf("%s has %s: %v", id, property, r.properties[property])
				}
			}
			if r.kind == "AWS::ApiGateway::RestApi" && (r.properties["Policy"] != nil || strings.Contains(fmtJSON(t, r.properties["Body"]), "x-amazon-apigateway-policy")) {
				t.Errorf("%s has a policy of its own", id)
			}
			for _, policy := range asList(r.properties["Policies"]) {
				if r.kind != "AWS::IAM::Role" {
					t.Errorf("%s, a %s, has a policy %v", id, r.kind, policy)
				}
			}
		}
	})
}

// unlimited are the actions that AWS cannot limit to a resource, by the service
// authorization reference.
var unlimited = map[string]string{
	"xray:PutTraceSegments":    "https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsx-ray.html",
	"xray:PutTelemetryRecords": "https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsx-ray.html",
	"xray:GetSamplingRules":    "https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsx-ray.html",
	"xray:GetSamplingTargets":  "https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsx-ray.html",
	"dynamodb:ListStreams":     "https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazondynamodb.html",
}

// open are the only patterns among the resources of roles: things that have no
// name before they are made.
var open = map[string]string{
	"${ArchiveBucket.Arn}/*": "objects of the one bucket",
	"arn:${AWS::Partition}:states:${AWS::Region}:${AWS::AccountId}:execution:${TripSaga.Name}:*": "executions of the one machine",
}

// Roles allow single actions that AWS knows, on single resources; "*" stands
// where AWS has no resources, and nowhere else.
func TestRolesAllowSingleActions(t *testing.T) {
	t.Parallel()
	forStages(t, func(in stage) {
		t, s := in.t, in.stack
		free := map[string]bool{}
		patterns := map[string]bool{}
		for _, role := range s.ofType("AWS::IAM::Role") {
			statements := s.ofRole(t, role)
			if len(statements) == 0 {
				t.Errorf("%s may do nothing", role)
			}
			for _, st := range statements {
				wantFields(t, st, "Sid", "Effect", "Action", "Resource", "Condition")
				if st.effect != "Allow" || len(st.actions) == 0 || len(st.resources) == 0 {
					t.Errorf("%s: %v", st.where, st.fields)
				}
				for _, action := range st.actions {
					limits, known := s.actions[action]
					if strings.ContainsAny(action, "*?") || !known || limits == nil {
						t.Errorf("%s allows %s, which AWS does not know", st.where, action)
						continue
					}
					if slices.Contains(st.resources, "*") != (len(limits) == 0) {
						t.Errorf("%s allows %s on %v; AWS can limit it to %v", st.where, action, st.resources, limits)
					}
					if len(limits) == 0 {
						free[action] = true
						if unlimited[action] == "" {
							t.Errorf("%s allows %s on everything, without a source for why", st.where, action)
						}
					}
				}
				for _, r := range st.resources {
					if r == "*" {
						continue
					}
					if strings.ContainsAny(r, "*?") {
						patterns[r] = true
						if open[r] == "" {
							t.Errorf("%s is about %s", st.where, r)
						}
					}
					if len(s.names(r)) != 1 && r != ownKey {
						t.Errorf("%s is about %s, which is none of this stack's", st.where, r)
					}
				}
			}
		}
		if len(free) != len(unlimited) || len(patterns) != len(open) {
			t.Errorf("used are %v of %v, and %v of %v", free, unlimited, patterns, open)
		}
	})
}

// wantFields fails for fields that this test does not look at: NotAction,
// NotResource and NotPrincipal allow whatever is not named.
func wantFields(t *testing.T, s statement, known ...string) {
	t.Helper()
	for name := range s.fields {
		if !slices.Contains(known, name) {
			t.Errorf("%s: a statement has %s: %v", s.where, name, s.fields[name])
		}
	}
}

// A role trusts one service. The machine's names the account too, as the Step
// Functions guide asks, so that nobody makes the service use it from elsewhere:
// https://docs.aws.amazon.com/step-functions/latest/dg/procedure-create-iam-role.html
//
// The Lambda guide names no such keys for execution roles; that a role can only
// be passed within its account is what keeps others out:
// https://docs.aws.amazon.com/lambda/latest/dg/lambda-intro-execution-role.html
func TestTrust(t *testing.T) {
	t.Parallel()
	machines := map[string]any{
		"StringEquals": map[string]any{"aws:SourceAccount": "${AWS::AccountId}"},
		"ArnLike":      map[string]any{"aws:SourceArn": "arn:${AWS::Partition}:states:${AWS::Region}:${AWS::AccountId}:stateMachine:*"},
	}
	forStages(t, func(in stage) {
		t, s := in.t, in.stack
		users := map[string][]string{} // the services that use a role
		for id, r := range s.resources {
			var service, property string
			switch r.kind {
			case "AWS::Lambda::Function":
				service, property = "lambda.amazonaws.com", "Role"
			case "AWS::StepFunctions::StateMachine":
				service, property = "states.amazonaws.com", "RoleArn"
			default:
				if r.properties["Role"] != nil || r.properties["RoleArn"] != nil {
					t.Errorf("%s, a %s, has a role", id, r.kind)
				}
				continue
			}
			for _, role := range s.namesIn(at(t, r.properties, property)) {
				users[role] = append(users[role], service)
			}
		}
		for _, role := range s.ofType("AWS::IAM::Role") {
			trust := parse(t, role, at(t, s.resources[role].properties, "AssumeRolePolicyDocument"))
			services := slices.Compact(slices.Sorted(slices.Values(users[role])))
			if len(trust) != 1 || len(services) != 1 {
				t.Errorf("%s has %d statements about trust, and is used by %v", role, len(trust), services)
				continue
			}
			want := map[string]any{"Effect": "Allow", "Principal": map[string]any{"Service": services[0]}, "Action": "sts:AssumeRole"}
			if services[0] == "states.amazonaws.com" {
				want["Condition"] = machines
			}
			if diff := cmp.Diff(want, trust[0].fields); diff != "" {
				t.Errorf("%s (-want +got):\n%s", role, diff)
			}
		}
	})
}

// Queues and the bucket let nobody in by their own policies but EventBridge, to
// one queue, for one rule. Everybody else is a principal of the account with a
// policy of its own. None speaks to them without TLS.
func TestResourcePolicies(t *testing.T) {
	t.Parallel()
	forStages(t, func(in stage) {
		t, s := in.t, in.stack
		var allowed []map[string]any
		for _, st := range s.ofResources(t) {
			wantFields(t, st, "Sid", "Effect", "Principal", "Action", "Resource", "Condition")
			if st.effect == "Allow" {
				allowed = append(allowed, st.fields)
			}
		}
		want := []map[string]any{{
			"Sid": "UndeliveredEvents", "Effect": "Allow", "Principal": map[string]any{"Service": "events.amazonaws.com"},
			"Action": "sqs:SendMessage", "Resource": "SagaFailuresQueue.Arn",
			"Condition": map[string]any{"ArnEquals": map[string]any{"aws:SourceArn": "RecoverFunctionEnded.Arn"}},
		}}
		if diff := cmp.Diff(want, allowed); diff != "" {
			t.Errorf("who is let in (-want +got):\n%s", diff)
		}

		tlsOnly := map[string]string{} // what is bound to TLS, and where
		for kind, property := range map[string]string{"AWS::SQS::QueuePolicy": "Queues", "AWS::S3::BucketPolicy": "Bucket"} {
			for _, id := range s.ofType(kind) {
				for _, name := range texts(t, s.resources[id].properties[property]) {
					if other := tlsOnly[name]; other != "" {
						t.Errorf("%s has two policies, %s and %s; the later one replaces the other", name, other, id)
					}
					if deniesPlain(t, s, id, name) {
						tlsOnly[name] = id
					}
				}
			}
		}
		for _, id := range slices.Concat(s.ofType("AWS::SQS::Queue"), s.ofType("AWS::S3::Bucket")) {
			if tlsOnly[id] == "" {
				t.Errorf("%s may be used without TLS", id)
			}
		}
	})
}

// deniesPlain reports whether a policy denies all that is done without TLS.
func deniesPlain(t *testing.T, s *stack, policy, name string) bool {
	t.Helper()
	everything := map[string]any{"Action": "sqs:*", "Resource": "*"}
	if s.resources[name].kind == "AWS::S3::Bucket" {
		everything = map[string]any{"Action": "s3:*", "Resource": []any{name + ".Arn", "${" + name + ".Arn}/*"}}
	}
	for _, st := range parse(t, policy, at(t, s.resources[policy].properties, "PolicyDocument")) {
		want := map[string]any{
			"Sid": "TlsOnly", "Effect": "Deny", "Principal": "*", "Action": everything["Action"], "Resource": everything["Resource"],
			"Condition": map[string]any{"Bool": map[string]any{"aws:SecureTransport": "false"}},
		}
		if cmp.Equal(want, st.fields) {
			return true
		}
	}
	return false
}

// A queue that takes the dead letters of others says of which, by their names: it
// cannot refer to queues that refer to it.
func TestRedrive(t *testing.T) {
	t.Parallel()
	forStages(t, func(in stage) {
		t, s := in.t, in.stack
		sources := map[string][]string{} // the queues that redrive to one
		for _, id := range s.ofType("AWS::SQS::Queue") {
			if target, ok := look(s.resources[id].properties, "RedrivePolicy", "deadLetterTargetArn"); ok {
				name := at(t, s.resources[id].properties, "QueueName").(string)
				arn := "arn:${AWS::Partition}:sqs:${AWS::Region}:${AWS::AccountId}:" + name
				for _, queue := range s.namesIn(target) {
					sources[queue] = append(sources[queue], arn)
				}
			}
		}
		if len(sources) == 0 {
			t.Error("no queue has a dead-letter queue")
		}
		for _, id := range s.ofType("AWS::SQS::Queue") {
			policy, ok := look(s.resources[id].properties, "RedriveAllowPolicy")
			if !ok && len(sources[id]) == 0 {
				continue
			}
			got := slices.Sorted(slices.Values(texts(t, at(t, policy, "sourceQueueArns"))))
			want := slices.Sorted(slices.Values(sources[id]))
			if diff := cmp.Diff(want, got); diff != "" || at(t, policy, "redrivePermission") != "byQueue" {
				t.Errorf("%s takes dead letters of (-want +got):\n%s", id, diff)
			}
		}
	})
}
