package event

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// Change is what happened to an item of a DynamoDB table, as the mapping of
// the table's stream delivers it. A batch holds changes of one shard, in their
// order.
type Change struct {
	EventID        string
	Kind           ChangeKind
	StreamARN      string
	SequenceNumber string
	At             time.Time // approximately, to the second
	Keys           Image
	New            Image // empty for a removal, or if the stream's view leaves it out
	Old            Image // empty for an insertion, or if the stream's view leaves it out
	// Expired says that DynamoDB removed the item because its time to live was
	// over, not a caller.
	Expired bool
	JSON    string // the record as Lambda delivered it
}

// ChangeKind is what happened to an item.
type ChangeKind string

// The kinds of changes.
const (
	Insert ChangeKind = "INSERT"
	Modify ChangeKind = "MODIFY"
	Remove ChangeKind = "REMOVE"
)

// Table returns the name of the table whose item has changed.
func (c *Change) Table() string { return tableName(c.StreamARN) }

// Key returns the item's keys as text that is the same for all changes of one
// item, and no other in its table, in whatever order the event has the two
// attributes of a composite key: {"id":{"S":"a"},"n":{"N":"1"}}. It is empty if
// the event has no keys that DynamoDB could have written.
func (c *Change) Key() string { return c.Keys.canonical() }

// StreamRecord returns what the change has in common with records of other
// kinds of streams.
func (c *Change) StreamRecord() StreamRecord {
	return StreamRecord{
		Source: sourceDynamoDB, StreamARN: c.StreamARN, SequenceNumber: c.SequenceNumber,
		EventID: c.EventID, Key: c.Key(), JSON: c.JSON,
	}
}

// DynamoDB reads an event from a table's stream
// (https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html). The changes
// share nothing with payload, which may be used again.
func DynamoDB(payload []byte) ([]Change, error) {
	var r changeReader
	r.open(payload, sourceDynamoDB)
	if err := r.records(r.change); err != nil {
		return nil, err
	}
	return r.all, nil
}

// timeToLive is who removes items whose time to live is over
// (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/time-to-live-ttl-streams.html).
const timeToLive = "dynamodb.amazonaws.com"

type changeReader struct {
	reader
	all []Change
}

func (r *changeReader) change() {
	if r.all == nil {
		r.all = make([]Change, 0, r.size/400+1) // no record is much shorter
	}
	r.all = append(r.all, Change{})
	c := &r.all[len(r.all)-1]
	begin := r.Begin()
	defer func() { c.JSON = r.Since(begin) }()
	r.Object(func(key string) {
		switch key {
		case "eventID":
			c.EventID = r.Text()
		case "eventName":
			c.Kind = ChangeKind(r.Text())
		case "eventSourceARN":
			c.StreamARN = r.Text()
		case "eventSource":
			r.from()
		case "userIdentity":
			r.who(c)
		case "dynamodb":
			r.body(c)
		default:
			r.Skip()
		}
	})
}

func (r *changeReader) who(c *Change) {
	if r.Null() {
		return
	}
	r.Object(func(key string) {
		if strings.EqualFold(key, "principalId") { // AWS has written it both ways
			c.Expired = r.Text() == timeToLive
			return
		}
		r.Skip()
	})
}

func (r *changeReader) body(c *Change) {
	if r.Null() {
		return
	}
	r.Object(func(key string) {
		switch key {
		case "SequenceNumber":
			c.SequenceNumber = r.Text()
		case "ApproximateCreationDateTime":
			c.At = r.seconds(key)
		case "Keys":
			c.Keys = r.image()
		case "NewImage":
			c.New = r.image()
		case "OldImage":
			c.Old = r.image()
		default:
			r.Skip()
		}
	})
}

func (r *changeReader) image() Image {
	if r.Null() {
		return ""
	}
	if r.Kind() != '{' {
		r.malformed("an image")
		return ""
	}
	return Image(r.Raw())
}

// seconds reads a time in seconds since 1970, perhaps with a fraction, of which
// the milliseconds count. A number that is no such time counts as unknown: no
// reason to hold up a stream.
func (r *reader) seconds(field string) time.Time {
	if r.Null() {
		return time.Time{}
	}
	if r.Kind() != '0' {
		r.malformed(field)
		return time.Time{}
	}
	s, err := strconv.ParseFloat(r.Raw(), 64)
	if err != nil || s < 1 || s > 1e11 {
		return time.Time{}
	}
	whole, part := math.Modf(s)
	return time.Unix(int64(whole), int64(math.Round(part*1e3))*int64(time.Millisecond))
}
