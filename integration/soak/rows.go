package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/oklog/ulid/v2"

	"github.com/spillway-go/spillway/pkg/client"
)

// The tasks are read from the table, past the API, which lists a hundred at a
// time and takes the local AWS minutes for a whole run. A sample is compared
// with what the API answers. docs/protocol.md describes the row.

// finished returns which of the tasks with these ids have ended, and how.
func (s *stack) finished(ctx context.Context, ids []string) (map[string]client.Status, error) {
	table := s.out["TasksTableName"]
	ended := map[string]client.Status{}
	for chunk := range slices.Chunk(ids, 100) {
		keys := types.KeysAndAttributes{ProjectionExpression: aws.String("id, #s"), ExpressionAttributeNames: map[string]string{"#s": "status"}}
		for _, id := range chunk {
			keys.Keys = append(keys.Keys, map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: id}})
		}
		out, err := s.tables.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{table: keys}})
		if err != nil {
			return nil, fmt.Errorf("read tasks: %w", err)
		}
		for _, row := range out.Responses[table] {
			if t := readRow(row); t.Status.Finished() {
				ended[t.ID] = t.Status
			}
		}
	}
	return ended, nil
}

// tasks returns every task in the table.
func (s *stack) tasks(ctx context.Context) ([]*client.Task, error) {
	var all []*client.Task
	pages := dynamodb.NewScanPaginator(s.tables, &dynamodb.ScanInput{
		TableName: aws.String(s.out["TasksTableName"]), FilterExpression: aws.String("attribute_exists(run)"),
		ProjectionExpression: aws.String("id, #s, attempts, finished_at, #e"), ExpressionAttributeNames: map[string]string{"#s": "status", "#e": "error"},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("read all tasks: %w", err)
		}
		for _, row := range page.Items {
			all = append(all, readRow(row))
		}
	}
	return all, nil
}

// readRow reads what an audit needs of a row.
func readRow(row map[string]types.AttributeValue) *client.Task {
	text := func(name string) string {
		v, _ := row[name].(*types.AttributeValueMemberS)
		if v == nil {
			return ""
		}
		return v.Value
	}
	number := func(name string) int64 {
		v, _ := row[name].(*types.AttributeValueMemberN)
		if v == nil {
			return 0
		}
		n, _ := strconv.ParseInt(v.Value, 10, 64)
		return n
	}
	t := &client.Task{ID: text("id"), Status: client.Status(text("status")), Attempts: int(number("attempts"))}
	if id, err := ulid.ParseStrict(t.ID); err == nil {
		t.CreatedAt = ulid.Time(id.Time())
	}
	if ms := number("finished_at"); ms > 0 {
		t.FinishedAt = time.UnixMilli(ms)
	}
	if e := text("error"); e != "" {
		t.Error = new(client.TaskError)
		_ = json.Unmarshal([]byte(e), t.Error) // it is only shown
	}
	return t
}

// sample is how many tasks are read by the API as well.
const sample = 200

// compare says which of a sample of tasks the API answers otherwise.
func (s *stack) compare(ctx context.Context, tasks []*client.Task) (differ []string, err error) {
	for i := 0; i < len(tasks); i += max(len(tasks)/sample, 1) {
		t := tasks[i]
		got, err := s.api.Get(ctx, t.ID)
		if err != nil {
			return nil, fmt.Errorf("read task %s: %w", t.ID, err)
		}
		if got.Status != t.Status || got.Attempts != t.Attempts || !got.CreatedAt.Equal(t.CreatedAt) || !got.FinishedAt.Equal(t.FinishedAt) {
			differ = append(differ, fmt.Sprintf("task %s is %s after %d attempts by the API, and %s after %d in the table", t.ID, got.Status, got.Attempts, t.Status, t.Attempts))
		}
	}
	return differ, nil
}
