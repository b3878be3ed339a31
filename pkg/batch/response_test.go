package batch_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/pkg/batch"
	"github.com/spillway-go/spillway/pkg/event"
)

func TestResponse(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		ids    []string
		failed []int
		want   string
		err    error
	}{
		"no records":                  {nil, nil, `{"batchItemFailures":[]}`, nil},
		"none failed":                 {[]string{"a", "b"}, nil, `{"batchItemFailures":[]}`, nil},
		"one failed":                  {[]string{"a", "b"}, []int{1}, `{"batchItemFailures":[{"itemIdentifier":"b"}]}`, nil},
		"all failed":                  {[]string{"a", "b"}, []int{0, 1}, `{"batchItemFailures":[{"itemIdentifier":"a"},{"itemIdentifier":"b"}]}`, nil},
		"twice in the batch, both":    {[]string{"a", "a"}, []int{0, 1}, `{"batchItemFailures":[{"itemIdentifier":"a"}]}`, nil},
		"twice in the batch, one":     {[]string{"a", "b", "a"}, []int{2}, `{"batchItemFailures":[{"itemIdentifier":"a"}]}`, nil},
		"without an id, succeeded":    {[]string{"", "b"}, []int{1}, `{"batchItemFailures":[{"itemIdentifier":"b"}]}`, nil},
		"without an id, failed":       {[]string{"a", ""}, []int{0, 1}, "", batch.ErrNoID},
		"an id that needs escapes":    {[]string{`a"\`}, []int{0}, `{"batchItemFailures":[{"itemIdentifier":"a\"\\"}]}`, nil},
		"failed beyond the batch end": {[]string{"a"}, []int{5}, `{"batchItemFailures":[]}`, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			recs := make([]event.SQSMessage, len(tt.ids))
			for i, id := range tt.ids {
				recs[i].MessageID = id
			}
			res, err := batch.Response(recs, func(i int) bool { return slices.Contains(tt.failed, i) })
			if !errors.Is(err, tt.err) {
				t.Fatalf("got %v", err)
			}
			if err != nil {
				return
			}
			if diff := cmp.Diff(tt.want, string(res)); diff != "" {
				t.Errorf("response (-want +got):\n%s", diff)
			}
		})
	}
}
