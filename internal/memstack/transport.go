package memstack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/aws/smithy-go"
)

// Call is one request to an AWS service.
type Call struct {
	// N counts the calls of the stack from 1.
	N int
	// Function is the logical id of the function that makes the call, such as
	// WorkerFunction, and Environment the number of its execution environment,
	// from 1. They are empty for a call of the test.
	Function    string
	Environment int
	// Service is dynamodb, dynamodbstreams, sqs, s3, lambda, secretsmanager or
	// states, and Operation the API's name of the call.
	Service, Operation string
	// Body is the request's, which must not be changed.
	Body []byte
}

func (c Call) String() string {
	by := c.Function
	if by == "" {
		by = "the test"
	}
	return fmt.Sprintf("call %d, %s %s by %s", c.N, c.Service, c.Operation, by)
}

// Fault is what to do to a call. The zero value lets it pass.
type Fault struct {
	// Err is the service's answer. An error of the service's model, or a
	// [smithy.GenericAPIError]: its fault decides whether the status is 400 or
	// 500. An error that is none of the API's breaks the connection.
	Err error
	// Kill ends the execution environment that makes the call, at this call.
	Kill bool
	// AfterEffect lets the call take effect before: its answer is lost.
	AfterEffect bool
}

// ErrThrottled is the answer of a service that throttles, which the SDK tries
// again.
var ErrThrottled = &smithy.GenericAPIError{Code: "ThrottlingException", Message: "Rate exceeded"}

// ErrUnavailable is the answer of a service that fails, status 500, which the SDK
// tries again.
var ErrUnavailable = &smithy.GenericAPIError{Code: "InternalServerError", Message: "Internal server error", Fault: smithy.FaultServer}

// Inject calls f before every call of a service and does what it says. It must
// be safe for concurrent use, and may use the stack's contents. nil ends it.
func (s *Stack) Inject(f func(Call) Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inject = f
}

// Kill ends the execution environment that makes the nth of the calls for which
// match holds, counted from 1 and from now, before the call takes effect or
// after. It returns whether that has happened. It replaces what [Stack.Inject]
// set.
func (s *Stack) Kill(n int, afterEffect bool, match func(Call) bool) (killed func() bool) {
	ofFunction := func(c Call) bool { return c.Function != "" && match(c) }
	return s.atCall(n, ofFunction, Fault{Kill: true, AfterEffect: afterEffect})
}

// Lose breaks the connection of the nth of the calls for which match holds,
// counted from 1 and from now, after the call has taken effect: the SDK repeats
// it. It returns whether that has happened. It replaces what [Stack.Inject] set.
func (s *Stack) Lose(n int, match func(Call) bool) (lost func() bool) {
	return s.atCall(n, match, Fault{Err: errBroken, AfterEffect: true})
}

// atCall does fault to the nth of the calls for which match holds.
func (s *Stack) atCall(n int, match func(Call) bool, fault Fault) (done func() bool) {
	var count int // guarded by mu
	s.Inject(func(c Call) Fault {
		if !match(c) {
			return Fault{}
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if count++; count != n {
			return Fault{}
		}
		return fault
	})
	return func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return count >= n
	}
}

// Errors of connections.
var (
	errGone   = errors.New("memstack: the execution environment has ended")
	errBroken = errors.New("memstack: the connection broke")
)

// transport sends requests: of an execution environment, or of the test.
type transport struct {
	stack *Stack
	env   *environment // nil: of the test
}

// RoundTrip implements [http.RoundTripper].
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := readBody(r)
	if err != nil {
		return nil, err
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if !strings.HasSuffix(r.URL.Hostname(), ".amazonaws.com") {
		return t.deliver(r, body)
	}
	c := recognize(r)
	c.Body = body
	if t.env != nil {
		if err := t.env.mayCall(&c); err != nil {
			return nil, err
		}
		c.Function, c.Environment = t.env.function.id, t.env.number
	}
	fault := t.stack.begin(&c)
	there, back := t.stack.latencies()
	if err := t.stack.travel(r.Context(), there); err != nil {
		return nil, err
	}
	response, err := t.exchange(r, c, fault)
	if late := t.stack.travel(r.Context(), back); late != nil {
		return nil, late // the call may have taken effect
	}
	if response != nil {
		response.Request = r
		if t.env != nil && t.env.isDead() {
			return nil, errGone
		}
	}
	return response, err
}

// exchange lets a call take effect, or what was injected.
func (t transport) exchange(r *http.Request, c Call, fault Fault) (*http.Response, error) {
	harm := func() (*http.Response, error) {
		if fault.Kill && t.env != nil {
			t.env.kill(fmt.Sprintf("killed at %s", c))
			return nil, errGone
		}
		var api smithy.APIError
		if !errors.As(fault.Err, &api) {
			return nil, errors.Join(errBroken, fault.Err)
		}
		return t.stack.refuse(c.Service, fault.Err)
	}
	harmful := fault.Kill || fault.Err != nil
	if harmful && !fault.AfterEffect {
		return harm()
	}
	if t.env != nil && t.env.isDead() { // while the request was under way
		return nil, errGone
	}
	response, err := t.stack.serve(r, c)
	if harmful {
		return harm()
	}
	return response, err
}

// begin counts a call and asks what to do to it.
func (s *Stack) begin(c *Call) Fault {
	s.mu.Lock()
	s.calls++
	c.N = s.calls
	inject := s.inject
	s.mu.Unlock()
	if inject == nil {
		return Fault{}
	}
	return inject(*c)
}

// maxSlow is how late a request or an answer is at most.
const maxSlow = 3 * time.Second

// latencies are how long a request is under way, and its answer.
func (s *Stack) latencies() (there, back time.Duration) {
	if s.opts.Latency < 0 {
		return 0, 0
	}
	there = s.upTo(s.opts.Latency)
	back = s.opts.Latency - there
	for _, way := range []*time.Duration{&there, &back} {
		if s.chance(s.opts.Slow) {
			*way += s.upTo(maxSlow)
		}
	}
	return there, back
}

// travel takes as long as a request or an answer is under way.
func (s *Stack) travel(ctx context.Context, d time.Duration) error {
	if d == 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// serve answers a call as its service does.
func (s *Stack) serve(r *http.Request, c Call) (*http.Response, error) {
	var response *http.Response
	var err error
	switch impl := s.services[c.Service].(type) {
	case nil:
		err = errUnknown
	case restService:
		response, err = impl.serve(r, c)
	default:
		response, err = call(r.Context(), impl, c.Operation, c.Body)
	}
	if err == nil || r.Context().Err() != nil {
		return response, err
	}
	s.failf("%s: %v", c, err)
	return s.refuse(c.Service, &smithy.GenericAPIError{Code: "UnknownOperationException", Message: err.Error()})
}

// refuse is the response for an error, in the service's protocol.
func (s *Stack) refuse(service string, err error) (*http.Response, error) {
	if impl, ok := s.services[service].(restService); ok {
		return impl.refuse(err)
	}
	return failure(err)
}

// restService is a service whose requests are told apart by method and path.
type restService interface {
	serve(*http.Request, Call) (*http.Response, error)
	refuse(error) (*http.Response, error)
}

// targets are the services of X-Amz-Target.
var targets = map[string]string{
	"DynamoDB_20120810": "dynamodb", "DynamoDBStreams_20120810": "dynamodbstreams", "AmazonSQS": "sqs",
	"secretsmanager": "secretsmanager", "AWSStepFunctions": "states",
}

// recognize names the call that a request makes.
func recognize(r *http.Request) Call {
	if prefix, operation, ok := strings.Cut(r.Header.Get("X-Amz-Target"), "."); ok {
		return Call{Service: targets[prefix], Operation: operation}
	}
	host := strings.Split(r.URL.Hostname(), ".")
	switch {
	case host[0] == "lambda":
		return Call{Service: "lambda", Operation: lambdaOperation(r)}
	case host[0] == "s3" || len(host) > 1 && host[1] == "s3":
		return Call{Service: "s3", Operation: r.Method + " object"}
	default:
		return Call{Service: r.URL.Hostname(), Operation: r.Method + " " + r.URL.Path}
	}
}

func readBody(r *http.Request) ([]byte, error) {
	if r.Body == nil {
		return nil, nil
	}
	defer r.Body.Close() //nolint:errcheck // it is read to its end
	return io.ReadAll(r.Body)
}

// deliver hands a request that goes to no AWS service to the test's receiver.
func (t transport) deliver(r *http.Request, body []byte) (*http.Response, error) {
	if t.env != nil && t.env.isDead() {
		return nil, errGone
	}
	there, back := t.stack.latencies()
	if err := t.stack.travel(r.Context(), there); err != nil {
		return nil, err
	}
	if t.stack.opts.Receiver == nil {
		return nil, fmt.Errorf("memstack: no such host as %s: Options.Receiver is nil", r.URL.Host)
	}
	response, err := t.stack.opts.Receiver(r, body)
	if late := t.stack.travel(r.Context(), back); late != nil {
		return nil, late
	}
	return response, err
}
