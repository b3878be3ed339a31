package main

import (
	"testing"

	"github.com/spillway-go/spillway/pkg/batch"
)

func TestOnlyFailuresComeBack(t *testing.T) {
	t.Parallel()
	answer, err := batch.SQS(ship, nil).Invoke(t.Context(), []byte(`{"Records":[
		{"eventSource":"aws:sqs","messageId":"good","body":"{\"id\":\"o-1\",\"items\":2}"},
		{"eventSource":"aws:sqs","messageId":"malformed","body":"{"},
		{"eventSource":"aws:sqs","messageId":"later","body":"{\"id\":\"o-2\"}"}
	]}`))
	const want = `{"batchItemFailures":[{"itemIdentifier":"malformed"},{"itemIdentifier":"later"}]}`
	if string(answer) != want || err != nil {
		t.Errorf("%s, %v; want %s", answer, err, want)
	}
}
