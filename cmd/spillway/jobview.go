package main

import (
	"fmt"
	"strings"
	"time"
)

// jobView shows how far long work has come: on a screen two lines that are
// repainted, elsewhere a line from time to time.
type jobView struct {
	out   *printer
	width int           // 0 without a screen
	every time.Duration // between two lines without one
	last  time.Time
	began time.Time
	meter meter
	shown string // what is in progress
	open  bool   // a block stands above the cursor
}

// linesPerPoll is how many looks a line stands for where there is no screen: a
// log wants fewer than an eye.
const linesPerPoll = 5

// frame is one moment of the work.
type frame struct {
	what        string // "replaying"
	done, total int
	detail      string
}

func (a *app) newJobView() *jobView {
	w := a.out
	if a.json() {
		w = a.errw // standard output is for the result
	}
	width, screen := a.screen(w)
	v := &jobView{out: &printer{w: w}, every: linesPerPoll * a.pace.poll, began: time.Now()}
	if screen {
		v.width = width
	}
	return v
}

// update shows f, if it is time.
func (v *jobView) update(f frame) {
	if f.what != v.shown {
		v.shown, v.open, v.last, v.meter = f.what, false, time.Time{}, meter{}
	}
	v.meter.add(time.Now(), f.done)
	if v.width > 0 {
		v.paint(f)
	} else if time.Since(v.last) >= v.every {
		v.line(f)
	}
}

// end shows the last state, whenever it was shown last.
func (v *jobView) end(f frame) {
	if v.shown == "" {
		return // it was over before there was anything to see
	}
	v.last = time.Time{}
	v.update(f)
	v.shown, v.open = "", false
}

// note writes a line that stays.
func (v *jobView) note(text string) {
	v.open = false
	v.out.printf("%s\n", clean(text))
}

func (v *jobView) line(f frame) {
	v.last = time.Now()
	text := fmt.Sprintf("%5s  %s %s", time.Since(v.began).Round(time.Second), f.what, f.count())
	for _, part := range []string{v.speed(f), f.detail} {
		if part != "" {
			text += "  " + part
		}
	}
	v.out.printf("%s\n", text)
}

func (v *jobView) paint(f frame) {
	speed := v.speed(f)
	bar := ""
	if f.total > 0 {
		room := max(min(v.width-len(f.what)-len(f.count())-len("   100%  1000/s  59m59s left")-1, 40), 5)
		full := f.done * room / f.total
		bar = strings.Repeat("█", full) + strings.Repeat("░", room-full) + "  "
	}
	lines := []string{
		f.what + " " + bar + f.count() + "  " + speed,
		strings.Repeat(" ", len(f.what)+1) + f.detail,
	}
	if v.open {
		v.out.printf("\x1b[%dA", len(lines))
	}
	for _, l := range lines {
		v.out.printf("\r\x1b[2K%s\n", cut(strings.TrimRight(l, " "), v.width))
	}
	v.open = true
}

// count is how much is done, and of how much as far as that is known.
func (f *frame) count() string {
	if f.total > 0 {
		return fmt.Sprintf("%d/%d", f.done, f.total)
	}
	return fmt.Sprint(f.done)
}

// speed is the share that is done, the rate, and the time left.
func (v *jobView) speed(f frame) string {
	var parts []string
	if f.total > 0 {
		parts = append(parts, fmt.Sprintf("%d%%", f.done*100/f.total))
	}
	perSecond := v.meter.rate()
	if perSecond > 0 && (f.done < f.total || f.total == 0) {
		parts = append(parts, rateText(perSecond)+"/s")
	}
	if perSecond > 0 && f.done < f.total {
		left := time.Duration(float64(f.total-f.done) / perSecond * float64(time.Second))
		parts = append(parts, shortDuration(left.Round(time.Second))+" left")
	}
	return strings.Join(parts, "  ")
}

func rateText(perSecond float64) string {
	if perSecond < 10 {
		return fmt.Sprintf("%.1f", perSecond)
	}
	return fmt.Sprintf("%.0f", perSecond)
}

// meter measures speed over the last while, so that it follows changes and does
// not jump.
type meter struct{ samples []sample }

type sample struct {
	at time.Time
	n  int
}

const meterWindow = 20 * time.Second

func (m *meter) add(at time.Time, n int) {
	m.samples = append(m.samples, sample{at, n})
	for len(m.samples) > 2 && at.Sub(m.samples[0].at) > meterWindow {
		m.samples = m.samples[1:]
	}
}

// rate is per second, 0 while it is not known.
func (m *meter) rate() float64 {
	if len(m.samples) < 2 {
		return 0
	}
	first, last := m.samples[0], m.samples[len(m.samples)-1]
	seconds := last.at.Sub(first.at).Seconds()
	if seconds < 1 {
		return 0
	}
	return float64(last.n-first.n) / seconds
}
