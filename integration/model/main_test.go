//go:build integration

package model

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go/logging"

	"github.com/spillway-go/spillway/internal/app"
	"github.com/spillway-go/spillway/internal/localaws"
)

// endpoint is the AWS to run on.
var endpoint string

func TestMain(m *testing.M) {
	if settings := os.Getenv(workerSettings); settings != "" {
		os.Exit(workerProcess(settings))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code, err := run(ctx, m)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "integration/model:", err)
		code = 1
	}
	os.Exit(code)
}

func run(ctx context.Context, m *testing.M) (code int, err error) {
	if endpoint = os.Getenv("SPILLWAY_TEST_ENDPOINT"); endpoint != "" {
		defer context.AfterFunc(ctx, func() { os.Exit(130) })()
		return m.Run(), nil
	}
	checkout, err := localaws.Open(nil)
	if err != nil {
		return 0, err
	}
	instance, err := checkout.Start(ctx, localaws.Server{})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, instance.Stop()) }()
	endpoint = instance.Endpoint
	// Workers end with this process: their standard input does.
	defer context.AfterFunc(ctx, func() { _ = instance.Stop(); os.Exit(130) })()
	return m.Run(), nil
}

// seed of everything that is drawn; SPILLWAY_TEST_SEED repeats a run.
func seed(t *testing.T) uint64 {
	t.Helper()
	s, err := strconv.ParseUint(os.Getenv("SPILLWAY_TEST_SEED"), 10, 64)
	if err != nil {
		s = uint64(time.Now().UnixNano())
	}
	t.Logf("seed of the kills and tasks: SPILLWAY_TEST_SEED=%d", s)
	return s
}

// size is a number from the environment.
func size(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		t.Fatalf("%s=%s is not a number", name, text)
	}
	return n
}

// clients of an endpoint; their retries are the SDK's own. They do not say when
// a killed worker's connection breaks.
func clients(endpoint string) (*dynamodb.Client, *sqs.Client, error) {
	cfg, err := config.LoadDefaultConfig(context.Background(), config.WithRegion("us-east-1"), config.WithBaseEndpoint(endpoint),
		config.WithLogger(logging.Nop{}), config.WithSharedConfigFiles(nil), config.WithSharedCredentialsFiles(nil),
		config.WithCredentialsProvider(aws.NewCredentialsCache(credentials.NewStaticCredentialsProvider("test", "test", ""))))
	if err != nil {
		return nil, nil, err
	}
	cfg.HTTPClient = app.HTTPClient(0)
	return dynamodb.NewFromConfig(cfg), sqs.NewFromConfig(cfg), nil
}
