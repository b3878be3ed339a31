package tasktable

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/spillway-go/spillway/pkg/event"
)

// FromImage reads a row from an image of it in the table's stream: the task as
// that write left it, whatever it has become since. [ErrNotFound] for an image
// of something else, such as an input in an item of its own, and for an empty
// one; [event.ErrMalformed] for what DynamoDB cannot have written.
func FromImage(image event.Image) (*Row, error) {
	if image == "" {
		return nil, fmt.Errorf("an empty image: %w", ErrNotFound)
	}
	// A row consists of strings and numbers, and so does what parseRow asks for.
	var attributes map[string]struct{ S, N *string }
	if err := json.Unmarshal([]byte(image), &attributes); err != nil {
		return nil, fmt.Errorf("%w: an image of a task: %w", event.ErrMalformed, err)
	}
	it := make(item, len(attributes))
	for name, v := range attributes {
		switch {
		case v.S != nil:
			it[name] = str(*v.S)
		case v.N != nil:
			it[name] = &types.AttributeValueMemberN{Value: *v.N}
		}
	}
	r := parseRow(it)
	if r == nil {
		return nil, fmt.Errorf("an image of no task: %w", ErrNotFound)
	}
	return r, nil
}

// Result returns the task's result, wherever it lies; nil without one.
// [ErrNotFound] when it lay in an item of its own, which is not kept any more.
func (t *Table) Result(ctx context.Context, r *Row) (json.RawMessage, error) {
	if r.ResultRef == "" {
		return r.Result, nil
	}
	data, err := t.data(ctx, r.ResultRef)
	if err != nil {
		return nil, fmt.Errorf("result of task %s: %w", r.ID, err)
	}
	return data, nil
}
