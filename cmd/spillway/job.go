package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// The states of a job.
const (
	jobPlanned      = "planned"
	jobRunning      = "running"
	jobStopping     = "stopping"
	jobStopped      = "stopped"
	jobStalled      = "stalled"
	jobCanaryFailed = "canary_failed"
	jobFailed       = "failed"
	jobDone         = "done"
)

// job is an entry of the audit trail: a plan, and what came of it.
type job struct {
	JobID       string          `json:"job_id"`
	Kind        string          `json:"kind"`
	Queue       string          `json:"queue"`
	Status      string          `json:"status"`
	By          string          `json:"by"`
	RequestID   string          `json:"request_id"`
	CreatedAt   time.Time       `json:"created_at"`
	StartedAt   time.Time       `json:"started_at"`
	UpdatedAt   time.Time       `json:"updated_at"`
	FinishedAt  time.Time       `json:"finished_at"`
	Filter      json.RawMessage `json:"filter"`
	Rate        float64         `json:"rate"`
	Max         int             `json:"max"`
	Canary      *canary         `json:"canary"`
	Planned     int             `json:"planned"` // messages that the plan holds
	Replayed    int             `json:"replayed"`
	Skipped     int             `json:"skipped"` // Dropped among them
	Failed      int             `json:"failed"`
	Dropped     int             `json:"dropped"`
	Quarantined int             `json:"quarantined"`
	Restored    int             `json:"restored"`
	Resolved    int             `json:"resolved"`
	Execution   string          `json:"execution"` // of a saga, and its step
	Step        string          `json:"step"`
	Reason      string          `json:"reason"`
	AtLeastOnce int             `json:"at_least_once"`
	Hops        int             `json:"hops"`
	Reasons     map[string]int  `json:"reasons"`
	Outcomes    *endings        `json:"outcomes"`
	Restores    string          `json:"restores"`
	Resume      string          `json:"resume"`
	Note        string          `json:"note"`
	Events      []jobEvent      `json:"events"`
	Messages    []jobMessage    `json:"messages"`
}

// jobAnswer answers dlq.jobs for one job.
type jobAnswer struct {
	Job *job `json:"job"`
}

// jobList answers dlq.jobs.
type jobList struct {
	Jobs []job `json:"jobs"`
}

// endings counts how the tasks of a job have ended.
type endings struct {
	Succeeded   int `json:"succeeded"`
	FailedSame  int `json:"failed_same"`
	FailedOther int `json:"failed_other"`
	Canceled    int `json:"canceled"`
	Expired     int `json:"expired"`
	Pending     int `json:"pending"`
	Later       int `json:"later"` // replayed again since
	Gone        int `json:"gone"`
}

// again counts the tasks that ended other than succeeded.
func (o *endings) again() int { return o.FailedSame + o.FailedOther + o.Canceled + o.Expired }

// ended counts the tasks that this job has nothing to wait for any more.
func (o *endings) ended() int { return o.Succeeded + o.again() + o.Later + o.Gone }

type jobEvent struct {
	At        time.Time `json:"at"`
	What      string    `json:"what"`
	By        string    `json:"by"`
	RequestID string    `json:"request_id"`
}

// jobMessage is what became of one message.
type jobMessage struct {
	MessageID string `json:"message_id"`
	TaskID    string `json:"task_id"`
	Run       int    `json:"run"`
	Outcome   string `json:"outcome"`
	Reason    string `json:"reason"`
	Became    string `json:"became"`
}

// ended reports whether nothing happens to the job any more by itself.
func (j *job) ended() bool {
	switch j.Status {
	case jobDone, jobStopped, jobCanaryFailed, jobFailed:
		return true
	default:
		return false
	}
}

// resumable reports whether the job can go on where it ended.
func (j *job) resumable() bool {
	switch j.Status {
	case jobStopped, jobStopping, jobStalled, jobRunning:
		return true
	default:
		return j.Resume != ""
	}
}

// handled counts the messages that the job is through with.
func (j *job) handled() int {
	return j.Replayed + j.Skipped + j.Failed + j.Quarantined + j.Restored + j.Resolved
}

// tally is how many of what in words, "12 replayed, 3 skipped".
func (j *job) tally() string {
	var parts []string
	add := func(n int, what string) {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, what))
		}
	}
	add(j.Replayed, "replayed")
	add(j.Quarantined, "moved to quarantine")
	add(j.Restored, "restored")
	add(j.Resolved, "dealt with")
	add(j.Skipped-j.Dropped, "skipped")
	add(j.Dropped, "dropped, their tasks have ended")
	add(j.Failed, "not sent")
	if len(parts) == 0 {
		return "nothing yet"
	}
	return strings.Join(parts, ", ")
}

// ranked lists counts, the largest first.
func ranked(counts map[string]int) [][]string {
	keys := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		if d := counts[b] - counts[a]; d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	rows := make([][]string, len(keys))
	for i, k := range keys {
		rows[i] = []string{fmt.Sprint(counts[k]), clean(k)}
	}
	return rows
}

// quantity is n of something, "1 message", "2 messages".
func quantity(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}
