package job

import (
	"context"
	"time"
)

// Margin is kept free before an invocation ends: to finish the steps under way,
// to hand the job on, and to answer.
const Margin = 2 * time.Second

// InTime reports whether something that takes d may begin: ctx has not ended,
// and leaves the [Margin] after it.
func InTime(ctx context.Context, d time.Duration) bool {
	if ctx.Err() != nil {
		return false
	}
	end, ok := ctx.Deadline()
	return !ok || time.Until(end)-d > Margin
}

// Closing returns a context for what has to be done even if ctx has ended. It
// ends half a second before the deadline of ctx, or after 30 seconds without
// one.
func Closing(ctx context.Context) (context.Context, context.CancelFunc) {
	end, ok := ctx.Deadline()
	ctx = context.WithoutCancel(ctx)
	if !ok {
		return context.WithTimeout(ctx, 30*time.Second)
	}
	return context.WithDeadline(ctx, end.Add(-Margin/4))
}
