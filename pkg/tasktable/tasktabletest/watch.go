package tasktabletest

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/spillway-go/spillway/internal/ddbfake"
	"github.com/spillway-go/spillway/pkg/tasktable"
)

const shardName = "tenant_shard" // which rows have, and other items have not

// Watch calls f with each row that is written from now on, as it is after that
// write and before the next one: no state of a task escapes it. f must not use
// the table. nil ends it.
func (d *DynamoDB) Watch(f func(*tasktable.Row)) {
	if f == nil {
		d.DB.Watch(nil)
		return
	}
	d.DB.Watch(func(c ddbfake.Change) {
		if c.New[shardName] == nil {
			return // removed, or not a row
		}
		if r := rowOf(c.New, c.Item); r != nil {
			f(r)
		}
	})
}

// Row returns a row as it is stored, where a reader would write it as expired
// first; nil if there is none, or its retention is over.
func (d *DynamoDB) Row(id string) (r *tasktable.Row) {
	d.View("", func(read func(ddbfake.Item) ddbfake.Item) { r = rowOf(read(keyOf(id)), read) })
	return r
}

// rowOf reads a row as package tasktable does, with its result.
func rowOf(it ddbfake.Item, read func(ddbfake.Item) ddbfake.Item) *tasktable.Row {
	if it == nil {
		return nil
	}
	r, err := tasktable.New(still{read: read}, "", nil).GetConsistent(context.Background(), idOf(it))
	if err != nil {
		return nil
	}
	return r
}

// still is a table in which nothing can be written.
type still struct {
	tasktable.API // nil: nothing else is called

	read func(ddbfake.Item) ddbfake.Item
}

func (s still) GetItem(_ context.Context, in *dynamodb.GetItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error) {
	return &dynamodb.GetItemOutput{Item: s.read(in.Key)}, nil
}

var errStill = errors.New("nothing can be written")

func (s still) UpdateItem(context.Context, *dynamodb.UpdateItemInput, ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error) {
	return nil, errStill
}
