package workqueuetest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/aws/aws-lambda-go/events"
)

// Handler is a Lambda handler that works through batches, such as the Invoke
// of a batch.Handler or of a worker.Worker.
type Handler func(ctx context.Context, payload []byte) ([]byte, error)

// Deliver does once what an event source mapping with ReportBatchItemFailures
// does: it receives up to limit messages of a queue, calls the function with
// the event's JSON, and deletes what the response does not report as failed.
// After an error, or a response that Lambda would take for the failure of all,
// it deletes nothing. It returns how many messages there were; without any it
// does not call.
func (s *SQS) Deliver(ctx context.Context, name string, limit int, handle Handler) (int, error) {
	records := s.Receive(name, limit)
	if len(records) == 0 {
		return 0, nil
	}
	response, err := handle(ctx, Event(records))
	if err != nil {
		return len(records), err
	}
	s.Acknowledge(name, records, response)
	return len(records), nil
}

// Event returns the event that hands the messages to a function.
func Event(records []events.SQSMessage) []byte {
	payload, err := json.Marshal(events.SQSEvent{Records: records})
	if err != nil { // strings and bytes can always be written
		panic(fmt.Sprintf("workqueuetest: %v", err))
	}
	return payload
}

// Acknowledge deletes the messages of a batch that a response does not name;
// none if it is malformed or names one that is not in the batch
// (https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html).
func (s *SQS) Acknowledge(name string, records []events.SQSMessage, response []byte) {
	var resp events.SQSEventResponse
	if err := json.Unmarshal(response, &resp); err != nil {
		return
	}
	failed := map[string]bool{}
	for _, f := range resp.BatchItemFailures {
		failed[f.ItemIdentifier] = true
	}
	for id := range failed {
		if !slices.ContainsFunc(records, func(rec events.SQSMessage) bool { return rec.MessageId == id }) {
			return
		}
	}
	for _, rec := range records {
		if !failed[rec.MessageId] {
			s.Delete(name, rec.ReceiptHandle)
		}
	}
}
