package tasktable

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"golang.org/x/sync/errgroup"

	"github.com/spillway-go/spillway/pkg/task"
)

// Get reads a task with its result. It reads eventually consistent first, for
// half the price; a miss is read again strongly consistent, so a task that was
// just created is found. A task past its deadline that nobody works on is
// written as expired on the way. [ErrNotFound] when there is none, or its
// retention is over.
func (t *Table) Get(ctx context.Context, id string) (*Row, error) {
	r, err := t.read(ctx, id, false)
	if err != nil {
		return nil, err
	}
	if r == nil {
		if r, err = t.read(ctx, id, true); err != nil {
			return nil, err
		}
	}
	return t.look(ctx, id, r)
}

// GetConsistent is [Table.Get] with one strongly consistent read.
func (t *Table) GetConsistent(ctx context.Context, id string) (*Row, error) {
	r, err := t.read(ctx, id, true)
	if err != nil {
		return nil, err
	}
	return t.look(ctx, id, r)
}

// look is what a reader does with one row, which may be nil: beside what all
// readers do, it fetches a result that lies elsewhere.
func (t *Table) look(ctx context.Context, id string, r *Row) (*Row, error) {
	rows := t.current(ctx, []*Row{r})
	if len(rows) == 0 {
		return nil, fmt.Errorf("task %s: %w", id, ErrNotFound)
	}
	r = rows[0]
	if r.Status == task.Succeeded && r.Result == nil && r.ResultRef != "" {
		data, err := t.data(ctx, r.ResultRef)
		if err != nil {
			return nil, fmt.Errorf("result of task %s: %w", id, err)
		}
		r.Result = data
	}
	return r, nil
}

func (t *Table) read(ctx context.Context, id string, consistent bool) (*Row, error) {
	if !isID(id) {
		return nil, nil // not the id of a task: nothing to ask for
	}
	out, err := t.client.GetItem(ctx, &dynamodb.GetItemInput{TableName: &t.name, Key: key(id), ConsistentRead: &consistent})
	if err != nil {
		return nil, fmt.Errorf("read task %s: %w", id, err)
	}
	return parseRow(out.Item), nil
}

// data reads an item of its own, written before the row that refers to it.
func (t *Table) data(ctx context.Context, ref string) (json.RawMessage, error) {
	for _, consistent := range []bool{false, true} {
		out, err := t.client.GetItem(ctx, &dynamodb.GetItemInput{TableName: &t.name, Key: key(ref), ConsistentRead: &consistent})
		if err != nil {
			return nil, err
		}
		if data := raw(out.Item, attrData); data != nil {
			return data, nil
		}
	}
	return nil, fmt.Errorf("item %s: %w", ref, ErrNotFound)
}

// Input returns the task's input, wherever it lies.
func (t *Table) Input(ctx context.Context, r *Row) (json.RawMessage, error) {
	if r.InputRef == "" {
		return r.Input, nil
	}
	data, err := t.data(ctx, r.InputRef)
	if err != nil {
		return nil, fmt.Errorf("input of task %s: %w", r.ID, err)
	}
	return data, nil
}

// lapse writes an overdue row as expired and returns the row as it is then:
// the write makes sure that no late worker turns it into something else. When
// the table refuses, the row is returned as it was.
func (t *Table) lapse(ctx context.Context, r *Row) *Row {
	a := t.executeOne(ctx, statement{id: r.ID, update: &dynamodb.UpdateItemInput{
		UpdateExpression:         aws.String("SET #status=:expired, settled=:fence, fence=:fence, claimable_at=:never, finished_at=deadline"),
		ConditionExpression:      aws.String("fence=:seen AND claimable_at=:claimable AND #status=:status"),
		ExpressionAttributeNames: map[string]string{"#status": attrStatus},
		ExpressionAttributeValues: item{
			":expired": str(string(task.Expired)), ":fence": num(r.Fence + 1), ":never": num(Never),
			":seen": num(r.Fence), ":claimable": num(r.ClaimableAt), ":status": str(string(r.Status)),
		},
	}})
	if a.err != nil {
		return r
	}
	return a.row // as we wrote it, or as somebody else did before us
}

// Query selects tasks to list.
type Query struct {
	Tenant string
	Type   string      // any when empty
	Status task.Status // any when empty
	Limit  int         // 1 to 100
	Before string      // only ids below this one; from the newest when empty
}

// Page is a part of a listing, newest first.
type Page struct {
	Rows []*Row
	// Next is the Query.Before of the next page; empty on the last one.
	Next string
}

// maxExamined bounds the rows that one page of a filtered listing looks at.
const maxExamined = 500

// List returns a page of a tenant's tasks, newest first. The index behind it is
// eventually consistent and keys-only; rows are read by id. With a filter a
// page looks at no more than 500 rows, so it may be short or empty and still
// have a Next. Results that lie in an item of their own are left out.
func (t *Table) List(ctx context.Context, q Query) (Page, error) {
	q.Limit = min(max(q.Limit, 1), 100)
	chunk := q.Limit
	if q.Type != "" || q.Status != "" {
		chunk = 100
	}
	var page Page
	for examined := 0; examined < maxExamined; {
		ids, err := t.newest(ctx, q.Tenant, q.Before, chunk+1)
		if err != nil {
			return Page{}, fmt.Errorf("list tasks: %w", err)
		}
		more := len(ids) > chunk
		ids = ids[:min(len(ids), chunk)]
		rows, err := t.rows(ctx, ids)
		if err != nil {
			return Page{}, fmt.Errorf("list tasks: %w", err)
		}
		for i, id := range ids {
			if r := rows[id]; r != nil && r.Tenant == q.Tenant && (q.Type == "" || r.Type == q.Type) && (q.Status == "" || r.Status == q.Status) {
				page.Rows = append(page.Rows, r)
			}
			if len(page.Rows) == q.Limit {
				if more || i < len(ids)-1 {
					page.Next = id
				}
				return page, nil
			}
		}
		if !more {
			return page, nil
		}
		examined += len(ids)
		q.Before = ids[len(ids)-1]
		chunk = 100 // few of these were wanted; look at more at a time
	}
	page.Next = q.Before
	return page, nil
}

// newest merges the newest n ids below before of all shards of a tenant.
func (t *Table) newest(ctx context.Context, tenant, before string, n int) ([]string, error) {
	if before == "" {
		before = "~" // above every ULID
	}
	var found [shards][]string
	g, ctx := errgroup.WithContext(ctx)
	for s := range shards {
		g.Go(func() error {
			out, err := t.client.Query(ctx, &dynamodb.QueryInput{
				TableName: &t.name, IndexName: aws.String(tenantIndex), ScanIndexForward: aws.Bool(false),
				Limit:                  aws.Int32(int32(n)), //nolint:gosec // a page and one, at most 101
				KeyConditionExpression: aws.String("tenant_shard = :shard AND id < :before"),
				ExpressionAttributeValues: item{
					":shard": str(tenant + "#" + strconv.Itoa(s)), ":before": str(before),
				},
			})
			if err != nil {
				return err
			}
			for _, it := range out.Items {
				found[s] = append(found[s], text(it, attrID))
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	all := slices.Concat(found[:]...)
	slices.SortFunc(all, func(a, b string) int { return strings.Compare(b, a) })
	return all[:min(len(all), n)], nil
}

// maxKeys is DynamoDB's limit for one BatchGetItem.
const maxKeys = 100

// Rows reads many rows by id: one call for 100 of them, eventually consistent.
// Overdue ones are written as expired on the way, as by [Table.Get]. What there
// is no task for, or none any more, is not in the answer. Results that lie in
// an item of their own are left out.
func (t *Table) Rows(ctx context.Context, ids []string) (map[string]*Row, error) {
	known := make([]string, 0, len(ids))
	for _, id := range slices.Sorted(slices.Values(ids)) {
		if (len(known) == 0 || known[len(known)-1] != id) && isID(id) {
			known = append(known, id)
		}
	}
	all := make(map[string]*Row, len(known))
	for chunk := range slices.Chunk(known, maxKeys) {
		rows, err := t.rows(ctx, chunk)
		if err != nil {
			return nil, fmt.Errorf("read tasks: %w", err)
		}
		maps.Copy(all, rows)
	}
	return all, nil
}

// rows reads up to 100 rows by id, as every reader sees them.
func (t *Table) rows(ctx context.Context, ids []string) (map[string]*Row, error) {
	rows := make(map[string]*Row, len(ids))
	if len(ids) == 0 {
		return rows, nil
	}
	keys := make([]item, len(ids))
	for i, id := range ids {
		keys[i] = key(id)
	}
	for try := 0; len(keys) > 0; try++ {
		if try == statementTries {
			return nil, fmt.Errorf("%d rows are still unread after %d tries: the table is throttled", len(keys), try)
		}
		if try > 0 {
			if err := pause(ctx, try); err != nil {
				return nil, err
			}
		}
		out, err := t.client.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{
			RequestItems: map[string]types.KeysAndAttributes{t.name: {Keys: keys}},
		})
		if err != nil {
			return nil, err
		}
		read := make([]*Row, 0, len(keys))
		for _, it := range out.Responses[t.name] {
			read = append(read, parseRow(it))
		}
		for _, r := range t.current(ctx, read) {
			rows[r.ID] = r
		}
		keys = out.UnprocessedKeys[t.name].Keys
	}
	return rows, nil
}

// lapsesAtOnce is how many overdue rows one reader writes as expired at a
// time: after an outage a listing may have a page full of them.
const lapsesAtOnce = 10

// current is what every reader makes of the rows that it has read: overdue
// ones are written as expired, and those that are gone, or nil, are left out.
func (t *Table) current(ctx context.Context, rows []*Row) []*Row {
	now := time.Now().UnixMilli()
	var g errgroup.Group
	g.SetLimit(lapsesAtOnce)
	for i, r := range rows {
		if r != nil && r.overdue(now) {
			g.Go(func() error {
				rows[i] = t.lapse(ctx, r)
				return nil
			})
		}
	}
	_ = g.Wait() // no lapse fails
	return slices.DeleteFunc(rows, func(r *Row) bool { return r == nil || r.gone(now) })
}
