package callback

import (
	"bytes"
	"crypto/sha256"
	"fmt"

	"github.com/oklog/ulid/v2"

	"github.com/spillway-go/spillway/pkg/tasktable"
)

// TaskID is the id of the task that tells of the end that row shows: the same
// for the same task, run and state, so that telling twice is one task. It sorts
// by when the task ended.
func TaskID(row *tasktable.Row) string {
	end := sha256.Sum256(fmt.Appendf(nil, "callback\n%s\n%d\n%s", row.ID, row.Run, row.Status))
	at := uint64(min(max(row.FinishedAt, 0), int64(ulid.MaxTime()))) //nolint:gosec // neither is negative
	return ulid.MustNew(at, bytes.NewReader(end[:])).String()        // there are bytes enough for its random part
}
