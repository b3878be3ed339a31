package workqueuetest_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/spillway-go/spillway/pkg/workqueue/workqueuetest"
)

// code is what the SDK would tell of an error.
func code(err error) string {
	if e, ok := errors.AsType[*workqueuetest.Error](err); ok {
		return e.ErrorCode()
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

const (
	badValue = "InvalidParameterValue"
	prefix   = "AWS.SimpleQueueService."
)

func str(value string) types.MessageAttributeValue { return typed("String", value) }

func typed(kind, value string) types.MessageAttributeValue {
	return types.MessageAttributeValue{DataType: &kind, StringValue: &value}
}

// many are n attributes.
func many(n int) map[string]types.MessageAttributeValue {
	attrs := map[string]types.MessageAttributeValue{}
	for i := range n {
		attrs[fmt.Sprint("a", i)] = str("v")
	}
	return attrs
}

func one(name string, v types.MessageAttributeValue) map[string]types.MessageAttributeValue {
	return map[string]types.MessageAttributeValue{name: v}
}

// TestSendRefused sends messages that differ from a legal one in one thing, by
// SendMessage and as an entry of a batch whose other entry is taken.
func TestSendRefused(t *testing.T) {
	type input = sqs.SendMessageInput
	tests := map[string]struct {
		queue  string // "a" unless given
		change func(in *input)
		code   string
	}{
		"legal":      {change: func(*input) {}},
		"empty body": {change: func(in *input) { in.MessageBody = aws.String("") }, code: "MissingParameter"},
		"1 MiB":      {change: func(in *input) { in.MessageBody = aws.String(strings.Repeat("x", 1<<20-1)) }},
		"allowed characters": {change: func(in *input) {
			in.MessageBody = aws.String("\t\n\r \u007F\u0085\uD7FF\uE000\uFFFD\U00010000\U0010FFFF")
		}},
		"NUL":                   {change: func(in *input) { in.MessageBody = aws.String("a\x00") }, code: "InvalidMessageContents"},
		"control character":     {change: func(in *input) { in.MessageBody = aws.String("\x1B[0m") }, code: "InvalidMessageContents"},
		"U+FFFE":                {change: func(in *input) { in.MessageBody = aws.String("\uFFFE") }, code: "InvalidMessageContents"},
		"U+FFFF":                {change: func(in *input) { in.MessageBody = aws.String("\uFFFF") }, code: "InvalidMessageContents"},
		"surrogate":             {change: func(in *input) { in.MessageBody = aws.String("\xED\xA0\x80") }, code: "InvalidMessageContents"},
		"not UTF-8":             {change: func(in *input) { in.MessageBody = aws.String("\xFF") }, code: "InvalidMessageContents"},
		"ten attributes":        {change: func(in *input) { in.MessageAttributes = many(10) }},
		"eleven attributes":     {change: func(in *input) { in.MessageAttributes = many(11) }, code: badValue},
		"empty attribute":       {change: func(in *input) { in.MessageAttributes = one("a", str("")) }, code: badValue},
		"empty binary":          {change: func(in *input) { in.MessageAttributes = one("a", typed("Binary", "text")) }, code: badValue},
		"attribute with U+FFFF": {change: func(in *input) { in.MessageAttributes = one("a", str("\uFFFF")) }, code: badValue},
		"no type":               {change: func(in *input) { in.MessageAttributes = one("a", typed("", "v")) }, code: badValue},
		"another type":          {change: func(in *input) { in.MessageAttributes = one("a", typed("Text", "v")) }, code: badValue},
		"type in lower case":    {change: func(in *input) { in.MessageAttributes = one("a", typed("string", "v")) }, code: badValue},
		"label":                 {change: func(in *input) { in.MessageAttributes = one("a", typed("String."+strings.Repeat("l", 249), "v")) }},
		"long label":            {change: func(in *input) { in.MessageAttributes = one("a", typed("String."+strings.Repeat("l", 250), "v")) }, code: badValue},
		"number":                {change: func(in *input) { in.MessageAttributes = one("a", typed("Number", "-1.5e3")) }},
		"no number":             {change: func(in *input) { in.MessageAttributes = one("a", typed("Number", "many")) }, code: badValue},
		"name of 256":           {change: func(in *input) { in.MessageAttributes = one(strings.Repeat("n", 256), str("v")) }},
		"name of 257":           {change: func(in *input) { in.MessageAttributes = one(strings.Repeat("n", 257), str("v")) }, code: badValue},
		"empty name":            {change: func(in *input) { in.MessageAttributes = one("", str("v")) }, code: badValue},
		"name with space":       {change: func(in *input) { in.MessageAttributes = one("a b", str("v")) }, code: badValue},
		"name with period":      {change: func(in *input) { in.MessageAttributes = one("a.b", str("v")) }},
		"period first":          {change: func(in *input) { in.MessageAttributes = one(".a", str("v")) }, code: badValue},
		"period last":           {change: func(in *input) { in.MessageAttributes = one("a.", str("v")) }, code: badValue},
		"two periods":           {change: func(in *input) { in.MessageAttributes = one("a..b", str("v")) }, code: badValue},
		"name of Amazon's":      {change: func(in *input) { in.MessageAttributes = one("amazon.a", str("v")) }, code: badValue},
		"name of AWS":           {change: func(in *input) { in.MessageAttributes = one("aWs.a", str("v")) }, code: badValue},
		"delay of 900 s":        {change: func(in *input) { in.DelaySeconds = 900 }},
		"delay of 901 s":        {change: func(in *input) { in.DelaySeconds = 901 }, code: badValue},
		"negative delay":        {change: func(in *input) { in.DelaySeconds = -1 }, code: badValue},
		"delay in a FIFO queue": {queue: "f.fifo", change: func(in *input) { in.DelaySeconds = 1 }, code: badValue},
		"group":                 {change: func(in *input) { in.MessageGroupId = aws.String(strings.Repeat("~", 128)) }},
		"empty group":           {change: func(in *input) { in.MessageGroupId = aws.String("") }, code: badValue},
		"group of 129":          {change: func(in *input) { in.MessageGroupId = aws.String(strings.Repeat("g", 129)) }, code: badValue},
		"group with space":      {change: func(in *input) { in.MessageGroupId = aws.String("a b") }, code: badValue},
		"group with accent":     {change: func(in *input) { in.MessageGroupId = aws.String("é") }, code: badValue},
		"deduplication id":      {change: func(in *input) { in.MessageDeduplicationId = aws.String("d") }, code: badValue},
		"FIFO":                  {queue: "f.fifo", change: func(*input) {}},
		"long deduplication id": {queue: "f.fifo", change: func(in *input) { in.MessageDeduplicationId = aws.String(strings.Repeat("d", 129)) }, code: badValue},
		"smaller queue":         {queue: "small", change: func(in *input) { in.MessageBody = aws.String(strings.Repeat("x", 1024)) }},
		"larger than its queue": {queue: "small", change: func(in *input) { in.MessageBody = aws.String(strings.Repeat("x", 1025)) }, code: badValue},
		"attribute counts": {queue: "small", change: func(in *input) {
			in.MessageBody, in.MessageAttributes = aws.String(strings.Repeat("x", 1016)), one("a", str("v"))
		}},
		"attribute too many": {queue: "small", change: func(in *input) {
			in.MessageBody, in.MessageAttributes = aws.String(strings.Repeat("x", 1017)), one("a", str("v"))
		}, code: badValue},
		"trace":                  {change: func(in *input) { in.MessageSystemAttributes = trace("AWSTraceHeader", "Root=1") }},
		"other system attribute": {change: func(in *input) { in.MessageSystemAttributes = trace("SenderId", "me") }, code: badValue},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := workqueuetest.New()
			s.Create("a", workqueuetest.QueueOptions{})
			s.Create("f.fifo", workqueuetest.QueueOptions{})
			s.Create("small", workqueuetest.QueueOptions{MaxBytes: 1024})
			queue := "a"
			if tt.queue != "" {
				queue = tt.queue
			}
			in := legal(queue, "1")
			tt.change(in)
			if _, err := s.SendMessage(t.Context(), in); code(err) != tt.code {
				t.Errorf("SendMessage: %v, want %q", err, tt.code)
			}
			out, err := s.SendMessageBatch(t.Context(), batchOf(queue, entry("changed", in), entry("legal", legal(queue, "2"))))
			if err != nil {
				t.Fatal(err)
			}
			if tt.code == "" {
				if len(out.Successful) != 2 {
					t.Errorf("batch: %+v", out)
				}
				return
			}
			if len(out.Successful) != 1 || *out.Successful[0].Id != "legal" || len(out.Failed) != 1 || *out.Failed[0].Code != tt.code || !out.Failed[0].SenderFault {
				t.Errorf("batch: %+v", out)
			}
		})
	}
}

// legal is a message that the queue takes.
func legal(queue, once string) *sqs.SendMessageInput {
	in := &sqs.SendMessageInput{QueueUrl: url(queue), MessageBody: aws.String("x")}
	if strings.HasSuffix(queue, ".fifo") {
		in.MessageGroupId, in.MessageDeduplicationId = aws.String("g"), &once
	}
	return in
}

func trace(name, value string) map[string]types.MessageSystemAttributeValue {
	return map[string]types.MessageSystemAttributeValue{name: {DataType: aws.String("String"), StringValue: &value}}
}

func url(queue string) *string {
	return aws.String("https://sqs.eu-central-1.amazonaws.com/123456789012/" + queue)
}

func entry(id string, in *sqs.SendMessageInput) types.SendMessageBatchRequestEntry {
	return types.SendMessageBatchRequestEntry{
		Id: &id, MessageBody: in.MessageBody, MessageAttributes: in.MessageAttributes, MessageSystemAttributes: in.MessageSystemAttributes,
		MessageGroupId: in.MessageGroupId, MessageDeduplicationId: in.MessageDeduplicationId, DelaySeconds: in.DelaySeconds,
	}
}

func batchOf(queue string, entries ...types.SendMessageBatchRequestEntry) *sqs.SendMessageBatchInput {
	return &sqs.SendMessageBatchInput{QueueUrl: url(queue), Entries: entries}
}

func named(id string) types.SendMessageBatchRequestEntry {
	return types.SendMessageBatchRequestEntry{Id: &id, MessageBody: aws.String("x")}
}

// TestBatchRefused is about refusals of a whole batch: of it nothing is sent.
func TestBatchRefused(t *testing.T) {
	numbered := func(n int) (entries []types.SendMessageBatchRequestEntry) {
		for i := range n {
			entries = append(entries, named(fmt.Sprint("m-", i, "_")))
		}
		return entries
	}
	half := func(id string, n int) types.SendMessageBatchRequestEntry {
		return types.SendMessageBatchRequestEntry{Id: &id, MessageBody: aws.String(strings.Repeat("x", n)), MessageAttributes: one("a", str("v"))}
	}
	group := func(group, once *string) types.SendMessageBatchRequestEntry {
		e := named("b")
		e.MessageGroupId, e.MessageDeduplicationId = group, once
		return e
	}
	g := aws.String("g")
	tests := map[string]struct {
		in   *sqs.SendMessageBatchInput
		code string
	}{
		"ten":                      {batchOf("a", numbered(10)...), ""},
		"none":                     {batchOf("a"), prefix + "EmptyBatchRequest"},
		"eleven":                   {batchOf("a", numbered(11)...), prefix + "TooManyEntriesInBatchRequest"},
		"the same id":              {batchOf("a", named("x"), named("x")), prefix + "BatchEntryIdsNotDistinct"},
		"an empty id":              {batchOf("a", named("")), prefix + "InvalidBatchEntryId"},
		"an id of 80":              {batchOf("a", named(strings.Repeat("i", 80))), ""},
		"an id of 81":              {batchOf("a", named(strings.Repeat("i", 81))), prefix + "InvalidBatchEntryId"},
		"an id with a period":      {batchOf("a", named("a.b")), prefix + "InvalidBatchEntryId"},
		"1 MiB":                    {batchOf("a", half("a", 1<<19-8), half("b", 1<<19-8)), ""}, // an attribute is 8 bytes
		"more than 1 MiB":          {batchOf("a", half("a", 1<<19-8), half("b", 1<<19-7)), prefix + "BatchRequestTooLong"},
		"no queue":                 {batchOf("none", named("a")), prefix + "NonExistentQueue"},
		"no group in FIFO":         {batchOf("f.fifo", group(nil, g)), "MissingParameter"},
		"no deduplication in FIFO": {batchOf("f.fifo", group(g, nil)), badValue},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := workqueuetest.New()
			s.Create("a", workqueuetest.QueueOptions{})
			s.Create("f.fifo", workqueuetest.QueueOptions{})
			out, err := s.SendMessageBatch(t.Context(), tt.in)
			if code(err) != tt.code {
				t.Fatalf("%v, want %q", err, tt.code)
			}
			n := len(s.Messages("a")) + len(s.Messages("f.fifo"))
			if err != nil && n != 0 || err == nil && (n != len(tt.in.Entries) || len(out.Failed) > 0) {
				t.Errorf("%d messages, %+v", n, out)
			}
			// The other batch calls have the same rules for ids.
			if !strings.Contains(tt.code, "Batch") || strings.HasSuffix(tt.code, "TooLong") {
				return
			}
			del, change := &sqs.DeleteMessageBatchInput{QueueUrl: url("a")}, &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: url("a")}
			for _, e := range tt.in.Entries {
				del.Entries = append(del.Entries, types.DeleteMessageBatchRequestEntry{Id: e.Id, ReceiptHandle: e.Id})
				change.Entries = append(change.Entries, types.ChangeMessageVisibilityBatchRequestEntry{Id: e.Id, ReceiptHandle: e.Id})
			}
			if _, err := s.DeleteMessageBatch(t.Context(), del); code(err) != tt.code {
				t.Errorf("DeleteMessageBatch: %v", err)
			}
			if _, err := s.ChangeMessageVisibilityBatch(t.Context(), change); code(err) != tt.code {
				t.Errorf("ChangeMessageVisibilityBatch: %v", err)
			}
		})
	}
}
