package redrive

import (
	"math"

	"github.com/spillway-go/spillway/internal/job"
)

// Kind is what a job does.
type Kind string

// The kinds of jobs.
const (
	KindReplay  Kind = "replay"  // dead letters back to where they came from
	KindRetry   Kind = "retry"   // failed tasks again, from their stored input
	KindPurge   Kind = "purge"   // dead letters into quarantine
	KindRestore Kind = "restore" // and back into their queue
	KindNative  Kind = "native"  // SQS moves the messages itself
)

// Request is what an operator asks for.
type Request struct {
	Kind   Kind   `json:"kind"`
	Queue  string `json:"queue,omitempty"`
	Filter Filter `json:"filter"`
	// Max bounds how many messages are replayed, retried or set aside. 0 means
	// no bound but [MaxPlan].
	Max int `json:"max,omitempty"`
	// Rate is how many messages are sent a second, at most. 0 means as fast as
	// they can be confirmed.
	Rate float64 `json:"rate,omitempty"`
	// Canary is how many are replayed first; the rest follows only if all of
	// these succeed. 0 means none.
	Canary    int    `json:"canary,omitempty"`
	By        string `json:"by,omitempty"` // who asks
	RequestID string `json:"request_id,omitempty"`
	Source    string `json:"source,omitempty"` // the job that a restore undoes
	Planned   bool   `json:"planned,omitempty"`
}

// Bounds of a request.
const (
	// MaxPlan is how many messages one job may hold.
	MaxPlan = 100_000
	// MinRate and MaxRate bound the rates that can be asked for: from one message
	// in 100 seconds.
	MinRate = 0.01
	MaxRate = 10_000
	// MaxCanary is the largest canary.
	MaxCanary = 100
)

// checkRequest refuses what cannot be meant.
func checkRequest(req *Request) error {
	req.By = job.CleanBy(req.By)
	switch {
	case req.Max < 0:
		return invalid("max is %d", req.Max)
	case req.Max > MaxPlan:
		return invalid("max is %d, at most %d messages go into one job", req.Max, MaxPlan)
	case req.Rate != 0 && (req.Rate < MinRate || req.Rate > MaxRate || math.IsNaN(req.Rate)):
		return invalid("rate is %v messages a second; it is between %v and %d", req.Rate, MinRate, MaxRate)
	case req.Canary < 0 || req.Canary > MaxCanary:
		return invalid("canary is %d; it is between 1 and %d", req.Canary, MaxCanary)
	case req.Canary > 0 && req.Kind != KindReplay && req.Kind != KindRetry:
		return invalid("a canary is for replays")
	}
	return nil
}
