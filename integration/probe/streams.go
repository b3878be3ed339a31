package probe

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

var streamFeatures = []Feature{
	{
		StreamBisect, "Streams", "bisect on error", "splits a batch that failed in two and tries each half",
		lambdaGuide + "services-ddb-params.html", tryStreamBisect,
	},
	{
		StreamPartialResponse, "Streams", "partial responses", "goes on from the first record that was reported as failed",
		lambdaGuide + "services-ddb-batchfailurereporting.html", tryStreamPartialResponse,
	},
	{
		StreamOnFailure, "Streams", "attempts and on-failure destination", "a batch that failed too often is described to a queue, and the stream goes on",
		lambdaGuide + "services-dynamodb-errors.html", tryStreamOnFailure,
	},
	{
		StreamFilter, "Streams", "filter of a mapping", "records that do not match are not delivered",
		lambdaGuide + "with-ddb-filtering.html", tryStreamFilter,
	},
	{
		StreamPartiQL, "Streams", "changes made by PartiQL", "are in the stream as any other",
		"https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ql-reference.html", tryStreamPartiQL,
	},
	{
		StreamTTL, "Streams", "items that expire", "are removed within days, with a record in the stream",
		"https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/time-to-live-ttl-streams.html", tryStreamTTL,
	},
	{
		KinesisPartialResponse, "Streams", "partial responses for Kinesis", "goes on from the first record that was reported as failed",
		lambdaGuide + "services-kinesis-batchfailurereporting.html", tryKinesisPartialResponse,
	},
	{
		KinesisOnFailure, "Streams", "attempts and on-failure destination for Kinesis", "a batch that failed too often is described to a queue, and the stream goes on",
		lambdaGuide + "kinesis-on-failure-destination.html", tryKinesisOnFailure,
	},
}

// table makes a table, of which more is wanted than a key.
func (b *bench) table(ctx context.Context, more object) (object, error) {
	in := object{
		"TableName": b.name, "BillingMode": "PAY_PER_REQUEST",
		"AttributeDefinitions": []object{{"AttributeName": "id", "AttributeType": "S"}},
		"KeySchema":            []object{{"AttributeName": "id", "KeyType": "HASH"}},
	}
	for k, v := range more {
		in[k] = v
	}
	out, err := b.api.json(ctx, "dynamodb", "CreateTable", in)
	if err != nil {
		return nil, err
	}
	b.laterJSON("dynamodb", "DeleteTable", object{"TableName": b.name})
	active, err := until(ctx, 30*time.Second, func() (bool, error) {
		out, err := b.api.json(ctx, "dynamodb", "DescribeTable", object{"TableName": b.name})
		return text(at(out, "Table"), "TableStatus") == "ACTIVE", err
	})
	if err == nil && !active {
		err = errors.New("the table does not become active")
	}
	return at(out, "TableDescription"), err
}

// streamTable makes a table with a stream and returns the stream's ARN.
func (b *bench) streamTable(ctx context.Context) (arn string, err error) {
	made, err := b.table(ctx, object{"StreamSpecification": object{"StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES"}})
	return text(made, "LatestStreamArn"), err
}

// put writes items that say what the function is to do with their records.
func (b *bench) put(ctx context.Context, what ...string) error {
	for i, do := range what {
		if err := b.putItem(ctx, strconv.Itoa(i), do); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) putItem(ctx context.Context, id, do string) error {
	_, err := b.api.json(ctx, "dynamodb", "PutItem", object{"TableName": b.name, "Item": object{"id": object{"S": id}, "do": object{"S": do}}})
	return err
}

// consumed fills a stream and has the function consume it.
func (b *bench) consumed(ctx context.Context, mapping object, what ...string) (function string, err error) {
	arn, err := b.streamTable(ctx)
	if err != nil {
		return "", err
	}
	if err := b.put(ctx, what...); err != nil {
		return "", err
	}
	return b.consuming(ctx, arn, mapping)
}

// consuming has a function consume a stream from its beginning.
func (b *bench) consuming(ctx context.Context, stream string, mapping object) (function string, err error) {
	function, err = b.function(ctx, functionSpec{allow: []string{
		"dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams", "sqs:SendMessage",
		"kinesis:DescribeStream", "kinesis:DescribeStreamSummary", "kinesis:GetRecords", "kinesis:GetShardIterator", "kinesis:ListShards", "kinesis:ListStreams",
	}})
	if err != nil {
		return "", err
	}
	in := object{"StartingPosition": "TRIM_HORIZON", "MaximumRetryAttempts": 2}
	for k, v := range mapping {
		in[k] = v
	}
	return function, b.mapping(ctx, function, stream, in)
}

// partialResponse: a record that is reported comes again, and what came before
// it does not.
var partialResponse = object{"FunctionResponseTypes": []string{"ReportBatchItemFailures"}, "MaximumRetryAttempts": 2}

func tryStreamPartialResponse(ctx context.Context, b *bench) (Result, error) {
	function, err := b.consumed(ctx, partialResponse, "ok", "ok", "report", "ok")
	if err != nil {
		return Result{}, err
	}
	return b.reported(ctx, function, func() error { return b.putItem(ctx, "9", "later") })
}

// reported is the verdict on a function that was given a record to report, which
// either comes again or is left for one that put adds.
func (b *bench) reported(ctx context.Context, function string, put func() error) (Result, error) {
	lines, err := b.logged(ctx, function, time.Minute, func(lines []string) bool { return count(lines, "seen report") > 0 })
	if err != nil {
		return Result{}, err
	}
	if count(lines, "seen report") == 0 {
		return unknown("nothing was delivered")
	}
	if err := put(); err != nil {
		return Result{}, err
	}
	lines, err = b.logged(ctx, function, 25*time.Second, func(lines []string) bool {
		return count(lines, "seen report") > 1 || count(lines, "seen later") > 0
	})
	if err != nil {
		return Result{}, err
	}
	switch {
	case count(lines, "seen report") > 1:
	case count(lines, "seen later") > 0:
		return missing("a record that was reported as failed counts as done")
	default:
		return unknown("neither the record that was reported nor a later one is delivered")
	}
	// What came after the one that was reported comes again with it.
	before := 0
	for _, l := range lines {
		if strings.HasPrefix(l, "seen report") {
			break
		}
		before += count([]string{l}, "seen ok")
	}
	again := count(lines, "seen ok") - before - count(lines, "seen report")
	return where(again <= 0, Differs, fmt.Sprintf("%d records before the one that was reported come again", again))
}

// tryStreamBisect: of a batch with one bad record the good ones get through, in
// smaller and smaller batches.
func tryStreamBisect(ctx context.Context, b *bench) (Result, error) {
	function, err := b.consumed(ctx, object{"BisectBatchOnFunctionError": true, "MaximumRetryAttempts": 4}, "ok", "ok", "fail", "ok")
	if err != nil {
		return Result{}, err
	}
	halved := func(lines []string) bool { return count(lines, "batch 1")+count(lines, "batch 2") > 0 }
	lines, err := b.deliveries(ctx, function, func(lines []string) bool { return halved(lines) || count(lines, "batch") > 5 })
	if err != nil {
		return Result{}, err
	}
	switch {
	case halved(lines):
		return asOnAWS()
	case count(lines, "batch") > 2:
		return missing("the same batch comes again and again")
	}
	return unknown(fmt.Sprintf("a batch that failed was delivered %d times", count(lines, "batch")))
}

// deliveries is what the function was given, as soon as that is enough, or half
// a minute after the first: a batch that failed comes again within seconds.
func (b *bench) deliveries(ctx context.Context, function string, enough func([]string) bool) (lines []string, err error) {
	look := func(patience time.Duration, enough func([]string) bool) error {
		_, err := until(ctx, patience, func() (bool, error) {
			var err error
			lines, err = b.seen(ctx, function)
			return enough(lines), err
		})
		return err
	}
	if err := look(time.Minute, func(lines []string) bool { return len(lines) > 0 }); err != nil || len(lines) == 0 {
		return nil, err
	}
	return lines, look(30*time.Second, enough)
}

// tryStreamOnFailure has a batch fail as often as it may.
func tryStreamOnFailure(ctx context.Context, b *bench) (Result, error) {
	queue, arn, err := b.queue(ctx, "-failed", nil)
	if err != nil {
		return Result{}, err
	}
	function, err := b.consumed(ctx, onFailure(arn), "fail")
	if err != nil {
		return Result{}, err
	}
	return b.givenUp(ctx, function, queue, "DDBStreamBatchInfo")
}

func onFailure(arn string) object {
	return object{"MaximumRetryAttempts": 1, "DestinationConfig": object{"OnFailure": object{"Destination": arn}}}
}

// givenUp waits for a failed batch in the queue that it is described to.
func (b *bench) givenUp(ctx context.Context, function, queue, field string) (Result, error) {
	// Either it is given up after the second time, or tried once more.
	arrived := false
	lines, err := b.logged(ctx, function, 75*time.Second, func(lines []string) bool {
		if !arrived && count(lines, "seen fail") > 0 {
			messages, err := b.receive(ctx, queue, nil)
			arrived = err == nil && slices.ContainsFunc(messages, func(m object) bool { return strings.Contains(text(m, "Body"), field) })
		}
		return arrived && count(lines, "seen fail") >= 2 || count(lines, "seen fail") > 3
	})
	if err != nil {
		return Result{}, err
	}
	tried := count(lines, "seen fail")
	switch {
	case arrived:
		return where(tried == 2, Differs, fmt.Sprintf("tried %d times, twice allowed", tried))
	case tried > 2:
		return missing("a batch that may be tried twice is tried on, and nothing arrives")
	}
	return unknown(fmt.Sprintf("a batch that fails was delivered %d times, and nothing arrives", tried))
}

// tryStreamFilter writes one item that matches, between others.
func tryStreamFilter(ctx context.Context, b *bench) (Result, error) {
	filter := `{"dynamodb":{"NewImage":{"do":{"S":["ok"]}}}}`
	function, err := b.consumed(ctx, object{"FilterCriteria": object{"Filters": []object{{"Pattern": filter}}}}, "no", "ok", "no")
	if err != nil {
		return Result{}, err
	}
	lines, err := b.deliveries(ctx, function, func(lines []string) bool { return count(lines, "seen ok") > 0 })
	if err != nil || len(lines) == 0 {
		return Result{Verdict: Unknown, Detail: "nothing was delivered"}, err
	}
	return where(count(lines, "seen no") == 0 && count(lines, "seen ok") == 1, Missing, "what does not match is delivered")
}

// records reads all there is in a stream of one shard.
func (b *bench) records(ctx context.Context, stream string) ([]object, error) {
	described, err := b.api.json(ctx, "streams", "DescribeStream", object{"StreamArn": stream})
	if err != nil {
		return nil, err
	}
	var all []object
	for _, shard := range list(at(described, "StreamDescription"), "Shards") {
		out, err := b.api.json(ctx, "streams", "GetShardIterator", object{
			"StreamArn": stream, "ShardId": text(shard, "ShardId"), "ShardIteratorType": "TRIM_HORIZON",
		})
		if err != nil {
			return nil, err
		}
		// An answer may be empty although there is more.
		for iterator, empty := text(out, "ShardIterator"), 0; iterator != "" && empty < 3; {
			out, err := b.api.json(ctx, "streams", "GetRecords", object{"ShardIterator": iterator})
			if err != nil {
				return nil, err
			}
			found := list(out, "Records")
			all = append(all, found...)
			if iterator = text(out, "NextShardIterator"); len(found) == 0 {
				empty++
			}
		}
	}
	return all, nil
}

// has waits for a record of a kind in a stream.
func (b *bench) has(ctx context.Context, stream, kind string) (bool, error) {
	return until(ctx, b.within(20*time.Second, 15*time.Second), func() (bool, error) {
		found, err := b.records(ctx, stream)
		return slices.ContainsFunc(found, func(r object) bool { return text(r, "eventName") == kind }), err
	})
}

// tryStreamPartiQL changes an item by a statement.
func tryStreamPartiQL(ctx context.Context, b *bench) (Result, error) {
	stream, err := b.streamTable(ctx)
	if err != nil {
		return Result{}, err
	}
	if err := b.put(ctx, "old"); err != nil {
		return Result{}, err
	}
	_, err = b.api.json(ctx, "dynamodb", "ExecuteStatement", object{"Statement": `UPDATE "` + b.name + `" SET "do"='new' WHERE "id"='0'`})
	if code := refusal(err); code != "" {
		return missing("ExecuteStatement is refused: " + code)
	}
	if err != nil {
		return Result{}, err
	}
	there, err := b.has(ctx, stream, "MODIFY")
	if err != nil {
		return Result{}, err
	}
	return where(there, Missing, "no record of the change")
}

// tryStreamTTL writes an item whose time is over, and waits for its removal.
func tryStreamTTL(ctx context.Context, b *bench) (Result, error) {
	stream, err := b.streamTable(ctx)
	if err != nil {
		return Result{}, err
	}
	_, err = b.api.json(ctx, "dynamodb", "UpdateTimeToLive", object{
		"TableName": b.name, "TimeToLiveSpecification": object{"Enabled": true, "AttributeName": "ttl"},
	})
	if err != nil {
		return Result{}, err
	}
	key := object{"id": object{"S": "0"}}
	_, err = b.api.json(ctx, "dynamodb", "PutItem", object{"TableName": b.name, "Item": object{
		"id": key["id"], "ttl": object{"N": strconv.FormatInt(time.Now().Add(-time.Minute).Unix(), 10)},
	}})
	if err != nil {
		return Result{}, err
	}
	removed, err := until(ctx, 75*time.Second, func() (bool, error) {
		out, err := b.api.json(ctx, "dynamodb", "GetItem", object{"TableName": b.name, "Key": key, "ConsistentRead": true})
		return err == nil && out["Item"] == nil, err
	})
	if err != nil {
		return Result{}, err
	}
	if !removed {
		return unknown("no item is removed within 75 s")
	}
	there, err := b.has(ctx, stream, "REMOVE")
	if err != nil {
		return Result{}, err
	}
	return where(there, Missing, "the item is removed without a record")
}

// kinesis makes a stream of one shard with records that say what to do with
// them, and returns its ARN.
func (b *bench) kinesis(ctx context.Context, what ...string) (arn string, err error) {
	if _, err := b.api.json(ctx, "kinesis", "CreateStream", object{"StreamName": b.name, "ShardCount": 1}); err != nil {
		return "", err
	}
	b.laterJSON("kinesis", "DeleteStream", object{"StreamName": b.name})
	active, err := until(ctx, time.Minute, func() (bool, error) {
		out, err := b.api.json(ctx, "kinesis", "DescribeStreamSummary", object{"StreamName": b.name})
		made := at(out, "StreamDescriptionSummary")
		arn = text(made, "StreamARN")
		return text(made, "StreamStatus") == "ACTIVE", err
	})
	if err == nil && !active {
		err = errors.New("the stream does not become active")
	}
	if err != nil {
		return "", err
	}
	for _, do := range what {
		if err := b.putRecord(ctx, do); err != nil {
			return "", err
		}
	}
	return arn, nil
}

func (b *bench) putRecord(ctx context.Context, do string) error {
	_, err := b.api.json(ctx, "kinesis", "PutRecord", object{"StreamName": b.name, "Data": []byte(do), "PartitionKey": "one"})
	return err
}

func tryKinesisPartialResponse(ctx context.Context, b *bench) (Result, error) {
	stream, err := b.kinesis(ctx, "ok", "ok", "report", "ok")
	if err != nil {
		return Result{}, err
	}
	function, err := b.consuming(ctx, stream, partialResponse)
	if err != nil {
		return Result{}, err
	}
	return b.reported(ctx, function, func() error { return b.putRecord(ctx, "later") })
}

func tryKinesisOnFailure(ctx context.Context, b *bench) (Result, error) {
	queue, arn, err := b.queue(ctx, "-failed", nil)
	if err != nil {
		return Result{}, err
	}
	stream, err := b.kinesis(ctx, "fail")
	if err != nil {
		return Result{}, err
	}
	function, err := b.consuming(ctx, stream, onFailure(arn))
	if err != nil {
		return Result{}, err
	}
	return b.givenUp(ctx, function, queue, "KinesisBatchInfo")
}
