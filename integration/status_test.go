//go:build integration

package integration

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/spillway-go/spillway/integration/probe"
	"github.com/spillway-go/spillway/pkg/client"
)

func TestSucceeded(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	task := finish(t, submit(t, r.URL+"/ok").ID)
	want(t, task, client.Succeeded, 1)
	var result struct {
		Status, Attempt int
		Latency         string
	}
	if err := json.Unmarshal(task.Result, &result); err != nil || result.Status != 204 || result.Attempt != 1 || result.Latency == "" {
		t.Errorf("result %s (%v), want status 204, attempt 1 and a latency", task.Result, err)
	}
	if task.FinishedAt.Before(task.StartedAt) || task.StartedAt.Before(task.CreatedAt) {
		t.Errorf("created %v, started %v, finished %v: not in order", task.CreatedAt, task.StartedAt, task.FinishedAt)
	}
}

func TestSignature(t *testing.T) {
	t.Parallel()
	verifier, err := standardwebhooks.NewWebhook(readSecret(t).Current)
	if err != nil {
		t.Fatal(err)
	}
	r := newReceiver(t)
	task := finish(t, submit(t, r.URL+"/ok").ID)
	deliveries := r.deliveries(task.ID)
	if len(deliveries) != 1 {
		t.Fatalf("%d deliveries, want 1", len(deliveries))
	}
	if err := verifier.Verify(deliveries[0].Body, deliveries[0].Header); err != nil {
		t.Errorf("signature: %v", err)
	}
}

func TestFailed(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	task := finish(t, submit(t, r.URL+"/status/404").ID)
	want(t, task, client.Failed, 1)
	if task.Error == nil || task.Error.Code != "http_404" || task.Error.Retryable {
		t.Errorf("error %+v, want http_404, not retryable", task.Error)
	}
	if _, err := stack.api.Cancel(t.Context(), task.ID); !errors.Is(err, client.ErrTaskFinished) {
		t.Errorf("cancel: %v, want task_finished", err)
	}
}

func TestRetried(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	want(t, finish(t, submit(t, r.URL+"/flaky/2/503").ID), client.Succeeded, 3)
}

func TestDeadLettered(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	task := finish(t, submit(t, r.URL+"/status/500").ID)
	want(t, task, client.DeadLettered, 4)
	if n := len(r.deliveries(task.ID)); n != 4 {
		t.Errorf("%d deliveries, want 4", n)
	}
	m := deadLetter(t, ofTask(task.ID))
	if code := aws.ToString(m.MessageAttributes["error_code"].StringValue); code != "http_500" {
		t.Errorf("error_code %q, want http_500", code)
	}
	var body struct {
		TaskID string `json:"task_id"`
		Run    int
	}
	var failure struct {
		Code, Message string
		Attempts      int
	}
	if err := json.Unmarshal([]byte(*m.Body), &body); err != nil || body.TaskID != task.ID || body.Run != 2 {
		t.Errorf("body %s (%v), want the task with run 2", *m.Body, err)
	}
	raw := aws.ToString(m.MessageAttributes["failure"].StringValue)
	if err := json.Unmarshal([]byte(raw), &failure); err != nil || failure.Code != "http_500" || failure.Attempts != 4 {
		t.Errorf("failure %s (%v), want http_500 after 4 attempts", raw, err)
	}
	canceled, err := stack.api.Cancel(t.Context(), task.ID)
	if err != nil || canceled.Status != client.Canceled {
		t.Errorf("cancel: %+v, %v, want canceled", canceled, err)
	}
}

func TestExpired(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	late := submit(t, r.URL+"/ok", func(s *client.SubmitRequest) { s.TTL, s.Delay = time.Second, 2*time.Second })
	want(t, finish(t, late.ID), client.Expired, 0)
	// Nobody reads this one before its message arrives: the worker expires it.
	unread := submit(t, r.URL+"/ok", func(s *client.SubmitRequest) { s.TTL, s.Delay = time.Second, 2*time.Second })
	<-time.After(4 * time.Second)
	want(t, finish(t, unread.ID), client.Expired, 0)
	if len(r.deliveries(late.ID))+len(r.deliveries(unread.ID)) != 0 {
		t.Error("an expired task was delivered")
	}
}

func TestCanceled(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	queued := submit(t, r.URL+"/ok", func(s *client.SubmitRequest) { s.Delay = 3 * time.Second })
	for range 2 { // twice is no error
		task, err := stack.api.Cancel(t.Context(), queued.ID)
		if err != nil || task.Status != client.Canceled {
			t.Fatalf("cancel: %+v, %v", task, err)
		}
	}
	running := submit(t, r.URL+"/hold")
	await(t, r.held)
	task, err := stack.api.Cancel(t.Context(), running.ID)
	if err != nil || task.Status != client.Running || !task.CancelRequested {
		t.Errorf("cancel of a running task: %+v, %v, want running with cancel_requested", task, err)
	}
	r.let() // success before the cancel counts wins
	want(t, finish(t, running.ID), client.Succeeded, 1)
	<-time.After(4 * time.Second) // the canceled task's message has come by now
	want(t, finish(t, queued.ID), client.Canceled, 0)
	if n := len(r.deliveries(queued.ID)); n != 0 {
		t.Errorf("a canceled task was delivered %d times", n)
	}
}

func TestCanceledAfterFailure(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	task := submit(t, r.URL+"/hold/503")
	await(t, r.held)
	if _, err := stack.api.Cancel(t.Context(), task.ID); err != nil {
		t.Fatal(err)
	}
	r.let() // it fails, which makes it canceled
	want(t, finish(t, task.ID), client.Canceled, 1)
}

func TestBulk(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	task := finish(t, submit(t, r.URL+"/ok", func(s *client.SubmitRequest) { s.Priority = client.Bulk }).ID)
	want(t, task, client.Succeeded, 1)
	if task.Priority != client.Bulk {
		t.Errorf("priority %s, want bulk", task.Priority)
	}
}

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	key := func(s *client.SubmitRequest) { s.IdempotencyKey = "key-" + t.Name() + r.URL }
	first, again := submit(t, r.URL+"/ok", key), submit(t, r.URL+"/ok", key)
	if first.ID != again.ID {
		t.Errorf("ids %s and %s, want one task", first.ID, again.ID)
	}
	_, err := stack.api.Submit(t.Context(), client.SubmitRequest{Type: "webhook.deliver", Input: webhook(r.URL + "/other"), IdempotencyKey: "key-" + t.Name() + r.URL})
	if !errors.Is(err, client.ErrIdempotencyKeyReused) {
		t.Errorf("another request with the key: %v, want idempotency_key_reused", err)
	}
	want(t, finish(t, first.ID), client.Succeeded, 1)
	if n := len(r.deliveries(first.ID)); n != 1 {
		t.Errorf("%d deliveries, want 1", n)
	}
}

func TestLargeInput(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	for _, size := range []int{1_000, 100_000, 250_000} {
		in := webhook(r.URL + "/ok")
		in["payload"] = strings.Repeat("x", size)
		task, err := stack.api.Submit(t.Context(), client.SubmitRequest{Type: "webhook.deliver", Input: in})
		if err != nil {
			t.Fatalf("input of %d: %v", size, err)
		}
		want(t, finish(t, task.ID), client.Succeeded, 1)
		if ds := r.deliveries(task.ID); len(ds) != 1 || len(ds[0].Body) < size {
			t.Errorf("input of %d bytes did not arrive whole", size)
		}
	}
}

func TestForbiddenTarget(t *testing.T) {
	t.Parallel()
	task := finish(t, submit(t, "http://169.254.169.254/latest/meta-data/").ID)
	want(t, task, client.Failed, 1)
	if task.Error == nil || task.Error.Code != "target_forbidden" {
		t.Errorf("error %+v, want target_forbidden", task.Error)
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	var ids []string
	for range 7 {
		ids = append(ids, finish(t, submit(t, r.URL+"/status/410").ID).ID)
	}
	slices.Reverse(ids)
	var listed []string
	eventually(t, func() error { // the index is eventually consistent
		listed = nil
		for task, err := range stack.api.All(t.Context(), client.ListRequest{Type: "webhook.deliver", Status: client.Failed, Limit: 3}) {
			if err != nil {
				return err
			}
			if slices.Contains(ids, task.ID) {
				listed = append(listed, task.ID)
			}
			if len(listed) == len(ids) {
				return nil
			}
		}
		return errors.New("not all tasks are listed")
	})
	if !slices.Equal(listed, ids) {
		t.Errorf("listed %v, want %v, newest first", listed, ids)
	}
}

func TestUnsigned(t *testing.T) {
	t.Parallel()
	needs(t, probe.UnsignedRefused)
	resp, err := http.Get(stack.out["ApiUrl"] + "/tasks")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("an unsigned request got %d, want 403", resp.StatusCode)
	}
}
