package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// sagaStep is a state that an execution has entered.
type sagaStep struct {
	State    string `json:"state"`
	Type     string `json:"type"`
	Outcome  string `json:"outcome"`
	Undoes   string `json:"undoes"`
	Error    string `json:"error"`
	Cause    string `json:"cause"`
	Attempts int    `json:"attempts"`

	EnteredAt time.Time `json:"entered_at"`
	TookMS    int64     `json:"took_ms"`
}

// sagaDetail is an execution as saga.show has it.
type sagaDetail struct {
	sagaExecution
	Error string     `json:"error"`
	Cause string     `json:"cause"`
	Path  []sagaStep `json:"path"`
	Cut   bool       `json:"cut"`
	parkedList
}

func (o *operator) sagaShowCommand() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "show EXECUTION",
		Short: "Draw the path that an execution took",
		Long: `Draw the path that an execution took: each step with its time, attempts and
errors, the way back when something was undone, and what is parked.

  ✓ done   ✗ failed   ! parked for a person   … running   ■ broken off`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().BoolVar(&all, "all", false, "also the states that only keep the books")
	cmd.RunE = o.action(0, o.withAdmin(func(ctx context.Context, args []string) error {
		d, raw, err := ask[sagaDetail](ctx, o, adminRequest{Command: "saga.show", Execution: args[0]})
		if err != nil || o.json() {
			return o.answer(raw, err)
		}
		width, _ := o.screen(o.out)
		p := &printer{w: o.out}
		drawSaga(p, d, all, width)
		o.showParked(p, width, &d.parkedList)
		if p.err != nil {
			return p.err
		}
		return o.showParkedNotes(&d.parkedList)
	}))
	return cmd
}

// drawSaga draws an execution from top to bottom.
func drawSaga(p *printer, d *sagaDetail, all bool, width int) {
	p.printf("%s  %s", clean(d.Execution), clean(d.Status))
	if d.Error != "" {
		p.printf(", %s", why(d.Error, d.Cause, ""))
	}
	p.printf("\n")
	if !d.StartedAt.IsZero() {
		p.printf("began %s ago", since(d.StartedAt))
		if !d.StoppedAt.IsZero() {
			p.printf(", took %s", shortDuration(d.StoppedAt.Sub(d.StartedAt)))
		}
		p.printf("\n")
	}
	p.printf("\n")
	var shown []sagaStep
	longest := 0
	for _, s := range d.Path {
		if all || !bookkeeping(s) {
			shown = append(shown, s)
			longest = max(longest, utf8.RuneCountInString(clean(s.State)))
		}
	}
	back := false
	for i, s := range shown {
		switch turn := s.Undoes != "" && !back; {
		case turn:
			back = true
			p.printf("  ╰─╮ the way back\n")
		case i > 0 && back:
			p.printf("    │\n")
		case i > 0:
			p.printf("  │\n")
		}
		indent, room := "  ", longest+2
		if back {
			indent, room = "    ", longest
		}
		text := fmt.Sprintf("%s%s %-*s  %6s  %s", indent, mark(s), room, clean(s.State), duration(s), d.remarks(s))
		p.printf("%s\n", cut(strings.TrimRight(text, " "), width))
	}
	if d.Cut {
		p.printf("  ⋮ and more\n")
	}
}

// duration is how long a step took, or has taken so far.
func duration(s sagaStep) string {
	switch {
	case s.Type == "Fail", s.Type == "Succeed":
		return ""
	case s.Outcome == "running":
		return since(s.EnteredAt)
	default:
		return shortDuration(time.Duration(s.TookMS) * time.Millisecond)
	}
}

// remarks are what else is to be said about a step.
func (d *sagaDetail) remarks(s sagaStep) string {
	var words []string
	if s.Undoes != "" {
		words = append(words, "undoes "+clean(s.Undoes))
	}
	if s.Outcome == "running" {
		words = append(words, "running")
	}
	if step, parks := strings.CutPrefix(s.State, "Park"); parks && s.Outcome == "ok" {
		switch {
		case slices.ContainsFunc(d.Parked, func(w parkedStep) bool { return w.Step == step }):
			words = append(words, "waits for you")
		case d.Note == "":
			words = append(words, "not parked any more")
		}
	}
	if s.Attempts > 1 {
		words = append(words, fmt.Sprintf("%d attempts", s.Attempts))
	}
	if s.Error != "" && (s.Outcome == "failed" || s.Attempts > 1) {
		words = append(words, why(s.Error, s.Cause, ""))
	}
	return strings.Join(words, "  ")
}

// bookkeeping are states without an effect that anybody asked for.
func bookkeeping(s sagaStep) bool {
	if s.Outcome == "failed" || s.Outcome == "running" || s.Outcome == "ended" || s.Type == "Fail" || s.Type == "Succeed" {
		return false
	}
	return s.Type != "Task" || strings.HasPrefix(s.State, "Record") || s.State == "ReadTask"
}

// mark says how a step ended.
func mark(s sagaStep) string {
	switch {
	case s.Type == "Fail", s.Outcome == "failed":
		return "✗"
	case strings.HasPrefix(s.State, "Park"):
		return "!"
	case s.Outcome == "running":
		return "…"
	case s.Outcome == "ended" && s.Type != "Succeed":
		return "■"
	default:
		return "✓"
	}
}
