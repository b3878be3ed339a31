package apptest

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/spillway-go/spillway/internal/app"
)

// Step checks the function behind a step of a saga: its environment with
// [Check], and what it answers to events/<sample>.json and which calls that
// costs where the tables are empty; with faults enabled it looks for one first.
func Step(t *testing.T, setup Setup, function, sample, answer string, calls ...string) {
	t.Helper()
	aws := NewAWS(t)
	Hermetic(t, aws.URL)
	values := map[string]string{"RESERVATIONS_TABLE": "reservations", "CONTROL_TABLE": "control", "CHAOS_ENABLED": "false"}
	handler := Check(t, setup, function, values)
	event, err := os.ReadFile(filepath.Join(Root(t), "events", sample+".json")) //nolint:gosec // a test's own
	if err != nil {
		t.Fatal(err)
	}
	invoke := func(handler any, calls []string) {
		t.Helper()
		before := len(aws.Calls())
		out, err := lambda.NewHandler(handler).Invoke(t.Context(), event)
		if err != nil || string(out) != answer {
			t.Errorf("answer %s, %v, want %s", out, err, answer)
		}
		if got := aws.Calls()[before:]; !slices.Equal(got, calls) {
			t.Errorf("the sample costs %v, want %v", got, calls)
		}
	}
	invoke(handler, calls)

	values["CHAOS_ENABLED"] = "true"
	handler, err = setup(app.NewEnv(func(name string) string { return cmp.Or(values[name], os.Getenv(name)) }))
	if err != nil {
		t.Fatal(err)
	}
	invoke(handler, slices.Concat([]string{"GetItem"}, calls))
}
