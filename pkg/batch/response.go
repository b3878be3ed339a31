package batch

import (
	"errors"
	"fmt"

	"github.com/aws/aws-lambda-go/events"
)

// ErrNoMessageID means that a record that failed has no message id, so that no
// partial response can name it. Return the error: the whole batch comes back.
var ErrNoMessageID = errors.New("a failed record has no message id")

// Response builds the partial batch response that names the failed records of
// a batch from a standard queue. Its list is never null and holds no id twice;
// every id in it is one of the batch. (Lambda takes null or an empty list for
// success, and an unknown or empty id for the failure of every record:
// https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html.)
// An id that occurs twice in the batch is named when either record failed.
func Response(records []events.SQSMessage, failed func(i int) bool) (events.SQSEventResponse, error) {
	failures := []events.SQSBatchItemFailure{}
	named := map[string]bool{}
	for i := range records {
		if !failed(i) {
			continue
		}
		id := records[i].MessageId
		if id == "" {
			return events.SQSEventResponse{}, fmt.Errorf("record %d of %d: %w", i, len(records), ErrNoMessageID)
		}
		if !named[id] {
			named[id] = true
			failures = append(failures, events.SQSBatchItemFailure{ItemIdentifier: id})
		}
	}
	return events.SQSEventResponse{BatchItemFailures: failures}, nil
}
