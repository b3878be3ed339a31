package ddbfake

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	streams "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"

	"github.com/spillway-go/spillway/internal/ddbfake/expr"
)

// Limits of a GetRecords, and how long an iterator holds
// (https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_streams_GetRecords.html,
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_streams_GetShardIterator.html).
const (
	maxRecords    = 1000
	maxRecordSize = 1 << 20
	iteratorHolds = 15 * time.Minute
)

// shard is the only one of a stream.
const shard = "shardId-00000000000000000000-00000001"

// enterStream is [DB.enter] for a call that has no effect. The error is a panic.
func (d *DB) enterStream(ctx context.Context, operation string) {
	fault, err := d.enter(ctx, operation)
	if err == nil {
		err = fault.Err
	}
	if err != nil {
		panic(refusal{err})
	}
}

// streamed finds the table of a stream. mu must be held.
func (d *DB) streamed(arn *string) *table {
	for _, t := range d.tables {
		if t.stream != nil && t.stream.arn == aws.ToString(arn) {
			t.stream.trim()
			return t
		}
	}
	panic(refusal{&streams.ResourceNotFoundException{Message: aws.String("Requested resource not found: Stream: " + aws.ToString(arn) + " not found")}})
}

// ListStreams lists the streams of all tables, or of one.
func (d *DB) ListStreams(ctx context.Context, in *dynamodbstreams.ListStreamsInput, _ ...func(*dynamodbstreams.Options)) (out *dynamodbstreams.ListStreamsOutput, err error) {
	defer guard(&err)
	d.enterStream(ctx, "ListStreams")
	d.mu.Lock()
	defer d.mu.Unlock()
	out = &dynamodbstreams.ListStreamsOutput{}
	for _, name := range slices.Sorted(maps.Keys(d.tables)) {
		t := d.tables[name]
		if t.stream != nil && (in.TableName == nil || *in.TableName == t.name) {
			out.Streams = append(out.Streams, streams.Stream{StreamArn: &t.stream.arn, StreamLabel: &t.stream.label, TableName: &t.name})
		}
	}
	return out, nil
}

// DescribeStream describes a stream and its shard.
func (d *DB) DescribeStream(ctx context.Context, in *dynamodbstreams.DescribeStreamInput, _ ...func(*dynamodbstreams.Options)) (out *dynamodbstreams.DescribeStreamOutput, err error) {
	defer guard(&err)
	d.enterStream(ctx, "DescribeStream")
	d.mu.Lock()
	defer d.mu.Unlock()
	t := d.streamed(in.StreamArn)
	keys := []streams.KeySchemaElement{{AttributeName: &t.Hash.Name, KeyType: streams.KeyTypeHash}}
	if t.Range.Name != "" {
		keys = append(keys, streams.KeySchemaElement{AttributeName: &t.Range.Name, KeyType: streams.KeyTypeRange})
	}
	return &dynamodbstreams.DescribeStreamOutput{StreamDescription: &streams.StreamDescription{
		StreamArn: &t.stream.arn, StreamLabel: &t.stream.label, TableName: &t.name, KeySchema: keys,
		StreamStatus: streams.StreamStatusEnabled, StreamViewType: streams.StreamViewType(t.Stream),
		Shards: []streams.Shard{{ShardId: aws.String(shard), SequenceNumberRange: &streams.SequenceNumberRange{StartingSequenceNumber: aws.String(sequence(1))}}},
	}}, nil
}

// GetShardIterator returns a place in a stream, which holds for 15 minutes.
func (d *DB) GetShardIterator(ctx context.Context, in *dynamodbstreams.GetShardIteratorInput, _ ...func(*dynamodbstreams.Options)) (out *dynamodbstreams.GetShardIteratorOutput, err error) {
	defer guard(&err)
	d.enterStream(ctx, "GetShardIterator")
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.streamed(in.StreamArn).stream
	if aws.ToString(in.ShardId) != shard {
		return nil, &streams.ResourceNotFoundException{Message: aws.String("Requested resource not found: Shard does not exist")}
	}
	trimmed := s.number - len(s.records)
	after := trimmed
	switch in.ShardIteratorType {
	case streams.ShardIteratorTypeTrimHorizon:
	case streams.ShardIteratorTypeLatest:
		after = s.number
	case streams.ShardIteratorTypeAtSequenceNumber, streams.ShardIteratorTypeAfterSequenceNumber:
		at := numberOf(aws.ToString(in.SequenceNumber))
		if at < 1 || at > s.number {
			expr.Fail("Invalid SequenceNumber")
		}
		if at <= trimmed {
			return nil, &streams.TrimmedDataAccessException{Message: aws.String("The operation attempted to read past the oldest stream record in a shard.")}
		}
		if after = at; in.ShardIteratorType == streams.ShardIteratorTypeAtSequenceNumber {
			after--
		}
	default:
		expr.Fail("Value %q at 'shardIteratorType' failed to satisfy constraint", in.ShardIteratorType)
	}
	return &dynamodbstreams.GetShardIteratorOutput{ShardIterator: s.iterator(after)}, nil
}

// iterator is the place behind the nth record, with the time of its birth.
func (s *stream) iterator(n int) *string {
	return aws.String(s.arn + "|" + strconv.Itoa(n) + "|" + strconv.FormatInt(time.Now().UnixNano(), 10))
}

// GetRecords returns up to 1,000 records, and up to 1 MB of them, from a place
// on, and the next place: a shard never ends here.
func (d *DB) GetRecords(ctx context.Context, in *dynamodbstreams.GetRecordsInput, _ ...func(*dynamodbstreams.Options)) (out *dynamodbstreams.GetRecordsOutput, err error) {
	defer guard(&err)
	d.enterStream(ctx, "GetRecords")
	limit := int(aws.ToInt32(in.Limit))
	if in.Limit != nil && (limit < 1 || limit > maxRecords) {
		expr.Fail("Value '%d' at 'limit' failed to satisfy constraint: Member must have value between 1 and %d", limit, maxRecords)
	}
	if limit == 0 {
		limit = maxRecords
	}
	parts := strings.Split(aws.ToString(in.ShardIterator), "|")
	if len(parts) != 3 {
		expr.Fail("Invalid ShardIterator")
	}
	after, err := strconv.Atoi(parts[1])
	born, err2 := strconv.ParseInt(parts[2], 10, 64)
	if err != nil || err2 != nil {
		expr.Fail("Invalid ShardIterator")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.streamed(&parts[0]).stream
	switch trimmed := s.number - len(s.records); {
	case time.Since(time.Unix(0, born)) > iteratorHolds:
		return nil, &streams.ExpiredIteratorException{Message: aws.String("Iterator expired")}
	case after < trimmed:
		return nil, &streams.TrimmedDataAccessException{Message: aws.String("The operation attempted to read past the oldest stream record in a shard.")}
	}
	out = &dynamodbstreams.GetRecordsOutput{}
	size := int64(0)
	for _, r := range s.behind(after) {
		size += *r.Dynamodb.SizeBytes
		if len(out.Records) == limit || len(out.Records) > 0 && size > maxRecordSize {
			break
		}
		out.Records = append(out.Records, r)
	}
	out.NextShardIterator = s.iterator(after + len(out.Records))
	return out, nil
}
