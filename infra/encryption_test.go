package infra_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// ifOwnKey is the key where the operator has named one, and else nothing: the service takes its own.
var ifOwnKey = []any{"OwnKey", "EncryptionKeyArn", "AWS::NoValue"}

// tableEncryption is what each table has. Without a key's id, KMS means the account's aws/dynamodb:
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-dynamodb-table-ssespecification.html
var tableEncryption = map[string]any{"SSEEnabled": true, "SSEType": "KMS", "KMSMasterKeyId": ifOwnKey}

// One parameter puts everything that is kept under a key of the operator. What each resource has with it and without is
// in integration/security, of the packaged template.
func TestOwnKey(t *testing.T) {
	tmpl, _ := load(t)
	if got := tmpl.Conditions["OwnKey"]; !cmp.Equal(got, any([]any{[]any{"EncryptionKeyArn", ""}})) {
		t.Errorf("there is an own key if not %v", got)
	}
	if got := at(t, tmpl.Globals, "Function").(map[string]any)["KmsKeyArn"]; !cmp.Equal(got, any(ifOwnKey)) {
		t.Errorf("the functions' environment is encrypted with %v", got)
	}
	for name, queue := range tmpl.ofType("AWS::SQS::Queue") {
		want := []any{ifOwnKey, []any{"OwnKey", 300, "AWS::NoValue"}, []any{"OwnKey", "AWS::NoValue", true}}
		got := []any{queue.Properties["KmsMasterKeyId"], queue.Properties["KmsDataKeyReusePeriodSeconds"], queue.Properties["SqsManagedSseEnabled"]}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	for name, secret := range tmpl.ofType("AWS::SecretsManager::Secret") {
		if got := secret.Properties["KmsKeyId"]; !cmp.Equal(got, any(ifOwnKey)) {
			t.Errorf("%s is encrypted with %v", name, got)
		}
	}
	want := []any{
		"OwnKey",
		map[string]any{"Type": "CUSTOMER_MANAGED_KMS_KEY", "KmsKeyId": "EncryptionKeyArn", "KmsDataKeyReusePeriodSeconds": 300},
		map[string]any{"Type": "AWS_OWNED_KEY"}, // said, so that an update can go back to it
	}
	if diff := cmp.Diff(any(want), tmpl.Resources["TripSaga"].Properties["EncryptionConfiguration"]); diff != "" {
		t.Errorf("TripSaga (-want +got):\n%s", diff)
	}
}

// What roles may do with an own key: read through the services whose data they read, and write through those that ask
// the writer for a data key (SQS and S3, but not DynamoDB), and only so (kms:ViaService). The sources are in
// docs/security.md.
func TestOwnKeyOfRoles(t *testing.T) {
	tmpl, _ := load(t)
	want := map[string]string{
		"SubmitRole":     "kms:Decrypt: dynamodb sqs; kms:GenerateDataKey: sqs",
		"StatusRole":     "kms:Decrypt: dynamodb",
		"CancelRole":     "kms:Decrypt: dynamodb",
		"WorkerRole":     "kms:Decrypt: dynamodb sqs secretsmanager states; kms:GenerateDataKey: sqs",
		"NotifyRole":     "kms:Decrypt: dynamodb sqs; kms:GenerateDataKey: sqs s3",
		"RescueRole":     "kms:Decrypt: dynamodb sqs; kms:GenerateDataKey: s3",
		"AdminRole":      "kms:Decrypt: dynamodb sqs s3 states; kms:GenerateDataKey: sqs s3",
		"RecoverRole":    "kms:Decrypt: dynamodb sqs states; kms:GenerateDataKey: sqs",
		"TripBookRole":   "kms:Decrypt: dynamodb",
		"TripCancelRole": "kms:Decrypt: dynamodb",
		"TripSagaRole":   "kms:Decrypt: dynamodb sqs; kms:GenerateDataKey: sqs; kms:Decrypt kms:GenerateDataKey: machines",
	}
	for role := range tmpl.ofType("AWS::IAM::Role") {
		var got []string
		for _, policy := range at(t, tmpl.Resources[role].Properties, "Policies").([]any) {
			for _, s := range at(t, policy, "PolicyDocument", "Statement").([]any) {
				choice, ok := s.([]any)
				if !ok || choice[0] != "OwnKey" {
					continue
				}
				if choice[2] != "AWS::NoValue" || !slices.Equal(texts(t, at(t, choice[1], "Resource")), []string{"EncryptionKeyArn"}) {
					t.Errorf("%s: %v", role, choice)
				}
				got = append(got, strings.Join(texts(t, at(t, choice[1], "Action")), " ")+": "+throughWhat(t, at(t, choice[1], "Condition")))
			}
		}
		if got := strings.Join(got, "; "); got != want[role] {
			t.Errorf("%s: got %s, want %s", role, got, want[role])
		}
		delete(want, role)
	}
	if len(want) > 0 {
		t.Errorf("no roles %v", want)
	}
}

// throughWhat is what a statement about the key is bound to.
func throughWhat(t *testing.T, condition any) string {
	t.Helper()
	machines := map[string]any{"ArnLike": map[string]any{
		"kms:EncryptionContext:aws:states:stateMachineArn": "arn:${AWS::Partition}:states:${AWS::Region}:${AWS::AccountId}:stateMachine:*",
	}}
	if cmp.Equal(condition, any(machines)) {
		return "machines"
	}
	services := texts(t, at(t, condition, "StringEquals", "kms:ViaService"))
	for i, service := range services {
		name, ok := strings.CutSuffix(service, ".${AWS::Region}.${AWS::URLSuffix}")
		if !ok {
			t.Errorf("no service of this region: %s", service)
		}
		services[i] = name
	}
	return strings.Join(services, " ")
}
