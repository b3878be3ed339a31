package rescue

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/spillway-go/spillway/pkg/event"
)

// Positions remember, for each key of a stream, how far a consumer has come. A
// replay asks them whether a record is still the latest one of its key: to work
// on an older image of an item after a newer one would undo the newer.
//
// A position is an item of the control table: pk is "position#" with the
// stream's name, the consumer and the stream in short, and one of 16 digits
// that spread a stream over partitions; sk is the key in short. Each costs a
// write unit, so track a handler behind whatever sorts out what it ignores.
type Positions struct {
	tables PositionAPI
	table  string
	opts   Options
}

// NewPositions returns the positions in a table, which needs the hash key pk
// and the range key sk. Nil opts are defaults.
func NewPositions(tables PositionAPI, table string, opts *Options) *Positions {
	return &Positions{tables: tables, table: table, opts: opts.withDefaults()}
}

// Track wraps a handler of single records so that a key's position advances
// when the handler has succeeded. Records without a key have no position. An
// error of the position is one of the record: it is tried again, handler and
// all, which may see any record more than once anyway.
//
//	batch.DynamoDB(rescue.Track(handle, positions), &batch.Options{Isolate: rescue.NewIsolator(kept, nil)})
func Track[R interface{ StreamRecord() event.StreamRecord }](fn func(context.Context, R) error, positions *Positions) func(context.Context, R) error {
	return func(ctx context.Context, r R) error {
		if err := fn(ctx, r); err != nil {
			return err
		}
		rec := r.StreamRecord()
		return positions.Advance(ctx, &rec)
	}
}

// Advance notes that this function has worked on a record. A position never
// goes back.
func (p *Positions) Advance(ctx context.Context, rec *event.StreamRecord) error {
	if rec.Key == "" {
		return nil
	}
	_, err := p.tables.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &p.table, Key: positionKey(rec.StreamARN, lambdacontext.FunctionName, rec.Key),
		UpdateExpression:         aws.String("SET #at = :at, #expires = :expires"),
		ConditionExpression:      aws.String("attribute_not_exists(#at) OR #at < :at"),
		ExpressionAttributeNames: map[string]string{"#at": attrPosition, "#expires": "expires_at"},
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":at":      &types.AttributeValueMemberS{Value: sortable(rec.SequenceNumber)},
			":expires": &types.AttributeValueMemberN{Value: strconv.FormatInt(time.Now().Add(p.opts.Retention+48*time.Hour).Unix(), 10)},
		},
	})
	if _, behind := errors.AsType[*types.ConditionalCheckFailedException](err); behind {
		return nil
	}
	if err != nil {
		return fmt.Errorf("note the position of a key of %s: %w", rec.Stream(), err)
	}
	return nil
}

const attrPosition = "at"

func positionKey(streamARN, consumer, key string) map[string]types.AttributeValue {
	source := sourceKinesis
	if isTable(streamARN) {
		source = sourceDynamoDB
	}
	inShort := digest(16, key)
	pk := "position#" + streamName(source, streamARN) + "#" + digest(4, streamARN, consumer) + "#" + inShort[:1]
	return map[string]types.AttributeValue{"pk": &types.AttributeValueMemberS{Value: pk}, "sk": &types.AttributeValueMemberS{Value: inShort}}
}

// order is how a record stands to the position of its key.
type order int

const (
	unknown order = iota
	ahead         // nothing as late was worked on
	done          // the record itself was worked on
	behind        // a later one was worked on
)

// compare asks how an archived record stands to its consumer's position.
func (p *Positions) compare(ctx context.Context, r *Record) (order, error) {
	if r.Key == "" {
		return ahead, nil
	}
	out, err := p.tables.GetItem(ctx, &dynamodb.GetItemInput{TableName: &p.table, Key: positionKey(r.StreamARN, r.Consumer, r.Key), ConsistentRead: aws.Bool(true)})
	if err != nil {
		return unknown, fmt.Errorf("read the position of a key of %s: %w", r.Stream, err)
	}
	position, _ := out.Item[attrPosition].(*types.AttributeValueMemberS)
	at := sortable(r.SequenceNumber)
	switch {
	case position == nil || position.Value < at:
		return ahead, nil
	case position.Value == at:
		return done, nil
	default:
		return behind, nil
	}
}

func isTable(streamARN string) bool { return strings.Contains(streamARN, ":table/") }
