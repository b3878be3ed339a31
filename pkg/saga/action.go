package saga

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// ActionOption tunes an [Action].
type ActionOption func(*actionOptions)

type actionOptions struct{ outside bool }

// Outside is for actions that have effects outside of DynamoDB, in fn itself:
// the ledger then says that the action was started before fn is called. A
// compensation that comes while the action may still run, which is until the
// invocation's deadline, fails and is tried again; after that it is called with
// no Result. So the compensation's [Retry] has to last longer than the action's
// function may take. fn has to hand Key and Step on as the idempotency key. Of attempts
// that overlap, the last one is recorded; the others fail. A [Business] error is
// one only of fn, and only when no other attempt may be at it: what fn has done is
// not undone by a write that is refused.
func Outside() ActionOption { return func(o *actionOptions) { o.outside = true } }

// Action makes a step's Lambda handler of a typed function. The function says
// what to write, and the handler writes it, once for each saga: in one
// transaction with a record of the step, which must not exist yet.
//
//   - Called again, it answers what it answered before, whatever fn says. (fn may
//     be called, since a record is only read when it is in the way; without
//     [Outside] fn must have no effect but its writes.)
//   - A crash before the transaction leaves nothing, one after it leaves all.
//   - After its compensation, even one that came before it, it refuses with
//     [ErrCompensated]: the compensation leaves a record as well.
//   - What the business refused is recorded too, before it is answered. The
//     machine does not compensate it, so an earlier attempt that is still under
//     way, and that nobody waits for any more, must not do it after all.
//
// Errors of [Business], of fn or of a write's condition, carry their code as
// errorType; a panic is "panic"; all others, such as a table that does not
// answer, are tried again by the state machine. The good path is one call of
// DynamoDB.
func Action[In, Out any](l *Ledger, fn func(context.Context, Call[In]) (Effect[Out], error), opts ...ActionOption) Handler {
	var o actionOptions
	for _, opt := range opts {
		opt(&o)
	}
	return func(ctx context.Context, raw json.RawMessage) (json.RawMessage, error) {
		result, err := guard(func() (json.RawMessage, error) {
			call, _, err := parse[In](raw)
			if err != nil {
				return nil, err
			}
			return act(ctx, l, call, fn, o.outside)
		})
		if err != nil {
			return nil, asLambda(ctx, err)
		}
		return result, nil
	}
}

func parse[In any](raw json.RawMessage) (Call[In], payload, error) {
	var p payload
	if err := json.Unmarshal(raw, &p); err != nil {
		return Call[In]{}, p, invalid("the payload is no call of a step: %w", err)
	}
	if p.TaskID == "" || p.Run < 1 || p.Key == "" || p.Step == "" {
		return Call[In]{}, p, invalid("the payload lacks task_id, run, key or step")
	}
	c := Call[In]{TaskID: p.TaskID, Run: p.Run, Key: p.Key, Step: p.Step, Results: p.Results}
	// Fields that are not known are let through: the task was checked when it was
	// accepted, and its saga may outlive a deployment.
	if err := json.Unmarshal(p.Input, &c.Input); err != nil {
		return c, p, invalid("the input is not what %s takes: %w", p.Step, err)
	}
	return c, p, nil
}

func act[In, Out any](ctx context.Context, l *Ledger, c Call[In], fn func(context.Context, Call[In]) (Effect[Out], error), outside bool) (json.RawMessage, error) {
	var from record
	if outside {
		var err error
		if from, err = l.begin(ctx, c.Key, c.Step, deadline(ctx)); err != nil {
			return answered(err)
		}
	}
	effect, err := fn(ctx, c)
	if b, ok := errors.AsType[businessError](err); ok {
		return refuse(ctx, l, c.Key, c.Step, from, b)
	}
	if err != nil {
		return afterError(ctx, l, c.Key, c.Step, err)
	}
	result, err := json.Marshal(effect.Result)
	if err != nil {
		return nil, fmt.Errorf("encode the result: %w", err)
	}
	if len(result) > MaxResult {
		return nil, fmt.Errorf("the result has %d bytes: at most %d are carried on", len(result), MaxResult)
	}
	err = l.commit(ctx, l.move(c.Key, c.Step, record{state: done, result: string(result)}, from), effect.Writes)
	if err == nil {
		return result, nil
	}
	if b, ok := errors.AsType[businessError](err); ok {
		if !outside {
			return refuse(ctx, l, c.Key, c.Step, from, b)
		}
		err = errors.New("a write is refused after the effect outside: " + b.Error()) // no Business: not wrapped
	}
	before, err := answered(err)
	if outside && err != nil {
		slog.ErrorContext(ctx, "an effect outside is not recorded", slog.String("saga", c.Key), slog.String("step", c.Step), slog.Any("error", err))
	}
	return before, err
}

// answered is what an action answers whose record was in the way.
func answered(err error) (json.RawMessage, error) {
	conflict, ok := errors.AsType[*conflictError](err)
	if !ok {
		return nil, err
	}
	switch conflict.now.state {
	case done:
		return json.RawMessage(conflict.now.result), nil
	case undone:
		return nil, ErrCompensated
	case refused:
		var f failure
		if err := json.Unmarshal([]byte(conflict.now.result), &f); err != nil {
			return nil, fmt.Errorf("the recorded refusal: %w", err)
		}
		return nil, Business(f.Code, errors.New(f.Message))
	default:
		return nil, err
	}
}

// refuse records what the business says of a step, and answers it; if the step
// had been done before, then that, since what the function found is its own
// doing.
func refuse(ctx context.Context, l *Ledger, saga, step string, from record, why businessError) (json.RawMessage, error) {
	if time.Now().UnixMilli() < from.earlier {
		return nil, fmt.Errorf("another attempt may be at it, %s: %s", untilText(from.earlier), why.Error()) // no Business: not wrapped
	}
	f, err := json.Marshal(failure{why.code, messageOf(ctx, why)})
	if err != nil {
		return nil, fmt.Errorf("encode the refusal: %w", err)
	}
	err = l.commit(ctx, l.move(saga, step, record{state: refused, result: string(f)}, from), nil)
	if err == nil {
		return nil, why
	}
	if _, ok := errors.AsType[*conflictError](err); ok {
		return answered(err)
	}
	return nil, fmt.Errorf("%s, which is not recorded: %w", why.Error(), err)
}

// afterError is what an action answers whose function failed: if it had been
// done before, then that, since what the function found is its own doing.
func afterError(ctx context.Context, l *Ledger, saga, step string, err error) (json.RawMessage, error) {
	r, readErr := l.read(ctx, saga, step)
	switch {
	case readErr != nil:
		return nil, errors.Join(errors.New("it is not known whether the step was done before"), readErr)
	case r.state == done || r.state == undone || r.state == refused:
		return answered(&conflictError{r})
	default:
		return nil, err
	}
}

// maxInvocation is the longest that a Lambda function runs
// (https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html).
const maxInvocation = 15 * time.Minute

// deadline is when this invocation has certainly ended.
func deadline(ctx context.Context) time.Time {
	if at, ok := ctx.Deadline(); ok {
		return at
	}
	return time.Now().Add(maxInvocation)
}
