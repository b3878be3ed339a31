package app_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"

	"github.com/spillway-go/spillway/internal/app"
	"github.com/spillway-go/spillway/internal/app/apptest"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/webhook"
)

func TestLoadAWS(t *testing.T) {
	apptest.Hermetic(t, "http://127.0.0.1:1")
	cfg, err := app.LoadAWS(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Region != "us-east-1" || cfg.RetryMaxAttempts != 4 {
		t.Errorf("region %q, %d attempts", cfg.Region, cfg.RetryMaxAttempts)
	}
	client, ok := cfg.HTTPClient.(*awshttp.BuildableClient)
	if !ok || client.GetTimeout() <= 0 || client.GetTimeout() > 10*time.Second {
		t.Errorf("a call is not bounded: %T", cfg.HTTPClient)
	}
}

func TestHandlers(t *testing.T) {
	t.Parallel()
	mux := app.Handlers(webhook.New(nil, nil))
	if !slices.Contains(mux.Types(), webhook.Type) {
		t.Fatalf("types %v", mux.Types())
	}
	if err := mux.Check(webhook.Type, []byte(`{"url":"https://example.com/hooks","event":"a.b","payload":null}`)); err != nil {
		t.Error(err)
	}
	if err := mux.Check(webhook.Type, []byte(`{"url":"ftp://example.com","event":"a.b","payload":1}`)); err == nil {
		t.Error("a target that cannot be reached is accepted")
	}
	if err := mux.Check("no.such", []byte(`{}`)); !errors.Is(err, task.ErrUnknownType) {
		t.Errorf("error %v", err)
	}
}
