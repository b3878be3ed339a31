//go:build integration

package integration

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/spillway-go/spillway/pkg/client"
)

// webhookSecret is the value of the stack's webhook secret.
type webhookSecret struct {
	Current  string `json:"current"`
	Previous string `json:"previous"`
}

func readSecret(t *testing.T) webhookSecret {
	t.Helper()
	s, err := secretOf(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func secretOf(ctx context.Context) (s webhookSecret, err error) {
	out, err := stack.secrets.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: aws.String(stack.out["WebhookSecretArn"])})
	if err != nil {
		return s, err
	}
	if json.Unmarshal([]byte(aws.ToString(out.SecretString)), &s) != nil || !strings.HasPrefix(s.Current, "whsec_") {
		return s, errors.New("the secret's form is wrong") // an error of encoding/json might quote it
	}
	return s, nil
}

func putSecret(t *testing.T, s webhookSecret) {
	t.Helper()
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	_, err = stack.secrets.PutSecretValue(context.WithoutCancel(t.Context()), &secretsmanager.PutSecretValueInput{
		SecretId: aws.String(stack.out["WebhookSecretArn"]), SecretString: aws.String(string(text)),
	})
	if err != nil {
		t.Fatalf("put the secret: %v", err)
	}
	usedSecrets.Lock()
	defer usedSecrets.Unlock()
	usedSecrets.texts = append(usedSecrets.texts, s.Current, s.Previous)
}

func newSecret() string {
	key := make([]byte, 32)
	rand.Read(key) // never fails
	return "whsec_" + base64.StdEncoding.EncodeToString(key)
}

// secretTTL is how long a rotation takes to arrive everywhere: for how long a
// worker uses the secret that it has read, and the longest that one delivery
// takes.
func secretTTL(t *testing.T) time.Duration {
	t.Helper()
	out, err := stack.lambdas.GetFunctionConfiguration(t.Context(), &lambda.GetFunctionConfigurationInput{FunctionName: aws.String(stack.out["WorkerFunctionName"])})
	if err != nil {
		t.Fatal(err)
	}
	var all time.Duration
	for _, name := range []string{"WEBHOOK_SECRET_TTL", "WEBHOOK_TIMEOUT"} {
		d, err := time.ParseDuration(out.Environment.Variables[name])
		if err != nil || d <= 0 {
			t.Fatalf("%s: %v", name, err)
		}
		all += d
	}
	return all
}

// strictReceiver knows one secret at a time, and takes nothing that this one
// does not verify.
type strictReceiver struct {
	*httptest.Server
	mu      sync.Mutex
	knows   *standardwebhooks.Webhook
	taken   map[string][]int // signatures of the deliveries that verified, by task
	refused []string
}

func newStrictReceiver(t *testing.T, secret string) *strictReceiver {
	t.Helper()
	r := &strictReceiver{taken: map[string][]int{}}
	r.learn(t, secret)
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

func (r *strictReceiver) learn(t *testing.T, secret string) {
	t.Helper()
	wh, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.knows = wh
}

func (r *strictReceiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, 1<<20))
	r.mu.Lock()
	defer r.mu.Unlock()
	id := req.Header.Get("webhook-id")
	if err == nil {
		err = r.knows.Verify(body, req.Header)
	}
	if err != nil {
		r.refused = append(r.refused, id+": "+err.Error())
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	taskID := strings.TrimSuffix(id, "-1")
	r.taken[taskID] = append(r.taken[taskID], len(strings.Fields(req.Header.Get("webhook-signature"))))
	w.WriteHeader(http.StatusNoContent)
}

// The rotation of docs/security.md under a steady load: current moves to
// previous and a new one is put in its place; the receiver, which knows the old
// one only, changes over to the new one only; previous is dropped. Every
// delivery verifies, the first time. Not parallel: the stack has one secret.
func TestSecretRotation(t *testing.T) {
	before, next, wait := readSecret(t), newSecret(), secretTTL(t)
	t.Cleanup(func() {
		// The same way back, so that whatever runs next finds what was there.
		putSecret(t, webhookSecret{Current: before.Current, Previous: next})
		<-time.After(wait)
		putSecret(t, before)
	})
	r := newStrictReceiver(t, before.Current)
	var submitted []string
	// deliverFor hands in at least ten tasks, two at a time, for a while.
	deliverFor := func(d time.Duration) (ids []string) {
		start := time.Now()
		tick := time.NewTicker(wait / 10)
		defer tick.Stop()
		for len(ids) < 10 || time.Since(start) < d {
			ids = append(ids, submit(t, r.URL).ID, submit(t, r.URL).ID)
			<-tick.C
		}
		submitted = append(submitted, ids...)
		return ids
	}
	signatures := func(ids []string) (counts []int) {
		for _, id := range ids {
			want(t, finish(t, id), client.Succeeded, 1)
			r.mu.Lock()
			counts = append(counts, r.taken[id]...)
			r.mu.Unlock()
		}
		slices.Sort(counts)
		return slices.Compact(counts)
	}

	if got := signatures(deliverFor(0)); !slices.Equal(got, []int{1}) {
		t.Errorf("before: deliveries have %v signatures, want 1", got)
	}
	putSecret(t, webhookSecret{Current: next, Previous: before.Current})
	deliverFor(wait) // some with one signature, some with two, as the workers come to know
	r.learn(t, next)
	if got := signatures(deliverFor(0)); !slices.Equal(got, []int{2}) {
		t.Errorf("meanwhile: deliveries have %v signatures, want 2", got)
	}
	putSecret(t, webhookSecret{Current: next})
	deliverFor(wait)
	if got := signatures(deliverFor(0)); !slices.Equal(got, []int{1}) {
		t.Errorf("after: deliveries have %v signatures, want 1", got)
	}

	for _, id := range submitted {
		want(t, finish(t, id), client.Succeeded, 1)
		if n := len(r.taken[id]); n != 1 {
			t.Errorf("task %s was taken %d times", id, n)
		}
	}
	if len(r.refused) > 0 {
		t.Errorf("the receiver refused %d deliveries: %v", len(r.refused), r.refused)
	}
	t.Logf("%d tasks, %d of them delivered", len(submitted), len(r.taken))
}
