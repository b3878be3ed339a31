// Package submit sets up the function that answers POST /tasks: it accepts a
// task and puts it on a queue.
package submit

import (
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/spillway-go/spillway/internal/api"
	"github.com/spillway-go/spillway/internal/app"
	"github.com/spillway-go/spillway/internal/handlers"
	"github.com/spillway-go/spillway/internal/route"
	"github.com/spillway-go/spillway/pkg/intake"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

// Setup reads the environment and returns the handler.
func Setup(env *app.Env) (any, error) {
	cfg := env.AWS()
	tableName, endpoint := env.String("TASKS_TABLE"), env.Optional("ENDPOINT_URL")
	tasksURL, backlogURL := env.String("TASKS_QUEUE_URL"), env.String("BACKLOG_QUEUE_URL")
	tableOpts := &tasktable.Options{Retention: env.Duration("TASK_RETENTION", 1)}
	opts := &intake.Options{MaxInput: env.Int("MAX_INPUT_BYTES", 1)}
	if err := env.Err(); err != nil {
		return nil, err
	}
	queue := sqs.NewFromConfig(cfg)
	queues := intake.Queues{route.Tasks: workqueue.New(queue, tasksURL, nil), route.Backlog: workqueue.New(queue, backlogURL, nil)}
	table := tasktable.New(dynamodb.NewFromConfig(cfg), tableName, tableOpts)
	types := handlers.Mux(handlers.Checks()) // only to check inputs
	return (&api.Submit{Intake: intake.New(table, queues, types, opts), Endpoint: endpoint}).Handle, nil
}
