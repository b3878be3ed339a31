package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spillway-go/spillway/pkg/client"
)

// view shows a run while it goes on: on a screen one block that is repainted,
// elsewhere a line from time to time.
type view struct {
	out    *printer
	run    *demoRun
	width  int // 0 without a screen
	every  time.Duration
	last   time.Time
	height int // lines to go up before repainting
	total  int
	base   string
}

func (a *app) newView(run *demoRun, recv *receiver) *view {
	w := a.out
	if a.json() {
		w = a.errw // standard output is for the result
	}
	width, screen := a.screen(w)
	v := &view{out: &printer{w: w}, run: run, every: a.pace.line, total: len(run.plan), base: recv.base}
	if screen {
		v.width = width
	}
	return v
}

func (v *view) begin() {
	v.out.printf("%d tasks to a receiver at %s\n", v.total, v.base)
	counts := map[string]int{}
	for _, item := range v.run.plan {
		counts[item.kind.name]++
	}
	rows := make([][]string, len(kinds))
	for i, k := range kinds {
		rows[i] = []string{fmt.Sprint(counts[k.name]), k.about, "→ " + string(k.want)}
	}
	v.out.table(0, []column{{right: true}, {}, {}}, rows)
	v.out.printf("\n")
}

// update paints the run as it is, if it is time.
func (v *view) update() {
	if v.width > 0 {
		v.paint()
		return
	}
	if time.Since(v.last) >= v.every {
		v.line()
	}
}

// end shows the last state, whenever it was painted last.
func (v *view) end() {
	if v.width > 0 {
		v.paint()
	} else {
		v.line()
	}
}

func (v *view) line() {
	v.last = time.Now()
	p := v.run.progress()
	var b strings.Builder
	fmt.Fprintf(&b, "%5s  submitted %d/%d", v.elapsed(), p.accepted, v.total)
	for _, s := range client.Statuses {
		if n := p.byStatus[s]; n > 0 {
			fmt.Fprintf(&b, "  %s %d", s, n)
		}
	}
	v.out.printf("%s\n", b.String())
}

func (v *view) paint() {
	p := v.run.progress()
	lines := []string{fmt.Sprintf("%d of %d submitted, %d finished, %s", p.accepted, v.total, p.finished, v.elapsed())}
	const labels = 22 // status and count in front of a bar
	room := max(min(v.width-labels-1, 60), 5)
	for _, s := range client.Statuses {
		n := p.byStatus[s]
		bar := n * room / max(v.total, 1)
		if n > 0 {
			bar = max(bar, 1) // one task is little, but not nothing
		}
		lines = append(lines, fmt.Sprintf("  %-13s %5d %s", s, n, strings.Repeat("█", bar)))
	}
	if v.height > 0 {
		v.out.printf("\x1b[%dA", v.height)
	}
	for _, l := range lines {
		v.out.printf("\r\x1b[2K%s\n", cut(strings.TrimRight(l, " "), v.width))
	}
	v.height = len(lines)
}

func (v *view) elapsed() string {
	return time.Since(v.run.began).Round(time.Second).String()
}
