package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/spillway-go/spillway/internal/adminapi"
)

func (o *operator) sagaShowCommand() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "show EXECUTION",
		Short: "Draw the path that an execution took",
		Long: `Draw the path that an execution took: each step with its attempts, errors and
time, the way back when something was undone, and what is parked.

Marks, and what stands for them where the locale has no UTF-8:
  ✓ +  done
  ↩ <  undone, or the end of what was undone
  ✗ x  failed
  ! !  could not be undone, and was parked
  … .  runs at the moment
  ■ #  was ended from outside, or with another branch`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().BoolVar(&all, "all", false, "also the states that only keep the books")
	cmd.RunE = o.action(0, func(ctx context.Context, args []string) error {
		if args[0] == "" {
			return errNoExecution
		}
		return o.withAdmin(func(ctx context.Context, args []string) error {
			d, raw, err := ask(ctx, o, adminapi.SagaShow, adminapi.SagaShowRequest{Execution: args[0]})
			if err != nil || o.json() {
				return o.answer(raw, err)
			}
			return o.showSaga(d, all)
		})(ctx, args)
	})
	return cmd
}

func (o *operator) showSaga(d *adminapi.SagaShowAnswer, all bool) error {
	width, screen := o.screen(o.out)
	p := &printer{w: o.out}
	drawSaga(p, d, all, o.pen(width, screen))
	o.showParked(p, width, &d.Parked)
	if p.err != nil {
		return p.err
	}
	return o.showParkedNotes(&d.Parked)
}
