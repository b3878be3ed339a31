package localaws

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// progress tells a person at a terminal which step runs and for how long, and a log how long each took.
type progress struct {
	w        io.Writer
	terminal bool
	mu       sync.Mutex // one step writes at a time
}

func newProgress(w io.Writer) *progress {
	p := &progress{w: w}
	if f, ok := w.(*os.File); ok {
		if info, err := f.Stat(); err == nil {
			p.terminal = info.Mode()&os.ModeCharDevice != 0
		}
	}
	return p
}

// step runs fn under a line such as "building 4 functions … 12.3 s". At a terminal the time counts up as it runs.
func (p *progress) step(what string, fn func() error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	start := time.Now()
	elapsed := func() string { return fmt.Sprintf("%.1f s", time.Since(start).Seconds()) }

	fmt.Fprintf(p.w, "%s … ", what)
	done := make(chan error, 1)
	go func() { done <- fn() }()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			mark := ""
			if err != nil {
				mark = ", failed"
			}
			if p.terminal {
				fmt.Fprintf(p.w, "\r%s … ", what)
			}
			fmt.Fprintf(p.w, "%s%s\n", elapsed(), mark)
			return err
		case <-tick.C:
			if p.terminal {
				fmt.Fprintf(p.w, "\r%s … %s", what, elapsed())
			}
		}
	}
}

// say writes one line.
func (p *progress) say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.w, format+"\n", args...)
}
