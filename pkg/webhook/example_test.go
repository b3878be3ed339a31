package webhook_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/webhook"
)

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// A delivery, and what its receiver does.
func Example() {
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		wh, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			http.Error(w, "no secret", http.StatusInternalServerError)
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err != nil || wh.Verify(body, r.Header) != nil {
			http.Error(w, "bad signature", http.StatusUnauthorized)
			return
		}
		fmt.Println(r.Header.Get("webhook-id"))
		fmt.Println(string(body))
		w.WriteHeader(http.StatusAccepted)
	}))
	defer receiver.Close()

	key, err := webhook.ParseSecret(secret)
	if err != nil {
		panic(err)
	}
	d := webhook.New(webhook.StaticSecrets{key}, &webhook.Options{AllowPrivate: true})
	mux := task.NewMux()
	task.Handle(mux, webhook.Type, d.Deliver)

	// The worker does this for each attempt.
	ctx := task.NewContext(context.Background(), &task.Execution{
		ID: "01KGA00000000000000000TASK", Run: 1, Attempt: 1,
		CreatedAt: time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC),
	})
	result, err := mux.Run(ctx, webhook.Type,
		json.RawMessage(`{"url":"`+receiver.URL+`/hooks","event":"invoice.paid","payload":{"id":"in_1","total":12.50}}`))
	var out webhook.Result
	if err == nil {
		err = json.Unmarshal(result, &out)
	}
	fmt.Println(out.Status, out.Attempt, err)
	// Output:
	// 01KGA00000000000000000TASK-1
	// {"type":"invoice.paid","timestamp":"2026-01-31T12:00:00.000Z","data":{"id":"in_1","total":12.50}}
	// 202 1 <nil>
}

// The guard protects any HTTP client whose URLs come from outside.
func ExampleGuard_Transport() {
	internal := httptest.NewServer(http.NotFoundHandler())
	defer internal.Close()

	client := &http.Client{Transport: webhook.Guard{}.Transport(), Timeout: 10 * time.Second}
	resp, err := client.Get(internal.URL)
	if err == nil {
		resp.Body.Close()
	}
	fmt.Println(errors.Is(err, webhook.ErrForbidden))
	// Output: true
}

func ExampleGuard_Check() {
	for _, s := range []string{"93.184.215.14", "169.254.169.254", "::ffff:10.0.0.1", "64:ff9b::a00:1"} {
		fmt.Println(webhook.Guard{}.Check(netip.MustParseAddr(s)))
	}
	// Output:
	// <nil>
	// the address 169.254.169.254 is not public: cloud metadata
	// the address ::ffff:10.0.0.1 is not public: private
	// the address 64:ff9b::a00:1 is not public: NAT64
}

func ExampleSecret_Sign() {
	key, err := webhook.ParseSecret(secret)
	if err != nil {
		panic(err)
	}
	signature, err := key.Sign("msg_1", time.Unix(1674087231, 0), []byte(`{"type":"contact.created"}`))
	fmt.Println(key, len(signature), err)
	// Output: whsec_[redacted] 47 <nil>
}

// A dialer of one's own is guarded by its control function.
func ExampleGuard_Control() {
	dialer := &net.Dialer{ControlContext: webhook.Guard{}.Control}
	_, err := dialer.Dial("tcp", "127.0.0.1:22")
	fmt.Println(errors.Is(err, webhook.ErrForbidden))

	// Where receivers run on the same machine, that is allowed.
	fmt.Println(webhook.Guard{AllowPrivate: true}.Control(context.Background(), "tcp4", "127.0.0.1:22", nil))
	// Output:
	// true
	// <nil>
}

// An input is checked when a task is submitted, without the network.
func ExampleInput_Validate() {
	for _, url := range []string{"https://hooks.example/invoices", "https://0x7f000001/", "ftp://hooks.example/"} {
		in := webhook.Input{URL: url, Event: "invoice.paid", Payload: json.RawMessage(`{"id":"in_1"}`)}
		fmt.Println(in.Validate())
	}
	// Output:
	// <nil>
	// url: has a host that is not an IPv4 address in dotted-decimal form, and no name ends in a number
	// url: must begin with https:// or http://
}

// storedSecret stands for a client of AWS Secrets Manager.
type storedSecret string

func (s storedSecret) GetSecretValue(context.Context, *secretsmanager.GetSecretValueInput, ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error) {
	return &secretsmanager.GetSecretValueOutput{SecretString: aws.String(string(s))}, nil
}

// While a secret is rotated, the old and the new one sign every delivery.
func ExampleNewSecretsManager() {
	// In a Lambda function: secretsmanager.NewFromConfig(cfg)
	client := storedSecret(`{"current":"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw","previous":"whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"}`)
	source := webhook.NewSecretsManager(client, "webhook-secret", &webhook.SecretOptions{TTL: time.Minute})

	secrets, err := source.Secrets(context.Background())
	fmt.Println(secrets, err)

	// A program that gets its secret elsewhere:
	secrets, err = webhook.StaticSecrets(secrets[:1]).Secrets(context.Background())
	fmt.Println(secrets, err)
	// Output:
	// [whsec_[redacted] whsec_[redacted]] <nil>
	// [whsec_[redacted]] <nil>
}

// Where there is time to spare, the secret is read before a delivery has to
// wait for it.
func ExampleSecretsManager_Refresh() {
	ctx := context.Background()
	client := storedSecret(`{"current":"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}`)
	source := webhook.NewSecretsManager(client, "webhook-secret", &webhook.SecretOptions{TTL: time.Nanosecond})
	_, err := source.Secrets(ctx)

	fmt.Println(source.Due(), err) // with the default TTL: after 2.5 minutes
	source.Refresh(ctx)
	// Output: true <nil>
}
