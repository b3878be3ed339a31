package rescue

import (
	"strconv"
	"time"

	"github.com/spillway-go/spillway/pkg/archive"
	"github.com/spillway-go/spillway/pkg/task"
)

// RangeState is what has become of a range that Lambda gave up.
type RangeState string

// The states of ranges.
const (
	// Rescued: all of its records are archived.
	Rescued RangeState = "archived"
	// Pending: it could not be read or stored. Its message is in the queue, and it
	// is tried again.
	Pending RangeState = "pending"
	// Partial: some of its records are archived. The others were not there any
	// more, or they were too many.
	Partial RangeState = "partial"
	// Expired: the stream had dropped it before it could be read.
	Expired RangeState = "expired"
	// Malformed: the message says nothing that could be read; its text is kept.
	Malformed RangeState = "malformed"
	// Unsupported: it is of a kind of stream that the function does not read.
	Unsupported RangeState = "unsupported"
)

// FailedRange is a range that Lambda gave up, as [Handler] has archived it.
type FailedRange struct {
	ID        string     `json:"id"`
	Source    string     `json:"source,omitempty"`
	Stream    string     `json:"stream,omitempty"`
	StreamARN string     `json:"stream_arn,omitempty"`
	ShardID   string     `json:"shard_id"`
	First     string     `json:"first"`
	Last      string     `json:"last"`
	Records   int        `json:"records"` // that were archived
	Condition string     `json:"condition"`
	State     RangeState `json:"state"`
	Reason    string     `json:"reason,omitempty"` // why it is not archived, or not all of it: a [Missing], or an error
	Consumer  string     `json:"consumer,omitempty"`
	ArrivedAt task.Time  `json:"arrived_at"`          // at the archive
	KeepUntil task.Time  `json:"keep_until,omitzero"` // the stream drops the first record then
}

// rangeID is the same whenever the same document arrives.
func rangeID(r *Range) string {
	return digest(16, r.StreamARN, r.Function) + "-" + sortable(r.First) + "-" + digest(16, r.ShardID, r.Last)
}

// rangeItem is what the archive keeps of a range and of the text that told it.
func (o *Options) rangeItem(r *Range, records int, state RangeState, reason, body string) archive.Item {
	meta := map[string]string{
		"source": r.Source, "stream_arn": r.StreamARN, "shard_id": r.ShardID, "first": r.First, "last": r.Last,
		"records": strconv.Itoa(records), "condition": r.Condition, "state": string(state), "reason": reason, "consumer": r.Function,
	}
	if until := o.keepUntil(r.Source, r.FirstAt); !until.IsZero() {
		meta["keep_until"] = formatTime(task.At(until))
	}
	return newItem(groupRanges, rangeID(r), meta, body, o.Retention)
}

// rangeOf reads an archived range.
func rangeOf(it archive.Item) FailedRange {
	m := it.Meta
	records, _ := strconv.Atoi(m["records"]) // none for a malformed document
	return FailedRange{
		ID: it.ID, Source: m["source"], Stream: streamName(m["source"], m["stream_arn"]), StreamARN: m["stream_arn"], ShardID: m["shard_id"],
		First: m["first"], Last: m["last"], Records: records, Condition: m["condition"], State: RangeState(m["state"]), Reason: m["reason"],
		Consumer: m["consumer"], ArrivedAt: task.At(it.StoredAt), KeepUntil: parseTime(m["keep_until"]),
	}
}

// timeLeft is how long the stream still has the range's first record. Not ok if
// nobody knows.
func (o *Options) timeLeft(r *Range) (left time.Duration, ok bool) {
	until := o.keepUntil(r.Source, r.FirstAt)
	return time.Until(until), !until.IsZero()
}
