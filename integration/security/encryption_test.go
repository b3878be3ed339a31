//go:build integration

package security

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// keepsNothing are the types of resources that hold no data of callers.
var keepsNothing = []string{
	"AWS::ApiGateway::Deployment", "AWS::ApiGateway::RestApi", "AWS::ApiGateway::Stage", "AWS::ApiGateway::UsagePlan", "AWS::CloudWatch::Alarm", "AWS::Events::Rule",
	"AWS::IAM::Policy", "AWS::IAM::Role", "AWS::Lambda::EventInvokeConfig", "AWS::Lambda::EventSourceMapping", "AWS::Lambda::Permission", "AWS::Logs::MetricFilter",
	"AWS::S3::BucketPolicy", "AWS::SQS::QueuePolicy",
}

// Whatever keeps data is encrypted: with the service's key, or with the
// operator's, and then all of it. A type of which this test knows nothing fails,
// so that no new place for data is left out.
func TestEncryption(t *testing.T) {
	t.Parallel()
	// The properties about encryption of each type, without a key and with one.
	want := map[string][2]map[string]any{
		"AWS::DynamoDB::Table": {
			{"SSESpecification": map[string]any{"SSEEnabled": true, "SSEType": "KMS"}},
			{"SSESpecification": map[string]any{"SSEEnabled": true, "SSEType": "KMS", "KMSMasterKeyId": ownKey}},
		},
		"AWS::SQS::Queue": {
			{"SqsManagedSseEnabled": true},
			{"KmsMasterKeyId": ownKey, "KmsDataKeyReusePeriodSeconds": 300.0},
		},
		"AWS::S3::Bucket": {
			{"BucketEncryption": map[string]any{"ServerSideEncryptionConfiguration": []any{
				map[string]any{"ServerSideEncryptionByDefault": map[string]any{"SSEAlgorithm": "AES256"}},
			}}},
			{"BucketEncryption": map[string]any{"ServerSideEncryptionConfiguration": []any{
				map[string]any{"ServerSideEncryptionByDefault": map[string]any{"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": ownKey}, "BucketKeyEnabled": true},
			}}},
		},
		// These three are encrypted without being asked:
		// https://docs.aws.amazon.com/secretsmanager/latest/userguide/security-encryption.html
		// https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
		// https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars-encryption.html
		"AWS::SecretsManager::Secret": {{}, {"KmsKeyId": ownKey}},
		"AWS::Logs::LogGroup":         {{}, {"KmsKeyId": ownKey}},
		"AWS::Lambda::Function":       {{}, {"KmsKeyArn": ownKey}},
		"AWS::StepFunctions::StateMachine": {
			{"EncryptionConfiguration": map[string]any{"Type": "AWS_OWNED_KEY"}},
			{"EncryptionConfiguration": map[string]any{"Type": "CUSTOMER_MANAGED_KMS_KEY", "KmsKeyId": ownKey, "KmsDataKeyReusePeriodSeconds": 300.0}},
		},
	}
	about := []string{
		"SSESpecification", "SqsManagedSseEnabled", "KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds", "BucketEncryption", "KmsKeyId", "KmsKeyArn", "EncryptionConfiguration",
	}
	forStages(t, func(in stage) {
		t, s := in.t, in.stack
		withKey := 0
		if cmp.Equal(s.resources["WebhookSecret"].properties["KmsKeyId"], any(ownKey)) {
			withKey = 1
		}
		for id, r := range s.resources {
			if slices.Contains(keepsNothing, r.kind) {
				continue
			}
			want, ok := want[r.kind]
			if !ok {
				t.Errorf("%s is a %s, of which this test knows nothing", id, r.kind)
				continue
			}
			got := map[string]any{}
			for _, name := range about {
				if value, ok := r.properties[name]; ok {
					got[name] = value
				}
			}
			if diff := cmp.Diff(want[withKey], got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", id, diff)
			}
		}
	})
	for stage, parameters := range stages {
		key, has := parameters["EncryptionKeyArn"]
		got := packaged(t, stage).resources["WebhookSecret"].properties["KmsKeyId"]
		if has && got != key || !has && got != nil {
			t.Errorf("%s: the key is %v", stage, got)
		}
	}
}

// What lies in the bucket is nobody's but the account's.
func TestBucketIsPrivate(t *testing.T) {
	t.Parallel()
	forStages(t, func(in stage) {
		t, s := in.t, in.stack
		for _, id := range s.ofType("AWS::S3::Bucket") {
			p := s.resources[id].properties
			block := map[string]any{"BlockPublicAcls": true, "BlockPublicPolicy": true, "IgnorePublicAcls": true, "RestrictPublicBuckets": true}
			if diff := cmp.Diff(any(block), p["PublicAccessBlockConfiguration"]); diff != "" {
				t.Errorf("%s (-want +got):\n%s", id, diff)
			}
			if owner := fmtJSON(t, p["OwnershipControls"]); owner != `{"Rules":[{"ObjectOwnership":"BucketOwnerEnforced"}]}` || p["AccessControl"] != nil {
				t.Errorf("%s: owner %s, access %v", id, owner, p["AccessControl"])
			}
		}
	})
}
