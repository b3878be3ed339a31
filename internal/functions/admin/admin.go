// Package admin sets up the function that answers operators' commands: dead
// letters, replays, the audit trail, injected faults.
package admin

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/spillway-go/spillway/internal/admin"
	"github.com/spillway-go/spillway/internal/app"
	"github.com/spillway-go/spillway/internal/parked"
	"github.com/spillway-go/spillway/internal/route"
	"github.com/spillway-go/spillway/internal/trip"
	"github.com/spillway-go/spillway/pkg/archive"
	"github.com/spillway-go/spillway/pkg/chaos"
	"github.com/spillway-go/spillway/pkg/redrive"
	"github.com/spillway-go/spillway/pkg/rescue"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

// Setup reads the environment and returns the handler.
func Setup(env *app.Env) (any, error) {
	cfg := env.AWS()
	tasksTable, control, bucket := env.String("TASKS_TABLE"), env.String("CONTROL_TABLE"), env.String("ARCHIVE_BUCKET")
	tasksURL, backlogURL := env.String("TASKS_QUEUE_URL"), env.String("BACKLOG_QUEUE_URL")
	deadURL, streamURL := env.String("DEAD_LETTER_QUEUE_URL"), env.String("STREAM_FAILURES_QUEUE_URL")
	tasksARN, notify, itself := env.String("TASKS_QUEUE_ARN"), env.String("NOTIFY_FUNCTION"), env.String("AWS_LAMBDA_FUNCTION_NAME")
	reservations, sagaURL, tripARN := env.String("RESERVATIONS_TABLE"), env.String("SAGA_FAILURES_QUEUE_URL"), env.String("TRIP_SAGA_ARN")
	injects := env.Bool("CHAOS_ENABLED")
	tableOpts := &tasktable.Options{Retention: env.Duration("TASK_RETENTION", 1)}
	if err := env.Err(); err != nil {
		return nil, err
	}
	tables, queues := dynamodb.NewFromConfig(cfg), sqs.NewFromConfig(cfg)
	functions := lambda.NewFromConfig(cfg, func(o *lambda.Options) { o.HTTPClient = env.HTTPClient(time.Minute) }) // a consumer may take that long
	objects := s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = cfg.BaseEndpoint != nil })             // an emulator has no name for each bucket
	table, kept := tasktable.New(tables, tasksTable, tableOpts), archive.New(tables, control, objects, bucket, nil)
	sources := map[string]redrive.Source{
		"tasks": {
			Letters: workqueue.NewInbox(queues, deadURL, nil), Tasks: table, Move: queues, MoveTo: tasksARN,
			Origins: redrive.Origins{route.Tasks: workqueue.New(queues, tasksURL, nil), route.Backlog: workqueue.New(queues, backlogURL, nil)},
		},
		"stream": {Letters: workqueue.NewInbox(queues, streamURL, nil)},
		"saga":   {Letters: workqueue.NewInbox(queues, sagaURL, nil)},
	}
	var faults *admin.Chaos
	if injects {
		faults = &admin.Chaos{Faults: chaos.NewStore(tables, control)}
		for _, step := range trip.States() {
			faults.Targets = append(faults.Targets, chaos.Step(step))
		}
	}
	letters := redrive.New(tables, control, sources, &redrive.Options{
		Quarantine: kept, Continue: admin.Continue(functions, itself), Follow: admin.Follow(functions, itself),
	})
	return (&admin.Admin{
		Table: table, Redrive: letters, Parked: parked.New(tables, control, letters, nil),
		Streams: rescue.NewReplayer(tables, control, kept, rescue.NewPositions(tables, control, nil), rescue.Functions(functions, notify), nil),
		Chaos:   faults,
		Stock:   trip.NewStock(tables, reservations),
		Sagas:   &admin.Sagas{Executions: sfn.NewFromConfig(cfg), Functions: functions, Machine: tripARN},
	}).Handle, nil
}
