package workqueuetest

import (
	"context"
	"slices"

	"github.com/aws/aws-lambda-go/events"
)

// Handler is a function that works through batches and reports which of their
// messages failed.
type Handler func(context.Context, events.SQSEvent) (events.SQSEventResponse, error)

// Deliver does once what an event source mapping with ReportBatchItemFailures
// does: it receives up to limit messages of a queue, calls the function, and
// deletes what the function did not report as failed. After an error, or a
// report that names a message that is not in the batch, it deletes nothing. It
// returns how many messages there were; without any it does not call.
func (s *SQS) Deliver(ctx context.Context, name string, limit int, handle Handler) (int, error) {
	records := s.Receive(name, limit)
	if len(records) == 0 {
		return 0, nil
	}
	resp, err := handle(ctx, events.SQSEvent{Records: records})
	if err != nil {
		return len(records), err
	}
	s.Acknowledge(name, records, resp)
	return len(records), nil
}

// Acknowledge deletes the messages of a batch that a response does not name;
// none if it names one that is not in the batch.
func (s *SQS) Acknowledge(name string, records []events.SQSMessage, resp events.SQSEventResponse) {
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
