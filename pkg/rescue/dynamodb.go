package rescue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
	"github.com/aws/smithy-go"

	"github.com/spillway-go/spillway/pkg/event"
)

// DynamoDB reads the streams of DynamoDB tables. The records are put together
// as Lambda delivers them, so that package event and any handler can read them.
func DynamoDB(client DynamoDBAPI) Stream { return dynamoDB{client} }

type dynamoDB struct{ client DynamoDBAPI }

// Source implements [Stream].
func (dynamoDB) Source() string { return sourceDynamoDB }

// Iterator implements [Stream].
func (s dynamoDB) Iterator(ctx context.Context, r *Range, from From, sequence string) (string, error) {
	in := &dynamodbstreams.GetShardIteratorInput{StreamArn: &r.StreamARN, ShardId: &r.ShardID, SequenceNumber: &sequence}
	switch from {
	case At:
		in.ShardIteratorType = types.ShardIteratorTypeAtSequenceNumber
	case After:
		in.ShardIteratorType = types.ShardIteratorTypeAfterSequenceNumber
	default:
		in.ShardIteratorType, in.SequenceNumber = types.ShardIteratorTypeTrimHorizon, nil
	}
	out, err := s.client.GetShardIterator(ctx, in)
	if err != nil {
		return "", dynamoDBError(err)
	}
	return deref(out.ShardIterator), nil
}

// Read implements [Stream].
func (s dynamoDB) Read(ctx context.Context, r *Range, iterator string) (Page, error) {
	out, err := s.client.GetRecords(ctx, &dynamodbstreams.GetRecordsInput{ShardIterator: &iterator})
	if err != nil {
		return Page{}, dynamoDBError(err)
	}
	page := Page{Next: deref(out.NextShardIterator), Records: make([]event.StreamRecord, 0, len(out.Records))}
	for i := range out.Records {
		text, err := changeJSON(&out.Records[i], r.StreamARN)
		if err != nil {
			return Page{}, err
		}
		all, err := event.DynamoDB([]byte(`{"Records":[` + text + `]}`))
		if err != nil {
			return Page{}, err
		}
		rec := all[0].StreamRecord()
		rec.ShardID = r.ShardID
		page.Records = append(page.Records, rec)
	}
	return page, nil
}

// dynamoDBError translates an error. A number that was never in the shard is
// one that does not validate.
func dynamoDBError(err error) error {
	if _, ok := errors.AsType[*types.TrimmedDataAccessException](err); ok {
		return fmt.Errorf("%w: %w", ErrTrimmed, err)
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok && api.ErrorCode() == "ValidationException" {
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

// change is a record as Lambda delivers it
// (https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html).
type change struct {
	EventID      string          `json:"eventID"`
	EventName    string          `json:"eventName"`
	EventVersion string          `json:"eventVersion"`
	EventSource  string          `json:"eventSource"`
	Region       string          `json:"awsRegion"`
	Change       changeBody      `json:"dynamodb"`
	Identity     *changeIdentity `json:"userIdentity,omitempty"`
	StreamARN    string          `json:"eventSourceARN"`
}

type changeBody struct {
	At       json.Number     `json:"ApproximateCreationDateTime,omitempty"` // seconds
	Keys     json.RawMessage `json:"Keys,omitempty"`
	New      json.RawMessage `json:"NewImage,omitempty"`
	Old      json.RawMessage `json:"OldImage,omitempty"`
	Sequence string          `json:"SequenceNumber"`
	Size     int64           `json:"SizeBytes"`
	View     string          `json:"StreamViewType"`
}

// changeIdentity says who has removed an item, if its time to live did.
type changeIdentity struct {
	Type        string `json:"type"`
	PrincipalID string `json:"principalId"`
}

func changeJSON(rec *types.Record, streamARN string) (string, error) {
	c := change{
		EventID: deref(rec.EventID), EventName: string(rec.EventName), EventVersion: deref(rec.EventVersion),
		EventSource: sourceDynamoDB, Region: deref(rec.AwsRegion), StreamARN: streamARN,
	}
	if rec.UserIdentity != nil {
		c.Identity = &changeIdentity{deref(rec.UserIdentity.Type), deref(rec.UserIdentity.PrincipalId)}
	}
	if d := rec.Dynamodb; d != nil {
		c.Change = changeBody{Sequence: deref(d.SequenceNumber), Size: deref(d.SizeBytes), View: string(d.StreamViewType)}
		if d.ApproximateCreationDateTime != nil {
			c.Change.At = seconds(*d.ApproximateCreationDateTime)
		}
		var err error
		for _, image := range []struct {
			from map[string]types.AttributeValue
			to   *json.RawMessage
		}{{d.Keys, &c.Change.Keys}, {d.NewImage, &c.Change.New}, {d.OldImage, &c.Change.Old}} {
			if len(image.from) == 0 {
				continue
			}
			if *image.to, err = encode(members(image.from)); err != nil {
				return "", fmt.Errorf("record %s: %w", c.Change.Sequence, err)
			}
		}
	}
	text, err := encode(c)
	return string(text), err
}

// encode returns v as JSON without escapes that only HTML needs.
func encode(v any) ([]byte, error) {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return []byte(strings.TrimSuffix(b.String(), "\n")), nil
}

// members are attributes in a form that encoding/json writes as DynamoDB's JSON.
func members(attributes map[string]types.AttributeValue) map[string]any {
	out := make(map[string]any, len(attributes))
	for name, v := range attributes {
		out[name] = typed(v)
	}
	return out
}

// typed is one attribute: a map from its type to its value. []byte becomes
// base64 by itself.
func typed(v types.AttributeValue) map[string]any {
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		return map[string]any{"S": v.Value}
	case *types.AttributeValueMemberN:
		return map[string]any{"N": v.Value}
	case *types.AttributeValueMemberB:
		return map[string]any{"B": nonNil(v.Value)}
	case *types.AttributeValueMemberBOOL:
		return map[string]any{"BOOL": v.Value}
	case *types.AttributeValueMemberNULL:
		return map[string]any{"NULL": v.Value}
	case *types.AttributeValueMemberM:
		return map[string]any{"M": members(v.Value)}
	case *types.AttributeValueMemberL:
		list := make([]any, len(v.Value))
		for i, e := range v.Value {
			list[i] = typed(e)
		}
		return map[string]any{"L": list}
	case *types.AttributeValueMemberSS:
		return map[string]any{"SS": v.Value}
	case *types.AttributeValueMemberNS:
		return map[string]any{"NS": v.Value}
	case *types.AttributeValueMemberBS:
		return map[string]any{"BS": v.Value}
	default: // what DynamoDB has not invented yet
		return map[string]any{"NULL": true}
	}
}

// nonNil makes an empty value of none: null is no base64.
func nonNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
