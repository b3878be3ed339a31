package workqueuetest

import (
	"crypto/md5" //nolint:gosec // the digest that SQS answers
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

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
	// SentAt is when it was sent, from which its retention counts. The redrive
	// policy of a standard queue keeps it.
	SentAt    time.Time
	VisibleAt time.Time // from when it can be received
	Receives  int       // how often it was, over all queues
}

// Attribute is the text of a message attribute, empty without one.
func (m Message) Attribute(name string) string { return aws.ToString(m.Attributes[name].StringValue) }

// message is what a queue holds. SQS.mu must be held.
type message struct {
	Message
	seq           int64 // place in the order of arrival
	place         int64 // in the order of receives, among the visible
	index         int   // in the heap that holds it
	visible       bool  // which heap that is
	inFlight      bool  // hidden because it was received
	receipt       string
	receivedAt    time.Time // newest receive
	firstReceived time.Time
}

// system are the system attributes, as ReceiveMessage and Lambda name them.
func (m *message) system() map[string]string {
	out := map[string]string{
		"ApproximateReceiveCount":          strconv.Itoa(m.Receives),
		"ApproximateFirstReceiveTimestamp": strconv.FormatInt(m.firstReceived.UnixMilli(), 10),
		"SentTimestamp":                    strconv.FormatInt(m.SentAt.UnixMilli(), 10),
		"SenderId":                         "AROAEXAMPLE:spillway",
	}
	for name, v := range map[string]string{
		"MessageGroupId": m.Group, "AWSTraceHeader": m.Trace, "MessageDeduplicationId": m.DeduplicationID, "DeadLetterQueueSourceArn": m.MovedFrom,
	} {
		if v != "" {
			out[name] = v
		}
	}
	if m.DeduplicationID != "" { // of a FIFO queue
		out["SequenceNumber"] = fmt.Sprintf("%020d", m.seq)
	}
	return out
}

// record is the message as Lambda hands it over.
func (m *message) record(queue string) events.SQSMessage {
	rec := events.SQSMessage{
		MessageId: m.ID, ReceiptHandle: m.receipt, Body: m.Body, Md5OfBody: digest(m.Body),
		Attributes: m.system(), MessageAttributes: map[string]events.SQSMessageAttribute{},
		EventSource: "aws:sqs", EventSourceARN: arnPrefix + queue, AWSRegion: "eu-central-1",
	}
	for name, v := range m.Attributes {
		rec.MessageAttributes[name] = events.SQSMessageAttribute{DataType: aws.ToString(v.DataType), StringValue: v.StringValue, BinaryValue: v.BinaryValue}
	}
	return rec
}

func digest(text string) string {
	sum := md5.Sum([]byte(text)) //nolint:gosec // see above
	return hex.EncodeToString(sum[:])
}

// handle is what a receipt handle says: which receive of which message it is
// of, and when that was.
type handle struct {
	queue, id string
	receive   int
	at        time.Time
}

func (h handle) String() string {
	text := strings.Join([]string{h.queue, h.id, strconv.Itoa(h.receive), strconv.FormatInt(h.at.UnixMilli(), 10)}, "#")
	return "AQEB" + base64.RawURLEncoding.EncodeToString([]byte(text))
}

// parseHandle reports false for what no queue has handed out.
func parseHandle(receipt string) (h handle, ok bool) {
	encoded, ok := strings.CutPrefix(receipt, "AQEB")
	text, err := base64.RawURLEncoding.DecodeString(encoded)
	parts := strings.Split(string(text), "#")
	if !ok || err != nil || len(parts) != 4 {
		return handle{}, false
	}
	receive, err := strconv.Atoi(parts[2])
	if err != nil {
		return handle{}, false
	}
	ms, err := strconv.ParseInt(parts[3], 10, 64)
	return handle{queue: parts[0], id: parts[1], receive: receive, at: time.UnixMilli(ms)}, err == nil
}
