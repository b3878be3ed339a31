package workqueue

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/spillway-go/spillway/pkg/task"
)

// Version is the version of the message format that [Encode] writes.
const Version = 1

// oldest is the oldest version that a program of the given one understands: the
// one before, so that a deployment can roll while messages wait.
func oldest(version int) int { return max(version-1, 1) }

// maxVersion is the largest number taken for a version; what is beyond is
// some other program's field.
const maxVersion = 1000

// Message is a task on its way to a worker.
type Message struct {
	Version    int // of the body; [Encode] writes [Version], whatever is here
	TaskID     string
	Run        int // 1, raised by every replay
	Type       string
	Tenant     string
	CreatedAt  time.Time
	ReplayedAt time.Time // zero if the task was never replayed
	Deadline   time.Time
	Input      json.RawMessage // compact JSON; nil when InputRef is set
	InputRef   string          // where the input is stored instead

	// The rest travels in message attributes: the body stays the same when a
	// message is passed on.
	Priority task.Priority // Defaults to [task.Normal].
	Replays  int           // how often the task was replayed
	Hops     int           // how often the message was passed on as a copy, see [MaxHops]
	Origin   string        // name of the queue that the task was sent to first; a replay returns it there
}

// WaitingSince is when the task was put on a queue for its current run: the
// replay, or else the creation. Neither copies nor redeliveries change it.
func (m *Message) WaitingSince() time.Time {
	if m.ReplayedAt.IsZero() {
		return m.CreatedAt
	}
	return m.ReplayedAt
}

// Names of the message attributes, ten at most as SQS allows
// (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html).
const (
	AttrTaskID    = "task_id"
	AttrType      = "type"
	AttrTenant    = "tenant"
	AttrPriority  = "priority"
	AttrRun       = "run"
	AttrReplays   = "replays"
	AttrHops      = "hops"
	AttrOrigin    = "origin"
	AttrErrorCode = "error_code" // dead letters only
	AttrFailure   = "failure"    // dead letters only: a [FailureRecord]
)

// Encode turns m into a message that a queue accepts. The input keeps its
// bytes, white space outside of strings aside; characters that JSON allows but
// SQS refuses are written as escapes, which mean the same. Encode fails on
// what [Decode] would not take back.
func Encode(m Message) (Outgoing, error) {
	if err := m.check(); err != nil {
		return Outgoing{}, fmt.Errorf("encode the message of task %q: %w", task.CleanText(m.TaskID, maxTaskID), err)
	}
	text, err := m.body()
	if err != nil {
		return Outgoing{}, fmt.Errorf("encode the message of task %s: %w", m.TaskID, err)
	}
	return Outgoing{Body: text, Attributes: m.attributes(), Group: Group(m.Tenant)}, nil
}

// attributes returns the message attributes that belong to m.
func (m *Message) attributes() map[string]types.MessageAttributeValue {
	priority := m.Priority
	if !priority.Known() {
		priority = task.Normal
	}
	attrs := make(map[string]types.MessageAttributeValue, 10)
	attrs[AttrTaskID] = stringValue(m.TaskID)
	attrs[AttrType] = stringValue(m.Type)
	attrs[AttrTenant] = stringValue(m.Tenant)
	attrs[AttrPriority] = stringValue(string(priority))
	attrs[AttrRun] = numberValue(m.Run)
	attrs[AttrReplays] = numberValue(max(m.Replays, 0))
	attrs[AttrHops] = numberValue(max(m.Hops, 0))
	if m.Origin != "" {
		attrs[AttrOrigin] = stringValue(task.CleanText(m.Origin, maxOrigin))
	}
	return attrs
}

// Decode reads a message as [Encode] writes it. Body fields that it does not
// know are ignored, since a newer minor release may add some; what it needs it
// takes strictly. Attributes that are missing or malformed count as their
// zero value: the body alone says what the task is.
//
// A body of the version before [Version] is understood as well.
//
// The error is a [*ForeignError], or wraps [ErrNewerVersion].
func Decode(text string, attrs map[string]types.MessageAttributeValue) (Message, error) {
	return decode(text, func(name string) string { return aws.ToString(attrs[name].StringValue) })
}

func decode(text string, attr func(string) string) (Message, error) {
	m, err := decodeBody(text, oldest(Version), Version)
	if err != nil {
		return Message{}, err
	}
	m.Priority = task.Priority(attr(AttrPriority))
	if !m.Priority.Known() {
		m.Priority = task.Normal
	}
	m.Replays = count(attr(AttrReplays))
	m.Hops = count(attr(AttrHops))
	m.Origin = task.CleanText(attr(AttrOrigin), maxOrigin)
	return m, nil
}

// count reads a small number that only ever grows; what is not one counts as 0.
func count(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0
	}
	return min(max(n, 0), maxCount)
}

// The SDK reads these through their pointers and changes nothing.
var typeString, typeNumber = aws.String("String"), aws.String("Number")

func stringValue(s string) types.MessageAttributeValue {
	return types.MessageAttributeValue{DataType: typeString, StringValue: &s}
}

func numberValue(n int) types.MessageAttributeValue {
	s := strconv.Itoa(n)
	return types.MessageAttributeValue{DataType: typeNumber, StringValue: &s}
}
