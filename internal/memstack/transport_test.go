package memstack_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/spillway-go/spillway/internal/memstack"
	"github.com/spillway-go/spillway/pkg/client"
)

// Every kind of value goes through the wire as it is, and a refusal comes back
// as the SDK's error with all it holds.
func TestDynamoDB(t *testing.T) {
	inBubble(t, memstack.Options{}, func(t *testing.T, s *memstack.Stack) {
		db, table := dynamodb.NewFromConfig(s.Config()), s.Name("ControlTable")
		item := map[string]types.AttributeValue{
			"pk": &types.AttributeValueMemberS{Value: "p"}, "sk": &types.AttributeValueMemberS{Value: "s"},
			"n": &types.AttributeValueMemberN{Value: "1.5"}, "b": &types.AttributeValueMemberB{Value: []byte{0, 255}},
			"t": &types.AttributeValueMemberBOOL{Value: true}, "0": &types.AttributeValueMemberNULL{Value: true},
			"l":  &types.AttributeValueMemberL{Value: []types.AttributeValue{&types.AttributeValueMemberS{Value: "<&>"}}},
			"m":  &types.AttributeValueMemberM{Value: map[string]types.AttributeValue{"": &types.AttributeValueMemberN{Value: "1"}}},
			"ss": &types.AttributeValueMemberSS{Value: []string{"x"}}, "ns": &types.AttributeValueMemberNS{Value: []string{"1"}},
			"bs": &types.AttributeValueMemberBS{Value: [][]byte{{1}}},
		}
		put := &dynamodb.PutItemInput{
			TableName: &table, Item: item, ConditionExpression: aws.String("attribute_not_exists(pk)"),
			ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
		}
		if _, err := db.PutItem(t.Context(), put); err != nil {
			t.Fatal(err)
		}
		out, err := db.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: &table, Key: map[string]types.AttributeValue{"pk": item["pk"], "sk": item["sk"]}})
		if err != nil {
			t.Fatal(err)
		}
		opts := cmpopts.IgnoreUnexported(
			types.AttributeValueMemberS{}, types.AttributeValueMemberN{}, types.AttributeValueMemberB{}, types.AttributeValueMemberBOOL{}, types.AttributeValueMemberNULL{},
			types.AttributeValueMemberL{}, types.AttributeValueMemberM{}, types.AttributeValueMemberSS{}, types.AttributeValueMemberNS{}, types.AttributeValueMemberBS{})
		if diff := cmp.Diff(item, out.Item, opts); diff != "" {
			t.Errorf("item (-put +got):\n%s", diff)
		}
		_, err = db.PutItem(t.Context(), put)
		refused, ok := errors.AsType[*types.ConditionalCheckFailedException](err)
		if !ok || cmp.Diff(item, refused.Item, opts) != "" {
			t.Errorf("the second write: %v", err)
		}
	})
}

// SQS's answers pass the SDK's checksums, and its refusals have both names.
func TestSQS(t *testing.T) {
	inBubble(t, memstack.Options{}, func(t *testing.T, s *memstack.Stack) {
		queue := sqs.NewFromConfig(s.Config())
		url := "https://sqs.eu-central-1.amazonaws.com/123456789012/" + s.Name("SagaFailuresQueue")
		if _, err := queue.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String("é")}); err != nil {
			t.Fatal(err)
		}
		out, err := queue.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &url, WaitTimeSeconds: 20})
		if err != nil || len(out.Messages) != 1 || *out.Messages[0].Body != "é" {
			t.Errorf("got %+v, %v", out, err)
		}
		_, err = queue.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: aws.String(url + "x"), MessageBody: aws.String("a")})
		if gone, ok := errors.AsType[*sqstypes.QueueDoesNotExist](err); !ok || gone.ErrorCode() != "AWS.SimpleQueueService.NonExistentQueue" {
			t.Errorf("no such queue: %v", err)
		}
	})
}

// Objects are stored with their trailing checksum, once if so asked, and a
// missing one is the SDK's error.
func TestS3(t *testing.T) {
	inBubble(t, memstack.Options{}, func(t *testing.T, s *memstack.Stack) {
		store, bucket, key := s3.NewFromConfig(s.Config()), aws.String("spillway-archivebucket"), aws.String("a/b c")
		data := bytes.Repeat([]byte("chunk\r\n"), 100_000)
		put := &s3.PutObjectInput{Bucket: bucket, Key: key, Body: bytes.NewReader(data), IfNoneMatch: aws.String("*")}
		if _, err := store.PutObject(t.Context(), put); err != nil {
			t.Fatal(err)
		}
		out, err := store.GetObject(t.Context(), &s3.GetObjectInput{Bucket: bucket, Key: key})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(out.Body); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%d bytes, %v, want %d", len(got), err, len(data))
		}
		put.Body = bytes.NewReader(data)
		if _, err := store.PutObject(t.Context(), put); err == nil || !strings.Contains(err.Error(), "PreconditionFailed") {
			t.Errorf("the second write: %v", err)
		}
		if _, err := store.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: bucket, Key: key}); err != nil {
			t.Error(err)
		}
		_, err = store.GetObject(t.Context(), &s3.GetObjectInput{Bucket: bucket, Key: key})
		if _, ok := errors.AsType[*s3types.NoSuchKey](err); !ok {
			t.Errorf("a deleted object: %v", err)
		}
	})
}

// What the functions can recover from, they do: throttling, failures and lost
// answers of every third call.
func TestFaults(t *testing.T) {
	for name, fault := range map[string]memstack.Fault{
		"throttled": {Err: memstack.ErrThrottled}, "unavailable": {Err: memstack.ErrUnavailable},
		"lost answers": {Err: memstack.ErrUnavailable, AfterEffect: true}, "broken": {Err: io.ErrUnexpectedEOF},
	} {
		t.Run(name, func(t *testing.T) {
			hooks := &receiver{}
			inBubble(t, memstack.Options{Receiver: hooks.answer}, func(t *testing.T, s *memstack.Stack) {
				s.Inject(func(c memstack.Call) memstack.Fault {
					if c.N%3 == 0 && c.Function != "" {
						return fault
					}
					return memstack.Fault{}
				})
				told := export
				told.CallbackURL = "https://hooks.example.com/done"
				ends(t, s, submit(t, s, told), client.Succeeded)
				s.Await("the callback", func() bool { return len(hooks.delivered()) > 0 })
				s.Quiet()
				if got := hooks.delivered(); len(got) != 1 {
					t.Errorf("delivered %v, want one message", got)
				}
			})
		})
	}
}

// API Gateway answers by itself where there is no route or no answer.
func TestGateway(t *testing.T) {
	inBubble(t, memstack.Options{}, func(t *testing.T, s *memstack.Stack) {
		s.Inject(func(c memstack.Call) memstack.Fault { return memstack.Fault{Kill: c.Function == "SubmitFunction"} })
		for _, tt := range []struct {
			method, path, body string
			status             int
			code               string
		}{
			{http.MethodPut, "/v1/tasks", "", http.StatusForbidden, "forbidden"},
			{http.MethodGet, "/v1/nothing", "", http.StatusForbidden, "forbidden"},
			{http.MethodPost, "/v1/tasks", `{"type":"trips.export","input":{}}`, http.StatusServiceUnavailable, "unavailable"},
			{http.MethodPost, "/v1/tasks", strings.Repeat(" ", 10<<20+1), http.StatusRequestEntityTooLarge, "input_too_large"},
		} {
			request, err := http.NewRequestWithContext(t.Context(), tt.method, strings.TrimSuffix(s.Client(tenant).BaseURL(), "/v1")+tt.path, strings.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Content-Type", "application/json")
			response, err := s.API(tenant).RoundTrip(request)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(response.Body)
			response.Body.Close()
			if response.StatusCode != tt.status || !strings.Contains(string(body), `"code":"`+tt.code+`"`) {
				t.Errorf("%s %s: %d %s, want %d %s", tt.method, tt.path, response.StatusCode, body, tt.status, tt.code)
			}
		}
	})
}

// A call that the stack does not know fails the test.
func TestUnknownOperation(t *testing.T) {
	inBubble(t, memstack.Options{}, func(t *testing.T, _ *memstack.Stack) {
		seen := &recorder{TB: t}
		s := memstack.New(seen, memstack.Options{})
		_, err := dynamodb.NewFromConfig(s.Config()).ListBackups(t.Context(), &dynamodb.ListBackupsInput{})
		if err == nil || len(seen.errors) != 1 || !strings.Contains(seen.errors[0], "dynamodb ListBackups by the test") {
			t.Errorf("%v, reported %q", err, seen.errors)
		}
	})
}
