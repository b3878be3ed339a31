//go:build integration

package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamodbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/go-cmp/cmp"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/spillway-go/spillway/pkg/client"
)

// told is a callback that the receiver got.
type told struct {
	delivery
	Type      string      `json:"type"`
	Timestamp time.Time   `json:"timestamp"`
	Data      client.Task `json:"data"`
}

// callbacks about a task, in the order of their arrival.
func (r *receiver) callbacks(t *testing.T, taskID string) []told {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []told
	for _, d := range r.all {
		c := told{delivery: d}
		if err := json.Unmarshal(d.Body, &c); err != nil {
			t.Fatalf("the receiver got %s: %v", d.Body, err)
		}
		if c.Data.ID == taskID {
			all = append(all, c)
		}
	}
	return all
}

// awaitCallbacks waits until the receiver got n callbacks about a task.
func (r *receiver) awaitCallbacks(t *testing.T, taskID string, n int) []told {
	t.Helper()
	var all []told
	eventually(t, func() error {
		if all = r.callbacks(t, taskID); len(all) < n {
			return fmt.Errorf("%d callbacks about task %s, want %d", len(all), taskID, n)
		}
		return nil
	})
	return all
}

// callback asks for a callback to the receiver.
func (r *receiver) callback(s *client.SubmitRequest) { s.CallbackURL = r.URL + "/ended?token=s3cr3t" }

// asJSON compares what JSON means, not how it is written: on LocalStack the µ of
// a latency came as an escape in a callback, and as itself in an answer.
var asJSON = cmp.Transformer("JSON", func(raw json.RawMessage) (v any) {
	if len(raw) == 0 {
		return nil
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		return err
	}
	return v
})

// Each end is told once: signed, with the task as GET shows it.
func TestCallbacks(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	verify := verifier(t)
	ends := map[client.Status]*client.Task{
		client.Succeeded:    submit(t, r.URL+"/ok", r.callback),
		client.Failed:       submit(t, r.URL+"/status/404", r.callback),
		client.DeadLettered: submit(t, r.URL+"/status/500", r.callback),
		client.Canceled:     submit(t, r.URL+"/ok", r.callback, func(s *client.SubmitRequest) { s.Delay = time.Minute }),
		client.Expired:      submit(t, r.URL+"/ok", r.callback, func(s *client.SubmitRequest) { s.TTL, s.Delay = time.Second, 2*time.Second }),
	}
	silent := submit(t, r.URL+"/ok")
	if _, err := stack.api.Cancel(t.Context(), ends[client.Canceled].ID); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for status, submitted := range ends {
		want := finish(t, submitted.ID)
		got := r.awaitCallbacks(t, submitted.ID, 1)[0]
		if got.Type != "task."+string(status) || want.Status != status || !got.Timestamp.Equal(want.FinishedAt) {
			t.Errorf("%s at %s about %s, which ended as %s at %s", got.Type, got.Timestamp, want.ID, want.Status, want.FinishedAt)
		}
		if diff := cmp.Diff(got.Data, *want, asJSON); diff != "" {
			t.Errorf("%s: the task (-told +answered):\n%s", status, diff)
		}
		if err := verify(got.Body, got.Header); err != nil {
			t.Errorf("%s: signature: %v", status, err)
		}
		if seen[got.ID] {
			t.Errorf("two callbacks have the id %s", got.ID)
		}
		seen[got.ID] = true
		made := finish(t, strings.TrimSuffix(got.ID, "-1"))
		if made.Type != "webhook.deliver" || made.Status != client.Succeeded || made.Attempts != 1 || made.Tenant != want.Tenant || !made.CreatedAt.Equal(want.FinishedAt) {
			t.Errorf("the callback's own task is %+v", made)
		}
	}
	finish(t, silent.ID)
	later := submit(t, r.URL+"/ok", r.callback)
	r.awaitCallbacks(t, later.ID, 1) // and with it all that came before
	for status, submitted := range ends {
		if all := r.callbacks(t, submitted.ID); len(all) != 1 {
			t.Errorf("%d callbacks about the end as %s, want 1", len(all), status)
		}
	}
	if all := r.callbacks(t, silent.ID); len(all) > 0 {
		t.Errorf("%d callbacks that nobody asked for", len(all))
	}
}

// A batch is settled by one call, which the stream has to notice too.
func TestCallbacksOfABatch(t *testing.T) {
	r := newReceiver(t)
	resume := pauseWorker(t)
	var ids []string
	for range 10 {
		ids = append(ids, submit(t, r.URL+"/ok", r.callback).ID)
	}
	resume()
	for _, id := range ids {
		if got := r.awaitCallbacks(t, id, 1); got[0].Data.Status != client.Succeeded || len(got) != 1 {
			t.Errorf("callbacks %+v, want one of a success", got)
		}
	}
}

// verifier checks signatures with the stack's secret.
func verifier(t *testing.T) func([]byte, http.Header) error {
	t.Helper()
	out, err := stack.secrets.GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: aws.String(stack.out["WebhookSecretArn"])})
	if err != nil {
		t.Fatal(err)
	}
	var secret struct{ Current string }
	if err := json.Unmarshal([]byte(*out.SecretString), &secret); err != nil {
		t.Fatal(err)
	}
	wh, err := standardwebhooks.NewWebhook(secret.Current)
	if err != nil {
		t.Fatal(err)
	}
	return wh.Verify
}

// A replayed task ends again and is told about again; so is a dead-lettered one
// that is canceled.
func TestCallbackOfEveryRun(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	var mended atomic.Bool
	shop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if !mended.Load() {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	t.Cleanup(shop.Close)
	replayed, canceled := submit(t, shop.URL, r.callback), submit(t, shop.URL, r.callback)
	for _, task := range []*client.Task{replayed, canceled} {
		want(t, finish(t, task.ID), client.DeadLettered, 4)
		r.awaitCallbacks(t, task.ID, 1)
	}
	if _, err := stack.api.Cancel(t.Context(), canceled.ID); err != nil {
		t.Fatal(err)
	}
	mended.Store(true)
	letter := deadLetter(t, ofTask(replayed.ID)) // as SQS's own redrive would move it, only that a copy stays there
	_, err := stack.queues.SendMessage(t.Context(), &sqs.SendMessageInput{
		QueueUrl: aws.String(stack.out["TasksQueueUrl"]), MessageBody: letter.Body, MessageAttributes: letter.MessageAttributes,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		task *client.Task
		last string
	}{{replayed, "task.succeeded"}, {canceled, "task.canceled"}} {
		all := r.awaitCallbacks(t, tt.task.ID, 2)
		types := []string{all[0].Type, all[1].Type}
		if !slices.Equal(types, []string{"task.dead_lettered", tt.last}) || all[0].ID == all[1].ID || all[0].Data.Error == nil || all[1].Data.Error != nil {
			t.Errorf("callbacks %+v, want dead_lettered, then %s", all, tt.last)
		}
	}
}

// A change that the stream delivers again makes no second callback.
func TestCallbackOfARepeatedChange(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	task := submit(t, r.URL+"/ok", r.callback)
	finish(t, task.ID)
	first := r.awaitCallbacks(t, task.ID, 1)[0]
	table, err := stack.tables.DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: aws.String(stack.out["TasksTableName"])})
	if err != nil {
		t.Fatal(err)
	}
	stream := aws.ToString(table.Table.LatestStreamArn)
	mappings, err := stack.lambdas.ListEventSourceMappings(t.Context(), &lambda.ListEventSourceMappingsInput{EventSourceArn: &stream})
	if err != nil || len(mappings.EventSourceMappings) != 1 {
		t.Fatalf("the stream's mappings: %+v, %v", mappings, err)
	}
	for range 3 {
		payload, err := json.Marshal(map[string]any{"replay": true, "Records": []any{map[string]any{
			"eventSource": "aws:dynamodb", "eventName": "MODIFY", "eventSourceARN": stream,
			"dynamodb": map[string]any{"SequenceNumber": "1", "Keys": map[string]any{"id": map[string]string{"S": task.ID}}, "NewImage": imageOf(t, task.ID)},
		}}})
		if err != nil {
			t.Fatal(err)
		}
		out, err := stack.lambdas.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: mappings.EventSourceMappings[0].FunctionArn, Payload: payload})
		if err != nil {
			t.Fatal(err)
		}
		if answer := strings.ReplaceAll(string(out.Payload), " ", ""); out.FunctionError != nil || answer != `{"batchItemFailures":[]}` {
			t.Fatalf("the function answers %s", out.Payload)
		}
	}
	later := submit(t, r.URL+"/ok", r.callback)
	r.awaitCallbacks(t, later.ID, 1)
	if all := r.callbacks(t, task.ID); len(all) != 1 || all[0].ID != first.ID {
		t.Errorf("%d callbacks, want 1", len(all))
	}
}

// imageOf is an item of the tasks table as its stream writes it.
func imageOf(t *testing.T, id string) map[string]map[string]string {
	t.Helper()
	out, err := stack.tables.GetItem(t.Context(), &dynamodb.GetItemInput{
		TableName: aws.String(stack.out["TasksTableName"]), Key: map[string]dynamodbtypes.AttributeValue{"id": &dynamodbtypes.AttributeValueMemberS{Value: id}},
	})
	if err != nil {
		t.Fatal(err)
	}
	image := map[string]map[string]string{}
	for name, v := range out.Item {
		switch v := v.(type) {
		case *dynamodbtypes.AttributeValueMemberS:
			image[name] = map[string]string{"S": v.Value}
		case *dynamodbtypes.AttributeValueMemberN:
			image[name] = map[string]string{"N": v.Value}
		}
	}
	return image
}

// A receiver that is down gets its callback later, as any webhook.
func TestCallbackIsTriedAgain(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	task := submit(t, r.URL+"/ok", func(s *client.SubmitRequest) { s.CallbackURL = r.URL + "/flaky/2/503" })
	want(t, finish(t, task.ID), client.Succeeded, 1)
	all := r.awaitCallbacks(t, task.ID, 3)
	if all[0].ID != all[2].ID || string(all[0].Body) != string(all[2].Body) {
		t.Errorf("the attempts differ: %s and %s", all[0].Body, all[2].Body)
	}
	want(t, finish(t, strings.TrimSuffix(all[0].ID, "-1")), client.Succeeded, 3)
}

func TestCallbackRefused(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"example.com", "ftp://example.com", "https://user:password@example.com/", "https://example.com/#x", "https://" + strings.Repeat("x", 2048)} {
		_, err := stack.api.Submit(t.Context(), client.SubmitRequest{Type: "webhook.deliver", Input: webhook("https://example.com"), CallbackURL: url})
		if !errors.Is(err, client.ErrInvalidRequest) || !strings.Contains(err.Error(), "callback_url") {
			t.Errorf("%.40s: %v, want invalid_request for the callback_url", url, err)
		}
	}
}
