package workqueue

import (
	"math/rand/v2"
	"time"
)

// Backoff is exponential backoff with full jitter: a delay is drawn evenly
// from 0 to a bound that doubles with every attempt, so that what failed
// together does not come back together
// (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
type Backoff struct {
	// Base bounds the delay after the first attempt. 0 means no delay at all.
	Base time.Duration
	// Max bounds every delay. Defaults to [MaxVisibility], which no delay
	// exceeds.
	Max time.Duration
}

// Delay returns how long to wait after attempt number attempt (1 for the
// first; less counts as 1). A nil r means the global generator.
func (b Backoff) Delay(attempt int, r *rand.Rand) time.Duration {
	limit := b.Max
	if limit <= 0 || limit > MaxVisibility {
		limit = MaxVisibility
	}
	bound := min(b.Base, limit)
	if bound <= 0 {
		return 0
	}
	for range attempt - 1 {
		if bound > limit/2 {
			bound = limit
			break
		}
		bound *= 2
	}
	if r == nil {
		return rand.N(bound + 1)
	}
	return time.Duration(r.Int64N(int64(bound) + 1))
}
