package rescue_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/spillway-go/spillway/pkg/event"
	"github.com/spillway-go/spillway/pkg/rescue"
)

// kinesisStreams is a client of a stream with these records.
type kinesisStreams struct {
	asked   []*kinesis.GetShardIteratorInput
	records []types.Record
	behind  int64
	err     error
}

func (c *kinesisStreams) GetShardIterator(_ context.Context, in *kinesis.GetShardIteratorInput, _ ...func(*kinesis.Options)) (*kinesis.GetShardIteratorOutput, error) {
	c.asked = append(c.asked, in)
	return &kinesis.GetShardIteratorOutput{ShardIterator: aws.String("i")}, c.err
}

func (c *kinesisStreams) GetRecords(context.Context, *kinesis.GetRecordsInput, ...func(*kinesis.Options)) (*kinesis.GetRecordsOutput, error) {
	return &kinesis.GetRecordsOutput{Records: c.records, NextShardIterator: aws.String("j"), MillisBehindLatest: &c.behind}, c.err
}

func kinesisRange(first, last string) rescue.Range {
	return rescue.Range{
		Source: "aws:kinesis", StreamARN: "arn:aws:kinesis:eu-central-1:123456789012:stream/clicks", ShardID: "shardId-000000000003",
		First: first, Last: last, Function: "clicks", Condition: "RetryAttemptsExhausted",
	}
}

func kinesisRecord(sequence string) types.Record {
	return types.Record{
		ApproximateArrivalTimestamp: aws.Time(time.UnixMilli(1782898171042)), Data: []byte("tea"), PartitionKey: aws.String("ada"), SequenceNumber: &sequence,
	}
}

func TestKinesisRecord(t *testing.T) {
	t.Parallel()
	client := &kinesisStreams{records: []types.Record{kinesisRecord("17"), {SequenceNumber: aws.String("18")}}}
	r := kinesisRange("17", "18")
	page, err := rescue.Kinesis(client).Read(t.Context(), &r, "i")
	if err != nil || len(page.Records) != 2 || page.Next != "j" || !page.Newest {
		t.Fatal(page, err)
	}
	const want = `{"kinesis":{"kinesisSchemaVersion":"1.0","partitionKey":"ada","sequenceNumber":"17","data":"dGVh","approximateArrivalTimestamp":1782898171.042},` +
		`"eventSource":"aws:kinesis","eventVersion":"1.0","eventID":"shardId-000000000003:17","eventName":"aws:kinesis:record","awsRegion":"eu-central-1",` +
		`"eventSourceARN":"arn:aws:kinesis:eu-central-1:123456789012:stream/clicks"}`
	if got := page.Records[0].JSON; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	records, err := event.Kinesis(eventOf(page.Records[0].JSON, page.Records[1].JSON))
	if err != nil || string(records[0].Data) != "tea" || records[0].ShardID() != r.ShardID || records[0].ArrivedAt.UnixMilli() != 1782898171042 {
		t.Errorf("%+v, %v", records, err)
	}
}

// A Kinesis iterator whose record was dropped begins with the oldest that is
// left: what is missing shows in the sequence numbers.
func TestKinesisTrimmed(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		first   string
		records int
		missing rescue.Missing
	}{{"17", 2, ""}, {"16", 2, rescue.Trimmed}, {"2", 2, rescue.Trimmed}} {
		client := &kinesisStreams{records: []types.Record{kinesisRecord("17"), kinesisRecord("19"), kinesisRecord("20")}}
		f, err := rescue.NewRefetcher(rescue.Kinesis(client)).Fetch(t.Context(), kinesisRange(tt.first, "19"), func([]event.StreamRecord) error { return nil })
		if err != nil || f.Records != tt.records || f.Missing != tt.missing {
			t.Errorf("from %s: %+v, %v", tt.first, f, err)
		}
	}
	client := &kinesisStreams{}
	if f, err := rescue.NewRefetcher(rescue.Kinesis(client)).Fetch(t.Context(), kinesisRange("1", "2"), nil); err != nil || f.Missing != rescue.NotYet {
		t.Errorf("%+v, %v", f, err)
	}
}

func TestKinesisIteratorsAndErrors(t *testing.T) {
	t.Parallel()
	r := kinesisRange("3", "6")
	client := &kinesisStreams{}
	for i, from := range []rescue.From{rescue.At, rescue.After, rescue.Oldest} {
		if it, err := rescue.Kinesis(client).Iterator(t.Context(), &r, from, "4"); it != "i" || err != nil {
			t.Error(it, err)
		}
		want := []types.ShardIteratorType{types.ShardIteratorTypeAtSequenceNumber, types.ShardIteratorTypeAfterSequenceNumber, types.ShardIteratorTypeTrimHorizon}[i]
		if in := client.asked[i]; in.ShardIteratorType != want || (in.StartingSequenceNumber == nil) != (from == rescue.Oldest) || *in.StreamARN != r.StreamARN {
			t.Errorf("%+v", in)
		}
	}
	for _, tt := range []struct{ from, want error }{
		{&types.InvalidArgumentException{}, rescue.ErrTrimmed},
		{&types.ResourceNotFoundException{}, rescue.ErrGone},
		{&types.ExpiredIteratorException{}, rescue.ErrIterator},
		{errService, errService},
	} {
		stream := rescue.Kinesis(&kinesisStreams{err: tt.from})
		if _, err := stream.Iterator(t.Context(), &r, rescue.At, "3"); !errors.Is(err, tt.want) {
			t.Error(err)
		}
		if _, err := stream.Read(t.Context(), &r, "i"); !errors.Is(err, tt.want) {
			t.Error(err)
		}
	}
}
