package infra_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/pkg/task"
)

// streamKeeps is how long a stream of DynamoDB keeps a record
// (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html).
const streamKeeps = 24 * time.Hour

// streamSource is the one mapping of the tasks table's stream.
func streamSource(t *testing.T, tmpl template) map[string]any {
	t.Helper()
	var found []map[string]any
	for _, function := range tmpl.functions() {
		for _, source := range function.events() {
			if at(t, source, "Type") == "DynamoDB" {
				found = append(found, at(t, source, "Properties").(map[string]any))
			}
		}
	}
	if len(found) != 1 {
		t.Fatalf("got %d mappings of streams, want 1", len(found))
	}
	return found[0]
}

// Without any of these one poison record holds up its shard until the stream drops it with all that lies behind: retries
// and age are without bounds by default (-1), and what Lambda gives up is gone unless there is a destination.
func TestStreamMapping(t *testing.T) {
	tmpl, _ := load(t)
	want := map[string]any{
		"Stream":                     "TasksTable.StreamArn",
		"StartingPosition":           "TRIM_HORIZON",
		"BatchSize":                  100,
		"BisectBatchOnFunctionError": true,
		"MaximumRetryAttempts":       5,
		"MaximumRecordAgeInSeconds":  []any{"Size", "Size", "StreamRecordAge"},
		"FunctionResponseTypes":      []any{"ReportBatchItemFailures"},
		"DestinationConfig":          map[string]any{"OnFailure": map[string]any{"Type": "SQS", "Destination": "StreamFailuresQueue.Arn"}},
	}
	got := streamSource(t, tmpl)
	delete(got, "FilterCriteria") // see TestStreamFilter
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the mapping of the stream (-want +got):\n%s", diff)
	}
	if tmpl.Resources["NotifyFunction"].Properties["ReservedConcurrentExecutions"] != nil {
		t.Error("NotifyFunction reserves concurrency")
	}
	// It is the function's role by which Lambda writes to the destination.
	allowed := false
	for _, s := range statements(t, tmpl, "NotifyRole") {
		allowed = allowed || slices.Contains(s.actions, "sqs:SendMessage") && slices.Contains(s.resources, "StreamFailuresQueue.Arn")
	}
	if !allowed {
		t.Error("NotifyRole may not send to the destination of its own mapping")
	}
}

// The filter lets every end of a task through and nothing else, so that the states of a task's life cost no invocation.
func TestStreamFilter(t *testing.T) {
	tmpl, _ := load(t)
	filters := at(t, streamSource(t, tmpl), "FilterCriteria", "Filters").([]any)
	if len(filters) != 1 {
		t.Fatalf("got %d filters, want 1", len(filters))
	}
	var pattern struct {
		Record struct {
			New struct {
				Callback map[string][]map[string]bool `json:"callback_url"`
				Status   map[string][]task.Status     `json:"status"`
			} `json:"NewImage"`
		} `json:"dynamodb"`
	}
	if err := task.Decode([]byte(at(t, filters[0], "Pattern").(string)), &pattern); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string][]map[string]bool{"S": {{"exists": true}}}, pattern.Record.New.Callback); diff != "" {
		t.Errorf("callback_url (-want +got):\n%s", diff)
	}
	var ends []task.Status
	for _, s := range []task.Status{task.Queued, task.Running, task.Succeeded, task.Failed, task.Canceled, task.Expired, task.DeadLettered} {
		if s.Finished() {
			ends = append(ends, s)
		}
	}
	got := pattern.Record.New.Status["S"]
	slices.Sort(got)
	slices.Sort(ends)
	if diff := cmp.Diff(ends, got); diff != "" || len(pattern.Record.New.Status) != 1 {
		t.Errorf("status (-want +got):\n%s", diff)
	}
}

// A range that failed has to be read from the stream again, so Lambda gives up long before the stream drops it. It takes
// an age of 60 seconds at least.
func TestStreamRecordsOutliveLambda(t *testing.T) {
	tmpl, _ := load(t)
	for name, size := range tmpl.Mappings["Size"] {
		age := time.Duration(size["StreamRecordAge"]) * time.Second
		if age < time.Minute {
			t.Errorf("%s: Lambda takes no age of %s", name, age)
		}
		if left := streamKeeps - age; left < 12*time.Hour {
			t.Errorf("%s: %s are left to read a failed range again", name, left)
		}
		if timeout := time.Duration(size["StreamTimeout"]) * time.Second; age < 6*timeout {
			t.Errorf("%s: an age of %s leaves no time for retries of %s", name, age, timeout)
		}
	}
	// Both functions have the time-out that the numbers are about.
	for _, name := range []string{"NotifyFunction", "RescueFunction"} {
		if got := at(t, tmpl.Resources[name].Properties, "Timeout"); !cmp.Equal(got, any([]any{"Size", "Size", "StreamTimeout"})) {
			t.Errorf("%s has the time-out %v", name, got)
		}
	}
	if got := at(t, tmpl.Resources["StreamFailuresQueue"].Properties, "VisibilityTimeout"); !cmp.Equal(got, any([]any{"Size", "Size", "StreamFailuresVisibility"})) {
		t.Errorf("StreamFailuresQueue has the visibility timeout %v", got)
	}
}

// What notify and rescue may do: each only what its net needs. Nobody but the operator's function reads the archive.
func TestStreamRoles(t *testing.T) {
	tmpl, _ := load(t)
	want := map[string][]string{
		"NotifyRole": {
			"dynamodb:DescribeStream on TasksTable.StreamArn", "dynamodb:GetRecords on TasksTable.StreamArn",
			"dynamodb:GetShardIterator on TasksTable.StreamArn", "dynamodb:ListStreams on *",
			"dynamodb:GetItem on TasksTable.Arn", "dynamodb:PutItem on TasksTable.Arn", "dynamodb:UpdateItem on TasksTable.Arn",
			"sqs:SendMessage on TasksQueue.Arn", "sqs:SendMessage on BacklogQueue.Arn", "sqs:SendMessage on StreamFailuresQueue.Arn",
			"dynamodb:PutItem on ControlTable.Arn", "dynamodb:UpdateItem on ControlTable.Arn",
			"s3:PutObject on ${ArchiveBucket.Arn}/*", "s3:DeleteObject on ${ArchiveBucket.Arn}/*", // what no item points to in the end
		},
		"RescueRole": {
			"dynamodb:GetRecords on TasksTable.StreamArn", "dynamodb:GetShardIterator on TasksTable.StreamArn",
			"sqs:ReceiveMessage on StreamFailuresQueue.Arn", "sqs:DeleteMessage on StreamFailuresQueue.Arn",
			"sqs:GetQueueAttributes on StreamFailuresQueue.Arn", "sqs:ChangeMessageVisibility on StreamFailuresQueue.Arn",
			"dynamodb:PutItem on ControlTable.Arn", "dynamodb:BatchWriteItem on ControlTable.Arn",
			"s3:PutObject on ${ArchiveBucket.Arn}/*", "s3:DeleteObject on ${ArchiveBucket.Arn}/*",
		},
	}
	for role, want := range want {
		if diff := cmp.Diff(sorted(want), allowed(t, tmpl, role)); diff != "" {
			t.Errorf("what %s may do (-want +got):\n%s", role, diff)
		}
	}
}

// allowed is what a role may do on AWS beside logs and traces, and beside what TestOwnKeyOfRoles is about.
func allowed(t *testing.T, tmpl template, role string) []string {
	t.Helper()
	var all []string
	for _, s := range statements(t, tmpl, role) {
		for _, action := range s.actions {
			if strings.HasPrefix(action, "logs:") || strings.HasPrefix(action, "xray:") || strings.HasPrefix(action, "kms:") {
				continue
			}
			for _, resource := range s.resources {
				all = append(all, action+" on "+resource)
			}
		}
	}
	return sorted(all)
}

func sorted(all []string) []string { return slices.Sorted(slices.Values(all)) }

// statement is one of a role's.
type statement struct {
	effect             string
	actions, resources []string
}

// statements are those that a role has on AWS: what an emulator asks for besides is left out.
func statements(t *testing.T, tmpl template, role string) []statement {
	t.Helper()
	var documents []any
	for _, policy := range at(t, tmpl.Resources[role].Properties, "Policies").([]any) {
		documents = append(documents, at(t, policy, "PolicyDocument"))
	}
	for _, policy := range tmpl.ofType("AWS::IAM::Policy") {
		if cmp.Equal(policy.Properties["Roles"], any([]any{role})) {
			documents = append(documents, policy.Properties["PolicyDocument"])
		}
	}
	var all []statement
	for _, document := range documents {
		for _, s := range at(t, document, "Statement").([]any) {
			if choice, ok := s.([]any); ok { // !If
				// Faults are off, and there is no own key; both are counted all the same: what a role might get.
				if len(choice) != 3 || choice[0] != "OnAws" && choice[0] != "Chaos" && choice[0] != "OwnKey" {
					t.Fatalf("a choice of which this test knows nothing: %v", choice)
				}
				if s = choice[1]; s == "AWS::NoValue" {
					continue
				}
			}
			all = append(all, statement{
				effect: at(t, s, "Effect").(string), actions: texts(t, at(t, s, "Action")), resources: texts(t, at(t, s, "Resource")),
			})
		}
	}
	return all
}

// texts is one text, or a list of them.
func texts(t *testing.T, value any) []string {
	t.Helper()
	encoded, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	if json.Unmarshal(encoded, &list) != nil {
		var one string
		if err := json.Unmarshal(encoded, &one); err != nil {
			t.Fatal(err)
		}
		list = []string{one}
	}
	return list
}
