package rescue_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/spillway-go/spillway/pkg/event"
	"github.com/spillway-go/spillway/pkg/rescue"
)

// dynamoDBStreams is a client of a stream with these records.
type dynamoDBStreams struct {
	asked   []*dynamodbstreams.GetShardIteratorInput
	records []types.Record
	next    *string
	err     error
}

func (c *dynamoDBStreams) GetShardIterator(_ context.Context, in *dynamodbstreams.GetShardIteratorInput, _ ...func(*dynamodbstreams.Options)) (*dynamodbstreams.GetShardIteratorOutput, error) {
	c.asked = append(c.asked, in)
	return &dynamodbstreams.GetShardIteratorOutput{ShardIterator: aws.String("i")}, c.err
}

func (c *dynamoDBStreams) GetRecords(context.Context, *dynamodbstreams.GetRecordsInput, ...func(*dynamodbstreams.Options)) (*dynamodbstreams.GetRecordsOutput, error) {
	return &dynamodbstreams.GetRecordsOutput{Records: c.records, NextShardIterator: c.next}, c.err
}

func TestDynamoDBRecord(t *testing.T) {
	t.Parallel()
	key := map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: `a<"é"`}, "n": &types.AttributeValueMemberN{Value: "1.50"}}
	image := map[string]types.AttributeValue{
		"id": key["id"], "n": key["n"],
		"b":    &types.AttributeValueMemberB{Value: []byte{0, 255}},
		"e":    &types.AttributeValueMemberB{},
		"t":    &types.AttributeValueMemberBOOL{Value: true},
		"null": &types.AttributeValueMemberNULL{Value: true},
		"l":    &types.AttributeValueMemberL{Value: []types.AttributeValue{&types.AttributeValueMemberS{Value: "x"}, &types.AttributeValueMemberL{}}},
		"m":    &types.AttributeValueMemberM{Value: map[string]types.AttributeValue{"x": &types.AttributeValueMemberN{Value: "2"}}},
		"ss":   &types.AttributeValueMemberSS{Value: []string{"p", "q"}},
		"ns":   &types.AttributeValueMemberNS{Value: []string{"1", "2"}},
		"bs":   &types.AttributeValueMemberBS{Value: [][]byte{{1}}},
	}
	client := &dynamoDBStreams{records: []types.Record{{
		EventID: aws.String("e1"), EventName: types.OperationTypeRemove, EventVersion: aws.String("1.1"), EventSource: aws.String("aws:dynamodb"),
		AwsRegion: aws.String("eu-central-1"), UserIdentity: &types.Identity{Type: aws.String("Service"), PrincipalId: aws.String("dynamodb.amazonaws.com")},
		Dynamodb: &types.StreamRecord{
			ApproximateCreationDateTime: aws.Time(time.Unix(1782898171, 0)), Keys: key, OldImage: image, SequenceNumber: aws.String("17"),
			SizeBytes: aws.Int64(99), StreamViewType: types.StreamViewTypeNewAndOldImages,
		},
	}}}
	r := rangeOf(17, 17)
	page, err := rescue.DynamoDB(client).Read(t.Context(), &r, "i")
	if err != nil || len(page.Records) != 1 || page.Next != "" {
		t.Fatal(page, err)
	}
	const want = `{"eventID":"e1","eventName":"REMOVE","eventVersion":"1.1","eventSource":"aws:dynamodb","awsRegion":"eu-central-1","dynamodb":{` +
		`"ApproximateCreationDateTime":1782898171,"Keys":{"id":{"S":"a<\"é\""},"n":{"N":"1.50"}},"OldImage":{"b":{"B":"AP8="},"bs":{"BS":["AQ=="]},` +
		`"e":{"B":""},"id":{"S":"a<\"é\""},"l":{"L":[{"S":"x"},{"L":[]}]},"m":{"M":{"x":{"N":"2"}}},"n":{"N":"1.50"},"ns":{"NS":["1","2"]},` +
		`"null":{"NULL":true},"ss":{"SS":["p","q"]},"t":{"BOOL":true}},"SequenceNumber":"17","SizeBytes":99,"StreamViewType":"NEW_AND_OLD_IMAGES"},` +
		`"userIdentity":{"type":"Service","principalId":"dynamodb.amazonaws.com"},"eventSourceARN":"` + streamARN + `"}`
	rec := page.Records[0]
	if diff := cmp.Diff(rec.JSON, want); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
	if rec.ShardID != shardID || rec.Key != `{"id":{"S":"a<\"é\""},"n":{"N":"1.50"}}` || rec.SequenceNumber != "17" || rec.StreamARN != streamARN {
		t.Errorf("%+v", rec)
	}
	changes, err := event.DynamoDB(eventOf(rec.JSON))
	if err != nil || !changes[0].Expired || changes[0].Kind != event.Remove || changes[0].At.Unix() != 1782898171 {
		t.Errorf("%+v, %v", changes, err)
	}
}

// Every item that DynamoDB can hold comes through as it is.
func TestDynamoDBImages(t *testing.T) {
	t.Parallel()
	var value func(depth int) *rapid.Generator[types.AttributeValue]
	value = func(depth int) *rapid.Generator[types.AttributeValue] {
		return rapid.Custom(func(t *rapid.T) types.AttributeValue {
			kinds := 5
			if depth > 0 {
				kinds = 7
			}
			switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
			case 0:
				return &types.AttributeValueMemberS{Value: rapid.String().Draw(t, "s")}
			case 1:
				return &types.AttributeValueMemberN{Value: rapid.StringMatching(`-?(0|[1-9][0-9]{0,30})`).Draw(t, "n")}
			case 2:
				return &types.AttributeValueMemberB{Value: rapid.SliceOf(rapid.Byte()).Draw(t, "b")}
			case 3:
				return &types.AttributeValueMemberBOOL{Value: rapid.Bool().Draw(t, "bool")}
			case 4:
				return &types.AttributeValueMemberNULL{Value: true}
			case 5:
				return &types.AttributeValueMemberL{Value: rapid.SliceOfN(value(depth-1), 0, 3).Draw(t, "l")}
			default:
				return &types.AttributeValueMemberM{Value: rapid.MapOfN(rapid.String(), value(depth-1), 0, 3).Draw(t, "m")}
			}
		})
	}
	// plain is what the item is as plain JSON.
	var plain func(v types.AttributeValue) any
	plain = func(v types.AttributeValue) any {
		switch v := v.(type) {
		case *types.AttributeValueMemberS:
			return v.Value
		case *types.AttributeValueMemberN:
			return json.Number(v.Value)
		case *types.AttributeValueMemberB:
			return append([]byte{}, v.Value...)
		case *types.AttributeValueMemberBOOL:
			return v.Value
		case *types.AttributeValueMemberL:
			list := []any{}
			for _, e := range v.Value {
				list = append(list, plain(e))
			}
			return list
		case *types.AttributeValueMemberM:
			m := map[string]any{}
			for name, e := range v.Value {
				m[name] = plain(e)
			}
			return m
		default:
			return nil
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		image := rapid.MapOfN(rapid.StringN(1, 8, -1), value(3), 1, 4).Draw(t, "image")
		client := &dynamoDBStreams{records: []types.Record{{Dynamodb: &types.StreamRecord{NewImage: image, SequenceNumber: aws.String("1")}}}}
		r := rangeOf(1, 1)
		page, err := rescue.DynamoDB(client).Read(context.Background(), &r, "i")
		if err != nil {
			t.Fatal(err)
		}
		changes, err := event.DynamoDB(eventOf(page.Records[0].JSON))
		if err != nil {
			t.Fatal(err)
		}
		got, err := changes[0].New.JSON()
		if err != nil {
			t.Fatal(err)
		}
		want, err := json.Marshal(plain(&types.AttributeValueMemberM{Value: image}))
		if err != nil {
			t.Fatal(err)
		}
		var a, b any
		if json.Unmarshal(got, &a) != nil || json.Unmarshal(want, &b) != nil || !cmp.Equal(a, b) {
			t.Fatalf("got %s, want %s", got, want)
		}
	})
}

func TestDynamoDBIterators(t *testing.T) {
	t.Parallel()
	client := &dynamoDBStreams{}
	r := rangeOf(3, 6)
	for _, from := range []rescue.From{rescue.At, rescue.After, rescue.Oldest} {
		if i, err := rescue.DynamoDB(client).Iterator(t.Context(), &r, from, "4"); i != "i" || err != nil {
			t.Error(i, err)
		}
	}
	for i, want := range []types.ShardIteratorType{types.ShardIteratorTypeAtSequenceNumber, types.ShardIteratorTypeAfterSequenceNumber, types.ShardIteratorTypeTrimHorizon} {
		in := client.asked[i]
		if in.ShardIteratorType != want || aws.ToString(in.SequenceNumber) != []string{"4", "4", ""}[i] || *in.ShardId != shardID || *in.StreamArn != streamARN {
			t.Errorf("%+v", in)
		}
	}
}

func TestDynamoDBErrors(t *testing.T) {
	t.Parallel()
	r := rangeOf(3, 6)
	for _, tt := range []struct{ from, want error }{
		{&types.TrimmedDataAccessException{}, rescue.ErrTrimmed},
		{&smithy.GenericAPIError{Code: "ValidationException", Message: "Invalid SequenceNumber for the shard"}, rescue.ErrTrimmed},
		{&types.ResourceNotFoundException{}, rescue.ErrGone},
		{&types.ExpiredIteratorException{}, rescue.ErrIterator},
		{errService, errService},
	} {
		stream := rescue.DynamoDB(&dynamoDBStreams{err: tt.from})
		if _, err := stream.Iterator(t.Context(), &r, rescue.At, "3"); !errors.Is(err, tt.want) || !errors.Is(err, tt.from) {
			t.Error(err)
		}
		if _, err := stream.Read(t.Context(), &r, "i"); !errors.Is(err, tt.want) {
			t.Error(err)
		}
	}
}
