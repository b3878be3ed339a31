// Package rescue sets up the function that reads the ranges of streams again
// that Lambda gave up, and archives their records before the stream drops them.
package rescue

import (
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/spillway-go/spillway/internal/app"
	"github.com/spillway-go/spillway/pkg/archive"
	"github.com/spillway-go/spillway/pkg/callback"
	"github.com/spillway-go/spillway/pkg/rescue"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

// Setup reads the environment and returns the handler.
func Setup(env *app.Env) (any, error) {
	cfg := env.AWS()
	table, bucket, queueURL := env.String("CONTROL_TABLE"), env.String("ARCHIVE_BUCKET"), env.String("STREAM_FAILURES_QUEUE_URL")
	if err := env.Err(); err != nil {
		return nil, err
	}
	objects := s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = cfg.BaseEndpoint != nil }) // an emulator has no name for each bucket
	kept := archive.New(dynamodb.NewFromConfig(cfg), table, objects, bucket, nil)
	streams := rescue.NewRefetcher(rescue.DynamoDB(dynamodbstreams.NewFromConfig(cfg)))
	return rescue.Handler(kept, streams, &rescue.Options{
		Keep:       callback.Concerns, // as the filter of notify's mapping
		Visibility: workqueue.New(sqs.NewFromConfig(cfg), queueURL, nil),
	}), nil
}
