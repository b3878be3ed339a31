package rescue

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spillway-go/spillway/pkg/task"
)

// ErrMalformed says that a text is no failure document.
var ErrMalformed = errors.New("malformed failure document")

// Range is a part of a shard that Lambda gave up: what a failure document says.
type Range struct {
	Source    string // aws:dynamodb or aws:kinesis
	StreamARN string
	ShardID   string
	First     string // sequence number of the first record in it
	Last      string // and of the last one, which belongs to it too
	Records   int    // that the function was given; a filter of the mapping may have left out others
	// FirstAt and LastAt are when these records came into the stream; zero if the
	// document does not say.
	FirstAt, LastAt time.Time

	Function      string // name of the function; empty if the document does not say
	Condition     string // such as RetryAttemptsExhausted
	FunctionError string // such as Unhandled; empty if it answered
	Attempts      int    // approximately
	RequestID     string // of the last invocation
	FailedAt      time.Time
}

// Stream returns the name of the Kinesis stream, or of the table that a stream
// of DynamoDB belongs to.
func (r *Range) Stream() string { return streamName(r.Source, r.StreamARN) }

// document is what Lambda sends to the failure destination of a stream's
// mapping
// (https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html,
// https://docs.aws.amazon.com/lambda/latest/dg/kinesis-on-failure-destination.html).
type document struct {
	Request struct {
		RequestID   string `json:"requestId"`
		FunctionARN string `json:"functionArn"`
		Condition   string `json:"condition"`
		Attempts    int    `json:"approximateInvokeCount"`
	} `json:"requestContext"`
	Response struct {
		FunctionError string `json:"functionError"` // null when the function reported records
	} `json:"responseContext"`
	Timestamp string     `json:"timestamp"`
	DynamoDB  *batchInfo `json:"DDBStreamBatchInfo"`
	Kinesis   *batchInfo `json:"KinesisBatchInfo"`
}

type batchInfo struct {
	ShardID   string `json:"shardId"`
	First     string `json:"startSequenceNumber"`
	Last      string `json:"endSequenceNumber"`
	FirstAt   string `json:"approximateArrivalOfFirstRecord"`
	LastAt    string `json:"approximateArrivalOfLastRecord"`
	Size      int    `json:"batchSize"`
	StreamARN string `json:"streamArn"`
}

// ParseFailureDocument reads the document that Lambda sends to the failure
// destination of a DynamoDB or Kinesis mapping. What is needed to read the
// range again has to be there and to make sense; whatever else is missing is
// empty in the range, for that is no reason to give records up. The error wraps
// [ErrMalformed] and says what is wrong.
func ParseFailureDocument(body []byte) (Range, error) {
	d, err := decode(body)
	if err != nil {
		return Range{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	r := Range{
		Function:  functionName(task.CleanText(d.Request.FunctionARN, maxARN)),
		Condition: task.CleanText(d.Request.Condition, maxText), FunctionError: task.CleanText(d.Response.FunctionError, maxText),
		Attempts: max(d.Request.Attempts, 0), RequestID: task.CleanText(d.Request.RequestID, maxText), FailedAt: lenientTime(d.Timestamp),
	}
	info, service := d.DynamoDB, "dynamodb"
	switch {
	case d.DynamoDB != nil && d.Kinesis != nil:
		return Range{}, fmt.Errorf("%w: it has both DDBStreamBatchInfo and KinesisBatchInfo", ErrMalformed)
	case d.Kinesis != nil:
		info, service = d.Kinesis, "kinesis"
	case d.DynamoDB == nil:
		return Range{}, fmt.Errorf("%w: it has neither DDBStreamBatchInfo nor KinesisBatchInfo", ErrMalformed)
	}
	r.Source = "aws:" + service
	r.StreamARN, r.ShardID, r.First, r.Last, r.Records = info.StreamARN, info.ShardID, info.First, info.Last, max(info.Size, 0)
	r.FirstAt, r.LastAt = lenientTime(info.FirstAt), lenientTime(info.LastAt)
	if service == "kinesis" { // a mapping with enhanced fan-out names the consumer of the stream
		r.StreamARN, _, _ = strings.Cut(r.StreamARN, "/consumer/")
	}
	if err := r.check(service); err != nil {
		return Range{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return r, nil
}

// decode reads exactly one JSON object.
func decode(body []byte) (d document, err error) {
	dec := json.NewDecoder(bytes.NewReader(body))
	if err := dec.Decode(&d); err != nil {
		return d, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return d, errors.New("there is more behind it")
	}
	return d, nil
}

const (
	// maxName bounds names and numbers; DynamoDB and Kinesis stay well below.
	maxName = 2048
	// maxARN and maxText bound what only describes the failure, and is cut.
	maxARN  = 256
	maxText = 200
)

// check refuses a range that could not be read again.
func (r *Range) check(service string) error {
	for _, part := range []struct{ name, value string }{
		{"streamArn", r.StreamARN}, {"shardId", r.ShardID}, {"startSequenceNumber", r.First}, {"endSequenceNumber", r.Last},
	} {
		switch {
		case part.value == "":
			return fmt.Errorf("%s is missing", part.name)
		case len(part.value) > maxName:
			return fmt.Errorf("%s has %d characters", part.name, len(part.value))
		}
	}
	arn := strings.SplitN(r.StreamARN, ":", 6)
	if len(arn) < 6 || arn[0] != "arn" || arn[2] != service || r.Stream() == "" {
		return fmt.Errorf("streamArn %.200q is not that of a stream of %s", r.StreamARN, service)
	}
	for _, part := range []struct{ name, value string }{{"startSequenceNumber", r.First}, {"endSequenceNumber", r.Last}} {
		if len(part.value) > maxDigits || strings.Trim(part.value, "0123456789") != "" {
			return fmt.Errorf("%s %.200q is no sequence number", part.name, part.value)
		}
	}
	if sortable(r.First) > sortable(r.Last) {
		return fmt.Errorf("startSequenceNumber %s is behind endSequenceNumber %s", r.First, r.Last)
	}
	return nil
}

// maxDigits is how long a sequence number can be; those of Kinesis have 56
// digits, those of DynamoDB at most 40.
const maxDigits = 99

// functionName finds the name in
// arn:aws:lambda:region:account:function:name[:qualifier].
func functionName(arn string) string {
	_, rest, _ := strings.Cut(arn, ":function:")
	name, _, _ := strings.Cut(rest, ":")
	return name
}

// lenientTime reads a time as AWS writes it, and with the offset that LocalStack
// leaves in front of the Z. One that cannot be read counts as unknown.
func lenientTime(s string) time.Time {
	for _, s := range []string{s, strings.TrimSuffix(s, "Z")} {
		if t, err := time.Parse(time.RFC3339, s); err == nil && t.Year() > 1970 {
			return t.UTC()
		}
	}
	return time.Time{}
}
