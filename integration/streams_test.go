//go:build integration

package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cloudformationtypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamodbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/spillway-go/spillway/integration/probe"
	"github.com/spillway-go/spillway/internal/functionzip"
	"github.com/spillway-go/spillway/internal/localaws"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

// Functions of their own, in testdata/batches, on sources with an order. Every
// source is filled before its mapping is made, so that the records come as one
// batch.

// order is what a record says; see testdata/batches.
type order struct {
	Key string `json:"key"`
	N   int    `json:"n"`
	Do  string `json:"do"`
}

func (o order) json() string {
	text, err := json.Marshal(o)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func TestSourcesWithAnOrder(t *testing.T) {
	t.Parallel()
	s := deploySources(t, "batches")
	t.Run("FIFO", s.testFIFO)
	t.Run("Kinesis", func(t *testing.T) {
		s.testIsolation(t, "kinesis", s.out["OrderStreamArn"], func(o order) { s.put(t, s.out["OrderStream"], o) })
	})
	t.Run("DynamoDB", func(t *testing.T) {
		s.testIsolation(t, "dynamodb", s.out["OrderTableStreamArn"], func(o order) { s.change(t, o) })
	})
	t.Run("Checkpoint", s.testCheckpoint)
}

// testFIFO: a message that fails takes the rest of its group along, one that is
// rejected does not, and other groups do not notice.
func (s *sources) testFIFO(t *testing.T) {
	t.Helper()
	for _, o := range []order{
		{"a", 1, "ok"},
		{"b", 1, "once"},
		{"c", 1, "permanent"},
		{"a", 2, "ok"},
		{"b", 2, "ok"},
		{"c", 2, "ok"},
		{"b", 3, "once"},
		{"c", 3, "ok"},
		{"a", 3, "ok"},
	} {
		_, err := stack.queues.SendMessage(t.Context(), &sqs.SendMessageInput{
			QueueUrl: aws.String(s.out["FifoQueueUrl"]), MessageBody: aws.String(o.json()), MessageGroupId: &o.Key,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	s.consume(t, "fifo", "sqs", s.out["FifoQueueArn"], map[string]string{"QUEUE_URL": s.out["FifoQueueUrl"], "ISOLATED_QUEUE_URL": s.out["IsolatedQueueUrl"]})
	s.awaitEffects(t, "fifo", map[string][]int{"a": {1, 2, 3}, "b": {1, 2, 3}, "c": {2, 3}})
	letter := receive(t, s.out["IsolatedQueueUrl"], 1)[0]
	remove(t, s.out["IsolatedQueueUrl"], []types.Message{letter})
	var rejected order // LocalStack writes a body that is JSON in its own way
	if err := json.Unmarshal([]byte(*letter.Body), &rejected); err != nil || rejected != (order{"c", 1, "permanent"}) || value(letter, "error_code") != "impossible" || value(letter, "origin") != queueName(s.out["FifoQueueUrl"]) {
		t.Errorf("the rejected message is %s with %v", *letter.Body, letter.MessageAttributes)
	}
	eventually(t, quiet(s.out["FifoQueueUrl"]))
}

// testIsolation: poison lets its key go on and the others too, and is kept.
func (s *sources) testIsolation(t *testing.T, source, arn string, put func(order)) {
	t.Helper()
	for _, o := range []order{
		{"a", 1, "ok"}, {"a", 2, "permanent"}, {"b", 1, "fail"}, {"c", 1, "once"}, {"a", 3, "ok"}, {"b", 2, "ok"}, {"c", 2, "ok"},
	} {
		put(o)
	}
	s.consume(t, source, source, arn, map[string]string{"ISOLATED_QUEUE_URL": s.out["IsolatedQueueUrl"]})
	s.awaitEffects(t, source, map[string][]int{"a": {1, 3}, "b": {2}, "c": {1, 2}})

	got := map[string]int{} // attempts by what was isolated, and why
	letters := receive(t, s.out["IsolatedQueueUrl"], 2)
	for _, m := range letters {
		var body struct {
			V      int             `json:"v"`
			Source string          `json:"source"`
			ARN    string          `json:"stream_arn"`
			Number string          `json:"sequence_number"`
			Key    string          `json:"key"`
			Record json.RawMessage `json:"record"`
		}
		if err := json.Unmarshal([]byte(*m.Body), &body); err != nil || body.V != 1 || body.Source != "aws:"+source || body.ARN != arn ||
			!bytes.Contains(body.Record, []byte(body.Number)) {
			t.Errorf("isolated: %s (%v)", *m.Body, err)
		}
		failure, err := workqueue.ParseFailure(value(m, "failure"))
		if err != nil || failure.Code != value(m, "error_code") || value(m, "origin") == "" {
			t.Errorf("isolated with %v (%v)", m.MessageAttributes, err)
		}
		got[strings.Trim(body.Key, `{}"keyS:`)+" "+failure.Code] = failure.Attempts
	}
	remove(t, s.out["IsolatedQueueUrl"], letters)
	if want := map[string]int{"a impossible": 1, "b unlucky": 3}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("isolated %v, want %v", got, want)
	}
}

// testCheckpoint: without isolation the stream comes back from the record that
// failed, and what was done before that is not done again.
func (s *sources) testCheckpoint(t *testing.T) {
	t.Helper()
	needs(t, probe.StreamPartialResponse)
	for n, do := range []string{"ok", "ok", "once", "ok"} {
		s.put(t, s.out["CheckpointStream"], order{"a", n + 1, do})
	}
	s.consume(t, "checkpoint", "kinesis", s.out["CheckpointStreamArn"], nil)
	s.awaitEffects(t, "checkpoint", map[string][]int{"a": {1, 2, 3, 4}})
}

// sources is what a folder of testdata needs.
type sources struct {
	name string
	out  map[string]string // of the stack
	code []byte            // of the functions
}

// deploySources deploys the template in a folder of testdata and builds the
// program there.
func deploySources(t *testing.T, folder string) *sources {
	t.Helper()
	s := &sources{name: "spillway-" + folder + "-" + strconv.FormatInt(time.Now().UnixMilli(), 36)}
	template, err := os.ReadFile(filepath.Join("testdata", folder, "template.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	stacks := cloudformation.NewFromConfig(stack.cfg)
	_, err = stacks.CreateStack(t.Context(), &cloudformation.CreateStackInput{
		StackName: &s.name, TemplateBody: aws.String(string(template)),
		Capabilities: []cloudformationtypes.Capability{cloudformationtypes.CapabilityCapabilityNamedIam},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := stacks.DeleteStack(context.WithoutCancel(t.Context()), &cloudformation.DeleteStackInput{StackName: &s.name}); err != nil {
			t.Errorf("delete the stack: %v", err)
		}
	})
	s.code = build(t, "./testdata/"+folder)
	created := cloudformation.NewStackCreateCompleteWaiter(stacks, func(o *cloudformation.StackCreateCompleteWaiterOptions) { o.MinDelay = 200 * time.Millisecond })
	if err := created.Wait(t.Context(), &cloudformation.DescribeStacksInput{StackName: &s.name}, patience); err != nil {
		t.Fatal(err)
	}
	if s.out, err = localaws.Outputs(t.Context(), aws.ToString(stack.cfg.BaseEndpoint), s.name); err != nil {
		t.Fatal(err)
	}
	return s
}

// build makes a program into a function's code.
func build(t *testing.T, program string) []byte {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "bootstrap")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", binary, program)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS="+localaws.BuildFlags)
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v:\n%s", err, output)
	}
	code, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	packed, err := functionzip.Of(code)
	if err != nil {
		t.Fatalf("zip: %v", err)
	}
	return packed
}

// consume makes a function and its mapping, with what the caller changes of it,
// and removes both after the test. It returns the mapping's id.
func (s *sources) consume(t *testing.T, name, source, arn string, env map[string]string, change ...func(*lambda.CreateEventSourceMappingInput)) string {
	t.Helper()
	function := aws.String(s.name + "-" + name)
	architecture := lambdatypes.ArchitectureX8664
	if runtime.GOARCH == "arm64" {
		architecture = lambdatypes.ArchitectureArm64
	}
	variables := map[string]string{"NAME": name, "SOURCE": source, "EFFECTS_TABLE": s.out["EffectsTable"], "AWS_ENDPOINT_URL": proxyURL}
	maps.Copy(variables, env)
	_, err := stack.lambdas.CreateFunction(t.Context(), &lambda.CreateFunctionInput{
		FunctionName: function, Role: aws.String(s.out["RoleArn"]), Runtime: lambdatypes.RuntimeProvidedal2023, Handler: aws.String("bootstrap"),
		Code: &lambdatypes.FunctionCode{ZipFile: s.code}, Timeout: aws.Int32(15), MemorySize: aws.Int32(128),
		Architectures: []lambdatypes.Architecture{architecture}, Environment: &lambdatypes.Environment{Variables: variables},
	})
	if err != nil {
		t.Fatal(err)
	}
	cleanup := context.WithoutCancel(t.Context())
	t.Cleanup(func() {
		if _, err := stack.lambdas.DeleteFunction(cleanup, &lambda.DeleteFunctionInput{FunctionName: function}); err != nil {
			t.Errorf("delete the function: %v", err)
		}
	})
	active := lambda.NewFunctionActiveV2Waiter(stack.lambdas, func(o *lambda.FunctionActiveV2WaiterOptions) { o.MinDelay = 200 * time.Millisecond })
	if err := active.Wait(t.Context(), &lambda.GetFunctionInput{FunctionName: function}, patience); err != nil {
		t.Fatal(err)
	}
	in := &lambda.CreateEventSourceMappingInput{
		FunctionName: function, EventSourceArn: &arn, BatchSize: aws.Int32(10),
		FunctionResponseTypes: []lambdatypes.FunctionResponseType{lambdatypes.FunctionResponseTypeReportBatchItemFailures},
	}
	if source != "sqs" {
		in.StartingPosition = lambdatypes.EventSourcePositionTrimHorizon
	}
	for _, c := range change {
		c(in)
	}
	mapping, err := stack.lambdas.CreateEventSourceMapping(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := stack.lambdas.DeleteEventSourceMapping(cleanup, &lambda.DeleteEventSourceMappingInput{UUID: mapping.UUID}); err != nil {
			t.Errorf("delete the mapping: %v", err)
		}
	})
	return aws.ToString(mapping.UUID)
}

// put adds a record to a Kinesis stream.
func (s *sources) put(t *testing.T, stream string, o order) {
	t.Helper()
	body, err := json.Marshal(map[string]any{"StreamName": stream, "PartitionKey": o.Key, "Data": []byte(o.json())})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, aws.ToString(stack.cfg.BaseEndpoint)+"/", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", "Kinesis_20131202.PutRecord")
	if status, _, answer := roundTrip(t, req, "kinesis", body); status != http.StatusOK {
		t.Fatalf("put a record: %d %s", status, answer)
	}
}

// change writes an item of the table with a stream.
func (s *sources) change(t *testing.T, o order) {
	t.Helper()
	_, err := stack.tables.PutItem(t.Context(), &dynamodb.PutItemInput{
		TableName: aws.String(s.out["OrderTable"]),
		Item: map[string]dynamodbtypes.AttributeValue{
			"key": &dynamodbtypes.AttributeValueMemberS{Value: o.Key},
			"n":   &dynamodbtypes.AttributeValueMemberN{Value: strconv.Itoa(o.N)},
			"do":  &dynamodbtypes.AttributeValueMemberS{Value: o.Do},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// awaitEffects waits until a function has written down all that is wanted, and
// checks the order, and that nothing was done twice: in these tests no delivery
// is repeated behind what was done.
func (s *sources) awaitEffects(t *testing.T, name string, want map[string][]int) {
	t.Helper()
	for key, numbers := range want {
		var got []int
		eventually(t, func() (err error) {
			got, err = s.effects(t, name, key)
			if err == nil && !slices.Contains(got, numbers[len(numbers)-1]) {
				err = fmt.Errorf("%s of %s: %v, want %v", key, name, got, numbers)
			}
			return err
		})
		if !slices.Equal(got, numbers) {
			t.Errorf("%s of %s: %v, want %v", key, name, got, numbers)
		}
	}
}

// effects are the numbers that a function has written down for a key, in order.
func (s *sources) effects(t *testing.T, name, key string) (numbers []int, err error) {
	t.Helper()
	out, err := stack.tables.GetItem(t.Context(), &dynamodb.GetItemInput{
		TableName: aws.String(s.out["EffectsTable"]), ConsistentRead: aws.Bool(true),
		Key: map[string]dynamodbtypes.AttributeValue{"id": &dynamodbtypes.AttributeValueMemberS{Value: name + "/" + key}},
	})
	if err != nil {
		return nil, err
	}
	seen, _ := out.Item["seen"].(*dynamodbtypes.AttributeValueMemberL)
	for i := 0; seen != nil && i < len(seen.Value); i++ {
		n, err := strconv.Atoi(seen.Value[i].(*dynamodbtypes.AttributeValueMemberN).Value)
		if err != nil {
			return nil, err
		}
		numbers = append(numbers, n)
	}
	return numbers, nil
}

// value returns a message attribute.
func value(m types.Message, name string) string {
	return aws.ToString(m.MessageAttributes[name].StringValue)
}
