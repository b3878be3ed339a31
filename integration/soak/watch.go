package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/spillway-go/spillway/internal/localaws"
	"github.com/spillway-go/spillway/pkg/client"
)

// life is a worker process and how much memory it had, second by second.
type life struct {
	process  localaws.Process
	from, to time.Time
	resident []int64 // bytes
}

// watch follows a load: how tasks end, and how much memory the workers have.
// It is safe for concurrent use.
type watch struct {
	stack  *stack
	ledger *ledger
	began  time.Time

	mu    sync.Mutex
	lives []*life
	kills []kill
}

// lookAhead bounds how many tasks one look asks the table for.
const lookAhead = 1000

// look finds out which tasks have ended. It goes past the proxy, so it counts
// for nothing.
func (w *watch) look(ctx context.Context) error {
	pending := w.ledger.oldest(lookAhead)
	ended, err := w.stack.finished(ctx, slices.Collect(maps.Keys(pending)))
	if err != nil {
		return err
	}
	statuses := map[int]client.Status{}
	for id, status := range ended {
		statuses[pending[id]] = status
	}
	w.ledger.end(statuses)
	return nil
}

// weigh notes the memory of the worker processes.
func (w *watch) weigh() error {
	workers, err := w.stack.workers()
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range workers {
		bytes, err := p.Resident()
		if err != nil {
			continue // it has ended meanwhile
		}
		i := slices.IndexFunc(w.lives, func(l *life) bool { return l.process == p })
		if i < 0 {
			i = len(w.lives)
			w.lives = append(w.lives, &life{process: p, from: time.Now()})
		}
		w.lives[i].to = time.Now()
		w.lives[i].resident = append(w.lives[i].resident, bytes)
	}
	return nil
}

// oldest is the pid of the worker that runs longest, or 0.
func (w *watch) oldest() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	alive := slices.Clone(w.lives)
	alive = slices.DeleteFunc(alive, func(l *life) bool { return !l.process.Running() })
	if len(alive) == 0 {
		return 0
	}
	return slices.MinFunc(alive, func(a, b *life) int { return cmp.Compare(a.from.UnixNano(), b.from.UnixNano()) }).process.PID
}

func (w *watch) struck(k kill) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.kills = append(w.kills, k)
}

// line is one line of progress.
func (w *watch) line(ctx context.Context) (string, error) {
	letters, err := w.stack.size(ctx, "DeadLetterQueueUrl")
	if err != nil {
		return "", err
	}
	accepted, ended := w.ledger.counts()
	w.mu.Lock()
	defer w.mu.Unlock()
	var low, high int64
	running := 0
	for _, l := range w.lives {
		if !l.process.Running() {
			continue
		}
		now := l.resident[len(l.resident)-1]
		if running == 0 || now < low {
			low = now
		}
		high = max(high, now)
		running++
	}
	took := time.Since(w.began)
	return fmt.Sprintf("%5.0f s  accepted %6d  ended %6d  in flight %5d  dead letters %4d  %4.0f/s  %d workers of %.1f to %.1f MiB  kills %d",
		took.Seconds(), accepted, ended, accepted-ended, letters, float64(ended)/took.Seconds(), running, mib(low), mib(high), len(w.kills)), nil
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }
