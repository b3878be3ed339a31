package rescue

import (
	"log/slog"
	"time"

	"github.com/spillway-go/spillway/pkg/batch"
	"github.com/spillway-go/spillway/pkg/event"
)

// Options tunes what this package does. Give the same to all of it. The zero
// value is ready to use.
type Options struct {
	// Retention is how long records and ranges stay in the archive. Positions
	// are kept two days longer, so that whatever can be replayed can be refused
	// as well. Defaults to 30 days.
	Retention time.Duration
	// KinesisRetention is how long the Kinesis streams keep their records; those
	// of DynamoDB keep them for 24 hours. Defaults to 24 hours.
	KinesisRetention time.Duration
	// Keep says which records of a range its consumer would have got: what a
	// filter of the mapping leaves out lies in the range as well, and need not be
	// archived. When in doubt it keeps a record. Nil keeps all. Used by [Handler]
	// only.
	Keep func(*event.StreamRecord) bool
	// Visibility makes a message of the failures queue visible again after a
	// backoff when its range could not be rescued. Without it that takes the
	// queue's visibility timeout. Used by [Handler] only.
	Visibility batch.VisibilityChanger
	// Logger receives what was rescued, and what was lost. Defaults to
	// [slog.Default].
	Logger *slog.Logger
}

// dynamoDBRetention is how long a stream of DynamoDB keeps a record
// (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html).
const dynamoDBRetention = 24 * time.Hour

func (o *Options) withDefaults() Options {
	var d Options
	if o != nil {
		d = *o
	}
	if d.Retention <= 0 {
		d.Retention = 30 * 24 * time.Hour
	}
	if d.KinesisRetention <= 0 {
		d.KinesisRetention = 24 * time.Hour
	}
	if d.Logger == nil {
		d.Logger = slog.Default()
	}
	return d
}

// keepUntil is when a stream drops what was written to it at that time; zero if
// nobody knows the time.
func (o *Options) keepUntil(source string, written time.Time) time.Time {
	switch {
	case written.IsZero():
		return time.Time{}
	case source == sourceKinesis:
		return written.Add(o.KinesisRetention)
	default:
		return written.Add(dynamoDBRetention)
	}
}
