//go:build integration

package coldstart

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	streamtypes "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/smithy-go"

	"github.com/spillway-go/spillway/pkg/archive/archivetest"
	"github.com/spillway-go/spillway/pkg/tasktable/tasktabletest"
	"github.com/spillway-go/spillway/pkg/workqueue/workqueuetest"
)

// What Lambda would put into the functions' environment.
const (
	region       = "eu-west-1"
	accessKey    = "ASIAEXAMPLE"
	secretKey    = "EXAMPLE"
	sessionToken = "EXAMPLETOKEN"
)

// The names of tables. All others are the tasks table.
const (
	controlTable      = "control"
	reservationsTable = "reservations"
)

// cloud is an AWS on loopback: the doubles of DynamoDB and SQS, one secret and
// one stream, behind the wire protocol. It counts the calls, whatever they are,
// so a call to a metadata service or to STS shows as well.
type cloud struct {
	table   *tasktabletest.DynamoDB
	control *archivetest.Table
	booked  *archivetest.Table
	queues  *workqueuetest.SQS
	url     string

	mu    sync.Mutex
	calls map[string]int
	wrong []string // calls that were repeated, not signed as they should be, or not understood
}

func newCloud(tb testing.TB) *cloud {
	tb.Helper()
	c := &cloud{table: tasktabletest.NewDynamoDB(), control: archivetest.NewTable(), booked: archivetest.NewTable(), queues: workqueuetest.New(), calls: map[string]int{}}
	server := httptest.NewServer(c)
	tb.Cleanup(server.Close)
	c.url = server.URL
	return c
}

// GetSecretValue gives the secret that signs webhooks.
func (*cloud) GetSecretValue(context.Context, *secretsmanager.GetSecretValueInput, ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error) {
	return &secretsmanager.GetSecretValueOutput{SecretString: aws.String(`{"current":"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw","previous":""}`)}, nil
}

// stream is one of a table that holds whatever it is asked for: its iterators
// are sequence numbers, and each page is the record that has this one.
type stream struct{}

// GetShardIterator returns the sequence number.
func (stream) GetShardIterator(_ context.Context, in *dynamodbstreams.GetShardIteratorInput) (*dynamodbstreams.GetShardIteratorOutput, error) {
	return &dynamodbstreams.GetShardIteratorOutput{ShardIterator: in.SequenceNumber}, nil
}

// GetRecords returns a record of a task's end.
func (stream) GetRecords(_ context.Context, in *dynamodbstreams.GetRecordsInput) (*dynamodbstreams.GetRecordsOutput, error) {
	text := func(s string) streamtypes.AttributeValue { return &streamtypes.AttributeValueMemberS{Value: s} }
	id := map[string]streamtypes.AttributeValue{"id": text("01KWEG73E0EDR6JV3CEXGQJRB2")}
	ended := map[string]streamtypes.AttributeValue{"id": id["id"], "status": text("succeeded"), "run": &streamtypes.AttributeValueMemberN{Value: "0"}, "callback_url": text("https://example.com/tasks")}
	return &dynamodbstreams.GetRecordsOutput{NextShardIterator: in.ShardIterator, Records: []streamtypes.Record{{
		AwsRegion: aws.String(region), EventID: aws.String("c4ca4238a0b923820dcc509a6f75849b"), EventName: streamtypes.OperationTypeModify,
		EventSource: aws.String("aws:dynamodb"), EventVersion: aws.String("1.1"),
		Dynamodb: &streamtypes.StreamRecord{
			ApproximateCreationDateTime: aws.Time(time.Now()), Keys: id, NewImage: ended, OldImage: id, SequenceNumber: in.ShardIterator,
			SizeBytes: aws.Int64(99), StreamViewType: streamtypes.StreamViewTypeNewAndOldImages,
		},
	}}}, nil
}

func (c *cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	service, operation, isCall := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	if !isCall {
		operation = r.Method + " " + r.URL.Path
	}
	wrong := c.objection(r)
	c.mu.Lock()
	c.calls[operation]++
	if wrong != "" {
		c.wrong = append(c.wrong, operation+": "+wrong)
	}
	c.mu.Unlock()

	out, err := c.serve(r, service, operation)
	status := http.StatusOK
	if err != nil {
		status, out = http.StatusBadRequest, c.refusal(operation, err)
	}
	body, err := json.Marshal(out)
	if err != nil {
		body = []byte(err.Error()) // which no client takes for JSON
	}
	w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.Header().Set("X-Amz-Crc32", strconv.FormatUint(uint64(crc32.ChecksumIEEE(body)), 10))
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// objection says what is wrong with a request before anybody reads its body.
func (c *cloud) objection(r *http.Request) string {
	signed := r.Header.Get("Authorization")
	switch {
	case !strings.Contains(signed, "Credential="+accessKey+"/") || !strings.Contains(signed, "/"+region+"/"):
		return "signed as " + signed
	case r.Header.Get("X-Amz-Security-Token") != sessionToken:
		return "no session token"
	case !strings.HasPrefix(r.Header.Get("Amz-Sdk-Request"), "attempt=1;"):
		return "a retry, " + r.Header.Get("Amz-Sdk-Request")
	default:
		return ""
	}
}

// backend is who answers the calls of a service.
func (c *cloud) backend(service string, in any) any {
	switch service {
	case "DynamoDB_20120810":
		switch tableOf(in) {
		case controlTable:
			return c.control
		case reservationsTable:
			return c.booked
		default:
			return c.table
		}
	case "AmazonSQS":
		return c.queues
	case "DynamoDBStreams_20120810":
		return stream{}
	case "secretsmanager":
		return c
	default:
		return nil
	}
}

// tableOf is the table that a request to DynamoDB names; none for statements,
// which name it inside.
func tableOf(in any) string {
	request, _ := in.(map[string]any)
	if batch, ok := request["RequestItems"].(map[string]any); ok {
		return strings.Join(slices.Collect(maps.Keys(batch)), ", ")
	}
	if items, ok := request["TransactItems"].([]any); ok { // of one table, and an update is the first
		item, _ := items[0].(map[string]any)
		request, _ = item["Update"].(map[string]any)
	}
	name, _ := request["TableName"].(string)
	return name
}

// serve reads the request, calls its operation, and returns what to answer.
func (c *cloud) serve(r *http.Request, service, operation string) (any, error) {
	body, err := io.ReadAll(r.Body) // to its end: an answer before that can cost the connection
	if err != nil {
		return nil, err
	}
	var in any
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, err
	}
	backend := c.backend(service, in)
	method := reflect.ValueOf(backend)
	if backend != nil {
		method = method.MethodByName(operation)
	}
	if !method.IsValid() {
		return nil, fmt.Errorf("no such call: %s", operation)
	}
	input := reflect.New(method.Type().In(1).Elem())
	if err := read(in, input.Elem()); err != nil {
		return nil, err
	}
	results := method.Call([]reflect.Value{reflect.ValueOf(r.Context()), input})
	if err, failed := results[1].Interface().(error); failed {
		return nil, err
	}
	return written(results[0]), nil
}

// refusal is an error as AWS answers it. Only a call that was not understood is
// wrong; a failed condition is part of the protocol.
func (c *cloud) refusal(operation string, err error) any {
	var modeled smithy.APIError
	if !errors.As(err, &modeled) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.wrong = append(c.wrong, operation+": "+err.Error())
		return map[string]any{"__type": "InternalFailure", "message": err.Error()}
	}
	answer := map[string]any{}
	if fields, ok := written(reflect.ValueOf(modeled)).(map[string]any); ok {
		answer = fields
	}
	answer["__type"], answer["message"] = modeled.ErrorCode(), modeled.ErrorMessage()
	return answer
}

// count returns the calls since the last count, and what was wrong with them.
func (c *cloud) count() (calls map[string]int, wrong []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	calls, wrong = maps.Clone(c.calls), c.wrong
	clear(c.calls)
	c.wrong = nil
	return calls, wrong
}
