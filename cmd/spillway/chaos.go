package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/spillway-go/spillway/internal/adminapi"
)

func (o *operator) chaosCommand() *cobra.Command {
	return o.group("chaos", "Make steps fail on purpose",
		`Make steps fail on purpose, to see that what is built around them holds.

Works through the stack's admin function, which your identity must be allowed to
invoke (lambda:InvokeFunction), and only on a stack that was deployed with
ChaosEnabled=true.

Exit codes: 0 done, 1 failed or refused, 2 used wrongly, 130 interrupted.`,
		o.chaosSetCommand(), o.chaosClearCommand(), o.chaosListCommand())
}

// hits says which calls fail.
func hits(f *adminapi.Fault) string {
	switch {
	case f.TimesLeft == nil:
		return strconv.FormatFloat(100*f.Rate, 'g', 4, 64) + "% of calls"
	case *f.TimesLeft == 0:
		return "used up"
	case *f.TimesLeft == 1:
		return "next call"
	default:
		return fmt.Sprintf("next %d calls", *f.TimesLeft)
	}
}

func (o *operator) chaosSetCommand() *cobra.Command {
	var (
		times         int
		rate          float64
		latency, span time.Duration
	)
	cmd := &cobra.Command{
		Use:   "set TARGET FAULT",
		Short: "Set the fault of a target",
		Long: `Set the fault of a target, in place of the one that it may have. A target is a
step of a saga, such as saga.BookFlight.

Faults:
  business_error      refuses, as when something is sold out
  error               fails
  panic               ends the process
  timeout             does nothing until its time is over
  throttle            fails as Lambda does when it throttles
  latency             waits, and then does its work
  error_after_effect  does its work, and fails

It takes a second: then the fault holds for every call that begins.`,
		Example: "  spillway chaos set saga.BookCar panic --times 1\n  spillway chaos set saga.CancelHotel latency --latency 3s --rate 0.5 --for 1m",
		Args:    cobra.ExactArgs(2),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 1 {
				return words(adminapi.FaultKinds), cobra.ShellCompDirectiveNoFileComp
			}
			return nil, cobra.ShellCompDirectiveNoFileComp
		},
	}
	fl := cmd.Flags()
	fl.IntVar(&times, "times", 0, "how many calls fail, the next ones; 1 to 1000")
	fl.Float64Var(&rate, "rate", 0, "the share of calls that fails, up to 1")
	fl.DurationVar(&latency, "latency", 0, "how long the fault latency waits, 1ms to 15m")
	fl.DurationVar(&span, "for", 10*time.Minute, "how long the fault is set, 1s to 1h")
	for _, flag := range []string{"times", "rate", "latency", "for"} {
		complete(cmd, flag)
	}
	cmd.MarkFlagsOneRequired("times", "rate")
	cmd.MarkFlagsMutuallyExclusive("times", "rate")
	cmd.RunE = o.action(0, func(ctx context.Context, args []string) error {
		req := adminapi.ChaosSetRequest{Target: args[0], Fault: adminapi.FaultKind(args[1]), Times: times, Rate: rate, For: span.String()}
		switch given := fl.Changed("latency"); {
		case fl.Changed("times") && (times < 1 || times > 1000):
			return usagef("--times must be 1 to 1000")
		case fl.Changed("rate") && !(rate > 0 && rate <= 1): // so that NaN is none either
			return usagef("--rate must be more than 0 and at most 1, which is every call")
		case !given && req.Fault == adminapi.FaultLatency:
			return usagef("the fault latency needs --latency, such as 3s")
		case given && req.Fault != adminapi.FaultLatency:
			return usagef("--latency goes with the fault latency only")
		case given && latency < time.Millisecond:
			return usagef("--latency must be at least 1ms")
		case span < time.Second || span > time.Hour:
			return usagef("--for must be 1s to 1h")
		case given:
			req.Latency = latency.String()
		}
		return o.withAdmin(func(ctx context.Context, _ []string) error {
			set, raw, err := change(ctx, o, adminapi.ChaosSet, req)
			if err != nil || o.json() {
				return o.answer(raw, err)
			}
			return o.showFaults([]adminapi.Fault{*set})
		})(ctx, args)
	})
	return cmd
}

func (o *operator) chaosClearCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "clear [TARGET]",
		Short:             "End the fault of a target, or all of them",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: o.action(0, func(ctx context.Context, args []string) error {
			req := adminapi.ChaosClearRequest{Target: strings.Join(args, "")}
			if len(args) > 0 && req.Target == "" {
				return usagef("the target is empty, which would mean all of them: leave it out for that")
			}
			return o.withAdmin(func(ctx context.Context, _ []string) error {
				out, raw, err := change(ctx, o, adminapi.ChaosClear, req)
				if err != nil || o.json() {
					return o.answer(raw, err)
				}
				if len(out.Cleared) == 0 {
					return o.noFaults()
				}
				p := &printer{w: o.out}
				for _, target := range out.Cleared {
					p.printf("%s\n", clean(target))
				}
				return p.err
			})(ctx, args)
		}),
	}
}

func (o *operator) chaosListCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "ls",
		Aliases:           []string{"list"},
		Short:             "List the faults that are set",
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: o.action(0, o.withAdmin(func(ctx context.Context, _ []string) error {
			out, raw, err := ask(ctx, o, adminapi.ChaosStatus, struct{}{})
			if err != nil || o.json() {
				return o.answer(raw, err)
			}
			if len(out.Faults) == 0 {
				return o.noFaults()
			}
			return o.showFaults(out.Faults)
		})),
	}
}

func (o *operator) noFaults() error {
	p := &printer{w: o.errw}
	p.printf("no faults are set\n")
	return p.err
}

func (o *operator) showFaults(faults []adminapi.Fault) error {
	rows := make([][]string, len(faults))
	for i := range faults {
		f := &faults[i]
		what := string(f.Fault)
		if f.Latency != "" {
			what += " of " + f.Latency
		}
		target := f.Target
		if f.Execution != "" {
			target += " of " + f.Execution
		}
		rows[i] = []string{clean(target), clean(what), hits(f), left(f.Until.Time), clean(f.By)}
	}
	width, _ := o.screen(o.out)
	p := &printer{w: o.out}
	p.table(width, []column{{title: "TARGET"}, {title: "FAULT"}, {title: "HITS"}, {title: "ENDS", right: true}, {title: "BY"}}, rows)
	return p.err
}
