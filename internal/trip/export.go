package trip

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/spillway-go/spillway/pkg/task"
)

// ExportType is the task type of an [Export].
const ExportType = "trips.export"

// ScanAPI is what an [Export] calls of DynamoDB.
type ScanAPI interface {
	Scan(context.Context, *dynamodb.ScanInput, ...func(*dynamodb.Options)) (*dynamodb.ScanOutput, error)
}

var _ ScanAPI = (*dynamodb.Client)(nil)

// ExportInput is the input of a trips.export task.
type ExportInput struct {
	// PageSize is how many items of the table one Scan reads: 1 to 1000.
	// Stock and records of sagas are among them, so a page may have fewer
	// reservations, or none. Defaults to 100.
	PageSize *int `json:"page_size,omitempty"`
}

const (
	defaultPageSize = 100
	maxPageSize     = 1000
)

// Validate implements [task.Validator].
func (in ExportInput) Validate() error {
	if n := in.pageSize(); n < 1 || n > maxPageSize {
		return fmt.Errorf("page_size is %d: it must be between 1 and %d", n, maxPageSize)
	}
	return nil
}

func (in ExportInput) pageSize() int {
	if in.PageSize == nil {
		return defaultPageSize
	}
	return *in.PageSize
}

// ExportResult is what an export has found.
type ExportResult struct {
	Count int64 `json:"count"` // reservations
	Pages int64 `json:"pages"` // that were read, the empty ones too
	// Digest is "sha256:" and the hash over all reservations, in the order of
	// the table's Scan, as hex. It depends neither on the page size nor on how
	// often the export was interrupted.
	Digest string `json:"digest"`
}

// ExportOptions tunes an [Export]. The zero value is ready to use.
type ExportOptions struct {
	// Margin is how much of its time an export leaves unused before it yields:
	// a page and its checkpoint should fit in. At most half of the time that
	// it begins with. Defaults to 2 seconds.
	Margin time.Duration

	// Logger defaults to [slog.Default].
	Logger *slog.Logger
}

func (o *ExportOptions) withDefaults() ExportOptions {
	var d ExportOptions
	if o != nil {
		d = *o
	}
	if d.Margin <= 0 {
		d.Margin = 2 * time.Second
	}
	if d.Logger == nil {
		d.Logger = slog.Default()
	}
	return d
}

// Export pages through all reservations and hashes them. It is safe for
// concurrent use.
type Export struct {
	client ScanAPI
	table  string
	opts   ExportOptions
}

// NewExport returns an [Export] of a reservations table. nil opts are defaults.
func NewExport(client ScanAPI, table string, opts *ExportOptions) *Export {
	return &Export{client: client, table: table, opts: opts.withDefaults()}
}

// Export is the handler of [ExportType]. After every page but the last it
// stores a checkpoint, which holds the running hash and where the next page
// begins. So what is in the hash and what was read cannot come apart: whatever
// ends an attempt, the next one goes on from its last checkpoint, and a page
// after that is as if it had not been read.
//
// When its time is nearly over it returns [task.ErrYield]. What is written
// while it runs may or may not be counted, as with every Scan.
func (e *Export) Export(ctx context.Context, in ExportInput) (ExportResult, error) {
	p, err := resumeExport(ctx)
	if err != nil {
		return ExportResult{}, err
	}
	margin := min(e.opts.Margin, task.TimeLeft(ctx)/2) // so there is always time to begin a page
	for advanced := false; task.TimeLeft(ctx) >= margin; advanced = true {
		more, err := e.page(ctx, p, in.pageSize())
		if err == nil && !more {
			return p.result(), nil
		}
		if err == nil {
			err = p.save(ctx)
		}
		if err != nil && advanced && outOfTime(ctx, err) {
			break // this page was too slow for the margin
		}
		if err != nil {
			return ExportResult{}, err
		}
	}
	return ExportResult{}, task.ErrYield
}

// outOfTime reports whether err comes of ctx having ended, and of nothing that
// has a meaning of its own.
func outOfTime(ctx context.Context, err error) bool {
	return ctx.Err() != nil && !errors.Is(err, task.ErrCanceled) && !errors.Is(err, task.ErrLeaseLost)
}

// errUnread is what a task gets when the table did not answer. What that said
// names resources, so it is for the log.
var errUnread = task.Code("reservations_unread", errors.New("the reservations could not be read"))

// page reads and hashes one page, and reports whether there may be another.
func (e *Export) page(ctx context.Context, p *exportProgress, size int) (more bool, err error) {
	out, err := e.client.Scan(ctx, &dynamodb.ScanInput{
		TableName: &e.table,
		// What was reserved before the export began is in it.
		ConsistentRead:            aws.Bool(true),
		Limit:                     aws.Int32(int32(size)), //nolint:gosec // at most maxPageSize
		ExclusiveStartKey:         p.after.item(),
		FilterExpression:          aws.String("begins_with(#pk, :prefix)"),
		ProjectionExpression:      aws.String("#pk, #sk, #item, #quantity, #traveler, #confirmation"),
		ExpressionAttributeNames:  exportNames,
		ExpressionAttributeValues: item{":prefix": str(reservationPrefix)},
	})
	if ctx.Err() != nil {
		return false, fmt.Errorf("read the reservations: %w", ctx.Err())
	}
	if err != nil {
		e.opts.Logger.ErrorContext(ctx, "reservations not read", slog.String("task_id", task.Current(ctx).ID), slog.Any("error", err))
		return false, errUnread
	}
	for _, it := range out.Items {
		if err := p.add(it); err != nil {
			return false, err
		}
	}
	p.pages++
	if len(out.LastEvaluatedKey) == 0 {
		return false, nil
	}
	p.after, err = exportKeyOf(out.LastEvaluatedKey)
	return true, err
}

// Some of the names are reserved words of DynamoDB's.
var exportNames = map[string]string{
	"#pk": "pk", "#sk": "sk", "#item": "item", "#quantity": "quantity", "#traveler": "traveler", "#confirmation": "confirmation",
}
