package tasktable

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/spillway-go/spillway/pkg/task"
)

// cancelTries bounds how often a cancel looks again at a task that changes
// under its hands.
const cancelTries = 8

// Cancel calls a tenant's task off. A task that nobody works on becomes
// canceled at once; of a running one the cancel is requested, and its next
// checkpoint, failure or claim makes it canceled, unless it succeeds before.
// A dead-lettered task becomes canceled; its dead letter is refused when
// somebody replays it. Cancelling twice is no error. [ErrNotFound] for
// another tenant's task; [ErrFinished], with the row, when it is too late.
func (t *Table) Cancel(ctx context.Context, tenant, id string) (*Row, error) {
	for try := range cancelTries {
		if try > 0 {
			if err := pause(ctx, try); err != nil {
				return nil, err
			}
		}
		r, err := t.GetConsistent(ctx, id)
		if err != nil {
			return nil, err
		}
		if r.Tenant != tenant {
			return nil, fmt.Errorf("task %s: %w", id, ErrNotFound)
		}
		now := time.Now()
		switch {
		case r.Status == task.Canceled, r.CancelRequested && r.leased(now.UnixMilli()):
			return r, nil
		case !r.Status.CanBecome(task.Canceled):
			return r, fmt.Errorf("task %s is %s: %w", id, r.Status, ErrFinished)
		}
		a := t.executeOne(ctx, t.cancelStatement(r, now))
		switch {
		case a.err != nil:
			return nil, fmt.Errorf("cancel: %w", a.err)
		case a.done:
			return a.row, nil
		}
	}
	return nil, fmt.Errorf("cancel task %s: %w", id, ErrLost)
}

func (t *Table) cancelStatement(r *Row, now time.Time) statement {
	if r.leased(now.UnixMilli()) {
		return statement{id: r.ID, update: &dynamodb.UpdateItemInput{
			UpdateExpression:          aws.String("SET cancel_requested = :one"),
			ConditionExpression:       aws.String("fence = :fence AND #status = :running"),
			ExpressionAttributeNames:  map[string]string{"#status": attrStatus},
			ExpressionAttributeValues: item{":one": num(1), ":fence": num(r.Fence), ":running": str(string(task.Running))},
		}}
	}
	return statement{id: r.ID, update: &dynamodb.UpdateItemInput{
		UpdateExpression: aws.String("SET #status = :canceled, fence = :next, settled = :next, claimable_at = :never, finished_at = :now, expires_at = :ttl " +
			"REMOVE failure_shard, failure_key"), // it is no failure any more
		ConditionExpression:      aws.String("fence = :fence AND #status = :status AND claimable_at = :claimable"),
		ExpressionAttributeNames: map[string]string{"#status": attrStatus},
		ExpressionAttributeValues: item{
			":canceled": str(string(task.Canceled)), ":next": num(r.Fence + 1), ":never": num(Never), ":now": num(now.UnixMilli()),
			":ttl": num(now.Add(t.opts.Retention).Unix()), ":fence": num(r.Fence), ":status": str(string(r.Status)), ":claimable": num(r.ClaimableAt),
		},
	}}
}
