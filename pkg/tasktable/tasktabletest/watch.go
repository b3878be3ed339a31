package tasktabletest

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/spillway-go/spillway/pkg/tasktable"
)

// Watch calls f with each row that is written from now on, as it is after that
// write and before the next one: no state of a task escapes it. f must not use
// the table. nil ends it.
func (d *DynamoDB) Watch(f func(*tasktable.Row)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.watch = f
}

// Row returns a row as it is stored, where a reader would write it as expired
// first; nil if there is none, or its retention is over.
func (d *DynamoDB) Row(id string) *tasktable.Row {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.row(context.Background(), d.items[id])
}

// watched tells whoever watches what was written. mu must be held.
func (d *DynamoDB) watched(ctx context.Context, it item) {
	if d.watch == nil || it[shardName] == nil {
		return // nobody, or not a row
	}
	if r := d.row(ctx, it); r != nil {
		d.watch(r)
	}
}

// row reads a row as package tasktable does, with its result. mu must be held.
func (d *DynamoDB) row(ctx context.Context, it item) *tasktable.Row {
	if it == nil {
		return nil
	}
	r, err := tasktable.New(still{items: d.items}, "", nil).GetConsistent(ctx, keyOf(it))
	if err != nil {
		return nil
	}
	return r
}

// still is a table in which nothing can be written.
type still struct {
	tasktable.API // nil: nothing else is called

	items map[string]item
}

func (s still) GetItem(_ context.Context, in *dynamodb.GetItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error) {
	return &dynamodb.GetItemOutput{Item: s.items[keyOf(in.Key)]}, nil
}

var errStill = errors.New("nothing can be written")

func (s still) UpdateItem(context.Context, *dynamodb.UpdateItemInput, ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error) {
	return nil, errStill
}
