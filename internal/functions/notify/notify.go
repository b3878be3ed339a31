// Package notify sets up the function that reads the ends of tasks from the
// tasks table's stream and turns them into webhook.deliver tasks.
package notify

import (
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/spillway-go/spillway/internal/app"
	"github.com/spillway-go/spillway/internal/handlers"
	"github.com/spillway-go/spillway/internal/route"
	"github.com/spillway-go/spillway/pkg/archive"
	"github.com/spillway-go/spillway/pkg/batch"
	"github.com/spillway-go/spillway/pkg/callback"
	"github.com/spillway-go/spillway/pkg/intake"
	"github.com/spillway-go/spillway/pkg/rescue"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

// Setup reads the environment and returns the handler.
func Setup(env *app.Env) (any, error) {
	cfg := env.AWS()
	tasksTable, controlTable, bucket := env.String("TASKS_TABLE"), env.String("CONTROL_TABLE"), env.String("ARCHIVE_BUCKET")
	tasksURL, backlogURL := env.String("TASKS_QUEUE_URL"), env.String("BACKLOG_QUEUE_URL")
	tableOpts := &tasktable.Options{Retention: env.Duration("TASK_RETENTION", 1)}
	if err := env.Err(); err != nil {
		return nil, err
	}
	tables, queue := dynamodb.NewFromConfig(cfg), sqs.NewFromConfig(cfg)
	objects := s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = cfg.BaseEndpoint != nil }) // an emulator has no name for each bucket
	queues := intake.Queues{route.Tasks: workqueue.New(queue, tasksURL, nil), route.Backlog: workqueue.New(queue, backlogURL, nil)}
	table := tasktable.New(tables, tasksTable, tableOpts)
	in := intake.New(table, queues, handlers.Mux(handlers.Checks()), nil) // the worker delivers
	notify := rescue.Track(callback.New(table, in, nil).Handle, rescue.NewPositions(tables, controlTable, nil))
	isolator := rescue.NewIsolator(archive.New(tables, controlTable, objects, bucket, nil), nil)
	live := batch.DynamoDB(notify, &batch.Options{Concurrency: 4, IsolateAfter: 3, Isolate: isolator})
	return rescue.Replayable(live, batch.DynamoDB(notify, &batch.Options{Concurrency: 4})), nil
}
