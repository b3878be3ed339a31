//go:build integration

package integration

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/spillway-go/spillway/pkg/client"
)

// Tests here stop the worker's mapping or count its calls, so none is parallel.

// held submits tasks while the worker is stopped and takes their messages.
func held(t *testing.T, urls ...string) ([]*client.Task, []types.Message) {
	t.Helper()
	tasks := make([]*client.Task, len(urls))
	for i, u := range urls {
		tasks[i] = submit(t, u)
	}
	return tasks, receive(t, stack.out["TasksQueueUrl"], len(urls))
}

func repeat(n int, url string) []string { return slices.Repeat([]string{url}, n) }

func TestCostOfOneTask(t *testing.T) {
	r := newReceiver(t)
	pauseWorker(t)
	before := stack.proxy.Snapshot()
	submit(t, r.URL+"/ok") // the client always sends an idempotency key
	withKey := stack.proxy.Snapshot().Sub(before)
	remove(t, stack.out["TasksQueueUrl"], receive(t, stack.out["TasksQueueUrl"], 1))
	before = stack.proxy.Snapshot()
	id, location := submitWithoutKey(t, r.URL+"/ok")
	created := stack.proxy.Snapshot().Sub(before)
	if status, _, answer := exchange(t, http.MethodGet, location, "", nil); status != http.StatusOK || !strings.Contains(answer, id) {
		t.Errorf("GET of the Location: %d %s", status, answer)
	}
	messages := receive(t, stack.out["TasksQueueUrl"], 1)
	before = stack.proxy.Snapshot()
	if failed := work(t, event(stack.out["TasksQueueUrl"], messages)); len(failed) != 0 {
		t.Fatalf("the worker reports %v", failed)
	}
	worked := stack.proxy.Snapshot().Sub(before)
	remove(t, stack.out["TasksQueueUrl"], messages)
	t.Logf("submit:\n%v\nworker:\n%v", created, worked)
	for name, got := range map[string][2]int{
		"writes of submit":             {created.Of("dynamodb", "").Writes, 1},
		"writes of submit with a key":  {withKey.Of("dynamodb", "").Writes, 2},
		"reads of submit":              {created.Of("dynamodb", "").Reads + withKey.Of("dynamodb", "").Reads, 0},
		"messages sent":                {created.Calls("sqs", ""), 1},
		"writes of the worker":         {worked.Of("dynamodb", "").Writes, 2},
		"reads of the worker":          {worked.Of("dynamodb", "").Reads, 0},
		"DynamoDB calls of the worker": {worked.Calls("dynamodb", ""), 2},
		"SQS calls of the worker":      {worked.Calls("sqs", ""), 0},
	} {
		if got[0] != got[1] {
			t.Errorf("%s: %d, want %d", name, got[0], got[1])
		}
	}
	want(t, finish(t, id), client.Succeeded, 1)
}

// submitWithoutKey submits as a program without our client may: with no
// idempotency key. It also checks what the client does not show.
func submitWithoutKey(t *testing.T, url string) (id, location string) {
	t.Helper()
	body, err := json.Marshal(map[string]any{"type": "webhook.deliver", "input": webhook(url)})
	if err != nil {
		t.Fatal(err)
	}
	status, header, answer := exchange(t, http.MethodPost, stack.out["ApiUrl"]+"/tasks", string(body), map[string]string{"Content-Type": "application/json"})
	var task client.Task
	if err := json.Unmarshal([]byte(answer), &task); err != nil || status != http.StatusAccepted {
		t.Fatalf("submit: %d %s (%v), want 202 and the task", status, answer, err)
	}
	if task.Status != client.Queued {
		t.Errorf("the accepted task is %s, want queued", task.Status)
	}
	if header.Get("Retry-After") == "" || header.Get("Location") != stack.out["ApiUrl"]+"/tasks/"+task.ID {
		t.Errorf("Retry-After %q, Location %q", header.Get("Retry-After"), header.Get("Location"))
	}
	return task.ID, header.Get("Location")
}

func TestCostOfFullBatch(t *testing.T) {
	r := newReceiver(t)
	pauseWorker(t)
	tasks, messages := held(t, repeat(10, r.URL+"/ok")...)
	before := stack.proxy.Snapshot()
	if failed := work(t, event(stack.out["TasksQueueUrl"], messages)); len(failed) != 0 {
		t.Fatalf("the worker reports %v", failed)
	}
	used := stack.proxy.Snapshot().Sub(before)
	t.Logf("ten tasks:\n%v", used)
	if n := used.Calls("dynamodb", ""); n != 2 {
		t.Errorf("%d DynamoDB calls, want 2", n)
	}
	if w := used.Of("dynamodb", "").Writes; w != 20 {
		t.Errorf("%d writes, want 20", w)
	}
	for _, task := range tasks {
		want(t, finish(t, task.ID), client.Succeeded, 1)
	}

	// The same batch delivered again, beside a new task: duplicates cost a
	// failed condition in the call that is made anyway.
	_, fresh := held(t, r.URL+"/ok", r.URL+"/ok")
	before = stack.proxy.Snapshot()
	again := append(slices.Clone(messages[:8]), fresh...)
	if failed := work(t, event(stack.out["TasksQueueUrl"], again)); len(failed) != 0 {
		t.Errorf("duplicates are not acknowledged: %v", failed)
	}
	used = stack.proxy.Snapshot().Sub(before)
	if n, failed := used.Calls("dynamodb", ""), used.Of("dynamodb", "").ConditionsFailed; n != 2 || failed != 8 {
		t.Errorf("%d DynamoDB calls with %d failed conditions, want 2 with 8:\n%v", n, failed, used)
	}
	for _, task := range tasks {
		if n := len(r.deliveries(task.ID)); n != 1 {
			t.Errorf("task %s had %d effects, want 1", task.ID, n)
		}
	}
	remove(t, stack.out["TasksQueueUrl"], append(messages, fresh...))
}

func TestPartialBatchFailure(t *testing.T) {
	r := newReceiver(t)
	resume := pauseWorker(t)
	urls := append(repeat(7, r.URL+"/ok"), repeat(3, r.URL+"/flaky/1/500")...)
	var tasks []*client.Task
	for _, u := range urls {
		tasks = append(tasks, submit(t, u))
	}
	resume()
	for i, task := range tasks {
		attempts := 1
		if i >= 7 {
			attempts = 2
		}
		want(t, finish(t, task.ID), client.Succeeded, attempts)
		if n := len(r.deliveries(task.ID)); n != attempts {
			t.Errorf("task %d was delivered %d times, want %d", i, n, attempts)
		}
	}
}

func TestPartialBatchResponse(t *testing.T) {
	r := newReceiver(t)
	resume := pauseWorker(t)
	tasks, messages := held(t, append(repeat(7, r.URL+"/ok"), repeat(3, r.URL+"/flaky/1/500")...)...)
	failing := map[string]bool{}
	for _, task := range tasks[7:] {
		failing[task.ID] = true
	}
	e := event(stack.out["TasksQueueUrl"], messages)
	reported := work(t, e)
	if len(reported) != 3 {
		t.Errorf("%d messages reported, want 3", len(reported))
	}
	for _, m := range messages {
		id := aws.ToString(m.MessageAttributes["task_id"].StringValue)
		if slices.Contains(reported, *m.MessageId) != failing[id] {
			t.Errorf("task %s: reported %v, want %v", id, !failing[id], failing[id])
		}
		if !failing[id] {
			remove(t, stack.out["TasksQueueUrl"], []types.Message{m})
		}
	}
	resume()
	for _, task := range tasks[7:] {
		want(t, finish(t, task.ID), client.Succeeded, 2)
	}
}

func TestDuplicateMessage(t *testing.T) {
	r := newReceiver(t)
	resume := pauseWorker(t)
	tasks, messages := held(t, r.URL+"/ok")
	for range 3 {
		send(t, stack.out["TasksQueueUrl"], *messages[0].Body, messages[0].MessageAttributes)
	}
	remove(t, stack.out["TasksQueueUrl"], messages)
	resume()
	task := finish(t, tasks[0].ID)
	want(t, task, client.Succeeded, 1)
	first := task.Result
	eventually(t, quiet(stack.out["TasksQueueUrl"]))
	if task = finish(t, task.ID); string(task.Result) != string(first) {
		t.Errorf("the result changed from %s to %s", first, task.Result)
	}
	if n := len(r.deliveries(task.ID)); n != 1 {
		t.Errorf("%d effects, want 1", n)
	}
}

// A batch that cannot be done within the function's time-out: what was not begun
// comes back and has lost nothing.
func TestBatchLongerThanTimeout(t *testing.T) {
	r := newReceiver(t)
	resume := pauseWorker(t)
	tasks, messages := held(t, repeat(10, r.URL+"/slow/"+(workerTimeout()/4).String())...)
	reported := work(t, event(stack.out["TasksQueueUrl"], messages))
	if len(reported) == 0 || len(reported) == 10 {
		t.Errorf("%d of 10 messages handed back, want some", len(reported))
	}
	for _, m := range messages {
		if !slices.Contains(reported, *m.MessageId) {
			remove(t, stack.out["TasksQueueUrl"], []types.Message{m})
		}
	}
	resume()
	for _, task := range tasks {
		want(t, finish(t, task.ID), client.Succeeded, 1)
		if n := len(r.deliveries(task.ID)); n != 1 {
			t.Errorf("task %s was delivered %d times, want 1", task.ID, n)
		}
	}
}
