// Batchonly is an example of partial batch responses without the rest of
// Spillway: a Lambda function that is fed by any SQS queue.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/spillway-go/spillway/pkg/batch"
	"github.com/spillway-go/spillway/pkg/event"
	"github.com/spillway-go/spillway/pkg/task"
)

func main() { lambda.Start(batch.SQS(ship, &batch.Options{Concurrency: 4})) }

type order struct {
	ID    string `json:"id"`
	Items int    `json:"items"`
}

var errClosed = errors.New("the warehouse is closed")

// ship is called for each message; only those that fail come back.
func ship(ctx context.Context, msg *event.SQSMessage) error {
	var o order
	if err := json.Unmarshal([]byte(msg.Body), &o); err != nil {
		return task.Permanent(err) // with Options.Reject it goes to the dead-letter queue at once
	}
	if o.Items == 0 {
		return task.RetryAfter(time.Hour, errClosed) // with Options.Visibility it comes back after an hour
	}
	slog.InfoContext(ctx, "shipped", slog.String("order", o.ID))
	return nil
}
