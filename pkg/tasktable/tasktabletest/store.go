package tasktabletest

import (
	"context"
	"encoding/json"
	"time"

	"github.com/spillway-go/spillway/pkg/tasktable"
)

// Store is a task table as its users see it.
type Store interface {
	Create(context.Context, tasktable.Draft) (*tasktable.Row, error)
	Remember(ctx context.Context, tenant, idempotencyKey string, k tasktable.Key) (tasktable.Key, error)
	Recall(ctx context.Context, tenant, idempotencyKey string) (tasktable.Key, error)
	Archive(ctx context.Context, id string, data []byte) error

	Claim(ctx context.Context, owner string, leaseEnd time.Time, ids []string) []tasktable.Claim
	Expire(ctx context.Context, ids []string) []tasktable.Claim
	Charge(context.Context, *tasktable.Row) error
	Rerun(ctx context.Context, r *tasktable.Row, run int) error
	Renew(ctx context.Context, r *tasktable.Row, leaseEnd time.Time, with tasktable.Renewal) (*tasktable.Row, error)
	Settle(context.Context, []tasktable.Settlement) []tasktable.Settled

	Get(ctx context.Context, id string) (*tasktable.Row, error)
	GetConsistent(ctx context.Context, id string) (*tasktable.Row, error)
	Input(context.Context, *tasktable.Row) (json.RawMessage, error)
	List(context.Context, tasktable.Query) (tasktable.Page, error)
	Rows(ctx context.Context, ids []string) (map[string]*tasktable.Row, error)

	Cancel(ctx context.Context, tenant, id string) (*tasktable.Row, error)
	Replay(ctx context.Context, id string, run int) (bool, error)
	ReplayFor(context.Context, tasktable.ReplayRequest) tasktable.Replayed
	ReplayAll(context.Context, []tasktable.ReplayRequest) []tasktable.Replayed

	Failures(context.Context, tasktable.FailureQuery) (tasktable.FailurePage, error)
	Unlist(ctx context.Context, entries []tasktable.FailureEntry) []error
	Relist(context.Context, []tasktable.FailureEntry) []error
}

var _ Store = (*tasktable.Table)(nil)
