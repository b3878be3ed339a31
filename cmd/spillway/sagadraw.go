package main

import (
	"cmp"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/spillway-go/spillway/internal/adminapi"
)

// strokes are the characters of a drawing, each one wide.
type strokes struct{ done, undone, failed, parked, running, ended, line, more string }

var (
	fineStrokes  = strokes{"✓", "↩", "✗", "!", "…", "■", "│", "⋮"}
	plainStrokes = strokes{"+", "<", "x", "!", ".", "#", "|", ":"}
)

// Colors of a terminal.
const (
	red    = "\x1b[31m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	reset  = "\x1b[0m"
)

// pen is what a drawing is made with.
type pen struct {
	strokes
	width  int // of the screen; 0 means no limit
	colors bool
}

// pen suits the output: colors are for a screen whose owner has not said no
// (https://no-color.org), and anything but ASCII for a locale that can show it.
// One that is not set says nothing.
func (a *app) pen(width int, screen bool) pen {
	p := pen{strokes: fineStrokes, width: width, colors: screen && a.getenv("NO_COLOR") == ""}
	locale := strings.ToLower(cmp.Or(a.getenv("LC_ALL"), a.getenv("LC_CTYPE"), a.getenv("LANG")))
	if locale != "" && !strings.Contains(locale, "utf-8") && !strings.Contains(locale, "utf8") {
		p.strokes = plainStrokes
	}
	return p
}

// drawSaga draws an execution from top to bottom.
func drawSaga(p *printer, d *adminapi.SagaShowAnswer, all bool, with pen) {
	head := clean(d.Execution) + "  " + clean(string(d.Status))
	if d.Error != "" {
		head += ", " + why(d.Error, d.Cause, "")
	}
	p.printf("%s\n", head)
	if !d.StartedAt.IsZero() {
		p.printf("began %s ago", since(d.StartedAt.Time))
		if !d.StoppedAt.IsZero() {
			p.printf(", took %s", shortDuration(d.StoppedAt.Sub(d.StartedAt.Time)))
		}
		p.printf("\n")
	}
	var steps []drawnStep
	longest := 0
	for _, s := range (sagaPath{d}).retrace() {
		if all || s.shown() {
			steps = append(steps, s)
			longest = max(longest, utf8.RuneCountInString(clean(s.State)))
		}
	}
	for i := range steps {
		before := "  " + with.line
		if i == 0 {
			before = ""
		}
		p.printf("%s\n", before)
		with.step(p, &steps[i], longest)
	}
	if d.Cut {
		p.printf("  %s and more\n", with.more)
	}
}

// step draws one line. Only its mark is colored, so that cutting the rest to
// the screen's width cuts no color in two.
func (w *pen) step(p *printer, s *drawnStep, longest int) {
	mark, color := w.mark(s)
	if w.colors && color != "" {
		mark = color + mark + reset
	}
	text := fmt.Sprintf("%-*s  %6s", longest, clean(s.State), shortDuration(stepTook(&s.SagaStep)))
	if s.Attempts > 1 {
		text += fmt.Sprintf("  %d attempts", s.Attempts)
	}
	switch s.parked {
	case parked:
		text += "  parked"
	case parkedOnce:
		text += "  parked, dealt with since"
	case notParked:
	}
	if s.Error != "" && (s.Outcome == adminapi.StepFailed || s.Attempts > 1) {
		text += "  " + why(s.Error, s.Cause, "")
	}
	room := 0
	if w.width > 0 {
		room = max(w.width-4, 1)
	}
	p.printf("  %s %s\n", mark, cut(text, room))
}

// mark says how a step ended.
func (w *pen) mark(s *drawnStep) (mark, color string) {
	switch {
	case s.role == stepEnd && s.State == "Compensated":
		return w.undone, yellow
	case s.Type == "Fail":
		return w.failed, red
	case s.parked != notParked:
		return w.parked, red
	case s.Outcome == adminapi.StepFailed:
		return w.failed, red
	case s.Outcome == adminapi.StepRunning:
		return w.running, ""
	case s.Outcome == adminapi.StepEnded && s.role != stepEnd:
		return w.ended, red
	case s.role == stepBack:
		return w.undone, yellow
	default:
		return w.done, green
	}
}
