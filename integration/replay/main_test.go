//go:build integration

package replay

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/spillway-go/spillway/internal/app"
	"github.com/spillway-go/spillway/internal/awsproxy"
	"github.com/spillway-go/spillway/internal/localaws"
)

// stack is what the test runs against. It is deployed once.
var stack struct {
	instance *localaws.Instance
	proxy    *awsproxy.Proxy // the functions' calls go through it
	out      map[string]string
	tables   *dynamodb.Client // past the proxy, as are the others
	queues   *sqs.Client
	lambdas  *lambda.Client
}

func TestMain(m *testing.M) {
	if os.Getenv("SPILLWAY_TEST_ENDPOINT") != "" {
		fmt.Println("integration/replay: nothing to do, it is about time and runs on a local AWS of its own")
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code, err := run(ctx, m)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "integration/replay:", err)
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
	port, err := localaws.FreePort()
	if err != nil {
		return 0, err
	}
	endpoint := "http://127.0.0.1:" + strconv.Itoa(port)
	target, err := url.Parse(endpoint)
	if err != nil {
		return 0, err
	}
	stack.proxy = awsproxy.New(target, &awsproxy.Options{LogSize: 100_000})
	proxyURL, stopProxy, err := stack.proxy.Start(ctx)
	if err != nil {
		return 0, err
	}
	defer stopProxy()
	if stack.instance, err = checkout.Start(ctx, localaws.Server{Port: port, FunctionEndpoint: proxyURL}); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, stack.instance.Stop()) }()
	defer context.AfterFunc(ctx, func() { _ = stack.instance.Stop(); os.Exit(130) })()
	if stack.out, err = checkout.Deploy(ctx, endpoint, "spillway-replay", map[string]string{"BacklogAfter": "1h"}); err != nil {
		return 0, err
	}
	cfg := localaws.Config(endpoint)
	cfg.HTTPClient = app.HTTPClient(0)
	stack.tables, stack.queues, stack.lambdas = dynamodb.NewFromConfig(cfg), sqs.NewFromConfig(cfg), lambda.NewFromConfig(cfg)
	return m.Run(), nil
}
