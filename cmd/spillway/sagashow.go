package main

import (
	"context"
	"fmt"
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
	Error    string `json:"error"`
	Cause    string `json:"cause"`
	Attempts int    `json:"attempts"`
	TookMS   int64  `json:"took_ms"`
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
		Long: `Draw the path that an execution took: each step with its attempts, errors and
time, the way back when something was undone, and what is parked.`,
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
		return p.err
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
			longest = max(longest, utf8.RuneCountInString(s.State))
		}
	}
	for i, s := range shown {
		if i > 0 {
			p.printf("  │\n")
		}
		text := fmt.Sprintf("  %s %-*s  %6s", mark(s), longest, clean(s.State), shortDuration(time.Duration(s.TookMS)*time.Millisecond))
		if s.Attempts > 1 {
			text += fmt.Sprintf("  %d attempts", s.Attempts)
		}
		if s.Error != "" && (s.Outcome == "failed" || s.Attempts > 1) {
			text += "  " + why(s.Error, s.Cause, "")
		}
		p.printf("%s\n", cut(text, width))
	}
	if d.Cut {
		p.printf("  ⋮ and more\n")
	}
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
