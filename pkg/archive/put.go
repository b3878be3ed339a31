package archive

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/spillway-go/spillway/pkg/internal/sleep"
)

// Put stores an item unless there is one with its group and id: what is there
// stays as it is. stored says whether this call has stored it; it may be false
// after a call whose answer was lost. Either way the archive has it when the
// error is nil. It is safe to repeat.
func (a *Archive) Put(ctx context.Context, it Item) (stored bool, err error) {
	object, err := a.outsource(ctx, &it)
	if err != nil {
		return false, fmt.Errorf("archive the data of %s/%s: %w", it.Group, it.ID, err)
	}
	out, err := a.tables.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: &a.table, Item: it.attributes(object),
		ConditionExpression:                 aws.String("attribute_not_exists(#pk) OR #expires <= :now"),
		ExpressionAttributeNames:            map[string]string{"#pk": attrGroup, "#expires": attrExpiresAt},
		ExpressionAttributeValues:           attributes{":now": num(time.Now().Unix())},
		ReturnValues:                        types.ReturnValueAllOld,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	if failed, ok := errors.AsType[*types.ConditionalCheckFailedException](err); ok {
		if object != "" && text(failed.Item, attrObject) == object { // it was the first try of this very call
			return true, nil
		}
		if failed.Item != nil { // else nobody knows what it points to
			a.forget(ctx, object)
		}
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("archive %s/%s: %w", it.Group, it.ID, err)
	}
	a.forget(ctx, text(out.Attributes, attrObject)) // of an item whose time was over
	return true, nil
}

// PutAll stores items with 25 of them to a call, and returns one outcome for
// each. Unlike [Archive.Put] it overwrites what is there, so it is for ids that
// nobody else uses, and it is safe to repeat. Of several items with the same
// group and id the last is stored.
func (a *Archive) PutAll(ctx context.Context, items []Item) []error {
	errs := make([]error, len(items))
	last := map[[2]string]int{} // by key; the others share its outcome
	for i, it := range items {
		last[[2]string{it.Group, it.ID}] = i
	}
	var b batch
	for i := range items {
		it := &items[i]
		if last[[2]string{it.Group, it.ID}] != i {
			continue
		}
		object, err := a.outsource(ctx, it)
		if err != nil {
			errs[i] = fmt.Errorf("archive the data of %s/%s: %w", it.Group, it.ID, err)
			continue
		}
		request := types.WriteRequest{PutRequest: &types.PutRequest{Item: it.attributes(object)}}
		if b.full(len(it.Data)) {
			a.write(ctx, &b, errs)
		}
		b.add(request, i, it)
	}
	a.write(ctx, &b, errs)
	for i, it := range items {
		errs[i] = errs[last[[2]string{it.Group, it.ID}]]
	}
	return errs
}

// maxBatchBytes bounds the data of one BatchWriteItem, which may have 16 MB.
const maxBatchBytes = 8 << 20

// batch gathers the writes of one call.
type batch struct {
	requests []types.WriteRequest
	index    map[[2]string]int // of the item, by key
	bytes    int
}

func (b *batch) full(more int) bool {
	return len(b.requests) == maxBatch || len(b.requests) > 0 && b.bytes+more > maxBatchBytes
}

func (b *batch) add(r types.WriteRequest, i int, it *Item) {
	if b.index == nil {
		b.index = map[[2]string]int{}
	}
	b.requests = append(b.requests, r)
	b.index[[2]string{it.Group, it.ID}] = i
	b.bytes += len(it.Data)
}

// write makes the call for a batch, and calls again for what DynamoDB leaves
// over. It empties the batch.
func (a *Archive) write(ctx context.Context, b *batch, errs []error) {
	requests, index := b.requests, b.index
	*b = batch{}
	var err error
	for attempt := 1; len(requests) > 0 && err == nil; attempt++ {
		var out *dynamodb.BatchWriteItemOutput
		out, err = a.tables.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{a.table: requests}})
		if err != nil {
			break
		}
		if requests = out.UnprocessedItems[a.table]; len(requests) == 0 {
			return
		}
		if attempt == a.opts.Attempts {
			err = fmt.Errorf("DynamoDB left it over %d times", attempt)
			break
		}
		err = pause(ctx, attempt)
	}
	for _, r := range requests {
		key := [2]string{text(r.PutRequest.Item, attrGroup), text(r.PutRequest.Item, attrID)}
		errs[index[key]] = fmt.Errorf("archive %s/%s: %w", key[0], key[1], err)
	}
}

// pause waits before the attempt after attempt: full jitter up to 50 ms,
// doubling.
func pause(ctx context.Context, attempt int) error {
	return sleep.For(ctx, rand.N(50*time.Millisecond<<min(attempt-1, 6)+1))
}

// SetMeta changes what an item's meta says and leaves out the rest of it. An
// empty value removes a name. [ErrNotFound] when there is no such item.
func (a *Archive) SetMeta(ctx context.Context, group, id string, meta map[string]string) error {
	if len(meta) == 0 {
		return nil
	}
	in := &dynamodb.UpdateItemInput{
		TableName: &a.table, Key: keyOf(group, id), ConditionExpression: aws.String("attribute_exists(#pk)"),
		ExpressionAttributeNames: map[string]string{"#pk": attrGroup, "#meta": attrMeta},
	}
	set, remove := "", ""
	n := 0
	for name, value := range meta {
		alias := strconv.Itoa(n)
		n++
		in.ExpressionAttributeNames["#m"+alias] = name
		if value == "" {
			remove += ", #meta.#m" + alias
			continue
		}
		if in.ExpressionAttributeValues == nil {
			in.ExpressionAttributeValues = attributes{}
		}
		in.ExpressionAttributeValues[":m"+alias] = str(value)
		set += ", #meta.#m" + alias + " = :m" + alias
	}
	in.UpdateExpression = aws.String(clause("SET ", set) + clause(" REMOVE ", remove))
	_, err := a.tables.UpdateItem(ctx, in)
	if _, absent := errors.AsType[*types.ConditionalCheckFailedException](err); absent {
		return fmt.Errorf("%s/%s: %w", group, id, ErrNotFound)
	}
	if err != nil {
		return fmt.Errorf("change %s/%s: %w", group, id, err)
	}
	return nil
}

// clause is a part of an update expression, of a list that begins with a comma.
func clause(word, list string) string {
	if list == "" {
		return ""
	}
	return word + list[len(", "):]
}
