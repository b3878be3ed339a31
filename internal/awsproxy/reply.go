package awsproxy

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// Error is what a client sees of an injected fault, written in the protocol
// of its call.
type Error struct {
	// Status of the answer. Ignored for one entry of a batch.
	Status int
	// Code is the error's name without namespace. Defaults to the service's
	// name for an internal error, or for throttling if Status is 400.
	Code string
	// Message defaults to a text that says it was injected.
	Message string
	// Cut resets the connection instead of answering.
	Cut bool
}

// Errors that tests want most. The SDK retries each of them, except inside a
// batch, where that is up to the caller.
var (
	// ServerError is a 500.
	ServerError = Error{Status: http.StatusInternalServerError}
	// Throttling is a 400 that asks the client to slow down.
	Throttling = Error{Status: http.StatusBadRequest}
	// Reset is a TCP connection that ends without an answer.
	Reset = Error{Cut: true}
)

// code names the error as the call's service would.
func (e Error) code(c *Call) string {
	switch {
	case e.Code != "":
		return e.Code
	case e.throttles() && c.protocol == awsJSON:
		return "ThrottlingException"
	case e.throttles():
		return "Throttling"
	case c.Service == "dynamodb", c.Service == "dynamodbstreams":
		return "InternalServerError"
	case c.Service == "s3":
		return "InternalError"
	case c.Service == "secretsmanager":
		return "InternalServiceError"
	}
	return "InternalFailure"
}

// entryCode names the error of one statement or entry.
func (e Error) entryCode(c *Call) string {
	switch {
	case e.Code != "":
		return e.Code
	case e.throttles() && c.Service == "dynamodb":
		return "ThrottlingError"
	case e.throttles():
		return "ThrottlingException"
	case c.Service == "dynamodb":
		return "InternalServerError"
	}
	return "InternalError"
}

func (e Error) throttles() bool { return e.Status == http.StatusBadRequest }

func (e Error) message() string { return cmp.Or(e.Message, "injected by the test proxy") }

// namespaces qualify __type where the real services do.
var namespaces = map[string]string{
	"dynamodb": "com.amazonaws.dynamodb.v20120810#",
	"sqs":      "com.amazonaws.sqs#",
}

// answer writes the error for a call.
func (e Error) answer(c *Call) *answer {
	code := e.code(c)
	id := fmt.Sprintf("00000000-0000-4000-8000-%012d", c.Seq)
	h := http.Header{}
	h.Set("X-Amzn-Requestid", id)
	a := &answer{status: cmp.Or(e.Status, http.StatusInternalServerError), header: h}
	switch c.protocol {
	case awsJSON:
		h.Set("Content-Type", "application/x-amz-json-1.0")
		h.Set("X-Amzn-Errortype", code)
		a.body = marshal(map[string]string{"__type": namespaces[c.Service] + code, "message": e.message()})
	case restJSON:
		h.Set("Content-Type", "application/json")
		h.Set("X-Amzn-Errortype", code)
		a.body = marshal(map[string]string{"message": e.message()})
	case awsQuery:
		fault := "Sender"
		if a.status >= http.StatusInternalServerError {
			fault = "Receiver"
		}
		h.Set("Content-Type", "text/xml")
		a.body = fmt.Appendf(nil, "<ErrorResponse><Error><Type>%s</Type><Code>%s</Code><Message>%s</Message></Error>"+
			"<RequestId>%s</RequestId></ErrorResponse>", fault, escape(code), escape(e.message()), id)
	case restXML:
		h.Set("Content-Type", "application/xml")
		a.body = fmt.Appendf(nil, "<Error><Code>%s</Code><Message>%s</Message><RequestId>%s</RequestId></Error>",
			escape(code), escape(e.message()), id)
	}
	return a
}

var escape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace

// marshal encodes values that cannot fail.
func marshal(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}
