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
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/smithy-go"

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

// cloud is an AWS on loopback: the doubles of DynamoDB and SQS, and one secret,
// behind the wire protocol. It counts the calls, whatever they are, so a call
// to a metadata service or to STS shows as well.
type cloud struct {
	table  *tasktabletest.DynamoDB
	queues *workqueuetest.SQS
	url    string

	mu    sync.Mutex
	calls map[string]int
	wrong []string // calls that were repeated, not signed as they should be, or not understood
}

func newCloud(tb testing.TB) *cloud {
	tb.Helper()
	c := &cloud{table: tasktabletest.NewDynamoDB(), queues: workqueuetest.New(), calls: map[string]int{}}
	server := httptest.NewServer(c)
	tb.Cleanup(server.Close)
	c.url = server.URL
	return c
}

// GetSecretValue gives the secret that signs webhooks.
func (*cloud) GetSecretValue(context.Context, *secretsmanager.GetSecretValueInput, ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error) {
	return &secretsmanager.GetSecretValueOutput{SecretString: aws.String(`{"current":"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw","previous":""}`)}, nil
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

	out, err := c.serve(r, map[string]any{"DynamoDB_20120810": c.table, "AmazonSQS": c.queues, "secretsmanager": c}[service], operation)
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

// serve reads the request, calls the operation of backend, and returns what to
// answer.
func (c *cloud) serve(r *http.Request, backend any, operation string) (any, error) {
	body, err := io.ReadAll(r.Body) // to its end: an answer before that can cost the connection
	if err != nil {
		return nil, err
	}
	var in any
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, err
	}
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
