// Package sleep waits.
package sleep

import (
	"context"
	"time"
)

// For lets d pass and returns nil, or the error of ctx as soon as that has
// ended.
func For(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
	return ctx.Err()
}
