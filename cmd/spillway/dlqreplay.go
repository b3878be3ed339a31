package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strings"

	"github.com/spf13/cobra"

	"github.com/spillway-go/spillway/internal/adminapi"
)

// replayFlags are those of commands that plan, and then carry the plan out.
type replayFlags struct {
	filter   filterFlags
	queue    *choice // nil where there is no choice
	rate     float64
	max      int
	canary   int
	plan     string
	dryRun   bool
	native   bool
	yes      bool
	noFollow bool

	cmd  *cobra.Command
	kind adminapi.JobKind // replay or retry
	path []string         // of this command, "dlq replay"
}

func (o *operator) dlqReplayCommand() *cobra.Command {
	f := replayFlags{kind: adminapi.KindReplay, path: []string{"dlq", "replay"}}
	cmd := &cobra.Command{
		Use:   "replay",
		Short: "Send dead letters back to their queues",
		Long: `Send dead letters back to the queues that they came from.

First shows the plan and asks. Then sends, and follows the tasks to their end
(--no-follow does not). A task that was canceled or has finished meanwhile is not
sent. Ctrl-C stops the job where it is, and says how to go on with it; so does
--timeout.`,
		Example: `  spillway dlq replay --dry-run
  spillway dlq replay --type webhook.deliver --error-contains "503" --rate 50 --canary 5
  spillway dlq replay --plan 01JZ8Q4W7M6T3V9X2K5B0N1C8D --yes`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	f.queue = addQueue(cmd)
	f.addTo(cmd, "messages")
	fl := cmd.Flags()
	fl.BoolVar(&f.native, "native", false, "let SQS move all messages by itself: fast, but without a plan and without looking at the tasks")
	for _, one := range append(filterNames, "max", "canary", "dry-run", "plan", "no-follow") {
		cmd.MarkFlagsMutuallyExclusive("native", one)
	}
	cmd.RunE = o.action(0, func(ctx context.Context, args []string) error {
		if err := f.check(); err != nil {
			return err
		}
		filter, err := f.filter.filter()
		if err != nil {
			return err
		}
		return o.withAdmin(func(ctx context.Context, _ []string) error {
			if f.native {
				return o.replayNative(ctx, &f)
			}
			return o.replay(ctx, &f, filter)
		})(ctx, args)
	})
	return cmd
}

// addTo gives cmd the flags that replays of all kinds have.
func (f *replayFlags) addTo(cmd *cobra.Command, of string) {
	f.cmd = cmd
	f.filter.addTo(cmd, of)
	fl := cmd.Flags()
	fl.Float64Var(&f.rate, "rate", 0, "how many a second at most (default: as fast as it goes)")
	fl.IntVar(&f.max, "max", 0, "how many at most (default: all)")
	fl.IntVar(&f.canary, "canary", 0, "send so many first, and the rest only once their tasks have succeeded")
	fl.StringVar(&f.plan, "plan", "", "carry out this plan, or go on with its job")
	fl.BoolVar(&f.dryRun, "dry-run", false, "only show the plan")
	fl.BoolVarP(&f.yes, "yes", "y", false, "do not ask")
	fl.BoolVar(&f.noFollow, "no-follow", false, "do not wait for the tasks to end")
	for _, name := range []string{"rate", "max", "canary", "plan"} {
		complete(cmd, name)
	}
	// A plan is what it is: only its speed can be chosen.
	for _, one := range append(filterNames, "max", "dry-run") {
		cmd.MarkFlagsMutuallyExclusive("plan", one)
	}
}

func (f *replayFlags) check() error {
	given := f.cmd.Flags().Changed
	switch {
	case given("rate") && (f.rate <= 0 || math.IsInf(f.rate, 0) || math.IsNaN(f.rate)):
		return usagef("--rate must be more than 0")
	case f.native && f.rate > 500:
		return usagef("--rate must be 500 at most with --native: SQS moves no faster")
	case given("max") && f.max < 1:
		return usagef("--max must be at least 1")
	case given("canary") && f.canary < 1:
		return usagef("--canary must be at least 1")
	case given("plan") && f.plan == "":
		return usagef("--plan needs the plan's id")
	default:
		return nil
	}
}

// queueName is the queue to ask for, none where there is no choice.
func (f *replayFlags) queueName() string {
	if f.queue == nil {
		return ""
	}
	return f.queue.value
}

// withPlan is the command line that carries out, or goes on with, a plan.
func (o *operator) withPlan(f *replayFlags, id string) string {
	return o.commandLine(append(append([]string{}, f.path...), "--plan", id)...)
}

// replay plans, asks, carries out and follows.
func (o *operator) replay(ctx context.Context, f *replayFlags, filter *adminapi.Filter) error {
	run := &jobRun{op: o, what: "replaying", id: f.plan}
	queue := f.queueName()
	var question string
	if f.plan == "" {
		p, raw, err := o.makePlan(ctx, f, filter)
		if err != nil {
			return o.answer(raw, err)
		}
		if f.dryRun && o.json() {
			return o.writeRaw(raw)
		}
		if err := o.showPlan(f, p); err != nil {
			return err
		}
		if p.Replay+p.Drop == 0 {
			notes := &printer{w: o.errw}
			notes.printf("nothing to do\n")
			return o.answer(raw, notes.err)
		}
		if f.dryRun {
			out := &printer{w: o.out}
			out.printf("\ncarry it out with\n  %s\n", o.withPlan(f, p.PlanID))
			return out.err
		}
		run.id, run.planned = p.PlanID, p.Replay+p.Drop
		if question = fmt.Sprintf("Replay %s?", quantity(p.Replay, "message")); p.Replay == 0 {
			question = fmt.Sprintf("Drop %s?", quantity(p.Drop, "message"))
		}
	} else {
		j, raw, err := o.plannedJob(ctx, f)
		if err != nil {
			return o.answer(raw, err)
		}
		if j.Status == adminapi.JobDone {
			notes := &printer{w: o.errw}
			notes.printf("this plan was carried out already: `%s` shows what came of it\n", o.commandLine("dlq", "jobs", f.plan))
			return o.answer(raw, notes.err)
		}
		if f.queue != nil {
			queue = j.Queue
		}
		question = "Carry out the plan?"
		if j.Planned > 0 {
			question = fmt.Sprintf("Carry out the plan for %s?", quantity(j.Planned, "message"))
		}
		if j.Status != adminapi.JobPlanned {
			run.job = j
			question = fmt.Sprintf("Go on with the job after %s (%s)?", run.reach(), clean(string(j.Status)))
			run.job = nil
		}
	}
	run.start = o.executePlan(f, adminapi.DLQReplayRequest{Queue: queue, PlanID: run.id, Rate: f.rate, Canary: f.canary})
	// Speed and canary are kept with the job, so going on does not repeat them.
	run.again = o.executePlan(f, adminapi.DLQReplayRequest{Queue: queue, PlanID: run.id})
	run.resume = o.withPlan(f, run.id)
	if !f.yes {
		instead := run.resume
		for _, words := range givenWords(f.cmd.Flags(), "rate", "canary", "no-follow") {
			instead += " " + quote(words)
		}
		if err := o.confirm(ctx, question, instead+" --yes"); err != nil {
			return err
		}
	}
	return run.finish(ctx, !f.noFollow)
}

// makePlan has the admin function find out what the command would do.
func (o *operator) makePlan(ctx context.Context, f *replayFlags, filter *adminapi.Filter) (*adminapi.Plan, json.RawMessage, error) {
	if f.kind == adminapi.KindRetry {
		return change(ctx, o, adminapi.TaskPlan, adminapi.TaskRetryRequest{Filter: filter, Max: f.max, Rate: f.rate, Canary: f.canary, DryRun: true})
	}
	return change(ctx, o, adminapi.DLQPlan, adminapi.DLQReplayRequest{
		Queue: f.queueName(), Filter: filter, Max: f.max, Rate: f.rate, Canary: f.canary, DryRun: true,
	})
}

// executePlan is the call that carries a plan out.
func (o *operator) executePlan(f *replayFlags, q adminapi.DLQReplayRequest) jobCall {
	if f.kind == adminapi.KindRetry {
		return jobCallOf(o, adminapi.TaskReplay, adminapi.TaskRetryRequest{PlanID: q.PlanID, Rate: q.Rate, Canary: q.Canary})
	}
	return jobCallOf(o, adminapi.DLQReplay, q)
}

// plannedJob looks at the job of --plan.
func (o *operator) plannedJob(ctx context.Context, f *replayFlags) (*adminapi.Job, []byte, error) {
	j, raw, err := o.findJob(ctx, f.plan, 0)
	switch {
	case err != nil:
		return nil, raw, err
	case j.Kind != f.kind:
		return nil, nil, &exitError{exitUsage, fmt.Sprintf("%s is a %s, no %s", f.plan, clean(string(j.Kind)), f.kind)}
	default:
		return j, raw, nil
	}
}

// showPlan shows what would be done.
func (o *operator) showPlan(f *replayFlags, p *adminapi.Plan) error {
	out := o.notes()
	text := fmt.Sprintf("%d to be replayed", p.Replay)
	if p.Drop > 0 {
		text += fmt.Sprintf(", %d to be dropped, since their tasks have ended", p.Drop)
	}
	if n := p.Skip - p.Drop; n > 0 {
		text += fmt.Sprintf(", %d to be skipped", n)
	}
	out.printf("%s matched: %s\n", quantity(p.Matched, "message"), text)
	rows := ranked(p.Destinations)
	for _, row := range rows {
		row[1] = "to " + row[1]
	}
	rows = append(rows, ranked(p.Reasons)...)
	out.table(0, []column{{right: true}, {}}, indent(rows))
	o.showGroups(out, p.Groups)
	if f.dryRun && len(p.Messages) > 0 {
		o.showPlanned(out, p)
	}
	if p.Note != "" {
		out.printf("\n%s\n", clean(p.Note))
	}
	if p.PlanID != "" && p.Matched > 0 {
		out.printf("\nplan %s", clean(p.PlanID))
		if !p.ExpiresAt.IsZero() {
			out.printf(", good until %s", moments(p.ExpiresAt.Time))
		}
		out.printf("\n")
	}
	return out.err
}

// showGroups shows what the messages failed for.
func (o *operator) showGroups(out *printer, groups []adminapi.Group) {
	if len(groups) == 0 {
		return
	}
	rows := make([][]string, len(groups))
	for i, g := range groups {
		rows[i] = []string{fmt.Sprint(g.Count), clean(g.Type), why(g.Code, g.Message, g.MovedBy)}
	}
	width, _ := o.screen(out.w)
	out.printf("\n")
	out.table(width, []column{{title: "COUNT", right: true}, {title: "TYPE"}, {title: "ERROR"}}, rows)
}

// showPlanned shows the plan of each message, as far as the answer has them.
func (o *operator) showPlanned(out *printer, p *adminapi.Plan) {
	rows := make([][]string, len(p.Messages))
	for i, m := range p.Messages {
		what := string(m.Reason)
		if m.To != "" {
			what = strings.TrimSpace("to " + m.To + " " + what)
		}
		rows[i] = []string{clean(string(m.Action)), clean(cmp.Or(m.TaskID, m.MessageID)), clean(m.Type), fmt.Sprint(m.Run), clean(what)}
	}
	width, _ := o.screen(out.w)
	out.printf("\n")
	out.table(width, []column{{title: "ACTION"}, {title: "ID"}, {title: "TYPE"}, {title: "RUN", right: true}, {title: "WHY"}}, rows)
	if len(p.Messages) < p.Matched {
		out.printf("these are the first %d of %d\n", len(p.Messages), p.Matched)
	}
}

// replayNative lets SQS move the messages.
func (o *operator) replayNative(ctx context.Context, f *replayFlags) error {
	if !f.yes {
		s, raw, err := ask(ctx, o, adminapi.DLQStatus, adminapi.DLQStatusRequest{Queue: f.queueName()})
		if err != nil {
			return o.answer(raw, err)
		}
		words := append(append([]string{}, f.path...), givenWords(f.cmd.Flags(), "queue", "rate", "native")...)
		if err := o.confirm(ctx, fmt.Sprintf("Let SQS move all of about %s of %s?", quantity(s.Depth, "message"), s.Queue), o.commandLine(append(words, "--yes")...)); err != nil {
			return err
		}
	}
	out, raw, err := change(ctx, o, adminapi.DLQNative, adminapi.DLQReplayRequest{Queue: f.queueName(), Rate: f.rate, Native: true})
	if err != nil || o.json() {
		return o.answer(raw, err)
	}
	p := &printer{w: o.out}
	p.printf("SQS moves the messages (task %s). See how many are left with\n  %s\n", clean(out.TaskHandle),
		o.commandLine(append([]string{"dlq", "groups"}, givenWords(f.cmd.Flags(), "queue")...)...))
	if out.Note != "" {
		p.printf("%s\n", clean(out.Note))
	}
	return p.err
}
