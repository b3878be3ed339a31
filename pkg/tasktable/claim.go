package tasktable

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/spillway-go/spillway/pkg/task"
)

// Outcome is what became of the wish to claim a task.
type Outcome int

// The outcomes of a claim.
const (
	// Unknown: the table did not answer; see [Claim.Err]. The claim may have
	// taken effect, then its lease lapses.
	Unknown Outcome = iota
	// Claimed: the lease is ours, [Claim.Row] is the row with our fence.
	Claimed
	// Held: leased by another, or queued for later; until [Row.ClaimableAt].
	Held
	// Finished: the task has ended, or was just written as expired.
	Finished
	// Absent: there is no such task.
	Absent
)

// Claim is the answer to one wish to claim.
type Claim struct {
	Outcome Outcome
	Row     *Row // the row as it is now; nil when Absent or Unknown
	Err     error
}

// NewOwner returns a nonce that names one claim of a batch, so that a claim
// whose answer was lost is known again.
func NewOwner() string { return rand.Text()[:13] }

// Claim leases tasks to owner until leaseEnd: one call for all of them. ids
// must differ and owner must be new ([NewOwner]) for each call. A task that is
// past its deadline is claimed all the same; ask [Table.Expire] first.
func (t *Table) Claim(ctx context.Context, owner string, leaseEnd time.Time, ids []string) []Claim {
	now := time.Now().UnixMilli()
	statements := make([]statement, len(ids))
	for i, id := range ids {
		statements[i] = t.claimStatement(id, owner, leaseEnd.UnixMilli(), now)
	}
	claims := make([]Claim, len(ids))
	for i, a := range t.execute(ctx, statements) {
		claims[i] = outcome(a, owner, now)
	}
	return claims
}

func (t *Table) claimStatement(id, owner string, leaseEnd, now int64) statement {
	return statement{
		id: id,
		// One comparison says it all: claimable_at is the largest number once
		// a task has ended, the end of the lease while it runs.
		sql: `UPDATE "` + t.name + `" SET "owner"=? SET "fence"="fence"+1 SET "status"='running' SET "claimable_at"=? SET "started_at"=? ` +
			`WHERE "id"=? AND "claimable_at"<? RETURNING ALL NEW *`,
		params: []types.AttributeValue{str(owner), num(leaseEnd), num(now), str(id), num(now)},
		update: &dynamodb.UpdateItemInput{
			UpdateExpression:         aws.String("SET #owner=:owner, fence=fence+:one, #status=:running, claimable_at=:end, started_at=:now"),
			ConditionExpression:      aws.String("claimable_at < :now"),
			ExpressionAttributeNames: map[string]string{"#owner": attrOwner, "#status": attrStatus},
			ExpressionAttributeValues: item{
				":owner": str(owner), ":one": num(1), ":running": str(string(task.Running)), ":end": num(leaseEnd), ":now": num(now),
			},
		},
	}
}

func outcome(a answer, owner string, now int64) Claim {
	switch {
	case a.err != nil:
		return Claim{Err: a.err}
	case a.row == nil:
		return Claim{Outcome: Absent}
	case a.done:
		return Claim{Outcome: Claimed, Row: a.row}
	case a.row.Owner == owner && a.row.Status == task.Running:
		return Claim{Outcome: Claimed, Row: a.row} // the answer to an earlier try was lost
	case a.row.gone(now):
		return Claim{Outcome: Absent}
	case a.row.Status.Finished():
		return Claim{Outcome: Finished, Row: a.row}
	default:
		return Claim{Outcome: Held, Row: a.row}
	}
}

// Expire writes tasks that are past their deadline as expired, unless a worker
// holds them: one call for all. Each id is answered as by [Table.Claim], where
// Finished says that the task has ended, one way or another, and Held that
// somebody works on it or that its deadline is not over after all.
func (t *Table) Expire(ctx context.Context, ids []string) []Claim {
	now := time.Now().UnixMilli()
	statements := make([]statement, len(ids))
	for i, id := range ids {
		statements[i] = t.expireStatement(id, now)
	}
	claims := make([]Claim, len(ids))
	for i, a := range t.execute(ctx, statements) {
		if a.done && a.row != nil {
			a.done = false // nobody holds it now: it is Finished
		}
		claims[i] = outcome(a, "", now)
	}
	return claims
}

func (t *Table) expireStatement(id string, now int64) statement {
	return statement{
		id: id,
		// settled reads fence before fence is written: endpoints differ in
		// what a later SET of one statement sees. The task ended at its
		// deadline, whoever noticed when; expires_at counts from there since
		// the row was created.
		sql: `UPDATE "` + t.name + `" SET "status"='expired' SET "settled"="fence"+1 SET "fence"="fence"+1 SET "claimable_at"=? ` +
			`SET "finished_at"="deadline" WHERE "id"=? AND "claimable_at"<? AND "deadline"<=? RETURNING ALL NEW *`,
		params: []types.AttributeValue{num(Never), str(id), num(now), num(now)},
		update: &dynamodb.UpdateItemInput{
			UpdateExpression:         aws.String("SET #status=:expired, settled=fence+:one, fence=fence+:one, claimable_at=:never, finished_at=deadline"),
			ConditionExpression:      aws.String("claimable_at < :now AND deadline <= :now"),
			ExpressionAttributeNames: map[string]string{"#status": attrStatus},
			ExpressionAttributeValues: item{
				":expired": str(string(task.Expired)), ":one": num(1), ":never": num(Never), ":now": num(now),
			},
		},
	}
}

// Charge counts the attempt that is about to begin, for a task whose last
// worker vanished: should this one vanish too, the attempt is on the row. It
// sets [Row.Charged]. [ErrLost] when the claim is no longer ours.
func (t *Table) Charge(ctx context.Context, r *Row) error {
	_, err := t.fenced(ctx, r, "SET attempts = :attempts", item{":attempts": num(r.Counted())}, map[string]string{})
	if err != nil {
		return fmt.Errorf("charge task %s: %w", r.ID, err)
	}
	r.Attempts, r.Charged = r.Counted(), true
	return nil
}

// Rerun gives a claimed row the run of a replay that did not get to its own
// write: attempts count from 0 again, and it is no plan's. If a worker vanished before, the row goes
// on saying so: settled stays as it is, so that a release after a lost answer
// finds it as it was read.
func (t *Table) Rerun(ctx context.Context, r *Row, run int) error {
	_, err := t.fenced(ctx, r, "SET #run = :run, attempts = :zero, replays = :replays REMOVE #history, plan_id", item{
		":run": num(run), ":zero": num(0), ":replays": num(r.Replays + 1),
	}, map[string]string{"#run": attrRun, "#history": attrHistory})
	if err != nil {
		return fmt.Errorf("rerun task %s: %w", r.ID, err)
	}
	r.Run, r.Attempts, r.Replays, r.History, r.PlanID = run, 0, r.Replays+1, nil, ""
	return nil
}

// Renewal is what [Table.Renew] writes beside the lease.
type Renewal struct {
	Progress *task.Advance
	State    []byte
}

// Renew moves the end of our lease and stores progress or a checkpoint. It
// returns the row as it is then, so that the caller sees a cancel request, and
// [ErrLost] when the claim is no longer ours.
func (t *Table) Renew(ctx context.Context, r *Row, leaseEnd time.Time, with Renewal) (*Row, error) {
	set, values := "SET claimable_at = :end", item{":end": num(leaseEnd.UnixMilli())}
	names := map[string]string{}
	if with.Progress != nil {
		set += ", #progress = :progress"
		values[":progress"] = str(toJSON(with.Progress))
		names["#progress"] = attrProgress
	}
	if with.State != nil {
		set += ", #state = :state"
		values[":state"] = str(string(with.State))
		names["#state"] = attrState
	}
	row, err := t.fenced(ctx, r, set, values, names)
	if err != nil {
		return nil, fmt.Errorf("renew the lease of task %s: %w", r.ID, err)
	}
	row.Charged = r.Charged
	return row, nil
}

// heldCondition says that a claim is still ours and not settled. Beside the
// fence it takes both: a deferral is settled and running, the release of a
// task whose worker vanished is neither.
const heldCondition = "fence = :fence AND settled < :fence AND #status = :running"

// fenced updates the row of a claim that must still be ours and not settled.
func (t *Table) fenced(ctx context.Context, r *Row, set string, values item, names map[string]string) (*Row, error) {
	values[":fence"], values[":running"] = num(r.Fence), str(string(task.Running))
	names["#status"] = attrStatus
	a := t.executeOne(ctx, statement{id: r.ID, update: &dynamodb.UpdateItemInput{
		UpdateExpression: &set, ConditionExpression: aws.String(heldCondition),
		ExpressionAttributeNames: names, ExpressionAttributeValues: values,
	}})
	switch {
	case a.err != nil:
		return nil, a.err
	case !a.done:
		return nil, ErrLost
	default:
		return a.row, nil
	}
}
