package tasktable

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/spillway-go/spillway/pkg/task"
)

// listed reports whether tasks in a state are in the index of failures. It is
// sparse: other rows lack its keys and cost it nothing.
func listed(s task.Status) bool { return s == task.Failed || s == task.DeadLettered }

// failureShard is the partition of the index of failures that a task is in.
func failureShard(s task.Status, id string) string { return string(s) + "#" + shardOf(id) }

// failureKey orders the failures of one partition: by fingerprint, then by time.
func failureKey(fingerprint string, at time.Time) string {
	return fmt.Sprintf("%s#%013d", fingerprint, at.UnixMilli())
}

func parseFailureKey(key string) (fingerprint string, at time.Time) {
	fingerprint, text, _ := strings.Cut(key, "#")
	ms, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return fingerprint, time.Time{}
	}
	return fingerprint, time.UnixMilli(ms).UTC()
}

// FailureQuery selects failures to list.
type FailureQuery struct {
	Status      task.Status // [task.DeadLettered] or [task.Failed]
	Fingerprint string      // any when empty
	Limit       int         // Defaults to 1000.
	Cursor      string      // of the page before; from the beginning when empty
}

// FailureEntry is a failed task as the index of failures has it.
type FailureEntry struct {
	ID          string
	Type        string
	Tenant      string
	Fingerprint string
	Run         int
	At          time.Time // when it failed
}

// FailurePage is a part of the index of failures.
type FailurePage struct {
	Entries []FailureEntry
	// Cursor is the FailureQuery.Cursor of the next page; empty on the last one.
	Cursor string
}

// Failures returns a page of the tasks that are in a failed state and were
// settled with [Settlement.Explained]: one partition of the index after the
// other, in each by fingerprint and then by time. The index is eventually
// consistent, and an entry says what was true when it was written: whoever acts
// on it makes the write conditional.
func (t *Table) Failures(ctx context.Context, q FailureQuery) (FailurePage, error) {
	if !listed(q.Status) {
		return FailurePage{}, fmt.Errorf("list failures: %q is not a state of failures", q.Status)
	}
	at, err := parseCursor(q.Cursor)
	if err != nil {
		return FailurePage{}, fmt.Errorf("list failures: %w", err)
	}
	limit := cmp.Or(max(q.Limit, 0), 1000)
	var page FailurePage
	for at.shard < shards {
		out, err := t.client.Query(ctx, t.failureQuery(q, at, limit-len(page.Entries)))
		if err != nil {
			return FailurePage{}, fmt.Errorf("list failures: %w", err)
		}
		for _, it := range out.Items {
			fingerprint, failedAt := parseFailureKey(text(it, attrFailureKey))
			page.Entries = append(page.Entries, FailureEntry{
				ID: text(it, attrID), Type: text(it, attrType), Tenant: tenantOf(text(it, attrTenantShard)),
				Fingerprint: fingerprint, Run: int(number(it, attrRun)), At: failedAt,
			})
		}
		at = at.after(out.LastEvaluatedKey)
		if len(page.Entries) >= limit {
			break
		}
	}
	if at.shard < shards {
		page.Cursor = at.String()
	}
	return page, nil
}

func (t *Table) failureQuery(q FailureQuery, at cursor, limit int) *dynamodb.QueryInput {
	shard := str(string(q.Status) + "#" + strconv.Itoa(at.shard))
	in := &dynamodb.QueryInput{
		TableName: &t.name, IndexName: aws.String(failureIndex), Limit: aws.Int32(int32(min(limit, 1<<20))), //nolint:gosec // bounded just here
		KeyConditionExpression:    aws.String("failure_shard = :shard"),
		ExpressionAttributeValues: item{":shard": shard},
	}
	if q.Fingerprint != "" {
		in.KeyConditionExpression = aws.String("failure_shard = :shard AND begins_with(failure_key, :fingerprint)")
		in.ExpressionAttributeValues[":fingerprint"] = str(q.Fingerprint + "#")
	}
	if at.id != "" {
		in.ExclusiveStartKey = item{attrID: str(at.id), attrFailureShard: shard, attrFailureKey: str(at.key)}
	}
	return in
}

// cursor is a place in the index of failures: behind the entry with this id and
// key, or at the beginning of a shard.
type cursor struct {
	shard   int
	key, id string
}

func (c cursor) String() string { return strconv.Itoa(c.shard) + "/" + c.key + "/" + c.id }

// after is the place behind the last key that a query evaluated.
func (c cursor) after(last map[string]types.AttributeValue) cursor {
	if len(last) == 0 {
		return cursor{shard: c.shard + 1}
	}
	return cursor{shard: c.shard, key: text(last, attrFailureKey), id: text(last, attrID)}
}

func parseCursor(s string) (cursor, error) {
	if s == "" {
		return cursor{}, nil
	}
	parts := strings.Split(s, "/")
	if len(parts) != 3 || (parts[1] == "") != (parts[2] == "") {
		return cursor{}, ErrCursor
	}
	shard, err := strconv.Atoi(parts[0])
	if err != nil || shard < 0 || shard >= shards {
		return cursor{}, ErrCursor
	}
	return cursor{shard: shard, key: parts[1], id: parts[2]}, nil
}

// Unlist takes dead-lettered tasks out of the index of failures, for as long as
// their dead letters are put aside: one call for 25 of them. One that is not
// dead-lettered in that run, whose letter is another one then, is no error. Of an
// entry only ID and Run count.
func (t *Table) Unlist(ctx context.Context, entries []FailureEntry) []error {
	return t.relisted(ctx, "unlist", idsOf(entries), func(i int) statement {
		e := entries[i]
		return statement{
			id:     e.ID,
			sql:    `UPDATE "` + t.name + `" REMOVE "failure_shard" REMOVE "failure_key" WHERE "id"=? AND "status"='dead_lettered' AND "run"=? RETURNING ALL NEW *`,
			params: []types.AttributeValue{str(e.ID), num(e.Run)},
			update: &dynamodb.UpdateItemInput{
				UpdateExpression: aws.String("REMOVE failure_shard, failure_key"), ConditionExpression: aws.String("#status = :dead AND #run = :run"),
				ExpressionAttributeNames:  map[string]string{"#status": attrStatus, "#run": attrRun},
				ExpressionAttributeValues: item{":dead": str(string(task.DeadLettered)), ":run": num(e.Run)},
			},
		}
	})
}

func idsOf(entries []FailureEntry) []string {
	ids := make([]string, len(entries))
	for i, e := range entries {
		ids[i] = e.ID
	}
	return ids
}

// Relist puts dead-lettered tasks that [Table.Unlist] took out back into the
// index of failures, unless they have changed since: one call for 25 of them.
// One that is not dead-lettered in that run is no error; of two entries of one
// task, the first counts.
func (t *Table) Relist(ctx context.Context, entries []FailureEntry) []error {
	return t.relisted(ctx, "relist", idsOf(entries), func(i int) statement {
		e := entries[i]
		shard, key := str(failureShard(task.DeadLettered, e.ID)), str(failureKey(e.Fingerprint, e.At))
		return statement{
			id:     e.ID,
			sql:    `UPDATE "` + t.name + `" SET "failure_shard"=? SET "failure_key"=? WHERE "id"=? AND "status"='dead_lettered' AND "run"=? RETURNING ALL NEW *`,
			params: []types.AttributeValue{shard, key, str(e.ID), num(e.Run)},
			update: &dynamodb.UpdateItemInput{
				UpdateExpression: aws.String("SET failure_shard = :shard, failure_key = :key"), ConditionExpression: aws.String("#status = :dead AND #run = :run"),
				ExpressionAttributeNames:  map[string]string{"#status": attrStatus, "#run": attrRun},
				ExpressionAttributeValues: item{":dead": str(string(task.DeadLettered)), ":run": num(e.Run), ":shard": shard, ":key": key},
			},
		}
	})
}

// relisted runs one statement for each task, which may refuse. What no task
// can be called is left out, and so is a repetition: a batch takes each key once.
func (t *Table) relisted(ctx context.Context, what string, ids []string, of func(int) statement) []error {
	errs := make([]error, len(ids))
	var statements []statement
	var index []int
	seen := map[string]bool{}
	for i, id := range ids {
		if isID(id) && !seen[id] {
			seen[id] = true
			statements, index = append(statements, of(i)), append(index, i)
		}
	}
	for n, a := range t.execute(ctx, statements) {
		if a.err != nil {
			errs[index[n]] = fmt.Errorf("%s: %w", what, a.err)
		}
	}
	return errs
}
