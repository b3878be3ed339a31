package workqueue

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/spillway-go/spillway/pkg/task"
)

// MaxBytes is the largest message, and the largest sum of messages in one
// batch, that SQS accepts: 1 MiB
// (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html).
const MaxBytes = 1 << 20

// MaxAttributes is how many message attributes SQS accepts
// (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html).
const MaxAttributes = 10

// MaxDelay is the longest delay of a message that SQS accepts.
const MaxDelay = 15 * time.Minute

// Outgoing is a message ready to be sent.
type Outgoing struct {
	Body       string
	Attributes map[string]types.MessageAttributeValue
	// Delay is how long the message stays invisible: whole seconds, rounded
	// up, at most [MaxDelay]. 0 means the queue's own delay.
	Delay time.Duration
	// Group is the MessageGroupId, which makes a standard queue serve tenants
	// fairly. What SQS would refuse is replaced as [Group] does.
	Group string
	// DeduplicationID is for FIFO queues, which drop a message whose id they saw
	// within five minutes: 1 to 128 letters, digits and punctuation. Without one
	// each message gets an id of its own. Standard queues do without.
	DeduplicationID string
	// Trace is the X-Ray header that travels with the message (AWSTraceHeader).
	Trace string
}

// Size returns the bytes that SQS counts: the body, and each attribute's name,
// type and value. Group and trace are free.
func (o *Outgoing) Size() int {
	n := len(o.Body)
	for name, v := range o.Attributes {
		n += attributeSize(name, v)
	}
	return n
}

func attributeSize(name string, v types.MessageAttributeValue) int {
	return len(name) + len(aws.ToString(v.DataType)) + len(aws.ToString(v.StringValue)) + len(v.BinaryValue)
}

// Group returns tenant if SQS accepts it as a MessageGroupId (1 to 128 visible
// ASCII characters), and a hash of it otherwise. The group of the empty tenant
// is empty: such a message counts as its own tenant.
func Group(tenant string) string {
	if tenant == "" || task.VisibleASCII(tenant, MaxTenant) {
		return tenant
	}
	sum := sha256.Sum256([]byte(tenant))
	return "sha256-" + hex.EncodeToString(sum[:16])
}

// check finds what SQS is sure to refuse.
func (o *Outgoing) check(limit int) error {
	switch {
	case o.Body == "":
		return &InvalidError{Reason: "the body is empty"}
	case !legalText(o.Body):
		return &InvalidError{Reason: "the body holds a character that SQS refuses"}
	case len(o.Attributes) > MaxAttributes:
		return &InvalidError{Reason: fmt.Sprintf("%d attributes, at most %d are accepted", len(o.Attributes), MaxAttributes)}
	}
	for name, v := range o.Attributes {
		if reason := refusal(name, v); reason != "" {
			return &InvalidError{Reason: fmt.Sprintf("attribute %q: %s", name, reason)}
		}
	}
	if size := o.Size(); size > limit {
		return &TooLargeError{Size: size, Limit: limit}
	}
	return nil
}

// legalNumber is a decimal number, with or without an exponent.
var legalNumber = regexp.MustCompile(`^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$`)

// refusal says why SQS refuses an attribute; it is empty if SQS takes it.
func refusal(name string, v types.MessageAttributeValue) string {
	if !legalName(name) {
		return "the name is not allowed"
	}
	kind, label, _ := strings.Cut(aws.ToString(v.DataType), ".")
	if len(kind)+len(label) > 255 || !legalText(label) {
		return "the type is not allowed"
	}
	switch kind {
	case "String", "Number":
		switch s := aws.ToString(v.StringValue); {
		case s == "" || !legalText(s):
			return "the value is empty or holds a character that SQS refuses"
		case kind == "Number" && !legalNumber.MatchString(s):
			return "the value is not a number"
		}
	case "Binary":
		if len(v.BinaryValue) == 0 {
			return "the value is empty"
		}
	default:
		return "the type is not String, Number or Binary"
	}
	return ""
}

// legalName follows the rules for an attribute's name: 1 to 256 letters,
// digits, '-', '_' and single inner dots, not beginning like Amazon's own.
func legalName(name string) bool {
	if name == "" || len(name) > 256 || name[0] == '.' || name[len(name)-1] == '.' || strings.Contains(name, "..") {
		return false
	}
	lower := strings.ToLower(name)
	if strings.HasPrefix(lower, "aws.") || strings.HasPrefix(lower, "amazon.") {
		return false
	}
	for i := range len(name) {
		if c := name[i]; !isAlnum(c) && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}

// legalText reports whether SQS accepts s: UTF-8 of tab, line feed, carriage
// return, U+0020–U+D7FF, U+E000–U+FFFD and U+10000–U+10FFFF
// (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html).
func legalText(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' && c != '\n' && c != '\r' {
			return false
		}
	}
	return !strings.Contains(s, "\uFFFE") && !strings.Contains(s, "\uFFFF")
}

// ceilSeconds returns d in whole seconds, rounded up, between 0 and limit.
func ceilSeconds(d, limit time.Duration) int32 {
	d = min(max(d, 0), limit)
	return int32((d + time.Second - 1) / time.Second) //nolint:gosec // limit keeps it small
}
