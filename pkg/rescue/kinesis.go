package rescue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/spillway-go/spillway/pkg/event"
)

// Kinesis reads Kinesis data streams. The records are put together as Lambda
// delivers them, so that package event and any handler can read them.
func Kinesis(client KinesisAPI) Stream { return kinesisStream{client} }

type kinesisStream struct{ client KinesisAPI }

// Source implements [Stream].
func (kinesisStream) Source() string { return sourceKinesis }

// Iterator implements [Stream].
func (s kinesisStream) Iterator(ctx context.Context, r *Range, from From, sequence string) (string, error) {
	in := &kinesis.GetShardIteratorInput{StreamARN: &r.StreamARN, ShardId: &r.ShardID, StartingSequenceNumber: &sequence}
	switch from {
	case At:
		in.ShardIteratorType = types.ShardIteratorTypeAtSequenceNumber
	case After:
		in.ShardIteratorType = types.ShardIteratorTypeAfterSequenceNumber
	default:
		in.ShardIteratorType, in.StartingSequenceNumber = types.ShardIteratorTypeTrimHorizon, nil
	}
	out, err := s.client.GetShardIterator(ctx, in)
	if err != nil {
		return "", kinesisError(err)
	}
	return deref(out.ShardIterator), nil
}

// Read implements [Stream].
func (s kinesisStream) Read(ctx context.Context, r *Range, iterator string) (Page, error) {
	out, err := s.client.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: &iterator, StreamARN: &r.StreamARN})
	if err != nil {
		return Page{}, kinesisError(err)
	}
	page := Page{Next: deref(out.NextShardIterator), Records: make([]event.StreamRecord, 0, len(out.Records))}
	page.Newest = out.MillisBehindLatest != nil && *out.MillisBehindLatest == 0
	for i := range out.Records {
		text, err := kinesisJSON(&out.Records[i], r)
		if err != nil {
			return Page{}, err
		}
		all, err := event.Kinesis([]byte(`{"Records":[` + text + `]}`))
		if err != nil {
			return Page{}, err
		}
		page.Records = append(page.Records, all[0].StreamRecord())
	}
	return page, nil
}

// kinesisError translates an error. Kinesis has none for what it has trimmed:
// an iterator then begins with the oldest record that is left. It has one for a
// number that was never in the shard.
func kinesisError(err error) error {
	if _, ok := errors.AsType[*types.InvalidArgumentException](err); ok {
		return fmt.Errorf("%w: %w", ErrTrimmed, err)
	}
	if _, ok := errors.AsType[*types.ResourceNotFoundException](err); ok {
		return fmt.Errorf("%w: %w", ErrGone, err)
	}
	if _, ok := errors.AsType[*types.ExpiredIteratorException](err); ok {
		return fmt.Errorf("%w: %w", ErrIterator, err)
	}
	return err
}

// kinesisRecord is a record as Lambda delivers it
// (https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html), without the
// role of the mapping, which nobody knows any more.
type kinesisRecord struct {
	Record    kinesisBody `json:"kinesis"`
	Source    string      `json:"eventSource"`
	Version   string      `json:"eventVersion"`
	ID        string      `json:"eventID"`
	Name      string      `json:"eventName"`
	Region    string      `json:"awsRegion"`
	StreamARN string      `json:"eventSourceARN"`
}

type kinesisBody struct {
	Schema   string      `json:"kinesisSchemaVersion"`
	Key      string      `json:"partitionKey"`
	Sequence string      `json:"sequenceNumber"`
	Data     []byte      `json:"data"`
	At       json.Number `json:"approximateArrivalTimestamp,omitempty"` // seconds
}

func kinesisJSON(rec *types.Record, r *Range) (string, error) {
	k := kinesisRecord{
		Record: kinesisBody{Schema: "1.0", Key: deref(rec.PartitionKey), Sequence: deref(rec.SequenceNumber), Data: nonNil(rec.Data)},
		Source: sourceKinesis, Version: "1.0", Name: "aws:kinesis:record", Region: region(r.StreamARN), StreamARN: r.StreamARN,
	}
	k.ID = r.ShardID + ":" + k.Record.Sequence
	if rec.ApproximateArrivalTimestamp != nil {
		k.Record.At = seconds(*rec.ApproximateArrivalTimestamp)
	}
	text, err := encode(k)
	return string(text), err
}

// seconds is a time as Lambda's events have it: seconds, with the milliseconds
// as a fraction if there are any.
func seconds(t time.Time) json.Number {
	ms := t.UnixMilli()
	if ms%1000 == 0 {
		return json.Number(strconv.FormatInt(ms/1000, 10))
	}
	return json.Number(strconv.FormatFloat(float64(ms)/1000, 'f', 3, 64))
}

// region finds the region in an ARN.
func region(arn string) string {
	parts := strings.SplitN(arn, ":", 5)
	if len(parts) < 5 {
		return ""
	}
	return parts[3]
}
