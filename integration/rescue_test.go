//go:build integration

package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamodbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	streamtypes "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/spillway-go/spillway/integration/probe"
	"github.com/spillway-go/spillway/pkg/archive"
	"github.com/spillway-go/spillway/pkg/archive/archivetest"
	"github.com/spillway-go/spillway/pkg/rescue"
)

// Records that nobody can work on, in streams of their own, with the consumer
// in testdata/rescue and the function that reads failed ranges again. As in the
// other tests of streams, a source is filled before its mapping is made.

func TestRescue(t *testing.T) {
	t.Parallel()
	s := deployRescue(t)
	t.Run("sources", func(t *testing.T) {
		t.Run("DynamoDB", func(t *testing.T) {
			t.Parallel()
			s.testPoison(t, "dynamodb", s.out["OrderTableStreamArn"], func(o order) { s.putItem(t, "OrderTable", o) })
		})
		t.Run("Kinesis", func(t *testing.T) {
			t.Parallel()
			s.testPoison(t, "kinesis", s.out["OrderStreamArn"], func(o order) { s.put(t, s.out["OrderStream"], o) })
		})
		t.Run("Crash", func(t *testing.T) {
			t.Parallel()
			s.testCrash(t)
		})
	})
	t.Run("Archive", func(t *testing.T) { archivetest.Run(t, s.kept) })
	t.Run("Range", s.testRange)
	t.Run("Unsupported", s.testUnsupported)
	t.Run("Malformed", s.testMalformed)
}

// bystanders are the orders beside the one that goes wrong, which is b's.
var bystanders = map[string][]int{"a": {1, 2}, "c": {1, 2}, "d": {1}}

// six returns a batch of six orders, one of which goes wrong.
func six(do string) []order {
	return []order{{"a", 1, "ok"}, {"b", 1, do}, {"c", 1, "ok"}, {"a", 2, "ok"}, {"d", 1, "ok"}, {"c", 2, "ok"}}
}

// testPoison: five of six orders take effect, the sixth is in the archive and
// survives its stream, and takes effect once it is mended and replayed; unless
// a later one of its key has meanwhile.
func (s *rescuing) testPoison(t *testing.T, source, arn string, put func(order)) {
	t.Helper()
	for _, o := range six("permanent") {
		put(o)
	}
	mapping := s.consume(t, source, source, arn, s.env)
	begun := time.Now()
	s.awaitEffects(t, source, bystanders)
	function := s.name + "-" + source
	poison := s.awaitRecords(t, function, 1)[0]
	t.Logf("archived %s after the mapping was made", time.Since(begun).Round(time.Millisecond))
	if poison.ArchivedBy != rescue.ByHandler || poison.Error.Code != "impossible" || poison.StreamARN != arn || poison.State != rescue.Archived || poison.Attempts != 1 ||
		time.Until(poison.KeepUntil.Time) < 23*time.Hour || time.Until(poison.KeepUntil.Time) > 25*time.Hour || !strings.Contains(poison.Key, "b") {
		t.Errorf("archived as %+v", poison)
	}
	item, err := s.kept.Get(t.Context(), "stream", poison.ID)
	if err != nil || !json.Valid(item.Data) || !bytes.Contains(item.Data, []byte(poison.SequenceNumber)) || source == "dynamodb" && len(item.Data) < padding {
		t.Errorf("archived with %d bytes: %.1000s (%v)", len(item.Data), item.Data, err)
	}

	for _, o := range []order{{"e", 1, "permanent"}, {"e", 2, "ok"}} {
		put(o)
	}
	s.awaitEffects(t, source, map[string][]int{"e": {2}})
	s.awaitRecords(t, function, 2)

	if replay := s.replay(t, function); replay.Failed != 1 || replay.Refused != 1 || replay.Replayed != 0 {
		t.Errorf("before it is mended: %+v", replay)
	}
	s.setMapping(t, mapping, false)
	if source == "dynamodb" {
		s.dropStream(t, "OrderTable")
	}
	s.mend(t, function, source)
	if replay := s.replay(t, function); replay.Replayed != 1 || !replay.Done {
		t.Errorf("after it is mended: %+v", replay)
	}
	s.awaitEffects(t, source, map[string][]int{"b": {1}, "e": {2}})
	states := map[string]int{}
	for _, r := range s.awaitRecords(t, function, 2) {
		states[strings.TrimSpace(string(r.State)+" "+r.Reason)]++
	}
	if fmt.Sprint(states) != "map[refused stale:1 replayed:1]" {
		t.Errorf("the records are %v", states)
	}
	if replay := s.replay(t, function); replay.Matched != 0 {
		t.Errorf("again: %+v", replay)
	}
}

// testCrash: a record that ends the process comes into the archive by way of
// the mapping, which gives it up, and the function that reads it again.
func (s *rescuing) testCrash(t *testing.T) {
	t.Helper()
	const name = "crash"
	arn := s.out["CrashTableStreamArn"]
	for _, o := range six("crash") {
		s.putItem(t, "CrashTable", o)
	}
	mapping := s.consume(t, name, "dynamodb", arn, s.env, func(in *lambda.CreateEventSourceMappingInput) {
		in.BisectBatchOnFunctionError, in.MaximumRetryAttempts, in.MaximumRecordAgeInSeconds = aws.Bool(true), aws.Int32(1), aws.Int32(60)
		in.DestinationConfig = &lambdatypes.DestinationConfig{OnFailure: &lambdatypes.OnFailure{Destination: aws.String(s.out["FailuresQueueArn"])}}
	})
	function := s.name + "-" + name
	records := s.awaitRecords(t, function, 1)
	s.setMapping(t, mapping, false)
	var crashed *rescue.Record
	for i, r := range records {
		if strings.Contains(r.Key, "b") {
			crashed = &records[i]
		}
	}
	if crashed == nil || crashed.ArchivedBy != rescue.ByRange || crashed.StreamARN != arn || crashed.ShardID == "" || crashed.Error.Code == "" {
		t.Fatalf("archived as %+v", records)
	}
	if has(t, probe.StreamBisect) {
		if len(records) != 1 {
			t.Errorf("%d records are archived, of which one crashes", len(records))
		}
		s.awaitEffectsAtLeast(t, name, bystanders)
	}
	for _, r := range s.ranges(t, function) {
		t.Logf("%s: %s", r.State, s.rangeText(t, r.ID))
		if r.State != rescue.Rescued || r.Records != len(records) {
			t.Errorf("the range is %+v, with %d records", r, len(records))
		}
	}
	if replay := s.replay(t, function); replay.Failed == 0 || replay.Failed+replay.Refused+replay.Replayed < replay.Matched {
		t.Errorf("before it is mended: %+v", replay)
	}
	s.mend(t, function, name)
	if replay := s.replay(t, function); replay.Replayed == 0 || replay.Failed > 0 || !replay.Done {
		t.Errorf("after it is mended: %+v", replay)
	}
	s.awaitEffectsAtLeast(t, name, bystanders)
	s.awaitEffectsAtLeast(t, name, map[string][]int{"b": {1}})
}

// testRange: a range in the middle of a shard is read again exactly, as the
// mapping delivered it.
func (s *rescuing) testRange(t *testing.T) {
	shard, all := s.shard(t, s.out["CrashTableStreamArn"])
	first, last := all[1], all[4]
	document := fmt.Sprintf(`{"requestContext":{"requestId":"r","functionArn":"arn:aws:lambda:us-east-1:000000000000:function:nobody",`+
		`"condition":"RetryAttemptsExhausted","approximateInvokeCount":2},"responseContext":{"statusCode":200,"executedVersion":"$LATEST","functionError":null},`+
		`"version":"1.0","timestamp":%q,"DDBStreamBatchInfo":{"shardId":%q,"startSequenceNumber":%q,"endSequenceNumber":%q,"batchSize":4,"streamArn":%q}}`,
		time.Now().UTC().Format(time.RFC3339), shard, first, last, s.out["CrashTableStreamArn"])
	send(t, s.out["FailuresQueueUrl"], document, nil)
	records := s.awaitRecords(t, "nobody", 4)
	for i, r := range records {
		if r.SequenceNumber != all[i+1] || r.ShardID != shard {
			t.Errorf("record %d is %+v, want %s", i, r, all[i+1])
		}
	}
	if replay := s.replay(t, "nobody"); replay.Failed != 4 || replay.Records[0].Reason != rescue.ReasonNoConsumer {
		t.Errorf("nobody's records: %+v", replay)
	}
	gone := strings.NewReplacer(first, strings.Repeat("0", len(first)), last, strings.Repeat("0", len(first)-1)+"1").Replace(document)
	send(t, s.out["FailuresQueueUrl"], gone, nil)
	eventually(t, func() error {
		for _, r := range s.ranges(t, "nobody") {
			if r.State == rescue.Expired {
				return nil
			}
		}
		return fmt.Errorf("the range that is gone: %+v", s.ranges(t, "nobody"))
	})
	eventually(t, quiet(s.out["FailuresQueueUrl"]))
}

// testUnsupported: the function reads no streams of Kinesis, and keeps what it is
// told of them.
func (s *rescuing) testUnsupported(t *testing.T) {
	document := fmt.Sprintf(`{"requestContext":{"functionArn":"arn:aws:lambda:us-east-1:000000000000:function:clicks","condition":"RetryAttemptsExhausted"},`+
		`"KinesisBatchInfo":{"shardId":"shardId-000000000000","startSequenceNumber":"1","endSequenceNumber":"2","batchSize":2,"streamArn":%q}}`, s.out["OrderStreamArn"])
	send(t, s.out["FailuresQueueUrl"], document, nil)
	eventually(t, func() error {
		if ranges := s.ranges(t, "clicks"); len(ranges) != 1 || ranges[0].State != rescue.Unsupported || ranges[0].Records != 0 {
			return fmt.Errorf("the range of Kinesis: %+v", ranges)
		}
		return nil
	})
}

// testMalformed: what is no failure document is kept as it is.
func (s *rescuing) testMalformed(t *testing.T) {
	const body = `{"requestContext":{},"DDBStreamBatchInfo":{"shardId":"shardId-1"}}`
	send(t, s.out["FailuresQueueUrl"], body, nil)
	eventually(t, func() error {
		for _, r := range s.ranges(t, "") {
			if r.State == rescue.Malformed && strings.Contains(r.Reason, "streamArn is missing") {
				var got, want any
				if err := json.Unmarshal([]byte(s.rangeText(t, r.ID)), &got); err != nil {
					return err
				}
				if err := json.Unmarshal([]byte(body), &want); err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
					return fmt.Errorf("kept as %v", got)
				}
				return nil
			}
		}
		return fmt.Errorf("no malformed range among %+v", s.ranges(t, ""))
	})
}

// rescuing is what testdata/rescue needs.
type rescuing struct {
	*sources
	env       map[string]string // of the consumers
	kept      *archive.Archive
	positions *rescue.Positions
}

// deployRescue deploys testdata/rescue and the rescue function behind its
// failures queue.
func deployRescue(t *testing.T) *rescuing {
	t.Helper()
	s := &rescuing{sources: deploySources(t, "rescue")}
	s.env = map[string]string{"CONTROL_TABLE": s.out["ControlTable"], "ARCHIVE_BUCKET": s.out["ArchiveBucket"]}
	objects := s3.NewFromConfig(stack.cfg, func(o *s3.Options) { o.UsePathStyle = true })
	s.kept = archive.New(stack.tables, s.out["ControlTable"], objects, s.out["ArchiveBucket"], nil)
	s.positions = rescue.NewPositions(stack.tables, s.out["ControlTable"], nil)
	t.Cleanup(func() { s.emptyBucket(t, objects) }) // else the stack cannot be deleted

	function := *s.sources
	function.code = build(t, "../functions/rescue")
	env := maps.Clone(s.env)
	env["STREAM_FAILURES_QUEUE_URL"] = s.out["FailuresQueueUrl"]
	function.consume(t, "rescue", "sqs", s.out["FailuresQueueArn"], env)
	return s
}

func (s *rescuing) emptyBucket(t *testing.T, objects *s3.Client) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	out, err := objects.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: aws.String(s.out["ArchiveBucket"])})
	if err != nil {
		t.Errorf("list the archive: %v", err)
		return
	}
	for _, o := range out.Contents {
		if _, err := objects.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: aws.String(s.out["ArchiveBucket"]), Key: o.Key}); err != nil {
			t.Errorf("empty the archive: %v", err)
		}
	}
}

// padding makes a record too large for an item of the archive.
const padding = 310_000

// putItem writes an order to a table. One that goes wrong is large.
func (s *rescuing) putItem(t *testing.T, output string, o order) {
	t.Helper()
	item := map[string]dynamodbtypes.AttributeValue{
		"key": &dynamodbtypes.AttributeValueMemberS{Value: o.Key},
		"n":   &dynamodbtypes.AttributeValueMemberN{Value: strconv.Itoa(o.N)},
		"do":  &dynamodbtypes.AttributeValueMemberS{Value: o.Do},
	}
	if o.Do != "ok" {
		item["pad"] = &dynamodbtypes.AttributeValueMemberS{Value: strings.Repeat("x", padding)}
	}
	if _, err := stack.tables.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String(s.out[output]), Item: item}); err != nil {
		t.Fatal(err)
	}
}

// replayer hands records to one function.
func (s *rescuing) replayer(function string) *rescue.Replayer {
	own := rescue.Functions(stack.lambdas, function)
	return rescue.NewReplayer(stack.tables, s.out["ControlTable"], s.kept, s.positions, own, nil)
}

// records are the archived ones of a function.
func (s *rescuing) records(t *testing.T, function string) []rescue.Record {
	t.Helper()
	all, err := s.replayer("").List(t.Context(), 1000)
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(r rescue.Record) bool { return r.Consumer != function })
}

// ranges are the archived ones of a function.
func (s *rescuing) ranges(t *testing.T, function string) []rescue.FailedRange {
	t.Helper()
	all, err := s.replayer("").Ranges(t.Context(), 1000)
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(r rescue.FailedRange) bool { return r.Consumer != function })
}

// rangeText is the document that told a range.
func (s *rescuing) rangeText(t *testing.T, id string) string {
	t.Helper()
	it, err := s.kept.Get(t.Context(), "stream-range", id)
	if err != nil {
		t.Fatal(err)
	}
	return string(it.Data)
}

// awaitRecords waits until so many records of a function are archived, and its
// ranges too.
func (s *rescuing) awaitRecords(t *testing.T, function string, n int) (all []rescue.Record) {
	t.Helper()
	eventually(t, func() error {
		if all = s.records(t, function); len(all) < n {
			return fmt.Errorf("%d records of %s are archived, want %d", len(all), function, n)
		}
		ranges := s.ranges(t, function)
		pending := func(r rescue.FailedRange) bool { return r.State == rescue.Pending }
		if all[0].ArchivedBy == rescue.ByRange && (len(ranges) == 0 || slices.ContainsFunc(ranges, pending)) {
			return fmt.Errorf("the range of %s is not archived yet", function)
		}
		return nil
	})
	return s.records(t, function)
}

// replay replays the records of one function.
func (s *rescuing) replay(t *testing.T, function string) rescue.Replay {
	t.Helper()
	var ids []string
	for _, r := range s.records(t, function) {
		if r.State == rescue.Archived {
			ids = append(ids, r.ID)
		}
	}
	if len(ids) == 0 {
		return rescue.Replay{}
	}
	consumers := s.replayer(function)
	if function == "nobody" {
		consumers = s.replayer("somebody")
	}
	replay, err := consumers.Replay(t.Context(), rescue.ReplayRequest{IDs: ids})
	if err != nil {
		t.Fatal(err)
	}
	return replay
}

// mend deploys the fix.
func (s *rescuing) mend(t *testing.T, function, name string) {
	t.Helper()
	now, err := stack.lambdas.GetFunctionConfiguration(t.Context(), &lambda.GetFunctionConfigurationInput{FunctionName: &function})
	if err != nil {
		t.Fatal(err)
	}
	variables := maps.Clone(now.Environment.Variables)
	variables["MENDED"] = name
	_, err = stack.lambdas.UpdateFunctionConfiguration(t.Context(), &lambda.UpdateFunctionConfigurationInput{
		FunctionName: &function, Environment: &lambdatypes.Environment{Variables: variables},
	})
	if err != nil {
		t.Fatal(err)
	}
	updated := lambda.NewFunctionUpdatedV2Waiter(stack.lambdas, func(o *lambda.FunctionUpdatedV2WaiterOptions) { o.MinDelay = 200 * time.Millisecond })
	if err := updated.Wait(t.Context(), &lambda.GetFunctionInput{FunctionName: &function}, patience); err != nil {
		t.Fatal(err)
	}
}

func (s *rescuing) setMapping(t *testing.T, id string, on bool) {
	t.Helper()
	if _, err := stack.lambdas.UpdateEventSourceMapping(t.Context(), &lambda.UpdateEventSourceMappingInput{UUID: &id, Enabled: &on}); err != nil {
		t.Fatal(err)
	}
	state := map[bool]string{true: "Enabled", false: "Disabled"}[on]
	eventually(t, func() error {
		out, err := stack.lambdas.GetEventSourceMapping(t.Context(), &lambda.GetEventSourceMappingInput{UUID: &id})
		if err == nil && aws.ToString(out.State) != state {
			err = fmt.Errorf("the mapping is %s, want %s", aws.ToString(out.State), state)
		}
		return err
	})
}

// dropStream ends a table's stream: what is in no archive is lost.
func (s *rescuing) dropStream(t *testing.T, output string) {
	t.Helper()
	_, err := stack.tables.UpdateTable(t.Context(), &dynamodb.UpdateTableInput{
		TableName: aws.String(s.out[output]), StreamSpecification: &dynamodbtypes.StreamSpecification{StreamEnabled: aws.Bool(false)},
	})
	if err != nil {
		t.Errorf("end the stream: %v", err)
	}
}

// awaitEffectsAtLeast is awaitEffects where a delivery may have been repeated.
func (s *rescuing) awaitEffectsAtLeast(t *testing.T, name string, want map[string][]int) {
	t.Helper()
	for key, numbers := range want {
		eventually(t, func() error {
			got, err := s.effects(t, name, key)
			if err != nil {
				return err
			}
			for _, n := range numbers {
				if !slices.Contains(got, n) {
					return fmt.Errorf("%s of %s: %v, want %v", key, name, got, numbers)
				}
			}
			return nil
		})
	}
}

// shard returns the shard of a stream of DynamoDB that has records, and their
// sequence numbers.
func (s *rescuing) shard(t *testing.T, arn string) (id string, numbers []string) {
	t.Helper()
	client := dynamodbstreams.NewFromConfig(stack.cfg)
	out, err := client.DescribeStream(t.Context(), &dynamodbstreams.DescribeStreamInput{StreamArn: &arn})
	if err != nil {
		t.Fatal(err)
	}
	for _, shard := range out.StreamDescription.Shards {
		iterator, err := client.GetShardIterator(t.Context(), &dynamodbstreams.GetShardIteratorInput{
			StreamArn: &arn, ShardId: shard.ShardId, ShardIteratorType: streamtypes.ShardIteratorTypeTrimHorizon,
		})
		if err != nil {
			t.Fatal(err)
		}
		page, err := client.GetRecords(t.Context(), &dynamodbstreams.GetRecordsInput{ShardIterator: iterator.ShardIterator})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.Records {
			numbers = append(numbers, *r.Dynamodb.SequenceNumber)
		}
		if len(numbers) >= 6 {
			return *shard.ShardId, numbers
		}
		numbers = nil
	}
	t.Fatalf("no shard of %s has the records", arn)
	return "", nil
}
