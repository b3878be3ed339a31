//go:build integration

package security

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/internal/localaws"
	"github.com/spillway-go/spillway/pkg/client"
)

// A stack under a key of one's own deploys, works, and is deleted, with the roles'
// policies enforced. The local AWS has KMS and keeps the settings, but its services
// do not ask it: that the roles may do enough with the key is TestOwnKeyOfRoles,
// by AWS's documentation, and what only AWS itself can show.
func TestOwnKey(t *testing.T) {
	t.Parallel()
	checkout, err := build()
	if err != nil {
		t.Fatal(err)
	}
	instance, err := checkout.Start(t.Context(), localaws.Server{Auth: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := instance.Stop(); err != nil {
			t.Error(err)
		}
	})
	cfg := localaws.Config(instance.Endpoint)
	key := newKey(t, cfg)
	name := "spillway-key-" + strconv.FormatInt(time.Now().UnixMilli(), 36)
	out, err := checkout.Deploy(t.Context(), *cfg.BaseEndpoint, name, map[string]string{"EncryptionKeyArn": key})
	if err != nil {
		t.Fatal(err)
	}
	underKey(t, cfg, out, key)

	delivered := make(chan string, 1)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case delivered <- r.Header.Get("webhook-signature"):
		default:
		}
	}))
	t.Cleanup(receiver.Close)
	api, err := client.New(out["ApiUrl"], &client.Options{Credentials: cfg.Credentials, Region: cfg.Region})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	input := map[string]any{"url": receiver.URL, "event": "test", "payload": map[string]any{"n": 1}}
	task, err := api.Submit(ctx, client.SubmitRequest{Type: "webhook.deliver", Input: input})
	if err != nil {
		t.Fatal(err)
	}
	if task, err = api.Wait(ctx, task.ID); err != nil || task.Status != client.Succeeded {
		t.Fatalf("the task is %+v (%v)", task, err)
	}
	if signature := <-delivered; signature == "" { // the secret was read
		t.Error("the webhook is not signed")
	}
	if err := checkout.Delete(ctx, *cfg.BaseEndpoint, name); err != nil {
		t.Error(err)
	}
}

// underKey checks that the key came to what was made of the template. The local
// AWS forgets what a template says of the encryption of tables and functions; that
// it is there is TestEncryption.
func underKey(t *testing.T, cfg aws.Config, out map[string]string, key string) {
	t.Helper()
	got, want := map[string]string{}, map[string]string{}
	seen := func(what string, id *string) {
		got[what], want[what] = aws.ToString(id), key
	}
	ctx := t.Context()
	for _, output := range []string{"TasksQueueUrl", "BacklogQueueUrl", "DeadLetterQueueUrl", "StreamFailuresQueueUrl", "SagaFailuresQueueUrl"} {
		attributes, err := sqs.NewFromConfig(cfg).GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
			QueueUrl: aws.String(out[output]), AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll},
		})
		if err != nil {
			t.Fatal(err)
		}
		seen(output, aws.String(attributes.Attributes["KmsMasterKeyId"]))
	}
	secret, err := secretsmanager.NewFromConfig(cfg).DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: aws.String(out["WebhookSecretArn"])})
	if err != nil {
		t.Fatal(err)
	}
	seen("WebhookSecretArn", secret.KmsKeyId)
	machine, err := sfn.NewFromConfig(cfg).DescribeStateMachine(ctx, &sfn.DescribeStateMachineInput{StateMachineArn: aws.String(out["TripSagaArn"])})
	if err != nil {
		t.Fatal(err)
	}
	if machine.EncryptionConfiguration == nil {
		t.Fatal("the machine has no encryption")
	}
	seen("TripSagaArn", machine.EncryptionConfiguration.KmsKeyId)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
}

// newKey makes a key, by the one call of KMS that the tests need.
func newKey(t *testing.T, cfg aws.Config) (arn string) {
	t.Helper()
	body := []byte(`{"Description":"a key of one's own"}`)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, *cfg.BaseEndpoint+"/", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", "TrentService.CreateKey")
	creds, err := cfg.Credentials.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(t.Context(), creds, req, hex.EncodeToString(sum[:]), "kms", cfg.Region, time.Now()); err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	var made struct{ KeyMetadata struct{ Arn string } }
	if err := json.Unmarshal(answer, &made); err != nil || made.KeyMetadata.Arn == "" {
		t.Fatalf("create key: %s: %s (%v)", resp.Status, answer, err)
	}
	return made.KeyMetadata.Arn
}
