package batch

import (
	"context"
	"sync"
	"time"
)

// Guard remembers how long records take, so that none is begun that would
// probably not finish in time. The zero value is ready to use; it is safe for
// concurrent use.
type Guard struct {
	mu      sync.Mutex
	longest time.Duration
}

// Longest returns the duration that a record is expected to stay within: the
// longest seen so far, from which every shorter one takes away an eighth of
// the difference, so that one slow record is forgotten after some quick ones.
func (g *Guard) Longest() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.longest
}

func (g *Guard) observe(d time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if d >= g.longest {
		g.longest = d
		return
	}
	g.longest -= (g.longest - d + 7) / 8
}

// DefaultMargin is the time kept free before the function's time-out when so
// much is left at the start: a tenth, but at least 500 ms and at most 5 s, and
// never more than half of it. A caller that uses [Each] more than once in an
// invocation asks once and sets [Options.Margin], so that the margins agree.
func DefaultMargin(left time.Duration) time.Duration {
	m := min(max(left/10, 500*time.Millisecond), 5*time.Second)
	return max(min(m, left/2), 0)
}

// window is the time that one batch may use. The zero value has no end.
type window struct {
	limited bool
	soft    time.Time // deadline of the records
	hard    time.Time // when handlers are abandoned
	last    time.Time // when settling stops
}

// newWindow derives the window from ctx's deadline, the function's time-out.
func newWindow(ctx context.Context, margin time.Duration) window {
	end, ok := ctx.Deadline()
	if !ok {
		return window{}
	}
	if margin <= 0 {
		margin = DefaultMargin(time.Until(end))
	}
	return window{limited: true, soft: end.Add(-margin), hard: end.Add(-margin / 2), last: end.Add(-margin / 4)}
}

// allows reports whether a record that probably takes d may begin now.
func (w window) allows(now time.Time, d time.Duration) bool {
	return !w.limited || w.soft.Sub(now) > max(d, 0)
}
