package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/spillway-go/spillway/internal/app"
	"github.com/spillway-go/spillway/internal/awsproxy"
	"github.com/spillway-go/spillway/internal/handlers"
	"github.com/spillway-go/spillway/internal/localaws"
	"github.com/spillway-go/spillway/pkg/client"
	"github.com/spillway-go/spillway/pkg/intake"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/webhook"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

// visibility replaces the queues' 60 s, so that what a killed worker held is
// seen again within the run. It is longer than the worker's time-out (10 s)
// and the lease (11 s), so nothing comes back while its worker lives.
const visibility = 20 * time.Second

// stack is the pipeline under test on a local AWS of its own.
type stack struct {
	instance *localaws.Instance
	proxy    *awsproxy.Proxy // what the functions and our own intake call goes through it
	out      map[string]string
	api      *client.Client
	intake   *intake.Intake
	tables   *dynamodb.Client // past the proxy
	queues   *sqs.Client      // past the proxy
	stop     func() error
}

// start builds the functions, starts the local AWS and deploys. What it
// started is stopped again when it fails.
func start(ctx context.Context) (_ *stack, err error) {
	checkout, remove, err := localaws.OpenBuilt(ctx, &localaws.Options{Progress: os.Stdout})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, remove()) }()
	port, err := localaws.FreePort()
	if err != nil {
		return nil, err
	}
	endpoint := "http://127.0.0.1:" + strconv.Itoa(port)
	target, err := url.Parse(endpoint)
	if err != nil {
		return nil, err
	}
	s := &stack{proxy: awsproxy.New(target, &awsproxy.Options{LogSize: 1})}
	proxyURL, stopProxy, err := s.proxy.Start(ctx)
	if err != nil {
		return nil, err
	}
	s.stop = func() error { stopProxy(); return nil }
	defer func() {
		if err != nil {
			err = errors.Join(err, s.stop())
		}
	}()
	if s.instance, err = checkout.Start(ctx, localaws.Server{Port: port, FunctionEndpoint: proxyURL}); err != nil {
		return nil, err
	}
	s.stop = func() error { stopProxy(); return s.instance.Stop() }
	s.out, err = checkout.Deploy(ctx, endpoint, "spillway-soak", map[string]string{
		"MaxAttempts": strconv.Itoa(maxAttempts), "RetryBaseDelay": "100ms", "RetryMaxDelay": "2s",
	})
	if err != nil {
		return nil, err
	}
	return s, s.connect(ctx, endpoint, proxyURL)
}

func (s *stack) connect(ctx context.Context, endpoint, proxyURL string) (err error) {
	direct, counted := localaws.Config(endpoint), localaws.Config(proxyURL)
	direct.HTTPClient = app.HTTPClient(0)
	counted.HTTPClient = direct.HTTPClient
	s.tables, s.queues = dynamodb.NewFromConfig(direct), sqs.NewFromConfig(direct)
	if s.api, err = client.New(s.out["ApiUrl"], &client.Options{Credentials: direct.Credentials, Region: direct.Region}); err != nil {
		return err
	}
	queue := func(output string) *workqueue.Queue {
		return workqueue.New(sqs.NewFromConfig(counted), s.out[output], nil)
	}
	table := tasktable.New(dynamodb.NewFromConfig(counted), s.out["TasksTableName"], nil)
	s.intake = intake.New(table, intake.Queues{"tasks": queue("TasksQueueUrl"), "backlog": queue("BacklogQueueUrl")}, handlers.Mux(handlers.Checks()), nil)
	for _, output := range []string{"TasksQueueUrl", "BacklogQueueUrl"} {
		_, err := s.queues.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{
			QueueUrl: aws.String(s.out[output]), Attributes: map[string]string{"VisibilityTimeout": strconv.Itoa(int(visibility.Seconds()))},
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// input of a webhook.deliver task.
func input(url string) map[string]any {
	return map[string]any{"url": url, "event": "soak", "payload": map[string]any{"text": "a payload of ordinary size"}}
}

// byHTTP hands a task in as a caller does.
func (s *stack) byHTTP(ctx context.Context, url string) (*client.Task, error) {
	return s.api.Submit(ctx, client.SubmitRequest{Type: webhook.Type, Input: input(url)})
}

// byIntake hands a task in without API Gateway and the submit function.
func (s *stack) byIntake(ctx context.Context, tenant, url string) (id string, err error) {
	text, err := json.Marshal(input(url))
	if err != nil {
		return "", err
	}
	row, _, err := s.intake.Submit(ctx, intake.Request{Tenant: tenant, Type: webhook.Type, Input: text})
	if err != nil {
		return "", err
	}
	return row.ID, nil
}

// workers returns the processes of the worker function.
func (s *stack) workers() ([]localaws.Process, error) {
	all, err := s.instance.Processes()
	var workers []localaws.Process
	for _, p := range all {
		if p.Function == s.out["WorkerFunctionName"] {
			workers = append(workers, p)
		}
	}
	return workers, err
}

// size counts the messages of a queue: visible, in flight and delayed.
func (s *stack) size(ctx context.Context, output string) (int, error) {
	out, err := s.queues.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: aws.String(s.out[output]), AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll},
	})
	if err != nil {
		return 0, err
	}
	sum := 0
	for _, name := range []string{"ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"} {
		n, err := strconv.Atoi(out.Attributes[name])
		if err != nil {
			return 0, fmt.Errorf("%s of %s is %q", name, output, out.Attributes[name])
		}
		sum += n
	}
	return sum, nil
}
