package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	cryptorand "crypto/rand"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/spillway-go/spillway/pkg/task"
)

// memory is how long an injector remembers that there is no fault. [Store.Set]
// waits for as long.
const memory = time.Second

// Injector makes handlers fail as was set. A nil *Injector is switched off. It
// is safe for concurrent use.
type Injector struct {
	api   API
	table string
	opts  Options

	mu      sync.Mutex
	rand    *rand.Rand
	quiets  map[Target]time.Time // until when there is no fault, as far as is known
	unheard bool                 // the table did not answer the last time
}

// New returns an injector for the faults of a [Store]'s table. It makes no call
// yet.
func New(client API, table string, opts *Options) *Injector {
	o := opts.withDefaults()
	return &Injector{api: client, table: table, opts: o, rand: rand.New(o.Rand), quiets: map[Target]time.Time{}}
}

// At returns middleware for a [task.Mux] or a step of a saga: a handler inside
// of it fails as was set for the target, and is called otherwise. It belongs
// outermost, since other middleware may turn a panic, or an error of Lambda's
// own name, into something else. At a nil Injector it returns the handler
// itself.
func (i *Injector) At(target Target) task.Middleware {
	return func(next task.Handler) task.Handler { return i.wrap(target, next) }
}

func (i *Injector) wrap(target Target, next task.Handler) task.Handler {
	if i == nil {
		return next
	}
	return func(ctx context.Context, payload json.RawMessage) (json.RawMessage, error) {
		a := i.draw(ctx, target, payload)
		if a == nil {
			return next(ctx, payload)
		}
		i.opts.Logger.WarnContext(ctx, "fault injected", slog.String("target", string(target)), slog.String("fault", string(a.Fault)))
		return i.inject(ctx, a, payload, next)
	}
}

// draw returns the fault that hits this call, or nil.
func (i *Injector) draw(ctx context.Context, target Target, payload json.RawMessage) *Active {
	// Without the monotonic clock, which may stand still while an environment is
	// frozen between two calls.
	began := time.Now().Round(0)
	if i.isQuiet(target, began) {
		return nil
	}
	a, hits, err := i.ask(ctx, target, i.opts.Execution(payload))
	i.heard(ctx, target, err)
	switch {
	case err != nil:
		// Waiting for a table that is away must not slow every call down.
		i.quiet(target, time.Now().Round(0))
	case a == nil:
		i.quiet(target, began)
	case hits:
		return a
	}
	return nil
}

// ask looks for a fault, and draws whether it hits this call. Without one that
// could hit a call of the target, of any execution, it returns nil.
func (i *Injector) ask(ctx context.Context, target Target, execution string) (a *Active, hits bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, i.opts.StoreTimeout)
	defer cancel()
	all, err := i.faultsOf(ctx, target)
	if len(all) == 0 || err != nil {
		return nil, false, err
	}
	n := slices.IndexFunc(all, func(a *Active) bool { return execution != "" && a.Execution == execution })
	if n < 0 {
		n = slices.IndexFunc(all, func(a *Active) bool { return a.Execution == "" })
	}
	if n < 0 {
		return all[0], false, nil
	}
	a = all[n]
	if a.Rate > 0 {
		return a, i.chance() < a.Rate, nil
	}
	hits, err = i.take(ctx, a)
	return a, hits, err
}

// faultsOf returns the faults of a target that may hit calls. One that cannot be
// read is an error: it may be the one that was meant.
func (i *Injector) faultsOf(ctx context.Context, target Target) (all []*Active, err error) {
	in := &dynamodb.QueryInput{
		TableName: &i.table, ConsistentRead: aws.Bool(true), KeyConditionExpression: aws.String("pk = :pk AND sk BETWEEN :from AND :to"),
		// What may follow a name is greater than $, which comes after #.
		ExpressionAttributeValues: item{":pk": str(partition), ":from": str(string(target)), ":to": str(string(target) + "$")},
	}
	for {
		out, err := i.api.Query(ctx, in)
		if err != nil {
			return nil, fmt.Errorf("read the faults of %s: %w", target, err)
		}
		for _, it := range out.Items {
			a, err := decode(it)
			if err != nil {
				return nil, err
			}
			if !a.spent(time.Now()) {
				all = append(all, a)
			}
		}
		if in.ExclusiveStartKey = out.LastEvaluatedKey; len(in.ExclusiveStartKey) == 0 {
			return all, nil
		}
	}
}

// take counts this call as one that is hit, if there is one left. The client
// repeats a call whose answer was lost: the nonce keeps it from being counted
// again, and tells that it was.
func (i *Injector) take(ctx context.Context, a *Active) (bool, error) {
	nonce := cryptorand.Text()
	_, err := i.api.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &i.table, Key: keyOf(a.Target, a.Execution),
		UpdateExpression:    aws.String("SET times_left = times_left - :one ADD hits :hits"),
		ConditionExpression: aws.String("set_id = :set AND times_left > :none AND NOT contains(hits, :hit)"),
		ExpressionAttributeValues: item{
			":one": num(1), ":none": num(0), ":set": str(a.id), ":hit": str(nonce), ":hits": &types.AttributeValueMemberSS{Value: []string{nonce}},
		},
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	if failed, ok := errors.AsType[*types.ConditionalCheckFailedException](err); ok {
		return counted(failed.Item, nonce), nil
	}
	if err != nil {
		return false, fmt.Errorf("count a hit of the fault of %s: %w", a.Target, err)
	}
	return true, nil
}

func counted(it item, nonce string) bool {
	hits, ok := it[attrHits].(*types.AttributeValueMemberSS)
	return ok && slices.Contains(hits.Value, nonce)
}

func (i *Injector) chance() float64 {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.rand.Float64()
}

func (i *Injector) isQuiet(target Target, now time.Time) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	left := i.quiets[target].Sub(now)
	return left > 0 && left <= memory // more than that, and the clock was set back
}

// quiet remembers for a while that there was no fault.
func (i *Injector) quiet(target Target, at time.Time) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.quiets[target] = at.Add(memory)
}

// heard logs that the table does not answer, the first time in a row.
func (i *Injector) heard(ctx context.Context, target Target, err error) {
	i.mu.Lock()
	first := err != nil && !i.unheard
	i.unheard = err != nil
	i.mu.Unlock()
	if first {
		i.opts.Logger.ErrorContext(ctx, "faults not known, none injected", slog.String("target", string(target)), slog.Any("error", err))
	}
}
