package probe

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// caller calls services of AWS without their SDK modules: a probe uses a few
// calls of many, wants each sent once, and wants to see what is answered.
type caller struct {
	cfg    aws.Config
	client *http.Client
	signer *v4.Signer
}

func newCaller(cfg aws.Config) *caller {
	return &caller{cfg: cfg, client: &http.Client{Timeout: 30 * time.Second}, signer: v4.NewSigner()}
}

// apiError is a call that was answered, and refused.
type apiError struct {
	Status  int
	Code    string // without namespace and URL
	Message string
	Body    []byte
}

func (e *apiError) Error() string { return fmt.Sprintf("%d %s: %s", e.Status, e.Code, e.Message) }

// refusal returns the code with which a call was refused, empty if it was not
// even answered or was not refused.
func refusal(err error) string {
	if refused, ok := errors.AsType[*apiError](err); ok {
		return refused.Code
	}
	return ""
}

// isGone reports whether a call was refused because the thing is not there.
func isGone(err error) bool {
	refused, ok := errors.AsType[*apiError](err)
	return ok && (refused.Status == http.StatusNotFound || strings.Contains(refused.Code, "NotFound") || strings.Contains(refused.Code, "NonExistent") || strings.Contains(refused.Code, "DoesNotExist"))
}

// unimplemented reports whether a call was refused because the endpoint does not
// know the operation at all.
func unimplemented(err error) bool {
	refused, ok := errors.AsType[*apiError](err)
	if !ok {
		return false
	}
	switch refused.Code {
	case "UnknownOperationException", "UnknownOperation", "InvalidAction", "UnsupportedOperation", "NotImplemented", "InvalidMethod":
		return true
	default:
		return refused.Status == http.StatusNotImplemented || strings.Contains(refused.Message, "not implemented")
	}
}

// broken reports whether a call failed by the fault of who was called.
func broken(err error) bool {
	refused, ok := errors.AsType[*apiError](err)
	return ok && refused.Status >= http.StatusInternalServerError
}

// object is a JSON object.
type object = map[string]any

// targets are the services that speak JSON with the operation in a header, by
// the name that signs, and the prefix of the operation.
var targets = map[string][2]string{ // prefix, JSON version
	"sqs":            {"AmazonSQS", "1.0"},
	"dynamodb":       {"DynamoDB_20120810", "1.0"},
	"streams":        {"DynamoDBStreams_20120810", "1.0"},
	"states":         {"AWSStepFunctions", "1.0"},
	"events":         {"AWSEvents", "1.1"},
	"logs":           {"Logs_20140328", "1.1"},
	"kms":            {"TrentService", "1.1"},
	"secretsmanager": {"secretsmanager", "1.1"},
	"kinesis":        {"Kinesis_20131202", "1.1"},
}

// signingNames are those that differ from the service's.
var signingNames = map[string]string{"streams": "dynamodb", "cloudwatch": "monitoring"}

// versions of the services that take forms.
var versions = map[string]string{
	"sts": "2011-06-15", "iam": "2010-05-08", "cloudformation": "2010-05-15", "cloudwatch": "2010-08-01",
}

// json calls an operation of a service in targets.
func (c *caller) json(ctx context.Context, service, operation string, in object) (object, error) {
	t := targets[service]
	header := http.Header{"Content-Type": {"application/x-amz-json-" + t[1]}, "X-Amz-Target": {t[0] + "." + operation}}
	out, err := c.objects(ctx, service, http.MethodPost, "/", header, in)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", service, operation, err)
	}
	return out, nil
}

// rest calls a service whose operations are methods and paths, in JSON. A nil in
// sends no body.
func (c *caller) rest(ctx context.Context, service, method, path string, in object) (object, error) {
	header := http.Header{}
	if in != nil {
		header.Set("Content-Type", "application/json")
	}
	out, err := c.objects(ctx, service, method, path, header, in)
	if err != nil {
		return nil, fmt.Errorf("%s %s %s: %w", service, method, path, err)
	}
	return out, nil
}

// objects sends an object, unless it is nil, and reads one; no answer is an
// empty one.
func (c *caller) objects(ctx context.Context, service, method, path string, header http.Header, in object) (object, error) {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return nil, err
		}
	}
	answer, err := c.send(ctx, service, method, path, header, body)
	if err != nil || len(answer) == 0 {
		return object{}, err
	}
	out := object{}
	return out, json.Unmarshal(answer, &out)
}

// query calls a service that takes a form and answers XML, which is returned as
// it is.
func (c *caller) query(ctx context.Context, service, action string, in map[string]string) ([]byte, error) {
	form := url.Values{"Action": {action}, "Version": {versions[service]}}
	for k, v := range in {
		form.Set(k, v)
	}
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	answer, err := c.send(ctx, service, http.MethodPost, "/", header, []byte(form.Encode()))
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", service, action, err)
	}
	return answer, nil
}

// endpoint is the URL of a service, without a slash at its end.
func (c *caller) endpoint(service string) string {
	if c.cfg.BaseEndpoint != nil {
		return strings.TrimRight(*c.cfg.BaseEndpoint, "/")
	}
	switch service {
	case "iam":
		return "https://iam.amazonaws.com"
	case "streams":
		return "https://streams.dynamodb." + c.cfg.Region + ".amazonaws.com"
	case "cloudwatch":
		return "https://monitoring." + c.cfg.Region + ".amazonaws.com"
	default:
		return "https://" + service + "." + c.cfg.Region + ".amazonaws.com"
	}
}

// send signs a request and returns the answer's body.
func (c *caller) send(ctx context.Context, service, method, path string, header http.Header, body []byte) ([]byte, error) {
	// Of the services used here API Gateway alone allows a call in seconds, not
	// several a second: https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html
	for wait := time.Second; ; wait = min(2*wait, 16*time.Second) {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		// A call that has begun goes on when ctx ends: what it makes has to be known, to be removed again.
		answer, err := c.exchange(context.WithoutCancel(ctx), service, method, path, header, body)
		if refusal(err) != "TooManyRequestsException" || service != "apigateway" {
			return answer.body, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(wait):
		}
	}
}

// reply is what a call was answered.
type reply struct {
	status int // of HTTP; 0 if there was no answer
	header http.Header
	body   []byte // 10 MiB at most
}

// exchange signs a request and returns the answer, also with the error for one
// that refuses it.
func (c *caller) exchange(ctx context.Context, service, method, path string, header http.Header, body []byte) (reply, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.endpoint(service)+path, bytes.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	req.Header = header.Clone()
	if err := c.sign(ctx, req, service, body); err != nil {
		return reply{}, err
	}
	return c.answer(req)
}

// answer sends a request, and reads what is answered.
func (c *caller) answer(req *http.Request) (reply, error) {
	resp, err := c.client.Do(req)
	if err != nil {
		return reply{}, err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, 10<<20))
	_ = resp.Body.Close() // it was read
	if err != nil {
		return reply{}, err
	}
	r := reply{resp.StatusCode, resp.Header, body}
	if r.status >= http.StatusMultipleChoices {
		return r, refusalOf(r)
	}
	return r, nil
}

func (c *caller) sign(ctx context.Context, req *http.Request, service string, body []byte) error {
	if c.cfg.Credentials == nil {
		return errors.New("no AWS credentials")
	}
	creds, err := c.cfg.Credentials.Retrieve(ctx)
	if err != nil {
		return fmt.Errorf("AWS credentials: %w", err)
	}
	name, region := service, c.cfg.Region
	if other, ok := signingNames[service]; ok {
		name = other
	}
	if service == "iam" { // which is global
		region = "us-east-1"
	}
	sum := sha256.Sum256(body)
	return c.signer.SignHTTP(ctx, creds, req, hex.EncodeToString(sum[:]), name, region, time.Now())
}

// refusalOf reads an error in any of the forms that services give it.
func refusalOf(r reply) *apiError {
	e := &apiError{Status: r.status, Code: r.header.Get("X-Amzn-Errortype"), Body: r.body}
	var inJSON struct {
		Type     string `json:"__type"`
		Code     string `json:"code"`
		Message  string `json:"message"`
		Message2 string `json:"Message"`
	}
	var inXML struct {
		Code    string `xml:"Error>Code"`
		Message string `xml:"Error>Message"`
	}
	switch {
	case json.Unmarshal(r.body, &inJSON) == nil:
		if e.Code == "" {
			e.Code = inJSON.Type
		}
		if e.Code == "" {
			e.Code = inJSON.Code
		}
		e.Message = inJSON.Message + inJSON.Message2
	case xml.Unmarshal(r.body, &inXML) == nil:
		e.Code, e.Message = inXML.Code, inXML.Message
	}
	e.Code, _, _ = strings.Cut(e.Code, ":")
	e.Code = e.Code[strings.LastIndexByte(e.Code, '#')+1:]
	return e
}

// text is a field of an answer that is text, or empty.
func text(o object, field string) string {
	s, _ := o[field].(string)
	return s
}

// at is a field of an answer that is an object, or an empty one.
func at(o object, field string) object {
	inner, _ := o[field].(object)
	return inner
}

// list is a field of an answer that is a list of objects, or nil.
func list(o object, field string) []object {
	values, _ := o[field].([]any)
	var out []object
	for _, v := range values {
		if one, ok := v.(object); ok {
			out = append(out, one)
		}
	}
	return out
}
