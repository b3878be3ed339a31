package awsproxy

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
)

// protocol decides how an error is written.
type protocol int

const (
	restJSON protocol = iota
	restXML
	awsJSON
	awsQuery
)

// targets maps the X-Amz-Target prefix, up to its date, to the service for
// requests whose credential scope does not say it.
var targets = map[string]string{
	"AWSEvents":        "events",
	"AWSStepFunctions": "states",
	"AmazonSQS":        "sqs",
	"AmazonSSM":        "ssm",
	"DynamoDB":         "dynamodb",
	"DynamoDBStreams":  "dynamodbstreams",
	"Logs":             "logs",
	"TrentService":     "kms",
	"secretsmanager":   "secretsmanager",
}

// buffered tells whether the proxy reads the call's bodies.
func buffered(r *http.Request) bool {
	return r.Header.Get("X-Amz-Target") != "" || isForm(r)
}

func isForm(r *http.Request) bool {
	return r.Method == http.MethodPost &&
		strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded")
}

// recognise names the call. body is nil for calls that are streamed.
func recognise(r *http.Request, body []byte) Call {
	c := Call{
		UserAgent: r.UserAgent(), Method: r.Method, Path: r.URL.Path,
		Operation: r.Method, Statements: 1, Request: body,
	}
	c.Caller, c.Service = scope(r)
	target := r.Header.Get("X-Amz-Target")
	switch {
	case target != "":
		c.protocol = awsJSON
		prefix, operation, _ := strings.Cut(target, ".")
		prefix, _, _ = strings.Cut(prefix, "_")
		c.Operation = operation
		if known := targets[prefix]; c.Service == "" || known == "dynamodbstreams" {
			c.Service = known
		}
		c.weigh(body)
	case isForm(r):
		if form, err := url.ParseQuery(string(body)); err == nil && form.Get("Action") != "" {
			c.protocol = awsQuery
			c.Operation = form.Get("Action")
		}
	case r.URL.Query().Get("Action") != "":
		c.protocol = awsQuery
		c.Operation = r.URL.Query().Get("Action")
	case c.Service == "s3":
		c.protocol = restXML
	case c.Service == "lambda" && strings.HasSuffix(r.URL.Path, "/invocations"):
		c.Operation = "Invoke"
	case c.Service == "" && isAPI(r):
		c.Service = "execute-api"
	}
	return c
}

// isAPI knows how emulators address API Gateway stages.
func isAPI(r *http.Request) bool {
	return strings.HasPrefix(r.URL.Path, "/restapis/") ||
		strings.HasPrefix(r.URL.Path, "/_aws/execute-api/") ||
		strings.Contains(r.Host, ".execute-api.")
}

// scope reads the access key id and the service from the credential scope
// (key/date/region/service/aws4_request) of the header or a presigned URL.
func scope(r *http.Request) (key, service string) {
	var credential string
	if auth := r.Header.Get("Authorization"); strings.HasPrefix(auth, "AWS4-") {
		_, rest, _ := strings.Cut(auth, "Credential=")
		credential, _, _ = strings.Cut(rest, ",")
	} else {
		credential = r.URL.Query().Get("X-Amz-Credential")
	}
	parts := strings.Split(strings.TrimSpace(credential), "/")
	if len(parts) < 4 { // SigV4a scopes have no region
		return "", ""
	}
	return parts[0], parts[len(parts)-2]
}

// batchRequest holds the parts of request bodies that are counted.
type batchRequest struct {
	Statement          string
	Statements         []struct{ Statement string }
	TransactStatements []struct{ Statement string }
	TransactItems      []json.RawMessage
	RequestItems       map[string]json.RawMessage
	Entries            []struct {
		ID string `json:"Id"`
	}
}

// weigh counts what a call asks for. A body that cannot be read counts as one.
func (c *Call) weigh(body []byte) {
	var b batchRequest
	decode := func() { _ = json.Unmarshal(body, &b) }
	switch c.Service {
	case "dynamodb":
		switch c.Operation {
		case "GetItem", "Query", "Scan":
			c.Reads = 1
		case "PutItem", "UpdateItem", "DeleteItem":
			c.Writes = 1
		case "ExecuteStatement":
			decode()
			c.add(b.Statement)
		case "BatchExecuteStatement":
			decode()
			c.Statements = len(b.Statements)
			for _, s := range b.Statements {
				c.add(s.Statement)
			}
		case "ExecuteTransaction":
			decode()
			c.Statements = len(b.TransactStatements)
			for _, s := range b.TransactStatements {
				c.add(s.Statement)
			}
		case "TransactGetItems":
			decode()
			c.Statements, c.Reads = len(b.TransactItems), len(b.TransactItems)
		case "TransactWriteItems":
			decode()
			c.Statements, c.Writes = len(b.TransactItems), len(b.TransactItems)
		case "BatchGetItem":
			decode()
			for _, raw := range b.RequestItems {
				var t struct{ Keys []json.RawMessage }
				_ = json.Unmarshal(raw, &t)
				c.Reads += len(t.Keys)
			}
			c.Statements = c.Reads
		case "BatchWriteItem":
			decode()
			for _, raw := range b.RequestItems {
				var t []json.RawMessage
				_ = json.Unmarshal(raw, &t)
				c.Writes += len(t)
			}
			c.Statements = c.Writes
		}
	case "sqs":
		switch c.Operation {
		case "SendMessageBatch", "DeleteMessageBatch", "ChangeMessageVisibilityBatch":
			decode()
			c.Statements = len(b.Entries)
			for _, e := range b.Entries {
				c.ids = append(c.ids, e.ID)
			}
		}
	}
}

// add counts one PartiQL statement.
func (c *Call) add(statement string) {
	if s := strings.TrimSpace(statement); len(s) >= 6 && strings.EqualFold(s[:6], "SELECT") {
		c.Reads++
	} else {
		c.Writes++
	}
}
