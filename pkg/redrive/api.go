package redrive

import (
	"context"
	"encoding/json"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/spillway-go/spillway/internal/job"
	"github.com/spillway-go/spillway/pkg/archive"
	"github.com/spillway-go/spillway/pkg/event"
	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

// ControlAPI is what is used of the DynamoDB client for the control table.
type ControlAPI = job.API

// MoveAPI is what is used of the SQS client to let SQS move messages itself.
type MoveAPI interface {
	StartMessageMoveTask(context.Context, *sqs.StartMessageMoveTaskInput, ...func(*sqs.Options)) (*sqs.StartMessageMoveTaskOutput, error)
}

// Inbox is what is used of a dead-letter queue.
type Inbox interface {
	Name() string
	FIFO() bool
	Receive(ctx context.Context, limit int, hide, wait time.Duration) ([]event.SQSMessage, error)
	Delete(ctx context.Context, receipts []string) []error
	ChangeVisibility(ctx context.Context, changes []workqueue.Visibility) []error
	SendBatch(ctx context.Context, messages []workqueue.Outgoing) []error
	Counts(ctx context.Context) (workqueue.Counts, error)
}

// Queue is what is used of a queue that messages go back to.
type Queue interface {
	Name() string
	FIFO() bool
	SendBatch(ctx context.Context, messages []workqueue.Outgoing) []error
}

// Tasks is what is used of the task table.
type Tasks interface {
	Rows(ctx context.Context, ids []string) (map[string]*tasktable.Row, error)
	Failures(ctx context.Context, q tasktable.FailureQuery) (tasktable.FailurePage, error)
	Input(ctx context.Context, r *tasktable.Row) (json.RawMessage, error)
	ReplayAll(ctx context.Context, requests []tasktable.ReplayRequest) []tasktable.Replayed
	ReplayFor(ctx context.Context, request tasktable.ReplayRequest) tasktable.Replayed
	Unlist(ctx context.Context, entries []tasktable.FailureEntry) []error
	Relist(ctx context.Context, entries []tasktable.FailureEntry) []error
}

// Quarantine is what is used of an archive.
type Quarantine interface {
	PutAll(ctx context.Context, items []archive.Item) []error
	Get(ctx context.Context, group, id string) (archive.Item, error)
	List(ctx context.Context, group, after string, limit int) (items []archive.Item, next string, err error)
	Delete(ctx context.Context, group, id string) error
}

var (
	_ MoveAPI    = (*sqs.Client)(nil)
	_ Inbox      = (*workqueue.Inbox)(nil)
	_ Queue      = (*workqueue.Queue)(nil)
	_ Tasks      = (*tasktable.Table)(nil)
	_ Quarantine = (*archive.Archive)(nil)
)
