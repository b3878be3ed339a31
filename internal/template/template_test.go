package template_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/internal/template"
)

var here = template.Deployment{Stack: "spillway", Region: "eu-central-1", Account: "123456789012"}

const path = "../../template.yaml"

func load(t *testing.T, parameters map[string]string) *template.Template {
	t.Helper()
	d := here
	d.Parameters = parameters
	tmpl, err := template.Load(path, d)
	if err != nil {
		t.Fatal(err)
	}
	return tmpl
}

func one(t *testing.T, tmpl *template.Template, kind, id string) template.Resource {
	t.Helper()
	all, err := tmpl.Resources(kind)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range all {
		if r.ID == id {
			return r
		}
	}
	t.Fatalf("no %s %s", kind, id)
	return template.Resource{}
}

// The tasks queue is as the two sizes say.
func TestDecode(t *testing.T) {
	t.Parallel()
	type queue struct {
		QueueName         string
		VisibilityTimeout int
		RedrivePolicy     struct {
			DeadLetterTargetArn string
			MaxReceiveCount     int
		}
		KmsMasterKeyId *string
	}
	for size, visibility := range map[string]int{"standard": 750, "local": 60} {
		var got queue
		if err := one(t, load(t, map[string]string{"Size": size}), "AWS::SQS::Queue", "TasksQueue").Decode(&got); err != nil {
			t.Fatal(err)
		}
		want := queue{QueueName: "spillway-tasks", VisibilityTimeout: visibility}
		want.RedrivePolicy.DeadLetterTargetArn = "arn:aws:sqs:eu-central-1:123456789012:spillway-dead-letter"
		want.RedrivePolicy.MaxReceiveCount = 100
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", size, diff)
		}
	}
}

// A function has the globals, and variables that are strings.
func TestDecodeFunction(t *testing.T) {
	t.Parallel()
	var got struct {
		Runtime     string
		Timeout     int
		MemorySize  int
		Environment struct{ Variables map[string]string }
	}
	if err := one(t, load(t, nil), "AWS::Serverless::Function", "WorkerFunction").Decode(&got); err != nil {
		t.Fatal(err)
	}
	if got.Runtime != "provided.al2023" || got.Timeout != 120 || got.MemorySize != 512 {
		t.Errorf("got %+v", got)
	}
	for name, want := range map[string]string{
		"TASKS_TABLE": "spillway-TasksTable", "MAX_ATTEMPTS": "5", "MAX_RECEIVE_COUNT": "100", "WEBHOOK_SECRET_TTL": "300s",
		"TASKS_QUEUE_URL": "https://sqs.eu-central-1.amazonaws.com/123456789012/spillway-tasks",
		"TRIP_SAGA_ARN":   "arn:aws:states:eu-central-1:123456789012:stateMachine:spillway-TripSaga",
	} {
		if got := got.Environment.Variables[name]; got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
}

// Every function, queue, table and mapping can be resolved, with every
// parameter that changes resources.
func TestResolvesAll(t *testing.T) {
	t.Parallel()
	for _, parameters := range []map[string]string{
		nil,
		{"Size": "local", "EndpointUrl": "http://127.0.0.1:4566", "ChaosEnabled": "true", "ApiKeys": "required"},
		{"EncryptionKeyArn": "arn:aws:kms:eu-central-1:123456789012:key/k", "StatusConcurrency": "20"},
	} {
		tmpl := load(t, parameters)
		for _, kind := range []string{
			"AWS::Serverless::Function", "AWS::SQS::Queue", "AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::SecretsManager::Secret",
			"AWS::StepFunctions::StateMachine", "AWS::Lambda::EventInvokeConfig", "AWS::SQS::QueuePolicy", "AWS::IAM::Role",
		} {
			all, err := tmpl.Resources(kind)
			if err != nil || len(all) == 0 && kind != "AWS::SQS::QueuePolicy" {
				t.Errorf("%s: %d, %v", kind, len(all), err)
			}
			for _, r := range all {
				if kind == "AWS::SQS::QueuePolicy" || kind == "AWS::IAM::Role" {
					continue // their conditions count, their properties are not used
				}
				var properties map[string]any
				if err := r.Decode(&properties); err != nil {
					t.Errorf("%s: %v", r.ID, err)
				}
			}
		}
	}
}

// Parameters that the template does not know or allow are refused.
func TestParameters(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, value, want string }{
		{"Sise", "local", "no parameter Sise"},
		{"Size", "huge", `"huge" is no value of parameter Size`},
	} {
		d := here
		d.Parameters = map[string]string{tt.name: tt.value}
		if _, err := template.Load(path, d); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s=%s: %v, want %q", tt.name, tt.value, err, tt.want)
		}
	}
}

// What the package does not know is an error with its line, never a guess.
func TestUnknown(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"{A: !Select [0, [a]]}":     "!Select: not known",
		"{A: !GetAtt Q.QueueName2}": "QueueName2 of a AWS::SQS::Queue is not known",
		"{A: !Ref Nothing}":         "no resource Nothing",
		"{A: !FindInMap [a, b, c]}": "nothing at [a b c]",
		"{A: !Sub '${Nothing}'}":    "no resource Nothing",
		"{A: !If [C, 1, 2]}":        "no condition C",
	} {
		tmpl, err := template.Parse([]byte("Resources:\n  Q:\n    Type: AWS::SQS::Queue\n    Properties: "+text+"\n"), here)
		if err != nil {
			t.Fatal(err)
		}
		all, err := tmpl.Resources("AWS::SQS::Queue")
		if err != nil {
			t.Fatal(err)
		}
		var properties any
		if err := all[0].Decode(&properties); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
