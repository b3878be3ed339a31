package adminapi

import "github.com/spillway-go/spillway/pkg/task"

// StreamListRequest asks for what is archived of streams.
type StreamListRequest struct {
	Max int `json:"max,omitempty"` // 1 to 1000 ranges, and as many records
}

// StreamListAnswer lists what is archived of streams.
type StreamListAnswer struct {
	Ranges  []StreamRange  `json:"ranges"`
	Records []StreamRecord `json:"records"`
}

// StreamRange is a part of a stream that failed as a whole.
type StreamRange struct {
	ID        string     `json:"id"`
	Source    string     `json:"source,omitempty"`
	Stream    string     `json:"stream,omitempty"` // name of the table or of the Kinesis stream
	ShardID   string     `json:"shard_id"`
	First     string     `json:"first"`
	Last      string     `json:"last"`
	Records   int        `json:"records"` // that were archived
	Condition string     `json:"condition"`
	State     RangeState `json:"state"`
	Reason    string     `json:"reason,omitempty"` // why some or all of it is not archived
	Consumer  string     `json:"consumer,omitempty"`
	ArrivedAt task.Time  `json:"arrived_at"`
	KeepUntil task.Time  `json:"keep_until,omitzero"` // the stream drops the first record then
}

// RangeState is what became of a range.
type RangeState string

// The states of ranges.
const (
	RangeArchived    RangeState = "archived"
	RangePending     RangeState = "pending" // could not be read or stored, and is tried again
	RangePartial     RangeState = "partial" // some of its records are archived
	RangeExpired     RangeState = "expired" // the stream had dropped it
	RangeMalformed   RangeState = "malformed"
	RangeUnsupported RangeState = "unsupported" // of a kind of stream that the function does not read
)

// StreamRecord is an archived record of a stream, without its data.
type StreamRecord struct {
	ID             string      `json:"id"`
	Source         string      `json:"source"` // aws:dynamodb or aws:kinesis
	Stream         string      `json:"stream"`
	StreamARN      string      `json:"stream_arn"` // always empty: ARNs stay inside
	ShardID        string      `json:"shard_id,omitempty"`
	SequenceNumber string      `json:"sequence_number"`
	EventID        string      `json:"event_id,omitempty"`
	Key            string      `json:"key"`
	Consumer       string      `json:"consumer,omitempty"` // name of the function that could not process it
	Error          RecordError `json:"error"`
	Attempts       int         `json:"attempts,omitempty"`
	ArchivedAt     task.Time   `json:"archived_at"`
	ArchivedBy     ArchivedBy  `json:"archived_by"`
	KeepUntil      task.Time   `json:"keep_until,omitzero"` // the stream drops it then
	State          RecordState `json:"state"`
	Reason         string      `json:"reason,omitempty"`     // why it was refused, or why the last replay failed
	ReplayedAt     task.Time   `json:"replayed_at,omitzero"` // the last attempt to
	Size           int         `json:"size"`                 // of the data in bytes
}

// RecordError is why a record could not be processed.
type RecordError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// ArchivedBy is who has archived a record.
type ArchivedBy string

// The archivers of records.
const (
	ArchivedByHandler ArchivedBy = "handler" // of the consumer
	ArchivedByRange   ArchivedBy = "range"   // the rescue function, from a range that Lambda gave up
)

// RecordState is what became of an archived record.
type RecordState string

// The states of records.
const (
	RecordArchived RecordState = "archived"
	RecordReplayed RecordState = "replayed"
	RecordRefused  RecordState = "refused" // is not handed to its consumer any more
)

// StreamReplayRequest hands archived records to their consumer again.
type StreamReplayRequest struct {
	Max    int      `json:"max,omitempty"` // 1 to 1000
	DryRun bool     `json:"dry_run,omitempty"`
	Rate   float64  `json:"rate,omitempty"`   // records a second at most, 0.01 to 10,000; 0 means no bound
	IDs    []string `json:"ids,omitempty"`    // of records; all that wait when empty
	JobID  string   `json:"job_id,omitempty"` // of a replay that ended early, to go on with it
	Change
}

// StreamReplayAnswer is what came of it. A dry run counts nothing as replayed
// or failed.
type StreamReplayAnswer struct {
	Matched  int             `json:"matched"`
	Replayed int             `json:"replayed"`
	Refused  int             `json:"refused"`
	Failed   int             `json:"failed"`
	Done     bool            `json:"done"` // nothing that was asked for is left to be tried
	Records  []RecordOutcome `json:"records"`
	Note     string          `json:"note,omitempty"`

	JobID     string    `json:"job_id,omitempty"` // none of a dry run
	Status    JobStatus `json:"status,omitempty"`
	StopAsked bool      `json:"stop_asked,omitempty"` // an operator stopped the job
}

// RecordOutcome is what came of one record.
type RecordOutcome struct {
	ID      string        `json:"id"`
	Outcome StreamOutcome `json:"outcome"`
	Reason  StreamReason  `json:"reason,omitempty"`
}

// StreamOutcome is what a replay does with a record. A dry run has the last
// three.
type StreamOutcome string

// The outcomes of records.
const (
	StreamReplayed StreamOutcome = "replayed" // its consumer has processed it
	StreamFailed   StreamOutcome = "failed"   // it stays in the archive as it was
	StreamRefused  StreamOutcome = "refused"  // it is not handed over, now or later
	StreamWaits    StreamOutcome = "waits"    // it stays behind an earlier one of its key
	StreamWould    StreamOutcome = "replay"   // it would be handed over
)

// StreamReason is why a record was not replayed. Where the consumer failed, it
// is the consumer's error.
type StreamReason string

// The other reasons.
const (
	StreamStale       StreamReason = "stale"        // a later record of the same key was processed
	StreamDone        StreamReason = "already_done" // the record itself was processed
	StreamBehind      StreamReason = "behind_an_earlier_one_of_its_key"
	StreamNoConsumer  StreamReason = "unknown_consumer"
	StreamNotFound    StreamReason = "not_found"
	StreamNoData      StreamReason = "data_missing" // the archive does not have its data
	StreamNotArchived StreamReason = "not_waiting"  // it was replayed or refused before
)
