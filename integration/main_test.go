//go:build integration

package integration

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/spillway-go/spillway/internal/app"
	"github.com/spillway-go/spillway/internal/awsproxy"
	"github.com/spillway-go/spillway/internal/localaws"
	"github.com/spillway-go/spillway/pkg/client"
)

// stack is what the suite runs against. It is deployed once.
var stack struct {
	name     string
	external bool // an endpoint that somebody else started
	out      map[string]string
	cfg      aws.Config
	api      *client.Client
	proxy    *awsproxy.Proxy // the functions' calls go through it
	tables   *dynamodb.Client
	queues   *sqs.Client
	lambdas  *lambda.Client
	secrets  *secretsmanager.Client
}

// functions is the checkout with its functions built, once for all stacks.
var functions *localaws.Checkout

func TestMain(m *testing.M) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code, err := run(ctx, m)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "integration:", err)
		code = 1
	}
	os.Exit(code)
}

func run(ctx context.Context, m *testing.M) (code int, err error) {
	checkout, remove, err := localaws.OpenBuilt(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, remove()) }()
	functions = checkout
	endpoint, stopAWS, err := endpointOf(ctx, checkout)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, stopAWS()) }()
	// A name of its own, so that runs on one external endpoint keep apart.
	stack.name = "spillway-it-" + strconv.FormatInt(time.Now().UnixMilli(), 36)
	if stack.out, err = checkout.Deploy(ctx, endpoint, stack.name, parameters()); err != nil {
		return 0, err
	}
	if err := connect(endpoint); err != nil {
		return 0, err
	}
	if stack.external {
		defer func() { err = errors.Join(err, checkout.Delete(context.WithoutCancel(ctx), endpoint, stack.name)) }()
	}
	if err := checkFallbacks(ctx); err != nil {
		return 0, err
	}
	stopProbing, err := startProbing(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, stopProbing()) }()
	if stack.external {
		if err := redirectFunctions(ctx); err != nil {
			return 0, err
		}
	}
	done := context.AfterFunc(ctx, func() { _ = stopAWS(); os.Exit(130) })
	defer done()
	code = m.Run()
	return code, errors.Join(checkSkips(), auditLogs(ctx))
}

// parameters of the stack under test. An endpoint whose single calls may take
// seconds gets a worker that has more of them.
func parameters() map[string]string {
	params := map[string]string{"MaxAttempts": "4", "RetryBaseDelay": "100ms", "RetryMaxDelay": "1s", "BacklogAfter": "2m", "ChaosEnabled": "true"}
	if !stack.external {
		params["Size"], params["WebhookTimeout"] = "test", "2s"
	}
	return params
}

// proxyURL is where the functions find AWS.
var proxyURL string

// endpointOf returns the AWS to test on: the one named in the environment, or
// one that is started here on free ports with the proxy in front of it.
func endpointOf(ctx context.Context, checkout *localaws.Checkout) (endpoint string, stop func() error, err error) {
	opts := &awsproxy.Options{Seed: seed(), LogSize: 50_000}
	if endpoint = os.Getenv("SPILLWAY_TEST_ENDPOINT"); endpoint != "" {
		stack.external = true
		stopProxy, err := startProxy(ctx, endpoint, opts)
		return endpoint, func() error { stopProxy(); return nil }, err
	}
	port, err := localaws.FreePort()
	if err != nil {
		return "", nil, err
	}
	endpoint = "http://127.0.0.1:" + strconv.Itoa(port)
	stopProxy, err := startProxy(ctx, endpoint, opts)
	if err != nil {
		return "", nil, err
	}
	instance, err := checkout.Start(ctx, localaws.Server{Port: port, Auth: true, FunctionEndpoint: proxyURL})
	if err != nil {
		stopProxy()
		return "", nil, err
	}
	return endpoint, func() error { stopProxy(); return instance.Stop() }, nil
}

func startProxy(ctx context.Context, endpoint string, opts *awsproxy.Options) (stop func(), err error) {
	target, err := url.Parse(endpoint)
	if err != nil {
		return nil, err
	}
	stack.proxy = awsproxy.New(target, opts)
	proxyURL, stop, err = stack.proxy.Start(ctx)
	return stop, err
}

// seed of the injected faults; SPILLWAY_TEST_SEED repeats a run.
func seed() uint64 {
	s, err := strconv.ParseUint(os.Getenv("SPILLWAY_TEST_SEED"), 10, 64)
	if err != nil {
		s = uint64(time.Now().UnixNano())
	}
	fmt.Fprintln(os.Stderr, "seed of the injected faults: SPILLWAY_TEST_SEED="+strconv.FormatUint(s, 10))
	return s
}

func connect(endpoint string) error {
	cfg := localaws.Config(endpoint)
	cfg.HTTPClient = app.HTTPClient(0)
	stack.cfg = cfg
	stack.tables, stack.queues = dynamodb.NewFromConfig(cfg), sqs.NewFromConfig(cfg)
	stack.lambdas, stack.secrets = lambda.NewFromConfig(cfg), secretsmanager.NewFromConfig(cfg)
	var err error
	stack.api, err = client.New(stack.out["ApiUrl"], &client.Options{Credentials: cfg.Credentials, Region: cfg.Region})
	return err
}

// functionOutputs are the stack's outputs that name functions.
func functionOutputs() []string {
	var outputs []string
	for output := range stack.out {
		if strings.HasSuffix(output, "FunctionName") {
			outputs = append(outputs, output)
		}
	}
	slices.Sort(outputs)
	return outputs
}

// redirectFunctions points the functions of an external endpoint at the proxy.
func redirectFunctions(ctx context.Context) error {
	for _, output := range functionOutputs() {
		name := aws.String(stack.out[output])
		now, err := stack.lambdas.GetFunctionConfiguration(ctx, &lambda.GetFunctionConfigurationInput{FunctionName: name})
		if err != nil {
			return err
		}
		vars := now.Environment.Variables
		vars["AWS_ENDPOINT_URL"] = proxyURL
		_, err = stack.lambdas.UpdateFunctionConfiguration(ctx, &lambda.UpdateFunctionConfigurationInput{
			FunctionName: name, Environment: &types.Environment{Variables: vars},
		})
		if err != nil {
			return err
		}
		updated := lambda.NewFunctionUpdatedV2Waiter(stack.lambdas, func(o *lambda.FunctionUpdatedV2WaiterOptions) { o.MinDelay = 200 * time.Millisecond })
		if err := updated.Wait(ctx, &lambda.GetFunctionInput{FunctionName: name}, time.Minute); err != nil {
			return err
		}
	}
	return nil
}
