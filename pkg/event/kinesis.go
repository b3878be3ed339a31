package event

import (
	"encoding/base64"
	"strings"
	"time"
)

// KinesisRecord is a record as a Kinesis event source mapping delivers it. A
// batch holds records of one shard, in their order.
type KinesisRecord struct {
	EventID        string // the shard's id and the sequence number, joined by a colon
	StreamARN      string
	PartitionKey   string
	SequenceNumber string // digits; greater for what was written later to the same shard
	Data           []byte
	ArrivedAt      time.Time // approximately
	JSON           string    // the record as Lambda delivered it
}

// ShardID returns the id of the shard that the record is in.
func (r *KinesisRecord) ShardID() string {
	id, _, _ := strings.Cut(r.EventID, ":")
	return id
}

// Stream returns the name of the stream.
func (r *KinesisRecord) Stream() string { return kinesisName(r.StreamARN) }

// StreamRecord returns what the record has in common with those of other kinds
// of streams.
func (r *KinesisRecord) StreamRecord() StreamRecord {
	return StreamRecord{
		Source: sourceKinesis, StreamARN: r.StreamARN, ShardID: r.ShardID(), SequenceNumber: r.SequenceNumber,
		EventID: r.EventID, Key: r.PartitionKey, JSON: r.JSON,
	}
}

// Kinesis reads an event from a Kinesis data stream
// (https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html). The records
// share nothing with payload, which may be used again.
func Kinesis(payload []byte) ([]KinesisRecord, error) {
	var r kinesisReader
	r.open(payload, sourceKinesis)
	if err := r.records(r.record); err != nil {
		return nil, err
	}
	return r.all, nil
}

// kinesisReader gathers records. The data of all of them lies in one buffer,
// which is large enough for whatever the payload can hold.
type kinesisReader struct {
	reader
	all     []KinesisRecord
	data    []byte
	encoded []byte // the data of one record in base64; used again for the next
}

func (r *kinesisReader) record() {
	if r.all == nil {
		r.all = make([]KinesisRecord, 0, r.size/450+1) // no record is much shorter
		r.data = make([]byte, 0, base64.StdEncoding.DecodedLen(r.size))
	}
	r.all = append(r.all, KinesisRecord{})
	rec := &r.all[len(r.all)-1]
	begin := r.Begin()
	defer func() { rec.JSON = r.Since(begin) }()
	r.Object(func(key string) {
		switch key {
		case "eventID":
			rec.EventID = r.Text()
		case "eventSourceARN":
			rec.StreamARN = r.Text()
		case "eventSource":
			r.from()
		case "kinesis":
			r.body(rec)
		default:
			r.Skip()
		}
	})
}

func (r *kinesisReader) body(rec *KinesisRecord) {
	if r.Null() {
		return
	}
	r.Object(func(key string) {
		switch key {
		case "partitionKey":
			rec.PartitionKey = r.Text()
		case "sequenceNumber":
			rec.SequenceNumber = r.Text()
		case "approximateArrivalTimestamp":
			rec.ArrivedAt = r.seconds(key)
		case "data":
			if r.Null() {
				return
			}
			start := len(r.data)
			r.encoded = append(r.encoded[:0], r.String()...)
			data, err := base64.StdEncoding.AppendDecode(r.data, r.encoded)
			if err != nil {
				r.malformed("data")
				return
			}
			r.data, rec.Data = data, data[start:len(data):len(data)]
		default:
			r.Skip()
		}
	})
}
