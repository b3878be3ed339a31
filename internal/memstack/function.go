package memstack

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"runtime/debug"
	"runtime/pprof"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambda/messages"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"github.com/spillway-go/spillway/internal/app"
)

// Limits of Lambda.
const (
	// maxVariables is how many bytes a function's variables have at most, as
	// JSON (https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html).
	maxVariables = 4096
	// maxSync is the largest event and the largest answer of a synchronous
	// invocation, maxAsync the largest event of an asynchronous one: 6 MB and
	// 1 MB (https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html), taken
	// for powers of two.
	maxSync  = 6 << 20
	maxAsync = 1 << 20
)

// function is a Lambda function: the real one, in execution environments of
// its own.
type function struct {
	stack     *Stack
	id, name  string
	setup     func(*app.Env) (any, error)
	variables map[string]string
	timeout   time.Duration
	reserved  int // concurrency; 0: none
	async     asyncConfig

	mu          sync.Mutex
	idle        []*environment // the one that was used last is used next
	made        int
	busy        int
	invocations int
}

// environment is an execution environment: a process with one handler, which is
// called by one invocation at a time.
type environment struct {
	function *function
	number   int
	handler  lambda.Handler

	mu     sync.Mutex
	active bool          // an invocation, or the init phase, is under way
	dead   bool          // the process has ended
	why    string        // it has
	ended  chan struct{} // closed when it has
}

// result is what an invocation answers. kind is that of a function error, empty
// without one.
type result struct {
	payload []byte
	kind    string
}

// problem is the payload of a function error.
type problem struct {
	Message string `json:"errorMessage"`
	Type    string `json:"errorType"`
}

// unhandled is the kind of function error that Go functions have.
const unhandled = "Unhandled"

// failed is the answer of a function that has failed.
func failed(message, typ string) result {
	payload, err := json.Marshal(problem{Message: message, Type: typ})
	if err != nil {
		panic(err) // two texts
	}
	return result{payload: payload, kind: unhandled}
}

// checkVariables finds what Lambda refuses of a function's variables.
func checkVariables(variables map[string]string) error {
	text, err := json.Marshal(variables)
	if err != nil {
		return err
	}
	if len(text) > maxVariables {
		return fmt.Errorf("the environment variables have %d bytes, and may have 4 KB", len(text))
	}
	return nil
}

// enter lets an invocation in, unless it exceeds the reserved concurrency.
func (f *function) enter() (throttled bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.reserved > 0 && f.busy >= f.reserved {
		return true
	}
	f.busy++
	f.invocations++
	return false
}

// invoke runs the function once, in an environment that waits or in a new one.
// enter must have let it in. It returns when the function has answered or its
// process has ended.
func (f *function) invoke(payload []byte) result {
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.busy--
	}()
	env, err := f.environment()
	if err != nil {
		f.stack.failf("%s: init: %v", f.id, err)
		return failed(err.Error(), "Runtime.ExitError")
	}
	id := f.stack.uuid()
	r := env.run(id, payload)
	if len(r.payload) > maxSync {
		// https://docs.aws.amazon.com/lambda/latest/dg/troubleshooting-invocation.html
		r = failed(fmt.Sprintf("Response payload size (%d bytes) exceeded maximum allowed payload size (%d bytes).", len(r.payload), maxSync), "Function.ResponseSizeTooLarge")
	}
	f.stack.logInvocation(f, env, id, payload, r)
	return r
}

// environment returns an environment that is free, with its init phase done.
func (f *function) environment() (*environment, error) {
	f.mu.Lock()
	for len(f.idle) > 0 {
		env := f.idle[len(f.idle)-1]
		f.idle = f.idle[:len(f.idle)-1]
		if !env.isDead() {
			f.mu.Unlock()
			env.setActive(true)
			return env, nil
		}
	}
	f.made++
	env := &environment{function: f, number: f.made, active: true, ended: make(chan struct{})}
	f.mu.Unlock()
	handler, err := f.setup(app.NewEnv(env.getenv, app.WithTransport(transport{stack: f.stack, env: env})))
	if err != nil {
		return nil, err
	}
	env.handler = lambda.NewHandler(handler)
	return env, nil
}

// getenv reads what the template and Lambda put into the environment
// (https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html).
func (e *environment) getenv(name string) string {
	switch name {
	case "AWS_REGION":
		return region
	case "AWS_ACCESS_KEY_ID":
		return "ASIAEXAMPLE"
	case "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN":
		return "example"
	case "AWS_LAMBDA_FUNCTION_NAME":
		return e.function.name
	}
	return e.function.variables[name]
}

// run calls the handler, and ends the process when the time is up
// (https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html).
func (e *environment) run(id string, payload []byte) result {
	f := e.function
	ctx, cancel := context.WithTimeout(f.stack.ctx, f.timeout)
	defer cancel()
	ctx = lambdacontext.NewContext(ctx, &lambdacontext.LambdaContext{AwsRequestID: id, InvokedFunctionArn: f.arn()})
	answer := make(chan result, 1)
	f.stack.spawn(func() {
		pprof.Do(ctx, pprof.Labels(label, f.stack.mark+f.id+" "+id), func(ctx context.Context) { answer <- e.handle(ctx, payload) })
	})
	deadline := time.NewTimer(f.timeout)
	defer deadline.Stop()
	select {
	case r := <-answer:
		if e.isDead() { // killed while it returned
			return e.gone()
		}
		e.setActive(false)
		f.stack.freeze(f.stack.mark + f.id + " " + id)
		f.mu.Lock()
		defer f.mu.Unlock()
		f.idle = append(f.idle, e)
		return r
	case <-e.ended:
		return e.gone()
	case <-deadline.C:
		e.kill(fmt.Sprintf("Task timed out after %.2f seconds", f.timeout.Seconds()))
		return failed(id+" "+e.why, "Sandbox.Timedout")
	}
}

// gone is the answer of a process that has ended.
func (e *environment) gone() result {
	e.mu.Lock()
	defer e.mu.Unlock()
	return failed("RequestId: Error: Runtime exited: "+e.why, "Runtime.ExitError")
}

// handle calls the handler. A panic ends the process, as the runtime of Go
// functions does.
func (e *environment) handle(ctx context.Context, payload []byte) (r result) {
	defer func() {
		if p := recover(); p != nil {
			r = failed(fmt.Sprint(p), reflect.TypeOf(p).String())
			e.function.stack.logf("%s panicked: %v\n%s", e.function.id, p, debug.Stack())
			e.mu.Lock()
			defer e.mu.Unlock()
			e.end("panic")
		}
	}()
	out, err := e.handler.Invoke(ctx, payload)
	if own, ok := err.(messages.InvokeResponse_Error); ok { //nolint:errorlint // the runtime looks at no error within
		return failed(own.Message, own.Type)
	}
	if err != nil {
		typ := reflect.TypeOf(err)
		for typ.Kind() == reflect.Pointer {
			typ = typ.Elem()
		}
		return failed(err.Error(), typ.Name())
	}
	return result{payload: bytes.Clone(out)} // the handler reuses its buffer
}

// kill ends the process: what it calls from now on fails, and its invocation
// ends at once.
func (e *environment) kill(why string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.end(why)
}

// end is kill; mu must be held.
func (e *environment) end(why string) {
	if !e.dead {
		e.dead, e.active, e.why = true, false, why
		close(e.ended)
	}
}

func (e *environment) isDead() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.dead
}

func (e *environment) setActive(active bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.active = active
}

// mayCall refuses a call of a process that has ended. One between invocations
// would be frozen on AWS, so it is a mistake of the function.
func (e *environment) mayCall(c *Call) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.dead:
		return errGone
	case !e.active:
		e.function.stack.failf("%s calls %s %s after its invocation has ended; Lambda freezes the environment", e.function.id, c.Service, c.Operation)
		return errGone
	}
	return nil
}

// label marks the goroutines of an invocation.
const label = "memstack invocation"

func (f *function) arn() string {
	return "arn:aws:lambda:" + region + ":" + account + ":function:" + f.name
}
