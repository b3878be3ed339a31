package event

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/spillway-go/spillway/pkg/internal/jsonscan"
)

// ErrMalformed says that a payload is not the event that was expected.
var ErrMalformed = errors.New("malformed event")

// The eventSource of each kind of record
// (https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html and the pages
// about Kinesis and DynamoDB beside it).
const (
	sourceSQS      = "aws:sqs"
	sourceKinesis  = "aws:kinesis"
	sourceDynamoDB = "aws:dynamodb"
)

// reader reads one event.
type reader struct {
	jsonscan.Scanner
	source string
	size   int
	known  bool // the record has said where it comes from
}

// open begins to read payload. It copies it: Lambda's runtime client uses its
// buffer again, while a handler that was given up may still run.
func (r *reader) open(payload []byte, source string) {
	text := string(payload)
	if !utf8.ValidString(text) {
		text = strings.ToValidUTF8(text, "\uFFFD")
	}
	r.Reset(text)
	r.source, r.size = source, len(text)
}

// records calls record for each of the event's records, member by member.
func (r *reader) records(record func()) error {
	found := false
	r.Object(func(key string) {
		if key != "Records" {
			r.Skip()
			return
		}
		found = true
		r.Array(func() {
			r.known = false
			record()
			if !r.known { // such as one of SNS, which spells it EventSource
				r.Fail(fmt.Errorf("%w: a record has no eventSource; the function expects batches from %s", ErrMalformed, r.source))
			}
		})
	})
	r.End()
	switch {
	case r.Err() != nil && errors.Is(r.Err(), ErrMalformed):
		return r.Err()
	case r.Err() != nil:
		return fmt.Errorf("%w: %w", ErrMalformed, r.Err())
	case !found:
		return fmt.Errorf("%w: it has no Records; the function expects batches from %s", ErrMalformed, r.source)
	default:
		return nil
	}
}

// from checks where a record comes from.
func (r *reader) from() {
	r.known = true
	if source := r.Text(); source != r.source && r.Err() == nil {
		r.Fail(fmt.Errorf("%w: a record is from %.40q; the function expects batches from %s", ErrMalformed, source, r.source))
	}
}

// malformed ends the reading because of a value.
func (r *reader) malformed(field string) {
	r.Fail(fmt.Errorf("%w: %s has an impossible value", ErrMalformed, field))
}

// name returns the last part of an ARN.
func name(arn string) string { return arn[strings.LastIndexByte(arn, ':')+1:] }
