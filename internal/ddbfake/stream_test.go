package ddbfake_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	streams "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"

	"github.com/spillway-go/spillway/internal/ddbfake"
)

// reader reads the only shard of the stream of t.
type reader struct {
	t  *testing.T
	db *ddbfake.DB
}

func (r reader) iterator(kind streams.ShardIteratorType, sequence string) (string, error) {
	r.t.Helper()
	out, err := r.db.DescribeStream(r.t.Context(), &dynamodbstreams.DescribeStreamInput{StreamArn: aws.String(r.db.StreamARN("t"))})
	if err != nil {
		r.t.Fatal(err)
	}
	in := &dynamodbstreams.GetShardIteratorInput{StreamArn: out.StreamDescription.StreamArn, ShardId: out.StreamDescription.Shards[0].ShardId, ShardIteratorType: kind}
	if sequence != "" {
		in.SequenceNumber = &sequence
	}
	at, err := r.db.GetShardIterator(r.t.Context(), in)
	if err != nil {
		return "", err
	}
	return *at.ShardIterator, nil
}

// from tells the records from a place on.
func (r reader) from(kind streams.ShardIteratorType, sequence string) string {
	r.t.Helper()
	at, err := r.iterator(kind, sequence)
	if err != nil {
		r.t.Fatal(err)
	}
	out, err := r.db.GetRecords(r.t.Context(), &dynamodbstreams.GetRecordsInput{ShardIterator: &at})
	if err != nil || out.NextShardIterator == nil {
		r.t.Fatal(out, err)
	}
	return told(out.Records)
}

func told(records []streams.Record) string {
	var all []string
	for _, r := range records {
		all = append(all, fmt.Sprintf("%s %s %t %t", r.EventName, r.Dynamodb.Keys["id"].(*streams.AttributeValueMemberS).Value, r.Dynamodb.OldImage != nil, r.Dynamodb.NewImage != nil))
	}
	return strings.Join(all, ", ")
}

// A stream has a record of each change, with the images that its view has; a
// write that changes nothing has none
// (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html).
func TestStream(t *testing.T) {
	t.Parallel()
	db := newDB(nil)
	r := reader{t, db}
	put(t, db, "t", item{"id": s("a"), "n": n("1")}, item{"id": s("a"), "n": n("1.0")}, item{"id": s("a"), "n": n("2")}, item{"id": s("b")})
	if _, err := db.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: aws.String("t"), Key: item{"id": s("a")}}); err != nil {
		t.Fatal(err)
	}
	const all = "INSERT a false true, MODIFY a true true, INSERT b false true, REMOVE a true false"
	records := db.Records("t", "", 10)
	if got := told(records); got != all {
		t.Errorf("the stream has %s", got)
	}
	if records[0].UserIdentity != nil || *records[0].Dynamodb.SizeBytes != 3+6 || len(*records[0].Dynamodb.SequenceNumber) < 21 || *records[0].EventSource != "aws:dynamodb" {
		t.Errorf("%+v", records[0])
	}
	second := *records[1].Dynamodb.SequenceNumber
	if got := told(db.Records("t", second, 1)); got != "INSERT b false true" {
		t.Errorf("after the second record comes %s", got)
	}
	for _, tt := range []struct {
		kind         streams.ShardIteratorType
		number, want string
	}{
		{streams.ShardIteratorTypeTrimHorizon, "", all},
		{streams.ShardIteratorTypeLatest, "", ""},
		{streams.ShardIteratorTypeAtSequenceNumber, second, all[len("INSERT a false true, "):]},
		{streams.ShardIteratorTypeAfterSequenceNumber, second, "INSERT b false true, REMOVE a true false"},
	} {
		if got := r.from(tt.kind, tt.number); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.kind, got, tt.want)
		}
	}
	out, err := db.ListStreams(t.Context(), &dynamodbstreams.ListStreamsInput{})
	if err != nil || len(out.Streams) != 1 || *out.Streams[0].StreamArn != db.StreamARN("t") || *out.Streams[0].TableName != "t" || db.StreamARN("c") != "" {
		t.Errorf("%+v, %v", out, err)
	}
	if got := db.Records("c", "", 10); got != nil {
		t.Errorf("a table without a stream has %v", got)
	}
	for view, want := range map[types.StreamViewType]string{
		types.StreamViewTypeKeysOnly: "INSERT a false false", types.StreamViewTypeNewImage: "INSERT a false true", types.StreamViewTypeOldImage: "INSERT a false false",
	} {
		db.CreateTable(ddbfake.Spec{Name: "v", Hash: ddbfake.Key{Name: "id"}, Stream: view})
		put(t, db, "v", item{"id": s("a")})
		if got := told(db.Records("v", "", 10)); got != want {
			t.Errorf("%s: %s", view, got)
		}
	}
}

// Every type of value is in an image.
func TestImage(t *testing.T) {
	t.Parallel()
	db := newDB(nil)
	put(t, db, "t", item{
		"id": s("a"), "b": &types.AttributeValueMemberB{Value: []byte{1}}, "t": &types.AttributeValueMemberBOOL{Value: true},
		"z": &types.AttributeValueMemberNULL{Value: true}, "l": &types.AttributeValueMemberL{Value: []types.AttributeValue{s("x")}},
		"m": &types.AttributeValueMemberM{Value: item{"y": n("01")}}, "ss": &types.AttributeValueMemberSS{Value: []string{"b", "a"}},
		"ns": &types.AttributeValueMemberNS{Value: []string{"10", "9"}}, "bs": &types.AttributeValueMemberBS{Value: [][]byte{{2}, {1}}},
	})
	got := db.Records("t", "", 1)[0].Dynamodb.NewImage
	for name, want := range map[string]string{
		"id": "a", "b": "[1]", "t": "true", "z": "true", "ss": "[a b]", "ns": "[9 10]", "bs": "[[1] [2]]",
	} {
		var v any
		switch m := got[name].(type) {
		case *streams.AttributeValueMemberS:
			v = m.Value
		case *streams.AttributeValueMemberB:
			v = m.Value
		case *streams.AttributeValueMemberBOOL:
			v = m.Value
		case *streams.AttributeValueMemberNULL:
			v = m.Value
		case *streams.AttributeValueMemberSS:
			v = m.Value
		case *streams.AttributeValueMemberNS:
			v = m.Value
		case *streams.AttributeValueMemberBS:
			v = m.Value
		}
		if fmt.Sprint(v) != want {
			t.Errorf("%s is %v, want %s", name, v, want)
		}
	}
	inner := got["m"].(*streams.AttributeValueMemberM).Value["y"].(*streams.AttributeValueMemberN).Value
	if first := got["l"].(*streams.AttributeValueMemberL).Value[0].(*streams.AttributeValueMemberS).Value; first != "x" || inner != "1" {
		t.Errorf("nested are %s and %s", first, inner)
	}
}

// Records last a day, iterators 15 minutes, and an answer has 1,000 records or
// 1 MB
// (https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_streams_GetRecords.html,
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_streams_GetShardIterator.html).
func TestStreamLimits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := newDB(nil)
		r := reader{t, db}
		records := func(at string, limit int32) (*dynamodbstreams.GetRecordsOutput, error) {
			in := &dynamodbstreams.GetRecordsInput{ShardIterator: &at}
			if limit != 0 {
				in.Limit = &limit
			}
			return db.GetRecords(t.Context(), in)
		}
		for i := range 1500 {
			put(t, db, "t", item{"id": s(fmt.Sprint(i))})
		}
		horizon, _ := r.iterator(streams.ShardIteratorTypeTrimHorizon, "")
		out, err := records(horizon, 0)
		if err != nil || len(out.Records) != 1000 {
			t.Fatalf("an answer has %d records, %v", len(out.Records), err)
		}
		first := *out.Records[0].Dynamodb.SequenceNumber
		if out, err = records(*out.NextShardIterator, 300); err != nil || len(out.Records) != 300 {
			t.Errorf("with a limit %d records, %v", len(out.Records), err)
		}
		_, err = records(horizon, 1001)
		refused(t, "a limit of 1,001", err, "between 1 and 1000")
		_, err = records("i", 0)
		refused(t, "another iterator", err, "Invalid ShardIterator")

		latest, _ := r.iterator(streams.ShardIteratorTypeLatest, "")
		for i := range 10 {
			put(t, db, "t", item{"id": s(fmt.Sprint("large", i)), "x": s(strings.Repeat("x", 300_000))})
		}
		if out, err = records(latest, 0); err != nil || len(out.Records) != 3 {
			t.Errorf("an answer has %d records of 300 KB, %v", len(out.Records), err)
		}

		time.Sleep(16 * time.Minute)
		if _, err := records(horizon, 0); !isType[*streams.ExpiredIteratorException](err) {
			t.Errorf("after 16 minutes: %v", err)
		}
		time.Sleep(24*time.Hour - 8*time.Minute)
		horizon, _ = r.iterator(streams.ShardIteratorTypeAtSequenceNumber, first)
		if horizon != "" {
			t.Error("a record of yesterday is there")
		}
		put(t, db, "t", item{"id": s("new")})
		if got := r.from(streams.ShardIteratorTypeTrimHorizon, ""); got != "INSERT new false true" {
			t.Errorf("a day later the stream has %.100s", got)
		}
		if _, err := r.iterator(streams.ShardIteratorTypeAtSequenceNumber, first); !isType[*streams.TrimmedDataAccessException](err) {
			t.Errorf("from a record of yesterday: %v", err)
		}
		_, err = r.iterator(streams.ShardIteratorTypeAtSequenceNumber, "1")
		refused(t, "another number", err, "Invalid SequenceNumber")
		if _, err := db.DescribeStream(t.Context(), &dynamodbstreams.DescribeStreamInput{StreamArn: aws.String("x")}); !isType[*streams.ResourceNotFoundException](err) {
			t.Errorf("another stream: %v", err)
		}
		_, err = db.GetShardIterator(t.Context(), &dynamodbstreams.GetShardIteratorInput{StreamArn: aws.String(db.StreamARN("t")), ShardId: aws.String("x"), ShardIteratorType: "LATEST"})
		if !isType[*streams.ResourceNotFoundException](err) {
			t.Errorf("another shard: %v", err)
		}
	})
}

func isType[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}
