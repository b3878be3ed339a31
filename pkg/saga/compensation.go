package saga

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// undoTries bounds how often a compensation looks again at a record that
// changes under its hands: it can only go from absent to started, done, undone.
const undoTries = 4

// Compensation makes the Lambda handler that undoes an [Action] of a typed
// function, which says what to write. It may be called at any time, as often as
// anybody likes, and undoes once:
//
//   - An action that was done is undone in one transaction with its record.
//   - One that was never done is recorded as undone, so that it refuses when it
//     comes late. fn is not called, and that is a success.
//   - One that was undone stays so, and so does one that the business refused.
//   - One that was started with [Outside] may still be at it: until all its
//     invocations must have ended this is an error, to be tried again. Then fn
//     is called, without a Result if none was recorded.
//
// A condition of a write that does not hold is an error: the machine tries again
// and then parks the compensation for a person.
func Compensation[In, Out any](l *Ledger, fn func(context.Context, Undo[In, Out]) ([]Write, error)) Handler {
	return func(ctx context.Context, raw json.RawMessage) (json.RawMessage, error) {
		_, err := guard(func() (struct{}, error) {
			call, p, err := parse[In](raw)
			if err == nil && p.Action == "" {
				err = invalid("the payload does not name the action to undo")
			}
			if err != nil {
				return struct{}{}, err
			}
			return struct{}{}, undo(ctx, l, Undo[In, Out]{Call: call, Action: p.Action}, fn)
		})
		if err != nil {
			return nil, asLambda(ctx, err)
		}
		return json.RawMessage(`{}`), nil
	}
}

func undo[In, Out any](ctx context.Context, l *Ledger, u Undo[In, Out], fn func(context.Context, Undo[In, Out]) ([]Write, error)) error {
	r, err := l.read(ctx, u.Key, u.Action)
	for range undoTries {
		if err != nil {
			return err
		}
		if at := r.busy(); time.Now().UnixMilli() < at {
			return fmt.Errorf("%s may still be at it, %s", u.Action, untilText(at))
		}
		var writes []Write
		switch r.state {
		case undone, refused:
			return nil
		case absent:
		case started:
			u.Result = nil
			if writes, err = fn(ctx, u); err != nil {
				return err
			}
		case done:
			u.Result = new(Out)
			if err := json.Unmarshal([]byte(r.result), u.Result); err != nil {
				return fmt.Errorf("the recorded result of %s: %w", u.Action, err)
			}
			if writes, err = fn(ctx, u); err != nil {
				return err
			}
		default:
			return fmt.Errorf("%s is recorded as %q, which this version does not know", u.Action, string(r.state))
		}
		err = l.commit(ctx, l.move(u.Key, u.Action, record{state: undone}, record{state: r.state, until: r.until}), writes)
		conflict, ok := errors.AsType[*conflictError](err)
		if !ok {
			return err
		}
		r, err = conflict.now, nil
	}
	return errors.New("the record changes all the time")
}
