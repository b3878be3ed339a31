//go:build integration

package integration

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/spillway-go/spillway/integration/probe"
	"github.com/spillway-go/spillway/pkg/client"
)

// Callers who wait for their tasks hold all that status may use, and handing in
// works all the same. Not parallel: other tests ask for their tasks, too.
func TestStatusIsApartFromSubmit(t *testing.T) {
	const reserved = 2
	pauseWorker(t) // so that the tasks wait, and their messages are gone right after the test
	id := submit(t, "https://receiver.invalid/").ID
	name := aws.String(stack.out["StatusFunctionName"])
	_, err := stack.lambdas.PutFunctionConcurrency(t.Context(), &lambda.PutFunctionConcurrencyInput{FunctionName: name, ReservedConcurrentExecutions: aws.Int32(reserved)})
	if err != nil {
		t.Fatal(err)
	}
	free := sync.OnceFunc(func() {
		if _, err := stack.lambdas.DeleteFunctionConcurrency(context.WithoutCancel(t.Context()), &lambda.DeleteFunctionConcurrencyInput{FunctionName: name}); err != nil {
			t.Error(err)
		}
	})
	defer free()

	var held sync.WaitGroup
	defer held.Wait()
	defer func() { _, _ = stack.api.Cancel(context.WithoutCancel(t.Context()), id) }() // for which they wait
	for range reserved {
		held.Go(func() { _, _ = stack.api.Wait(t.Context(), id) })
	}
	eventually(t, func() error {
		status, body := ask(t, stack.out["ApiUrl"], "")
		if status == http.StatusOK {
			return errors.New("status answers yet")
		}
		t.Logf("status is busy: %d %s", status, body)
		return nil
	})
	if _, err := stack.api.Cancel(t.Context(), submit(t, "https://receiver.invalid/").ID); err != nil {
		t.Error(err)
	}
}

// With ApiKeys=required each key is a tenant, and what one uses up is its own.
func TestUsagePlan(t *testing.T) {
	t.Parallel()
	s := newOwnStack(t)
	s.deploy(t, map[string]string{"ApiKeys": "required", "CallerRateLimit": "1", "CallerBurstLimit": "4"})
	out := s.out
	if status, body := ask(t, out["ApiUrl"], ""); status != http.StatusForbidden {
		t.Errorf("without a key: %d %s", status, body)
	}
	greedy, modest := newKey(t, out["UsagePlanId"]), newKey(t, out["UsagePlanId"])
	as := func(key apiKey) *client.Client {
		c, err := client.New(out["ApiUrl"], &client.Options{Credentials: stack.cfg.Credentials, Region: stack.cfg.Region, APIKey: key.Value})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	task, err := as(modest).Submit(t.Context(), client.SubmitRequest{Type: "webhook.deliver", Input: webhook("https://receiver.invalid/"), Delay: 10 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if task.Tenant != modest.ID {
		// MiniStack does not tell functions which key it was; they know who signed.
		t.Logf("the task's tenant is %s, with the key %s", task.Tenant, modest.ID)
	} else if _, err := as(greedy).Get(t.Context(), task.ID); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("the task of another key: %v, want not found", err)
	}
	if !has(t, probe.UsagePlanThrottle) {
		return
	}
	refused := 0
	for range 20 {
		if status, body := ask(t, out["ApiUrl"], greedy.Value); status == http.StatusTooManyRequests {
			refused++
		} else if status != http.StatusOK {
			t.Errorf("got %d %s", status, body)
		}
	}
	if refused == 0 {
		t.Error("twenty calls at once of a key that may do four: none was refused")
	}
	if status, body := ask(t, out["ApiUrl"], modest.Value); status != http.StatusOK {
		t.Errorf("the other key got %d %s", status, body)
	}
}

// ask lists tasks, once, with an API key unless that is empty.
func ask(t *testing.T, apiURL, key string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, apiURL+"/tasks?limit=1", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		req.Header.Set("X-Api-Key", key)
	}
	status, _, body = roundTrip(t, req, "execute-api", nil)
	return status, body
}

type apiKey struct {
	ID    string `json:"id"`
	Value string `json:"value"`
}

// newKey makes an API key in a usage plan, until the end of the test.
func newKey(t *testing.T, plan string) (key apiKey) {
	t.Helper()
	gateway := func(method, path, body string) string {
		t.Helper()
		req, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), method, aws.ToString(stack.cfg.BaseEndpoint)+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		status, _, answer := roundTrip(t, req, "apigateway", []byte(body))
		if status >= http.StatusMultipleChoices {
			t.Fatalf("%s %s: %d %s", method, path, status, answer)
		}
		return answer
	}
	answer := gateway(http.MethodPost, "/apikeys", `{"name":"spillway-test-`+strconv.FormatInt(names.Add(1), 36)+`","enabled":true}`)
	if err := json.Unmarshal([]byte(answer), &key); err != nil || key.ID == "" || key.Value == "" {
		t.Fatalf("made %s (%v)", answer, err)
	}
	t.Cleanup(func() { gateway(http.MethodDelete, "/apikeys/"+key.ID, "") })
	gateway(http.MethodPost, "/usageplans/"+plan+"/keys", `{"keyId":"`+key.ID+`","keyType":"API_KEY"}`)
	return key
}
