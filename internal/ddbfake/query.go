package ddbfake

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/spillway-go/spillway/internal/ddbfake/expr"
)

// maxPage is how many bytes a Query or a Scan reads, before the filter
// (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Query.Pagination.html).
const maxPage = 1 << 20

// reader is what Query and Scan have in common.
type reader struct {
	t          *table
	v          *view
	consistent bool
	where      expr.Condition
	filter     expr.Condition
	part       func(Item) Item
	count      bool // no items are wanted
	limit      int
	after      *place
}

// page is what a reader found.
type page struct {
	items          []map[string]types.AttributeValue
	count, scanned int32
	last           Item
	bytes          int
}

// view finds the table or the index that is read.
func (t *table) view(index *string, consistent *bool) *view {
	if index == nil {
		return t.main
	}
	for _, v := range t.indexes {
		if v.index == *index {
			if aws.ToBool(consistent) {
				expr.Fail("Consistent reads are not supported on global secondary indexes")
			}
			return v
		}
	}
	expr.Fail("The table does not have the specified index: %s", *index)
	return nil
}

// behind makes the reader go on behind a key.
func (r *reader) behind(start Item) {
	if start == nil {
		return
	}
	start = expr.Canonical(start)
	at, here := r.v.place("", start)
	if !here || len(start) != len(r.v.keys) {
		expr.Fail("The provided starting key is invalid")
	}
	for _, name := range r.v.keys {
		if start[name] == nil {
			expr.Fail("The provided starting key is invalid")
		}
	}
	if r.v.index != "" {
		at.id = idOf(r.t, start)
	}
	r.after = &at
}

// selected refuses a Select that does not fit, and reports whether items are
// wanted.
func (r *reader) selected(what types.Select, projection *string) {
	r.count = what == types.SelectCount
	if what == types.SelectAllAttributes && r.v.project != nil {
		expr.Fail("One or more parameter values were invalid: Select type ALL_ATTRIBUTES is not supported for global secondary index %s because its projection type is not ALL", r.v.index)
	}
	if projection != nil && what != "" && what != types.SelectSpecificAttributes {
		expr.Fail("Cannot specify the ProjectionExpression when choosing to get %s", what)
	}
}

func (r *reader) limited(limit *int32) {
	if limit != nil && *limit < 1 {
		expr.Fail("1 validation error detected: Value '%d' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1", *limit)
	}
	r.limit = int(aws.ToInt32(limit))
}

// checkValue refuses a value that a key cannot have.
func (v *view) checkValue(key string, value types.AttributeValue) {
	k := v.rng
	if key == v.hash.Name {
		k = v.hash
	}
	if kindOf(value) != k.kind() {
		expr.Fail("One or more parameter values were invalid: Condition parameter type does not match schema type")
	}
	if expr.ValueSize(value) == 0 {
		expr.Fail("One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: %s", key)
	}
	checkKeySize(value, key == v.hash.Name)
}

// read reads a page. mu must be held.
func (d *DB) read(r *reader, hash *string, forward bool) (p page, cost charge, err error) {
	if d.chance(d.opts.Throttles) {
		return p, cost, throttled()
	}
	v := r.v
	if v == r.t.main {
		v = d.source(r.t, r.consistent)
	} else {
		v.settle(time.Now())
	}
	v.walk(hash, r.after, forward, func(it Item) bool {
		if !r.where(it) {
			return true
		}
		p.bytes += expr.Size(it)
		p.scanned++
		if r.filter(it) {
			p.count++
			if !r.count {
				p.items = append(p.items, r.part(it))
			}
		}
		// Also when this is the last item, as on AWS: the next page is empty.
		if full := int(p.scanned) == r.limit || p.bytes > maxPage; full {
			p.last = r.v.keysOf(it)
			return false
		}
		return true
	})
	cost = charge{r.t, r.v, aws.ToString(hash), reading(p.bytes, r.consistent)}
	return p, cost, d.afford(cost)
}

// Query reads items of one hash key in the order of their range keys, up to
// 1 MB at a time.
func (d *DB) Query(ctx context.Context, in *dynamodb.QueryInput, _ ...func(*dynamodb.Options)) (out *dynamodb.QueryOutput, err error) {
	defer guard(&err)
	t := d.table(in.TableName)
	r := &reader{t: t, v: t.view(in.IndexName, in.ConsistentRead), consistent: aws.ToBool(in.ConsistentRead)}
	p := parser(in.ExpressionAttributeNames, in.ExpressionAttributeValues)
	value, where := p.KeyCondition(in.KeyConditionExpression, r.v.hash.Name, r.v.rng.Name, r.v.checkValue)
	r.where = where
	r.filter = p.Filter(in.FilterExpression, names(r.v.hash, r.v.rng)...)
	r.part = p.Projection(in.ProjectionExpression)
	p.Unused()
	r.selected(in.Select, in.ProjectionExpression)
	r.limited(in.Limit)
	r.behind(in.ExclusiveStartKey)
	hash := expr.Sortable(value)
	if r.after != nil && r.after.hash != hash {
		expr.Fail("The provided starting key is outside query boundaries based on provided conditions")
	}
	fault, err := d.enter(ctx, "Query")
	if err != nil {
		return nil, err
	}
	if fault.Stale && !r.consistent {
		return &dynamodb.QueryOutput{}, fault.Err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	found, cost, err := d.read(r, &hash, in.ScanIndexForward == nil || *in.ScanIndexForward)
	if err != nil {
		return nil, err
	}
	return &dynamodb.QueryOutput{
		Items: found.items, Count: found.count, ScannedCount: found.scanned, LastEvaluatedKey: found.last,
		ConsumedCapacity: consumedOne(in.ReturnConsumedCapacity, []charge{cost}),
	}, fault.Err
}

// Scan reads all items, up to 1 MB at a time, in the order of the hashes of
// their keys.
func (d *DB) Scan(ctx context.Context, in *dynamodb.ScanInput, _ ...func(*dynamodb.Options)) (out *dynamodb.ScanOutput, err error) {
	defer guard(&err)
	t := d.table(in.TableName)
	if in.Segment != nil || in.TotalSegments != nil {
		expr.Fail("segments are not simulated")
	}
	r := &reader{t: t, v: t.view(in.IndexName, in.ConsistentRead), consistent: aws.ToBool(in.ConsistentRead)}
	p := parser(in.ExpressionAttributeNames, in.ExpressionAttributeValues)
	r.where, r.filter = p.Condition(nil), p.Filter(in.FilterExpression)
	r.part = p.Projection(in.ProjectionExpression)
	p.Unused()
	r.selected(in.Select, in.ProjectionExpression)
	r.limited(in.Limit)
	r.behind(in.ExclusiveStartKey)
	fault, err := d.enter(ctx, "Scan")
	if err != nil {
		return nil, err
	}
	if fault.Stale && !r.consistent {
		return &dynamodb.ScanOutput{}, fault.Err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	found, cost, err := d.read(r, nil, true)
	if err != nil {
		return nil, err
	}
	return &dynamodb.ScanOutput{
		Items: found.items, Count: found.count, ScannedCount: found.scanned, LastEvaluatedKey: found.last,
		ConsumedCapacity: consumedOne(in.ReturnConsumedCapacity, []charge{cost}),
	}, fault.Err
}
