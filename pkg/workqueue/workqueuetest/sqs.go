package workqueuetest

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

const (
	urlPrefix = "https://sqs.eu-central-1.amazonaws.com/123456789012/"
	arnPrefix = "arn:aws:sqs:eu-central-1:123456789012:"
)

// SQS is standard queues in memory. It is safe for concurrent use.
type SQS struct {
	mu     sync.Mutex
	queues map[string]*queue
	sent   int // messages, ever; numbers their ids
	calls  map[string]int
	inject func(Call) Fault
}

// New returns an SQS without queues.
func New() *SQS { return &SQS{queues: map[string]*queue{}, calls: map[string]int{}} }

// QueueOptions are the attributes of a queue.
type QueueOptions struct {
	// Visibility is the visibility timeout. Defaults to 30 seconds.
	Visibility time.Duration
	// MaxReceives and DeadLetter are the redrive policy: a message that was
	// received so often moves to the queue of that name instead of being
	// received once more. Defaults to none.
	MaxReceives int
	DeadLetter  string
}

type queue struct {
	name     string
	opts     QueueOptions
	messages []*message
	sentIDs  map[string]time.Time // deduplication ids of a FIFO queue, and when they were used
}

func (q *queue) fifo() bool { return strings.HasSuffix(q.name, ".fifo") }

// message is what a queue holds. SQS.mu must be held.
type message struct {
	Message
	receipt string // of the newest receive
}

// Message is a message as it lies in a queue.
type Message struct {
	ID         string
	Body       string
	Attributes map[string]types.MessageAttributeValue
	Group      string
	Trace      string
	// DeduplicationID is what it was sent with, to a FIFO queue.
	DeduplicationID string
	// MovedFrom is the ARN of the queue that the redrive policy took it from.
	MovedFrom string
	SentAt    time.Time
	VisibleAt time.Time // from when it can be received
	Receives  int       // how often it was
}

// Attribute is the text of a message attribute, empty without one.
func (m Message) Attribute(name string) string { return aws.ToString(m.Attributes[name].StringValue) }

// Create makes a queue and returns its URL.
func (s *SQS) Create(name string, o QueueOptions) (url string) {
	if o.Visibility <= 0 {
		o.Visibility = 30 * time.Second
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queues[name] = &queue{name: name, opts: o, sentIDs: map[string]time.Time{}}
	return urlPrefix + name
}

// put adds a message to a queue and returns its id. mu must be held.
func (s *SQS) put(q *queue, m Message, delay time.Duration) (id string) {
	s.sent++
	m.ID = fmt.Sprintf("00000000-0000-4000-8000-%012d", s.sent)
	m.SentAt = time.Now()
	m.VisibleAt = m.SentAt.Add(delay)
	q.messages = append(q.messages, &message{Message: m})
	return m.ID
}

// Receive takes up to limit visible messages, as Lambda hands them over, and
// hides them for the queue's visibility timeout.
func (s *SQS) Receive(name string, limit int) []events.SQSMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.queue(name)
	var records []events.SQSMessage
	for _, m := range s.take(q, limit, q.opts.Visibility) {
		records = append(records, m.record(name))
	}
	return records
}

// take receives up to limit messages and hides them. Of a FIFO queue it takes
// none behind one of its group that is hidden. mu must be held.
func (s *SQS) take(q *queue, limit int, hide time.Duration) (taken []*message) {
	now := time.Now()
	if !q.fifo() {
		slices.SortStableFunc(q.messages, func(a, b *message) int { return a.VisibleAt.Compare(b.VisibleAt) })
	}
	busy := map[string]bool{} // groups
	for _, m := range slices.Clone(q.messages) {
		if len(taken) == limit {
			break
		}
		if m.VisibleAt.After(now) || q.fifo() && busy[m.Group] {
			busy[m.Group] = true
			continue
		}
		if q.opts.MaxReceives > 0 && m.Receives >= q.opts.MaxReceives {
			q.messages = slices.DeleteFunc(q.messages, func(other *message) bool { return other == m })
			m.VisibleAt, m.receipt, m.MovedFrom = now, "", arnPrefix+q.name
			dead := s.queue(q.opts.DeadLetter)
			dead.messages = append(dead.messages, m)
			continue
		}
		m.Receives++
		m.receipt = m.ID + "#" + strconv.Itoa(m.Receives)
		m.VisibleAt = now.Add(hide)
		taken = append(taken, m)
	}
	return taken
}

// record is the message as Lambda hands it over.
func (m *message) record(queue string) events.SQSMessage {
	rec := events.SQSMessage{
		MessageId: m.ID, ReceiptHandle: m.receipt, Body: m.Body,
		Attributes: map[string]string{
			"ApproximateReceiveCount": strconv.Itoa(m.Receives),
			"SentTimestamp":           strconv.FormatInt(m.SentAt.UnixMilli(), 10),
		},
		MessageAttributes: map[string]events.SQSMessageAttribute{},
		EventSource:       "aws:sqs", EventSourceARN: arnPrefix + queue, AWSRegion: "eu-central-1",
	}
	if m.Group != "" {
		rec.Attributes["MessageGroupId"] = m.Group
	}
	if m.Trace != "" {
		rec.Attributes["AWSTraceHeader"] = m.Trace
	}
	if m.MovedFrom != "" {
		rec.Attributes["DeadLetterQueueSourceArn"] = m.MovedFrom
	}
	for name, v := range m.Attributes {
		rec.MessageAttributes[name] = events.SQSMessageAttribute{DataType: aws.ToString(v.DataType), StringValue: v.StringValue, BinaryValue: v.BinaryValue}
	}
	return rec
}

// Delete removes the message with this receipt handle. As on AWS it is no
// error, and changes nothing, if the message was received again meanwhile.
func (s *SQS) Delete(name, receipt string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue(name).delete(receipt)
}

// Messages returns what a queue holds, visible or not, in the order in which
// it can be received.
func (s *SQS) Messages(name string) []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.queue(name)
	messages := make([]Message, len(q.messages))
	for i, m := range q.messages {
		messages[i] = m.Message
		messages[i].Attributes = maps.Clone(m.Attributes)
	}
	slices.SortStableFunc(messages, func(a, b Message) int { return a.VisibleAt.Compare(b.VisibleAt) })
	return messages
}

// queue returns a queue that exists. mu must be held.
func (s *SQS) queue(name string) *queue {
	q := s.queues[name]
	if q == nil {
		panic("workqueuetest: no queue " + strconv.Quote(name))
	}
	return q
}
