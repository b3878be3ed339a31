package chaos

import (
	"context"
	"encoding/json"

	"github.com/aws/aws-lambda-go/lambda/messages"

	"github.com/spillway-go/spillway/pkg/internal/sleep"
	"github.com/spillway-go/spillway/pkg/task"
)

// throttled is what Lambda's throttling is called in a state machine
// (https://docs.aws.amazon.com/step-functions/latest/dg/sfn-best-practices.html#bp-lambda-serviceexception).
const throttled = "Lambda.TooManyRequestsException"

// inject fails as a fault says.
func (i *Injector) inject(ctx context.Context, a *Active, payload json.RawMessage, next task.Handler) (json.RawMessage, error) {
	failure := &InjectedError{Target: a.Target, Fault: a.Fault}
	// aws-lambda-go takes an error's type from such a value only if nothing is
	// wrapped around it.
	typed := func(name string) error {
		return messages.InvokeResponse_Error{Type: name, Message: failure.Error()}
	}
	switch a.Fault {
	case BusinessError:
		return nil, typed(i.opts.BusinessCode)
	case PlainError:
		return nil, failure
	case Panic:
		panic(failure)
	case Timeout:
		i.outstay(ctx)
		return nil, failure
	case Throttle:
		return nil, typed(throttled)
	case Latency:
		if err := sleep.For(ctx, a.Latency); err != nil {
			return nil, err
		}
		return next(ctx, payload)
	case ErrorAfterEffect:
		if _, err := next(ctx, payload); err != nil {
			return nil, err // there was no effect
		}
		return nil, failure
	default: // of a newer version
		return next(ctx, payload)
	}
}

// outstay lets the time of a call pass, and some more, in which Lambda ends the
// process.
func (i *Injector) outstay(ctx context.Context) {
	_ = sleep.For(ctx, MaxLatency) // ends with ctx, which is what is waited for
	_ = sleep.For(context.WithoutCancel(ctx), i.opts.Grace)
}
