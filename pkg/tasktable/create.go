package tasktable

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/oklog/ulid/v2"

	"github.com/spillway-go/spillway/internal/id"
	"github.com/spillway-go/spillway/pkg/task"
)

// Draft is a task to be created.
type Draft struct {
	ID       string // a ULID; see [NewID]
	Tenant   string
	Type     string
	Priority task.Priority
	Input    json.RawMessage // compact JSON
	Deadline time.Time
	Delay    time.Duration // not to be claimed before

	CallbackURL string // where to tell the end of the task; nowhere when empty
}

// NewID returns a task id: a ULID, so that ids sort by creation time. Its random
// part comes from the system, so that no two environments draw the same.
func NewID() string { return id.New() }

// row is the row that n is created as, and whether its input needs an item of
// its own.
func (t *Table) row(n Draft, now time.Time) (*Row, bool) {
	r := &Row{
		ID: n.ID, Tenant: n.Tenant, Type: n.Type, Status: task.Queued, Priority: n.Priority, Run: 1,
		Deadline: n.Deadline.UnixMilli(), Input: n.Input, CallbackURL: n.CallbackURL,
		// A task that nobody ever looks at is kept as long after its
		// deadline as one that ended there.
		ExpiresAt: n.Deadline.Add(t.opts.Retention).Unix(),
	}
	if n.Delay > 0 {
		r.ClaimableAt = now.Add(n.Delay).UnixMilli()
	}
	if itemSize(r.item())+rowReserve <= rowTarget {
		return r, false
	}
	r.Input, r.InputRef = nil, n.ID+"#input"
	return r, true
}

// Create writes a task as queued. An input that would carry the row past 1 KiB
// is written first, as an item of its own. [ErrExists] comes with the row that
// is there, which is also what a retry after a lost answer meets.
func (t *Table) Create(ctx context.Context, n Draft) (*Row, error) {
	if _, err := ulid.ParseStrict(n.ID); err != nil {
		return nil, fmt.Errorf("create task %q: the id is not a ULID", n.ID)
	}
	now := time.Now()
	r, apart := t.row(n, now)
	if apart {
		// A dead letter that is replayed late still finds its input.
		kept := max(t.opts.Retention, minFailedRetention)
		if err := t.putData(ctx, r.InputRef, n.Input, n.Deadline.Add(kept).Unix()); err != nil {
			return nil, fmt.Errorf("store input of task %s: %w", n.ID, err)
		}
	}
	it := r.item()
	r.size = itemSize(it)
	_, err := t.client.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: &t.name, Item: it,
		ConditionExpression:                 aws.String("attribute_not_exists(id)"),
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	var failed *types.ConditionalCheckFailedException
	if errors.As(err, &failed) {
		return parseRow(failed.Item), fmt.Errorf("create task %s: %w", n.ID, ErrExists)
	}
	if err != nil {
		return nil, fmt.Errorf("create task %s: %w", n.ID, err)
	}
	return r, nil
}

// Key is what an idempotency key stands for.
type Key struct {
	TaskID  string
	Payload string // hash of the request that the key was first used with
}

// keyID names the item of an idempotency key. The key is hashed, since callers
// choose it and may put anything there.
func keyID(tenant, idempotencyKey string) string {
	sum := sha256.Sum256([]byte(idempotencyKey))
	return "key#" + tenant + "#" + hex.EncodeToString(sum[:16])
}

// Remember claims an idempotency key for a tenant. It returns k itself, or
// what the key was first used for, if that was less than [Options.KeyRetention]
// ago.
func (t *Table) Remember(ctx context.Context, tenant, idempotencyKey string, k Key) (Key, error) {
	now := time.Now()
	_, err := t.client.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: &t.name,
		Item: item{
			attrID: str(keyID(tenant, idempotencyKey)), attrTaskID: str(k.TaskID), attrPayload: str(k.Payload),
			attrExpiresAt: num(now.Add(t.opts.KeyRetention).Unix()),
		},
		ConditionExpression:                 aws.String("attribute_not_exists(id) OR expires_at <= :now"),
		ExpressionAttributeValues:           item{":now": num(now.Unix())},
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	var failed *types.ConditionalCheckFailedException
	if errors.As(err, &failed) {
		return Key{TaskID: text(failed.Item, attrTaskID), Payload: text(failed.Item, attrPayload)}, nil
	}
	if err != nil {
		return Key{}, fmt.Errorf("remember idempotency key: %w", err)
	}
	return k, nil
}

// Recall returns what an idempotency key stands for, or [ErrNotFound].
func (t *Table) Recall(ctx context.Context, tenant, idempotencyKey string) (Key, error) {
	consistent := true
	out, err := t.client.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &t.name, Key: key(keyID(tenant, idempotencyKey)), ConsistentRead: &consistent,
	})
	if err != nil {
		return Key{}, fmt.Errorf("recall idempotency key: %w", err)
	}
	if len(out.Item) == 0 || number(out.Item, attrExpiresAt) <= time.Now().Unix() {
		return Key{}, fmt.Errorf("recall idempotency key: %w", ErrNotFound)
	}
	return Key{TaskID: text(out.Item, attrTaskID), Payload: text(out.Item, attrPayload)}, nil
}

// Archive keeps data that has no other place, for example what a dead letter
// cannot carry, for at least 15 days.
func (t *Table) Archive(ctx context.Context, id string, data []byte) error {
	kept := max(t.opts.Retention, minFailedRetention)
	if err := t.putData(ctx, "archive#"+id, data, time.Now().Add(kept).Unix()); err != nil {
		return fmt.Errorf("archive %s: %w", id, err)
	}
	return nil
}

// putData writes an item of its own: an input, a result, an archived text. It
// is written once; what is there already stays.
func (t *Table) putData(ctx context.Context, id string, data []byte, expiresAt int64) error {
	if len(data) > maxItem {
		return fmt.Errorf("%d bytes where %d fit: %w", len(data), maxItem, ErrTooLarge)
	}
	_, err := t.client.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: &t.name, Item: item{attrID: str(id), attrData: str(string(data)), attrExpiresAt: num(expiresAt)},
		ConditionExpression: aws.String("attribute_not_exists(id)"),
	})
	if _, exists := errors.AsType[*types.ConditionalCheckFailedException](err); exists {
		return nil
	}
	return err
}
