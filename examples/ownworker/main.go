// Ownworker is an example of Spillway's worker in a Lambda function of your
// own: your handlers, your table, your queues.
package main

import (
	"context"
	"log/slog"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/worker"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

func main() {
	cfg, err := config.LoadDefaultConfig(context.Background())
	if err != nil {
		slog.Error("init", slog.Any("error", err))
		os.Exit(1)
	}
	w := newWorker(dynamodb.NewFromConfig(cfg), sqs.NewFromConfig(cfg), os.Getenv)
	lambda.Start(w)
}

func newWorker(tables tasktable.API, queues workqueue.API, getenv func(string) string) *worker.Worker {
	queue := func(name string) *workqueue.Queue { return workqueue.New(queues, getenv(name), nil) }
	return worker.New(handlers(), tasktable.New(tables, getenv("TASKS_TABLE"), nil), worker.Queues{
		"tasks": queue("TASKS_QUEUE_URL"), "backlog": queue("BACKLOG_QUEUE_URL"),
	}, queue("DEAD_LETTER_QUEUE_URL"), &worker.Options{MaxAttempts: 3})
}

// handlers is what this worker can do. Whoever submits tasks checks their
// inputs against the same mux.
func handlers() *task.Mux {
	mux := task.NewMux()
	task.Handle(mux, "greeting.write", greet)
	return mux
}

type person struct {
	Name string `json:"name"`
}

func greet(_ context.Context, p person) (string, error) { return "Hello, " + p.Name, nil }
