package webhook_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"time"

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
