// Command rescue is a Lambda function that the suite builds: a consumer of a
// stream that archives what it cannot work on, and remembers how far it came.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/spillway-go/spillway/internal/app"
	"github.com/spillway-go/spillway/pkg/archive"
	"github.com/spillway-go/spillway/pkg/batch"
	"github.com/spillway-go/spillway/pkg/event"
	"github.com/spillway-go/spillway/pkg/rescue"
	"github.com/spillway-go/spillway/pkg/task"
)

// order is what a record says.
type order struct {
	Key string `json:"key"`
	N   int    `json:"n"`
	Do  string `json:"do"` // ok, or what goes wrong until the function is mended: permanent, or crash
}

type consumer struct {
	tables    *dynamodb.Client
	table     string
	name      string // tells what this function has done from what others have
	mended    bool
	kept      *archive.Archive
	positions *rescue.Positions
}

func main() {
	cfg, err := config.LoadDefaultConfig(context.Background())
	if err != nil {
		slog.Error("init", slog.Any("error", err))
		os.Exit(1)
	}
	cfg.HTTPClient = app.HTTPClient(5 * time.Second)
	tables, control := dynamodb.NewFromConfig(cfg), os.Getenv("CONTROL_TABLE")
	objects := s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true })
	c := &consumer{
		tables: tables, table: os.Getenv("EFFECTS_TABLE"), name: os.Getenv("NAME"), mended: os.Getenv("MENDED") != "",
		kept: archive.New(tables, control, objects, os.Getenv("ARCHIVE_BUCKET"), nil), positions: rescue.NewPositions(tables, control, nil),
	}
	live := &batch.Options{Isolate: rescue.NewIsolator(c.kept, nil)}
	if os.Getenv("SOURCE") == "kinesis" {
		work := rescue.Track(c.kinesis, c.positions)
		lambda.Start(rescue.Replayable(batch.Kinesis(work, live), batch.Kinesis(work, nil)))
		return
	}
	work := rescue.Track(c.change, c.positions)
	lambda.Start(rescue.Replayable(batch.DynamoDB(work, live), batch.DynamoDB(work, nil)))
}

func (c *consumer) kinesis(ctx context.Context, r *event.KinesisRecord) error {
	var o order
	if err := json.Unmarshal(r.Data, &o); err != nil {
		return task.Permanent(err)
	}
	return c.work(ctx, o)
}

func (c *consumer) change(ctx context.Context, change *event.Change) error {
	var o order
	if err := change.New.Unmarshal(&o); err != nil {
		return task.Permanent(err)
	}
	return c.work(ctx, o)
}

func (c *consumer) work(ctx context.Context, o order) error {
	slog.InfoContext(ctx, "order", slog.String("name", c.name), slog.Any("order", o))
	switch {
	case c.mended:
	case o.Do == "permanent":
		return task.Permanent(task.Code("impossible", errors.New("it says so")))
	case o.Do == "crash":
		os.Exit(3)
	}
	_, err := c.tables.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &c.table,
		Key:       map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: c.name + "/" + o.Key}},

		UpdateExpression: aws.String("SET seen = list_append(if_not_exists(seen, :none), :n)"),
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":none": &types.AttributeValueMemberL{Value: []types.AttributeValue{}},
			":n":    &types.AttributeValueMemberL{Value: []types.AttributeValue{&types.AttributeValueMemberN{Value: fmt.Sprint(o.N)}}},
		},
	})
	return err
}
