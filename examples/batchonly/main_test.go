package main

import (
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/pkg/batch"
)

func TestOnlyFailuresComeBack(t *testing.T) {
	t.Parallel()
	resp, err := batch.SQS(ship, nil)(t.Context(), events.SQSEvent{Records: []events.SQSMessage{
		{MessageId: "good", Body: `{"id":"o-1","items":2}`},
		{MessageId: "malformed", Body: `{`},
		{MessageId: "later", Body: `{"id":"o-2"}`},
	}})
	want := events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{{ItemIdentifier: "malformed"}, {ItemIdentifier: "later"}}}
	if d := cmp.Diff(resp, want); d != "" || err != nil {
		t.Errorf("%v (-got +want):\n%s", err, d)
	}
}
