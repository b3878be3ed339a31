package infra_test

import (
	"bytes"
	"flag"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/internal/trip"
	"github.com/spillway-go/spillway/pkg/saga"
)

var update = flag.Bool("update", false, "write infra/asl/trip.asl.json and the picture in docs/sagas.md again")

// The machine that is deployed is the one that the definition renders, and it
// compensates whatever fails.
func TestTripMachine(t *testing.T) {
	t.Parallel()
	rendered, err := trip.Saga.Render()
	if err != nil {
		t.Fatal(err)
	}
	current(t, "asl/trip.asl.json", rendered)
	if err := saga.Verify(rendered, trip.Saga.Claims()); err != nil {
		t.Error(err)
	}
}

// The picture in the docs is drawn from the same definition.
func TestTripPicture(t *testing.T) {
	t.Parallel()
	const file, begin, end = "../docs/sagas.md", "```mermaid\n", "```\n"
	doc, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := bytes.Cut(doc, []byte(begin))
	if !ok {
		t.Fatalf("%s has no picture", file)
	}
	_, after, _ := bytes.Cut(rest, []byte(end))
	current(t, file, bytes.Join([][]byte{before, []byte(begin), []byte(trip.Saga.Mermaid()), []byte(end), after}, nil))
}

// current compares a file with what is generated, or writes it.
func current(t *testing.T, file string, want []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s is stale: run make golden (-want +got):\n%s", file, diff)
	}
}
