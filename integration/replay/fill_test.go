//go:build integration

package replay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/spillway-go/spillway/pkg/event"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

// fill makes dead-lettered tasks and their letters, as a worker whose tasks all
// fail would leave them, only faster: rows and messages are those of the very
// packages that the functions use.
func fill(t *testing.T, n int, typ string, input func(i int) any, why task.Failure) (ids []string) {
	t.Helper()
	table := tasktable.New(stack.tables, stack.out["TasksTableName"], nil)
	letters := workqueue.New(stack.queues, stack.out["DeadLetterQueueUrl"], nil)
	ids = make([]string, n)
	for i := range ids {
		ids[i] = tasktable.NewID()
	}
	g, ctx := errgroup.WithContext(t.Context())
	g.SetLimit(8)
	for from := 0; from < n; from += 20 {
		part := ids[from:min(from+20, n)]
		g.Go(func() error {
			for i, id := range part {
				text, err := json.Marshal(input(from + i))
				if err != nil {
					return err
				}
				if _, err := table.Create(ctx, tasktable.Draft{ID: id, Tenant: "acme", Type: typ, Priority: task.Normal, Input: text, Deadline: time.Now().Add(time.Hour)}); err != nil {
					return err
				}
			}
			return kill(ctx, table, letters, part, why)
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	return ids
}

// kill brings tasks to their dead letters.
func kill(ctx context.Context, table *tasktable.Table, letters *workqueue.Queue, ids []string, why task.Failure) error {
	var messages []workqueue.Outgoing
	var settlements []tasktable.Settlement
	for _, c := range table.Claim(ctx, tasktable.NewOwner(), time.Now().Add(time.Minute), ids) {
		if c.Outcome != tasktable.Claimed {
			return fmt.Errorf("claim: %+v", c)
		}
		input, err := table.Input(ctx, c.Row)
		if err != nil {
			return err
		}
		out, err := workqueue.Encode(workqueue.Message{
			TaskID: c.Row.ID, Run: 1, Type: c.Row.Type, Tenant: c.Row.Tenant, CreatedAt: c.Row.CreatedAt(),
			Deadline: time.UnixMilli(c.Row.Deadline), Input: input, Origin: queueName("TasksQueueUrl"),
		})
		if err != nil {
			return err
		}
		rec := event.SQSMessage{MessageID: c.Row.ID, Body: out.Body, QueueARN: "arn:aws:sqs:us-east-1:000000000000:" + queueName("TasksQueueUrl")}
		for name, v := range out.Attributes {
			rec.Attributes = append(rec.Attributes, event.Attribute{Name: name, Type: *v.DataType, String: *v.StringValue})
		}
		record := workqueue.NewFailure(ctx, why, 5)
		record.Fingerprint = task.Fingerprint(c.Row.Type, why)
		letter, _ := workqueue.DeadLetter(&rec, record, 1)
		messages = append(messages, letter)
		settlements = append(settlements, tasktable.DeadLetter(c.Row, why).Explained(record.Fingerprint, json.RawMessage(record.Encode())))
	}
	for _, s := range table.Settle(ctx, settlements) {
		if s.Err != nil || s.Lost {
			return fmt.Errorf("settle: %+v", s)
		}
	}
	return errors.Join(letters.SendBatch(ctx, messages)...)
}
