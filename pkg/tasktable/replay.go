package tasktable

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/spillway-go/spillway/pkg/task"
)

// Replay queues a dead-lettered or failed task, or one whose lease lapsed,
// again for the given run, which must be above the row's. It reports whether
// the task now waits in that run, by this call or by an earlier one whose
// answer was lost; a task that succeeded, expired or was canceled stays as it is.
func (t *Table) Replay(ctx context.Context, id string, run int) (bool, error) {
	a := t.executeOne(ctx, t.replayStatement(ReplayRequest{ID: id, Run: run}, time.Now(), 0))
	if a.err != nil {
		return false, fmt.Errorf("replay: %w", a.err)
	}
	return a.done || a.row != nil && a.row.Run == run && a.row.Status == task.Queued, nil
}

// ReplayRequest asks for one task to run again.
type ReplayRequest struct {
	ID     string
	Run    int    // to be its run then; must be above the row's
	PlanID string // of the plan that the replay belongs to; never empty
	// Tenant, Type and After are what a message says of its task: a task that is
	// another tenant's, of another type, or not in the run After, is left alone.
	// Empty and 0 mean any.
	Tenant, Type string
	After        int
	// MaxReplays leaves a task alone that was replayed so often. 0 means no bound.
	MaxReplays int
}

// Replayed is what became of a [ReplayRequest].
type Replayed struct {
	// Done says that the plan has queued the task in that run, by this call
	// or by an earlier one whose answer was lost. A worker may have begun or
	// ended it since; the row says.
	Done bool
	// Row is the task as it is now, and says why it was not replayed. nil if it
	// is Absent, or unknown.
	Row *Row
	// Absent: the table has answered that there is no such task. The zero
	// Replayed says nothing.
	Absent bool
	// Err: the table did not answer. The replay may have taken effect.
	Err error
}

// ReplayFor queues one task again as part of a plan: see [Table.ReplayAll].
func (t *Table) ReplayFor(ctx context.Context, r ReplayRequest) Replayed {
	if err := r.check(); err != nil {
		return Replayed{Err: err}
	}
	if !isID(r.ID) {
		return Replayed{Absent: true}
	}
	return r.replayed(t.executeOne(ctx, t.replayStatement(r, time.Now(), 0)), time.Now())
}

// ReplayAll queues dead-lettered and failed tasks again, and running ones
// whose lease lapsed: one call for 25 of them. The row of each names the plan from then on, for as long as it stays in that run, so
// that a plan whose answers were lost can be sent again: no task is queued
// twice for one run. A task that is past its deadline stays what it is, since
// it would expire, and then nobody could ever replay it.
func (t *Table) ReplayAll(ctx context.Context, requests []ReplayRequest) []Replayed {
	out := make([]Replayed, len(requests))
	pending, replays := make([]int, 0, len(requests)), make([]int, len(requests))
	var alone []int
	seen := make(map[string]bool, len(requests))
	for i, r := range requests {
		out[i].Err = r.check()
		if out[i].Absent = !isID(r.ID); out[i].Err != nil || out[i].Absent {
			continue
		}
		replays[i] = max(r.Run-2, 0) // as if each run before had been a replay
		// A batch takes each key once, and names a number of replays that may be
		// too high to ask for.
		if seen[r.ID] || r.MaxReplays > 0 && replays[i] >= r.MaxReplays {
			alone = append(alone, i)
			continue
		}
		seen[r.ID], pending = true, append(pending, i)
	}
	// PartiQL cannot count up what may be missing, so a statement names the
	// replays before it. The answer says how many there were.
	for try := 0; len(pending) > 0 && try < 2; try++ {
		now := time.Now()
		statements := make([]statement, len(pending))
		for n, i := range pending {
			statements[n] = t.replayStatement(requests[i], now, replays[i])
		}
		var again []int
		for n, a := range t.execute(ctx, statements) {
			i := pending[n]
			if out[i] = requests[i].replayed(a, now); out[i].open(requests[i], now) {
				replays[i] = out[i].Row.Replays
				again = append(again, i)
			}
		}
		pending = again
	}
	// Those left have a lapsed lease, which takes an OR, or changed meanwhile.
	for _, i := range append(pending, alone...) {
		out[i] = t.ReplayFor(ctx, requests[i])
	}
	return out
}

func (r ReplayRequest) check() error {
	if r.PlanID == "" {
		return fmt.Errorf("replay task %s: %w", r.ID, ErrNoPlan)
	}
	return nil
}

// replayed is the answer to a request.
func (r ReplayRequest) replayed(a answer, now time.Time) Replayed {
	if a.err != nil {
		return Replayed{Err: fmt.Errorf("replay: %w", a.err)}
	}
	if a.row == nil || !a.done && a.row.gone(now.UnixMilli()) {
		return Replayed{Done: a.done, Absent: !a.done}
	}
	return Replayed{Done: a.done || a.row.Run == r.Run && a.row.PlanID == r.PlanID, Row: a.row}
}

// open reports whether the task was refused and may be replayed all the same.
func (r Replayed) open(to ReplayRequest, now time.Time) bool {
	row, ms := r.Row, now.UnixMilli()
	switch {
	case r.Done || row == nil || row.Run >= to.Run || row.Deadline <= ms,
		to.Tenant != "" && row.Tenant != to.Tenant, to.Type != "" && row.Type != to.Type, to.After > 0 && row.Run != to.After,
		to.MaxReplays > 0 && row.Replays >= to.MaxReplays:
		return false
	}
	return listed(row.Status) || row.Status == task.Running && !row.leased(ms)
}

// replayStatement is the write of a replay. In a batch it takes only what is
// dead-lettered or failed and was replayed as often as given before.
func (t *Table) replayStatement(r ReplayRequest, now time.Time, replays int) statement {
	set := "SET #status=:queued, #run=:run, fence=fence+:one, settled=fence+:one, attempts=:zero, " +
		"replays=if_not_exists(replays,:zero)+:one, claimable_at=:zero"
	remove := " REMOVE finished_at, #error, #result, result_ref, #history, #failure, failure_shard, failure_key"
	condition := "#run < :run AND (#status IN (:dead, :failed) OR (#status = :running AND claimable_at < :now))"
	values := item{
		":queued": str(string(task.Queued)), ":run": num(r.Run), ":one": num(1), ":zero": num(0), ":now": num(now.UnixMilli()),
		":dead": str(string(task.DeadLettered)), ":failed": str(string(task.Failed)), ":running": str(string(task.Running)),
	}
	if r.PlanID == "" { // the worker's, which has seen to the deadline
		remove += ", plan_id"
	} else {
		set, condition = set+", plan_id=:plan", condition+" AND deadline > :now"
		values[":plan"] = str(r.PlanID)
	}
	seen, params := `"replays" IS MISSING`, []types.AttributeValue{
		num(r.Run), num(replays + 1), str(r.PlanID), str(r.ID), num(r.Run), num(now.UnixMilli()),
	}
	if replays > 0 {
		seen, params = `"replays"=?`, append(params, num(replays))
	}
	names := map[string]string{
		"#status": attrStatus, "#run": attrRun, "#error": attrError, "#result": attrResult, "#history": attrHistory, "#failure": attrFailure,
	}
	if r.Tenant != "" {
		shard := str(tenantShard(r.Tenant, r.ID))
		seen, params = seen+` AND "tenant_shard"=?`, append(params, shard)
		condition, values[":shard"] = condition+" AND tenant_shard = :shard", shard
	}
	if r.Type != "" {
		seen, params = seen+` AND "type"=?`, append(params, str(r.Type))
		condition, values[":type"], names["#type"] = condition+" AND #type = :type", str(r.Type), attrType
	}
	if r.After > 0 {
		seen, params = seen+` AND "run"=?`, append(params, num(r.After))
		condition, values[":after"] = condition+" AND #run = :after", num(r.After)
	}
	if r.MaxReplays > 0 {
		condition, values[":max"] = condition+" AND (attribute_not_exists(replays) OR replays < :max)", num(r.MaxReplays)
	}
	return statement{
		id: r.ID,
		// settled reads fence before fence is written, see expireStatement.
		sql: `UPDATE "` + t.name + `" SET "status"='queued' SET "run"=? SET "settled"="fence"+1 SET "fence"="fence"+1 SET "attempts"=0 ` +
			`SET "replays"=? SET "claimable_at"=0 SET "plan_id"=? REMOVE "finished_at" REMOVE "error" REMOVE "result" REMOVE "result_ref" ` +
			`REMOVE "history" REMOVE "failure" REMOVE "failure_shard" REMOVE "failure_key" ` +
			`WHERE "id"=? AND "run"<? AND "status" IN ['dead_lettered','failed'] AND "deadline">? AND ` + seen + ` RETURNING ALL NEW *`,
		params: params,
		update: &dynamodb.UpdateItemInput{
			UpdateExpression: aws.String(set + remove), ConditionExpression: &condition,
			ExpressionAttributeNames:  names,
			ExpressionAttributeValues: values,
		},
	}
}
