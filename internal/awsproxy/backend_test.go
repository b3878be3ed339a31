package awsproxy_test

import (
	"compress/gzip"
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/spillway-go/spillway/internal/awsproxy"
)

// backend imitates as much of DynamoDB and SQS as the tests need, and keeps
// what took effect.
type backend struct {
	t      *testing.T
	gzip   bool
	refuse bool // knows no operation

	mu       sync.Mutex
	effects  []string // in order: "UpdateItem a", "statement ...", "message ..."
	requests []*http.Request
	entered  chan string   // when set, gets the operation, then waits for proceed
	proceed  chan struct{} // when set
}

func (b *backend) effect(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.effects = append(b.effects, fmt.Sprintf(format, args...))
}

// count tells how often an effect that starts so took place.
func (b *backend) count(prefix string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, e := range b.effects {
		if strings.HasPrefix(e, prefix) {
			n++
		}
	}
	return n
}

func (b *backend) last() *http.Request {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.requests[len(b.requests)-1]
}

func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	b.requests = append(b.requests, r)
	b.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	_, operation, ok := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	if !ok {
		w.Header().Set("X-Echo", r.Method+" "+r.RequestURI+" "+r.Host)
		w.WriteHeader(http.StatusAccepted)
		_, _ = w.Write(body)
		return
	}
	if b.entered != nil {
		b.entered <- operation
		<-b.proceed
	}
	var in map[string]any
	if err := json.Unmarshal(body, &in); err != nil {
		b.t.Errorf("backend got %q: %v", body, err)
	}
	status, out := b.operate(operation, in)
	text, err := json.Marshal(out)
	if err != nil {
		b.t.Error(err)
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.Header().Set("X-Amz-Crc32", strconv.FormatUint(uint64(crc32.ChecksumIEEE(text)), 10))
	if b.gzip {
		w.Header().Set("Content-Encoding", "gzip")
		w.WriteHeader(status)
		z := gzip.NewWriter(w)
		_, _ = z.Write(text)
		_ = z.Close()
		return
	}
	w.WriteHeader(status)
	_, _ = w.Write(text)
}

type object = map[string]any

func (b *backend) operate(operation string, in object) (int, any) {
	if b.refuse {
		operation = "refused"
	}
	switch operation {
	case "PutItem", "UpdateItem":
		if in["ConditionExpression"] == "false" {
			return http.StatusBadRequest, object{
				"__type":  "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException",
				"message": "The conditional request failed", "Item": object{"id": object{"S": "old"}},
			}
		}
		b.effect("%s", operation)
		return http.StatusOK, object{"ConsumedCapacity": object{"TableName": "tasks", "CapacityUnits": 2.0, "WriteCapacityUnits": 2.0}}
	case "GetItem":
		return http.StatusOK, object{}
	case "TransactWriteItems":
		return http.StatusBadRequest, object{
			"__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException", "message": "canceled",
			"CancellationReasons": []object{{"Code": "None"}, {"Code": "ConditionalCheckFailed"}},
		}
	case "BatchExecuteStatement":
		var responses []object
		for _, s := range in["Statements"].([]any) {
			text := s.(object)["Statement"].(string)
			if strings.Contains(text, "refused") {
				responses = append(responses, object{"TableName": "tasks", "Error": object{
					"Code": "ConditionalCheckFailed", "Message": "no", "Item": object{"id": object{"S": "old"}},
				}})
				continue
			}
			b.effect("statement %s", text)
			responses = append(responses, object{"TableName": "tasks", "Item": object{"id": object{"S": text}}})
		}
		return http.StatusOK, object{"Responses": responses, "ConsumedCapacity": []object{
			{"TableName": "tasks", "CapacityUnits": float64(len(responses))},
		}}
	case "SendMessage":
		b.effect("message %s", in["MessageBody"])
		return http.StatusOK, object{"MessageId": "m", "MD5OfMessageBody": sum(in["MessageBody"].(string))}
	case "SendMessageBatch", "DeleteMessageBatch", "ChangeMessageVisibilityBatch":
		successful, failed := []object{}, []object{}
		for _, e := range in["Entries"].([]any) {
			entry := e.(object)
			id := entry["Id"].(string)
			if id == "refused" {
				failed = append(failed, object{"Id": id, "SenderFault": true, "Code": "InvalidParameterValue"})
				continue
			}
			b.effect("entry %s", id)
			done := object{"Id": id}
			if text, ok := entry["MessageBody"].(string); ok {
				maps.Copy(done, object{"MessageId": "m-" + id, "MD5OfMessageBody": sum(text)})
			}
			successful = append(successful, done)
		}
		return http.StatusOK, object{"Successful": successful, "Failed": failed}
	case "ReceiveMessage":
		return http.StatusOK, object{}
	}
	return http.StatusBadRequest, object{"__type": "UnknownOperationException", "message": operation}
}

func sum(text string) string {
	h := md5.Sum([]byte(text))
	return hex.EncodeToString(h[:])
}

// fixture is a running proxy in front of a backend, and clients in front of it.
type fixture struct {
	*awsproxy.Proxy
	back   *backend
	server *httptest.Server
	client *http.Client
	url    string
	stop   func()
	ddb    *dynamodb.Client
	sqs    *sqs.Client
}

// start runs a proxy. attempts is how often the SDK tries, without pauses.
func start(t *testing.T, attempts int, opts *awsproxy.Options) *fixture {
	t.Helper()
	back := &backend{t: t}
	server := httptest.NewServer(back)
	t.Cleanup(server.Close)
	target, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{Proxy: awsproxy.New(target, opts), back: back, server: server, client: &http.Client{Transport: &http.Transport{}}}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("seed %d\n%s", f.Seed(), f.Snapshot())
		}
	})
	if f.url, f.stop, err = f.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.stop)
	retryer := func() aws.Retryer {
		return retry.NewStandard(func(o *retry.StandardOptions) {
			o.MaxAttempts = attempts
			o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
		})
	}
	t.Cleanup(f.client.CloseIdleConnections)
	cfg := aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String(f.url), Retryer: retryer, HTTPClient: f.client,
		Credentials: credentials.NewStaticCredentialsProvider("AKIDCALLER", "secret", ""),
	}
	f.ddb, f.sqs = dynamodb.NewFromConfig(cfg), sqs.NewFromConfig(cfg)
	return f
}

// within bounds a test step that may hang.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}
