package main

import (
	"context"
	"fmt"
	"time"
)

// kill is one moment at which workers died.
type kill struct {
	begin, end time.Time
	processes  int
	lost       int // deliveries that were cut
}

const (
	// inWork is how many deliveries have to be under way at a kill. A worker
	// makes two at a time, so with three at least two workers are at work, and
	// at least one of them dies.
	inWork = 3
	// gather is how long to wait for them, and then for the cut connections. A
	// delivery may take 3 s (the local WebhookTimeout), and none is to time out
	// because of this.
	gather = time.Second
)

// strike kills all workers but the one that has lived longest, in the middle
// of work. The survivor shows whether memory grows over the whole run. Without
// an error workers have died.
func (s *stack) strike(ctx context.Context, r *receiver, oldest int) (kill, error) {
	for try := 1; ; try++ {
		k, err := s.strikeOnce(ctx, r, oldest)
		if err == nil || try == 10 || ctx.Err() != nil {
			return k, err
		}
		if err := sleep(ctx, gather); err != nil {
			return kill{}, err
		}
	}
}

func (s *stack) strikeOnce(ctx context.Context, r *receiver, oldest int) (kill, error) {
	release := r.hold()
	defer release()
	_, before := r.state()
	if err := until(ctx, gather, func() bool { held, _ := r.state(); return held >= inWork }); err != nil {
		return kill{}, fmt.Errorf("wait for %d deliveries to be under way: %w", inWork, err)
	}
	workers, err := s.workers()
	if err != nil {
		return kill{}, err
	}
	k := kill{begin: time.Now()}
	for _, p := range workers {
		if p.PID != oldest && p.Kill() == nil {
			k.processes++
		}
	}
	// That none is seen to be cut is for the audit to say: they are dead.
	_ = until(ctx, gather, func() bool { _, now := r.state(); k.lost = now - before; return k.lost > 0 })
	k.end = time.Now()
	return k, nil
}

// near reports whether a worker that died at k may not have written down what
// it did at an instant: a delivery may take 3 s, and its settlement waits at
// most 2 s.
func (k kill) near(t time.Time) bool {
	return t.After(k.begin.Add(-6*time.Second)) && t.Before(k.end.Add(time.Second))
}
