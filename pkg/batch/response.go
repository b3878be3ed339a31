package batch

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spillway-go/spillway/pkg/event"
)

// ErrNoID means that a record that failed has no id (a message id, or a
// sequence number), so that no partial response can name it. Return the error:
// the whole batch comes back.
var ErrNoID = errors.New("a failed record has no id")

// Response builds the partial batch response that names the failed messages of
// a batch. Its list is never null and holds no id twice; every id in it is one
// of the batch. (Lambda takes null or an empty list for success, and an unknown
// or empty id for the failure of every record:
// https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html.)
// An id that occurs twice in the batch is named when either message failed.
func Response(messages []event.SQSMessage, failed func(i int) bool) ([]byte, error) {
	var r response
	for i := range messages {
		if !failed(i) {
			continue
		}
		if err := r.add(messages[i].MessageID); err != nil {
			return nil, fmt.Errorf("record %d of %d: %w", i, len(messages), err)
		}
	}
	return r.json(), nil
}

// Beginning and end of a partial batch response
// (https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html).
const (
	responseHead = `{"batchItemFailures":[`
	responseTail = `]}`
)

// response is a partial batch response in the making.
type response struct {
	ids  map[string]bool // named so far
	text []byte
}

// add names a record that failed.
func (r *response) add(id string) error {
	switch {
	case id == "":
		return ErrNoID
	case r.ids[id]:
		return nil
	case r.ids == nil:
		r.ids = map[string]bool{}
		r.text = append(make([]byte, 0, 512), responseHead...)
	default:
		r.text = append(r.text, ',')
	}
	r.ids[id] = true
	quoted, err := json.Marshal(id)
	if err != nil {
		return fmt.Errorf("name the record: %w", err)
	}
	r.text = append(r.text, `{"itemIdentifier":`...)
	r.text = append(r.text, quoted...)
	r.text = append(r.text, '}')
	return nil
}

func (r *response) json() []byte {
	if r.ids == nil {
		return []byte(responseHead + responseTail)
	}
	return append(r.text, responseTail...)
}
