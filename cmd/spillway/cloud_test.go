package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/spillway-go/spillway/internal/memstack"
	"github.com/spillway-go/spillway/pkg/client"
	"github.com/spillway-go/spillway/pkg/webhook"
)

// cloud is a stack in memory, whose real API and admin function the command line
// talks to. It lives in a [synctest] bubble.
type cloud struct {
	*wire
	api   *apiWire
	stack *memstack.Stack

	unsigned bool // signatures of webhooks get lost

	mu       sync.Mutex
	hooks    map[string]int // what receivers of webhooks answer, by path; 503 if they are not here
	receiver http.Handler   // answers all webhooks while the demonstration runs
}

// inCloud runs a test in a bubble with a stack, each of whose tasks has one
// attempt. Parameters are pairs of a name and a value.
func inCloud(t *testing.T, test func(c *cloud), parameters ...string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := &cloud{hooks: map[string]int{}}
		opts := memstack.Options{Parameters: map[string]string{"MaxAttempts": "1"}, Receiver: c.receive, Latency: -1}
		for i := 0; i < len(parameters); i += 2 {
			opts.Parameters[parameters[i]] = parameters[i+1]
		}
		c.stack = memstack.New(t, opts)
		c.wire = newWire(t, nil)
		c.next, c.function = c.stack.Config().HTTPClient, c.stack.Name("AdminFunction")
		c.api = &apiWire{next: c.stack.API(cloudTenant)}
		test(c)
	})
}

// receive answers a webhook.
func (c *cloud) receive(r *http.Request, body []byte) (*http.Response, error) {
	to := httptest.NewRecorder()
	c.mu.Lock()
	receiver, status := c.receiver, cmp.Or(c.hooks[r.URL.Path], http.StatusServiceUnavailable)
	c.mu.Unlock()
	if receiver == nil {
		to.WriteHeader(status)
		return to.Result(), nil
	}
	r = r.Clone(r.Context())
	r.Body = io.NopCloser(bytes.NewReader(body))
	if c.unsigned {
		r.Header.Del(webhook.HeaderSignature)
	}
	receiver.ServeHTTP(to, r)
	return to.Result(), r.Context().Err()
}

// hook says what the receivers of these paths answer from now on.
func (c *cloud) hook(status int, paths ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, path := range paths {
		c.hooks[path] = status
	}
}

// listen is the network that the demonstration's receiver listens on.
func (c *cloud) listen(_ context.Context, _ string, h http.Handler) (url string, stop func(), err error) {
	set := func(h http.Handler) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.receiver = h
	}
	set(h)
	return hooksURL, func() { set(nil) }, nil
}

// newOperator is an app that reaches the stack, at the pace of a terminal.
func (c *cloud) newOperator() *testApp {
	ta := c.wire.newOperator()
	ta.cfg = c.stack.Config()
	ta.cfg.HTTPClient = c.wire
	ta.stack = stackOf("spillway", "UPDATE_COMPLETE", map[string]string{"AdminFunctionName": c.function, "ApiUrl": cloudAPI, "Version": "0.1.0"})
	ta.api, ta.listen, ta.pace = c.api, c.listen, defaultPace
	return ta
}

func (c *cloud) atTerminal(text string) *testApp { return typing(c.newOperator(), text) }

const (
	cloudTenant = "AIDAEXAMPLETENANT"
	cloudAPI    = fakeEndpoint + "/v1"
	hooksURL    = "https://hooks.example.com"
)

// submit submits a task past the command line.
func (c *cloud) submit(request client.SubmitRequest) *client.Task {
	c.t.Helper()
	task, err := c.stack.Client(cloudTenant).Submit(c.t.Context(), request)
	if err != nil {
		c.t.Fatal(err)
	}
	return task
}

// toHook is the input of a webhook to a path.
func toHook(path string) json.RawMessage {
	return json.RawMessage(fmt.Sprintf(`{"url":"%s%s","event":"order","payload":{"n":1}}`, hooksURL, path))
}

// deliver submits webhooks to paths, waits for their ends, and returns the
// tasks' ids.
func (c *cloud) deliver(want client.Status, paths ...string) (ids []string) {
	c.t.Helper()
	for _, path := range paths {
		ids = append(ids, c.submit(client.SubmitRequest{Type: "webhook.deliver", Input: toHook(path)}).ID)
	}
	for _, id := range ids {
		task, err := c.stack.Client(cloudTenant).Wait(c.t.Context(), id)
		if err != nil {
			c.t.Fatal(err)
		}
		if task.Status != want {
			c.t.Fatalf("task %+v, want %s", task, want)
		}
	}
	return ids
}

// dead makes n dead letters, whose receivers are healthy then.
func (c *cloud) dead(n int) (ids []string) {
	c.t.Helper()
	paths := make([]string, n)
	for i := range paths {
		paths[i] = fmt.Sprintf("/%d", i)
	}
	c.hook(http.StatusServiceUnavailable, paths...)
	ids = c.deliver(client.DeadLettered, paths...)
	c.hook(http.StatusOK, paths...)
	return ids
}

// letters is how many messages lie in the dead-letter queue.
func (c *cloud) letters() int { return len(c.stack.SQS.Messages(c.stack.Name("DeadLetterQueue"))) }

// run runs a command line and checks its exit code.
func (c *cloud) run(ta *testApp, code int, args ...string) {
	c.t.Helper()
	if got := ta.try(c.t, "", args...); got != code {
		c.t.Errorf("spillway %s: exit %d, want %d", strings.Join(args, " "), got, code)
	}
}

// background invokes the admin function as another operator does who does not
// wait.
func (c *cloud) background(payload string) {
	c.t.Helper()
	_, err := lambda.NewFromConfig(c.stack.Config()).Invoke(c.t.Context(), &lambda.InvokeInput{
		FunctionName: &c.function, InvocationType: types.InvocationTypeEvent, Payload: []byte(payload),
	})
	if err != nil {
		c.t.Error(err)
	}
}

// replays matches a call with which the admin function puts a dead letter back.
func replays(call memstack.Call) bool {
	return call.Function == "AdminFunction" && call.Service == "sqs" && strings.HasPrefix(call.Operation, "SendMessage")
}

// plan is the id of the last plan that was made.
func (c *cloud) plan() string {
	c.t.Helper()
	return c.job(`"dry_run":true`)
}

// job is the id that the last call answered whose payload has these parts.
func (c *cloud) job(parts ...string) (id string) {
	c.t.Helper()
	for _, i := range c.stack.Invocations("AdminFunction") {
		if !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(string(i.Event), part) }) {
			var answer struct {
				JobID string `json:"job_id"`
			}
			if err := json.Unmarshal(i.Answer, &answer); err != nil {
				c.t.Error(err)
			}
			id = answer.JobID
		}
	}
	if id == "" {
		c.t.Errorf("no job was begun by %q: %v", parts, c.sent())
	}
	return id
}
