package workqueuetest

import (
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// The figures are written here a second time on purpose: this package is what
// pkg/workqueue is measured by.
const (
	day = 24 * time.Hour

	// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
	maxBytes      = 1 << 20 // of a message, and of all messages of a batch
	maxEntries    = 10      // of a batch, and messages of a receive
	maxEntryID    = 80
	maxAttributes = 10
	maxDelay      = 900 // seconds
	maxVisibility = 12 * time.Hour
	maxRetention  = 14 * day
	maxGroup      = 128

	// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html
	maxInFlight = 120_000
	maxWait     = 20 // seconds

	// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html
	maxSources = 10
)

// checkBatch finds what makes SQS refuse a whole batch
// (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html).
func checkBatch(ids []*string) error {
	switch {
	case len(ids) == 0:
		return prefixed("EmptyBatchRequest", "There should be at least one entry in the request.")
	case len(ids) > maxEntries:
		return prefixed("TooManyEntriesInBatchRequest", "Maximum number of entries per request are %d. You have sent %d.", maxEntries, len(ids))
	}
	seen := map[string]bool{}
	for _, p := range ids {
		id := aws.ToString(p)
		switch {
		case id == "" || len(id) > maxEntryID || strings.ContainsFunc(id, func(r rune) bool { return !alphanumeric(r) && r != '-' && r != '_' }):
			return prefixed("InvalidBatchEntryId", "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long.")
		case seen[id]:
			return prefixed("BatchEntryIdsNotDistinct", "Id %s repeated.", id)
		}
		seen[id] = true
	}
	return nil
}

// size is what SQS counts of a message: its body, and name, type and value of
// each attribute
// (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_MessageAttributeValue.html).
func size(e *types.SendMessageBatchRequestEntry) int {
	n := len(aws.ToString(e.MessageBody))
	for name, v := range e.MessageAttributes {
		n += len(name) + len(aws.ToString(v.DataType)) + len(aws.ToString(v.StringValue)) + len(v.BinaryValue)
	}
	return n
}

// checkEntry finds what SQS refuses of a message.
func (q *queue) checkEntry(e *types.SendMessageBatchRequestEntry) error {
	body := aws.ToString(e.MessageBody)
	switch {
	case body == "":
		return missing("MessageBody")
	case !allowed(body):
		return refuse("InvalidMessageContents", "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF")
	case e.DelaySeconds < 0 || e.DelaySeconds > maxDelay:
		return invalidValue(e.DelaySeconds, "DelaySeconds", "DelaySeconds must be >= 0 and <= 900.")
	case q.fifo() && e.DelaySeconds > 0:
		return invalidValue(e.DelaySeconds, "DelaySeconds", "The request include parameter that is not valid for this queue type.")
	case !q.fifo() && e.MessageDeduplicationId != nil:
		return invalidValue(*e.MessageDeduplicationId, "MessageDeduplicationId", "The request include parameter that is not valid for this queue type.")
	case e.MessageGroupId != nil && !token(*e.MessageGroupId):
		return invalidValue(*e.MessageGroupId, "MessageGroupId", "MessageGroupId can only include alphanumeric and punctuation characters. 1 to 128 in length.")
	case e.MessageDeduplicationId != nil && !token(*e.MessageDeduplicationId):
		return invalidValue(*e.MessageDeduplicationId, "MessageDeduplicationId", "MessageDeduplicationId can only include alphanumeric and punctuation characters. 1 to 128 in length.")
	}
	if err := checkAttributes(e.MessageAttributes); err != nil {
		return err
	}
	if err := checkSystemAttributes(e.MessageSystemAttributes); err != nil {
		return err
	}
	if size(e) > q.opts.MaxBytes {
		return invalid("One or more parameters are invalid. Reason: Message must be shorter than %d bytes.", q.opts.MaxBytes)
	}
	return nil
}

// checkFIFO finds what makes SQS refuse the send of messages without group or
// deduplication id to a FIFO queue; of a batch, the whole.
func (q *queue) checkFIFO(e *types.SendMessageBatchRequestEntry) error {
	switch {
	case !q.fifo():
		return nil
	case e.MessageGroupId == nil:
		return missing("MessageGroupId")
	case e.MessageDeduplicationId == nil:
		return invalid("The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly")
	}
	return nil
}

// allowed reports whether text consists of the characters that SQS takes
// (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html).
func allowed(text string) bool {
	for i, r := range text {
		switch {
		case r == utf8.RuneError:
			if _, n := utf8.DecodeRuneInString(text[i:]); n == 1 {
				return false // not UTF-8
			}
		case r == '\t' || r == '\n' || r == '\r' || r >= 0x20 && r <= 0xD7FF || r >= 0xE000 && r <= 0xFFFD || r >= 0x10000:
		default:
			return false
		}
	}
	return true
}

// token reports whether SQS takes s as the id of a group or for deduplication:
// 1 to 128 alphanumeric characters and punctuation.
func token(s string) bool {
	return s != "" && len(s) <= maxGroup && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7F })
}

func alphanumeric(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}
