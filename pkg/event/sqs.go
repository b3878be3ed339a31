package event

import (
	"encoding/base64"
	"time"
)

// SQSMessage is a message as an SQS event source mapping delivers it.
type SQSMessage struct {
	MessageID     string
	ReceiptHandle string
	Body          string
	QueueARN      string

	ReceiveCount     int       // how often SQS has handed it out, this time included; 0 if the event does not say
	SentAt           time.Time // when it was sent
	FirstReceivedAt  time.Time // when it was first handed out
	Sender           string    // who sent it, an IAM principal's id
	TraceHeader      string    // of X-Ray
	DeadLetterSource string    // ARN of the queue that SQS itself moved it from, else empty

	GroupID         string // message group; on standard queues the tenant of fair queues
	DeduplicationID string // FIFO queues only
	SequenceNumber  string // FIFO queues only

	Attributes []Attribute // the sender's
}

// Attribute is a message attribute. Its Type is String, Number or Binary,
// perhaps with a label of the sender's (Number.float).
type Attribute struct {
	Name   string
	Type   string
	String string // of a String or a Number
	Binary []byte // of a Binary
}

// Attribute returns the sender's attribute of that name, or a zero one.
func (m *SQSMessage) Attribute(name string) Attribute {
	for i := range m.Attributes {
		if m.Attributes[i].Name == name {
			return m.Attributes[i]
		}
	}
	return Attribute{}
}

// Queue returns the name of the queue that the message came from.
func (m *SQSMessage) Queue() string { return name(m.QueueARN) }

// SQS reads an event from an SQS queue, standard or FIFO
// (https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html). The messages
// share nothing with payload, which may be used again.
func SQS(payload []byte) ([]SQSMessage, error) {
	var r sqsReader
	r.open(payload, sourceSQS)
	if err := r.records(r.message); err != nil {
		return nil, err
	}
	return r.messages, nil
}

// sqsReader gathers messages. The attributes of all of them lie in one array;
// when it has to grow, those that were handed out stay where they are.
type sqsReader struct {
	reader
	messages   []SQSMessage
	attributes []Attribute
}

func (r *sqsReader) message() {
	if r.messages == nil {
		// Few messages are shorter than this with all that surrounds the body.
		r.messages = make([]SQSMessage, 0, min(r.size/600+1, 10))
	}
	r.messages = append(r.messages, SQSMessage{})
	m := &r.messages[len(r.messages)-1]
	r.Object(func(key string) {
		switch key {
		case "messageId":
			m.MessageID = r.Text()
		case "receiptHandle":
			m.ReceiptHandle = r.Text()
		case "body":
			m.Body = r.Text()
		case "eventSourceARN":
			m.QueueARN = r.Text()
		case "eventSource":
			r.from()
		case "attributes":
			r.system(m)
		case "messageAttributes":
			r.sender(m)
		default:
			r.Skip()
		}
	})
}

// system reads what SQS says about a message.
func (r *sqsReader) system(m *SQSMessage) {
	if r.Null() {
		return
	}
	r.Object(func(key string) {
		switch key {
		case "ApproximateReceiveCount":
			m.ReceiveCount = int(r.count())
		case "SentTimestamp":
			m.SentAt = r.millis()
		case "ApproximateFirstReceiveTimestamp":
			m.FirstReceivedAt = r.millis()
		case "SenderId":
			m.Sender = r.Text()
		case "AWSTraceHeader":
			m.TraceHeader = r.Text()
		case "DeadLetterQueueSourceArn":
			m.DeadLetterSource = r.Text()
		case "MessageGroupId":
			m.GroupID = r.Text()
		case "MessageDeduplicationId":
			m.DeduplicationID = r.Text()
		case "SequenceNumber":
			m.SequenceNumber = r.Text()
		default:
			r.Skip()
		}
	})
}

// count reads a number that SQS writes as a string. What is not one counts as
// unknown: no reason to refuse the message.
func (r *sqsReader) count() (n int64) {
	text := r.Text()
	if len(text) > 18 { // so that it cannot overflow
		return 0
	}
	for i := range len(text) {
		if text[i]-'0' > 9 {
			return 0
		}
		n = n*10 + int64(text[i]-'0')
	}
	if n > 1<<52 {
		return 0
	}
	return n
}

func (r *sqsReader) millis() time.Time {
	n := r.count()
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMilli(n)
}

// sender reads the sender's attributes.
func (r *sqsReader) sender(m *SQSMessage) {
	if r.Null() {
		return
	}
	start := len(r.attributes)
	r.Object(func(key string) {
		if r.attributes == nil {
			r.attributes = make([]Attribute, 0, 8*cap(r.messages))
		}
		r.attributes = append(r.attributes, Attribute{Name: key})
		r.attribute(&r.attributes[len(r.attributes)-1])
	})
	if end := len(r.attributes); end > start {
		m.Attributes = r.attributes[start:end:end]
	}
}

func (r *sqsReader) attribute(a *Attribute) {
	r.Object(func(key string) {
		switch key {
		case "dataType":
			a.Type = r.Text()
		case "stringValue":
			a.String = r.Text()
		case "binaryValue":
			if data, err := base64.StdEncoding.DecodeString(r.Text()); err != nil {
				r.malformed("binaryValue")
			} else if len(data) > 0 {
				a.Binary = data
			}
		default:
			r.Skip()
		}
	})
}
