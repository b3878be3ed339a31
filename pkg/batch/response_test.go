package batch_test

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/pkg/batch"
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
		"without an id, failed":       {[]string{"a", ""}, []int{0, 1}, "", batch.ErrNoMessageID},
		"failed beyond the batch end": {[]string{"a"}, []int{5}, `{"batchItemFailures":[]}`, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			recs := make([]events.SQSMessage, len(tt.ids))
			for i, id := range tt.ids {
				recs[i].MessageId = id
			}
			res, err := batch.Response(recs, func(i int) bool { return slices.Contains(tt.failed, i) })
			if !errors.Is(err, tt.err) {
				t.Fatalf("got %v", err)
			}
			if err != nil {
				return
			}
			got, err := json.Marshal(res)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, string(got)); diff != "" {
				t.Errorf("response (-want +got):\n%s", diff)
			}
		})
	}
}
