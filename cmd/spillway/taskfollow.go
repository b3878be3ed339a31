package main

import (
	"context"
	"time"

	"github.com/spillway-go/spillway/internal/adminapi"
)

// followTask waits until a task has finished in the run that t is in, and
// returns it as last seen. nil means that it could not be looked at.
func (o *operator) followTask(ctx context.Context, t *adminapi.Task) (seen *adminapi.Task, raw []byte, err error) {
	pause := o.pace.poll
	var blind time.Time
	for {
		found, answer, err := o.getTask(ctx, t.ID)
		switch {
		case ctx.Err() != nil:
			return seen, raw, ctx.Err()
		case err == nil:
			seen, raw, blind = found, answer, time.Time{}
			if seen.Status.Finished() && seen.Run >= t.Run {
				return seen, raw, nil
			}
		case blind.IsZero():
			blind = time.Now()
		case time.Since(blind) > maxBlind*o.pace.poll:
			return seen, raw, err
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return seen, raw, ctx.Err()
		}
		pause = min(pause*5/4, maxFollowPolls*o.pace.poll)
	}
}
