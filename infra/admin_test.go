package infra_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The operator's function can do what nobody else can, so nothing but its name and IAM leads to it: no route, no URL, no
// queue, no permission for a service or another account.
func TestAdminIsNotPublic(t *testing.T) {
	tmpl, _ := load(t)
	admin := tmpl.Resources["AdminFunction"]
	for _, name := range []string{"Events", "FunctionUrlConfig", "AutoPublishAlias", "ReservedConcurrentExecutions"} {
		if got := admin.Properties[name]; got != nil {
			t.Errorf("AdminFunction has %s: %v", name, got)
		}
	}
	for name, r := range tmpl.Resources {
		switch r.Type {
		case "AWS::Lambda::Permission", "AWS::Lambda::Url", "AWS::Lambda::LayerVersionPermission", "AWS::Lambda::EventSourceMapping":
			t.Errorf("%s is a %s, of which this test knows nothing", name, r.Type)
		}
	}
	callers := map[string][]string{}
	for role := range tmpl.ofType("AWS::IAM::Role") {
		for _, s := range statements(t, tmpl, role) {
			if slices.ContainsFunc(s.actions, func(action string) bool { return strings.HasPrefix(action, "lambda:") }) {
				callers[role] = append(callers[role], s.resources...)
			}
		}
		slices.Sort(callers[role])
	}
	cancel := []string{"CancelCarFunction.Arn", "CancelFlightFunction.Arn", "CancelHotelFunction.Arn"}
	want := map[string][]string{
		"AdminRole":    append([]string{"AdminFunction.Arn"}, append(slices.Clone(cancel), "NotifyFunction.Arn")...),
		"TripSagaRole": append([]string{"BookCarFunction.Arn", "BookFlightFunction.Arn", "BookHotelFunction.Arn"}, cancel...),
	}
	if diff := cmp.Diff(want, callers); diff != "" {
		t.Errorf("who may call a function (-want +got):\n%s", diff)
	}
}

// A job that goes on in the next invocation is called once more only when its beginning failed, and not days later.
func TestAdminContinuations(t *testing.T) {
	tmpl, _ := load(t)
	want := map[string]any{"FunctionName": "AdminFunction", "Qualifier": "$LATEST", "MaximumRetryAttempts": 2, "MaximumEventAgeInSeconds": 3600}
	configs := tmpl.ofType("AWS::Lambda::EventInvokeConfig")
	if diff := cmp.Diff(want, configs["AdminAsync"].Properties); diff != "" || len(configs) != 2 { // the other is recover's
		t.Errorf("asynchronous calls, of %d functions (-want +got):\n%s", len(configs), diff)
	}
	if got := at(t, tmpl.Resources["AdminFunction"].Properties, "Timeout"); !cmp.Equal(got, any([]any{"Size", "Size", "AdminTimeout"})) {
		t.Errorf("AdminFunction has the time-out %v", got)
	}
	for name, size := range tmpl.Mappings["Size"] {
		// It leaves off 2 s before its time is over, and calls consumers of streams that have a time-out of their own.
		if admin, stream := size["AdminTimeout"], size["StreamTimeout"]; admin < 2*stream || admin > 900 {
			t.Errorf("%s: %d s for the operator's function, %d for a consumer that it calls", name, admin, stream)
		}
		if size["AdminMemory"] < 128 {
			t.Errorf("%s: %d MB", name, size["AdminMemory"])
		}
	}
}

// What the operator's function may do: all that its commands do, on what they are about. It creates no task and deletes
// none, and takes nothing off the queues that are worked on.
func TestAdminRole(t *testing.T) {
	tmpl, _ := load(t)
	on := func(resources []string, actions ...string) (all []string) {
		for _, r := range resources {
			for _, a := range actions {
				all = append(all, a+" on "+r)
			}
		}
		return all
	}
	want := slices.Concat(
		on([]string{"TasksTable.Arn"}, "dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:UpdateItem", "dynamodb:PartiQLUpdate"),
		on([]string{"${TasksTable.Arn}/index/by_failure"}, "dynamodb:Query"),
		on([]string{"ControlTable.Arn"}, "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem",
			"dynamodb:DeleteItem", "dynamodb:BatchWriteItem", "dynamodb:Query"),
		on([]string{"${ArchiveBucket.Arn}/*"}, "s3:GetObject", "s3:PutObject", "s3:DeleteObject"),
		on([]string{"ArchiveBucket.Arn"}, "s3:ListBucket"),
		on([]string{"DeadLetterQueue.Arn", "StreamFailuresQueue.Arn", "SagaFailuresQueue.Arn"}, "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility",
			"sqs:GetQueueAttributes", "sqs:SendMessage"),
		on([]string{"DeadLetterQueue.Arn"}, "sqs:StartMessageMoveTask"),
		on([]string{"TasksQueue.Arn", "BacklogQueue.Arn"}, "sqs:SendMessage"),
		on([]string{"NotifyFunction.Arn", "AdminFunction.Arn", "CancelHotelFunction.Arn", "CancelFlightFunction.Arn", "CancelCarFunction.Arn"}, "lambda:InvokeFunction"),
		on([]string{"TripSaga"}, "states:ListExecutions", "states:DescribeStateMachine"),
		on([]string{tripExecutions}, "states:DescribeExecution", "states:GetExecutionHistory"),
		on([]string{"ReservationsTable.Arn"}, "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Scan"),
	)
	if diff := cmp.Diff(sorted(want), allowed(t, tmpl, "AdminRole")); diff != "" {
		t.Errorf("what AdminRole may do (-want +got):\n%s", diff)
	}
}

// tripExecutions are the executions of the trip's machine.
const tripExecutions = "arn:${AWS::Partition}:states:${AWS::Region}:${AWS::AccountId}:execution:${TripSaga.Name}:*"

// On AWS a role allows no more than single actions, on single resources but for three that know none.
func TestRolesAllowSingleActions(t *testing.T) {
	tmpl, _ := load(t)
	for role := range tmpl.ofType("AWS::IAM::Role") {
		for _, s := range statements(t, tmpl, role) {
			if s.effect != "Allow" {
				t.Errorf("%s: a statement is a %s", role, s.effect)
			}
			for _, action := range s.actions {
				if strings.Contains(action, "*") {
					t.Errorf("%s allows %s", role, action)
				}
				free := strings.HasPrefix(action, "xray:") || action == "dynamodb:ListStreams"
				if slices.Contains(s.resources, "*") != free {
					t.Errorf("%s allows %s on %v", role, action, s.resources)
				}
			}
		}
	}
}

// The audit trail and what was set aside are encrypted, can be restored, expire, and are guarded like the tasks.
func TestControlTable(t *testing.T) {
	tmpl, _ := load(t)
	want := map[string]any{
		"BillingMode":               "PAY_PER_REQUEST",
		"DeletionProtectionEnabled": []any{"Protected", true, false},
		"AttributeDefinitions": []any{
			map[string]any{"AttributeName": "pk", "AttributeType": "S"},
			map[string]any{"AttributeName": "sk", "AttributeType": "S"},
		},
		"KeySchema": []any{
			map[string]any{"AttributeName": "pk", "KeyType": "HASH"},
			map[string]any{"AttributeName": "sk", "KeyType": "RANGE"},
		},
		"TimeToLiveSpecification":          map[string]any{"AttributeName": "expires_at", "Enabled": true},
		"PointInTimeRecoverySpecification": map[string]any{"PointInTimeRecoveryEnabled": true},
		"SSESpecification":                 tableEncryption,
	}
	if diff := cmp.Diff(want, tmpl.Resources["ControlTable"].Properties); diff != "" {
		t.Errorf("the control table (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, tmpl.Resources["ReservationsTable"].Properties); diff != "" {
		t.Errorf("the reservations table (-want +got):\n%s", diff)
	}
	if n := len(tmpl.ofType("AWS::DynamoDB::Table")); n != 3 {
		t.Errorf("there are %d tables, and the tests know 3", n)
	}
}

// archived is how long package rescue keeps a record, the longest that anything in the archive is kept.
const archived = 30 * 24 * time.Hour

// Nobody from outside reads the archive, it is encrypted at rest and on the way, and what has expired goes, but not
// before the items that point to it. It survives the stack, since it may hold the only copy of what failed.
func TestArchiveBucket(t *testing.T) {
	tmpl, _ := load(t)
	bucket := tmpl.Resources["ArchiveBucket"]
	if n := len(tmpl.ofType("AWS::S3::Bucket")); n != 1 || bucket.DeletionPolicy != "Retain" {
		t.Errorf("%d buckets, and deleting the stack would %s the archive", n, bucket.DeletionPolicy)
	}
	want := map[string]any{
		"BucketEncryption": map[string]any{"ServerSideEncryptionConfiguration": []any{
			map[string]any{
				"ServerSideEncryptionByDefault": map[string]any{"SSEAlgorithm": []any{"OwnKey", "aws:kms", "AES256"}, "KMSMasterKeyID": ifOwnKey},
				"BucketKeyEnabled":              []any{"OwnKey", true, "AWS::NoValue"},
			},
		}},
		"PublicAccessBlockConfiguration": map[string]any{
			"BlockPublicAcls": true, "BlockPublicPolicy": true, "IgnorePublicAcls": true, "RestrictPublicBuckets": true,
		},
		"OwnershipControls": map[string]any{"Rules": []any{map[string]any{"ObjectOwnership": "BucketOwnerEnforced"}}},
		"LifecycleConfiguration": map[string]any{"Rules": []any{map[string]any{
			"Id": "expire", "Status": "Enabled", "ExpirationInDays": 31, "AbortIncompleteMultipartUpload": map[string]any{"DaysAfterInitiation": 1},
		}}},
	}
	if diff := cmp.Diff(want, bucket.Properties); diff != "" {
		t.Errorf("the archive bucket (-want +got):\n%s", diff)
	}
	rule := at(t, bucket.Properties, "LifecycleConfiguration", "Rules").([]any)[0]
	days := at(t, rule, "ExpirationInDays").(int)
	if expires := time.Duration(24*days) * time.Hour; expires <= archived {
		t.Errorf("objects expire after %s, and what points to them after %s", expires, archived)
	}
	policy := tmpl.Resources["ArchiveTlsOnly"]
	if policy.Type != "AWS::S3::BucketPolicy" || policy.Condition != "OnAws" || policy.Properties["Bucket"] != "ArchiveBucket" {
		t.Errorf("the archive's policy is %+v", policy)
	}
	deny := []any{map[string]any{
		"Sid": "TlsOnly", "Effect": "Deny", "Principal": "*", "Action": "s3:*",
		"Resource":  []any{"ArchiveBucket.Arn", "${ArchiveBucket.Arn}/*"},
		"Condition": map[string]any{"Bool": map[string]any{"aws:SecureTransport": "false"}},
	}}
	if diff := cmp.Diff(any(deny), at(t, policy.Properties, "PolicyDocument", "Statement")); diff != "" {
		t.Errorf("the archive's policy (-want +got):\n%s", diff)
	}
}
