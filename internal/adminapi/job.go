package adminapi

import "github.com/spillway-go/spillway/pkg/task"

// JobRequest names a job to stop, or the purge to restore.
type JobRequest struct {
	JobID string `json:"job_id,omitempty"`
	Change
}

// DLQJobsRequest asks for the newest jobs, or for one of them.
type DLQJobsRequest struct {
	JobID string `json:"job_id,omitempty"`
	Max   int    `json:"max,omitempty"`  // jobs to list, or messages of the job to show
	From  int    `json:"from,omitempty"` // the first message to show
}

// JobsAnswer lists jobs, newest first.
type JobsAnswer struct {
	Jobs []Job `json:"jobs"`
}

// JobAnswer is one job. [Command.Answer] accepts none without.
type JobAnswer struct {
	Job *Job `json:"job"`
}

func (a *JobAnswer) missing() bool { return a.Job == nil }

// Job is an entry of the audit trail: what was asked, and what came of it.
type Job struct {
	JobID         string    `json:"job_id"`
	Kind          JobKind   `json:"kind"`
	Queue         string    `json:"queue,omitempty"`
	Status        JobStatus `json:"status"`
	By            string    `json:"by"`
	RequestID     string    `json:"request_id,omitempty"`
	CreatedAt     task.Time `json:"created_at,omitzero"`
	StartedAt     task.Time `json:"started_at,omitzero"`
	UpdatedAt     task.Time `json:"updated_at,omitzero"`
	FinishedAt    task.Time `json:"finished_at,omitzero"`
	PlanExpiresAt task.Time `json:"plan_expires_at,omitzero"`
	Filter        Filter    `json:"filter"`
	Rate          float64   `json:"rate,omitempty"`
	Max           int       `json:"max,omitempty"`
	CanarySize    int       `json:"canary_size,omitempty"` // that was asked for
	Canary        *Canary   `json:"canary,omitempty"`      // how it fared
	Restores      string    `json:"restores,omitempty"`    // the purge that a restore undoes
	Planned       int       `json:"planned,omitempty"`     // messages that the plan holds
	Counts
	Execution string    `json:"execution,omitempty"` // of a saga
	Step      string    `json:"step,omitempty"`      // of that saga
	Reason    string    `json:"reason,omitempty"`    // that the operator gave
	Done      bool      `json:"done"`
	Hops      int       `json:"hops"` // invocations that have worked on it
	Outcomes  *Outcomes `json:"outcomes,omitempty"`
	Resume    string    `json:"resume,omitempty"` // the payload that goes on with a job at rest
	Note      string    `json:"note,omitempty"`

	Events   []JobEvent   `json:"events,omitempty"`   // of dlq.jobs with a job_id
	Messages []JobMessage `json:"messages,omitempty"` // as many as were asked for
}

// JobKind is what a job does.
type JobKind string

// The kinds of jobs.
const (
	KindReplay  JobKind = "replay"        // dead letters back to their queues
	KindRetry   JobKind = "retry"         // failed tasks again, from their stored input
	KindPurge   JobKind = "purge"         // dead letters into quarantine
	KindRestore JobKind = "restore"       // and back into their queue
	KindNative  JobKind = "native"        // a move by SQS itself
	KindResume  JobKind = "resume"        // a parked compensation was run again
	KindSkip    JobKind = "skip"          // an operator left a parked compensation undone
	KindDone    JobKind = "done"          // an operator did by hand what it was to do
	KindStream  JobKind = "stream_replay" // archived records of streams to their consumer
)

// JobStatus is how far a job is.
type JobStatus string

// The states of jobs.
const (
	JobPlanned      JobStatus = "planned"
	JobRunning      JobStatus = "running"
	JobStopping     JobStatus = "stopping"
	JobStopped      JobStatus = "stopped"       // can go on
	JobStalled      JobStatus = "stalled"       // its invocation ended without leaving it in order; can go on
	JobCanaryFailed JobStatus = "canary_failed" // has ended, with nothing replayed but the canary
	JobDone         JobStatus = "done"
)

// Ended reports whether the job has ended or was stopped: nothing happens to it
// any more by itself.
func (s JobStatus) Ended() bool { return s == JobDone || s == JobStopped || s == JobCanaryFailed }

// Counts are what became of a job's messages so far.
type Counts struct {
	Matched     int            `json:"matched"`
	Replayed    int            `json:"replayed"`
	Skipped     int            `json:"skipped"` // not replayed, for a reason; Dropped among them
	Dropped     int            `json:"dropped"` // taken off the queue, since their tasks have ended
	Failed      int            `json:"failed"`  // could not be sent, and are where they were
	Quarantined int            `json:"quarantined,omitempty"`
	Restored    int            `json:"restored,omitempty"`
	Resolved    int            `json:"resolved,omitempty"` // by an operator
	AtLeastOnce int            `json:"at_least_once"`      // replayed without a task to guard them: may arrive twice
	Reasons     map[Reason]int `json:"reasons"`
}

// Handled counts the messages that the job is through with.
func (c *Counts) Handled() int {
	return c.Replayed + c.Skipped + c.Failed + c.Quarantined + c.Restored + c.Resolved
}

// Reason is why a message is not replayed. For a message that is dropped it is
// the state in which its task has ended: succeeded, canceled or expired.
type Reason string

// The other reasons.
const (
	ReasonExhausted  Reason = "replays_exhausted" // replayed as often as is allowed
	ReasonOrigin     Reason = "unknown_origin"    // nothing says which of our queues it came from
	ReasonRunning    Reason = "running"           // a worker holds the task
	ReasonQueued     Reason = "queued"            // the task waits for a worker, with a message of its own
	ReasonDeadline   Reason = "deadline_passed"   // the task would expire
	ReasonAgain      Reason = "failed_again"      // this job replayed it, and it came back
	ReasonSuperseded Reason = "superseded"        // a later run of the task has failed: its letter counts
	ReasonDuplicate  Reason = "duplicate"         // another letter of the same task stands for it
	ReasonGone       Reason = "gone"              // not in the queue any more
	ReasonInFlight   Reason = "in_flight"         // another process has received it
	ReasonGroup      Reason = "group_blocked"     // an earlier message of its FIFO group could not be sent
	ReasonState      Reason = "not_retryable"     // the task has not failed
	ReasonInput      Reason = "input_lost"        // the task's input is not kept any more
	ReasonMismatch   Reason = "mismatch"          // the message and its task differ in tenant, type or run
)

// Canary is how the first messages of a job fared.
type Canary struct {
	Size      int `json:"size"`
	Succeeded int `json:"succeeded"`
	Failed    int `json:"failed"`
	Pending   int `json:"pending"`
}

// Outcomes count what became of the tasks that a job has replayed.
type Outcomes struct {
	Succeeded   int `json:"succeeded"`
	FailedSame  int `json:"failed_same"`  // with the same fingerprint as before
	FailedOther int `json:"failed_other"` // in another way
	Canceled    int `json:"canceled"`
	Expired     int `json:"expired"`
	Pending     int `json:"pending"` // queued or running
	Later       int `json:"later"`   // replayed again since, by another job
	Gone        int `json:"gone"`    // not kept any more, or without a task from the start
}

// Unsuccessful counts the tasks that ended other than succeeded.
func (o *Outcomes) Unsuccessful() int { return o.FailedSame + o.FailedOther + o.Canceled + o.Expired }

// Ended counts the tasks that this job has nothing to wait for any more.
func (o *Outcomes) Ended() int { return o.Succeeded + o.Unsuccessful() + o.Later + o.Gone }

// JobEvent is a line of a job's audit trail.
type JobEvent struct {
	At        task.Time `json:"at"`
	What      string    `json:"what"`
	By        string    `json:"by,omitempty"`
	RequestID string    `json:"request_id,omitempty"`
}

// JobMessage is what became of one message, and of its task.
type JobMessage struct {
	MessageID   string         `json:"message_id,omitempty"`
	TaskID      string         `json:"task_id,omitempty"`
	Run         int            `json:"run,omitempty"` // that it was sent for
	Fingerprint string         `json:"fingerprint,omitempty"`
	To          string         `json:"to,omitempty"`     // name of the queue
	NoRow       bool           `json:"no_row,omitempty"` // no task guards it
	Outcome     MessageOutcome `json:"outcome,omitempty"`
	Reason      Reason         `json:"reason,omitempty"`
	Became      string         `json:"became,omitempty"` // a member of [Outcomes]
}

// MessageOutcome is what a job did with a message. It is empty as long as that
// is not known.
type MessageOutcome string

// The outcomes of messages.
const (
	OutcomeReplayed    MessageOutcome = "replayed"
	OutcomeDropped     MessageOutcome = "dropped"
	OutcomeSkipped     MessageOutcome = "skipped"
	OutcomeFailed      MessageOutcome = "failed"
	OutcomeQuarantined MessageOutcome = "quarantined"
	OutcomeRestored    MessageOutcome = "restored"
	OutcomeResolved    MessageOutcome = "resolved"
)
