//go:build integration

package integration

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/pkg/client"
)

// A deployment that changes nothing but parameters changes what a stack does; no
// function gets other code. `sam delete` then leaves nothing behind but what is
// to be kept.
func TestLifeOfAStack(t *testing.T) {
	t.Parallel()
	s := newOwnStack(t)
	r := newReceiver(t)
	large := webhook(r.URL + "/ok")
	large["payload"] = strings.Repeat("x", 2000)

	usual := map[string]string{"MaxAttempts": "2", "RetryBaseDelay": "0s"}
	s.deploy(t, usual)
	s.works(t, large, r.URL+"/status/500", 2)
	made, code := s.resources(t), s.code(t)
	if len(code) == 0 {
		t.Fatal("no functions")
	}

	s.deploy(t, map[string]string{"MaxInputBytes": "1000", "MaxAttempts": "1", "RetryBaseDelay": "0s"})
	if _, err := s.api.Submit(t.Context(), client.SubmitRequest{Type: "webhook.deliver", Input: large}); !errors.Is(err, client.ErrInputTooLarge) {
		t.Errorf("an input of more than 1,000 bytes: %v, want %v", err, client.ErrInputTooLarge)
	}
	s.works(t, webhook(r.URL+"/ok"), r.URL+"/status/500", 1)
	if diff := cmp.Diff(code, s.code(t)); diff != "" {
		t.Errorf("code of the functions after a change of parameters (-before +after):\n%s", diff)
	}

	// That a kind of resource is not found afterwards says something only if it
	// was found before.
	for _, l := range listings {
		if got := l.list(t, s.name); len(got) != made[l.resource] || len(got) == 0 {
			t.Errorf("%s of the stack: %q, want %d", l.resource, got, made[l.resource])
		}
	}
	s.remove(t)
	kept := map[string][]string{"AWS::S3::Bucket": {s.out["ArchiveBucketName"]}} // it may hold the only copy of what failed
	for _, l := range listings {
		if got := l.list(t, s.name); !slices.Equal(got, kept[l.resource]) {
			t.Errorf("%s after the stack was deleted: %q, want %q", l.resource, got, kept[l.resource])
		}
	}
}

// ownStack is a stack beside the suite's, with the same functions.
type ownStack struct {
	name     string
	out      map[string]string
	api      *client.Client
	deployed bool
}

// newOwnStack returns one that is not deployed yet. At the end of the test
// nothing of it is left.
func newOwnStack(t *testing.T) *ownStack {
	t.Helper()
	s := &ownStack{name: "spillway-it-" + strconv.FormatInt(time.Now().UnixNano(), 36)}
	t.Cleanup(func() {
		s.remove(t)
		s.removeArchive(t)
	})
	return s
}

// deploy deploys the stack, or changes its parameters.
func (s *ownStack) deploy(t *testing.T, params map[string]string) {
	t.Helper()
	var err error
	s.deployed = true // half of one has to be removed as well
	if s.out, err = functions.Deploy(t.Context(), aws.ToString(stack.cfg.BaseEndpoint), s.name, params); err != nil {
		t.Fatal(err)
	}
	s.api, err = client.New(s.out["ApiUrl"], &client.Options{Credentials: stack.cfg.Credentials, Region: stack.cfg.Region})
	if err != nil {
		t.Fatal(err)
	}
}

// works checks that a task with an input succeeds, and how often one is tried
// whose receiver never takes it.
func (s *ownStack) works(t *testing.T, input any, broken string, attempts int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	run := func(input any) *client.Task {
		task, err := s.api.Submit(ctx, client.SubmitRequest{Type: "webhook.deliver", Input: input})
		if err == nil {
			task, err = s.api.Wait(ctx, task.ID)
		}
		if err != nil {
			t.Fatal(err)
		}
		return task
	}
	want(t, run(input), client.Succeeded, 1)
	want(t, run(webhook(broken)), client.DeadLettered, attempts)
}

// code returns the hash of each function's code.
func (s *ownStack) code(t *testing.T) map[string]string {
	t.Helper()
	sums := map[string]string{}
	pages := lambda.NewListFunctionsPaginator(stack.lambdas, &lambda.ListFunctionsInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range page.Functions {
			if strings.HasPrefix(aws.ToString(f.FunctionName), s.name) {
				sums[*f.FunctionName] = aws.ToString(f.CodeSha256)
			}
		}
	}
	return sums
}

// resources counts the stack's resources by type.
func (s *ownStack) resources(t *testing.T) map[string]int {
	t.Helper()
	all, err := resourcesOf(t.Context(), s.name)
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, r := range all {
		count[aws.ToString(r.ResourceType)]++
	}
	return count
}

// remove deletes the stack, if it is still there.
func (s *ownStack) remove(t *testing.T) {
	t.Helper()
	if !s.deployed {
		return
	}
	s.deployed = false
	if err := functions.Delete(context.WithoutCancel(t.Context()), aws.ToString(stack.cfg.BaseEndpoint), s.name); err != nil {
		t.Error(err)
	}
}

// removeArchive deletes the bucket that outlives the stack.
func (s *ownStack) removeArchive(t *testing.T) {
	t.Helper()
	bucket := s.out["ArchiveBucketName"]
	if bucket == "" {
		return
	}
	ctx := context.WithoutCancel(t.Context())
	objects := s3.NewFromConfig(stack.cfg, func(o *s3.Options) { o.UsePathStyle = true })
	list, err := objects.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &bucket})
	if err != nil {
		t.Error(err)
		return
	}
	var ids []types.ObjectIdentifier
	for _, o := range list.Contents {
		ids = append(ids, types.ObjectIdentifier{Key: o.Key})
	}
	if len(ids) > 0 {
		if _, err := objects.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: &bucket, Delete: &types.Delete{Objects: ids}}); err != nil {
			t.Error(err)
		}
	}
	if _, err := objects.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &bucket}); err != nil {
		t.Error(err)
	}
}

// listing is how all resources of a type in an account are listed. Most of the
// services are called for nothing else here, hence without their SDK modules.
type listing struct {
	resource string
	service  string // the name that signs
	method   string
	path     string
	target   string // the operation, where a header says it
	body     string // %s is the stack's name
	name     string // pattern of what tells whose one is
}

var listings = []listing{
	inJSON("AWS::SQS::Queue", "sqs", "AmazonSQS.ListQueues", `{"QueueNamePrefix":"%s","MaxResults":1000}`, `"(http[^"]*)"`),
	inJSON("AWS::DynamoDB::Table", "dynamodb", "DynamoDB_20120810.ListTables", `{"Limit":100}`, `"([^"]*)"`),
	inJSON("AWS::Logs::LogGroup", "logs", "Logs_20140328.DescribeLogGroups", `{"logGroupNamePrefix":"/spillway/%s/"}`, `"logGroupName":\s*"(.*?)"`),
	inJSON("AWS::StepFunctions::StateMachine", "states", "AWSStepFunctions.ListStateMachines", `{"maxResults":1000}`, `"name":\s*"(.*?)"`),
	inJSON("AWS::Events::Rule", "events", "AWSEvents.ListRules", `{"NamePrefix":"%s"}`, `"Name":\s*"(.*?)"`),
	inJSON("AWS::SecretsManager::Secret", "secretsmanager", "secretsmanager.ListSecrets", `{"MaxResults":100}`, `"Name":\s*"(.*?)"`),
	byForm("AWS::IAM::Role", "iam", "Action=ListRoles&Version=2010-05-08&MaxItems=1000", `<RoleName>(.*?)</RoleName>`),
	byForm("AWS::CloudWatch::Alarm", "monitoring", "Action=DescribeAlarms&Version=2010-08-01&MaxRecords=100&AlarmNamePrefix=%s", `<AlarmName>(.*?)</AlarmName>`),
	byPath("AWS::Lambda::Function", "lambda", "/2015-03-31/functions/?MaxItems=10000", `"FunctionName":\s*"(.*?)"`),
	byPath("AWS::Lambda::EventSourceMapping", "lambda", "/2015-03-31/event-source-mappings/?MaxItems=10000", `"EventSourceArn":\s*"(.*?)"`),
	byPath("AWS::ApiGateway::RestApi", "apigateway", "/restapis?limit=500", `"name":\s*"(.*?)"`),
	byPath("AWS::S3::Bucket", "s3", "/", `<Name>(.*?)</Name>`),
}

func inJSON(resource, service, target, body, name string) listing {
	return listing{resource: resource, service: service, method: http.MethodPost, path: "/", target: target, body: body, name: name}
}

func byForm(resource, service, body, name string) listing {
	return listing{resource: resource, service: service, method: http.MethodPost, path: "/", body: body, name: name}
}

func byPath(resource, service, path, name string) listing {
	return listing{resource: resource, service: service, method: http.MethodGet, path: path, name: name}
}

// contentType is how a service wants its body.
func (l listing) contentType() string {
	switch {
	case l.target == "":
		return "application/x-www-form-urlencoded"
	case l.service == "sqs" || l.service == "dynamodb" || l.service == "states":
		return "application/x-amz-json-1.0"
	default:
		return "application/x-amz-json-1.1"
	}
}

// nextPage is what an answer has that is not all.
var nextPage = regexp.MustCompile(`(?i)"(nextToken|NextMarker|LastEvaluatedTableName|position)":\s*"[^"]|<(NextToken|Marker|ContinuationToken)>[^<]|<IsTruncated>true`)

// list returns the names of those that belong to a stack, sorted.
func (l listing) list(t *testing.T, stackName string) []string {
	t.Helper()
	body := strings.ReplaceAll(l.body, "%s", stackName)
	req, err := http.NewRequestWithContext(t.Context(), l.method, aws.ToString(stack.cfg.BaseEndpoint)+l.path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", l.contentType())
	}
	if l.target != "" {
		req.Header.Set("X-Amz-Target", l.target)
	}
	status, _, answer := roundTrip(t, req, l.service, []byte(body))
	if status != http.StatusOK || nextPage.MatchString(answer) {
		t.Fatalf("list %s: %d, or more than a page: %s", l.resource, status, answer)
	}
	var names []string
	for _, m := range regexp.MustCompile(l.name).FindAllStringSubmatch(answer, -1) {
		if strings.Contains(m[1], stackName) {
			names = append(names, m[1])
		}
	}
	slices.Sort(names)
	return names
}
