package memstack

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"

	"github.com/spillway-go/spillway/pkg/client"
)

// Limits of API Gateway
// (https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-execution-service-limits-table.html).
const (
	gatewayTimeout = 29 * time.Second
	maxRequest     = 10 << 20
)

// apiURL is where the API of every stack is.
const (
	apiID   = "memstack"
	apiHost = apiID + ".execute-api." + region + ".amazonaws.com"
	apiURL  = "https://" + apiHost + "/v1"
)

// route is a method and a path of the API, and the function behind it.
type route struct {
	method, path string // such as /tasks/{id}
	function     *function
}

// gatewayResponse is an answer that API Gateway makes itself.
type gatewayResponse struct {
	StatusCode         int
	ResponseParameters struct{ Headers map[string]string }
	ResponseTemplates  map[string]string
}

// gateway is the API of a stack, for one caller.
type gateway struct {
	stack     *Stack
	principal string // unique id of an IAM principal
}

// API sends requests to the stack's API as one IAM principal, whose unique id
// makes the tenant. A signature is neither needed nor looked at.
func (s *Stack) API(principal string) http.RoundTripper { return gateway{s, principal} }

// Client is a client of the stack's API as one IAM principal.
func (s *Stack) Client(principal string) *client.Client {
	c, err := client.New(apiURL, &client.Options{HTTPClient: &http.Client{Transport: s.API(principal)}})
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// RoundTrip implements [http.RoundTripper].
func (g gateway) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := readBody(r)
	if err != nil {
		return nil, err
	}
	response, err := g.answer(r, body)
	if response != nil {
		response.Request = r
		response.Header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	}
	return response, err
}

func (g gateway) answer(r *http.Request, body []byte) (*http.Response, error) {
	if len(body) > maxRequest {
		return g.own("REQUEST_TOO_LARGE"), nil
	}
	path := strings.TrimPrefix(r.URL.EscapedPath(), "/v1")
	for _, to := range g.stack.routes {
		parameters, ok := to.matches(r.Method, path)
		if !ok {
			continue
		}
		there, back := g.stack.latencies()
		if err := g.stack.travel(r.Context(), there); err != nil {
			return nil, err
		}
		payload, err := json.Marshal(g.event(r, body, to, parameters))
		if err != nil {
			return nil, err
		}
		response, err := g.invoke(r, to.function, payload)
		if late := g.stack.travel(r.Context(), back); late != nil {
			return nil, late
		}
		return response, err
	}
	return g.own("MISSING_AUTHENTICATION_TOKEN"), nil
}

// invoke answers what the function does, unless it takes too long: its work goes
// on then.
func (g gateway) invoke(r *http.Request, f *function, payload []byte) (*http.Response, error) {
	if len(payload) > maxSync || f.enter() {
		return g.own("DEFAULT_5XX"), nil
	}
	answer := make(chan result, 1)
	g.stack.spawn(func() { answer <- f.invoke(payload) })
	timer := time.NewTimer(gatewayTimeout)
	defer timer.Stop()
	select {
	case <-r.Context().Done():
		return nil, r.Context().Err()
	case <-timer.C:
		return g.own("INTEGRATION_TIMEOUT"), nil
	case out := <-answer:
		var made events.APIGatewayProxyResponse
		if out.kind != "" || json.Unmarshal(out.payload, &made) != nil || made.StatusCode == 0 {
			return g.own("DEFAULT_5XX"), nil
		}
		return proxied(made)
	}
}

// proxied is a function's answer as the client gets it.
func proxied(made events.APIGatewayProxyResponse) (*http.Response, error) {
	body := []byte(made.Body)
	if made.IsBase64Encoded {
		var err error
		if body, err = base64.StdEncoding.DecodeString(made.Body); err != nil {
			return nil, err
		}
	}
	header := http.Header{}
	for name, value := range made.Headers {
		header.Set(name, value)
	}
	for name, values := range made.MultiValueHeaders {
		header[http.CanonicalHeaderKey(name)] = values
	}
	return respond(made.StatusCode, header, body), nil
}

// own is an answer of API Gateway itself, as template.yaml words it.
func (g gateway) own(kind string) *http.Response {
	answer, ok := g.stack.gatewayResponses[kind]
	if !ok {
		g.stack.failf("template.yaml has no gateway response %s", kind)
	}
	header := http.Header{}
	for name, value := range answer.ResponseParameters.Headers {
		header.Set(name, strings.Trim(value, "'"))
	}
	return respond(answer.StatusCode, header, []byte(answer.ResponseTemplates["application/json"]))
}

// matches reports whether a request takes the route, with what stands for the
// names in its path.
func (to route) matches(method, path string) (parameters map[string]string, ok bool) {
	want, got := strings.Split(to.path, "/"), strings.Split(path, "/")
	if method != to.method || len(want) != len(got) {
		return nil, false
	}
	for i := range want {
		name, isName := strings.CutPrefix(want[i], "{")
		if !isName {
			if want[i] != got[i] {
				return nil, false
			}
			continue
		}
		value, err := url.PathUnescape(got[i])
		if err != nil || value == "" {
			return nil, false
		}
		if parameters == nil {
			parameters = map[string]string{}
		}
		parameters[strings.TrimSuffix(name, "}")] = value
	}
	return parameters, true
}

// event is what API Gateway hands to a function behind a proxy integration
// (https://docs.aws.amazon.com/lambda/latest/dg/services-apigateway.html).
func (g gateway) event(r *http.Request, body []byte, to route, parameters map[string]string) events.APIGatewayProxyRequest {
	e := events.APIGatewayProxyRequest{
		Resource: to.path, Path: strings.TrimPrefix(r.URL.Path, "/v1"), HTTPMethod: r.Method, PathParameters: parameters,
		Headers: map[string]string{}, MultiValueHeaders: map[string][]string{}, Body: string(body),
		RequestContext: events.APIGatewayProxyRequestContext{
			AccountID: account, Stage: "v1", DomainName: apiHost, APIID: apiID, ResourcePath: to.path, HTTPMethod: r.Method, Path: r.URL.Path,
			RequestID: g.stack.uuid(), RequestTimeEpoch: time.Now().UnixMilli(), Protocol: "HTTP/1.1",
			Identity: events.APIGatewayRequestIdentity{AccountID: account, Caller: g.principal, User: g.principal, SourceIP: "192.0.2.1", UserAgent: r.UserAgent()},
		},
	}
	for name, values := range r.Header {
		e.MultiValueHeaders[name], e.Headers[name] = values, values[len(values)-1]
	}
	if len(body) > 0 {
		e.Headers["Content-Length"] = strconv.Itoa(len(body))
	}
	for name, values := range r.URL.Query() {
		if e.QueryStringParameters == nil {
			e.QueryStringParameters, e.MultiValueQueryStringParameters = map[string]string{}, map[string][]string{}
		}
		e.QueryStringParameters[name], e.MultiValueQueryStringParameters[name] = values[len(values)-1], values
	}
	if !utf8.Valid(body) {
		e.Body, e.IsBase64Encoded = base64.StdEncoding.EncodeToString(body), true
	}
	return e
}
