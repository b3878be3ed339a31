package memstack

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// lambdaAPI is the Lambda service, as far as functions and their operators call
// it.
type lambdaAPI struct{ stack *Stack }

// lambdaOperation names a request by its path
// (https://docs.aws.amazon.com/lambda/latest/api/API_Operations.html).
func lambdaOperation(r *http.Request) string {
	switch path := r.URL.Path; {
	case r.Method == http.MethodPost && strings.HasSuffix(path, "/invocations"):
		return "Invoke"
	case strings.Contains(path, "/event-source-mappings/") && !strings.HasSuffix(path, "/"):
		return map[string]string{http.MethodGet: "GetEventSourceMapping", http.MethodPut: "UpdateEventSourceMapping"}[r.Method]
	case r.Method == http.MethodGet && strings.HasSuffix(strings.TrimSuffix(path, "/"), "/event-source-mappings"):
		return "ListEventSourceMappings"
	default:
		return r.Method + " " + path
	}
}

// serve implements [restService].
func (l lambdaAPI) serve(r *http.Request, c Call) (*http.Response, error) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	switch c.Operation {
	case "Invoke":
		return l.invoke(r, parts[2], c.Body)
	case "GetEventSourceMapping", "UpdateEventSourceMapping":
		m := l.stack.mappingByUUID(parts[2])
		if m == nil {
			return l.refuse(&types.ResourceNotFoundException{Message: aws.String("The resource you requested does not exist."), Type: aws.String("User")})
		}
		if c.Operation == "UpdateEventSourceMapping" {
			var in update
			if err := json.Unmarshal(c.Body, &in); err != nil {
				return nil, err
			}
			if err := m.update(in); err != nil {
				return l.refuse(err)
			}
			return l.answer(http.StatusAccepted, m.describe())
		}
		return l.answer(http.StatusOK, m.describe())
	case "ListEventSourceMappings":
		return l.list(r.URL.Query().Get("FunctionName"))
	default:
		return nil, errUnknown
	}
}

// list answers the mappings of a function, of all without a name.
func (l lambdaAPI) list(name string) (*http.Response, error) {
	found := []map[string]any{}
	for _, m := range l.stack.mappings {
		if name == "" || m.function == l.stack.byName(name) {
			found = append(found, m.describe())
		}
	}
	return l.answer(http.StatusOK, map[string]any{"EventSourceMappings": found})
}

func (l lambdaAPI) answer(status int, v any) (*http.Response, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return respond(status, http.Header{"Content-Type": {"application/json"}}, text), nil
}

// invoke answers an invocation; a synchronous one when the function has
// answered, whose work goes on if the caller does not wait for it
// (https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html).
func (l lambdaAPI) invoke(r *http.Request, name string, payload []byte) (*http.Response, error) {
	f := l.stack.byName(name)
	if f == nil {
		return l.refuse(&types.ResourceNotFoundException{Message: aws.String("Function not found: " + name), Type: aws.String("User")})
	}
	limit, async := maxSync, r.Header.Get("X-Amz-Invocation-Type") == string(types.InvocationTypeEvent)
	if async {
		limit = maxAsync
	}
	if len(payload) > limit {
		return l.refuse(&types.RequestTooLargeException{Message: aws.String("Request must be smaller than the limit for the InvokeFunction operation"), Type: aws.String("User")})
	}
	if len(payload) == 0 {
		payload = []byte("{}")
	}
	if async {
		l.stack.invokeAsync(f, payload)
		return respond(http.StatusAccepted, nil, nil), nil
	}
	if f.enter() {
		return l.refuse(&types.TooManyRequestsException{Message: aws.String("Rate Exceeded."), Reason: types.ThrottleReasonReservedFunctionConcurrentInvocationLimitExceeded})
	}
	answer := make(chan result, 1)
	l.stack.spawn(func() { answer <- f.invoke(payload) })
	select {
	case <-r.Context().Done():
		return nil, r.Context().Err()
	case out := <-answer:
		header := http.Header{"X-Amz-Executed-Version": {"$LATEST"}}
		if out.kind != "" {
			header.Set("X-Amz-Function-Error", out.kind)
		}
		return respond(http.StatusOK, header, out.payload), nil
	}
}

// lambdaStatuses are those of the errors that differ from 400
// (https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html#API_Invoke_Errors).
var lambdaStatuses = map[string]int{
	"ResourceNotFoundException": http.StatusNotFound, "RequestTooLargeException": http.StatusRequestEntityTooLarge,
	"TooManyRequestsException": http.StatusTooManyRequests, "ServiceException": http.StatusInternalServerError,
}

// refuse implements [restService].
func (l lambdaAPI) refuse(err error) (*http.Response, error) {
	response, err := failure(err)
	if err != nil {
		return nil, err
	}
	var info struct {
		Type string `json:"__type"`
	}
	text, err := readAll(response)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &info); err != nil {
		return nil, err
	}
	_, kind, _ := strings.Cut(info.Type, "#")
	status := response.StatusCode
	if other, ok := lambdaStatuses[kind]; ok {
		status = other
	}
	return respond(status, http.Header{"Content-Type": {"application/json"}, "X-Amzn-Errortype": {kind}}, text), nil
}
