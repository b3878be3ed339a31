package memstack_test

import (
	"encoding/json"
	"testing"
	"testing/synctest"

	"github.com/spillway-go/spillway/internal/memstack"
	"github.com/spillway-go/spillway/pkg/client"
)

const tenant = "AIDAEXAMPLETENANT"

// A task that is submitted is worked on, and its result can be read.
func TestLife(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := memstack.New(t, memstack.Options{})
		c := s.Client(tenant)
		submitted, err := c.Submit(t.Context(), client.SubmitRequest{Type: "trips.export", Input: json.RawMessage(`{}`)})
		if err != nil {
			t.Fatal(err)
		}
		ended, err := c.Wait(t.Context(), submitted.ID)
		if err != nil {
			t.Fatal(err)
		}
		if ended.Status != client.Succeeded {
			t.Errorf("got %+v", ended)
		}
		s.Quiet()
	})
}
