package memstack

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
)

// streamPoll is how often Lambda looks for records in a shard
// (https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html).
const streamPoll = 250 * time.Millisecond

// streamRetry is how long a mapping waits before it tries a batch again, the
// first time; each time it is twice as long, up to a minute. AWS does not
// document its figures.
const streamRetry = time.Second

// streamRecord is a record of a stream as Lambda hands it over.
type streamRecord struct {
	sequence string
	at       time.Time // when the change was made
	event    map[string]any
}

// shardBatch is a batch of a shard with its tries so far.
type shardBatch struct {
	records []streamRecord
	tries   int
}

// pollShard invokes the function with the records of a shard in their order,
// one batch at a time, until the stack ends.
func (m *mapping) pollShard(arn, shard string) {
	streams := m.stack.streams()
	first, err := streams.GetShardIterator(m.stack.ctx, &dynamodbstreams.GetShardIteratorInput{
		StreamArn: &arn, ShardId: &shard, ShardIteratorType: types.ShardIteratorTypeTrimHorizon,
	})
	if err != nil {
		m.stack.failf("%s: %v", m.id, err)
		return
	}
	iterator := first.ShardIterator
	for m.ready() && iterator != nil {
		limit := int32(m.batchSize()) //nolint:gosec // at most 10,000
		out, err := streams.GetRecords(m.stack.ctx, &dynamodbstreams.GetRecordsInput{ShardIterator: iterator, Limit: &limit})
		if err != nil {
			if m.stack.ctx.Err() == nil {
				m.stack.failf("%s: %v", m.id, err)
			}
			return
		}
		iterator = out.NextShardIterator
		records, err := m.filtered(arn, out.Records)
		if err != nil {
			m.stack.failf("%s: %v", m.id, err)
			return
		}
		if len(records) > 0 {
			m.process(arn, shard, records)
		}
		if len(out.Records) == 0 && !m.stack.wait(streamPoll) {
			return
		}
	}
}

// filtered are the records that pass the mapping's filters. The others cost no
// invocation.
func (m *mapping) filtered(arn string, records []types.Record) ([]streamRecord, error) {
	var passed []streamRecord
	for i := range records {
		text, err := encode(&records[i])
		if err != nil {
			return nil, err
		}
		r := streamRecord{sequence: aws.ToString(records[i].Dynamodb.SequenceNumber), at: aws.ToTime(records[i].Dynamodb.ApproximateCreationDateTime)}
		if err := json.Unmarshal(text, &r.event); err != nil {
			return nil, err
		}
		r.event["eventSourceARN"] = arn
		if m.passes(r.event) {
			passed = append(passed, r)
		}
	}
	return passed, nil
}

func (m *mapping) passes(event map[string]any) bool {
	for _, f := range m.filters {
		if f.matches(event) {
			return true
		}
	}
	return len(m.filters) == 0
}

// process invokes the function with a batch until all of it is done or given
// up. The shard waits meanwhile.
//
//   - A response that names records: those before the first of them are done,
//     and the rest is tried again.
//   - A failure of all, with bisecting: each half is a batch of its own, and the
//     split counts as no try.
//   - Out of tries, or too old: the destination is told of the range, and the
//     shard goes on behind it.
//
// (https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html,
// https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html)
func (m *mapping) process(arn, shard string, records []streamRecord) {
	pending := []shardBatch{{records: records}}
	pause := streamRetry
	for len(pending) > 0 && m.stack.ctx.Err() == nil {
		b := pending[0]
		if kept := m.fresh(b.records); len(kept) < len(b.records) {
			m.giveUp(arn, shard, b.records[:len(b.records)-len(kept)], "RecordAgeExceeded", b.tries, result{})
			b.records = kept
		}
		if len(b.records) == 0 {
			pending = pending[1:]
			continue
		}
		out := m.hand(b.records)
		done, partial := m.outcome(b.records, out)
		switch b.tries++; {
		case done == len(b.records) && m.stack.chance(m.stack.opts.Again):
			pending[0], pause = shardBatch{records: b.records}, streamRetry
		case done == len(b.records):
			pending, pause = pending[1:], streamRetry
			continue
		case m.MaximumRetryAttempts != nil && b.tries > *m.MaximumRetryAttempts && (len(b.records) == 1 || !m.BisectBatchOnFunctionError):
			m.giveUp(arn, shard, b.records[done:], "RetryAttemptsExhausted", b.tries, out)
			pending, pause = pending[1:], streamRetry
			continue
		case partial && done > 0:
			pending[0] = shardBatch{records: b.records[done:], tries: b.tries}
		case m.BisectBatchOnFunctionError && len(b.records) > 1:
			half := len(b.records) / 2
			halves := []shardBatch{{records: b.records[:half], tries: b.tries - 1}, {records: b.records[half:], tries: b.tries - 1}}
			pending = append(halves, pending[1:]...)
		default:
			pending[0] = b
		}
		if !m.stack.wait(pause) {
			return
		}
		pause = min(2*pause, time.Minute)
	}
}

// fresh are the records that are not too old. They are in order, so those that
// are too old come first.
func (m *mapping) fresh(records []streamRecord) []streamRecord {
	if m.MaximumRecordAgeInSeconds == nil || *m.MaximumRecordAgeInSeconds < 0 {
		return records
	}
	oldest := time.Now().Add(-time.Duration(*m.MaximumRecordAgeInSeconds) * time.Second)
	for i, r := range records {
		if !r.at.Before(oldest) {
			return records[i:]
		}
	}
	return nil
}

// hand invokes the function; a throttled batch is tried again until it is let
// in.
func (m *mapping) hand(records []streamRecord) result {
	list := make([]map[string]any, len(records))
	for i, r := range records {
		list[i] = r.event
	}
	payload, err := json.Marshal(map[string]any{"Records": list})
	if err != nil {
		m.stack.failf("%s: %v", m.id, err)
	}
	for m.function.enter() {
		if !m.stack.wait(streamRetry) {
			return failed("the stack has ended", "")
		}
	}
	return m.function.invoke(payload)
}

// outcome is how many records are done, and whether the function said so. An
// error, a response that is no JSON, and an identifier that is empty or not one
// of the batch are a failure of all.
func (m *mapping) outcome(records []streamRecord, out result) (done int, partial bool) {
	if out.kind != "" {
		return 0, false
	}
	if !m.reports() {
		return len(records), false
	}
	var answer events.DynamoDBEventResponse
	if text := strings.TrimSpace(string(out.payload)); text != "" && text != "null" {
		if err := json.Unmarshal(out.payload, &answer); err != nil {
			return 0, false
		}
	}
	first := len(records)
	for _, failure := range answer.BatchItemFailures {
		at := -1
		for i, r := range records {
			if r.sequence == failure.ItemIdentifier {
				at = i
			}
		}
		if at < 0 {
			return 0, false
		}
		first = min(first, at)
	}
	return first, true
}

// giveUp sends what Lambda tells of a range that it gives up to the
// destination. The records themselves stay in the stream
// (https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html).
func (m *mapping) giveUp(arn, shard string, records []streamRecord, condition string, tries int, out result) {
	if len(records) == 0 {
		return
	}
	destination := m.DestinationConfig.OnFailure.Destination
	if destination == "" {
		m.stack.failf("%s gives up %d records without a destination: %s", m.id, len(records), condition)
		return
	}
	first, last := records[0], records[len(records)-1]
	record := map[string]any{
		"version": "1.0", "timestamp": stamp(time.Now()),
		"requestContext": map[string]any{
			"requestId": m.stack.uuid(), "functionArn": m.function.arn(), "condition": condition, "approximateInvokeCount": tries,
		},
		"DDBStreamBatchInfo": map[string]any{
			"shardId": shard, "streamArn": arn, "batchSize": len(records),
			"startSequenceNumber": first.sequence, "endSequenceNumber": last.sequence,
			"approximateArrivalOfFirstRecord": stamp(first.at), "approximateArrivalOfLastRecord": stamp(last.at),
		},
	}
	if out.kind != "" {
		record["responseContext"] = map[string]any{"statusCode": 200, "executedVersion": "$LATEST", "functionError": out.kind}
	}
	m.stack.sendRecord(queueURL(destination), record)
}

// shards are the shards of a stream.
func shards(ctx context.Context, streams streamsAPI, arn string) ([]string, error) {
	out, err := streams.DescribeStream(ctx, &dynamodbstreams.DescribeStreamInput{StreamArn: &arn})
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", arn, err)
	}
	var ids []string
	for _, s := range out.StreamDescription.Shards {
		ids = append(ids, aws.ToString(s.ShardId))
	}
	return ids, nil
}

// streamsAPI is what a mapping uses of DynamoDB Streams.
type streamsAPI interface {
	DescribeStream(context.Context, *dynamodbstreams.DescribeStreamInput, ...func(*dynamodbstreams.Options)) (*dynamodbstreams.DescribeStreamOutput, error)
	GetShardIterator(context.Context, *dynamodbstreams.GetShardIteratorInput, ...func(*dynamodbstreams.Options)) (*dynamodbstreams.GetShardIteratorOutput, error)
	GetRecords(context.Context, *dynamodbstreams.GetRecordsInput, ...func(*dynamodbstreams.Options)) (*dynamodbstreams.GetRecordsOutput, error)
}
