package event

import "strings"

// StreamRecord is what the records of every kind of stream have in common, and
// all that is needed to find one again or to work on it later. It is made by
// [KinesisRecord.StreamRecord] and [Change.StreamRecord].
type StreamRecord struct {
	Source         string // aws:kinesis or aws:dynamodb
	StreamARN      string
	ShardID        string // empty for DynamoDB, which does not tell
	SequenceNumber string
	EventID        string
	Key            string // records of the same key follow one another: the partition key, or [Change.Key]
	Attempts       int    // how often it was tried before it was given up; 0 if nobody counted
	JSON           string // the record as Lambda delivered it
}

// Stream returns the name of the Kinesis stream, or of the table that a stream
// of DynamoDB belongs to.
func (r *StreamRecord) Stream() string {
	if r.Source == sourceDynamoDB {
		return tableName(r.StreamARN)
	}
	return kinesisName(r.StreamARN)
}

// kinesisName finds the name in arn:aws:kinesis:region:account:stream/name.
func kinesisName(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }

// tableName finds the name in
// arn:aws:dynamodb:region:account:table/name/stream/2015-06-27T00:48:05.899.
func tableName(arn string) string {
	_, rest, _ := strings.Cut(arn, ":table/")
	table, _, _ := strings.Cut(rest, "/")
	return table
}
