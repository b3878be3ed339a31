// Command batches is a Lambda function that the suite builds: it works on
// batches of one kind of source as the record says, and writes down what it has
// done, in order.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/spillway-go/spillway/internal/app"
	"github.com/spillway-go/spillway/pkg/batch"
	"github.com/spillway-go/spillway/pkg/event"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

// order is what a record says.
type order struct {
	Key string `json:"key"`
	N   int    `json:"n"`
	Do  string `json:"do"` // ok, fail, permanent, or once: fail the first time
}

type worker struct {
	tables *dynamodb.Client
	table  string
	name   string // tells what this function has done from what others have

	mu     sync.Mutex
	failed map[order]bool // those that have failed once
}

func main() {
	cfg, err := config.LoadDefaultConfig(context.Background())
	if err != nil {
		slog.Error("init", slog.Any("error", err))
		os.Exit(1)
	}
	cfg.HTTPClient = app.HTTPClient(5 * time.Second)
	w := &worker{
		tables: dynamodb.NewFromConfig(cfg), table: os.Getenv("EFFECTS_TABLE"),
		name: os.Getenv("NAME"), failed: map[order]bool{},
	}
	queues := sqs.NewFromConfig(cfg)
	opts := &batch.Options{Concurrency: 3, Backoff: func(int) time.Duration { return time.Second }}
	if url := os.Getenv("QUEUE_URL"); url != "" {
		opts.Visibility = workqueue.New(queues, url, nil)
	}
	if url := os.Getenv("ISOLATED_QUEUE_URL"); url != "" {
		isolated := workqueue.New(queues, url, nil)
		opts.Reject, opts.Isolate = isolated, isolated
	}
	lambda.Start(w.handler(os.Getenv("SOURCE"), opts))
}

func (w *worker) handler(source string, opts *batch.Options) batch.Handler {
	switch source {
	case "kinesis":
		return batch.Kinesis(func(ctx context.Context, r *event.KinesisRecord) error { return w.work(ctx, json.Unmarshal, r.Data) }, opts)
	case "dynamodb":
		return batch.DynamoDB(func(ctx context.Context, c *event.Change) error {
			return w.work(ctx, func(image []byte, v any) error { return event.Image(image).Unmarshal(v) }, []byte(c.New))
		}, opts)
	default:
		return batch.SQS(func(ctx context.Context, m *event.SQSMessage) error {
			return w.work(ctx, json.Unmarshal, []byte(m.Body))
		}, opts)
	}
}

func (w *worker) work(ctx context.Context, decode func([]byte, any) error, data []byte) error {
	var o order
	if err := decode(data, &o); err != nil {
		return task.Permanent(err)
	}
	slog.InfoContext(ctx, "order", slog.String("name", w.name), slog.Any("order", o))
	switch {
	case o.Do == "permanent":
		return task.Permanent(task.Code("impossible", errors.New("it says so")))
	case o.Do == "fail", o.Do == "once" && w.first(o):
		return task.Code("unlucky", errors.New("it says so"))
	}
	_, err := w.tables.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &w.table,
		Key:       map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: w.name + "/" + o.Key}},

		UpdateExpression: aws.String("SET seen = list_append(if_not_exists(seen, :none), :n)"),
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":none": &types.AttributeValueMemberL{Value: []types.AttributeValue{}},
			":n":    &types.AttributeValueMemberL{Value: []types.AttributeValue{&types.AttributeValueMemberN{Value: fmt.Sprint(o.N)}}},
		},
	})
	return err
}

// first reports whether an order is here for the first time.
func (w *worker) first(o order) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	again := w.failed[o]
	w.failed[o] = true
	return !again
}
