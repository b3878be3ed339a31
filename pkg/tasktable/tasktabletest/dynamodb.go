package tasktabletest

import (
	"context"
	"maps"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/spillway-go/spillway/pkg/internal/ddbfake"
	"github.com/spillway-go/spillway/pkg/tasktable"
)

// DynamoDB is an in-memory table with the key and the indexes of a task table,
// behind the calls that package tasktable makes. It follows AWS in what code
// can see: conditions and the items that come with failed ones, an UPDATE
// statement that never creates, keys that a batch must not repeat, limits of
// batches and items, expression names and values that must all be used. It
// does not remove items by TTL (which takes AWS days as well) and does not
// know capacity. Whatever a table is called, it is this one.
// Safe for concurrent use.
type DynamoDB struct {
	mu     sync.Mutex
	items  map[string]item
	calls  map[string]int
	inject func(Call) Fault
	watch  func(*tasktable.Row)
}

var _ tasktable.API = (*DynamoDB)(nil)

// NewDynamoDB returns an empty table.
func NewDynamoDB() *DynamoDB {
	return &DynamoDB{items: map[string]item{}, calls: map[string]int{}}
}

// NewTable returns an empty task table in memory, on a [DynamoDB] of its own.
func NewTable(opts *tasktable.Options) *tasktable.Table {
	return tasktable.New(NewDynamoDB(), "tasks", opts)
}

// Item returns the stored item with this key as it is; nil if there is none.
func (d *DynamoDB) Item(id string) map[string]types.AttributeValue {
	d.mu.Lock()
	defer d.mu.Unlock()
	return maps.Clone(d.items[id])
}

// Delete removes an item, as TTL does in the end.
func (d *DynamoDB) Delete(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.items, id)
}

// PutItem implements [tasktable.API].
func (d *DynamoDB) PutItem(ctx context.Context, in *dynamodb.PutItemInput, _ ...func(*dynamodb.Options)) (out *dynamodb.PutItemOutput, err error) {
	defer ddbfake.Guard(&err)
	id := keyOf(in.Item)
	p := ddbfake.NewParser(in.ExpressionAttributeNames, in.ExpressionAttributeValues)
	where := p.Condition(in.ConditionExpression)
	p.Unused()
	ddbfake.CheckSize(in.Item)
	fault, err := d.enter(ctx, "PutItem", id)
	if err != nil {
		return nil, err
	}
	_, err = d.write(ctx, id, where, in.ReturnValuesOnConditionCheckFailure, func(item) item { return maps.Clone(in.Item) })
	if fault.Err != nil {
		return nil, fault.Err
	}
	if err != nil {
		return nil, err
	}
	return &dynamodb.PutItemOutput{}, nil
}

// UpdateItem implements [tasktable.API]. It creates an item that is absent,
// unless a condition forbids it.
func (d *DynamoDB) UpdateItem(ctx context.Context, in *dynamodb.UpdateItemInput, _ ...func(*dynamodb.Options)) (out *dynamodb.UpdateItemOutput, err error) {
	defer ddbfake.Guard(&err)
	id := keyOf(in.Key)
	p := ddbfake.NewParser(in.ExpressionAttributeNames, in.ExpressionAttributeValues)
	where := p.Condition(in.ConditionExpression)
	u := p.Update(in.UpdateExpression, keyName)
	p.Unused()
	fault, err := d.enter(ctx, "UpdateItem", id)
	if err != nil {
		return nil, err
	}
	it, err := d.write(ctx, id, where, in.ReturnValuesOnConditionCheckFailure, func(old item) item { return applied(u, id, old) })
	if fault.Err != nil {
		return nil, fault.Err
	}
	if err != nil {
		return nil, err
	}
	out = &dynamodb.UpdateItemOutput{}
	if in.ReturnValues == types.ReturnValueAllNew {
		out.Attributes = it
	}
	return out, nil
}

// applied is an item as an update leaves it.
func applied(u *ddbfake.Update, id string, old item) item {
	it := u.Apply(item{keyName: &types.AttributeValueMemberS{Value: id}}, old)
	ddbfake.CheckSize(it)
	return it
}

// enter is the beginning of every call: a context that is over, then the
// fault. The error is what to answer at once.
func (d *DynamoDB) enter(ctx context.Context, operation string, ids ...string) (Fault, error) {
	if err := ctx.Err(); err != nil {
		return Fault{}, err
	}
	fault := d.begin(operation, ids...)
	if fault.Err != nil && !fault.AfterEffect {
		return fault, fault.Err
	}
	return fault, ctx.Err()
}

// write replaces an item if a condition holds, and returns the new one.
func (d *DynamoDB) write(ctx context.Context, id string, where ddbfake.Condition, onFailure types.ReturnValuesOnConditionCheckFailure, change func(item) item) (item, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	old := d.items[id]
	if !where(old) {
		failed := &types.ConditionalCheckFailedException{Message: aws.String("The conditional request failed")}
		if onFailure == types.ReturnValuesOnConditionCheckFailureAllOld {
			failed.Item = maps.Clone(old)
		}
		return nil, failed
	}
	it := change(old)
	d.items[id] = it
	d.watched(ctx, it)
	return maps.Clone(it), nil
}
