package rescue

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spillway-go/spillway/pkg/archive"
	"github.com/spillway-go/spillway/pkg/event"
	"github.com/spillway-go/spillway/pkg/task"
)

// Groups of the archive.
const (
	groupRecords = "stream"
	groupRanges  = "stream-range"
)

// The eventSource of records.
const (
	sourceDynamoDB = "aws:dynamodb"
	sourceKinesis  = "aws:kinesis"
)

// State is what has become of an archived record.
type State string

// The states of records.
const (
	// Archived records wait for somebody to replay them.
	Archived State = "archived"
	// Replayed records were handed to their consumer again, with success.
	Replayed State = "replayed"
	// Refused records are not handed over any more; the record's reason says why.
	Refused State = "refused"
)

// Who has archived a record.
const (
	// ByHandler: the consumer's own handler, see [Isolator].
	ByHandler = "handler"
	// ByRange: [Handler], from a range that Lambda gave up.
	ByRange = "range"
)

// Record is an archived record of a stream, without its data.
type Record struct {
	ID             string    `json:"id"`
	Source         string    `json:"source"` // aws:dynamodb or aws:kinesis
	Stream         string    `json:"stream"` // name of the table or of the Kinesis stream
	StreamARN      string    `json:"stream_arn"`
	ShardID        string    `json:"shard_id,omitempty"` // unknown for DynamoDB to a handler
	SequenceNumber string    `json:"sequence_number"`
	EventID        string    `json:"event_id,omitempty"`
	Key            string    `json:"key"`
	Consumer       string    `json:"consumer,omitempty"` // name of the function that could not work on it
	Error          Error     `json:"error"`
	Attempts       int       `json:"attempts,omitempty"`
	ArchivedAt     task.Time `json:"archived_at"`
	ArchivedBy     string    `json:"archived_by"`
	KeepUntil      task.Time `json:"keep_until,omitzero"` // the stream drops it then
	State          State     `json:"state"`
	Reason         string    `json:"reason,omitempty"`     // why it was refused, or why the last replay failed
	ReplayedAt     task.Time `json:"replayed_at,omitzero"` // the last attempt to
	Size           int       `json:"size"`                 // of the data in bytes
}

// Error is why a record could not be worked on.
type Error struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// maxMessage bounds an error's message in the archive.
const maxMessage = 1000

// item returns the record as it is archived.
func (r *Record) item(data string, retention time.Duration) archive.Item {
	meta := map[string]string{
		"source": r.Source, "stream_arn": r.StreamARN, "shard_id": r.ShardID, "sequence_number": r.SequenceNumber,
		"event_id": r.EventID, "key": r.Key, "consumer": r.Consumer, "error_code": r.Error.Code,
		"error_message": task.CleanText(r.Error.Message, maxMessage), "archived_by": r.ArchivedBy, "state": string(r.State),
		"keep_until": formatTime(r.KeepUntil),
	}
	if r.Attempts > 0 {
		meta["attempts"] = strconv.Itoa(r.Attempts)
	}
	return newItem(groupRecords, r.ID, meta, data, retention)
}

// newItem is an item that expires after a while. Empty texts are left out.
func newItem(group, id string, meta map[string]string, data string, retention time.Duration) archive.Item {
	for name, value := range meta {
		if value == "" {
			delete(meta, name)
		}
	}
	now := time.Now()
	return archive.Item{Group: group, ID: id, Meta: meta, Data: []byte(data), StoredAt: now, ExpiresAt: now.Add(retention)}
}

// recordOf reads an archived record.
func recordOf(it archive.Item) Record {
	m := it.Meta
	attempts, _ := strconv.Atoi(m["attempts"]) // 0 where nobody counted
	r := Record{
		ID: it.ID, Source: m["source"], StreamARN: m["stream_arn"], ShardID: m["shard_id"], SequenceNumber: m["sequence_number"],
		EventID: m["event_id"], Key: m["key"], Consumer: m["consumer"], Error: Error{m["error_code"], m["error_message"]}, Attempts: attempts,
		ArchivedAt: task.At(it.StoredAt), ArchivedBy: m["archived_by"], KeepUntil: parseTime(m["keep_until"]), State: State(m["state"]),
		Reason: m["reason"], ReplayedAt: parseTime(m["replayed_at"]), Size: it.Size,
	}
	r.Stream = streamName(r.Source, r.StreamARN)
	return r
}

func streamName(source, arn string) string {
	return (&event.StreamRecord{Source: source, StreamARN: arn}).Stream()
}

func formatTime(t task.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.String()
}

func parseTime(s string) task.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return task.Time{}
	}
	return task.At(t)
}

// recordID is the same whenever the same consumer's failure of the same record
// is archived, by its handler or from a range: one record, one item. The ids of
// one stream sort as its records do.
func recordID(streamARN, consumer, sequence string) string {
	return digest(16, streamARN, consumer) + "-" + sortable(sequence)
}

// digest returns so many bytes of a hash, in hexadecimal digits.
func digest(bytes int, parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\n")))
	return hex.EncodeToString(sum[:bytes])
}

// sortable returns a sequence number in a form whose order as text is that of
// the numbers: with the number of its digits in front.
func sortable(sequence string) string {
	n := strings.TrimLeft(sequence, "0")
	return fmt.Sprintf("%02d-%s", len(n), n)
}
