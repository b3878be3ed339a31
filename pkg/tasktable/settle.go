package tasktable

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/spillway-go/spillway/pkg/task"
)

// Settlement is how a claim ends. Make one with [Succeed], [Fail], [Retry],
// [DeadLetter], [Cancel], [Expired], [Release], [Yield] or [Defer]. All but
// Expired, Release and Yield count an attempt, unless it was charged before.
type Settlement struct {
	row         *Row
	at          time.Time
	to          task.Status
	attempts    int
	settled     int64
	result      json.RawMessage
	failure     *task.Failure
	claimableAt int64
	report      json.RawMessage
	fingerprint string
	// unlessCanceled makes the settlement a cancel when one was requested.
	unlessCanceled bool
}

// Uncounted is the settlement without the attempt that it would count, for a
// task that was not begun.
func (s Settlement) Uncounted() Settlement {
	s.attempts = s.row.uncounted()
	return s
}

// settlement is what all of them share.
func settlement(r *Row, to task.Status) Settlement {
	return Settlement{row: r, at: time.Now(), to: to, attempts: r.Counted(), settled: r.Fence, claimableAt: Never}
}

// Explained is a [Fail] or [DeadLetter] whose row says more than its error: the
// failure record, as JSON, and the fingerprint under which [Table.Failures]
// lists the task (see [task.Fingerprint]). Other settlements stay as they are.
func (s Settlement) Explained(fingerprint string, report json.RawMessage) Settlement {
	if listed(s.to) {
		s.fingerprint, s.report = fingerprint, report
	}
	return s
}

// History are the latest failed attempts of this run, at most 10, the one that
// the settlement counts included. An attempt whose worker vanished is not
// among them: nobody was left to say when it ended.
func (s Settlement) History() []task.Attempt {
	h := s.row.History
	if s.failure != nil && s.attempts == s.row.Counted() {
		h = append(slices.Clone(h), task.Attempt{Attempt: s.attempts, At: task.At(s.at), Code: s.failure.Code})
	}
	return h[max(0, len(h)-maxHistory):]
}

// At is when the settlement was made, which is what it writes as the time of
// the end and of the attempt.
func (s Settlement) At() time.Time { return s.at }

// Row is the claimed row that the settlement ends.
func (s Settlement) Row() *Row { return s.row }

// Wait is how long the settlement keeps the task from being claimed again.
func (s Settlement) Wait() time.Duration {
	return max(time.Until(time.UnixMilli(s.claimableAt)), 0)
}

// To is the state that the settlement asks for.
func (s Settlement) To() task.Status { return s.to }

// Succeed records a result.
func Succeed(r *Row, result json.RawMessage) Settlement {
	s := settlement(r, task.Succeeded)
	s.result = result
	return s
}

// Fail records a permanent failure; canceled instead, if that was requested.
func Fail(r *Row, f task.Failure) Settlement { return failed(r, task.Failed, f) }

// Retry queues the task for another attempt, not to be claimed before at;
// canceled instead, if that was requested.
func Retry(r *Row, f task.Failure, at time.Time) Settlement {
	s := failed(r, task.Queued, f)
	s.claimableAt = at.UnixMilli()
	return s
}

// DeadLetter records that the message went to the dead-letter queue; canceled
// instead, if that was requested.
func DeadLetter(r *Row, f task.Failure) Settlement { return failed(r, task.DeadLettered, f) }

func failed(r *Row, to task.Status, f task.Failure) Settlement {
	s := settlement(r, to)
	s.failure, s.unlessCanceled = &f, true
	return s
}

// Cancel ends a task whose cancel was requested.
func Cancel(r *Row) Settlement { return settlement(r, task.Canceled) }

// Expired ends a claimed task that is past its deadline and was not begun.
func Expired(r *Row) Settlement { return settlement(r, task.Expired).Uncounted() }

// Release hands a task back that was claimed but not begun: it may be claimed
// again at once, and no attempt is counted, not even one that was charged. If
// a worker vanished before, the row goes on saying so.
func Release(r *Row) Settlement {
	s := settlement(r, task.Queued).Uncounted()
	s.claimableAt = 0
	if r.Vanished() {
		s.settled = r.Settled
	}
	return s
}

// Yield queues a task that goes on from its checkpoint: it may be claimed again
// at once, and no attempt is counted, not even one that was charged. It becomes
// canceled instead, if that was requested. Its worker is alive, so unlike
// [Release] it takes the mark of one that vanished before off the row.
func Yield(r *Row) Settlement {
	s := settlement(r, task.Queued).Uncounted()
	s.claimableAt, s.unlessCanceled = 0, true
	return s
}

// Defer keeps the task running until somebody else completes it.
func Defer(r *Row) Settlement { return settlement(r, task.Running) }

// Settled is what became of a settlement.
type Settled struct {
	// Status is the state that was written: what the settlement asked for, or
	// canceled.
	Status task.Status
	// Lost says that somebody newer owns the task; nothing was written. Now
	// is the row as they left it (nil if it is gone).
	Lost bool
	Now  *Row
	// Err: the table did not answer. The settlement may have taken effect.
	Err error
}

// Settle ends claims: one call for all of them, conditional on the fence of
// each, and on that fence not having settled yet: the first settlement of a
// claim counts, so one whose answer was lost can be sent again. Settling again
// with the same outcome changes nothing and is answered like the first time;
// with another outcome it is lost. A result too large for the row is written
// first, as an item of its own; [ErrTooLarge] if it does not fit there either.
func (t *Table) Settle(ctx context.Context, settlements []Settlement) []Settled {
	settled := make([]Settled, len(settlements))
	var statements []statement
	var index []int
	for i := range settlements {
		st, err := t.settleStatement(ctx, &settlements[i])
		if err != nil {
			settled[i].Err = fmt.Errorf("settle task %s: %w", settlements[i].row.ID, err)
			continue
		}
		statements, index = append(statements, st), append(index, i)
	}
	var canceled []int
	for n, a := range t.execute(ctx, statements) {
		i := index[n]
		s := settlements[i]
		switch {
		case a.err != nil:
			settled[i].Err = a.err
		case a.done:
			settled[i].Status = s.to
		case s.stands(a.row):
			settled[i].Status = a.row.Status
		case s.unlessCanceled && a.row != nil && a.row.Fence == s.row.Fence && a.row.held() && a.row.CancelRequested:
			canceled = append(canceled, i)
		default:
			settled[i].Lost, settled[i].Now = true, a.row
		}
	}
	if len(canceled) == 0 {
		return settled
	}
	cancels := make([]Settlement, len(canceled))
	for n, i := range canceled {
		cancels[n] = Cancel(settlements[i].row)
		cancels[n].attempts = settlements[i].attempts
	}
	for n, s := range t.Settle(ctx, cancels) {
		settled[canceled[n]] = s
	}
	return settled
}

// stands reports whether a row shows that s was written before, by a try whose
// answer was lost.
func (s Settlement) stands(r *Row) bool {
	return r != nil && r.Fence == s.row.Fence && r.Settled == s.settled &&
		(r.Status == s.to || s.unlessCanceled && r.Status == task.Canceled)
}

// assignment is one SET of a settlement.
type assignment struct {
	name  string
	value types.AttributeValue
}

// settleStatement writes a settlement in both forms. All values are literal,
// so that a repetition after a lost answer writes the same.
func (t *Table) settleStatement(ctx context.Context, s *Settlement) (statement, error) {
	set := []assignment{
		{attrStatus, str(string(s.to))}, {attrSettled, num(s.settled)}, {attrClaimableAt, num(s.claimableAt)},
	}
	if s.attempts != s.row.Attempts {
		set = append(set, assignment{attrAttempts, num(s.attempts)})
	}
	if s.to.Finished() {
		set = append(set, assignment{attrFinishedAt, num(s.at.UnixMilli())})
	}
	if s.to.Finished() || s.to == task.Running {
		set = append(set, assignment{attrExpiresAt, num(t.expiry(s).Unix())})
	}
	if s.failure != nil {
		set = append(set, assignment{attrError, str(toJSON(s.failure))})
		if h := s.History(); len(h) > 0 {
			set = append(set, assignment{attrHistory, str(toJSON(h))})
		}
	}
	if s.report != nil {
		set = append(set, assignment{attrFailure, str(string(s.report))})
	}
	if s.fingerprint != "" {
		set = append(set, assignment{attrFailureShard, str(failureShard(s.to, s.row.ID))}, assignment{attrFailureKey, str(failureKey(s.fingerprint, s.at))})
	}
	if s.result != nil {
		a, err := t.placeResult(ctx, s)
		if err != nil {
			return statement{}, err
		}
		set = append(set, a)
	}
	return t.fencedStatement(s, set, time.Now()), nil
}

// expiry is until when the row is kept. That of a deferred task has to do for
// its end as well: whoever writes that does not know how long rows are kept.
func (t *Table) expiry(s *Settlement) time.Time {
	kept := t.opts.Retention
	if !listed(s.to) && s.to != task.Running {
		return s.at.Add(kept)
	}
	// As long as a dead letter can be replayed, and then up to its end.
	expires := s.at.Add(max(kept, minFailedRetention))
	if due := time.UnixMilli(s.row.Deadline).Add(kept); due.After(expires) {
		expires = due
	}
	return expires
}

// placeResult decides where a result goes: the row, or an item of its own,
// which is then written.
func (t *Table) placeResult(ctx context.Context, s *Settlement) (assignment, error) {
	if s.row.size+rowReserve+len(s.result) <= rowLimit {
		return assignment{attrResult, str(string(s.result))}, nil
	}
	// The fence in its name keeps a late worker from overwriting the result
	// of a newer one.
	ref := s.row.ID + "#result-" + strconv.FormatInt(s.row.Fence, 10)
	if err := t.putData(ctx, ref, s.result, s.at.Add(t.opts.Retention).Unix()); err != nil {
		return assignment{}, err
	}
	return assignment{attrResultRef, str(ref)}, nil
}

func (t *Table) fencedStatement(s *Settlement, set []assignment, now time.Time) statement {
	var sql, expression strings.Builder
	sql.WriteString(`UPDATE "` + t.name + `"`)
	expression.WriteString("SET ")
	params := make([]types.AttributeValue, 0, len(set)+4)
	names, values := make(map[string]string, len(set)), make(item, len(set)+2)
	for i, a := range set {
		sql.WriteString(` SET "` + a.name + `"=?`)
		params = append(params, a.value)
		if i > 0 {
			expression.WriteString(", ")
		}
		n := strconv.Itoa(i)
		expression.WriteString("#" + n + "=:" + n)
		names["#"+n], values[":"+n] = a.name, a.value
	}
	where, condition := ` WHERE "id"=? AND "fence"=? AND "settled"<? AND "status"='running'`, heldCondition
	params = append(params, str(s.row.ID), num(s.row.Fence), num(s.row.Fence))
	values[":fence"], values[":running"] = num(s.row.Fence), str(string(task.Running))
	names["#status"] = attrStatus
	if s.unlessCanceled {
		where += ` AND "cancel_requested" IS MISSING`
		condition += " AND attribute_not_exists(cancel_requested)"
	}
	if s.to == task.Running { // a deferral needs the lease as well
		where += ` AND "claimable_at">?`
		condition += " AND claimable_at > :now"
		params = append(params, num(now.UnixMilli()))
		values[":now"] = num(now.UnixMilli())
	}
	sql.WriteString(where + ` RETURNING ALL NEW *`)
	e := expression.String()
	return statement{id: s.row.ID, sql: sql.String(), params: params, update: &dynamodb.UpdateItemInput{
		UpdateExpression: &e, ConditionExpression: &condition,
		ExpressionAttributeNames: names, ExpressionAttributeValues: values,
	}}
}

// IsTooLarge reports whether a settlement failed because its result does not
// fit into the table.
func (s Settled) IsTooLarge() bool { return errors.Is(s.Err, ErrTooLarge) }
