package rescue

import "github.com/spillway-go/spillway/internal/job"

// ReplayRequest selects what to replay.
type ReplayRequest struct {
	IDs    []string // of records; all that wait when empty
	Max    int      // at most so many records; defaults to 100, at most 1000
	DryRun bool     // change nothing, and say what would be done
	// Rate is how many records are handed over a second, at most. 0 means as fast
	// as the consumer takes them. A resumed replay keeps the rate it began with.
	Rate float64
	// JobID resumes a replay that ended early, with its IDs and Max. Empty begins
	// a new one.
	JobID string
	// By and RequestID say who asks, for the audit trail.
	By, RequestID string
}

// Replay is what has become of a replay. A dry run counts nothing as replayed
// or failed.
type Replay struct {
	JobID  string     `json:"job_id,omitempty"` // none of a dry run
	Status job.Status `json:"status,omitempty"` // of the job
	// StopAsked says that the replay ended early because it was asked to.
	StopAsked bool `json:"stop_asked,omitempty"`

	Matched  int             `json:"matched"`
	Replayed int             `json:"replayed"`
	Refused  int             `json:"refused"`
	Failed   int             `json:"failed"`
	Done     bool            `json:"done"` // nothing that was asked for is left to be tried
	Records  []RecordOutcome `json:"records"`
}

// RecordOutcome is what has become of one record in a replay.
type RecordOutcome struct {
	ID      string  `json:"id"`
	Outcome Outcome `json:"outcome"`
	Reason  string  `json:"reason,omitempty"`
}

// Outcome is what a replay does with a record.
type Outcome string

// The outcomes of records. A dry run has the last three.
const (
	OutcomeReplayed Outcome = "replayed" // its consumer has worked on it
	OutcomeFailed   Outcome = "failed"   // it stays in the archive as it was
	OutcomeRefused  Outcome = "refused"  // it is not handed over, now or later
	OutcomeWaits    Outcome = "waits"    // it stays behind an earlier one of its key
	OutcomeReplay   Outcome = "replay"   // it would be handed over
)

// Reasons of outcomes.
const (
	ReasonStale       = "stale"        // a later record of the same key was worked on
	ReasonDone        = "already_done" // the record itself was worked on
	ReasonWaits       = "behind_an_earlier_one_of_its_key"
	ReasonNoConsumer  = "unknown_consumer"
	ReasonNotFound    = "not_found"
	ReasonNoData      = "data_missing" // S3 does not have its data, or does not give it
	ReasonNotArchived = "not_waiting"  // it was replayed or refused before
)
