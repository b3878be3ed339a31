package chaos

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/spillway-go/spillway/pkg/internal/sleep"
)

// Store sets faults. It is safe for concurrent use.
type Store struct {
	api   StoreAPI
	table string
}

// NewStore returns a store in a table with the keys pk and sk, both strings,
// and a TTL on expires_at. It uses the items whose pk is "chaos".
func NewStore(client StoreAPI, table string) *Store { return &Store{api: client, table: table} }

// Set sets a fault in place of the one that its target, or the target's calls of
// its execution, may have, and returns
// when it holds for every call that begins: after a second, for which injectors
// may remember that there was none. A setting that cannot be meant is
// [ErrInvalid]. After another error the fault may be set all the same, and Set
// can be repeated.
func (s *Store) Set(ctx context.Context, q Setting) (*Active, error) {
	if err := q.validate(); err != nil {
		return nil, err
	}
	a := &Active{
		Target: q.Target, Execution: q.Execution, Fault: q.Fault, Rate: q.Rate, TimesLeft: q.Times, Latency: q.Latency, By: q.By,
		Until: time.UnixMilli(time.Now().Add(cmp.Or(q.For, DefaultFor)).UnixMilli()), id: rand.Text(),
	}
	if _, err := s.api.PutItem(ctx, &dynamodb.PutItemInput{TableName: &s.table, Item: a.item()}); err != nil {
		return nil, fmt.Errorf("set the fault of %s: %w", q.Target, err)
	}
	if err := sleep.For(ctx, memory); err != nil {
		return nil, fmt.Errorf("the fault of %s is set, and may not hold everywhere for a second: %w", q.Target, err)
	}
	return a, nil
}

// Clear ends the faults of a target, of all targets if it is empty, and returns
// those that had one. Calls that have begun may still be hit.
func (s *Store) Clear(ctx context.Context, target Target) ([]Target, error) {
	return s.clear(ctx, func(t Target, _ string) bool { return target == "" || t == target })
}

// ClearExecution does so for the faults that are limited to one execution.
func (s *Store) ClearExecution(ctx context.Context, execution string) ([]Target, error) {
	return s.clear(ctx, func(_ Target, of string) bool { return of != "" && of == execution })
}

func (s *Store) clear(ctx context.Context, match func(t Target, execution string) bool) ([]Target, error) {
	var keys []item
	err := s.walk(ctx, func(it item) error {
		if t, execution := cutKey((&reader{it: it}).text(attrSort)); match(t, execution) {
			keys = append(keys, keyOf(t, execution))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var cleared []Target
	for _, key := range keys {
		t, _ := cutKey((&reader{it: key}).text(attrSort))
		out, err := s.api.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &s.table, Key: key, ReturnValues: types.ReturnValueAllOld})
		if err != nil {
			return cleared, fmt.Errorf("clear the fault of %s: %w", t, err)
		}
		// One that cannot be read was one all the same.
		a, err := decode(out.Attributes)
		if len(out.Attributes) > 0 && (err != nil || time.Now().Before(a.Until)) && !slices.Contains(cleared, t) {
			cleared = append(cleared, t)
		}
	}
	return cleared, nil
}

// List returns the faults whose time is not over, by target, those included
// that have hit all their calls.
func (s *Store) List(ctx context.Context) ([]Active, error) {
	var found []Active
	err := s.walk(ctx, func(it item) error {
		a, err := decode(it)
		if err == nil && time.Now().Before(a.Until) {
			found = append(found, *a)
		}
		return err
	})
	return found, err
}

// walk calls each for all items: one for a target, and for each execution with a
// fault of its own.
func (s *Store) walk(ctx context.Context, each func(item) error) error {
	in := &dynamodb.QueryInput{
		TableName: &s.table, ConsistentRead: aws.Bool(true), KeyConditionExpression: aws.String("pk = :pk"),
		ExpressionAttributeValues: item{":pk": str(partition)},
	}
	for {
		out, err := s.api.Query(ctx, in)
		if err != nil {
			return fmt.Errorf("list faults: %w", err)
		}
		for _, it := range out.Items {
			if err := each(it); err != nil {
				return err
			}
		}
		if in.ExclusiveStartKey = out.LastEvaluatedKey; len(in.ExclusiveStartKey) == 0 {
			return nil
		}
	}
}
