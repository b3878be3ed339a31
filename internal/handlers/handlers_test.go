package handlers_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/spillway-go/spillway/internal/handlers"
	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/webhook"
)

func TestMux(t *testing.T) {
	t.Parallel()
	mux := handlers.Mux(handlers.Checks())
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
