package infra_test

import (
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// later are the parameters and outputs that the contract names and this version does not have yet, with what brings
// them. They belong into the tables below as soon as they are there.
var later = map[string]string{
	"GovernorFunctionName": "there is no governor yet",
}

// Scripts and dashboards rely on the parameters: more may come, each with a safe default; none may go or change.
func TestParameters(t *testing.T) {
	yesNo := []string{"true", "false"}
	days := []string{"1", "3", "5", "7", "14", "30", "60", "90", "120", "150", "180", "365", "400", "545", "731", "1096", "1827", "2192", "2557", "2922", "3288", "3653"}
	want := map[string]parameter{
		"EndpointUrl":                {},
		"Architecture":               {Default: "arm64", AllowedValues: []string{"arm64", "x86_64"}},
		"Size":                       {Default: "standard", AllowedValues: []string{"standard", "local", "test"}},
		"MaxAttempts":                {Default: "5", MaxValue: "100"},
		"RetryBaseDelay":             {Default: "2s"},
		"RetryMaxDelay":              {Default: "15m"},
		"MaxInputBytes":              {Default: "262144", MaxValue: "262144"},
		"BacklogAfter":               {Default: "5m"},
		"TaskRetention":              {Default: "168h"},
		"WebhookTimeout":             {Default: "10s"},
		"AllowPrivateWebhookTargets": {Default: "false", AllowedValues: yesNo},
		"LogRetentionDays":           {Default: "30", AllowedValues: days},
		"SubmitRateLimit":            {Default: "1000", MaxValue: "1000000"},
		"SubmitBurstLimit":           {Default: "1000", MaxValue: "1000000"},
		"StatusRateLimit":            {Default: "2000", MaxValue: "1000000"},
		"StatusBurstLimit":           {Default: "2000", MaxValue: "1000000"},
		"StatusConcurrency":          {},
		"ApiKeys":                    {AllowedValues: []string{"", "required"}},
		"CallerRateLimit":            {Default: "100", MaxValue: "1000000"},
		"CallerBurstLimit":           {Default: "200", MaxValue: "1000000"},
		"EncryptionKeyArn":           {},
		"AlarmTopicArn":              {},
		"ChaosEnabled":               {Default: "false", AllowedValues: yesNo},
	}
	tmpl, _ := load(t)
	if diff := cmp.Diff(want, tmpl.Parameters); diff != "" {
		t.Errorf("parameters (-want +got):\n%s", diff)
	}
	for name := range tmpl.Parameters {
		if why, ok := later[name]; ok {
			t.Errorf("%s is there although %s", name, why)
		}
	}
}

func TestOutputs(t *testing.T) {
	want := map[string]any{
		"Version": newestVersion(t),
		"ApiUrl": []any{
			"OnAws",
			"https://${Api}.execute-api.${AWS::Region}.${AWS::URLSuffix}/${Api.Stage}",
			"${EndpointUrl}/restapis/${Api}/${Api.Stage}/_user_request_",
		},
		"UsagePlanId":            "UsagePlan",
		"TasksTableName":         "TasksTable",
		"ControlTableName":       "ControlTable",
		"ArchiveBucketName":      "ArchiveBucket",
		"TasksQueueUrl":          "TasksQueue",
		"BacklogQueueUrl":        "BacklogQueue",
		"DeadLetterQueueUrl":     "DeadLetterQueue",
		"StreamFailuresQueueUrl": "StreamFailuresQueue",
		"WebhookSecretArn":       "WebhookSecret.Id",
		"SubmitFunctionName":     "SubmitFunction",
		"StatusFunctionName":     "StatusFunction",
		"CancelFunctionName":     "CancelFunction",
		"WorkerFunctionName":     "WorkerFunction",
		"NotifyFunctionName":     "NotifyFunction",
		"RescueFunctionName":     "RescueFunction",
		"AdminFunctionName":      "AdminFunction",
		"RecoverFunctionName":    "RecoverFunction",
		"ReservationsTableName":  "ReservationsTable",
		"SagaFailuresQueueUrl":   "SagaFailuresQueue",
		"TripSagaArn":            "TripSaga",
	}
	tmpl, _ := load(t)
	got := map[string]any{}
	for name, output := range tmpl.Outputs {
		got[name] = output.Value
		if why, ok := later[name]; ok {
			t.Errorf("%s is there although %s", name, why)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("outputs (-want +got):\n%s", diff)
	}
	if got := tmpl.Conditions["OnAws"]; !cmp.Equal(got, any([]any{"EndpointUrl", ""})) {
		t.Errorf("OnAws if %v are equal, want EndpointUrl and nothing", got)
	}
}

// newestVersion is the first version heading of the changelog, which a release adds together with the output.
func newestVersion(t *testing.T) string {
	t.Helper()
	heading := regexp.MustCompile(`(?m)^## \[(\d+\.\d+\.\d+[^\]]*)\]`).FindStringSubmatch(read(t, "CHANGELOG.md"))
	if heading == nil {
		t.Fatal("CHANGELOG.md has no version")
	}
	return heading[1]
}
