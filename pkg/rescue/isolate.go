package rescue

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"github.com/spillway-go/spillway/pkg/archive"
	"github.com/spillway-go/spillway/pkg/batch"
	"github.com/spillway-go/spillway/pkg/event"
	"github.com/spillway-go/spillway/pkg/task"
)

// Isolator archives the records that a handler could not work on, so that the
// stream goes on without them. It is the [batch.Options.Isolate] of a stream's
// consumer.
type Isolator struct {
	kept *archive.Archive
	opts Options
}

var _ batch.Isolator = (*Isolator)(nil)

// NewIsolator returns an isolator that keeps records in an archive. Nil opts
// are defaults.
func NewIsolator(kept *archive.Archive, opts *Options) *Isolator {
	return &Isolator{kept: kept, opts: opts.withDefaults()}
}

// Isolate archives a record as Lambda delivered it, with its position and the
// cause, and returns nil once the archive has it. A record that is there
// already stays as it is, so a batch that is delivered again archives nothing
// twice, and what was replayed stays replayed.
func (i *Isolator) Isolate(ctx context.Context, rec *event.StreamRecord, cause error) error {
	failure := failureOf(cause)
	return i.opts.archive(ctx, i.kept, rec, Record{
		Consumer: lambdacontext.FunctionName, ArchivedBy: ByHandler, Attempts: rec.Attempts, Error: failure,
	})
}

// archive puts a record of a stream into the archive. why says what is not in
// the record itself.
func (o *Options) archive(ctx context.Context, kept *archive.Archive, rec *event.StreamRecord, why Record) error {
	why.ID = recordID(rec.StreamARN, why.Consumer, rec.SequenceNumber)
	why.Source, why.StreamARN, why.ShardID, why.SequenceNumber = rec.Source, rec.StreamARN, rec.ShardID, rec.SequenceNumber
	why.EventID, why.Key, why.State = rec.EventID, rec.Key, Archived
	if until := o.keepUntil(rec.Source, writtenAt(rec)); !until.IsZero() {
		why.KeepUntil = task.At(until)
	}
	if _, err := kept.Put(ctx, why.item(rec.JSON, o.Retention)); err != nil {
		return fmt.Errorf("archive the record %s of %s: %w", rec.SequenceNumber, rec.Stream(), err)
	}
	return nil
}

// writtenAt is when a record came into its stream; zero if it does not say.
func writtenAt(rec *event.StreamRecord) time.Time {
	payload := []byte(`{"Records":[` + rec.JSON + `]}`)
	switch rec.Source {
	case sourceKinesis:
		if all, err := event.Kinesis(payload); err == nil && len(all) == 1 {
			return all[0].ArrivedAt
		}
	case sourceDynamoDB:
		if all, err := event.DynamoDB(payload); err == nil && len(all) == 1 {
			return all[0].At
		}
	}
	return time.Time{}
}
