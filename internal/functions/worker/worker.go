// Package worker sets up the function that works on the tasks in the tasks
// queue and the backlog queue.
package worker

import (
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/spillway-go/spillway/internal/app"
	"github.com/spillway-go/spillway/internal/handlers"
	"github.com/spillway-go/spillway/internal/route"
	"github.com/spillway-go/spillway/internal/trip"
	"github.com/spillway-go/spillway/pkg/saga"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/webhook"
	"github.com/spillway-go/spillway/pkg/worker"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

// Setup reads the environment and returns the handler.
func Setup(env *app.Env) (any, error) {
	cfg := env.AWS()
	tableName, secretARN := env.String("TASKS_TABLE"), env.String("WEBHOOK_SECRET_ARN")
	tripARN, reservations := env.String("TRIP_SAGA_ARN"), env.String("RESERVATIONS_TABLE")
	tasksURL, backlogURL, deadURL := env.String("TASKS_QUEUE_URL"), env.String("BACKLOG_QUEUE_URL"), env.String("DEAD_LETTER_QUEUE_URL")
	tableOpts := &tasktable.Options{Retention: env.Duration("TASK_RETENTION", 1)}
	webhookOpts := &webhook.Options{Timeout: env.Duration("WEBHOOK_TIMEOUT", 1), AllowPrivate: env.Bool("ALLOW_PRIVATE_WEBHOOK_TARGETS"), Transport: env.Transport()}
	secretOpts := &webhook.SecretOptions{TTL: env.Duration("WEBHOOK_SECRET_TTL", 1)}
	opts := &worker.Options{
		MaxAttempts: env.Int("MAX_ATTEMPTS", 1), MaxReceiveCount: env.Int("MAX_RECEIVE_COUNT", 2), BacklogAfter: env.Duration("BACKLOG_AFTER", 1),
		Backoff: &workqueue.Backoff{Base: env.Duration("RETRY_BASE_DELAY", 0), Max: env.Duration("RETRY_MAX_DELAY", 0)},
	}
	if err := env.Err(); err != nil {
		return nil, err
	}
	queue := sqs.NewFromConfig(cfg)
	queues := worker.Queues{route.Tasks: workqueue.New(queue, tasksURL, nil), route.Backlog: workqueue.New(queue, backlogURL, nil)}
	tables := dynamodb.NewFromConfig(cfg)
	secrets := webhook.NewSecretsManager(secretsmanager.NewFromConfig(cfg), secretARN, secretOpts)
	types := handlers.Mux(handlers.Types{
		Deliver: webhook.New(secrets, webhookOpts),
		Book:    saga.Start[trip.Input](sfn.NewFromConfig(cfg), tripARN, trip.Saga.MaxInput),
		Export:  trip.NewExport(tables, reservations, nil),
	})
	return worker.New(types, tasktable.New(tables, tableName, tableOpts), queues, workqueue.New(queue, deadURL, nil), opts), nil
}
