// Package id makes the ids of tasks and jobs: ULIDs, which sort by the time of
// their creation.
package id

import (
	"crypto/rand"
	"time"

	"github.com/oklog/ulid/v2"
)

// New returns a new id. Ids of one process sort in the order of their creation.
// It is safe for concurrent use.
func New() string { return ulid.MustNew(ulid.Now(), entropy).String() }

var entropy = &ulid.LockedMonotonicReader{MonotonicReader: ulid.Monotonic(rand.Reader, 0)}

// Time returns the creation time that an id carries, to the millisecond, or the
// zero time for a text that is no id.
func Time(id string) time.Time {
	parsed, err := ulid.ParseStrict(id)
	if err != nil {
		return time.Time{}
	}
	return ulid.Time(parsed.Time()).UTC()
}
