package workqueuetest_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/spillway-go/spillway/pkg/workqueue"
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

// TestReceiveRefused is about the parameters of a receive.
func TestReceiveRefused(t *testing.T) {
	s := workqueuetest.New()
	s.Create("a", workqueuetest.QueueOptions{})
	for name, tt := range map[string]struct {
		in   sqs.ReceiveMessageInput
		code string
	}{
		"ten":              {sqs.ReceiveMessageInput{MaxNumberOfMessages: 10, VisibilityTimeout: 43_200}, ""},
		"eleven":           {sqs.ReceiveMessageInput{MaxNumberOfMessages: 11}, badValue},
		"a wait of 21 s":   {sqs.ReceiveMessageInput{WaitTimeSeconds: 21}, badValue},
		"a negative wait":  {sqs.ReceiveMessageInput{WaitTimeSeconds: -1}, badValue},
		"hidden for 43201": {sqs.ReceiveMessageInput{VisibilityTimeout: 43_201}, badValue},
	} {
		in := tt.in
		in.QueueUrl = url("a")
		if _, err := s.ReceiveMessage(t.Context(), &in); code(err) != tt.code {
			t.Errorf("%s: %v, want %q", name, err, tt.code)
		}
	}
}

// TestAttributesAskedFor: a receive brings what it asked for and nothing else.
func TestAttributesAskedFor(t *testing.T) {
	s := workqueuetest.New()
	q := open(s, "a", workqueuetest.QueueOptions{Visibility: 1})
	out := text("x")
	out.Group, out.Trace = "g", "Root=1"
	out.Attributes = map[string]types.MessageAttributeValue{"task": str("1"), "task.type": str("2"), "Task": str("3")}
	if err := q.Send(t.Context(), out); err != nil {
		t.Fatal(err)
	}
	names := func(in sqs.ReceiveMessageInput) (got []string) {
		in.QueueUrl, in.VisibilityTimeout = url("a"), 1
		s.Create("a", workqueuetest.QueueOptions{})
		if err := q.Send(t.Context(), out); err != nil {
			t.Fatal(err)
		}
		answer, err := s.ReceiveMessage(t.Context(), &in)
		if err != nil || len(answer.Messages) != 1 || *answer.Messages[0].MD5OfBody != "9dd4e461268c8034f5c8564e155c67a6" {
			t.Fatalf("%+v, %v", answer, err)
		}
		return slices.Sorted(func(yield func(string) bool) {
			for name := range maps.Keys(answer.Messages[0].MessageAttributes) {
				yield(name)
			}
			for name := range maps.Keys(answer.Messages[0].Attributes) {
				yield("system " + name)
			}
		})
	}
	for name, tt := range map[string]struct {
		in   sqs.ReceiveMessageInput
		want []string
	}{
		"none":   {sqs.ReceiveMessageInput{}, nil},
		"a name": {sqs.ReceiveMessageInput{MessageAttributeNames: []string{"task", "other"}}, []string{"task"}},
		"prefix": {sqs.ReceiveMessageInput{MessageAttributeNames: []string{"task.*"}}, []string{"task", "task.type"}},
		"all":    {sqs.ReceiveMessageInput{MessageAttributeNames: []string{"All"}}, []string{"Task", "task", "task.type"}},
		"system": {sqs.ReceiveMessageInput{MessageSystemAttributeNames: []types.MessageSystemAttributeName{"MessageGroupId", "AWSTraceHeader"}}, []string{"system AWSTraceHeader", "system MessageGroupId"}},
		"all system": {sqs.ReceiveMessageInput{AttributeNames: []types.QueueAttributeName{"All"}}, []string{
			"system AWSTraceHeader", "system ApproximateFirstReceiveTimestamp", "system ApproximateReceiveCount", "system MessageGroupId", "system SenderId", "system SentTimestamp",
		}},
	} {
		if diff := cmp.Diff(tt.want, names(tt.in)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestQueueSendsWhatSQSTakes: of any messages, those that a workqueue.Queue
// lets pass are taken, and it never learns from SQS that one is illegal.
func TestQueueSendsWhatSQSTakes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := workqueuetest.New()
		name := rapid.SampledFrom([]string{"a", "a.fifo"}).Draw(rt, "queue")
		q := open(s, name, workqueuetest.QueueOptions{})
		value := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "1", "-0.5e7", "\x00", "\uFFFE", "\xFF", "0x1", "1_000", "Inf", " 1"}))
		kind := rapid.SampledFrom([]string{"", "String", "Number", "Binary", "String.x", "Number.int", "Binary.é", "Text", "String.\x01"})
		name1 := rapid.OneOf(rapid.String(), rapid.StringMatching(`[A-Za-z0-9._-]{0,12}`), rapid.SampledFrom([]string{"AWS.x", "a..b", ".a", "a.", "Amazon.y", strings.Repeat("n", 257)}))
		attribute := rapid.Custom(func(rt *rapid.T) types.MessageAttributeValue {
			v := typed(kind.Draw(rt, "type"), value.Draw(rt, "value"))
			if strings.HasPrefix(*v.DataType, "Binary") {
				v.BinaryValue, v.StringValue = []byte(*v.StringValue), nil
			}
			return v
		})
		out := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) workqueue.Outgoing {
			return workqueue.Outgoing{
				Body:       value.Draw(rt, "body") + strings.Repeat("x", rapid.SampledFrom([]int{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 << 19, 1<<20 - 3, 1 << 20}).Draw(rt, "padding")),
				Attributes: rapid.MapOfN(name1, attribute, 0, 11).Draw(rt, "attributes"),
				Group:      value.Draw(rt, "group"), Trace: value.Draw(rt, "trace"),
			}
		}), 1, 12).Draw(rt, "messages")
		sent := 0
		for i, err := range q.SendBatch(t.Context(), out) {
			invalid, isInvalid := errors.AsType[*workqueue.InvalidError](err)
			_, isLarge := errors.AsType[*workqueue.TooLargeError](err)
			switch {
			case err == nil:
				sent++
			case !isInvalid && !isLarge:
				rt.Fatalf("message %d: SQS refused it: %v (%v)", i, err, invalid)
			}
		}
		if n := len(s.Messages(name)); n != sent {
			rt.Fatalf("%d messages, %d sent", n, sent)
		}
	})
}

// TestTenThousand: a queue with 10,000 messages is worked through in a time
// that does not grow with their square.
func TestTenThousand(t *testing.T) {
	for _, name := range []string{"a", "a.fifo"} {
		synctest.Test(t, func(t *testing.T) {
			s := workqueuetest.New(workqueuetest.AsOnAWS(1))
			q := open(s, name, workqueuetest.QueueOptions{})
			seen := map[string]bool{}
			for range 1000 {
				send(t, q, "0", "1", "2", "3", "4", "5", "6", "7", "8", "9")
			}
			for range 3000 {
				records := s.Receive(name, 10)
				for _, rec := range records {
					seen[rec.MessageId] = true
				}
				s.Acknowledge(name, records, []byte(`{"batchItemFailures":[]}`))
			}
			if len(seen) != 10_000 {
				t.Errorf("%s: %d messages", name, len(seen))
			}
		})
	}
}
