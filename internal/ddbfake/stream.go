package ddbfake

import (
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	streams "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"

	"github.com/spillway-go/spillway/internal/ddbfake/expr"
)

// streamKeeps is how long a stream has a record
// (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html).
const streamKeeps = 24 * time.Hour

// region is where the tables of a DB lie.
const (
	region = "us-east-1"
	prefix = "arn:aws:dynamodb:" + region + ":000000000000:table/"
)

// stream has the records of a table, in one shard.
type stream struct {
	arn, label string
	records    []streams.Record
	number     int // of the last record
}

func newStream(table string) *stream {
	label := time.Now().UTC().Format("2006-01-02T15:04:05.000")
	return &stream{label: label, arn: prefix + table + "/stream/" + label}
}

// sequence is the sequence number of the nth record: like AWS's it is longer
// than an integer, and those of a stream are of one length here.
func sequence(n int) string { return fmt.Sprintf("1%020d", n) }

// add writes the record of a change. A write that changes nothing has none
// (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html).
func (s *stream) add(t *table, old, now Item, by *streams.Identity) {
	name := streams.OperationTypeModify
	switch {
	case reflect.DeepEqual(old, now):
		return
	case old == nil:
		name = streams.OperationTypeInsert
	case now == nil:
		name = streams.OperationTypeRemove
	}
	s.number++
	data := &streams.StreamRecord{
		ApproximateCreationDateTime: aws.Time(time.Now().Truncate(time.Second)), SequenceNumber: aws.String(sequence(s.number)),
		StreamViewType: streams.StreamViewType(t.Stream),
	}
	keys := now
	if now == nil {
		keys = old
	}
	keys = t.main.keysOf(keys)
	data.Keys = image(keys)
	size := expr.Size(keys)
	if t.Stream == types.StreamViewTypeOldImage || t.Stream == types.StreamViewTypeNewAndOldImages {
		data.OldImage = image(old)
		size += expr.Size(old)
	}
	if t.Stream == types.StreamViewTypeNewImage || t.Stream == types.StreamViewTypeNewAndOldImages {
		data.NewImage = image(now)
		size += expr.Size(now)
	}
	data.SizeBytes = aws.Int64(int64(size))
	s.records = append(s.records, streams.Record{
		AwsRegion: aws.String(region), EventSource: aws.String("aws:dynamodb"), EventVersion: aws.String("1.1"), EventName: name,
		EventID: aws.String(fmt.Sprintf("%032x", s.number)), Dynamodb: data, UserIdentity: by,
	})
}

// trim drops the records that are too old.
func (s *stream) trim() {
	oldest := time.Now().Add(-streamKeeps)
	n := 0
	for n < len(s.records) && s.records[n].Dynamodb.ApproximateCreationDateTime.Before(oldest) {
		n++
	}
	s.records = slices.Delete(s.records, 0, n)
}

// behind returns the records after the nth that there ever was.
func (s *stream) behind(n int) []streams.Record {
	first := s.number - len(s.records) // the number of what was trimmed
	return s.records[min(max(n-first, 0), len(s.records)):]
}

// StreamARN returns the name of a table's stream; empty if it has none.
func (d *DB) StreamARN(table string) string {
	if s := d.table(&table).stream; s != nil {
		return s.arn
	}
	return ""
}

// Records returns up to limit records of a table's stream, in order, after the
// one with a sequence number, from the oldest on if that is empty. It is for a
// driver that hands a stream to a function.
func (d *DB) Records(table, after string, limit int) []streams.Record {
	t := d.table(&table)
	d.mu.Lock()
	defer d.mu.Unlock()
	if t.stream == nil {
		return nil
	}
	t.stream.trim()
	n := 0
	if after != "" {
		n = numberOf(after)
	}
	found := t.stream.behind(n)
	return slices.Clone(found[:min(limit, len(found))])
}

// numberOf is what [sequence] made a sequence number of; -1 for another text.
func numberOf(sequenceNumber string) int {
	n := -1
	if len(sequenceNumber) == len(sequence(0)) {
		_, err := fmt.Sscanf(sequenceNumber[1:], "%d", &n)
		if err != nil {
			return -1
		}
	}
	return n
}

// image is an item as a stream has it; nil for none.
func image(it Item) map[string]streams.AttributeValue {
	if it == nil {
		return nil
	}
	all := make(map[string]streams.AttributeValue, len(it))
	for name, v := range it {
		all[name] = imageValue(v)
	}
	return all
}

func imageValue(v types.AttributeValue) streams.AttributeValue {
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		return &streams.AttributeValueMemberS{Value: v.Value}
	case *types.AttributeValueMemberN:
		return &streams.AttributeValueMemberN{Value: v.Value}
	case *types.AttributeValueMemberB:
		return &streams.AttributeValueMemberB{Value: v.Value}
	case *types.AttributeValueMemberBOOL:
		return &streams.AttributeValueMemberBOOL{Value: v.Value}
	case *types.AttributeValueMemberM:
		return &streams.AttributeValueMemberM{Value: image(v.Value)}
	case *types.AttributeValueMemberL:
		all := make([]streams.AttributeValue, len(v.Value))
		for i, e := range v.Value {
			all[i] = imageValue(e)
		}
		return &streams.AttributeValueMemberL{Value: all}
	case *types.AttributeValueMemberSS:
		return &streams.AttributeValueMemberSS{Value: v.Value}
	case *types.AttributeValueMemberNS:
		return &streams.AttributeValueMemberNS{Value: v.Value}
	case *types.AttributeValueMemberBS:
		return &streams.AttributeValueMemberBS{Value: v.Value}
	default:
		return &streams.AttributeValueMemberNULL{Value: true}
	}
}
