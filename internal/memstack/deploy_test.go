package memstack_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/internal/memstack"
)

// Every function of template.yaml starts, with variables that are all resolved.
func TestEveryFunctionStarts(t *testing.T) {
	inBubble(t, memstack.Options{}, func(t *testing.T, s *memstack.Stack) {
		all, err := s.Start()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(memstack.SetupIDs(), slices.Sorted(maps.Keys(all))); diff != "" {
			t.Errorf("functions (-known +template.yaml):\n%s", diff)
		}
		for id, variables := range all {
			for name, value := range variables {
				if value == "" && name != "ENDPOINT_URL" || strings.ContainsAny(value, "!$") {
					t.Errorf("%s: %s=%q", id, name, value)
				}
			}
		}
	})
}

// The mappings are those of template.yaml, with their settings.
func TestMappings(t *testing.T) {
	inBubble(t, memstack.Options{}, func(t *testing.T, s *memstack.Stack) {
		out, err := lambda.NewFromConfig(s.Config()).ListEventSourceMappings(t.Context(), &lambda.ListEventSourceMappingsInput{})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, m := range out.EventSourceMappings {
			arn := *m.EventSourceArn
			kind := "queue " + arn[strings.LastIndexByte(arn, ':')+1:]
			if strings.Contains(arn, "/stream/") {
				kind = "stream of " + strings.Split(arn, "/")[1]
			}
			got = append(got, kind+" to "+(*m.FunctionArn)[strings.LastIndexByte(*m.FunctionArn, ':')+1:]+", "+*m.State+", "+string(m.FunctionResponseTypes[0]))
		}
		slices.Sort(got)
		const reports = ", Enabled, ReportBatchItemFailures"
		want := []string{
			"queue spillway-backlog to spillway-WorkerFunction" + reports, "queue spillway-stream-failures to spillway-RescueFunction" + reports,
			"queue spillway-tasks to spillway-WorkerFunction" + reports, "stream of spillway-TasksTable to spillway-NotifyFunction" + reports,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("mappings (-want +got):\n%s", diff)
		}
	})
}
