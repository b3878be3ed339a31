package webhookonly_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/spillway-go/spillway/examples/webhookonly"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/webhook"
)

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

func TestNotify(t *testing.T) {
	t.Parallel()
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		wh, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			t.Error(err)
		}
		body, err := io.ReadAll(r.Body)
		if err != nil || wh.Verify(body, r.Header) != nil {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	defer receiver.Close()

	n, err := webhookonly.New(secret, &webhook.Options{AllowPrivate: true}) // the receiver is on this machine
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Notify(t.Context(), "evt_1", receiver.URL, "invoice.paid", map[string]int{"total": 12}); err != nil {
		t.Error(err)
	}
	guarded, err := webhookonly.New(secret, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := guarded.Notify(t.Context(), "evt_2", receiver.URL, "invoice.paid", nil); !task.IsPermanent(err) {
		t.Errorf("a private address: %v, want a permanent error", err)
	}
}
