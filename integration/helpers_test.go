//go:build integration

package integration

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cloudformationtypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/spillway-go/spillway/pkg/client"
)

// patience bounds every wait of the suite.
const patience = 3 * time.Minute

// webhook is the input of a webhook.deliver task. What it says shows if any
// log has inputs.
func webhook(url string) map[string]any {
	return map[string]any{"url": url, "event": "test", "payload": map[string]any{"n": 1, "note": canary}}
}

// submit hands a webhook.deliver task in.
func submit(t *testing.T, url string, change ...func(*client.SubmitRequest)) *client.Task {
	t.Helper()
	r := client.SubmitRequest{Type: "webhook.deliver", Input: webhook(url)}
	for _, c := range change {
		c(&r)
	}
	task, err := stack.api.Submit(t.Context(), r)
	if err != nil {
		t.Fatalf("submit: %v", err)
	}
	return task
}

// await takes a value from a channel, and fails when none comes.
func await[T any](t *testing.T, ch <-chan T) T {
	t.Helper()
	var v T
	select {
	case v = <-ch:
	case <-time.After(patience):
		t.Fatalf("nothing happened within %s", patience)
	}
	return v
}

// eventually polls until check is content, and fails with what it last said.
func eventually(t *testing.T, check func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("after %s: %v", patience, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// finish waits until a task has ended.
func finish(t *testing.T, id string) *client.Task {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	task, err := stack.api.Wait(ctx, id)
	if err != nil {
		t.Fatalf("wait for task %s: %v", id, err)
	}
	return task
}

// want checks how a task ended.
func want(t *testing.T, task *client.Task, status client.Status, attempts int) {
	t.Helper()
	if task.Status != status || task.Attempts != attempts {
		t.Errorf("task %s is %s after %d attempts, want %s after %d (error %+v)", task.ID, task.Status, task.Attempts, status, attempts, task.Error)
	}
}

// pauseWorker stops consumption of the tasks queue until the returned function
// is called. Tests that use it must not be parallel.
func pauseWorker(t *testing.T) (resume func()) {
	t.Helper()
	id := mapping(t, stack.out["TasksQueueUrl"])
	set := func(on bool) {
		ctx := context.WithoutCancel(t.Context())
		_, err := stack.lambdas.UpdateEventSourceMapping(ctx, &lambda.UpdateEventSourceMappingInput{UUID: &id, Enabled: &on})
		if err != nil {
			t.Fatalf("enable the worker: %v: %v", on, err)
		}
		state := map[bool]string{true: "Enabled", false: "Disabled"}[on]
		deadline := time.Now().Add(time.Minute)
		for {
			out, err := stack.lambdas.GetEventSourceMapping(ctx, &lambda.GetEventSourceMappingInput{UUID: &id})
			if err == nil && aws.ToString(out.State) == state {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("the mapping is not %s: %v", state, err)
			}
			<-time.After(100 * time.Millisecond)
		}
	}
	set(false)
	done := false
	resume = func() {
		if !done {
			done = true
			set(true)
		}
	}
	t.Cleanup(resume)
	return resume
}

// mapping finds the event source mapping of a queue.
func mapping(t *testing.T, queueURL string) string {
	t.Helper()
	out, err := stack.lambdas.ListEventSourceMappings(t.Context(), &lambda.ListEventSourceMappingsInput{FunctionName: aws.String(stack.out["WorkerFunctionName"])})
	if err != nil {
		t.Fatalf("list mappings: %v", err)
	}
	name := queueURL[strings.LastIndexByte(queueURL, '/')+1:]
	for _, m := range out.EventSourceMappings {
		if strings.HasSuffix(aws.ToString(m.EventSourceArn), ":"+name) {
			return aws.ToString(m.UUID)
		}
	}
	t.Fatalf("no mapping for %s", name)
	return ""
}

// receive takes n messages off a queue.
func receive(t *testing.T, queueURL string, n int) []types.Message {
	t.Helper()
	var all []types.Message
	eventually(t, func() error {
		out, err := stack.queues.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{
			QueueUrl: &queueURL, MaxNumberOfMessages: int32(min(n-len(all), 10)), WaitTimeSeconds: 1,
			MessageAttributeNames: []string{"All"}, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"},
		})
		if err != nil {
			return err
		}
		all = append(all, out.Messages...)
		if len(all) < n {
			return fmt.Errorf("received %d messages of %d", len(all), n)
		}
		return nil
	})
	return all
}

// event is what Lambda would make of received messages.
func event(queueURL string, messages []types.Message) events.SQSEvent {
	arn := "arn:aws:sqs:us-east-1:000000000000:" + queueURL[strings.LastIndexByte(queueURL, '/')+1:]
	var e events.SQSEvent
	for _, m := range messages {
		rec := events.SQSMessage{
			MessageId: aws.ToString(m.MessageId), ReceiptHandle: aws.ToString(m.ReceiptHandle), Body: aws.ToString(m.Body),
			Attributes: m.Attributes, MessageAttributes: map[string]events.SQSMessageAttribute{},
			EventSourceARN: arn, EventSource: "aws:sqs", AWSRegion: "us-east-1",
		}
		for name, a := range m.MessageAttributes {
			rec.MessageAttributes[name] = events.SQSMessageAttribute{StringValue: a.StringValue, BinaryValue: a.BinaryValue, DataType: aws.ToString(a.DataType)}
		}
		e.Records = append(e.Records, rec)
	}
	return e
}

// invoke calls the worker with one batch.
func invoke(ctx context.Context, e events.SQSEvent) (payload []byte, err error) {
	payload, err = json.Marshal(e)
	if err != nil {
		return nil, err
	}
	out, err := stack.lambdas.Invoke(ctx, &lambda.InvokeInput{
		FunctionName: aws.String(stack.out["WorkerFunctionName"]), Payload: payload, InvocationType: lambdatypes.InvocationTypeRequestResponse,
	}, func(o *lambda.Options) { o.RetryMaxAttempts = 1 })
	if err != nil {
		return nil, err
	}
	if out.FunctionError != nil {
		return nil, fmt.Errorf("%s: %s", *out.FunctionError, out.Payload)
	}
	return out.Payload, nil
}

// workAndDie invokes the worker with a batch that it does not survive.
func workAndDie(t *testing.T, e events.SQSEvent) error {
	t.Helper()
	_, err := invoke(t.Context(), e)
	return err
}

// work invokes the worker with one batch and returns the ids that it reports.
func work(t *testing.T, e events.SQSEvent) []string {
	t.Helper()
	answer, err := invoke(t.Context(), e)
	if err != nil {
		t.Fatalf("invoke the worker: %v", err)
	}
	var resp struct {
		BatchItemFailures *[]events.SQSBatchItemFailure `json:"batchItemFailures"`
	}
	if err := json.Unmarshal(answer, &resp); err != nil || resp.BatchItemFailures == nil {
		t.Fatalf("the worker answered %s (%v), want a batchItemFailures list", answer, err)
	}
	ids := []string{}
	for _, f := range *resp.BatchItemFailures {
		ids = append(ids, f.ItemIdentifier)
	}
	return ids
}

// remove deletes messages that a test took off a queue and is done with.
func remove(t *testing.T, queueURL string, messages []types.Message) {
	t.Helper()
	for _, m := range messages {
		_, err := stack.queues.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: &queueURL, ReceiptHandle: m.ReceiptHandle})
		if err != nil {
			t.Errorf("delete message: %v", err)
		}
	}
}

// send puts a message on a queue as it is.
func send(t *testing.T, queueURL, body string, attributes map[string]types.MessageAttributeValue) {
	t.Helper()
	_, err := stack.queues.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &queueURL, MessageBody: &body, MessageAttributes: attributes})
	if err != nil {
		t.Fatalf("send: %v", err)
	}
}

func text(s string) types.MessageAttributeValue {
	return types.MessageAttributeValue{DataType: aws.String("String"), StringValue: &s}
}

func number(n int) types.MessageAttributeValue {
	return types.MessageAttributeValue{DataType: aws.String("Number"), StringValue: aws.String(strconv.Itoa(n))}
}

// sweeping lets one test at a time look through the dead letters: what one has
// received, another would not see.
var sweeping sync.Mutex

// deadLetter finds a dead letter and leaves all of them visible.
func deadLetter(t *testing.T, match func(types.Message) bool) types.Message {
	t.Helper()
	var found *types.Message
	eventually(t, func() error {
		sweeping.Lock()
		defer sweeping.Unlock()
		n := 0
		for {
			messages, err := receiveHidden(t, stack.out["DeadLetterQueueUrl"])
			if err != nil {
				return err
			}
			defer show(t, stack.out["DeadLetterQueueUrl"], messages)
			for _, m := range messages {
				if match(m) {
					found = &m
					return nil
				}
			}
			if n += len(messages); len(messages) == 0 {
				return fmt.Errorf("no such dead letter among %d", n)
			}
		}
	})
	return *found
}

// receiveHidden takes up to ten messages and hides them while a test looks.
func receiveHidden(t *testing.T, queueURL string) ([]types.Message, error) {
	t.Helper()
	out, err := stack.queues.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{
		QueueUrl: &queueURL, MaxNumberOfMessages: 10, WaitTimeSeconds: 1, VisibilityTimeout: 60,
		MessageAttributeNames: []string{"All"}, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"},
	})
	if err != nil {
		return nil, err
	}
	return out.Messages, nil
}

// show makes received messages visible again.
func show(t *testing.T, queueURL string, messages []types.Message) {
	t.Helper()
	if len(messages) == 0 {
		return
	}
	in := &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &queueURL}
	for i, m := range messages {
		in.Entries = append(in.Entries, types.ChangeMessageVisibilityBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: m.ReceiptHandle})
	}
	if _, err := stack.queues.ChangeMessageVisibilityBatch(context.WithoutCancel(t.Context()), in); err != nil {
		t.Errorf("make messages visible again: %v", err)
	}
}

func ofTask(id string) func(types.Message) bool {
	return func(m types.Message) bool { return aws.ToString(m.MessageAttributes["task_id"].StringValue) == id }
}

// quiet reports whether a queue holds nothing, visible or in flight.
func quiet(queueURL string) func() error {
	return func() error {
		out, err := stack.queues.GetQueueAttributes(context.Background(), &sqs.GetQueueAttributesInput{
			QueueUrl: &queueURL, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll},
		})
		if err != nil {
			return err
		}
		for _, name := range []string{"ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"} {
			if out.Attributes[name] != "0" {
				return fmt.Errorf("%s of %s is %s", name, queueURL, out.Attributes[name])
			}
		}
		return nil
	}
}

// roundTrip signs a request and sends it.
func roundTrip(t *testing.T, req *http.Request, service string, body []byte) (status int, header http.Header, answer string) {
	t.Helper()
	status, header, answer, err := signedRoundTrip(req, service, body, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return status, header, answer
}

// signedRoundTrip does the same outside of a test, and reads so many bytes of
// the answer at most.
func signedRoundTrip(req *http.Request, service string, body []byte, limit int64) (status int, header http.Header, answer string, err error) {
	creds, err := stack.cfg.Credentials.Retrieve(req.Context())
	if err != nil {
		return 0, nil, "", err
	}
	sum := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(req.Context(), creds, req, hex.EncodeToString(sum[:]), service, stack.cfg.Region, time.Now()); err != nil {
		return 0, nil, "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, "", err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, limit))
	return resp.StatusCode, resp.Header, string(raw), err
}

// resourcesOf are the resources of a stack.
func resourcesOf(ctx context.Context, stackName string) ([]cloudformationtypes.StackResource, error) {
	out, err := cloudformation.NewFromConfig(stack.cfg).DescribeStackResources(ctx, &cloudformation.DescribeStackResourcesInput{StackName: &stackName})
	if err != nil {
		return nil, err
	}
	return out.StackResources, nil
}
