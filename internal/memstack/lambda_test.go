package memstack_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/spillway-go/spillway/internal/app"
	"github.com/spillway-go/spillway/internal/memstack"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

type handler func(ctx context.Context, payload json.RawMessage) (json.RawMessage, error)

// with is a stack in which one function is another.
func with(id string, h handler) memstack.Options {
	return memstack.Options{Setups: map[string]func(*app.Env) (any, error){
		id: func(*app.Env) (any, error) { return h, nil },
	}}
}

func invoke(t *testing.T, s *memstack.Stack, id string, payload []byte, kind types.InvocationType) (*lambda.InvokeOutput, error) {
	t.Helper()
	name := s.Name(id)
	return lambda.NewFromConfig(s.Config()).Invoke(t.Context(), &lambda.InvokeInput{FunctionName: &name, Payload: payload, InvocationType: kind})
}

// A function has up to 4 KB of environment variables
// (https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html).
func TestLimitVariables(t *testing.T) {
	t.Parallel()
	full := 4096 - len(`{"NAME":""}`)
	if err := memstack.CheckVariables(map[string]string{"NAME": strings.Repeat("x", full)}); err != nil {
		t.Error(err)
	}
	if err := memstack.CheckVariables(map[string]string{"NAME": strings.Repeat("x", full+1)}); err == nil {
		t.Error("4,097 bytes are taken")
	}
}

// Events have up to 6 MB, asynchronous ones 1 MB, answers 6 MB
// (https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html).
func TestLimitPayload(t *testing.T) {
	opts := with("StatusFunction", func(_ context.Context, payload json.RawMessage) (json.RawMessage, error) {
		return json.RawMessage(`"` + strings.Repeat("x", len(payload)) + `"`), nil
	})
	inBubble(t, opts, func(t *testing.T, s *memstack.Stack) {
		text := func(n int) []byte { return []byte(`"` + strings.Repeat("x", n-2) + `"`) }
		for _, tt := range []struct {
			size     int
			kind     types.InvocationType
			tooLarge bool
			failed   string
		}{
			{6<<20 - 2, types.InvocationTypeRequestResponse, false, ""},
			{6 << 20, types.InvocationTypeRequestResponse, false, "Function.ResponseSizeTooLarge"},
			{6<<20 + 1, types.InvocationTypeRequestResponse, true, ""},
			{1 << 20, types.InvocationTypeEvent, false, ""},
			{1<<20 + 1, types.InvocationTypeEvent, true, ""},
		} {
			out, err := invoke(t, s, "StatusFunction", text(tt.size), tt.kind)
			if _, tooLarge := errors.AsType[*types.RequestTooLargeException](err); tooLarge != tt.tooLarge || err != nil != tooLarge {
				t.Errorf("%d bytes, %s: %v, want refused %t", tt.size, tt.kind, err, tt.tooLarge)
			}
			if out != nil && (out.FunctionError != nil) != (tt.failed != "") || out != nil && !bytes.Contains(out.Payload, []byte(tt.failed)) {
				t.Errorf("%d bytes, %s: function error %q", tt.size, tt.kind, aws.ToString(out.FunctionError))
			}
		}
	})
}

// An environment is set up once and has one invocation at a time; each that
// comes meanwhile has another environment, up to the reserved concurrency
// (https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html).
func TestLimitConcurrency(t *testing.T) {
	var setups atomic.Int32
	opts := memstack.Options{Parameters: map[string]string{"StatusConcurrency": "3"}, Setups: map[string]func(*app.Env) (any, error){
		"StatusFunction": func(*app.Env) (any, error) {
			setups.Add(1)
			var busy atomic.Bool
			return handler(func(ctx context.Context, _ json.RawMessage) (json.RawMessage, error) {
				if busy.Swap(true) {
					return nil, errors.New("two invocations at a time")
				}
				defer busy.Store(false)
				timer := time.NewTimer(time.Second)
				defer timer.Stop()
				<-timer.C
				return json.RawMessage("1"), nil
			}), nil
		},
	}}
	inBubble(t, opts, func(t *testing.T, s *memstack.Stack) {
		for range 2 { // the second time the environments are warm
			var wg sync.WaitGroup
			var throttled atomic.Int32
			for range 5 {
				wg.Go(func() {
					name := s.Name("StatusFunction")
					client := lambda.NewFromConfig(s.Config(), func(o *lambda.Options) { o.RetryMaxAttempts = 1 })
					out, err := client.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: &name})
					if _, refused := errors.AsType[*types.TooManyRequestsException](err); refused {
						throttled.Add(1)
					} else if err != nil || out.FunctionError != nil {
						t.Errorf("%v, %s", err, out.Payload)
					}
				})
			}
			wg.Wait()
			if throttled.Load() != 2 || setups.Load() != 3 {
				t.Errorf("%d throttled of 5, %d environments, want 2 and 3", throttled.Load(), setups.Load())
			}
		}
	})
}

// A function that takes too long is killed: the caller has an error, what the
// process calls afterwards has no effect, and the next invocation has a new
// environment
// (https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html).
func TestLimitTimeout(t *testing.T) {
	var late atomic.Value // error of the late call
	var setups atomic.Int32
	opts := memstack.Options{Setups: map[string]func(*app.Env) (any, error){
		"CancelFunction": func(env *app.Env) (any, error) {
			n, queue, url := setups.Add(1), sqs.NewFromConfig(env.AWS()), "https://sqs.eu-central-1.amazonaws.com/123456789012/spillway-saga-failures"
			return handler(func(ctx context.Context, _ json.RawMessage) (json.RawMessage, error) {
				if n == 1 {
					timer := time.NewTimer(11 * time.Second) // the function has 10 s
					defer timer.Stop()
					<-timer.C
					_, err := queue.SendMessage(context.WithoutCancel(ctx), &sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String("late")})
					late.Store(err)
				}
				return json.RawMessage("1"), nil
			}), nil
		},
	}}
	inBubble(t, opts, func(t *testing.T, s *memstack.Stack) {
		began := time.Now()
		out, err := invoke(t, s, "CancelFunction", nil, "")
		if err != nil || aws.ToString(out.FunctionError) != "Unhandled" || !strings.Contains(string(out.Payload), "Task timed out after 10.00 seconds") {
			t.Errorf("got %s, %v", out.Payload, err)
		}
		if took := time.Since(began).Round(time.Second); took != 10*time.Second {
			t.Errorf("it took %s", took)
		}
		s.Await("the late call", func() bool { return late.Load() != nil })
		if err := late.Load(); len(s.SQS.Messages(s.Name("SagaFailuresQueue"))) > 0 {
			t.Errorf("the late call: %v", err)
		}
		if out, err := invoke(t, s, "CancelFunction", nil, ""); err != nil || out.FunctionError != nil || setups.Load() != 2 {
			t.Errorf("after %d setups: %v", setups.Load(), err)
		}
	})
}

// recorder is a test whose errors are expected.
type recorder struct {
	testing.TB

	mu     sync.Mutex
	errors []string
}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

// Between invocations Lambda freezes an environment: what is still there then,
// and what it calls, is a mistake of the function
// (https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html).
func TestLimitFrozen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		opts := memstack.Options{Setups: map[string]func(*app.Env) (any, error){
			"CancelFunction": func(env *app.Env) (any, error) {
				queue, url := sqs.NewFromConfig(env.AWS()), "https://sqs.eu-central-1.amazonaws.com/123456789012/spillway-saga-failures"
				return handler(func(ctx context.Context, _ json.RawMessage) (json.RawMessage, error) {
					go func() {
						timer := time.NewTimer(time.Minute)
						defer timer.Stop()
						<-timer.C
						_, _ = queue.SendMessage(context.WithoutCancel(ctx), &sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String("late")})
					}()
					return json.RawMessage("1"), nil
				}), nil
			},
		}}
		seen := &recorder{TB: t}
		s := memstack.New(seen, opts)
		if _, err := invoke(t, s, "CancelFunction", nil, ""); err != nil {
			t.Fatal(err)
		}
		s.Await("nothing", func() bool { return true })
		began := time.Now()
		s.Await("the goroutine calls", func() bool { return time.Since(began) > 2*time.Minute })
		seen.mu.Lock()
		defer seen.mu.Unlock()
		all := strings.Join(seen.errors, "\n")
		for _, want := range []string{"a goroutine outlives the invocation of CancelFunction", "CancelFunction calls sqs SendMessage after its invocation has ended"} {
			if !strings.Contains(all, want) {
				t.Errorf("reported %q, without %q", all, want)
			}
		}
		if len(s.SQS.Messages(s.Name("SagaFailuresQueue"))) > 0 {
			t.Error("the call took effect")
		}
	})
}

// An asynchronous event whose invocation fails is tried again after one minute
// and after two more, and then goes to the destination
// (https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html).
func TestLimitAsync(t *testing.T) {
	var mu sync.Mutex
	var at []time.Time
	opts := with("RecoverFunction", func(context.Context, json.RawMessage) (json.RawMessage, error) {
		mu.Lock()
		defer mu.Unlock()
		at = append(at, time.Now())
		return nil, errors.New("no")
	})
	inBubble(t, opts, func(t *testing.T, s *memstack.Stack) {
		if out, err := invoke(t, s, "RecoverFunction", []byte(`{"n":1}`), types.InvocationTypeEvent); err != nil || out.StatusCode != 202 {
			t.Fatalf("%+v, %v", out, err)
		}
		s.Await("the event is given up", func() bool { return len(s.SQS.Messages(s.Name("SagaFailuresQueue"))) == 1 })
		if len(at) != 3 || at[1].Sub(at[0]) != time.Minute || at[2].Sub(at[1]) != 2*time.Minute {
			t.Errorf("tried at %v", at)
		}
		body := s.SQS.Messages(s.Name("SagaFailuresQueue"))[0].Body
		for _, want := range []string{`"condition":"RetriesExhausted"`, `"approximateInvokeCount":3`, `"requestPayload":{"n":1}`, `"errorMessage":"no"`} {
			if !strings.Contains(body, want) {
				t.Errorf("destination got %s, without %s", body, want)
			}
		}
	})
}

// A change of a mapping takes up to a minute; meanwhile there cannot be another
// (https://docs.aws.amazon.com/lambda/latest/api/API_UpdateEventSourceMapping.html).
func TestLimitMappingUpdate(t *testing.T) {
	inBubble(t, memstack.Options{}, func(t *testing.T, s *memstack.Stack) {
		client, uuid := lambda.NewFromConfig(s.Config()), s.Mapping("WorkerFunction.Tasks")
		change := func(enabled bool) error {
			_, err := client.UpdateEventSourceMapping(t.Context(), &lambda.UpdateEventSourceMappingInput{UUID: &uuid, Enabled: &enabled})
			return err
		}
		state := func() string {
			out, err := client.GetEventSourceMapping(t.Context(), &lambda.GetEventSourceMappingInput{UUID: &uuid})
			if err != nil {
				t.Fatal(err)
			}
			return aws.ToString(out.State)
		}
		began := time.Now()
		if err := change(false); err != nil {
			t.Fatal(err)
		}
		if _, busy := errors.AsType[*types.ResourceInUseException](change(true)); !busy || state() != "Disabling" {
			t.Errorf("a second change is taken, state %s", state())
		}
		s.Await("the mapping is disabled", func() bool { return state() == "Disabled" })
		if took := time.Since(began); took > time.Minute+5*time.Second {
			t.Errorf("it took %s", took)
		}
		id := submit(t, s, export)
		disabled := time.Now()
		s.Await("some time passes", func() bool { return time.Since(disabled) > time.Minute })
		if got := get(t, s, id); got.Status != "queued" {
			t.Errorf("got %+v", got)
		}
		if err := change(true); err != nil {
			t.Fatal(err)
		}
		ends(t, s, id, "succeeded")
	})
}

// A batch whose response names an unknown message has failed as a whole, and so
// has one whose function failed
// (https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html).
func TestLimitBatchItemFailures(t *testing.T) {
	var mu sync.Mutex
	answers := []string{`{"batchItemFailures":[{"itemIdentifier":"unknown"}]}`, `{"batchItemFailures":[{"itemIdentifier":""}]}`, `panic`, `{"batchItemFailures":[]}`}
	var at []time.Time
	opts := with("WorkerFunction", func(context.Context, json.RawMessage) (json.RawMessage, error) {
		mu.Lock()
		defer mu.Unlock()
		answer := answers[min(len(at), len(answers)-1)]
		at = append(at, time.Now())
		if answer == "panic" {
			panic(answer)
		}
		return json.RawMessage(answer), nil
	})
	opts.Parameters = map[string]string{"Size": "local"}
	inBubble(t, opts, func(t *testing.T, s *memstack.Stack) {
		queue := workqueue.New(sqs.NewFromConfig(s.Config()), "https://sqs.eu-central-1.amazonaws.com/123456789012/"+s.Name("TasksQueue"), nil)
		if err := queue.Send(t.Context(), workqueue.Outgoing{Body: "b"}); err != nil {
			t.Fatal(err)
		}
		s.Quiet()
		if len(at) != 4 {
			t.Errorf("%d invocations, want 4", len(at))
		}
		for i := range at[1:] {
			if hidden := at[i+1].Sub(at[i]); hidden < time.Minute || hidden > time.Minute+3*time.Second {
				t.Errorf("hidden for %s, want the queue's visibility timeout of 1 minute", hidden)
			}
		}
	})
}

// A mapping has at most MaximumConcurrency batches at a time
// (https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html).
func TestLimitMappingConcurrency(t *testing.T) {
	var now, most, batches atomic.Int32
	opts := with("WorkerFunction", func(context.Context, json.RawMessage) (json.RawMessage, error) {
		batches.Add(1)
		most.Store(max(most.Load(), now.Add(1)))
		defer now.Add(-1)
		timer := time.NewTimer(time.Second)
		defer timer.Stop()
		<-timer.C
		return json.RawMessage(`{}`), nil
	})
	inBubble(t, opts, func(t *testing.T, s *memstack.Stack) {
		queue := workqueue.New(sqs.NewFromConfig(s.Config()), "https://sqs.eu-central-1.amazonaws.com/123456789012/"+s.Name("BacklogQueue"), nil)
		for range 60 {
			if err := queue.Send(t.Context(), workqueue.Outgoing{Body: "b"}); err != nil {
				t.Fatal(err)
			}
		}
		s.Quiet()
		if most.Load() != 2 || batches.Load() < 6 {
			t.Errorf("%d batches at a time of %d, want 2 of at least 6", most.Load(), batches.Load())
		}
	})
}
