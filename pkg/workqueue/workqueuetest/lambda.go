package workqueuetest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/aws/aws-lambda-go/events"
)

// Handler is a Lambda handler that works through batches, such as the Invoke
// of a batch.Handler or of a worker.Worker.
type Handler func(ctx context.Context, payload []byte) ([]byte, error)

// maxPayload is the largest event that a mapping hands to a function: 6 MiB
// (https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventsourcemapping.html).
const maxPayload = 6 << 20

// Mapping is the settings of an event source mapping of Lambda for a queue.
type Mapping struct {
	Queue string
	// BatchSize is how many messages a batch has at most. Defaults to 10.
	BatchSize int
	// Window is how long Lambda gathers messages for a batch. Defaults to 0.
	Window time.Duration
	// Whole is a mapping without ReportBatchItemFailures: what the function
	// answers is not read, so a batch succeeds or fails as a whole.
	Whole bool
	// Concurrency is MaximumConcurrency, between 2 and 1,000. Defaults to 0,
	// which is no maximum.
	Concurrency int
	// Visibility is the queue's visibility timeout and Timeout the function's,
	// for [Mapping.Check]. Default to 0, which checks neither.
	Visibility, Timeout time.Duration
}

// Check finds what Lambda refuses
// (https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-parameters.html,
// https://docs.aws.amazon.com/lambda/latest/api/API_CreateEventSourceMapping.html).
func (m Mapping) Check() error {
	var reason string
	switch {
	case m.BatchSize < 0 || m.BatchSize > 10_000:
		reason = "BatchSize must be between 1 and 10000"
	case m.Window < 0 || m.Window > 300*time.Second || m.Window%time.Second != 0:
		reason = "MaximumBatchingWindowInSeconds must be between 0 and 300"
	case m.Concurrency != 0 && (m.Concurrency < 2 || m.Concurrency > 1000):
		reason = "MaximumConcurrency must be between 2 and 1000"
	case m.Visibility > 0 && m.Visibility < m.Timeout:
		reason = fmt.Sprintf("Queue visibility timeout: %d seconds is less than Function timeout: %d seconds", m.Visibility/time.Second, m.Timeout/time.Second)
	case fifo(m.Queue) && m.BatchSize > 10:
		reason = "BatchSize must be at most 10 for a FIFO queue"
	case fifo(m.Queue) && m.Window > 0:
		reason = "batching window is not supported for FIFO queues"
	case m.BatchSize > 10 && m.Window < time.Second:
		reason = "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10"
	default:
		return nil
	}
	return &Error{Shape: "InvalidParameterValueException", Code: "InvalidParameterValueException", Message: reason, Status: 400}
}

// Take receives a batch for a mapping, as [SQS.Receive] does.
func (s *SQS) Take(m Mapping) []events.SQSMessage {
	if m.BatchSize == 0 {
		m.BatchSize = 10
	}
	return s.Receive(m.Queue, m.BatchSize)
}

// Settle does what a mapping does after an invocation: it deletes the messages
// that succeeded. failure is the invocation's error.
func (s *SQS) Settle(m Mapping, records []events.SQSMessage, response []byte, failure error) {
	switch {
	case failure != nil:
	case m.Whole:
		s.Acknowledge(m.Queue, records, []byte("null"))
	default:
		s.Acknowledge(m.Queue, records, response)
	}
}

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
	s.Settle(Mapping{Queue: name}, records, response, err)
	return len(records), err
}

// Receive takes up to limit visible messages, as Lambda hands them over, and
// hides them for the queue's visibility timeout. It ends before the event
// would have more than 6 MiB.
func (s *SQS) Receive(name string, limit int) []events.SQSMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, now, size := s.queue(name), time.Now(), len(`{"Records":[]}`)
	s.move(now)
	r := receiving{limit: limit, hide: q.opts.Visibility, dead: s.toDeadLetters(q, now), now: now}
	r.fits = func(m *message) bool {
		size += len(encode(m.record(name))) + len(handle{queue: name, id: m.ID}.String()) + 64 // the new receipt is longer
		return size <= maxPayload
	}
	var records []events.SQSMessage
	for _, m := range q.receive(r) {
		records = append(records, m.record(name))
	}
	return records
}

// Event returns the event that hands the messages to a function.
func Event(records []events.SQSMessage) []byte { return encode(events.SQSEvent{Records: records}) }

// encode writes JSON as Lambda does, which leaves < and > as they are.
func encode(v any) []byte {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil { // strings and bytes can always be written
		panic(fmt.Sprintf("workqueuetest: %v", err))
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
}

// Acknowledge deletes the messages of a batch that a response does not report
// as failed; none if Lambda would take the response for the failure of all.
func (s *SQS) Acknowledge(name string, records []events.SQSMessage, response []byte) {
	reported, ok := failures(response)
	if !ok {
		return
	}
	known := map[string]bool{}
	for _, rec := range records {
		known[rec.MessageId] = true
	}
	for id := range reported {
		if !known[id] {
			return
		}
	}
	for _, rec := range records {
		if !reported[rec.MessageId] {
			s.Delete(name, rec.ReceiptHandle)
		}
	}
}

// failures are the message ids that a response reports. It is false for what
// Lambda takes for the failure of all: no JSON, and an identifier that is null,
// empty or under another name. Names are case-sensitive, unlike encoding/json's
// (https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html).
// An answer whose items have another type is not on that page; it counts as no
// answer.
func failures(response []byte) (ids map[string]bool, ok bool) {
	if bytes.Equal(bytes.TrimSpace(response), []byte("null")) {
		return nil, true
	}
	var answer map[string]json.RawMessage
	if err := json.Unmarshal(response, &answer); err != nil {
		return nil, false
	}
	raw, given := answer["batchItemFailures"]
	if !given {
		return nil, true
	}
	var items []map[string]any
	if err := json.Unmarshal(raw, &items); err != nil {
		return nil, false
	}
	ids = map[string]bool{}
	for _, item := range items {
		id, isText := item["itemIdentifier"].(string)
		if !isText || id == "" {
			return nil, false
		}
		ids[id] = true
	}
	return ids, true
}
