// Package event reads what Lambda's event source mappings deliver: batches of
// records from SQS, Kinesis and DynamoDB Streams. It decodes only what a
// handler needs, with a handful of allocations for a whole batch where
// encoding/json and the structs of aws-lambda-go take dozens for a record.
//
//	messages, err := event.SQS(payload)
//	for i := range messages {
//		fmt.Println(messages[i].Body, messages[i].Attribute("type").String)
//	}
//
// Most programs let package batch call it. The types are plain structs, so
// that a test can make its own.
//
// # Coming from aws-lambda-go
//
// The fields of an [SQSMessage] are those of events.SQSMessage, with other names
// for some, and what SQS says about a message as fields:
//
//	MessageId                             MessageID
//	EventSourceARN                        QueueARN
//	Attributes["ApproximateReceiveCount"] ReceiveCount
//	Attributes["SentTimestamp"]           SentAt
//	Attributes["MessageGroupId"]          GroupID
//	*MessageAttributes["x"].StringValue   Attribute("x").String
//
// An event that a test makes of aws-lambda-go's structs can be read after
// json.Marshal, if EventSource is set.
//
// # What is decoded
//
// Fields that only repeat what the function knows anyway (region, version,
// checksums) are skipped. The images of a DynamoDB record stay JSON until
// [Image.Unmarshal] is asked for them. [StreamRecord] has what records of both
// kinds of streams have in common. All text of a batch is part of one copy of
// the payload: whoever keeps a record beyond its invocation keeps all of it, so
// clone what you keep (strings.Clone).
//
// # Errors
//
// Every function fails with [ErrMalformed] when the payload is no such event:
// not JSON, without Records, with a record that is from another kind of source
// or does not say where it is from, or with a value of the wrong kind. Return that error: the event source mapping then delivers the
// whole batch again. Fields that are missing or null are zero, and so is a count
// or a time with an impossible value: that is no reason to hold up a queue or a
// stream. Names of fields are matched exactly, unlike by encoding/json.
package event
