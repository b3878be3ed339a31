package awsproxy

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestRecognise(t *testing.T) {
	const (
		scopeOf = "AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/%/aws4_request, SignedHeaders=host, Signature=00"
		form    = "application/x-www-form-urlencoded"
	)
	tests := []struct {
		name, method, url, service, target, contentType, body string
		want                                                  Call
	}{
		{"dynamodb", "POST", "/", "dynamodb", "DynamoDB_20120810.UpdateItem", "", "{}", Call{Service: "dynamodb", Operation: "UpdateItem", Statements: 1, Writes: 1}},
		{"unsigned", "POST", "/", "", "AmazonSQS.SendMessage", "", "{}", Call{Service: "sqs", Operation: "SendMessage", Statements: 1}},
		{"no date in the target", "POST", "/", "secretsmanager", "secretsmanager.GetSecretValue", "", "{}", Call{Service: "secretsmanager", Operation: "GetSecretValue", Statements: 1}},
		{"streams share a signing name", "POST", "/", "dynamodb", "DynamoDBStreams_20120810.GetRecords", "", "{}", Call{Service: "dynamodbstreams", Operation: "GetRecords", Statements: 1}},
		{"unknown target", "POST", "/", "new", "New_2026.Do", "", "{}", Call{Service: "new", Operation: "Do", Statements: 1}},
		{"broken body", "POST", "/", "dynamodb", "DynamoDB_20120810.BatchExecuteStatement", "", "{", Call{Service: "dynamodb", Operation: "BatchExecuteStatement"}},
		{"batch get", "POST", "/", "dynamodb", "DynamoDB_20120810.BatchGetItem", "", `{"RequestItems":{"a":{"Keys":[{},{}]},"b":{"Keys":[{}]}}}`, Call{Service: "dynamodb", Operation: "BatchGetItem", Statements: 3, Reads: 3}},
		{"batch write", "POST", "/", "dynamodb", "DynamoDB_20120810.BatchWriteItem", "", `{"RequestItems":{"a":[{},{}]}}`, Call{Service: "dynamodb", Operation: "BatchWriteItem", Statements: 2, Writes: 2}},
		{"transaction", "POST", "/", "dynamodb", "DynamoDB_20120810.TransactGetItems", "", `{"TransactItems":[{},{}]}`, Call{Service: "dynamodb", Operation: "TransactGetItems", Statements: 2, Reads: 2}},
		{"statement transaction", "POST", "/", "dynamodb", "DynamoDB_20120810.ExecuteTransaction", "", `{"TransactStatements":[{"Statement":"UPDATE"},{"Statement":"SELECT"}]}`, Call{Service: "dynamodb", Operation: "ExecuteTransaction", Statements: 2, Reads: 1, Writes: 1}},
		{"statement", "POST", "/", "dynamodb", "DynamoDB_20120810.ExecuteStatement", "", `{"Statement":"\n select *"}`, Call{Service: "dynamodb", Operation: "ExecuteStatement", Statements: 1, Reads: 1}},
		{"delete batch", "POST", "/", "sqs", "AmazonSQS.DeleteMessageBatch", "", `{"Entries":[{"Id":"a"},{"Id":"b"}]}`, Call{Service: "sqs", Operation: "DeleteMessageBatch", Statements: 2}},
		{"query", "POST", "/", "cloudformation", "", form + "; charset=utf-8", "Action=DescribeStacks&Version=1", Call{Service: "cloudformation", Operation: "DescribeStacks", Statements: 1}},
		{"query in the URL", "GET", "/?Action=ListQueues", "sqs", "", "", "", Call{Service: "sqs", Operation: "ListQueues", Statements: 1}},
		{"form that is no query", "POST", "/token", "", "", form, "grant_type=x", Call{Operation: "POST", Statements: 1}},
		{"s3", "PUT", "/b/k", "s3", "", "", "x", Call{Service: "s3", Operation: "PUT", Statements: 1}},
		{"presigned", "GET", "/b/k?X-Amz-Credential=AKID%2F20260101%2Fus-east-1%2Fs3%2Faws4_request", "", "", "", "", Call{Service: "s3", Operation: "GET", Statements: 1}},
		{"invoke", "POST", "/2015-03-31/functions/f/invocations", "lambda", "", "", "{}", Call{Service: "lambda", Operation: "Invoke", Statements: 1}},
		{"lambda", "GET", "/2015-03-31/functions/f", "lambda", "", "", "", Call{Service: "lambda", Operation: "GET", Statements: 1}},
		{"api by path", "POST", "/_aws/execute-api/id/prod/tasks", "", "", "", "{}", Call{Service: "execute-api", Operation: "POST", Statements: 1}},
		{"api by host", "GET", "http://id.execute-api.localhost:4566/prod/tasks", "", "", "", "", Call{Service: "execute-api", Operation: "GET", Statements: 1}},
		{"health", "GET", "/_ministack/health", "", "", "", "", Call{Operation: "GET", Statements: 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequestWithContext(t.Context(), tt.method, tt.url, http.NoBody)
			if tt.service != "" {
				r.Header.Set("Authorization", strings.Replace(scopeOf, "%", tt.service, 1))
			}
			r.Header.Set("X-Amz-Target", tt.target)
			r.Header.Set("Content-Type", tt.contentType)
			got := recognise(r, []byte(tt.body))
			if got.Service != tt.want.Service || got.Operation != tt.want.Operation || got.Statements != tt.want.Statements ||
				got.Reads != tt.want.Reads || got.Writes != tt.want.Writes {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
			if (tt.service != "" || tt.name == "presigned") && got.Caller != "AKID" {
				t.Errorf("caller: got %q", got.Caller)
			}
		})
	}
}

func TestScopeWithoutRegion(t *testing.T) {
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
	r.Header.Set("Authorization", "AWS4-ECDSA-P256-SHA256 Credential=AKID/20260101/s3/aws4_request, SignedHeaders=host, Signature=00")
	if key, service := scope(r); key != "AKID" || service != "s3" {
		t.Errorf("got %q %q", key, service)
	}
}

func TestErrorCodes(t *testing.T) {
	for in, want := range map[string]string{
		"com.amazonaws.dynamodb.v20120810#ThrottlingException": "ThrottlingException",
		"ThrottlingException:http://internal.amazon.com/":      "ThrottlingException",
		"aws.protocoltests#Foo:http://internal.amazon.com/":    "Foo",
		"": "",
	} {
		if got := bare(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
	if got := xmlCode([]byte("<ErrorResponse><Error><Type>Sender</Type><Code>Missing</Code></Error></ErrorResponse>")); got != "Missing" {
		t.Errorf("got %q", got)
	}
	if got := xmlCode([]byte("nonsense")); got != "" {
		t.Errorf("got %q", got)
	}
}
